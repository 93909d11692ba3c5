// See cpu_workbench.h.
#include "schedules/tune/cpu_workbench.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <map>
#include <set>

#include "compiler/codegen/library.h"
#include "compiler/graph/layout.h"
#include "compiler/support/interrupts.h"
#include "compiler/support/workers.h"
#include "runtime/abi/instance.h"
#include "schedules/tune/cpu_timing.h"
#include "schedules/tune/results_check.h"

namespace emulsion {

namespace {

constexpr double kSmallTolerance = 3e-5;  // of one or two samples, against the plain definition
constexpr double kFullTolerance = 3e-4;   // of a whole batch, against the kernel's own schedule
constexpr double kSmallWork = 1e9;        // multiply-adds that the plain definition does in a check

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
    const std::vector<TensorType> types = group.buffer_types();
    for (size_t i = 0; i < types.size(); i++)
        bytes += span_bytes(types[i], samples, group.pitch_of(i));
    return bytes;
}

int64_t machine_bytes() {
    return static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
}

// The plan's kernel for each call that a library lists; -1 where the largest batch does not make
// it.
std::vector<int> kernels_of_calls(const VariantPlan& variant, const emulsion_info& info) {
    std::map<std::string, int> kernels;
    for (const PlannedCall& call : variant.batches.back().calls)
        kernels[call_line(variant, call)] = call.kernel;
    for (const PlannedCall& call : variant.batches.front().calls) {
        if (call.stage == Stage::update) kernels[call_line(variant, call)] = call.kernel;
    }
    std::vector<int> list;
    for (int i = 0; i < info.kernel_count; i++) {
        const auto found = kernels.find(info.kernels[i]);
        list.push_back(found == kernels.end() ? -1 : found->second);
    }
    return list;
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
    int64_t rotated_bytes = 0;                       // of the tensors that are timed
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
    return work(task, job,
                {1, options_.run_seconds,
                 options_.memory_bytes + 4 * kernel_->bytes() + kernel_->rotated_bytes});
}

std::string CpuWorkbench::work(const std::string& task, const std::function<std::string()>& job,
                               const WorkerLimits& limits) const {
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

std::string CpuWorkbench::take_up(const PlannedKernel& planned, int64_t step_bytes) {
    ahead_.reset();
    kernel_ = std::make_unique<Kernel>();
    Kernel& kernel = *kernel_;
    kernel.planned = planned;
    kernel.rotated_bytes = rotated_bytes(step_bytes);
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

// ---- Timing ----

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
        {
            // Results of its own, of one call: a wrong one cannot hide behind a right one.
            const std::vector<GuardedBlock> results = result_blocks(group, group.batch);
            session.run(1, group.batch, with_results(kernel.all_operands->arguments(), results));
            const std::string fault =
                difference(group, results, kernel.all_expected, kFullTolerance + 2 * rounding);
            if (!fault.empty()) return wrong(fault);
        }
        session.check_slabs();
        RotatingTensors tensors(group, *kernel.all_operands, kernel.rotated_bytes);
        return "timed " + pack(time_pairs(session, group.batch, tensors, effort));
    };
    Trial trial;
    try {
        const std::string report = work("", job);
        if (report.starts_with("wrong ")) {
            trial.outcome = Outcome::wrong;
            trial.note = report.substr(6);
            return trial;
        }
        trial.times = unpack_pairs(std::string_view(report).substr(6));
        if (is_faster(trial.times, effort.significance, effort.margin))
            trial.outcome = Outcome::faster;
    } catch (const std::runtime_error& error) {
        trial.note = error.what();
        trial.outcome = outcome_of(trial.note, Outcome::wrong);
    }
    return trial;
}

bool CpuWorkbench::compile_step(const Plan& plan, double seconds) {
    const auto begin = std::chrono::steady_clock::now();
    std::vector<PlannedKernel> missing;
    for (const PlannedKernel& kernel : plan.variants.back().kernels) {
        if (!step_kernels_.contains(kernel.identity(isa_))) missing.push_back(kernel);
    }
    const auto jobs = static_cast<size_t>(options_.jobs);
    for (size_t i = 0; i < missing.size(); i += jobs) {
        const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
        if (spent.count() > seconds) return false;
        const std::vector<PlannedKernel> part(
            missing.begin() + static_cast<std::ptrdiff_t>(i),
            missing.begin() + static_cast<std::ptrdiff_t>(std::min(i + jobs, missing.size())));
        try_compile_kernels(part, isa_, library_, kernel_options());  // what fails, fails again
        for (const PlannedKernel& kernel : part) step_kernels_.insert(kernel.identity(isa_));
    }
    return true;
}

StepTimes CpuWorkbench::time_steps(const Network& network, const std::vector<const Plan*>& plans,
                                   const Effort& effort) {
    constexpr double kLoadSeconds = 60;
    const bool training = plans[0]->training;
    size_t kernel_count = 0;
    for (const Plan* plan : plans)
        kernel_count = std::max(kernel_count, plan->variants.back().kernels.size());
    StepTimes times;
    try {
        std::vector<VariantKernels> kernels;
        for (const Plan* plan : plans)
            kernels.push_back(
                compile_kernels(plan->variants.back().kernels, isa_, library_, kernel_options()));
        const auto job = [&] {
            std::vector<std::string> objects;
            for (size_t k = 0; k < plans.size(); k++)
                objects.push_back(make_library(network, *plans[k], {kernels[k]}).object);
            NetworkSession session(objects, library_name(network, training), training,
                                   options_.threads);
            std::vector<std::vector<int>> kernel_of;
            for (size_t k = 0; k < plans.size(); k++)
                kernel_of.push_back(kernels_of_calls(plans[k]->variants.back(), session.info(k)));
            return pack(emulsion::time_steps(session, kernel_of, kernel_count, effort));
        };
        times = unpack_steps(work("", job, {1, kLoadSeconds + 10 * effort.seconds, 0}));
    } catch (const Error& error) {
        times.fault = error.diagnostic().message;
    } catch (const std::runtime_error& error) {
        times.fault = error.what();
    }
    return times;
}

}  // namespace emulsion
