// Learning rates of all schedules against values worked out by hand, or by PyTorch's.
#include "runtime/train/schedule.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

namespace emulsion {
namespace {

TEST(Schedule, ConstantNeverChanges) {
    const Schedule schedule{ScheduleKind::kConstant, 0.05};
    EXPECT_EQ(learning_rate(schedule, 0, 10), 0.05f);
    EXPECT_EQ(learning_rate(schedule, 9, 10), 0.05f);
    EXPECT_EQ(learning_rate(schedule, 1000, 10), 0.05f);
}

TEST(Schedule, StepDropsAtMultiplesOfItsSize) {
    const Schedule schedule{ScheduleKind::kStep, 0.1, 0.0, 3, 0.5};
    const double expected[] = {0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.025};
    for (int step = 0; step < 7; step++) {
        EXPECT_DOUBLE_EQ(exact_learning_rate(schedule, step, 7), expected[step]) << step;
    }
    EXPECT_NEAR(exact_learning_rate({ScheduleKind::kStep, 1.0, 0.0, 1, 0.9}, 13, 20),
                0.2541865828329, 1e-13);
}

// Half a period of 3 from 0.4, whose values are 0.4, 0.3, 0.1 and then the end.
TEST(Schedule, CosineFallsToItsEnd) {
    const Schedule schedule{ScheduleKind::kCosine, 0.4};
    EXPECT_DOUBLE_EQ(exact_learning_rate(schedule, 0, 3), 0.4);
    EXPECT_NEAR(exact_learning_rate(schedule, 1, 3), 0.3, 1e-15);
    EXPECT_NEAR(exact_learning_rate(schedule, 2, 3), 0.1, 1e-15);
    EXPECT_EQ(exact_learning_rate(schedule, 3, 3), 0.0);
    EXPECT_EQ(exact_learning_rate(schedule, 4, 3), 0.0);
    EXPECT_NEAR(exact_learning_rate(schedule, 1, 6), 0.37320508075688774, 1e-15);
    EXPECT_NEAR(exact_learning_rate(schedule, 5, 6), 0.026794919243112270, 1e-15);
}

TEST(Schedule, CosineEndsAtAnotherRateThanZero) {
    const Schedule schedule{ScheduleKind::kCosine, 1.0, 0.2};
    EXPECT_DOUBLE_EQ(exact_learning_rate(schedule, 0, 4), 1.0);
    EXPECT_NEAR(exact_learning_rate(schedule, 2, 4), 0.6, 1e-15);
    EXPECT_EQ(exact_learning_rate(schedule, 4, 4), 0.2);
}

TEST(Schedule, FirstStepHasTheWholeRateAndNoStepHasNone) {
    const Schedule schedule{ScheduleKind::kCosine, 0.05};
    EXPECT_EQ(learning_rate(schedule, 0, 4690), 0.05f);
    for (int64_t step = 0; step < 4690; step++)
        EXPECT_GT(learning_rate(schedule, step, 4690), 0.0f) << step;
}

Schedule schedule_of(ScheduleKind kind, double base) {
    Schedule schedule = default_schedule(kind);
    schedule.base = base;
    return schedule;
}

// The rates of the first steps.
void expect_rates(const Schedule& schedule, int64_t total_steps,
                  const std::vector<double>& expected) {
    for (size_t step = 0; step < expected.size(); step++) {
        EXPECT_NEAR(exact_learning_rate(schedule, static_cast<int64_t>(step), total_steps),
                    expected[step], 1e-9)
            << schedule_name(schedule.kind) << " at step " << step;
    }
}

TEST(Schedule, WarmRestarts) {  // case S1
    Schedule schedule = schedule_of(ScheduleKind::kCosineRestarts, 0.4);
    schedule.step_size = 3;
    schedule.growth = 2;
    expect_rates(schedule, 10, {0.4, 0.3, 0.1, 0.4, 0.37320508, 0.3, 0.2, 0.1, 0.026794919, 0.4});
    schedule.growth = 1;
    schedule.final_rate = 0.2;
    expect_rates(schedule, 10, {0.4, 0.35, 0.25, 0.4, 0.35, 0.25, 0.4});
    EXPECT_NEAR(exact_learning_rate(schedule, 3000000000001, 1), 0.35, 1e-9);
    schedule.growth = 1000000000000;
    EXPECT_NEAR(exact_learning_rate(schedule, 1000000, 1), 0.4, 1e-6);
}

TEST(Schedule, WarmUpEndsAtTheFirstRate) {  // case S2: no step has the rate 0
    Schedule schedule = schedule_of(ScheduleKind::kConstant, 0.2);
    schedule.warm_up = 4;
    expect_rates(schedule, 10, {0.05, 0.1, 0.15, 0.2, 0.2, 0.2});
    schedule = schedule_of(ScheduleKind::kCosine, 0.4);
    schedule.warm_up = 2;  // then a run of three steps
    expect_rates(schedule, 5, {0.2, 0.4, 0.4, 0.3, 0.1, 0});
    schedule.warm_up = 8;  // longer than the run
    expect_rates(schedule, 5, {0.05, 0.1, 0.15, 0.2, 0.25});
}

TEST(Schedule, MilestonesCountFromTheirStep) {  // MultiStepLR
    Schedule schedule = schedule_of(ScheduleKind::kMultiStep, 0.1);
    schedule.milestones = {2, 5};
    schedule.gamma = 0.5;
    expect_rates(schedule, 10, {0.1, 0.1, 0.05, 0.05, 0.05, 0.025, 0.025});
}

TEST(Schedule, LinesAndPowers) {
    Schedule schedule = schedule_of(ScheduleKind::kLinear, 1.0);
    schedule.final_rate = 0.2;
    expect_rates(schedule, 4, {1, 0.8, 0.6, 0.4, 0.2, 0.2});
    schedule.kind = ScheduleKind::kPolynomial;
    expect_rates(schedule, 4, {1, 0.65, 0.4, 0.25, 0.2, 0.2});
    schedule = schedule_of(ScheduleKind::kExponential, 0.8);
    schedule.gamma = 0.25;
    schedule.step_size = 2;
    expect_rates(schedule, 4, {0.8, 0.4, 0.2, 0.1, 0.05});
}

TEST(Schedule,
     Cycles) {  // CyclicLR(base_lr=0.02, max_lr=0.1, step_size_up=2): triangular, triangular2
    Schedule schedule = schedule_of(ScheduleKind::kCyclic, 0.1);
    schedule.start = 0.2;
    schedule.step_size = 2;
    expect_rates(schedule, 9, {0.02, 0.06, 0.1, 0.06, 0.02, 0.06, 0.1, 0.06, 0.02});
    schedule.gamma = 0.5;
    expect_rates(schedule, 9, {0.02, 0.06, 0.1, 0.06, 0.02, 0.04, 0.06, 0.04, 0.02});
}

// OneCycleLR(max_lr=1, total_steps=10, pct_start=0.3): phases end at steps 2 and 9.
TEST(Schedule, OneCycle) {
    const Schedule schedule = schedule_of(ScheduleKind::kOneCycle, 1.0);
    expect_rates(schedule, 10,
                 {0.04, 0.52, 1, 0.950484632, 0.811745654, 0.6112620219, 0.3887419781, 0.1882583461,
                  0.04951936799, 4e-6});
    for (int64_t total : {1, 2, 3, 4}) {  // too short for a rise, or for a fall
        for (int64_t step = 0; step < total; step++) {
            EXPECT_GT(learning_rate(schedule, step, total), 0.0f) << step << " of " << total;
            EXPECT_LE(learning_rate(schedule, step, total), 1.0f) << step << " of " << total;
        }
    }
}

// The momentum of PyTorch's OneCycleLR and CyclicLR is high - (high - low) * this.
TEST(Schedule, SharesOfACycle) {
    Schedule schedule = schedule_of(ScheduleKind::kOneCycle, 0.5);
    schedule.rise = 0.3;
    const auto share = [&](int64_t step) { return cycle_share(schedule, step, 100); };
    EXPECT_NEAR(share(0), 0.0, 1e-12);
    EXPECT_NEAR(share(29), 1.0, 1e-12);
    EXPECT_NEAR(share(64), 0.5, 1e-12);
    EXPECT_NEAR(share(99), 0.0, 1e-12);
    EXPECT_NEAR(share(7), (1 - std::cos(M_PI * 7 / 29)) / 2, 1e-12);
    schedule.warm_up = 10;
    EXPECT_EQ(share(9), 0.0);
    EXPECT_NEAR(share(10), 0.0, 1e-12);
    EXPECT_NEAR(share(10 + 26), 1.0, 1e-12);  // 0.3 of the 90 that follow, less one
    schedule = schedule_of(ScheduleKind::kCyclic, 0.5);
    schedule.step_size = 10;
    schedule.gamma = 0.5;
    for (const auto& [step, expected] :
         {std::pair{0, 0.0}, {5, 0.5}, {10, 1.0}, {15, 0.5}, {20, 0.0}, {30, 0.5}, {50, 0.25}})
        EXPECT_NEAR(share(step), expected, 1e-12) << step;
}

// Steps of 3 epochs, milestones and a warm-up, in epochs of 5 steps.
TEST(Schedule, CountsOfEpochs) {
    Schedule schedule = schedule_of(ScheduleKind::kMultiStep, 0.1);
    schedule.in_epochs = true;
    schedule.milestones = {1, 3};
    schedule.warm_up = 1;
    schedule.warm_up_epochs = 2;
    const Schedule steps = in_steps(schedule, 5);
    EXPECT_EQ(steps.milestones, (std::vector<int64_t>{5, 15}));
    EXPECT_EQ(steps.warm_up, 11);
    EXPECT_NEAR(exact_learning_rate(steps, 11 + 4, 100), 0.1, 1e-12);
    EXPECT_NEAR(exact_learning_rate(steps, 11 + 5, 100), 0.01, 1e-12);
    EXPECT_EQ(in_steps(steps, 7), steps);
    schedule.milestones = {INT64_MAX};
    EXPECT_GT(in_steps(schedule, INT64_MAX).milestones[0], 0);
}

// ReduceLROnPlateau(factor=0.5, patience=1): more than one bad epoch, then it counts anew.
TEST(Schedule, PlateauActsAfterMoreThanItsPatience) {
    Schedule schedule = schedule_of(ScheduleKind::kPlateau, 0.1);
    schedule.gamma = 0.5;
    schedule.patience = 1;
    const std::vector<double> losses = {1, 0.9, 0.95, 0.92, 0.91, 0.93, 0.8, 0.85, NAN, 0.83};
    const double expected[] = {1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.125};
    for (size_t epochs = 0; epochs <= losses.size(); epochs++)
        EXPECT_EQ(plateau_factor(schedule, std::span(losses).first(epochs)), expected[epochs])
            << epochs;
    EXPECT_EQ(learning_rate(schedule, 3, 10, 0.5), 0.05f);
    schedule.end = 0.25;
    EXPECT_EQ(plateau_factor(schedule, losses), 0.25);
    schedule.cooldown = 3;  // after epoch 4: epochs 5 to 7 do not count
    EXPECT_EQ(plateau_factor(schedule, std::span(losses).first(9)), 0.5);
    EXPECT_EQ(plateau_factor(schedule, losses), 0.25);
    schedule.kind = ScheduleKind::kConstant;
    EXPECT_EQ(plateau_factor(schedule, losses), 1);
}

TEST(Schedule, PlateauOfAnAccuracyAndItsThreshold) {
    Schedule schedule = schedule_of(ScheduleKind::kPlateau, 0.1);
    schedule.patience = 0;
    schedule.metric = ScheduleMetric::kAccuracy;
    EXPECT_EQ(plateau_factor(schedule, std::vector<double>{0.5, 0.6, 0.7}), 1);
    schedule.threshold = 0.25;  // 0.6 is not better than 0.5 by a quarter, 0.65 is
    EXPECT_EQ(plateau_factor(schedule, std::vector<double>{0.5, 0.6, 0.65}), 0.1);
    EXPECT_EQ(plateau_factor(schedule, std::vector<double>{NAN, 0.5, 0.65}), 1);
}

TEST(Schedule, NamesAreReadBack) {
    for (const char* name :
         {"constant", "step", "multi_step", "exponential", "linear", "polynomial", "cosine",
          "cosine_restarts", "cyclic", "one_cycle", "plateau"}) {
        ASSERT_TRUE(find_schedule(name)) << name;
        EXPECT_EQ(schedule_name(*find_schedule(name)), name);
    }
    EXPECT_FALSE(find_schedule("Cosine"));
    EXPECT_EQ(list_schedules(),
              "constant, step, multi_step, exponential, linear, polynomial, cosine, "
              "cosine_restarts, cyclic, one_cycle or plateau");
}

TEST(Schedule, DescribesItself) {
    EXPECT_EQ(describe_schedule({ScheduleKind::kConstant, 0.05}), "constant at 0.05");
    EXPECT_EQ(describe_schedule({ScheduleKind::kStep, 0.1, 0.0, 1000, 0.1}),
              "step from 0.1, times 0.1 every 1000 steps");
    EXPECT_EQ(describe_schedule({ScheduleKind::kCosine, 0.05}), "cosine from 0.05 to 0");
    const auto text = [](ScheduleKind kind) {
        Schedule schedule = schedule_of(kind, 0.5);
        schedule.milestones = {10, 20, 30};
        return describe_schedule(schedule);
    };
    EXPECT_EQ(text(ScheduleKind::kMultiStep),
              "multi_step from 0.5, times 0.1 at steps 10, 20 and 30");
    EXPECT_EQ(text(ScheduleKind::kExponential), "exponential from 0.5, times 0.1 over 1000 steps");
    EXPECT_EQ(text(ScheduleKind::kLinear), "linear from 0.5 to 0");
    EXPECT_EQ(text(ScheduleKind::kPolynomial), "polynomial from 0.5 to 0, power 2");
    EXPECT_EQ(text(ScheduleKind::kCosineRestarts),
              "cosine_restarts from 0.5 to 0 in 1000 steps, then anew");
    EXPECT_EQ(text(ScheduleKind::kCyclic), "cyclic from 0.05 to 0.5 and back, 1000 steps each way");
    EXPECT_EQ(text(ScheduleKind::kOneCycle),
              "one_cycle from 0.02 to 0.5 in 0.3 of the run, then to 2e-06");
    EXPECT_EQ(text(ScheduleKind::kPlateau),
              "plateau from 0.5, times 0.1 after more than 10 epochs without a better loss of the "
              "validation");
    Schedule schedule = schedule_of(ScheduleKind::kStep, 0.5);
    schedule.step_size = 1;
    schedule.in_epochs = true;
    schedule.warm_up = 1;
    schedule.warm_up_epochs = 3;
    EXPECT_EQ(describe_schedule(schedule),
              "step from 0.5, times 0.1 every 1 epoch, behind a warm-up of 1 step and 3 epochs");
}

TEST(Schedule, IsDrawn) {
    EXPECT_EQ(draw_curve(std::vector<float>{0.25f, 0.5f, 0.5f, 0.25f, 0.0f}, {60, 3, "0.5", "0"}),
              "0.5 | **\n"
              "    |*  *\n"
              "  0 |    *\n");
    EXPECT_EQ(draw_curve(std::vector<float>{1.0f, 0.9f, 0.1f, 0.0f}, {2, 2, "", "low"}),
              "    |*\nlow | *\n");
    EXPECT_EQ(draw_curve(std::vector<float>{0.0f}, {2, 2, "0", "0"}), "0 |\n0 |*\n");
}

}  // namespace
}  // namespace emulsion
