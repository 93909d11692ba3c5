// See cpu_workbench.h.
#include "schedules/tune/cpu_workbench.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <map>
#include <set>

#include "compiler/support/interrupts.h"
#include "compiler/support/workers.h"
#include "runtime/abi/instance.h"
#include "schedules/tune/contention.h"
#include "schedules/tune/results_check.h"

namespace emulsion {

namespace {

constexpr double kSmallTolerance = 3e-5;  // of one or two samples, against the plain definition
constexpr double kFullTolerance = 3e-4;   // of a whole batch, against the kernel's own schedule
constexpr double kSmallWork = 1e9;        // multiply-adds that the plain definition does in a check
constexpr double kLeastSeconds = 1e-3;    // of one timed run of calls

// What a job reports: a word for the outcome, then text.
std::string wrong(const std::string& note) { return "wrong " + note; }

std::string describe() {
    try {
        throw;
    } catch (const std::bad_alloc&) {
        return "ran out of memory";
    } catch (const std::exception& error) {
        return error.what();
    } catch (...) {
        return "unknown failure";
    }
}

Outcome outcome_of(const std::string& failure, Outcome otherwise) {
    if (failure.starts_with("killed by signal")) return Outcome::crashed;
    if (failure.starts_with("took longer")) return Outcome::hung;
    if (failure.starts_with("ran out of memory")) return Outcome::memory;
    return otherwise;
}

int64_t tensor_bytes(const Group& group, int64_t samples) {
    int64_t bytes = 0;
    for (const TensorType& type : buffer_types(group)) bytes += memory_bytes(type, samples);
    return bytes;
}

int64_t machine_bytes() {
    return static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
}

double relative_error(const RecipeLibrary& library, const Group& group, const std::string& name) {
    for (const auto& recipe : library) {
        if (recipe->name() == name) return recipe->relative_error(group);
    }
    return 0;
}

}  // namespace

struct CpuWorkbench::Kernel {
    PlannedKernel planned;
    std::map<std::string, CompiledKernel> compiled;  // by candidate
    std::map<std::string, std::string> failures;     // of those that were compiled ahead
    int64_t few = 1;                                 // samples of the check against `plain`
    std::optional<OperandValues> few_operands, all_operands;
    std::vector<GuardedBlock> few_expected, all_expected;

    int64_t bytes() const { return tensor_bytes(planned.group, planned.group.batch); }
};

struct CpuWorkbench::Ahead {
    std::vector<Candidate> candidates;
    BackgroundJob job;  // returns what went wrong with each, in order
};

CpuWorkbench::CpuWorkbench(const RecipeLibrary& library, const Isa& isa,
                           const CpuWorkbenchOptions& options)
    : library_(library),
      isa_(isa),
      options_(options),
      shares_(
          share_processors(allowed_cores(), options.threads, options.jobs, emulsion_cpu_count())) {}

CpuWorkbench::~CpuWorkbench() = default;

KernelOptions CpuWorkbench::kernel_options() const {
    KernelOptions options;
    options.processes = options_.jobs;
    options.timeout_seconds = options_.compile_seconds;
    options.memory_limit_bytes = options_.memory_bytes;
    return options;
}

// Runs the job in a process of its own; throws std::runtime_error with what went wrong there.
std::string CpuWorkbench::work(const std::string& task,
                               const std::function<std::string()>& job) const {
    const WorkerLimits limits{1, options_.run_seconds,
                              options_.memory_bytes + 4 * kernel_->bytes()};
    const auto at_home = [&](size_t) {
        // What it links goes to files; those of a process that is killed stay, but in a folder that
        // is removed at the end.
        setenv("TMPDIR", folder_.path().c_str(), 1);
        if (!shares_.spare.empty()) run_on(shares_.timing);
        return job();
    };
    const JobResult result = run_forked(1, at_home, describe, limits)[0];
    if (!result.ok) throw std::runtime_error(task + result.failure);
    return result.output;
}

std::string CpuWorkbench::take_up(const PlannedKernel& planned) {
    ahead_.reset();
    kernel_ = std::make_unique<Kernel>();
    Kernel& kernel = *kernel_;
    kernel.planned = planned;
    const Group& group = kernel.planned.group;
    if (6 * kernel.bytes() > machine_bytes()) {
        return fmt::format("its tensors take {} MiB, and the tuner needs six times that",
                           kernel.bytes() >> 20);
    }
    const Candidate own{planned.recipe, planned.recipe_version, planned.tiling};
    try {
        const double work_of_one =
            static_cast<double>(group.multiply_adds()) / std::max(group.batch, 1);
        kernel.few = group.batch > 1 && 2 * work_of_one < kSmallWork ? 2 : 1;
        kernel.few_operands.emplace(group, kernel.few, options_.seed);
        check_interrupts();
        kernel.all_operands.emplace(group, group.batch, options_.seed + 1);
        check_interrupts();
        const auto sharing = GuardedBlock::Sharing::with_children;
        kernel.few_expected = result_blocks(group, kernel.few, sharing);
        kernel.all_expected = result_blocks(group, group.batch, sharing);
        KernelOptions compile_options = kernel_options();
        const PlainBody plain(group, isa_, library_, compile_options);
        const Trial compiled = compile({own})[0];
        if (compiled.outcome != Outcome::slower) return compiled.note;
        const CompiledKernel& shipped = kernel.compiled.at(to_string(own));
        const std::string fault = work("its check ", [&] {
            plain.run(*kernel.few_operands, kernel.few_expected);
            KernelSession session({{&group, &shipped}}, options_.threads);
            const std::vector<GuardedBlock> results = result_blocks(group, kernel.few);
            session.run(0, kernel.few, with_results(kernel.few_operands->arguments(), results));
            session.run(0, group.batch,
                        with_results(kernel.all_operands->arguments(), kernel.all_expected));
            return difference(group, results, kernel.few_expected,
                              kSmallTolerance + 2 * planned.relative_error);
        });
        return fault.empty() ? "" : "its own schedule differs from the plain definition: " + fault;
    } catch (const Error& error) {
        return error.diagnostic().message;
    } catch (const std::bad_alloc&) {
        return "there is no memory for its tensors";
    } catch (const std::runtime_error& error) {
        return error.what();
    }
}

PlannedKernel CpuWorkbench::planned(const Candidate& candidate) const {
    PlannedKernel kernel = kernel_->planned;
    kernel.recipe = candidate.recipe;
    kernel.recipe_version = candidate.version;
    kernel.tiling = candidate.tiling;
    return kernel;
}

std::vector<Trial> CpuWorkbench::compile(const std::vector<Candidate>& candidates) {
    finish_ahead();
    std::vector<Trial> trials(candidates.size());
    std::vector<PlannedKernel> kernels;
    std::vector<size_t> places;
    const auto fail = [&](size_t i, const std::string& failure) {
        trials[i].outcome = outcome_of(failure, Outcome::refused);
        trials[i].note = failure;
    };
    for (size_t i = 0; i < candidates.size(); i++) {
        const auto failed = kernel_->failures.find(to_string(candidates[i]));
        if (failed != kernel_->failures.end()) {
            fail(i, failed->second);
            continue;
        }
        kernels.push_back(planned(candidates[i]));
        places.push_back(i);
    }
    std::vector<KernelAttempt> attempts =
        try_compile_kernels(kernels, isa_, library_, kernel_options());
    for (size_t k = 0; k < attempts.size(); k++) {
        if (attempts[k].failure.empty()) {
            kernel_->compiled[to_string(candidates[places[k]])] = std::move(attempts[k].kernel);
        } else {
            fail(places[k], attempts[k].failure);
        }
    }
    return trials;
}

// ---- Compiling ahead ----

// The objects go to the cache, where compile() finds them: without one nothing is won.
bool CpuWorkbench::compiles_ahead() const {
    return !shares_.spare.empty() && !build_identity().empty();
}

void CpuWorkbench::compile_ahead(const std::vector<Candidate>& candidates) {
    finish_ahead();
    if (candidates.empty() || !compiles_ahead()) return;
    std::vector<PlannedKernel> kernels;
    for (const Candidate& candidate : candidates) kernels.push_back(planned(candidate));
    KernelOptions options = kernel_options();
    options.processes = static_cast<int>(shares_.spare.size());
    const auto job = [&] {
        run_on(shares_.spare);
        std::string failures;
        for (const KernelAttempt& attempt : try_compile_kernels(kernels, isa_, library_, options))
            failures += attempt.failure + '\0';
        return failures;
    };
    const WorkerLimits limits{1,
                              (options_.compile_seconds + 1) * static_cast<double>(kernels.size()),
                              0};  // each candidate has its own
    ahead_.reset(new Ahead{candidates, {job, describe, limits}});
}

void CpuWorkbench::finish_ahead() {
    if (ahead_ == nullptr) return;
    const JobResult result = ahead_->job.wait();
    const std::vector<Candidate> candidates = std::move(ahead_->candidates);
    ahead_.reset();
    std::string_view rest = result.output;
    for (const Candidate& candidate : candidates) {
        const std::string_view failure = rest.substr(0, rest.find('\0'));
        if (!failure.empty()) kernel_->failures[to_string(candidate)] = failure;
        rest.remove_prefix(std::min(failure.size() + 1, rest.size()));
    }
}

namespace {

// ---- In the forked process ----

// Calls per timed run, so that a run is long enough for the clock.
int calls_of_run(KernelSession& session, size_t k, int64_t samples,
                 const KernelArguments& arguments) {
    const double seconds = session.run(k, samples, arguments);
    return static_cast<int>(
        std::clamp(std::ceil(kLeastSeconds / std::max(seconds, 1e-9)), 1.0, 1000.0));
}

// A B B A, again and again: what drifts meets both alike. Pairs during which other work took the
// processors do not count, unless there are too few others: then all count, and the times are
// contended.
PairedTimes time_pairs(KernelSession& session, int64_t samples, const KernelArguments& current,
                       const KernelArguments& candidate, const Effort& effort) {
    constexpr double kPatience = 4;  // times the effort, where pairs are disturbed
    const int current_calls = calls_of_run(session, 0, samples, current);
    const int candidate_calls = calls_of_run(session, 1, samples, candidate);
    const auto begin = std::chrono::steady_clock::now();
    PairedTimes times;
    std::vector<TimePair>& pairs = times.pairs;
    std::vector<TimePair> disturbed;
    for (int turn = 0; static_cast<int>(pairs.size()) < effort.most_pairs; turn++) {
        const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
        const bool has_enough = static_cast<int>(pairs.size()) >= effort.least_pairs;
        if (spent.count() > effort.seconds * (has_enough ? 1 : kPatience) &&
            static_cast<int>(pairs.size() + disturbed.size()) >= effort.least_pairs)
            break;
        const ContentionWatch watch;
        TimePair pair;
        if (turn % 2 == 0) pair.current = session.run(0, samples, current, current_calls);
        pair.candidate = session.run(1, samples, candidate, candidate_calls);
        if (turn % 2 != 0) pair.current = session.run(0, samples, current, current_calls);
        if (watch.share_lost() > kMostShareLost) {
            disturbed.push_back(pair);
            continue;
        }
        pairs.push_back(pair);
        if (is_hopeless(times, effort.most_pairs, effort.significance)) return times;
        if (effort.stops_at_win && static_cast<int>(pairs.size()) >= effort.least_pairs &&
            is_faster(times, effort.significance, effort.margin))
            return times;
    }
    times.contended = static_cast<int>(pairs.size()) < effort.least_pairs;
    if (times.contended) pairs.insert(pairs.end(), disturbed.begin(), disturbed.end());
    return times;
}

std::string pack(const PairedTimes& times) {
    std::string text = fmt::format("timed {}", times.contended ? 1 : 0);
    for (const TimePair& pair : times.pairs)
        text += fmt::format(" {:.9e} {:.9e}", pair.current, pair.candidate);
    return text;
}

PairedTimes unpack(std::string_view text) {
    std::vector<double> numbers;
    const char* place = text.data();
    const char* const end = text.data() + text.size();
    while (place != end) {
        double number = 0;
        const auto [next, error] = std::from_chars(place, end, number);
        if (error != std::errc()) break;
        numbers.push_back(number);
        place = next == end ? end : next + 1;
    }
    PairedTimes times;
    times.contended = !numbers.empty() && numbers[0] != 0;
    for (size_t i = 1; i + 1 < numbers.size(); i += 2)
        times.pairs.push_back({numbers[i], numbers[i + 1]});
    return times;
}

}  // namespace

Trial CpuWorkbench::compare(const Candidate& current, const Candidate& candidate,
                            const Effort& effort) {
    const Kernel& kernel = *kernel_;
    const Group& group = kernel.planned.group;
    const double rounding =
        kernel.planned.relative_error + relative_error(library_, group, candidate.recipe);
    const auto job = [&]() -> std::string {
        KernelSession session({{&group, &kernel.compiled.at(to_string(current))},
                               {&group, &kernel.compiled.at(to_string(candidate))}},
                              options_.threads);
        for (int64_t samples : std::set<int64_t>{1, kernel.few}) {
            // The first sample alone need only stay in its memory and give no error.
            const OperandValues own(group, samples, options_.seed);
            const std::vector<GuardedBlock> results = result_blocks(group, samples);
            session.run(1, samples, with_results(own.arguments(), results));
            if (samples != kernel.few) continue;
            const std::string fault =
                difference(group, results, kernel.few_expected, kSmallTolerance + 2 * rounding);
            if (!fault.empty()) return wrong(fault);
        }
        // Each kernel has results of its own: a wrong one cannot hide behind a right one.
        const std::vector<GuardedBlock> current_results = result_blocks(group, group.batch),
                                        results = result_blocks(group, group.batch);
        const KernelArguments all = kernel.all_operands->arguments();
        session.run(1, group.batch, with_results(all, results));
        const std::string fault =
            difference(group, results, kernel.all_expected, kFullTolerance + 2 * rounding);
        if (!fault.empty()) return wrong(fault);
        session.check_slabs();
        return pack(time_pairs(session, group.batch, with_results(all, current_results),
                               with_results(all, results), effort));
    };
    Trial trial;
    try {
        const std::string report = work("", job);
        if (report.starts_with("wrong ")) {
            trial.outcome = Outcome::wrong;
            trial.note = report.substr(6);
            return trial;
        }
        trial.times = unpack(std::string_view(report).substr(6));
        if (is_faster(trial.times, effort.significance, effort.margin))
            trial.outcome = Outcome::faster;
    } catch (const std::runtime_error& error) {
        trial.note = error.what();
        trial.outcome = outcome_of(trial.note, Outcome::wrong);
    }
    return trial;
}

}  // namespace emulsion
