// Channels by blocks, vectors of them by threads.
#include "schedules/gpu/product/stored_prologue.h"

#include <fmt/format.h>

#include "compiler/graph/limits.h"
#include "schedules/common/group_work.h"
#include "schedules/gpu/common/elements.h"

namespace emulsion {

using Halide::Func;
using Halide::TailStrategy;
using Halide::Var;

namespace {

int channels_of(const Group& group) { return to_int(group.anchor_input(0).shape[0]); }

// Channels of the map that a block stores.
int share_of(const Group& group, const BlockTile& tile) {
    return channels_of(group) / divide_up(product_of(group).m, tile.bm);
}

}  // namespace

bool can_store_prologue(const Group& group) {
    const std::vector<Value> stored = group.stored_prologues();
    if (stored.empty()) return true;
    const std::vector<int64_t>& map = group.anchor_input(0).shape;
    const std::vector<int64_t>& result = group.anchor_output().shape;
    return stored == std::vector<Value>{group.anchor_node().inputs[0]} && map.size() == 3 &&
           map[1] == result[1] && map[2] == result[2] && map[0] % kDeviceVector == 0;
}

std::string prologue_clash(const Group& group, const BlockTile& tile) {
    if (group.stored_prologues().empty()) return "";
    const int blocks = divide_up(product_of(group).m, tile.bm);
    if (channels_of(group) % (blocks * kDeviceVector) == 0) return "";
    return fmt::format("{} blocks of bm={} do not share out the {} channels that they store",
                       blocks, tile.bm, channels_of(group));
}

Func stored_prologue(const KernelContext& context, const Operands& operands, const Product& product,
                     const BlockTile& tile, const Func& result) {
    const Group& group = context.group();
    const int share = share_of(group, tile);
    // Loops over blocks come of the splits that the result has, or Halide does not join them.
    const Var m = result.args()[0], p = result.args()[1], mo("mo"), mi("mi"), mv("mv"), mq("mq"),
              po("po"), pi("pi"), item("item"), round("round"), thread("thread");
    Func stored("stored_map");
    stored(m, p) = context.values_at(group.stored_prologues(), operands.result_at(m, p), {})[0];
    BlockTile shares = tile;
    shares.bm = share;
    split_channels(stored, channels_of(group), shares, product.panel);
    Var quad = mi;
    if (product.panel == Panel::rows) {
        stored.split(mi, mq, mv, kDeviceVector, TailStrategy::RoundUp);
        quad = mq;
    }
    const bool fits = share / kDeviceVector * tile.bp % tile.threads() == 0;
    stored.split(p, po, pi, tile.bp, TailStrategy::GuardWithIf)
        .reorder({mv, quad, pi, po, mo})
        .fuse(quad, pi, item)
        .split(item, round, thread, tile.threads(),
               fits ? TailStrategy::RoundUp : TailStrategy::GuardWithIf)
        .reorder({mv, round, thread, po, mo})
        .vectorize(mv)
        .gpu_threads(thread)
        .gpu_blocks(po, mo)
        .compute_with(result, po);
    return stored;
}

}  // namespace emulsion
