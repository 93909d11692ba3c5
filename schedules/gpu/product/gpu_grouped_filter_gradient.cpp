// Joined groups, parts and the two kernels of a grouped filter's gradient.
//
// A tiling is a block's tile (bm over output channels, bp over input channels), and
//     parts    runs of lines that are summed apart; the order of a sum follows from it
#include "schedules/gpu/product/gpu_grouped_filter_gradient.h"

#include <algorithm>

#include "compiler/graph/limits.h"
#include "compiler/ops/conv2d.h"
#include "compiler/ops/lowering.h"
#include "compiler/ops/window_lowering.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/common/anchor.h"
#include "schedules/common/funcs.h"
#include "schedules/common/group_work.h"
#include "schedules/gpu/common/elements.h"
#include "schedules/gpu/product/block_product.h"
#include "schedules/gpu/product/gradient_lines.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;

namespace {

constexpr int kLanes = static_cast<int>(kBlock);
constexpr int kNarrow = 16;  // channels of the smallest blocks
constexpr int kMostParts = 64;

struct Form {
    FilterGradient product;           // of joined groups
    int outputs, inputs, joined = 1;  // of a group; groups of a product

    explicit Form(const Group& group) : product(filter_gradient_of(group)) {
        outputs = product.outputs, inputs = product.inputs;
        for (int count = 2; count * std::max(outputs, inputs) <= kNarrow; count++)
            if (product.groups % count == 0) joined = count;
        product.outputs *= joined, product.inputs *= joined, product.groups /= joined;
    }
    int64_t copies() const { return int64_t{product.taps()} * product.groups; }  // of a part
    int most_parts(int batch) const {
        const std::vector<int64_t> sums = {product.outputs, product.inputs, copies()};
        return to_int(std::min({int64_t{kMostParts}, product.lines(batch), most_copies(sums),
                                kMostCopies / copies()}));
    }
};

int parts_of(const Form& form, const BlockTile& tile, int batch) {
    const int64_t grid = divide_up(form.product.outputs, tile.bm) *
                         divide_up(form.product.inputs, tile.bp) * form.copies();
    return parts_that_fill(grid, form.most_parts(batch));
}

// The sums of the parts, over (output, input, tap + taps * (product + products * part)), as a
// kernel of their own.
Func partial_sums(const KernelContext& context, const Form& form, const Tiling& tiling) {
    const FilterGradient& g = form.product;
    const BlockTile tile = block_tile(tiling);
    const int parts = tiling.at("parts");
    const int run = to_int((g.lines(context.group().batch) + parts - 1) / parts);
    const int padded_line = static_cast<int>(round_up(g.line(), tile.bk));
    const Var m("m"), c("c"), i("i"), j("j"), z("z");
    const Expr part = z / to_int(form.copies()), product = z / g.taps() % g.groups;
    const Expr kx = z % g.taps_w, ky = z % g.taps() / g.taps_w;
    const LinePlace place =
        g.place(i, part * run + j, context.samples(), /*has_tail=*/padded_line != g.line());
    Func a("a"), b("b"), rows("br"), sum("acc"), partial("partial");
    a(m, i, j, z) = g.dy(context, m, place, product);
    b(c, i, j, z) = g.x(context, c, kx, ky, place, product);
    rows(c, i, j, z) = b(c, i, j, z);
    const RDom r(0, padded_line, 0, run, "r");
    sum(m, c, z) = 0.0F;
    sum(m, c, z) += a(m, r.x, r.y, z) * rows(c, r.x, r.y, z);
    partial(m, c, z) = sum(m, c, z);
    deal_results(partial, g.outputs, tile, Panel::vectors);
    sum.compute_at(partial, Var("po"))
        .store_in(Halide::MemoryType::Register)
        .bound_extent(m, tile.bm)
        .bound_extent(c, tile.bp);
    schedule_row_sum(sum, {a, b, rows}, r.x, {r.y}, tile);
    return partial;
}

// Where channels of one group meet; zero in lanes without a channel.
Func merged_parts(const Group& group, const Form& form, int parts, const Func& partial) {
    const FilterGradient& g = form.product;
    const TensorType& type = group.anchor_output();
    const std::vector<Var> at = coordinates(type);  // lane, i, kx, ky, block
    const Expr channel = Halide::min(at[0] + kLanes * at[4], g.outputs * g.groups - 1);
    const Expr own = channel % g.outputs;  // of a product
    const Expr input = own / form.outputs * form.inputs + at[1];
    std::vector<Expr> terms;
    for (int part = 0; part < parts; part++) {
        const Expr copy = channel / g.outputs + g.groups * part;
        terms.push_back(partial(own, input, at[2] + g.taps_w * at[3] + g.taps() * copy));
    }
    Func merged("merged");
    merged(at) = value_or_zero(is_value(type, as_exprs(at)), tree_sum(terms));
    return merged;
}

}  // namespace

bool GpuGroupedFilterGradient::applies(const Group& group, const Isa&) const {
    const auto* conv = anchor_as<Conv2dBackwardFilter>(group);
    return conv != nullptr && conv->groups > 1 && has_shape_of_anchor(group, /*batched=*/false) &&
           Form(group).most_parts(group.batch) > 0;
}

TilingSpace GpuGroupedFilterGradient::space(const Group& group, const Isa&) const {
    const Form form(group);
    TilingSpace space = block_space(form.product.line());
    space.push_back({"parts", {}, 1, form.most_parts(group.batch), true});
    return space;
}

std::string GpuGroupedFilterGradient::clash(const Group&, const Tiling& tiling,
                                            const Isa& isa) const {
    return block_clash(block_tile(tiling), isa);
}

std::vector<Tiling> GpuGroupedFilterGradient::tilings(const Group& group, const Isa& isa) const {
    const Form form(group);
    const FilterGradient& g = form.product;
    std::vector<Tiling> tilings;
    for (const Tiling& tiles : block_tilings(
             g.outputs, g.inputs, form.copies() * form.most_parts(group.batch), g.piece(), isa)) {
        const BlockTile tile = block_tile(tiles);
        Tiling tiling = g.tiling(tile, parts_of(form, tile, group.batch), group.batch);
        if (tiling_fault(*this, group, tiling, isa).empty()) tilings.push_back(std::move(tiling));
    }
    return tilings;
}

double GpuGroupedFilterGradient::cost(const Group& group, const Tiling& tiling, const Isa&,
                                      const Machine&) const {
    const Form form(group);
    const double efficiency =
        block_efficiency(block_tile(tiling), form.product.outputs, form.product.inputs,
                         form.copies() * tiling.at("parts"));
    return device_seconds(2, traffic_bytes(group) + scratch_bytes(scratch(group, tiling)),
                          form.joined * static_cast<double>(group.multiply_adds()), efficiency);
}

std::vector<Scratch> GpuGroupedFilterGradient::scratch(const Group& group,
                                                       const Tiling& tiling) const {
    const Form form(group);
    return {{"partial",
             {form.product.outputs, form.product.inputs, form.copies() * tiling.at("parts")}}};
}

std::vector<Func> GpuGroupedFilterGradient::build(KernelContext& context,
                                                  const Tiling& tiling) const {
    const Form form(context.group());
    const Func partial = partial_sums(context, form, tiling);
    const Func out = schedule_stores(
        context.finish(merged_parts(context.group(), form, tiling.at("parts"), partial)),
        std::min(256, context.isa().block_threads), /*vectors=*/false);
    return {out, partial};
}

}  // namespace emulsion
