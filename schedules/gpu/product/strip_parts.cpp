// Values of a block in registers, parts of sums in shared memory.
#include "schedules/gpu/product/strip_parts.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/graph/limits.h"
#include "compiler/ops/moments.h"
#include "compiler/ops/strict.h"
#include "schedules/common/funcs.h"
#include "schedules/gpu/common/elements.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::TailStrategy;
using Halide::Tuple;
using Halide::Var;

namespace {

constexpr int kComponents = 3;  // at most, of a sum over strips

bool is_moments(const Node& node) {
    return dynamic_cast<const PartialMoments*>(node.op.get()) != nullptr;
}

int chunks_of(const BlockTile& tile) { return tile.bp / tile.tp; }

Func tuple_of(const std::string& name, const std::vector<Var>& at,
              const std::vector<Expr>& values) {
    Func func(name);
    if (values.size() == 1) {
        func(at) = values[0];
    } else {
        func(at) = Tuple(values);
    }
    return func;
}

// What a block keeps of its results: the group's maps, and what else of the sum's operands is made
// from the anchor.
std::vector<Value> kept_values(const Group& group) {
    std::vector<Value> values = group.maps();
    for (Value value : group.body.node(group.strip_sums()[0]).inputs) {
        const bool is_known = std::ranges::find(values, value) != values.end();
        if (!is_known && group.follows_anchor(value)) values.push_back(value);
    }
    return values;
}

class StripParts {
  public:
    StripParts(const KernelContext& context, const Operands& operands, const Product& product,
               const BlockTile& tile, const TileSum& sum)
        : context_(context),
          operands_(operands),
          product_(product),
          tile_(tile),
          group_(context.group()),
          node_(group_.body.node(group_.strip_sums()[0])),
          m_(sum.m),
          p_(sum.p),
          values_(kept_values(group_)) {
        block_ = tuple_of("block", {m_, p_},
                          context.values_at(values_, place(p_),
                                            [&](const std::vector<Expr>&) { return sum.value(); }));
        define_parts();
    }

    // The maps, from the values of a block.
    Func maps() const {
        std::vector<Expr> results;
        for (size_t k = 0; k < group_.maps().size(); k++)
            results.push_back(component(block_, {m_, p_}, k));
        return tuple_of("out", {m_, p_}, results);
    }

    // The sums over (m, strip): `p` counts strips here.
    Func sums() const {
        const int chunks = strip_run(group_) / tile_.tp;  // of a strip
        const Expr b = p_ / strips(), v = p_ % strips() * chunks;
        std::vector<Expr> totals;
        if (is_moments(node_)) totals.push_back(first_(m_, v, b));
        for (int k = 0; k < 2; k++) {
            std::vector<Expr> terms;
            for (int g = 0; g < chunks; g++) terms.push_back(part_(m_, v + g, b)[k]);
            totals.push_back(tree_sum(terms));
        }
        std::vector<Expr> stored;
        for (const Result& result : group_.body.results()) {
            if (result.value.node == group_.strip_sums()[0])
                stored.push_back(totals[static_cast<size_t>(result.value.output)]);
        }
        return tuple_of("sums", {m_, p_}, stored);
    }

    void schedule(Func maps, Func sums) {
        deal_blocks(block_, maps, p_, tile_.bp, Halide::MemoryType::Register, tile_);
        BlockTile chunks = tile_;
        chunks.bp = chunks_of(tile_), chunks.tp = 1;
        for (const Func& part : {first_, part_}) {
            if (!part.defined()) continue;
            deal_blocks(part, maps, v_, chunks.bp, Halide::MemoryType::GPUShared, chunks);
        }
        const Var mo("mo"), mi("mi"), mv("mv"), po("po"), pi("pi"), item("item"), round("round"),
            thread("thread");
        // Loops over blocks have the names that those of the maps have, or Halide does not join
        // them.
        split_channels(sums, product_.m, tile_, product_.panel);
        sums.split(p_, po, pi, strips(), TailStrategy::GuardWithIf);
        if (product_.panel == Panel::rows) {
            sums.reorder(mi, pi, po, mo).fuse(mi, pi, item);
        } else {
            const Var channel("channel");
            sums.reorder(mv, mi, pi, po, mo).fuse(mv, mi, channel).fuse(channel, pi, item);
        }
        const bool fits = tile_.bm * strips() % tile_.threads() == 0;
        sums.split(item, round, thread, tile_.threads(),
                   fits ? TailStrategy::RoundUp : TailStrategy::GuardWithIf)
            .reorder(round, thread, po, mo)
            .gpu_threads(thread)
            .gpu_blocks(po, mo)
            .compute_with(maps, po);
    }

  private:
    int strips() const { return tile_.bp / strip_run(group_); }  // of a block

    // Coordinates of the map: channels and positions beyond the last repeat it.
    std::vector<Expr> place(const Expr& p) const {
        const Expr last = context_.samples() * (product_.width * product_.height) - 1;
        return operands_.result_at(channel_in(m_, product_.m), Halide::min(p, last));
    }

    // Operand i of the sum at position p of all.
    Expr operand(size_t i, const Expr& p) const {
        const Value value = node_.inputs[i];
        const auto known = std::ranges::find(values_, value);
        if (known == values_.end()) return context_.values_at({value}, place(p), {})[0];
        return component(block_, {m_, p}, static_cast<size_t>(known - values_.begin()));
    }

    void define_parts() {
        const Expr begin = b_ * tile_.bp + v_ * tile_.tp;
        const int chunks = strip_run(group_) / tile_.tp;
        if (is_moments(node_)) first_ = tuple_of("first", {m_, v_, b_}, {operand(0, begin)});
        std::vector<Expr> sums, products;
        for (int e = 0; e < tile_.tp; e++) {
            const Strict value(operand(0, begin + e));
            if (first_.defined()) {
                const Strict apart = value - Strict(first_(m_, v_ / chunks * chunks, b_));
                sums.push_back(apart);
                products.push_back(apart * apart);
            } else {
                sums.push_back(value);
                products.push_back(value *
                                   (Strict(operand(1, begin + e)) - Strict(operand(2, begin + e))));
            }
        }
        part_ = tuple_of("part", {m_, v_, b_}, {tree_sum(sums), tree_sum(products)});
    }

    // What a block keeps: each thread makes what lies under its own results.
    void deal_blocks(Func func, const Func& maps, const Var& p, int extent,
                     Halide::MemoryType memory, const BlockTile& tile) const {
        func.compute_at(maps, Var("po"))
            .store_in(memory)
            .bound_extent(m_, tile.bm)
            .bound_extent(p, extent);
        std::vector<Halide::VarOrRVar> outside;
        if (func.dimensions() == 3) {
            func.bound_extent(b_, 1);
            outside.emplace_back(b_);
        }
        deal_to_threads(func, m_, p, tile, product_.panel, {}, outside);
    }

    const KernelContext& context_;
    const Operands& operands_;
    const Product& product_;
    const BlockTile& tile_;
    const Group& group_;
    const Node& node_;
    Var m_, p_, v_{"v"}, b_{"b"};
    std::vector<Value> values_;  // of the group, the components of block_: first its maps
    Func block_, first_, part_;
};

}  // namespace

int strip_run(const Group& group) {
    const std::vector<int> sums = group.strip_sums();
    if (sums.empty()) return 0;
    const std::vector<int64_t>& map = group.anchor_output().shape;
    if (sums.size() > 1 || group.maps().empty() || map.size() != 3) return -1;
    const int64_t rows = std::min<int64_t>(map[1], kStripRows);
    return map[1] % rows == 0 ? to_int(rows * map[2]) : -1;
}

int strip_bytes(const Group& group, const BlockTile& tile) {
    return strip_run(group) > 0 ? 4 * kComponents * tile.bm * chunks_of(tile) : 0;
}

std::string strip_clash(const Group& group, const BlockTile& tile, const Isa& isa) {
    const int run = strip_run(group);
    if (run <= 0) return "";
    if (tile.bp % run != 0 || run % tile.tp != 0) {
        return fmt::format("strips of {} positions are not whole in bp={} and of whole tp={}", run,
                           tile.bp, tile.tp);
    }
    const int kept = to_int(std::ssize(kept_values(group))) * tile.tm * tile.tp;
    if (kept + kOtherRegisters > isa.registers) {
        return fmt::format(
            "{} results and values of the sum do not fit the {} registers of a thread", kept,
            isa.registers);
    }
    const int bytes = tile.shared_bytes() + strip_bytes(group, tile);
    if (bytes <= isa.shared_bytes) return "";
    return fmt::format("{} bytes of shared memory with parts of sums, but a block may have {}",
                       bytes, isa.shared_bytes);
}

std::vector<Func> with_strip_sums(const KernelContext& context, const Operands& operands,
                                  const Product& product, const BlockTile& tile, TileSum& sum) {
    StripParts parts(context, operands, product, tile, sum);
    const Func maps = parts.maps(), sums = parts.sums();
    sum.schedule(maps);
    parts.schedule(maps, sums);
    return {maps, sums};
}

}  // namespace emulsion
