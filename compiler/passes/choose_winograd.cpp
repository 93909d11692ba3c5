// The rewrite of one conv2d node.
#include "compiler/passes/choose_winograd.h"

#include <fmt/ranges.h>

#include "compiler/ops/conv2d.h"
#include "compiler/passes/rewriter.h"

namespace emulsion {

namespace {

// The tile of a filter size; 0 where there is none.
int64_t tile_of(const std::vector<int64_t>& w) {
    if (w[2] != w[3]) return 0;
    return w[2] == 3 ? 4 : w[2] == 5 ? 2 : 0;
}

// Positions of a batch below which direct convolution is faster. A 3x3 filter grows from 36 to 144
// bytes for each pair of channels and saves 6.75 multiply-adds a position, a 5x5 one from 100 to 144
// and 16: reading is level with computing at some 80 and 15 positions, products in few tiles run at
// a third of the peak.
int64_t fewest_positions(int64_t tile) { return tile == 4 ? 256 : 48; }

bool pays(const Graph& graph, const Node& node, const Conv2d& conv, int batch) {
    const std::vector<int64_t>& w = graph.type(node.inputs[1]).shape;  // O, I, KH, KW
    const std::vector<int64_t>& out = node.types[0].shape;             // O, OH, OW
    const std::vector<int64_t> one = {1, 1};
    int64_t tile = tile_of(w);
    return tile > 0 && conv.stride == one && conv.dilation == one && w[0] % kBlock == 0 &&
           w[1] % kBlock == 0 && out[1] >= tile && out[2] >= tile &&
           out[1] * out[2] * batch >= fewest_positions(tile);
}

}  // namespace

Graph choose_winograd(const Graph& graph, int batch) {
    return rewrite(graph, [batch](Rewriter& r, int index) {
        const auto* conv = r.from().op_as<Conv2d>(index);
        const Node& node = r.from().node(index);
        if (conv == nullptr || !pays(r.from(), node, *conv, batch)) return false;
        int64_t tile = tile_of(r.from().type(node.inputs[1]).shape);
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
