// See tuner.h.
#include "schedules/tune/tuner.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>

#include "compiler/codegen/kernel.h"
#include "compiler/plan/choice.h"
#include "compiler/support/interrupts.h"
#include "runtime/support/file.h"
#include "schedules/tune/search.h"

namespace emulsion {

namespace {

constexpr int kVisitTrials = 16;     // of a kernel before another gets its turn
constexpr size_t kMostSimilar = 3;   // records of other kernels that a search begins with
constexpr int kConfirmAttempts = 3;  // where something else took the processors

class Stopwatch {
  public:
    double seconds() const {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
    }

  private:
    std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

// A kernel and what is known of it.
struct Task {
    PlannedKernel kernel;
    TunedKernel shown;
    std::map<bool, int> calls;  // by direction: of one step of training, of one inference
    double own_seconds = 0;     // of a call: by the cost model, then measured
    int64_t number = 0;         // in the journal
    std::unique_ptr<Search> search;
    bool is_spent = false;     // nothing is left to try
    bool was_visited = false;  // in this run

    Candidate own() const { return {kernel.recipe, kernel.recipe_version, kernel.tiling}; }
};

class Tuner {
  public:
    Tuner(const Network& network, const RecipeLibrary& library, const BuildOptions& build,
          const TuneOptions& options, Workbench& workbench, TuneReport& report)
        : network_(network),
          library_(library),
          build_(build),
          options_(options),
          isa_(build.target == "native" ? native_isa() : isa_named(build.target)),
          workbench_(workbench),
          report_(report),
          records_(read_records()),
          journal_(options.journal) {
        build_.records = nullptr;  // candidates compete with the plan's own choice
        build_.threads = options.threads;
    }

    void run() {
        if (!journal_.note().empty()) report_.note(journal_.note());
        find_tasks();
        for (auto& task : tasks_) ready(*task);
        weigh();
        report_.begin(network_.name, isa_, options_, tasks_.size(), spent());
        try {
            TuneEnd why = TuneEnd::nothing_left;
            while (Task* task = next_task()) {
                if (is_spent()) {
                    why = TuneEnd::budget;
                    break;
                }
                visit(*task);
            }
            report_.end(why, shown(), spent());
        } catch (const Interrupted&) {
            report_.interrupted(shown(), spent());
            throw;
        }
    }

  private:
    // ---- What there is to tune ----

    RecordSet read_records() const {
        RecordSet set;
        if (!is_file(options_.records)) {
            AtomicFile probe(options_.records);  // finds out whether it can be written
            return set;
        }
        std::vector<Diagnostic> faults;
        set = RecordSet::read(options_.records, faults);
        if (!faults.empty()) throw Error(faults[0]);  // which the next save would remove
        return set;
    }

    void find_tasks() {
        std::map<std::string, Task*> by_signature;
        for (const bool training : {true, false}) {
            if (training && !is_trained(network_)) continue;
            check_interrupts();
            const Plan plan = plan_of(network_, library_, build_, training);
            const VariantPlan& variant = plan.variants.back();
            for (const PlannedCall& call : variant.batches.back().calls) {
                if (call.stage == Stage::prepare) continue;
                const PlannedKernel& kernel = variant.kernels[static_cast<size_t>(call.kernel)];
                Task*& task = by_signature[kernel.group.signature()];
                if (task == nullptr) {
                    tasks_.push_back(std::make_unique<Task>());
                    task = tasks_.back().get();
                    task->kernel = kernel;
                    task->shown.name = fmt::format("{} {} {}", training ? "training" : "inference",
                                                   to_string(call.stage), call.name);
                    task->shown.own = to_string(task->own());
                    task->shown.planned = &task->kernel;
                }
                task->calls[training]++;
            }
        }
    }

    // What records and the journal know of a kernel.
    void ready(Task& task) {
        check_interrupts();
        PlanOptions plain;
        task.own_seconds = cheapest_recipe(library_, task.kernel.group, isa_, plain).cost;
        const std::string signature = task.kernel.group.signature();
        task.number = journal_.number_of(
            {build_identity(), to_string(this_machine()), isa_.name, options_.threads, signature});
        task.search =
            std::make_unique<Search>(task.kernel, isa_, library_, build_.exact, options_.threads,
                                     options_.seed + static_cast<uint64_t>(task.number));
        const TunedRecord* record = records_.find(key_of(task));
        if (record != nullptr && record->is_locked) {
            task.is_spent = true;
            task.shown.fault = "its record is locked";
        }
        for (const Journal::Finished& finished : journal_.finished(task.number)) {
            task.search->learn(finished.candidate, finished.us);
            count(task, finished.outcome);
        }
        for (const Confirmation& confirmation : journal_.confirmations(task.number)) {
            if (confirmation.is_accepted) show_best(task, confirmation);
        }
        if (!task.search->has_next()) task.is_spent = true;
    }

    static void count(Task& task, Outcome outcome) {
        task.shown.trials++;
        if (outcome != Outcome::faster && outcome != Outcome::slower) task.shown.failures++;
    }

    static void show_best(Task& task, const Confirmation& confirmation) {
        task.shown.default_us = confirmation.default_us;
        task.shown.best_us = confirmation.tuned_us;
        task.shown.best = to_string(confirmation.candidate);
        task.shown.chosen = confirmation.candidate;
        task.own_seconds = confirmation.default_us * 1e-6;
    }

    std::string key_of(const Task& task) const {
        TunedRecord record;
        record.machine = this_machine();
        record.isa = isa_.name;
        record.threads = options_.threads;
        record.signature = task.kernel.group.signature();
        return record.key();
    }

    // ---- Whose turn it is ----

    // The share of each kernel in the time of a step, the mean over the directions.
    void weigh() {
        std::map<bool, double> total;
        for (const auto& task : tasks_) {
            for (const auto& [training, calls] : task->calls)
                total[training] += calls * task->own_seconds;
        }
        for (const auto& task : tasks_) {
            task->shown.share = 0;
            for (const auto& [training, calls] : task->calls)
                task->shown.share += calls * task->own_seconds / total.at(training) /
                                     static_cast<double>(total.size());
        }
    }

    // Trials in proportion to the share: that of the highest share per visit, the next one counted.
    Task* next_task() {
        Task* best = nullptr;
        double highest = 0;
        for (const auto& task : tasks_) {
            if (task->is_spent) continue;
            const double visits = 1 + task->shown.trials / static_cast<double>(kVisitTrials);
            const double worth = task->shown.share / visits;
            if (best == nullptr || worth > highest) {
                best = task.get();
                highest = worth;
            }
        }
        return best;
    }

    Spent spent() {
        std::vector<int64_t> numbers;
        for (const auto& task : tasks_) numbers.push_back(task->number);
        return journal_.spent(numbers);
    }

    bool is_spent() {
        check_interrupts();
        const Spent now = spent();
        return (options_.minutes > 0 && now.seconds >= options_.minutes * 60) ||
               (options_.trials > 0 && now.trials >= options_.trials);
    }

    std::vector<TunedKernel> shown() const {
        std::vector<TunedKernel> list;
        for (const auto& task : tasks_) list.push_back(task->shown);
        std::stable_sort(list.begin(), list.end(), [](const TunedKernel& a, const TunedKernel& b) {
            return a.share > b.share;
        });
        return list;
    }

    // ---- A visit ----

    // Records begin the search, with those that this run has found meanwhile.
    void add_starts(Task& task) {
        task.shown.starts.clear();
        if (task.was_visited) return;
        const SimilarRecords similar(records_);
        for (Start& start : similar.find(task.kernel, isa_, options_.threads, this_machine(),
                                         library_, kMostSimilar)) {
            if (task.search->add_start(start.candidate))
                task.shown.starts.push_back(std::move(start));
        }
    }

    void visit(Task& task) {
        add_starts(task);
        const Stopwatch watch;
        task.shown.fault = workbench_.take_up(task.kernel);
        journal_.add_seconds(task.number, watch.seconds());
        report_.take_up(task.shown);
        if (!task.shown.fault.empty()) {
            task.is_spent = true;
            return;
        }
        Candidate current = task.own();
        if (const std::optional<Candidate> best = best_of(task)) {
            if (workbench_.compile({*best})[0].outcome == Outcome::slower) current = *best;
        }
        if (!task.was_visited) {
            for (const Candidate& candidate : unconfirmed(task)) {
                if (workbench_.compile({candidate})[0].outcome != Outcome::slower) continue;
                if (confirm(task, candidate)) current = candidate;
            }
        }
        task.was_visited = true;
        for (int tried = 0; tried < kVisitTrials && !is_spent();) {
            const int now = try_some(task, current);
            if (now == 0) break;
            tried += now;
        }
        weigh();
    }

    std::optional<Candidate> best_of(const Task& task) {
        std::optional<Candidate> best;
        for (const Confirmation& confirmation : journal_.confirmations(task.number)) {
            if (confirmation.is_accepted) best = confirmation.candidate;
        }
        return best;
    }

    // Winners that an earlier run could not measure again: it was ended, or was not alone.
    std::vector<Candidate> unconfirmed(const Task& task) {
        const std::vector<Confirmation> confirmations = journal_.confirmations(task.number);
        std::vector<Candidate> list;
        for (const Journal::Finished& finished : journal_.finished(task.number)) {
            if (finished.outcome != Outcome::faster) continue;
            const bool is_settled =
                std::any_of(confirmations.begin(), confirmations.end(), [&](const Confirmation& c) {
                    return c.candidate == finished.candidate && !c.is_contended;
                });
            if (!is_settled) list.push_back(finished.candidate);
        }
        return list;
    }

    // Compiles as many candidates as the workbench does at once, and tries them; returns how many.
    int try_some(Task& task, Candidate& current) {
        std::vector<Candidate> batch;
        auto most = static_cast<size_t>(workbench_.jobs());
        if (options_.trials > 0) {
            const int left = options_.trials - spent().trials;
            most = std::min(most, static_cast<size_t>(std::max(left, 1)));
        }
        while (batch.size() < most) {
            const std::optional<Candidate> candidate = task.search->next();
            if (!candidate) break;
            if (journal_.claim(task.number, *candidate)) batch.push_back(*candidate);
        }
        if (batch.empty()) {
            task.is_spent = true;
            return 0;
        }
        const Stopwatch watch;
        const std::vector<Trial> compiled = workbench_.compile(batch);
        const double share = watch.seconds() / static_cast<double>(batch.size());
        for (size_t i = 0; i < batch.size(); i++) {
            const Stopwatch own;
            const Trial trial = compiled[i].outcome == Outcome::slower
                                    ? workbench_.compare(current, batch[i], kTrialEffort)
                                    : compiled[i];
            journal_.finish(task.number, batch[i], trial, share + own.seconds());
            task.search->learn(batch[i], trial.times.candidate_seconds() * 1e6);
            count(task, trial.outcome);
            if (!trial.times.pairs.empty() && current == task.own())
                task.own_seconds = trial.times.current_seconds();
            report_.trial(task.shown, batch[i], trial);
            if (trial.outcome == Outcome::faster && confirm(task, batch[i])) current = batch[i];
        }
        return static_cast<int>(batch.size());
    }

    // Measures a winner again, against the kernel's own schedule; a record where it wins.
    bool confirm(Task& task, const Candidate& candidate) {
        Confirmation confirmation{candidate, 0, 0, 0, false, false};
        const Stopwatch watch;
        for (int attempt = 0; attempt < kConfirmAttempts; attempt++) {
            const Trial trial = workbench_.compare(task.own(), candidate, kConfirmEffort);
            confirmation.default_us = trial.times.current_seconds() * 1e6;
            confirmation.tuned_us = trial.times.candidate_seconds() * 1e6;
            confirmation.spread = trial.times.spread();
            confirmation.is_contended = trial.times.contended;
            confirmation.is_accepted =
                trial.outcome == Outcome::faster && !confirmation.is_contended;
            if (!confirmation.is_contended) break;
        }
        if (confirmation.is_accepted) save(task, confirmation);
        journal_.confirm(task.number, confirmation, watch.seconds());
        if (confirmation.is_accepted) show_best(task, confirmation);
        report_.confirmation(task.shown, confirmation);
        return confirmation.is_accepted;
    }

    void save(const Task& task, const Confirmation& confirmation) {
        TunedRecord record;
        record.machine = this_machine();
        record.isa = isa_.name;
        record.threads = options_.threads;
        record.recipe = confirmation.candidate.recipe;
        record.version = confirmation.candidate.version;
        record.tiling = confirmation.candidate.tiling;
        record.default_us = confirmation.default_us;
        record.tuned_us = confirmation.tuned_us;
        record.spread = confirmation.spread;
        record.signature = task.kernel.group.signature();
        record.origin = options_.records;
        journal_.alone([&] {  // others may have written since
            records_ = read_records();
            records_.replace(record);
            records_.save(options_.records);
        });
    }

    const Network& network_;
    const RecipeLibrary& library_;
    BuildOptions build_;
    const TuneOptions& options_;
    Isa isa_;
    Workbench& workbench_;
    TuneReport& report_;
    RecordSet records_;
    Journal journal_;
    std::vector<std::unique_ptr<Task>> tasks_;
};

}  // namespace

void tune(const Network& network, const RecipeLibrary& library, const BuildOptions& build,
          const TuneOptions& options, Workbench& workbench, TuneReport& report) {
    verify_network(network);
    Tuner(network, library, build, options, workbench, report).run();
}

}  // namespace emulsion
