// See task.h.
#include "schedules/tune/task.h"

#include <fmt/format.h>

#include <algorithm>

namespace emulsion {

void Task::count(Outcome outcome) {
    shown.trials++;
    if (outcome != Outcome::faster && outcome != Outcome::slower) shown.failures++;
}

void Task::learn_own(double seconds) {
    if (shown.step_us == 0) own_seconds = seconds;
}

void Task::learn_step(double us) {
    shown.step_us = us;
    own_seconds = us * 1e-6;
}

void Task::show_best(const std::optional<Confirmation>& confirmation) {
    shown.default_us = confirmation ? confirmation->default_us : 0;
    shown.best_us = confirmation ? confirmation->tuned_us : 0;
    shown.best = confirmation ? to_string(confirmation->candidate) : "";
    shown.chosen.reset();
    if (confirmation) shown.chosen = confirmation->candidate;
    if (confirmation) learn_own(confirmation->default_us * 1e-6);
}

namespace {

// What a call of the library reads and writes of its memory.
int64_t bytes_of(const Plan& plan, const VariantPlan& variant) {
    return plan.parameter_bytes + plan.gradient_bytes + plan.state_bytes + variant.prepared_bytes +
           variant.activation_bytes;
}

std::unique_ptr<Task> make_task(const PlannedKernel& kernel, const PlannedCall& call,
                                bool training) {
    auto task = std::make_unique<Task>();
    task->kernel = kernel;
    task->shown.name = fmt::format("{} {} {}", training ? "training" : "inference",
                                   to_string(call.stage), call.name);
    task->shown.own = to_string(task->own());
    task->shown.planned = &task->kernel;
    return task;
}

}  // namespace

Tasks find_tasks(const Plans& plans) {
    Tasks tasks;
    std::map<std::string, Task*> by_signature;
    for (const auto& [training, plan] : plans) {
        const VariantPlan& variant = plan.variants.back();
        const int64_t bytes = bytes_of(plan, variant);
        for (const PlannedCall& call : variant.batches.back().calls) {
            if (call.stage == Stage::prepare) continue;
            const PlannedKernel& kernel = variant.kernels[static_cast<size_t>(call.kernel)];
            Task*& task = by_signature[kernel.group.signature()];
            if (task == nullptr) {
                tasks.push_back(make_task(kernel, call, training));
                task = tasks.back().get();
            }
            if (task->calls.empty() || bytes < task->step_bytes) task->step_bytes = bytes;
            task->calls[training]++;
        }
    }
    return tasks;
}

void weigh(const Tasks& tasks) {
    std::map<bool, double> total;
    for (const auto& task : tasks) {
        for (const auto& [training, calls] : task->calls)
            total[training] += calls * task->own_seconds;
    }
    for (const auto& task : tasks) {
        task->shown.share = 0;
        for (const auto& [training, calls] : task->calls) {
            const double share = calls * task->own_seconds / total.at(training);
            task->shown.shares[training] = share;
            task->shown.share += share / static_cast<double>(total.size());
        }
    }
}

namespace {

// What kVisitTrials have taken on the average of all kernels; 0 where nothing was tried.
double usual_visit_seconds(const Tasks& tasks) {
    double seconds = 0;
    int trials = 0;
    for (const auto& task : tasks) {
        if (task->shown.trials == 0) continue;
        seconds += task->spent_seconds;
        trials += task->shown.trials;
    }
    return trials == 0 ? 0 : seconds * kVisitTrials / trials;
}

}  // namespace

Task* next_task(const Tasks& tasks) {
    const double visit = usual_visit_seconds(tasks);
    Task* best = nullptr;
    double highest = 0;
    for (const auto& task : tasks) {
        if (task->is_spent) continue;
        const double visits = visit > 0 ? task->spent_seconds / visit : 0;
        const double worth = task->shown.share / (1 + visits);
        if (best == nullptr || worth > highest) {
            best = task.get();
            highest = worth;
        }
    }
    return best;
}

std::vector<TunedKernel> shown(const Tasks& tasks) {
    std::vector<TunedKernel> list;
    for (const auto& task : tasks) list.push_back(task->shown);
    std::stable_sort(list.begin(), list.end(),
                     [](const TunedKernel& a, const TunedKernel& b) { return a.share > b.share; });
    return list;
}

}  // namespace emulsion
