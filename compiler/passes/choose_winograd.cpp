// The rewrite of one conv2d node.
#include "compiler/passes/choose_winograd.h"

#include <fmt/ranges.h>

#include <array>

#include "compiler/ops/conv2d.h"
#include "compiler/ops/winograd.h"
#include "compiler/passes/rewriter.h"

namespace emulsion {

namespace {

constexpr std::array<int64_t, 2> kTiles = {2, 4};

// Positions of a batch below which a form is slower than direct convolution, or than the same over
// fewer points. What it saves in multiply-adds it must not lose in reading the filter, which grows
// from 36 to 144 bytes for each pair of channels over 6 points and to 64 over 4 (5x5: from 100 to
// 144). On two cores at 20 GB/s, direct 3x3 is level with 4 points at some 60 to 80 positions and 4
// points with 6 at some 400; on faster memory earlier: one sample of 256 channels on 14x14 takes
// 0.48 ms direct, 0.29 over 4 points and 0.27 over 6 on two Zen 5 cores, of 512 on 7x7 0.53, 0.45
// and 0.58.
int64_t fewest_positions(int64_t tile, int64_t kernel) {
    if (kernel == 5) return 48;
    return tile == 4 ? 256 : 96;
}

// The tile that needs fewest products, at most two thirds of those of direct convolution; 0 where
// none does. Of two that need the same, as on maps of 5 and 6, the smaller has the cheaper
// transforms: 64 samples of 256 channels on 6x6 take 5.3 ms instead of 6.0 (Zen 5, one core).
int64_t choose_tile(int64_t kernel, int64_t height, int64_t width, int batch) {
    const int64_t positions = height * width;
    int64_t best = 0, fewest = positions * kernel * kernel * 2 / 3 + 1;
    for (int64_t tile : kTiles) {
        if (!has_winograd(tile, kernel)) continue;
        if (positions * batch < fewest_positions(tile, kernel)) continue;
        const int64_t count = winograd_products(tile, kernel, height, width);
        if (count < fewest) best = tile, fewest = count;
    }
    return best;
}

// `w` is O, I, KH, KW.
bool fits(const Conv2d& conv, const std::vector<int64_t>& w) {
    const std::vector<int64_t> one = {1, 1};
    return w.size() == 4 && w[2] == w[3] && conv.stride == one && conv.dilation == one &&
           conv.groups == 1 && w[0] % kBlock == 0 && w[1] % kBlock == 0;
}

std::string method_of(int64_t tile) {
    return tile == 0 ? "direct" : fmt::format("winograd{}", tile);
}

// 0 where the node stays.
int64_t tile_of(const Graph& graph, int index, int batch, Choices* choices) {
    const auto* conv = graph.op_as<Conv2d>(index);
    if (conv == nullptr) return 0;
    const Node& node = graph.node(index);
    const std::vector<int64_t>& w = graph.type(node.inputs[1]).shape;
    const std::vector<int64_t>& out = node.types[0].shape;  // O, OH, OW
    const int64_t own = fits(*conv, w) ? choose_tile(w[2], out[1], out[2], batch) : 0;
    if (choices == nullptr) return own;
    const std::string method = choices->decide(graph, index, batch, Decision::method,
                                               method_of(own), methods_of(graph, index));
    for (const int64_t tile : kTiles) {
        if (method == method_of(tile)) return tile;
    }
    return 0;
}

}  // namespace

std::vector<std::string> methods_of(const Graph& graph, int node) {
    const auto* conv = graph.op_as<Conv2d>(node);
    if (conv == nullptr) return {};
    const std::vector<int64_t>& w = graph.type(graph.node(node).inputs[1]).shape;
    std::vector<std::string> methods = {method_of(0)};
    for (const int64_t tile : kTiles) {
        if (fits(*conv, w) && has_winograd(tile, w[2])) methods.push_back(method_of(tile));
    }
    return methods;
}

Graph choose_winograd(const Graph& graph, int batch, Choices* choices) {
    return rewrite(graph, [&](Rewriter& r, int index) {
        const int64_t tile = tile_of(r.from(), index, batch, choices);
        if (tile == 0) return false;
        const auto* conv = r.from().op_as<Conv2d>(index);
        const Node& node = r.from().node(index);
        Value filter = r.add("winograd_filter", fmt::format("{{tile={}}}", tile),
                             {r.at(node.inputs[1])}, node.name + ".transformed", node.where);
        std::string attributes =
            fmt::format("{{tile={}, padding=[{}]}}", tile, fmt::join(conv->padding, ","));
        r.replace(index, 0,
                  r.add("winograd_conv2d", attributes, {r.at(node.inputs[0]), filter}, node.name,
                        node.where));
        return true;
    });
}

}  // namespace emulsion
