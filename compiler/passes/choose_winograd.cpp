// The rewrite of one conv2d node.
#include "compiler/passes/choose_winograd.h"

#include <fmt/ranges.h>

#include "compiler/ops/conv2d.h"
#include "compiler/ops/winograd.h"
#include "compiler/passes/rewriter.h"

namespace emulsion {

namespace {

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
    for (int64_t tile : {2, 4}) {
        if (!has_winograd(tile, kernel)) continue;
        if (positions * batch < fewest_positions(tile, kernel)) continue;
        const int64_t count = winograd_products(tile, kernel, height, width);
        if (count < fewest) best = tile, fewest = count;
    }
    return best;
}

// 0 where the node stays.
int64_t tile_of(const Graph& graph, const Node& node, const Conv2d& conv, int batch) {
    const std::vector<int64_t>& w = graph.type(node.inputs[1]).shape;  // O, I, KH, KW
    const std::vector<int64_t>& out = node.types[0].shape;             // O, OH, OW
    const std::vector<int64_t> one = {1, 1};
    const bool fits = w[2] == w[3] && conv.stride == one && conv.dilation == one &&
                      w[0] % kBlock == 0 && w[1] % kBlock == 0;
    return fits ? choose_tile(w[2], out[1], out[2], batch) : 0;
}

}  // namespace

Graph choose_winograd(const Graph& graph, int batch) {
    return rewrite(graph, [batch](Rewriter& r, int index) {
        const auto* conv = r.from().op_as<Conv2d>(index);
        const Node& node = r.from().node(index);
        const int64_t tile = conv == nullptr ? 0 : tile_of(r.from(), node, *conv, batch);
        if (tile == 0) return false;
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
