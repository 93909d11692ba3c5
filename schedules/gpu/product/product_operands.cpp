// Shapes, coordinates and borders of the operands of products.
#include "schedules/gpu/product/product_operands.h"

#include <fmt/format.h>

#include "compiler/graph/limits.h"
#include "compiler/ops/conv2d.h"
#include "compiler/ops/dense.h"
#include "schedules/common/anchor.h"
#include "schedules/common/group_work.h"
#include "schedules/gpu/common/elements.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;

namespace {

constexpr int kLanes = static_cast<int>(kBlock);

// Of the map that a thread stages for a piece. With several taps each vector has a place of its own
// to keep while all are on their way: ptxas spills what 16 of them leave over.
constexpr int kMostStaged = 12;

bool is_conv(const Group& group) {
    return anchor_as<Conv2d>(group) != nullptr || anchor_as<Conv2dBackwardData>(group) != nullptr;
}

}  // namespace

Product product_of(const Group& group) {
    const std::vector<int64_t>& x = group.anchor_input(0).shape;
    const std::vector<int64_t>& w = group.anchor_input(1).shape;
    const std::vector<int64_t>& y = group.anchor_output().shape;
    Product product;
    if (const auto* conv = anchor_as<ConvAttributes>(group)) product.groups = to_int(conv->groups);
    product.m = to_int(y[0]) / product.groups;
    product.channels = to_int(x[0]) / product.groups;
    if (y.size() == 3) {
        product.height = to_int(y[1]);
        product.width = to_int(y[2]);
        product.taps_h = to_int(w[2]);
        product.taps_w = to_int(w[3]);
    }
    const auto* gradient = anchor_as<Conv2dBackwardData>(group);
    if (anchor_as<DenseBackwardData>(group) != nullptr ||
        (gradient != nullptr && !gradient->rotated)) {
        product.panel = Panel::rows;
    }
    return product;
}

bool is_product(const Group& group) {
    if (is_conv(group)) return anchor_as<ConvAttributes>(group)->groups == 1;
    return anchor_as<Dense>(group) != nullptr || anchor_as<DenseBackwardData>(group) != nullptr;
}

bool is_grouped_product(const Group& group) {
    return is_conv(group) && anchor_as<ConvAttributes>(group)->groups > 1;
}

// A piece near 16 that leaves nothing over, in whole vectors where there is one.
int piece_of(int reduction) {
    for (int piece : {16, 12, 8})
        if (reduction % piece == 0) return piece;
    int piece = 1;
    for (int value = 2; value <= 16; value++)
        if (reduction % value == 0) piece = value;
    return piece < 8 && reduction > 16 ? 16 : piece;
}

int looping_piece(int channels, int taps) {
    const int piece = piece_of(channels);
    const bool is_loop = piece < channels || taps > 1;
    return !is_loop && piece > 8 && piece % 2 == 0 ? piece / 2 : piece;
}

std::string staging_clash(const Product& product, const BlockTile& tile) {
    const int vectors = (tile.bk + kDeviceVector - 1) / kDeviceVector * tile.bp;
    const int staged = (vectors + tile.threads() - 1) / tile.threads();
    if (product.taps_w * product.taps_h == 1 || staged <= kMostStaged) return "";
    return fmt::format("a thread stages {} vectors of the map, but {} at most", staged,
                       kMostStaged);
}

Expr Operands::of_all(const Expr& channel, int each) const {
    if (product_.groups == 1) return channel;
    return group_ * each + channel_in(channel, each);
}

Expr Operands::filter(const Expr& m, const Expr& c, const Expr& kx, const Expr& ky) const {
    const Func w = context_.operand(1);
    const bool has_blocks_of_results = product_.panel == Panel::vectors;
    // Results beyond the last block repeat it and are not stored.
    const int each = has_blocks_of_results ? product_.m : product_.channels;
    const Expr blocked = of_all(has_blocks_of_results ? m : c, each);
    const Expr plain = has_blocks_of_results ? c : m;
    const int blocks = divide_up(each * product_.groups, kLanes);
    const int last = (has_blocks_of_results ? product_.channels : product_.m) - 1;
    std::vector<Expr> at = {blocked % kLanes, Halide::min(plain, last)};
    if (is_map()) {
        const auto* gradient = anchor_as<Conv2dBackwardData>(context_.group());
        const bool is_rotated = gradient != nullptr && gradient->rotated;
        at.push_back(is_rotated ? product_.taps_w - 1 - kx : kx);
        at.push_back(is_rotated ? product_.taps_h - 1 - ky : ky);
    }
    at.push_back(Halide::min(blocked / kLanes, blocks - 1));
    return w(at);
}

Expr Operands::map(const Expr& p, const Expr& c, const Expr& kx, const Expr& ky,
                   bool has_tail) const {
    if (!is_map()) {
        const Func x = context_.operand(0);
        const Expr channel = has_tail ? channel_in(c, product_.channels) : c;
        return value_or_zero(has_tail ? c < product_.channels : Halide::Internal::const_true(),
                             x(channel, sample(p)));
    }
    return map_at(c, position(1, p % product_.width, kx),
                  position(0, p / product_.width % product_.height, ky), sample(p), has_tail);
}

Expr Operands::map_at(const Expr& c, const Position& x, const Position& y, const Expr& n,
                      bool has_tail) const {
    const Expr channel = of_all(has_tail ? channel_in(c, product_.channels) : c, product_.channels);
    const Expr in_reduction = has_tail ? c < product_.channels : Halide::Internal::const_true();
    return value_or_zero(x.inside && y.inside && in_reduction,
                         context_.operand(0)(channel, x.at, y.at, n));
}

std::vector<Expr> Operands::result_at(const Expr& m, const Expr& p) const {
    if (!is_map()) return {m, p};
    const int area = product_.width * product_.height;
    return {of_all(m, product_.m), p % product_.width, p / product_.width % product_.height,
            p / area};
}

// Positions beyond the last sample repeat it and are not stored.
Expr Operands::sample(const Expr& p) const {
    return Halide::min(p / (product_.width * product_.height), context_.samples() - 1);
}

Position Operands::position(int axis, const Expr& at, const Expr& tap) const {
    const Group& group = context_.group();
    const std::vector<int64_t>& x = group.anchor_input(0).shape;
    const std::vector<int64_t>& w = group.anchor_input(1).shape;
    const auto index = static_cast<size_t>(axis + 1);
    if (const auto* forward = anchor_as<Conv2d>(group))
        return tap_position(forward->window(w[2], w[3]), axis, x[index], at, tap);
    const auto* gradient = anchor_as<Conv2dBackwardData>(group);
    return reader_position(gradient->window(w[2], w[3]), axis, x[index], at, tap);
}

}  // namespace emulsion
