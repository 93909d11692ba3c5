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
#include "schedules/tune/records_lock.h"

namespace emulsion {

TuneRun::TuneRun(const TuneArguments& arguments)
    : network(arguments.network),
      library(arguments.library),
      options(arguments.options),
      build(arguments.build),
      isa(build.target == "native" ? native_isa() : isa_named(build.target)),
      workbench(arguments.workbench),
      report(arguments.report),
      records(RecordSet::read_whole(options.records)),
      model(options.model),
      decided(decisive(), this_machine()),
      journal(options.journal) {
    build.records = &decided;
    build.threads = options.threads;
    const RecordsLock lock(options.records);
    if (!is_file(options.records))
        AtomicFile probe(options.records);  // finds out whether it can be written
}

RecordSet TuneRun::decisive() const {
    RecordSet set;
    for (TunedRecord& record : records.records()) {
        for (const Isa* member : isa.family->members) {
            if (*member == isa) break;
            if (member->name == record.isa) set.add(record);
        }
    }
    return set;
}

RecordSet TuneRun::choices() const {
    RecordSet set;
    for (const TunedRecord& record : options.known.records()) {
        if (record.is_choice()) set.add(record);
    }
    for (const TunedRecord& record : records.records()) {
        if (record.is_choice()) set.take(record);
    }
    return set;
}

void TuneRun::find() {
    chosen.emplace(choices(), this_machine());
    build.choices = &*chosen;
    plans.clear();
    for (auto& task : tasks) former.push_back(std::move(task));
    if (options.training == true && !is_trained(network))
        fail("loss",
             fmt::format("the model '{}' has no loss, so there is no training to tune",
                         network.name),
             "tune its inference, or give the model a loss");
    for (const bool training : {true, false}) {
        if (training && !is_trained(network)) continue;
        if (options.training.value_or(training) != training) continue;
        check_interrupts();
        plans.emplace(training, plan_of(network, library, build, training));
    }
    tasks = find_tasks(plans);
    count_spent(plans);
    if (!options.only.empty() &&
        std::none_of(tasks.begin(), tasks.end(), [&](const auto& task) { return is_named(*task); }))
        fail("kernel", fmt::format("no kernel's name contains '{}'", options.only),
             "a run without --kernel lists the names");
    drop_misfits();
    for (const auto& task : tasks) ready(*task);
    weigh(tasks);
}

void TuneRun::drop_misfits() {
    for (const auto& task : tasks) {
        for (const auto& recipe : library) {
            const Group& group = task->kernel.group;
            if (model.find(recipe->name()) == nullptr || !can_run(*recipe, group, isa, build.exact))
                continue;
            if (const std::optional<Diagnostic> fault = model.drop_misfit(*recipe, group, isa))
                report.note(to_string(*fault) + "\n  the line is left out, the others are used");
        }
    }
}

double TuneRun::estimated_seconds(const PlannedKernel& kernel) const {
    for (const auto& recipe : library) {
        if (recipe->name() == kernel.recipe && model.find(kernel.recipe) != nullptr)
            return model.cost(*recipe, kernel.group, kernel.tiling, isa, Machine());
    }
    return cheapest_recipe(library, kernel.group, isa, PlanOptions()).cost;
}

void TuneRun::ready(Task& task) {
    check_interrupts();
    task.own_seconds = estimated_seconds(task.kernel);
    task.number = number_of(task.kernel);
    task.spent_seconds = journal.spent({task.number}).seconds;
    task.search = std::make_unique<Search>(task.kernel, isa, library, build.exact, options.threads,
                                           options.seed + static_cast<uint64_t>(task.number),
                                           &decided, model);
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
    const bool is_whole_name = std::any_of(tasks.begin(), tasks.end(), [&](const auto& other) {
        return other->shown.name == options.only;
    });
    return is_whole_name ? task.shown.name == options.only
                         : task.shown.name.find(options.only) != std::string::npos;
}

// Of all that the network's plans had in this run, and those without choices in the file have.
void TuneRun::count_spent(const Plans& list) {
    for (const auto& task : find_tasks(list)) kernels_.insert(number_of(task->kernel));
    for (const auto& [training, plan] : list) {
        for (const NodeChoice& choice : plan.choices) choices_.insert(number_of(choice));
    }
    if (&list != &plans || chosen->size() == 0) return;
    Plans own;
    BuildOptions without = build;
    without.choices = nullptr;
    for (const auto& [training, plan] : list)
        own.emplace(training, plan_of(network, library, without, training));
    count_spent(own);
}

Spent TuneRun::spent() {
    Spent spent = journal.spent({kernels_.begin(), kernels_.end()});
    spent.seconds += journal.spent({choices_.begin(), choices_.end()}).seconds;
    return spent;
}

bool TuneRun::is_spent() {
    check_interrupts();
    const Spent now = spent();
    return (options.minutes > 0 && now.seconds + reserved_seconds >= options.minutes * 60) ||
           (options.trials > 0 && now.trials >= options.trials);
}

TunedRecord TuneRun::new_record(const Confirmation& confirmation) const {
    TunedRecord record;
    record.machine = this_machine();
    record.isa = isa.name;
    record.threads = options.threads;
    record.default_us = confirmation.default_us;
    record.tuned_us = confirmation.tuned_us;
    record.spread = confirmation.spread;
    record.origin = options.records;
    return record;
}

TunedRecord TuneRun::record_of(const Task& task, const Confirmation& confirmation) const {
    TunedRecord record = new_record(confirmation);
    record.recipe = confirmation.candidate.recipe;
    record.version = confirmation.candidate.version;
    record.tiling = confirmation.candidate.tiling;
    record.signature = task.kernel.group.signature();
    return record;
}

TunedRecord TuneRun::record_of(const NodeChoice& choice, const std::string& word,
                               const Confirmation& confirmation) const {
    TunedRecord record = new_record(confirmation);
    record.choice = word;
    record.signature = choice.node;
    return record;
}

int64_t TuneRun::number_in_journal(const std::string& signature) {
    return journal.number_of(
        {build_identity(), to_string(this_machine()), isa.name, options.threads, signature});
}

int64_t TuneRun::number_of(const PlannedKernel& kernel) {
    return number_in_journal(kernel.group.signature());
}

int64_t TuneRun::number_of(const NodeChoice& choice) {
    return number_in_journal(
        fmt::format("{}{} {}", kChoicePrefix, words_of(choice.decision)[0], choice.node));
}

std::string TuneRun::key_of(const Task& task) const { return record_of(task, {}).key(); }

}  // namespace emulsion
