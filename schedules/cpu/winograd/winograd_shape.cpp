// How large the blocks of a Winograd convolution are, and which loop is outermost.
#include "schedules/cpu/winograd/winograd_shape.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "compiler/graph/limits.h"
#include "compiler/support/diagnostic.h"
#include "schedules/common/anchor.h"
#include "schedules/cpu/common/prefetch.h"
#include "schedules/cpu/common/tiling.h"

namespace emulsion {

WinogradShape::WinogradShape(const Group& group) {
    const WinogradConv2d& op = *anchor_as<WinogradConv2d>(group);
    const std::vector<int64_t>&x = group.anchor_input(0).shape, &y = group.anchor_output().shape;
    channels = to_int(x[0]), height = to_int(x[1]);
    width = to_int(x[2]);
    out_channels = to_int(y[0]), out_h = to_int(y[1]);
    out_w = to_int(y[2]);
    tile = to_int(op.tile);
    kernel = to_int(op.kernel(group.anchor_input(1))), points = tile + kernel - 1;
    pad_top = to_int(op.padding[0]), pad_left = to_int(op.padding[2]);
    const std::vector<int64_t> window = group.epilogue_window();  // w, h
    window_w = to_int(window[0]), window_h = to_int(window[1]);
    const std::vector<int64_t>& r = group.body.type(group.maps()[0]).shape;
    result_h = to_int(r[1]), result_w = to_int(r[2]);
    columns = divide_up(out_w, tile), rows = divide_up(out_h, tile);
    batch = group.batch;
}

bool WinogradShape::asks_ahead() const {
    return reads_ahead(channels, out_channels, 4.0 * channels * height * width * batch);
}

namespace {

// Bytes of transformed input and products of a block of tiles: they share the second cache with the
// filter, or with the input of the next block.
constexpr int64_t kBlockBytes = 640 << 10, kAheadBlockBytes = 256 << 10;

// About `tb` tiles in whole rows of tiles, so that a strip belongs to one block; a multiple of th
// where that is not far off.
int64_t whole_rows(int64_t tb, int64_t th, int64_t columns) {
    const int64_t both = std::lcm(th, columns);
    if (both <= tb * 4 / 3) return std::max<int64_t>(1, tb / both) * both;
    return std::max<int64_t>(1, tb / columns) * columns;
}

// Sizes of the two orders: blocks of tiles read all filters each, panels of output channels read
// all transformed input each.
struct Sizes {
    int64_t kb, tb;
    double bytes;  // of filters and transformed input that are read from beyond the second cache
    double tasks;

    Sizes(const Group& group, const WinogradShape& shape, int kw, int th, int order) {
        const int64_t total = int64_t{shape.tiles()} * group.batch;
        const int64_t points = int64_t{shape.points} * shape.points;
        const int64_t filter = points * shape.channels * shape.out_channels * 4;
        const int64_t input = points * shape.channels * total * 4;
        const int64_t block = order == 0 && shape.asks_ahead() ? kAheadBlockBytes : kBlockBytes;
        auto fit = [&](int64_t bytes_of_tile, int64_t most) {
            const int64_t tiles = std::max<int64_t>(1, block / bytes_of_tile / th) * th;
            return std::min(tiles, std::max<int64_t>(th, round_up(most, th)));
        };
        kb = kw;
        if (order == 1) {
            // Larger panels read the input less often, as long as eight tasks are left.
            while (shape.out_channels % (2 * kb) == 0 && shape.out_channels / (2 * kb) >= 8 &&
                   points * 2 * kb * th * 4 <= kBlockBytes / 2) {
                kb *= 2;
            }
            tb = fit(points * kb * 4, total);
            tasks = static_cast<double>(shape.out_channels) / static_cast<double>(kb);
            bytes = static_cast<double>(filter) + (2 + tasks) * static_cast<double>(input);
        } else {  // at least eight tasks where there is enough work
            tb = fit(points * (shape.channels + kb) * 4, total / 8 / th * th);
            tasks = std::ceil(static_cast<double>(total) / static_cast<double>(tb));
            bytes = static_cast<double>(filter) * (filter > 2 * kBlockBytes ? tasks : 1);
        }
        if (!group.strip_sums().empty()) tb = whole_rows(tb, th, shape.columns);
    }
};

// The order for a register tile. Blocks overlap their reads with more work each, so panels must
// bring more tasks where blocks are few, and fewer bytes.
int best_order(const Group& group, const WinogradShape& shape, int kw, int th) {
    if (!group.stored_prologues().empty()) return 0;  // from the copy that a block stages
    const Sizes blocks(group, shape, kw, th, 0), panels(group, shape, kw, th, 1);
    const bool more_tasks = blocks.tasks < 8 && panels.tasks > blocks.tasks;
    return more_tasks && (blocks.tasks < 4 || panels.bytes < blocks.bytes) ? 1 : 0;
}

// Register tiles of a block, best first: as many tiles as registers allow, but first those whose
// last one is full, and few where there are few tiles in all.
std::vector<int> tile_counts(const Group& group, const WinogradShape& shape, int kw) {
    const int64_t total = int64_t{shape.tiles()} * group.batch;
    auto idle = [&](int th) {  // share that is computed for nothing
        const int64_t tb = Sizes(group, shape, kw, th, best_order(group, shape, kw, th)).tb;
        const int64_t computed = total / tb * round_up(tb, th) + round_up(total % tb, th);
        return static_cast<double>(computed - total) / static_cast<double>(total);
    };
    std::vector<int> counts = {14, 12, 7, 8, 6, 3};
    std::stable_sort(counts.begin(), counts.end(), [&](int a, int b) {
        return idle(a) + (a < 12 ? 0.1 : 0) < idle(b) + (b < 12 ? 0.1 : 0);  // 12 hide all latency
    });
    return counts;
}

}  // namespace

TilingSpace winograd_space(const Group& group) {
    const WinogradShape shape(group);
    std::vector<int> blocks;
    for (int kb : divisors(shape.out_channels, shape.out_channels)) {
        if (kb % 16 == 0) blocks.push_back(kb);
    }
    const int64_t total = int64_t{shape.tiles()} * group.batch;
    const auto most = to_int(std::max<int64_t>(14, std::max<int64_t>(shape.columns, total)));
    return {{"kw", {16, 32}},
            {"th", {}, 1, 14},
            {"kb", blocks},
            {"tb", {}, 1, 2 * most + 14},
            {"order", {0, 1}}};
}

std::string winograd_clash(const Group& group, const Tiling& tiling, const Isa& isa) {
    const WinogradShape shape(group);
    const int kw = tiling.at("kw"), kb = tiling.at("kb"), tb = tiling.at("tb");
    if (kb % kw != 0) return fmt::format("kb={} is no multiple of kw={}", kb, kw);
    if (!group.strip_sums().empty() && tb % shape.columns != 0) {
        return fmt::format("tb={}, but sums over strips need whole rows of {} tiles", tb,
                           shape.columns);
    }
    if (tiling.at("order") == 1 && !group.stored_prologues().empty())
        return "order=1 stages no input that could be stored";
    return register_fault(isa, kw, tiling.at("th"));
}

std::vector<Tiling> winograd_tilings(const Group& group, const Isa& isa) {
    const WinogradShape shape(group);
    std::vector<Tiling> tilings;
    for (int kw : {32, 16}) {
        if (shape.out_channels % kw != 0 || (kw == 32 && isa.registers < 32)) continue;
        for (int th : tile_counts(group, shape, kw)) {
            const int registers = tile_registers(isa, kw, th);
            if (registers > accumulator_limit(isa) || registers < 12) continue;
            const int best = best_order(group, shape, kw, th);
            for (int order : {best, 1 - best}) {
                if (order == 1 && !group.stored_prologues().empty()) continue;
                const Sizes sizes(group, shape, kw, th, order);
                tilings.push_back({{{"kw", kw},
                                    {"th", th},
                                    {"kb", to_int(sizes.kb)},
                                    {"tb", to_int(sizes.tb)},
                                    {"order", order}}});
            }
        }
    }
    EMU_CHECK(!tilings.empty(), "no register tile for {}", isa.name);
    return tilings;
}

}  // namespace emulsion
