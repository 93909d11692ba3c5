// Times single ops and layers through the ordinary pipeline with their default schedules: the half
// of tests/bench/ops that is Emulsion's. The cases are those of tests/bench/ops_cases.txt; the
// build turns their layers into the functions included below.
//
//     bench_ops uncovered          prints the ops that no case reaches, a line each
//     bench_ops serve THREADS CLOCK    obeys lines of standard input, and answers on standard
//                                  output; CLOCK is wall, or processor: the time of all threads
//
//     add MODE NAME                a case to compile
//     compile                      all of them side by side; answers "built MODE NAME", "failed
//                                  MODE NAME: WHY", then "compiled"
//     shape MODE NAME              "shape 64,56,56", of a sample of the result
//     time SECONDS MODE NAME       "time MICROSECONDS": the median of the calls in so many seconds,
//                                  at least five, after two to warm up
//     kernels MODE NAME            "kernel MICROSECONDS STAGE NAME RECIPE TILING" for each, then
//                                  "kernels"
//     choices MODE NAME            the text of --emit=choices, then "choices"
//
// MODE is one of
//     forward   inference, whose prepared weights are ready
//     both      the result as in training, then the gradients of all inputs and parameters, from a
//               gradient of the result that the call brings; of a loss, from 1
//     step      a training step with its update
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <sstream>

#include "compiler/autodiff/differentiate.h"
#include "compiler/autodiff/training_step.h"
#include "compiler/codegen/kernel.h"
#include "compiler/codegen/library.h"
#include "compiler/ops/registry.h"
#include "compiler/ops/sources.h"
#include "compiler/passes/freeze_batch_norm.h"
#include "compiler/passes/pool_first.h"
#include "compiler/passes/two_axes.h"
#include "compiler/pipeline.h"
#include "compiler/plan/choices_text.h"
#include "compiler/plan/plan.h"
#include "dsl/emulsion.h"
#include "dsl/finish.h"
#include "schedules/library.h"
#include "schedules/tune/measured_machine.h"
#include "schedules/tune/network_session.h"

namespace emulsion {
namespace {

struct Case {
    const char* name;
    const char* modes;  // separated by commas
    int batch;
    void (*describe)(Model& m);
};

const Case kCases[] = {
#include <ops_cases.inc>
};

constexpr const char* kResult = "y";              // of a layer
constexpr const char* kForwardResult = "y.loss";  // as it stands in a step, before its backward

Network network_of(const Case& each) {
    Model m("bench");
    each.describe(m);
    const FinishedModel finished = finish(m);
    if (finished.network) return *finished.network;
    throw std::runtime_error(to_string(finished.mistakes.at(0)));
}

// What a case's step computes, before it is optimised.
struct Step {
    Network network;
    Graph graph;
    std::string result;  // the output whose shape is the case's
};

// Floats alone have a gradient.
bool is_differentiated(const Graph& graph, int node) {
    const auto* parameter = graph.op_as<Parameter>(node);
    if (parameter != nullptr) return parameter->trained;
    return graph.op_as<Input>(node) != nullptr &&
           graph.node(node).types[0].element == ElementType::f32 &&
           graph.node(node).name.find("target") == std::string::npos;
}

// The loss of a case, which has another beside it that depends on a parameter; null of a layer.
const Result* loss_of(const Graph& graph) {
    for (const Result& result : graph.results()) {
        if (result.name.ends_with(".loss") && result.name != "unit.loss") return &result;
    }
    return nullptr;
}

Step both_directions(Network network) {
    const Graph forward = pool_first(two_axes(freeze_batch_norm(network.graph)));
    const Result* loss = loss_of(forward);
    const Value y = (loss != nullptr ? loss : forward.find_output(kResult))->value;
    GraphBuilder builder(forward);
    std::vector<int> targets;
    for (int i = 0; i < static_cast<int>(forward.nodes().size()); i++) {
        if (is_differentiated(forward, i)) targets.push_back(i);
    }
    std::vector<Value> gradients;
    if (loss != nullptr) {
        gradients = differentiate(builder, y, targets);
    } else {
        const Value dy =
            builder.add(std::make_shared<Input>(builder.type(y)), {}, builder.unique_name("dy"));
        gradients = differentiate(builder, {{y, dy}}, targets);
    }
    const std::string result = loss != nullptr ? "loss" : kForwardResult;
    builder.output(result, y);
    for (const Result& each : forward.results()) {
        if (each.kind == Result::Kind::update) builder.update(each.target, each.value);
    }
    for (size_t i = 0; i < targets.size(); i++) {
        if (!gradients[i].defined()) continue;
        if (forward.op_as<Parameter>(targets[i]) != nullptr) {
            builder.gradient(targets[i], gradients[i]);
        } else {
            builder.output(forward.node(targets[i]).name + ".dx", gradients[i]);
        }
    }
    return {std::move(network), remove_dead_nodes(builder.build()), result};
}

// The optimised graph of a case.
Step step_of(const Case& each, const std::string& mode) {
    Network network = network_of(each);
    if (mode == "forward") {
        const Graph graph = inference_graph(network, /*exact=*/false, each.batch);
        return {std::move(network), graph, kResult};
    }
    if (mode == "step") {
        const Graph graph = training_graph(network, /*exact=*/false, each.batch);
        return {std::move(network), graph, "loss"};
    }
    Step step = both_directions(std::move(network));
    step.graph = optimized_step(step.graph, /*exact=*/false, each.batch);
    return step;
}

PlanOptions plan_options(const Case& each, const std::string& mode) {
    PlanOptions options;
    options.training = mode != "forward";
    options.batches = {each.batch};
    options.isas = {native_isa()};
    options.machine = to_plan_for(this_machine());
    return options;
}

// A case that is compiled, or that cannot be.
struct Built {
    Step step;
    Plan plan;
    std::string failure;
    std::string object;  // of the library
    std::optional<NetworkSession> session;
};

std::vector<std::string> split(const std::string& text, char at) {
    std::vector<std::string> parts;
    std::istringstream stream(text);
    for (std::string part; std::getline(stream, part, at);) parts.push_back(part);
    return parts;
}

double median(std::vector<double> values) {
    std::ranges::sort(values);
    const size_t middle = values.size() / 2;
    return values.size() % 2 == 1 ? values[middle] : 0.5 * (values[middle - 1] + values[middle]);
}

double seconds_of(clockid_t clock) {
    timespec time{};
    clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

class Server {
  public:
    Server(int threads, clockid_t clock) : threads_(threads), clock_(clock) {}

    void obey(const std::string& line) {
        std::istringstream words(line);
        std::string command;
        words >> command;
        if (command == "compile") return compile();
        double seconds = 0;
        if (command == "time") words >> seconds;
        std::string mode, name;
        words >> mode >> std::ws;
        std::getline(words, name);
        const std::string key = mode + " " + name;
        if (command == "add") return add(key, mode, name);
        Built& built = built_.at(key);
        if (command == "shape") return print_shape(built);
        if (command == "choices") {
            fmt::print("{}choices\n", print_choices(built.plan));
            return;
        }
        use(key);
        if (command == "time") return print_time(built, seconds);
        if (command == "kernels") return print_kernels(built);
        throw std::runtime_error("unknown command '" + command + "'");
    }

  private:
    void add(const std::string& key, const std::string& mode, const std::string& name) {
        const auto found =
            std::ranges::find_if(kCases, [&](const Case& each) { return each.name == name; });
        if (found == std::end(kCases)) throw std::runtime_error("unknown case '" + name + "'");
        Built& built = built_[key];
        order_.push_back(key);
        try {
            built.step = step_of(*found, mode);
            built.plan = make_plan(built.step.graph, recipes_, plan_options(*found, mode));
        } catch (const std::exception& error) {
            built.failure = error.what();
        }
    }

    // Each kernel once, whichever cases have it.
    void compile() {
        std::vector<PlannedKernel> kernels;
        std::map<std::string, size_t> places;
        for (const auto& [key, built] : built_) {
            if (!built.failure.empty()) continue;
            for (const PlannedKernel& kernel : built.plan.variants[0].kernels) {
                if (places.emplace(kernel.identity(native_isa()), kernels.size()).second)
                    kernels.push_back(kernel);
            }
        }
        const std::vector<KernelAttempt> attempts =
            try_compile_kernels(kernels, native_isa(), recipes_, {});
        for (const std::string& key : order_) {
            Built& built = built_[key];
            link(built, attempts, places);
            if (built.failure.empty())
                fmt::print("built {}\n", key);
            else
                fmt::print("failed {}: {}\n", key,
                           built.failure.substr(0, built.failure.find('\n')));
        }
        fmt::print("compiled\n");
    }

    void link(Built& built, const std::vector<KernelAttempt>& attempts,
              const std::map<std::string, size_t>& places) const {
        if (!built.failure.empty()) return;
        VariantKernels compiled;
        for (const PlannedKernel& kernel : built.plan.variants[0].kernels) {
            const KernelAttempt& attempt = attempts[places.at(kernel.identity(native_isa()))];
            if (!attempt.failure.empty()) built.failure = attempt.failure;
            compiled.push_back(attempt.kernel);
        }
        if (built.failure.empty())
            built.object = make_library(built.step.network, built.plan, {compiled}).object;
    }

    // One case at a time has memory.
    void use(const std::string& key) {
        if (key == used_) return;
        if (!used_.empty()) built_[used_].session.reset();
        used_ = key;
        Built& built = built_[key];
        built.session.emplace(std::vector{built.object},
                              library_name(built.step.network, built.plan.training),
                              built.plan.training, threads_);
    }

    static void print_shape(const Built& built) {
        const Graph& graph = built.step.graph;
        const Value y = graph.find_output(built.step.result)->value;
        std::string text;
        for (int64_t extent : graph.type(y).shape) text += fmt::format(",{}", extent);
        fmt::print("shape {}\n", text.empty() ? text : text.substr(1));
    }

    // Calls `visit` with each call's time by the server's clock, and those of its kernels.
    template <class Visit>
    void run_for(Built& built, double seconds, const Visit& visit) const {
        constexpr int kWarmUp = 2, kLeast = 5;
        for (int i = 0; i < kWarmUp; i++) built.session->run(0);
        const double end = seconds_of(CLOCK_MONOTONIC) + seconds;
        for (int i = 0; i < kLeast || seconds_of(CLOCK_MONOTONIC) < end; i++) {
            const double begin = seconds_of(clock_);
            const NetworkSession::Call call = built.session->run(0);
            visit(seconds_of(clock_) - begin, call.kernels);
        }
    }

    void print_time(Built& built, double seconds) const {
        std::vector<double> times;
        run_for(built, seconds, [&](double each, const auto&) { times.push_back(each); });
        fmt::print("time {:.4f}\n", 1e6 * median(std::move(times)));
    }

    void print_kernels(Built& built) const {
        const emulsion_info& info = built.session->info(0);
        std::vector<std::vector<double>> times(static_cast<size_t>(info.kernel_count));
        run_for(built, 0.1, [&](double, const std::vector<double>& kernels) {
            for (size_t k = 0; k < times.size(); k++) times[k].push_back(kernels[k]);
        });
        for (size_t k = 0; k < times.size(); k++)
            fmt::print("kernel {:.2f} {}\n", 1e6 * median(times[k]), info.kernels[k]);
        fmt::print("kernels\n");
    }

    const int threads_;
    const clockid_t clock_;
    const RecipeLibrary recipes_ = make_library();
    std::map<std::string, Built> built_;
    std::vector<std::string> order_;
    std::string used_;
};

int serve(int threads, const std::string& clock) {
    Server server(threads, clock == "wall" ? CLOCK_MONOTONIC : CLOCK_PROCESS_CPUTIME_ID);
    for (std::string line; std::getline(std::cin, line);) {
        server.obey(line);
        std::fflush(stdout);
    }
    return 0;
}

void add_kinds(const Graph& graph, std::set<std::string>& kinds) {
    for (const Node& node : graph.nodes()) kinds.emplace(node.op->kind());
}

// Sources and views are no code.
int print_uncovered() {
    std::set<std::string> kinds;
    for (const Case& each : kCases) {
        add_kinds(network_of(each).graph, kinds);
        for (const std::string& mode : split(each.modes, ','))
            add_kinds(step_of(each, mode).graph, kinds);
    }
    for (std::string_view kind : op_kinds()) {
        const OpClass op_class = make_op(kind)->op_class();
        if (op_class == OpClass::source || op_class == OpClass::view) continue;
        if (!kinds.contains(std::string(kind))) fmt::print("{}\n", kind);
    }
    return 0;
}

int run(const std::vector<std::string>& words) {
    if (words.size() == 1 && words[0] == "uncovered") return print_uncovered();
    if (words.size() == 3 && words[0] == "serve") return serve(std::stoi(words[1]), words[2]);
    fmt::print(stderr, "usage: bench_ops uncovered | bench_ops serve THREADS CLOCK\n");
    return 2;
}

}  // namespace
}  // namespace emulsion

int main(int argc, char** argv) {
    try {
        return emulsion::run({argv + 1, argv + argc});
    } catch (const std::exception& error) {
        fmt::print(stderr, "bench_ops: {}\n", error.what());
        return 1;
    }
}
