// Lines, places and operands of filter gradients.
#include "schedules/gpu/product/gradient_lines.h"

#include "compiler/graph/limits.h"
#include "compiler/ops/conv2d.h"
#include "compiler/ops/window_lowering.h"
#include "schedules/common/anchor.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;

namespace {

constexpr int kLanes = static_cast<int>(kBlock);
constexpr int kShortRow = 7;    // shorter rows are cut into lines without regard to them
constexpr int kLine = 16;       // positions of such a line
constexpr int kLongRow = 14;    // of shorter ones, several are a line
constexpr int kShortRows = 28;  // positions of them, at most
constexpr int kPiece = 16;      // of a line, staged at once, at most

// Channel `index` of the group among those of all, each of so many; one beyond them repeats some.
Expr channel_of(int groups, const Expr& group, int each, const Expr& index) {
    const Expr own = channel_in(index, each);
    return groups == 1 ? own : group * each + own;
}

}  // namespace

bool FilterGradient::has_rows() const { return width >= kShortRow; }

int FilterGradient::rows() const { return width < kLongRow ? kShortRows / width : 1; }

int FilterGradient::line() const { return has_rows() ? width * rows() : kLine; }

int64_t FilterGradient::lines(int samples) const {
    if (has_rows()) return (int64_t{samples} * height + rows() - 1) / rows();
    return (int64_t{samples} * width * height + kLine - 1) / kLine;
}

int FilterGradient::piece() const {
    if (rows() > 1 && has_rows()) return line();
    int piece = 1;
    for (int value = 2; value <= kPiece; value++)
        if (line() % value == 0) piece = value;
    return piece < 8 ? kPiece : piece;
}

Tiling FilterGradient::tiling(BlockTile tile, int parts, int samples) const {
    if (parts == lines(samples) && tile.bk >= line() && tile.bk % 2 == 0) tile.bk /= 2;
    Tiling tiling = to_tiling(tile);
    tiling.values.emplace_back("parts", parts);
    return tiling;
}

LinePlace FilterGradient::place(const Expr& i, const Expr& line_index, const Expr& samples,
                                bool has_tail) const {
    if (has_rows()) {
        const Expr in_line = has_tail ? Halide::min(i, line() - 1) : i;
        const Expr row = line_index * rows() + in_line / width, count = samples * height;
        const Expr is_there = has_tail ? row < count && i < line() : row < count;
        const Expr safe = Halide::min(row, count - 1);
        return {in_line % width, safe % height, safe / height, is_there};
    }
    const int area = width * height;
    const Expr position = line_index * kLine + i, is_there = position < samples * area;
    const Expr p = Halide::min(position, samples * area - 1);
    return {p % width, p / width % height, p / area, is_there};
}

Expr FilterGradient::dy(const KernelContext& context, const Expr& o, const LinePlace& at,
                        const Expr& group) const {
    const Func gradient = context.operand(1);
    const bool fits = outputs % kLanes == 0;
    const Expr channel = channel_of(groups, group, outputs, o);
    const Expr is_there = fits ? at.is_there : at.is_there && o < outputs;
    const bool is_map = context.group().anchor_input(1).shape.size() == 3;
    return value_or_zero(is_there,
                         is_map ? gradient(channel, at.x, at.y, at.n) : gradient(channel, at.n));
}

Expr FilterGradient::x(const KernelContext& context, const Expr& c, const Expr& kx, const Expr& ky,
                       const LinePlace& at, const Expr& group) const {
    const Func map = context.operand(0);
    const Expr channel = channel_of(groups, group, inputs, c);
    const auto* conv = anchor_as<Conv2dBackwardFilter>(context.group());
    if (conv == nullptr) return map(channel, at.n);
    const std::vector<int64_t>& shape = context.group().anchor_input(0).shape;
    const Window window = conv->window(conv->kernel[0], conv->kernel[1]);
    const Position px = tap_position(window, 1, shape[2], at.x, kx);
    const Position py = tap_position(window, 0, shape[1], at.y, ky);
    return value_or_zero(px.inside && py.inside, map(channel, px.at, py.at, at.n));
}

FilterGradient filter_gradient_of(const Group& group) {
    const std::vector<int64_t>& x = group.anchor_input(0).shape;
    const std::vector<int64_t>& dy = group.anchor_input(1).shape;
    FilterGradient g;
    if (const auto* conv = anchor_as<Conv2dBackwardFilter>(group)) {
        g.taps_h = to_int(conv->kernel[0]);
        g.taps_w = to_int(conv->kernel[1]);
        g.height = to_int(dy[1]);
        g.width = to_int(dy[2]);
        g.groups = to_int(conv->groups);
    }
    g.outputs = to_int(dy[0]) / g.groups;
    g.inputs = to_int(x[0]) / g.groups;
    return g;
}

}  // namespace emulsion
