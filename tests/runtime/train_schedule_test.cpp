// Learning rates of the three schedules against values worked out by hand.
#include "runtime/train/schedule.h"

#include <gtest/gtest.h>

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

TEST(Schedule, NamesAreReadBack) {
    for (ScheduleKind kind :
         {ScheduleKind::kConstant, ScheduleKind::kStep, ScheduleKind::kCosine}) {
        EXPECT_EQ(find_schedule(schedule_name(kind)), kind);
    }
    EXPECT_FALSE(find_schedule("Cosine"));
}

TEST(Schedule, DescribesItself) {
    EXPECT_EQ(describe_schedule({ScheduleKind::kConstant, 0.05}), "constant at 0.05");
    EXPECT_EQ(describe_schedule({ScheduleKind::kStep, 0.1, 0.0, 1000, 0.1}),
              "step from 0.1, times 0.1 every 1000 steps");
    EXPECT_EQ(describe_schedule({ScheduleKind::kCosine, 0.05}), "cosine from 0.05 to 0");
}

}  // namespace
}  // namespace emulsion
