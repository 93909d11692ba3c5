// The operands of a product, and its schedule.
#include "schedules/gpu/product/gpu_product.h"

#include "compiler/graph/limits.h"
#include "compiler/ops/conv2d.h"
#include "compiler/ops/dense.h"
#include "compiler/ops/window_lowering.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/common/anchor.h"
#include "schedules/common/group_work.h"
#include "schedules/gpu/common/elements.h"
#include "schedules/gpu/product/block_product.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::RVar;
using Halide::Var;

namespace {

constexpr int kLanes = static_cast<int>(kBlock);

// A product seen from its result.
struct Product {
    int m = 0;                     // channels of the result
    int width = 1, height = 1;     // positions of one sample
    int channels = 0;              // of the operand: the reduction's first axis
    int taps_w = 1, taps_h = 1;    // its others
    Panel panel = Panel::vectors;  // of the filter
    int64_t positions(int batch) const { return int64_t{width} * height * batch; }
    double multiply_adds(int batch) const {
        return 1.0 * m * channels * taps_w * taps_h * static_cast<double>(positions(batch));
    }
};

Product product_of(const Group& group) {
    const std::vector<int64_t>& x = group.anchor_input(0).shape;
    const std::vector<int64_t>& w = group.anchor_input(1).shape;
    const std::vector<int64_t>& y = group.anchor_output().shape;
    Product product;
    product.m = to_int(y[0]);
    product.channels = to_int(x[0]);
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
    return anchor_as<Conv2d>(group) != nullptr || anchor_as<Conv2dBackwardData>(group) != nullptr ||
           anchor_as<Dense>(group) != nullptr || anchor_as<DenseBackwardData>(group) != nullptr;
}

// The operands at their place in the product.
class Operands {
  public:
    Operands(const KernelContext& context, const Product& product)
        : context_(context), product_(product) {}

    // The filter's value for result channel m and step (c, kx, ky) of the reduction.
    Expr filter(const Expr& m, const Expr& c, const Expr& kx, const Expr& ky) const {
        const Func w = context_.operand(1);
        const bool has_blocks_of_results = product_.panel == Panel::vectors;
        // Results beyond the last block repeat it and are not stored.
        const Expr blocked = has_blocks_of_results ? m : c, plain = has_blocks_of_results ? c : m;
        const int blocks =
            divide_up(has_blocks_of_results ? product_.m : product_.channels, kLanes);
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

    // The map's value for position p, zero outside its border and beyond its last channel.
    Expr map(const Expr& p, const Expr& c, const Expr& kx, const Expr& ky, bool has_tail) const {
        const Func x = context_.operand(0);
        const Expr channel = has_tail ? Halide::min(c, product_.channels - 1) : c;
        const Expr in_reduction = has_tail ? c < product_.channels : Halide::Internal::const_true();
        if (!is_map()) return value_or_zero(in_reduction, x(channel, sample(p)));
        const Position px = position(1, p % product_.width, kx);
        const Position py = position(0, p / product_.width % product_.height, ky);
        return value_or_zero(px.inside && py.inside && in_reduction,
                             x(channel, px.at, py.at, sample(p)));
    }

    // Memory coordinates of the result.
    std::vector<Expr> result_at(const Expr& m, const Expr& p) const {
        if (!is_map()) return {m, p};
        const int area = product_.width * product_.height;
        return {m, p % product_.width, p / product_.width % product_.height, p / area};
    }

  private:
    bool is_map() const { return context_.group().anchor_output().shape.size() == 3; }

    // Positions beyond the last sample repeat it and are not stored.
    Expr sample(const Expr& p) const {
        return Halide::min(p / (product_.width * product_.height), context_.samples() - 1);
    }

    Position position(int axis, const Expr& at, const Expr& tap) const {
        const Group& group = context_.group();
        const std::vector<int64_t>& x = group.anchor_input(0).shape;
        const std::vector<int64_t>& w = group.anchor_input(1).shape;
        const auto index = static_cast<size_t>(axis + 1);
        if (const auto* forward = anchor_as<Conv2d>(group))
            return tap_position(forward->window(w[2], w[3]), axis, x[index], at, tap);
        const auto* gradient = anchor_as<Conv2dBackwardData>(group);
        return reader_position(gradient->window(w[2], w[3]), axis, x[index], at, tap);
    }

    const KernelContext& context_;
    const Product& product_;
};

// A piece near 16 that leaves nothing over, in whole vectors where there is one.
int piece_of(int reduction) {
    for (int piece : {16, 12, 8})
        if (reduction % piece == 0) return piece;
    int piece = 1;
    for (int value = 2; value <= 16; value++)
        if (reduction % value == 0) piece = value;
    return piece < 8 && reduction > 16 ? 16 : piece;
}

// Whether the last piece of the reduction is only partly in it.
bool has_tail(const Product& product, const BlockTile& tile) {
    return product.channels % tile.bk != 0;
}

}  // namespace

bool GpuProduct::applies(const Group& group, const Isa&) const {
    if (!is_product(group) || !has_one_shape(group)) return false;
    if (group.epilogue_window() != std::vector<int64_t>{1, 1}) return false;
    const TensorType& result = group.body.type(group.body.results()[0].value);
    return result.batched && result.shape == group.anchor_output().shape;
}

TilingSpace GpuProduct::space(const Group& group, const Isa&) const {
    return block_space(product_of(group).channels);
}

std::string GpuProduct::clash(const Group&, const Tiling& tiling, const Isa& isa) const {
    return block_clash(block_tile(tiling), isa);
}

std::vector<Tiling> GpuProduct::tilings(const Group& group, const Isa& isa) const {
    const Product product = product_of(group);
    return block_tilings(product.m, product.positions(group.batch), 1, piece_of(product.channels),
                         isa);
}

double GpuProduct::cost(const Group& group, const Tiling& tiling, const Isa&,
                        const Machine& machine) const {
    const Product product = product_of(group);
    const double efficiency =
        block_efficiency(block_tile(tiling), product.m, product.positions(group.batch), 1);
    return kLaunchSeconds + traffic_bytes(group) / (machine.bandwidth_gbs * 1e9) +
           2 * product.multiply_adds(group.batch) / (machine.fma_gflops * 1e9 * efficiency);
}

std::vector<Func> GpuProduct::build(KernelContext& context, const Tiling& tiling) const {
    const Group& group = context.group();
    const Product product = product_of(group);
    const BlockTile tile = block_tile(tiling);
    const Operands operands(context, product);
    const bool is_tail = has_tail(product, tile);

    // Algorithm.
    const Var m("m"), p("p"), c("c"), kx("kx"), ky("ky");
    Func a("a"), ar("ar"), b("b"), br("br"), acc("acc"), out("out");
    const bool by_rows = product.panel == Panel::rows;
    if (by_rows) {
        a(c, m, kx, ky) = operands.filter(m, c, kx, ky);
    } else {
        a(m, c, kx, ky) = operands.filter(m, c, kx, ky);
    }
    b(c, p, kx, ky) = operands.map(p, c, kx, ky, is_tail);
    br(c, p, kx, ky) = b(c, p, kx, ky);
    const RDom r(0, static_cast<int>(round_up(product.channels, tile.bk)), 0, product.taps_w, 0,
                 product.taps_h, "r");
    acc(m, p) = 0.0F;
    if (by_rows) {
        ar(c, m, kx, ky) = a(c, m, kx, ky);
        acc(m, p) += ar(r.x, m, r.y, r.z) * br(r.x, p, r.y, r.z);
    } else {
        acc(m, p) += a(m, r.x, r.y, r.z) * br(r.x, p, r.y, r.z);
    }
    const std::vector<Expr> values =
        context.values_at(group.maps(), operands.result_at(m, p),
                          [&](const std::vector<Expr>&) { return Expr(acc(m, p)); });
    if (values.size() == 1) {
        out(m, p) = values[0];
    } else {
        out(m, p) = Halide::Tuple(values);
    }

    // Schedule.
    const RVar ko("ko"), ki("ki"), kq("kq"), kv("kv");
    deal_results(out, product.m, tile, product.panel);
    acc.compute_at(out, Var("po"))
        .store_in(Halide::MemoryType::Register)
        .bound_extent(m, tile.bm)
        .bound_extent(p, tile.bp);
    deal_to_threads(acc, m, p, tile, product.panel);
    Halide::Stage update = acc.update();
    update.split(r.x, ko, ki, tile.bk).split(ki, kq, kv, tile.unrolled()).unroll(kv).unroll(kq);
    deal_to_threads(update, m, p, tile, product.panel, {kv, kq}, {ko, r.y, r.z});
    a.compute_at(acc, ko);
    b.compute_at(acc, ko);
    br.compute_at(acc, kq).vectorize(c, tile.unrolled()).unroll(p);
    stage_panel(b, c, tile.bk, p, tile.bp, tile.threads());
    if (by_rows) {
        stage_panel(a, c, tile.bk, m, tile.bm, tile.threads());
        ar.compute_at(acc, kq).vectorize(c, tile.unrolled()).unroll(m);
        if (tile.bk % 4 == 0) {
            a.align_storage(c, tile.bk + kRowPadding);
            b.align_storage(c, tile.bk + kRowPadding);
        }
    } else {
        stage_panel(a, m, tile.bm, c, tile.bk, tile.threads());
    }
    return {out};
}

}  // namespace emulsion
