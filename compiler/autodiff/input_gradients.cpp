// See input_gradients.h.
#include "compiler/autodiff/input_gradients.h"

#include <fmt/format.h>

#include "compiler/autodiff/differentiate.h"
#include "compiler/ops/registry.h"
#include "compiler/ops/sources.h"
#include "compiler/passes/inference_form.h"
#include "compiler/passes/two_axes.h"

namespace emulsion {

namespace {

// The first input, which is the picture.
int find_picture(const Graph& graph) {
    for (int i = 0; i < static_cast<int>(graph.nodes().size()); i++)
        if (graph.op_as<Input>(i) != nullptr) return i;
    return -1;
}

// For each node, whether it depends on `source` and each op between them has a gradient.
std::vector<bool> smooth_from(const Graph& graph, int source) {
    const auto count = graph.nodes().size();
    std::vector<bool> depends(count, false), is_smooth(count, true);
    depends[static_cast<size_t>(source)] = true;
    for (size_t i = 0; i < count; i++) {
        const Node& node = graph.nodes()[i];
        for (Value input : node.inputs) {
            const auto from = static_cast<size_t>(input.node);
            if (!depends[from]) continue;
            depends[i] = true;
            is_smooth[i] =
                is_smooth[i] && is_smooth[from] && find_op(node.op->kind())->has_gradient;
        }
    }
    for (size_t i = 0; i < count; i++) is_smooth[i] = is_smooth[i] && depends[i];
    return is_smooth;
}

bool is_probability(std::string_view output) {
    return output == "probabilities" || output.ends_with(".probabilities");
}

// A vector or map of each sample.
bool has_units(const TensorType& type) {
    const size_t rank = type.shape.size();
    return type.element == ElementType::f32 && type.batched && (rank == 1 || rank == 3);
}

[[noreturn]] void refuse(const Network& network, const std::string& problem,
                         const std::string& fix) {
    fail("saliency",
         fmt::format("network '{}' has no gradient with respect to its picture: {}", network.name,
                     problem),
         fix);
}

}  // namespace

Network input_gradients(const Network& network) {
    Network axes = network;
    axes.graph = two_axes(network.graph);
    const Graph forward = inference_form(axes);
    const int picture = find_picture(forward);
    if (forward.type({picture, 0}).element != ElementType::f32)
        refuse(network, fmt::format("its input '{}' holds indices", forward.node(picture).name),
               "build it without --saliency");
    const std::vector<bool> is_smooth = smooth_from(forward, picture);
    GraphBuilder builder(forward);
    std::vector<Seed> seeds;
    for (const Result& result : forward.results()) {
        const TensorType type = forward.type(result.value);
        const bool is_reached = is_smooth[static_cast<size_t>(result.value.node)];
        if (!is_reached || !has_units(type) || is_probability(result.name)) continue;
        const std::string name = builder.unique_name(result.name + ".seed");
        seeds.push_back({result.value, builder.add(std::make_shared<Input>(type), {}, name)});
    }
    if (seeds.empty())
        refuse(network, "no output that is a vector or a map follows from it by ops with gradients",
               "add m.output(name, tensor) for a map of the model, or build it without --saliency");
    const std::pair<const char*, RectifierRule> rules[] = {
        {"gradient", RectifierRule::gradient},
        {"guided", RectifierRule::guided},
        {"deconvolution", RectifierRule::deconvolution}};
    for (const auto& [name, rule] : rules)
        builder.output(name, differentiate(builder, seeds, {picture}, rule)[0]);
    Network result;
    result.name = network.name + "-saliency";
    result.normalization = network.normalization;
    result.graph = remove_dead_nodes(builder.build());
    verify(result.graph);
    return result;
}

}  // namespace emulsion
