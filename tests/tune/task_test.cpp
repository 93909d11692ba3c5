// Whose turn it is.
#include "schedules/tune/task.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>

namespace emulsion::test {
namespace {

// Kernels whose trials take longer get fewer of them.
TEST(NextTask, GivesTimeInProportionToShares) {
    constexpr std::array<double, 3> kShares = {0.6, 0.3, 0.1}, kVisitSeconds = {8, 1, 2};
    Tasks tasks;
    for (const double share : kShares) {
        tasks.push_back(std::make_unique<Task>());
        tasks.back()->shown.share = share;
    }
    EXPECT_EQ(next_task(tasks), tasks[0].get());
    double total = 0;
    for (int visit = 0; visit < 400; visit++) {
        Task* task = next_task(tasks);
        size_t i = 0;
        while (tasks[i].get() != task) i++;
        task->shown.trials += kVisitTrials;
        task->spent_seconds += kVisitSeconds[i];
        total += kVisitSeconds[i];
    }
    for (size_t i = 0; i < tasks.size(); i++)
        EXPECT_NEAR(tasks[i]->spent_seconds / total, kShares[i], 0.03) << i;
    EXPECT_LT(tasks[0]->shown.trials, tasks[1]->shown.trials);
    for (const auto& task : tasks) task->is_spent = true;
    EXPECT_EQ(next_task(tasks), nullptr);
}

}  // namespace
}  // namespace emulsion::test
