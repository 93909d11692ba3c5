// See tune_run.h.
#include "schedules/tune/tune_run.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/codegen/kernel.h"
#include "compiler/plan/choice.h"
#include "compiler/support/interrupts.h"
#include "runtime/support/atomic_file.h"
#include "runtime/support/path.h"
#include "schedules/tune/acceptance.h"

namespace emulsion {

TuneRun::TuneRun(const TuneArguments& arguments)
    : network(arguments.network),
      library(arguments.library),
      options(arguments.options),
      build(arguments.build),
      isa(build.target == "native" ? native_isa() : isa_named(build.target)),
      workbench(arguments.workbench),
      report(arguments.report),
      records(read_records()),
      decided(decisive(), this_machine()),
      journal(options.journal) {
    build.records = &decided;
    build.threads = options.threads;
}

RecordSet TuneRun::decisive() const {
    RecordSet chosen;
    for (TunedRecord& record : records.records()) {
        for (const Isa* member : isa.family->members) {
            if (*member == isa) break;
            if (member->name == record.isa) chosen.add(record);
        }
    }
    return chosen;
}

RecordSet TuneRun::read_records() const {
    RecordSet set;
    if (!is_file(options.records)) {
        AtomicFile probe(options.records);  // finds out whether it can be written
        return set;
    }
    std::vector<Diagnostic> faults;
    set = RecordSet::read(options.records, faults);
    if (!faults.empty()) throw Error(faults[0]);  // which the next save would remove
    return set;
}

void TuneRun::find() {
    for (const bool training : {true, false}) {
        if (training && !is_trained(network)) continue;
        check_interrupts();
        plans.emplace(training, plan_of(network, library, build, training));
    }
    tasks = find_tasks(plans);
    if (!options.only.empty() &&
        std::none_of(tasks.begin(), tasks.end(), [&](const auto& task) { return is_named(*task); }))
        fail("kernel", fmt::format("no kernel's name contains '{}'", options.only),
             "a run without --kernel lists the names");
    for (const auto& task : tasks) ready(*task);
    weigh(tasks);
}

void TuneRun::ready(Task& task) {
    check_interrupts();
    PlanOptions plain;
    task.own_seconds = cheapest_recipe(library, task.kernel.group, isa, plain).cost;
    const std::string signature = task.kernel.group.signature();
    task.number = journal.number_of(
        {build_identity(), to_string(this_machine()), isa.name, options.threads, signature});
    task.search =
        std::make_unique<Search>(task.kernel, isa, library, build.exact, options.threads,
                                 options.seed + static_cast<uint64_t>(task.number), &decided);
    const TunedRecord* record = records.find(key_of(task));
    if (record != nullptr && record->is_locked) {
        task.is_spent = true;
        task.shown.fault = "its record is locked";
    }
    for (const Journal::Finished& finished : journal.finished(task.number)) {
        task.search->learn(finished.candidate, finished.us);
        task.count(finished.outcome);
    }
    if (const std::optional<double> us = journal.default_us(task.number)) task.learn_step(*us);
    task.show_best(best_of(*this, task));
    if (options.draws) task.search->draw_alone();
    if (!task.search->has_next()) task.is_spent = true;
    if (!is_named(task)) task.is_spent = true;
}

bool TuneRun::is_named(const Task& task) const {
    return task.shown.name.find(options.only) != std::string::npos;
}

Spent TuneRun::spent() {
    std::vector<int64_t> numbers;
    for (const auto& task : tasks) numbers.push_back(task->number);
    return journal.spent(numbers);
}

bool TuneRun::is_spent() {
    check_interrupts();
    const Spent now = spent();
    return (options.minutes > 0 && now.seconds + reserved_seconds >= options.minutes * 60) ||
           (options.trials > 0 && now.trials >= options.trials);
}

TunedRecord TuneRun::record_of(const Task& task, const Confirmation& confirmation) const {
    TunedRecord record;
    record.machine = this_machine();
    record.isa = isa.name;
    record.threads = options.threads;
    record.recipe = confirmation.candidate.recipe;
    record.version = confirmation.candidate.version;
    record.tiling = confirmation.candidate.tiling;
    record.default_us = confirmation.default_us;
    record.tuned_us = confirmation.tuned_us;
    record.spread = confirmation.spread;
    record.signature = task.kernel.group.signature();
    record.origin = options.records;
    return record;
}

std::string TuneRun::key_of(const Task& task) const { return record_of(task, {}).key(); }

}  // namespace emulsion
