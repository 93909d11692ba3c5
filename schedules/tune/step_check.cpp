// See step_check.h.
#include "schedules/tune/step_check.h"

#include <algorithm>
#include <set>

#include "compiler/support/interrupts.h"
#include "schedules/tune/acceptance.h"

namespace emulsion {

namespace {

constexpr double kWorseStep = 0.005;  // that much slower counts
constexpr int kMostChecks = 4;        // of slow steps, before all records in them go

// The place of each group's kernel in the plan, by signature.
std::map<std::string, size_t> places_of(const Plan& plan) {
    std::map<std::string, size_t> places;
    const std::vector<PlannedKernel>& kernels = plan.variants.back().kernels;
    for (size_t i = 0; i < kernels.size(); i++) places[kernels[i].group.signature()] = i;
    return places;
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values.empty() ? 0 : values[values.size() / 2];
}

}  // namespace

RecordSet tuned_records(TuneRun& run) {
    RecordSet set = run.decisive();
    for (const auto& task : run.tasks) {
        if (const std::optional<Confirmation> best = best_of(run, *task))
            set.add(run.record_of(*task, *best));
    }
    return set;
}

PairedTimes whole_steps(const StepTimes& times) {
    PairedTimes whole;
    whole.contended = times.contended;
    for (const std::vector<StepRun>& round : times.rounds)
        whole.pairs.push_back({round[0].seconds, round[1].seconds});
    return whole;
}

bool is_slower(const PairedTimes& times) {
    PairedTimes reversed = times;
    for (TimePair& pair : reversed.pairs) std::swap(pair.current, pair.candidate);
    return is_faster(reversed, kStepEffort.significance, kWorseStep);
}

// ---- Defaults ----

namespace {

void time_direction(TuneRun& run, bool training, const std::vector<Task*>& tasks) {
    const Stopwatch watch;
    const Plan& plan = run.plans.at(training);
    const StepTimes times = run.workbench.time_steps(run.network, {&plan}, kFirstStepEffort);
    run.step_seconds[training] = watch.seconds();
    if (times.rounds.empty()) {
        run.report.note("the network's step cannot be timed: " + times.fault);
        return;
    }
    std::map<std::string, size_t> places = places_of(plan);
    const double seconds = watch.seconds() / static_cast<double>(tasks.size());
    for (Task* task : tasks) {
        std::vector<double> us;
        for (const std::vector<StepRun>& round : times.rounds)
            us.push_back(1e6 * round[0].kernels[places.at(task->kernel.group.signature())] /
                         task->calls.at(training));
        run.journal.time_default(task->number, median(us), times.contended, seconds);
        task->learn_step(median(us));
    }
    std::vector<double> all;
    for (const std::vector<StepRun>& round : times.rounds) all.push_back(round[0].seconds);
    run.report.step_timed(training, median(all) * 1e6, times.contended);
}

}  // namespace

bool time_defaults(TuneRun& run, double seconds) {
    const Stopwatch watch;
    for (const auto& [training, plan] : run.plans) {
        std::vector<Task*> tasks;
        for (const auto& task : run.tasks) {
            if (task->calls.contains(training) && task->shown.step_us == 0)
                tasks.push_back(task.get());
        }
        if (tasks.empty()) continue;
        const Stopwatch own;
        const bool is_compiled = run.workbench.compile_step(plan, seconds - watch.seconds());
        run.journal.add_seconds(tasks[0]->number, own.seconds());
        if (!is_compiled) return false;
        time_direction(run, training, tasks);
    }
    weigh(run.tasks);
    return true;
}

// ---- Records ----

namespace {

// A task whose record is checked, and its pairs in all directions.
struct Checked {
    Task* task;
    Confirmation record;
    bool was_settled;  // it has won in the step, of which others may have changed since
    PairedTimes times;
    bool is_in_slow_step = false;
};

bool is_settled(TuneRun& run, const Task& task, const Candidate& candidate) {
    const std::vector<Confirmation> checks = run.journal.step_checks(task.number);
    return std::any_of(checks.begin(), checks.end(), [&](const Confirmation& check) {
        return check.candidate == candidate && !check.is_contended;
    });
}

std::vector<Checked> records_to_check(TuneRun& run) {
    std::vector<Checked> list;
    for (const auto& task : run.tasks) {
        if (const std::optional<Confirmation> best = best_of(run, *task))
            list.push_back({task.get(), *best, is_settled(run, *task, best->candidate), {}, false});
    }
    return list;
}

bool is_new(const Checked& checked) { return !checked.was_settled; }

PairedTimes pairs_of(const StepTimes& times, size_t own, size_t tuned, int calls) {
    PairedTimes pairs;
    pairs.contended = times.contended;
    for (const std::vector<StepRun>& round : times.rounds)
        pairs.pairs.push_back({round[0].kernels[own] / calls, round[1].kernels[tuned] / calls});
    return pairs;
}

Candidate candidate_of(const TunedRecord& record) {
    return {record.recipe, record.version, record.tiling};
}

// Adds the direction's pairs to those of the kernels that it calls.
void check_direction(TuneRun& run, bool training, const MachineRecords& records,
                     std::vector<Checked>& list) {
    const bool is_concerned = std::any_of(list.begin(), list.end(), [&](const Checked& checked) {
        return is_new(checked) && checked.task->calls.contains(training);
    });
    if (!is_concerned) return;
    const Stopwatch watch;
    BuildOptions with_records = run.build;
    with_records.records = &records;
    const Plan& own = run.plans.at(training);
    const Plan tuned = plan_of(run.network, run.library, with_records, training);
    const StepTimes times = run.workbench.time_steps(run.network, {&own, &tuned}, kStepEffort);
    run.check_seconds[training] = watch.seconds();
    if (times.rounds.empty()) {
        run.report.note("the network's step cannot be timed: " + times.fault);
        return;
    }
    const PairedTimes whole = whole_steps(times);
    run.report.step_compared(training, whole);
    const std::map<std::string, size_t> own_places = places_of(own),
                                        tuned_places = places_of(tuned);
    for (Checked& checked : list) {
        const auto calls = checked.task->calls.find(training);
        if (calls == checked.task->calls.end()) continue;
        const std::string signature = checked.task->kernel.group.signature();
        const PairedTimes pairs =
            pairs_of(times, own_places.at(signature), tuned_places.at(signature), calls->second);
        checked.times.contended |= pairs.contended;
        checked.times.pairs.insert(checked.times.pairs.end(), pairs.pairs.begin(),
                                   pairs.pairs.end());
        checked.is_in_slow_step |= is_slower(whole);
    }
}

// The record of the candidate that was in force before is in force again, where there is one.
void drop(TuneRun& run, Task& task, const Candidate& candidate) {
    const std::optional<Confirmation> former = best_of(run, task);
    task.show_best(former);
    run.change_records([&](RecordSet& records) {
        const TunedRecord* record = records.find(run.key_of(task));
        if (record == nullptr || record->is_locked || candidate_of(*record) != candidate) return;
        if (former) {
            records.replace(run.record_of(task, *former));
        } else {
            records.remove(run.key_of(task));
        }
    });
}

// Whether its kernel is faster in the step; of a record that has won there before, whether it is
// still no slower.
bool holds_in_step(const Checked& checked) {
    return checked.was_settled ? !is_slower(checked.times)
                               : is_faster(checked.times, kStepEffort.significance, 0);
}

// Whom a slow step is laid to: the records whose own kernels do not hold there, or where there is
// none, the one that gains least. The others are acquitted: the step is checked again without
// these.
void blame(std::vector<Checked>& list) {
    std::vector<Checked*> slow;
    for (Checked& checked : list) {
        if (checked.is_in_slow_step && !checked.times.contended) slow.push_back(&checked);
    }
    if (slow.empty()) return;
    const auto least = std::max_element(slow.begin(), slow.end(), [](auto* a, auto* b) {
        return a->times.ratio() < b->times.ratio();
    });
    const bool has_slower = std::any_of(
        slow.begin(), slow.end(), [](const Checked* checked) { return !holds_in_step(*checked); });
    for (Checked* checked : slow) {
        const bool is_to_blame = has_slower ? !holds_in_step(*checked) : checked == *least;
        if (!is_to_blame) checked->times = {};
    }
}

// What has no times is left to the next check, and what holds as before stays as it is.
void settle(TuneRun& run, const Checked& checked, double seconds) {
    if (checked.times.pairs.empty()) return;
    const bool stays =
        !checked.times.contended && !checked.is_in_slow_step && holds_in_step(checked);
    if (checked.was_settled && (stays || checked.times.contended)) return;
    Task& task = *checked.task;
    const Confirmation check{checked.record.candidate,
                             checked.times.current_seconds() * 1e6,
                             checked.times.candidate_seconds() * 1e6,
                             checked.times.spread(),
                             stays,
                             checked.times.contended};
    run.journal.alone([&] {
        run.journal.check_in_step(task.number, check, seconds);
        if (!check.is_accepted && !check.is_contended) drop(run, task, check.candidate);
    });
    run.report.step_check(task.shown, check);
}

}  // namespace

bool has_unchecked(TuneRun& run) {
    const std::vector<Checked> list = records_to_check(run);
    return std::any_of(list.begin(), list.end(), is_new);
}

double seconds_of_check(const TuneRun& run) {
    constexpr double kLoadSeconds = 1;  // of one library, for its plan, linking and loading
    double seconds = 0;
    for (const auto& [training, plan] : run.plans) {
        if (const auto last = run.check_seconds.find(training); last != run.check_seconds.end()) {
            seconds += last->second;
            continue;
        }
        const auto once = run.step_seconds.find(training);
        const double load = once == run.step_seconds.end()
                                ? kLoadSeconds
                                : std::max(kLoadSeconds, once->second - kFirstStepEffort.seconds);
        double step = 0;
        for (const auto& task : run.tasks) {
            const auto calls = task->calls.find(training);
            if (calls != task->calls.end()) step += calls->second * task->own_seconds;
        }
        seconds += 2 * load + std::max(kStepEffort.seconds, 2 * kStepEffort.least_pairs * step);
    }
    return seconds;
}

void reserve(TuneRun& run, double seconds) {
    run.reserved_seconds = std::min(seconds, 0.5 * 60 * run.options.minutes);
}

void check_records(TuneRun& run) {
    for (int check = 1; check <= kMostChecks; check++) {
        std::vector<Checked> list = records_to_check(run);
        if (std::none_of(list.begin(), list.end(), is_new)) return;
        const Stopwatch watch;
        const MachineRecords records(tuned_records(run), this_machine());
        for (const auto& [training, plan] : run.plans)
            check_direction(run, training, records, list);
        const double seconds = watch.seconds() / static_cast<double>(list.size());
        if (check < kMostChecks) {
            blame(list);
        } else {
            for (Checked& checked : list) checked.is_in_slow_step &= is_new(checked);
        }
        const bool is_left = std::any_of(list.begin(), list.end(), [](const Checked& checked) {
            return checked.is_in_slow_step && checked.times.pairs.empty();
        });
        for (const Checked& checked : list) settle(run, checked, seconds);
        if (!is_left) return;
    }
}

}  // namespace emulsion
