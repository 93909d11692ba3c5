// Random networks as they ship: forward pass, gradients and updates against the plain training step
// in double precision, on every instruction set, between protected pages; the same bits for any
// number of threads; inference against the plain network.
//
// EMULSION_SEEDS=A..B in the environment checks those networks in place of the few of every run,
// goes on behind a failure, and counts. A network that fails is printed as a .emu file.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <random>
#include <set>

#include "compiler/autodiff/training_step.h"
#include "compiler/graph/text.h"
#include "compiler/ops/sources.h"
#include "compiler/plan/plan.h"
#include "compiler/support/hash.h"
#include "compiler/support/workers.h"
#include "runtime/support/machine_speed.h"
#include "schedules/library.h"
#include "tests/integration/guarded_support.h"
#include "tests/support/random_network.h"
#include "tests/support/rounding_bounds.h"
#include "tests/support/seeds.h"
#include "tests/support/smallest_budget.h"

namespace emulsion::test {
namespace {

constexpr float kRate = 0.05f;

// ---- Values ----

// Normal numbers, divided for weights by the root of what a unit sums, so that deep networks stay
// in the range of their activations. A step's inputs depend on `seed`.
reference::Sources sources_of(const Graph& graph, int samples, uint64_t seed) {
    reference::Sources sources = random_sources(graph, samples, seed);
    for (int i = 0; i < static_cast<int>(graph.nodes().size()); i++) {
        const Node& node = graph.node(i);
        if (graph.op_as<Parameter>(i) == nullptr || node.types[0].shape.size() < 2) continue;
        reference::Tensor& tensor = sources.at(node.name);
        const double fan_in = static_cast<double>(element_count(node.types[0])) /
                              static_cast<double>(node.types[0].shape[0]);
        for (double& value : tensor.values) value /= std::sqrt(fan_in);
        tensor = reference::rounded(std::move(tensor));
    }
    return sources;
}

// What the library keeps or gets as arguments: the seed is 7, initially.
void set_scalars(const Graph& graph, reference::Sources& sources, int step) {
    for (int i = 0; i < static_cast<int>(graph.nodes().size()); i++) {
        const auto* scalar = graph.op_as<Scalar>(i);
        if (scalar == nullptr) continue;
        double value = 0;
        if (scalar->name == "learning_rate") value = double{kRate};
        if (scalar->name == "seed_low") value = 7;
        if (scalar->name == "step_low") value = step;
        sources[graph.node(i).name] = reference::make_tensor(graph.node(i).types[0], 1, {value});
    }
}

// ---- Choices ----

// Decides above the kernels as the cost model would not: by the text of the node.
class AnyChoices : public ChoiceSource {
  public:
    explicit AnyChoices(uint64_t seed) : seed_(seed) {}
    std::optional<RecordedChoice> find(const std::string& node, Decision decision, const Isa&,
                                       int) const override {
        const std::vector<std::string>& words = words_of(decision);
        return RecordedChoice{words[hash_bytes(fmt::format("{} {}", seed_, node)) % words.size()],
                              node};
    }

  private:
    uint64_t seed_;
};

// ---- One network ----

class NetworkCheck {
  public:
    explicit NetworkCheck(uint64_t seed)
        : seed_(seed),
          network_(random_network(seed)),
          graph_(training_step(network_)),
          batch_(2 + static_cast<int>(seed % 6)),
          samples_(std::set<int>{batch_, 1 + static_cast<int>(seed / 6) % batch_}),
          any_choices_(seed) {}

    // "", or what is wrong.
    std::string failures() {
        const std::string text = print(network_);
        if (print(parse_network(text, "random.emu")) != text)
            return "the text of the network parses to another one\n";
        const bool is_portable = seed_ % 16 == 0;
        constexpr const char* kTargets[] = {"avx512", "avx2", "x86-64"};
        LibraryOptions options;
        options.batch = batch_;
        options.infer_batches =
            seed_ % 2 == 0 ? std::vector<int>{1, batch_} : std::vector<int>{batch_};
        options.target = is_portable ? "portable" : kTargets[seed_ % 3];
        if (!is_portable && !can_run(options.target)) options.target = "avx2";
        options.checked = seed_ % 10 == 3;
        options.jobs = 1;
        if (seed_ % 3 == 1) options.choices = &any_choices_;
        check_build(options);
        if (print(training_graph(network_, true, batch_)) !=
            print(training_graph(network_, false, batch_))) {
            options.exact = true;
            check_build(options);
        }
        return failures_;
    }

  private:
    void check_build(const LibraryOptions& options) {
        const BuiltLibraries built(network_, options);
        const int variants = built.train().info()->variant_count;
        for (int variant = 1; variant <= variants; variant++) {
            if (!can_run(built.train().info()->variants[variant - 1])) continue;
            what_ = fmt::format("{}{} variant {}", options.target, options.exact ? " exact" : "",
                                built.train().info()->variants[variant - 1]);
            for (int samples : samples_) {
                check_training(built.train(), variant, samples, options.exact);
                check_inference(built.infer(), variant, samples, options.exact);
            }
        }
        if (variants == 3 && can_run("avx512")) compare_variants(built);
        if (seed_ % 4 == 1) compare_updates_at_once(built, options);
        if (seed_ % 4 == 2) compare_memory_budget(built, options);
    }

    Edge edge() const { return seed_ % 2 == 0 ? Edge::front : Edge::back; }
    void fail(const std::string& text) {
        if (!text.empty()) failures_ += what_ + ": " + text;
    }
    double relative_error(bool is_exact) const { return is_exact ? 5e-7 : 1e-5; }

    reference::Sources step_sources(int samples, int step) const {
        reference::Sources sources =
            sources_of(graph_, samples, seed_ + static_cast<uint64_t>(step));
        set_scalars(graph_, sources, step);
        return sources;
    }

    // Two steps: the second starts from what the library made of the first, with data of its own.
    void check_training(const emulsion_train_library& library, int variant, int samples,
                        bool is_exact) {
        reference::Sources sources = step_sources(samples, 0);
        GuardedTrainer trainer(library, 1, variant, edge(), sources);
        std::vector<std::unique_ptr<GuardedTrainer>> others;
        for (int threads : {2, 3, 4}) {
            others.push_back(
                std::make_unique<GuardedTrainer>(library, threads, variant, edge(), sources));
        }
        for (int step = 0; step < 2; step++) {
            const RawResults results = trainer.step(sources, samples, kRate);
            for (const auto& other : others) {
                if (other->step(sources, samples, kRate) != results)
                    fail("the number of threads changes the bits\n");
            }
            RoundingBounds bounds(graph_, sources, samples, relative_error(is_exact));
            compare(bounds, results, samples, step);
            for (auto& [name, value] : step_sources(samples, 1)) {
                const auto found = results.find("update " + name);
                sources[name] = found == results.end()
                                    ? value
                                    : reference::unpack(value.type, samples, found->second.data());
            }
        }
    }

    void compare(RoundingBounds& bounds, const RawResults& results, int samples, int step) {
        for (const auto& [name, expected] : bounds.expected()) {
            const auto found = results.find(name);
            if (found == results.end()) {
                fail(name + " is missing\n");
                continue;
            }
            const std::string difference = bounds.difference(
                name, reference::unpack(expected.type, samples, found->second.data()));
            if (!difference.empty())
                fail(fmt::format("{} samples, step {}: {}", samples, step, difference));
        }
    }

    void check_inference(const emulsion_infer_library& library, int variant, int samples,
                         bool is_exact) {
        const reference::Sources sources = sources_of(network_.graph, samples, seed_);
        GuardedRunner runner(library, 1, variant, edge(), sources);
        const RawResults results = runner.run(sources, samples);
        for (int threads : {2, 4}) {
            GuardedRunner other(library, threads, variant, edge(), sources);
            if (other.run(sources, samples) != results)
                fail("the number of threads changes the bits of inference\n");
        }
        reference::Sources with_scalars = sources;
        set_scalars(network_.graph, with_scalars, 0);
        RoundingBounds bounds(network_.graph, with_scalars, samples, relative_error(is_exact),
                              infer_plainly);
        for (const auto& [name, bytes] : results) {
            const reference::Tensor& expected = bounds.expected().at(name);
            const std::string difference =
                bounds.difference(name, reference::unpack(expected.type, samples, bytes.data()));
            if (!difference.empty())
                fail(fmt::format("inference of {} samples: {}", samples, difference));
        }
    }

    void compare_variants(const BuiltLibraries& built) {
        const reference::Sources sources = step_sources(batch_, 0);
        GuardedTrainer avx2(built.train(), 1, 2, edge(), sources);
        GuardedTrainer avx512(built.train(), 1, 3, edge(), sources);
        what_ = "portable";
        const RawResults narrow = avx2.step(sources, batch_, kRate);
        for (const auto& [name, bytes] : avx512.step(sources, batch_, kRate)) {
            if (narrow.at(name) != bytes)
                fail(name + " has other bits with AVX2 than with AVX-512\n");
        }
    }

    void compare_updates_at_once(const BuiltLibraries& apart, LibraryOptions options) {
        options.update_at_once = true;
        const BuiltLibraries at_once(network_, options);
        what_ = "update at once";
        const reference::Sources sources = step_sources(batch_, 0);
        GuardedTrainer a(apart.train(), 1, 0, edge(), sources);
        GuardedTrainer b(at_once.train(), 1, 0, edge(), sources);
        RawResults expected = a.step(sources, batch_, kRate);
        std::erase_if(expected,
                      [](const auto& result) { return result.first.starts_with("gradient "); });
        if (b.step(sources, batch_, kRate) != expected) fail("other bits than with gradients\n");
    }

    void compare_memory_budget(const BuiltLibraries& whole, LibraryOptions options) {
        BuildOptions build;
        build.batch = options.batch;
        build.target = options.target;
        build.exact = options.exact;
        build.choices = options.choices;
        options.memory_budget = smallest_budget([&](int64_t budget) {
            build.memory_budget = budget;
            plan_of(network_, make_library(), build, /*training=*/true);
        });
        const BuiltLibraries budgeted(network_, options);
        what_ = "memory budget";
        const reference::Sources sources = step_sources(batch_, 0);
        GuardedTrainer a(whole.train(), 1, 0, edge(), sources);
        GuardedTrainer b(budgeted.train(), 1, 0, edge(), sources);
        if (a.step(sources, batch_, kRate) != b.step(sources, batch_, kRate))
            fail("other bits than in all the memory it takes\n");
    }

    uint64_t seed_;
    Network network_;
    Graph graph_;
    int batch_;
    std::set<int> samples_;
    AnyChoices any_choices_;
    std::string what_, failures_;
};

// In a process of its own: a crash is a failure like any other.
std::string check_seed(uint64_t seed) {
    WorkerLimits limits;
    limits.processes = 1;
    limits.timeout_seconds = 3600;
    const JobResult result = run_forked(
        1, [&](size_t) { return NetworkCheck(seed).failures(); },
        [] {
            try {
                throw;
            } catch (const std::exception& error) {
                return std::string(error.what());
            }
        },
        limits)[0];
    return result.ok ? result.output : result.failure + "\n";
}

void check_seeds(const Seeds& range) {
    const auto start = std::chrono::steady_clock::now();
    uint64_t failed = 0;
    for (uint64_t seed = range.first; seed <= range.last; seed++) {
        const std::string failures = check_seed(seed);
        if (range.is_given) {
            const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
            std::cout << fmt::format("seed {} {} after {:.0f} s\n", seed,
                                     failures.empty() ? "passes" : "FAILS", time.count())
                      << std::flush;
        }
        if (failures.empty()) continue;
        failed++;
        ADD_FAILURE() << "seed " << seed << "\n" << failures << print(random_network(seed));
    }
    if (range.is_given)
        std::cout << fmt::format("{} networks, {} fail\n", range.last - range.first + 1, failed);
}

TEST(RandomNetworks, ComputeWhatTheReferenceDoes) { check_seeds(seeds_to_test(12)); }

// A product that is zero beside the map is fused with the sum on all instruction sets or on none.
TEST(RandomNetworks, OfGradientsBesideAMap) {
    if (seeds_to_test(1).is_given) GTEST_SKIP() << "those seeds are tested";
    check_seeds({16, 16, /*is_given=*/false});
}

// Inference leaves noise of whole channels out.
TEST(RandomNetworks, OfNoiseInFrontOfOutputs) {
    if (seeds_to_test(1).is_given) GTEST_SKIP() << "those seeds are tested";
    check_seeds({kOtherAxes + 25, kOtherAxes + 25, /*is_given=*/false});
}

TEST(RandomNetworks, OfLinesAndVolumesComputeWhatTheReferenceDoes) {
    if (seeds_to_test(12).is_given) GTEST_SKIP() << "those seeds are tested";
    check_seeds({kOtherAxes + 1, kOtherAxes + 2, /*is_given=*/false});
}

}  // namespace
}  // namespace emulsion::test
