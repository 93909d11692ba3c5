// The passes in order, then plan, kernels, libraries, programs.
#include "compiler/pipeline.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <optional>

#include "compiler/autodiff/input_gradients.h"
#include "compiler/autodiff/training_step.h"
#include "compiler/codegen/kernel.h"
#include "compiler/codegen/library.h"
#include "compiler/codegen/link.h"
#include "compiler/codegen/manifest.h"
#include "compiler/codegen/products.h"
#include "compiler/graph/text.h"
#include "compiler/passes/choose_winograd.h"
#include "compiler/passes/common_subexpressions.h"
#include "compiler/passes/expand_batch_norm.h"
#include "compiler/passes/expand_group_norm.h"
#include "compiler/passes/expand_squared_distance.h"
#include "compiler/passes/inference_form.h"
#include "compiler/passes/keep_old_values.h"
#include "compiler/passes/pool_first.h"
#include "compiler/passes/separate_results.h"
#include "compiler/passes/simplify.h"
#include "compiler/passes/two_axes.h"
#include "compiler/plan/choices_text.h"
#include "compiler/plan/plan.h"
#include "compiler/plan/roofline.h"
#include "compiler/support/host.h"
#include "runtime/abi/instance.h"

namespace emulsion {

namespace {

Graph checked(Graph graph) {
    verify(graph);
    return graph;
}

// The forward graph in the form that is differentiated.
Network prepared(const Network& network) {
    Network result = network;
    result.graph = checked(two_axes(network.graph));
    result.graph = checked(pool_first(result.graph));
    return result;
}

}  // namespace

// ---- The passes, in order ----

Graph training_graph(const Network& network, bool exact, int batch, bool update_at_once,
                     Choices* choices) {
    return optimized_step(checked(training_step(prepared(network))), exact, batch, update_at_once,
                          choices);
}

Graph optimized_step(const Graph& step, bool exact, int batch, bool update_at_once,
                     Choices* choices) {
    Graph graph = checked(expand_batch_norm(step));
    graph = checked(expand_group_norm(graph));
    graph = checked(expand_squared_distance(graph));
    graph = checked(simplify(graph));
    if (!exact) graph = checked(choose_winograd(graph, batch, choices));
    graph = checked(common_subexpressions(graph));
    return checked(separate_results(graph, update_at_once));
}

Graph device_training_graph(const Network& network, bool exact, int batch, bool update_at_once,
                            Choices* choices) {
    return checked(keep_old_values(training_graph(network, exact, batch, update_at_once, choices)));
}

Graph inference_graph(const Network& network, bool exact, int batch, Choices* choices) {
    Graph graph = checked(inference_form(prepared(network)));
    graph = checked(expand_group_norm(graph));
    graph = checked(expand_squared_distance(graph));
    graph = checked(simplify(graph));
    if (!exact) graph = checked(choose_winograd(graph, batch, choices));
    graph = checked(common_subexpressions(graph));
    return checked(separate_results(graph));
}

// ---- Plan and code ----

namespace {

std::vector<Isa> isas_of(const std::string& target) {
    if (target == "portable") return {isa_baseline(), isa_avx2(), isa_avx512()};
    if (target == "native") return {native_isa()};
    return {isa_named(target)};
}

PlanOptions plan_options(const BuildOptions& options, bool training) {
    PlanOptions plan;
    plan.training = training;
    plan.exact = options.exact;
    plan.update_at_once = training && options.update_at_once;
    if (training) plan.memory_budget = options.memory_budget;
    plan.batches = training ? std::vector<int>{options.batch} : options.infer_batches;
    if (options.threads > 0) plan.threads = options.threads;
    plan.records = options.records;
    plan.choices = options.choices;
    plan.isas = isas_of(options.target);
    plan.machine = options.machine;
    return plan;
}

// What is built for one of options.devices: graphs are exact, as Winograd is a matter of their
// recipes, and no record is of them.
BuildOptions device_build(const BuildOptions& options) {
    BuildOptions build = options;
    build.exact = true;
    build.records = nullptr;
    build.choices = nullptr;
    return build;
}

PlanOptions device_options(const BuildOptions& build, const Isa& isa, bool training) {
    PlanOptions plan = plan_options(build, training);
    plan.isas = {isa};
    return plan;
}

// A graph for each batch: how it computes depends on the batch.
struct OptimizedGraphs {
    std::vector<Graph> graphs;
    Choices choices;
};

OptimizedGraphs optimized_graphs(const Network& network, const BuildOptions& options,
                                 const PlanOptions& plan) {
    OptimizedGraphs result{{}, Choices(plan.choices, *plan.isas.at(0).family, plan.threads)};
    Choices* choices = &result.choices;
    for (int batch : plan.batches) {
        if (!plan.training) {
            result.graphs.push_back(inference_graph(network, options.exact, batch, choices));
            continue;
        }
        const auto graph = plan.isas[0].is_device() ? device_training_graph : training_graph;
        result.graphs.push_back(
            graph(network, options.exact, batch, options.update_at_once, choices));
    }
    return result;
}

Plan plan_of(const OptimizedGraphs& optimized, const RecipeLibrary& recipes,
             const PlanOptions& options) {
    Plan plan = make_plan(optimized.graphs, recipes, options);
    const std::vector<NodeChoice>& choices = optimized.choices.kept();
    plan.choices.insert(plan.choices.begin(), choices.begin(), choices.end());
    const std::vector<std::string> left_out = optimized.choices.left_out();
    plan.left_out.insert(plan.left_out.begin(), left_out.begin(), left_out.end());
    return plan;
}

// Those of options.devices, and what they ask of the tensors that all families share.
struct Devices {
    std::vector<const Isa*> isas;
    int64_t tensor_alignment = 0;
};

Devices devices_of(const BuildOptions& options) {
    Devices devices;
    for (const std::string& name : options.devices) {
        devices.isas.push_back(find_device_isa(name));
        EMU_CHECK(devices.isas.back() != nullptr, "'{}' is no kind of devices", name);
        devices.tensor_alignment =
            std::max(devices.tensor_alignment, devices.isas.back()->family->alignment);
    }
    return devices;
}

// `tensor_alignment`: as in PlanOptions.
Plan device_plan(const Network& network, const RecipeLibrary& recipes, const BuildOptions& options,
                 const Isa& isa, bool training, int64_t tensor_alignment = 0) {
    const BuildOptions build = device_build(options);
    PlanOptions device = device_options(build, isa, training);
    device.exact = options.exact;
    device.tensor_alignment = tensor_alignment;
    return plan_of(optimized_graphs(network, build, device), recipes, device);
}

}  // namespace

Plan plan_of(const Network& network, const RecipeLibrary& recipes, const BuildOptions& options,
             bool training) {
    const Devices devices = devices_of(options);
    PlanOptions processors = plan_options(options, training);
    processors.tensor_alignment = std::max(processors.tensor_alignment, devices.tensor_alignment);
    Plan plan = plan_of(optimized_graphs(network, options, processors), recipes, processors);
    for (const Isa* isa : devices.isas)
        add_variants(
            plan, device_plan(network, recipes, options, *isa, training, devices.tensor_alignment));
    return plan;
}

namespace {

// The build with `batch` for its largest.
BuildOptions smaller_build(const BuildOptions& options, int batch) {
    BuildOptions build = options;
    build.batch = batch;
    std::erase_if(build.infer_batches, [&](int each) { return each >= batch; });
    build.infer_batches.push_back(batch);
    return build;
}

// What builds for the powers of two below the batch would take of a device. Only a plan tells:
// fusion, recipes, scratch and what lives at once depend on the batch.
void add_smaller_batches(Plan& plan, const Network& network, const RecipeLibrary& recipes,
                         const BuildOptions& options) {
    const Devices devices = devices_of(options);
    for (VariantPlan& variant : plan.variants) {
        if (!variant.isa.is_device()) continue;
        for (int batch = 1; batch < variant.batches.back().batch; batch *= 2) {
            const Plan smaller = device_plan(network, recipes, smaller_build(options, batch),
                                             variant.isa, plan.training, devices.tensor_alignment);
            const auto bytes = device_bytes(smaller, smaller.variants[0]);
            variant.smaller.push_back({batch,
                                       std::accumulate(bytes.begin(), bytes.end(), int64_t{0}),
                                       *std::max_element(bytes.begin(), bytes.end())});
        }
    }
}

struct Compiled {
    Plan plan;
    std::vector<VariantKernels> kernels;
};

// The plan of a library that is built.
Compiled planned(const Network& network, const RecipeLibrary& recipes, const BuildOptions& options,
                 bool training) {
    Compiled compiled{plan_of(network, recipes, options, training), {}};
    add_smaller_batches(compiled.plan, network, recipes, options);
    return compiled;
}

void compile_plan(Compiled& compiled, const RecipeLibrary& recipes, const BuildOptions& options) {
    KernelOptions kernel_options;
    kernel_options.checked = options.checked;
    kernel_options.use_cache = options.cache;
    kernel_options.processes = options.jobs;
    for (const VariantPlan& variant : compiled.plan.variants) {
        compiled.kernels.push_back(
            compile_kernels(variant.kernels, variant.isa, recipes, kernel_options));
    }
}

void add_library(Products& products, const Library& library) {
    products.add(library.name + ".a", library.archive);
    products.add(library.name + ".h", library.header);
    products.add(library.name + ".json", library.manifest);
}

void add_program(Products& products, const std::string& name, const std::string& object,
                 const std::vector<std::string>& archives) {
    products.add(name, link_program(name, object, archives), /*executable=*/true);
}

void add_notes(Artifact& artifact, const Plan& plan) {
    const char* direction = plan.training ? "training" : "inference";
    for (const std::string& sentence : slow_kernels(plan))
        artifact.notes.push_back(fmt::format("{}: {}", direction, sentence));
    for (const VariantPlan& variant : plan.variants) {
        if (variant.budget.empty()) continue;
        artifact.notes.push_back(
            fmt::format("{} on {}: {}", direction, variant.isa.name, variant.budget));
    }
    for (const std::string& sentence : plan.left_out)
        artifact.notes.push_back(fmt::format("{}: {}", direction, sentence));
}

}  // namespace

Artifact build(const Network& network, const RecipeLibrary& recipes, const BuildOptions& options) {
    verify_network(network);
    std::optional<Network> seen;  // what --saliency adds
    if (options.saliency) seen = input_gradients(network);
    std::filesystem::path folder = options.output;
    for (bool training : {true, false})
        prepare_output_folder(folder, library_name(network, training), network.name);
    if (seen) prepare_output_folder(folder, library_name(*seen, /*training=*/false), seen->name);
    // All plans come first: what is wrong with the network is said before anything is compiled.
    std::optional<Compiled> train;
    if (is_trained(network)) train = planned(network, recipes, options, /*training=*/true);
    Compiled infer = planned(network, recipes, options, /*training=*/false);
    std::optional<Compiled> saliency;
    if (seen) saliency = planned(*seen, recipes, options, /*training=*/false);
    std::optional<Library> train_library, saliency_library;
    if (train) {
        compile_plan(*train, recipes, options);
        train_library = make_library(network, train->plan, train->kernels);
    }
    compile_plan(infer, recipes, options);
    const Library infer_library = make_library(network, infer.plan, infer.kernels);
    if (saliency) {
        compile_plan(*saliency, recipes, options);
        saliency_library = make_library(*seen, saliency->plan, saliency->kernels);
    }
    Products products(folder);
    if (train) add_library(products, *train_library);
    add_library(products, infer_library);
    if (saliency_library) add_library(products, *saliency_library);
    if (options.programs && train) {
        add_program(products, network.name + "-train",
                    train_program_object(network, train->plan, infer.plan),
                    {train_library->archive, infer_library.archive});
    }
    if (options.programs) {
        std::vector<std::string> archives = {infer_library.archive};
        if (saliency_library) archives.push_back(saliency_library->archive);
        add_program(products, network.name + "-infer",
                    infer_program_object(network, infer.plan, seen ? &*seen : nullptr), archives);
    }
    Artifact artifact;
    if (train) add_notes(artifact, train->plan);
    add_notes(artifact, infer.plan);
    artifact.files = products.put_in_place();
    return artifact;
}

namespace {

std::string show_kernels(const Plan& plan, const RecipeLibrary& recipes, const std::string& stage) {
    std::string text;
    for (const VariantPlan& variant : plan.variants) {
        for (size_t i = 0; i < variant.kernels.size(); i++) {
            text += fmt::format("# {} k{} {}\n", plan.training ? "training" : "inference", i,
                                variant.kernels[i].identity(variant.isa));
            text += show_kernel(variant.kernels[i], variant.isa, recipes, stage);
        }
    }
    return text;
}

std::string print_graphs(const Network& network, const BuildOptions& options,
                         const PlanOptions& plan) {
    const OptimizedGraphs optimized = optimized_graphs(network, options, plan);
    std::string text;
    for (size_t i = 0; i < optimized.graphs.size(); i++) {
        if (optimized.graphs.size() > 1)
            text += fmt::format("# batch {}\n", options.infer_batches[i]);
        text += print(optimized.graphs[i]);
    }
    return text;
}

std::string show_one(const Network& network, const RecipeLibrary& recipes, const std::string& stage,
                     const BuildOptions& options, bool training) {
    if (stage == "optimized") {
        std::string text = print_graphs(network, options, plan_options(options, training));
        if (options.devices.empty()) return text;
        const BuildOptions build = device_build(options);
        return text + fmt::format("# {}\n", fmt::join(options.devices, ", ")) +
               print_graphs(network, build,
                            device_options(build, *find_device_isa(options.devices[0]), training));
    }
    if (stage != "llvm") {
        const Plan plan = plan_of(network, recipes, options, training);
        if (stage == "plan") return print(plan);
        if (stage == "choices") return print_choices(plan);
        return show_kernels(plan, recipes, stage);
    }
    Compiled compiled = planned(network, recipes, options, training);
    compile_plan(compiled, recipes, options);
    return library_ir(network, compiled.plan, compiled.kernels);
}

}  // namespace

std::string show(const Network& network, const RecipeLibrary& recipes, std::string_view stage,
                 const BuildOptions& options) {
    const std::string name(stage);
    verify_network(network);
    if (name == "graph") return print(network);
    for (const char* known : {"optimized", "plan", "choices", "loops", "stmt", "llvm", "asm"}) {
        if (name == known) {
            std::string text;
            if (is_trained(network))
                text = show_one(network, recipes, name, options, /*training=*/true);
            return text + show_one(network, recipes, name, options, /*training=*/false);
        }
    }
    fail("stage", fmt::format("unknown stage '{}'", name),
         "the stages are graph, optimized, plan, choices, loops, stmt, llvm, asm");
}

std::string show_roofline(const Network& network, const RecipeLibrary& recipes,
                          const std::string& profile_file, const BuildOptions& options) {
    verify_network(network);
    const Profile profile = read_profile(profile_file);
    if (const std::string signature = network_signature(network); signature != profile.signature) {
        fail("profile",
             fmt::format("'{}' was measured on the network '{}' of signature {}, but the model is "
                         "'{}' of signature {}",
                         profile_file, profile.network, profile.signature, network.name, signature),
             "name the model that the program was built from, or build and profile it anew");
    }
    BuildOptions build = options;
    const Isa* device = find_device_isa(profile.variant);
    if (device == nullptr) build.target = profile.variant;
    build.devices.clear();
    build.threads = profile.planned_threads;
    build.batch = profile.calls[0].batch;
    build.infer_batches.clear();
    for (const ProfiledCall& call : profile.calls) build.infer_batches.push_back(call.batch);
    std::sort(build.infer_batches.begin(), build.infer_batches.end());
    const Plan plan = device == nullptr
                          ? plan_of(network, recipes, build, profile.training)
                          : device_plan(network, recipes, build, *device, profile.training);
    return roofline_text(plan, profile);
}

}  // namespace emulsion
