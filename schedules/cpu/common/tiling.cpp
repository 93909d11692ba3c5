// Estimates here are of cycles on cores with two multiply-adders; their constants are fitted to
// measured tiles.
#include "schedules/cpu/common/tiling.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "compiler/graph/limits.h"
#include "compiler/ops/conv2d.h"
#include "compiler/support/diagnostic.h"
#include "schedules/common/anchor.h"

namespace emulsion {

double ConvShape::multiply_adds() const {
    return static_cast<double>(out_height) * out_width * out_channels * filter_channels() * taps();
}

ConvShape conv_shape(const Group& group) {
    const ConvAttributes& op = *anchor_as<ConvAttributes>(group);
    const bool to_filter = anchor_as<Conv2dBackwardFilter>(group) != nullptr,
               to_data = anchor_as<Conv2dBackwardData>(group) != nullptr;
    // x (C, H, W), y (O, OH, OW), filter (O, C, KH, KW)
    const std::vector<int64_t>& x =
        to_data ? group.anchor_output().shape : group.anchor_input(0).shape;
    const std::vector<int64_t>& y = to_filter ? group.anchor_input(1).shape
                                    : to_data ? group.anchor_input(0).shape
                                              : group.anchor_output().shape;
    const std::vector<int64_t>& w =
        to_filter ? group.anchor_output().shape : group.anchor_input(1).shape;
    ConvShape s;
    s.channels = to_int(x[0]), s.height = to_int(x[1]), s.width = to_int(x[2]);
    s.out_channels = to_int(y[0]), s.out_height = to_int(y[1]), s.out_width = to_int(y[2]);
    s.kernel_h = to_int(w[2]), s.kernel_w = to_int(w[3]);
    s.stride_h = to_int(op.stride[0]), s.stride_w = to_int(op.stride[1]);
    s.dilation_h = to_int(op.dilation[0]), s.dilation_w = to_int(op.dilation[1]);
    s.pad_top = to_int(op.padding[0]), s.pad_bottom = to_int(op.padding[1]);
    s.pad_left = to_int(op.padding[2]), s.pad_right = to_int(op.padding[3]);
    s.groups = to_int(op.groups);
    return s;
}

bool has_direct_groups(const Group& group) {
    const ConvShape s = conv_shape(group);
    if (s.groups == 1) return true;
    return s.has_lane_groups() || (s.filter_channels() % 16 == 0 && s.readers() % 16 == 0);
}

Halide::Expr channel_in_group(const ConvShape& shape, const Halide::Expr& k, const Halide::Expr& i,
                              int own, int other) {
    if (shape.groups == 1) return i;
    if (shape.is_depthwise()) return k;
    if (own < 16) return k / own * other + i;
    return k / 16 / (own / 16) * other + i;  // one for all lanes of a block
}

int tile_registers(const Isa& isa, int channels, int positions) {
    return divide_up(channels, isa.lanes) * positions;
}

int accumulator_limit(const Isa& isa) { return isa.registers >= 32 ? 28 : 12; }

bool fits_registers(const Isa& isa, int positions) {
    return tile_registers(isa, isa.lanes > 8 ? 16 : 8, positions) <= accumulator_limit(isa);
}

double step_cycles(const Isa& isa, int channels, int positions) {
    double vectors = divide_up(channels, isa.lanes);
    constexpr double kLatency = 4, kVectorLoad = 0.4, kBroadcast = 0.1;
    return std::max(vectors * positions / 2, kLatency) + kVectorLoad * vectors +
           kBroadcast * positions;
}

std::vector<RegisterTile> register_tiles(const Isa& isa, int blocks, int width, int height,
                                         int window_w, int window_h, size_t count) {
    struct Candidate {
        RegisterTile tile;
        double cycles;
    };
    std::vector<Candidate> candidates;
    for (int channels : {32, 64, 48, 16, 8}) {
        if (channels == 8 ? isa.lanes > 8 : blocks % (channels / 16) != 0) continue;
        for (int y : {1, 2, 3, 4, 7, 8}) {
            if (y > height) continue;
            for (int x = 1; x <= width; x++) {
                int window = window_w * window_h;
                if (tile_registers(isa, channels, x * y * window) > accumulator_limit(isa)) break;
                // Tiles at the right and lower edge compute what they do not keep, too.
                double cycles = 1.0 * divide_up(width, x) * divide_up(height, y) *
                                step_cycles(isa, channels, x * y * window) / channels;
                if (y > 1) cycles *= 1.01;          // one row keeps addresses simple
                if (channels > 32) cycles *= 1.06;  // more than two streams of filters
                // Multiply-adds of one vector load for themselves: 7 taps of 128 channels on 17x17
                // take 6.3 ms with 16x17 and 4.4 with 32x9 (Ice Lake, one core).
                if (channels <= isa.lanes) cycles *= 1.08;
                candidates.push_back({{channels, x, y}, cycles});
            }
        }
    }
    EMU_CHECK(!candidates.empty(), "no register tile holds {} x {} positions", window_w, window_h);
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const Candidate& a, const Candidate& b) { return a.cycles < b.cycles; });
    std::vector<RegisterTile> tiles;
    for (size_t i = 0; i < std::min(count, candidates.size()); i++)
        tiles.push_back(candidates[i].tile);
    return tiles;
}

std::vector<int> divisors(int value, int most) {
    std::vector<int> result;
    for (int d = 1; d <= std::min(value, most); d++) {
        if (value % d == 0) result.push_back(d);
    }
    return result;
}

std::string register_fault(const Isa& isa, int channels, int positions) {
    const int taken = tile_registers(isa, channels, positions);
    if (taken <= accumulator_limit(isa)) return {};
    return fmt::format("a register tile of {} vectors, but {} are free", taken,
                       accumulator_limit(isa));
}

std::vector<int> tile_channels(const Isa& isa, int blocks, int smallest) {
    std::vector<int> channels;
    for (int part = smallest; part < 16; part *= 2) {
        if (isa.lanes <= part) channels.push_back(part);
    }
    for (int count = 1; count <= 4; count++) {
        if (blocks % count == 0) channels.push_back(16 * count);
    }
    return channels;
}

double roofline(const Machine& machine, const Isa& isa, double multiply_adds, double efficiency,
                double bytes, double tasks) {
    double rate = machine.fma_gflops * 1e9 * isa.lanes / 16 * (isa.fma ? 1 : 0.5);
    double threads = std::min<double>(machine.threads, std::max(1.0, tasks));
    double rounds = std::ceil(tasks / threads) * threads / std::max(1.0, tasks);
    return 2 * multiply_adds / (rate * threads * efficiency) * rounds +
           bytes / (machine.bandwidth_gbs * 1e9);
}

void split_guarded(Halide::Stage stage, const Halide::VarOrRVar& old,
                   const Halide::VarOrRVar& outer, const Halide::VarOrRVar& inner, int factor,
                   int extent) {
    bool exact = extent % factor == 0;
    stage.split(old, outer, inner, factor,
                exact ? Halide::TailStrategy::RoundUp : Halide::TailStrategy::GuardWithIf);
}

Halide::Func with_border(const Halide::Func& input, int width, int height, int left, int top) {
    Halide::Var c("c"), x("x"), y("y"), n("n");
    Halide::Func staged("staged");
    Halide::Expr ix = x - left, iy = y - top;
    Halide::Expr value =
        input(c, Halide::clamp(ix, 0, width - 1), Halide::clamp(iy, 0, height - 1), n);
    staged(c, x, y, n) =
        Halide::select(ix >= 0 && ix < width && iy >= 0 && iy < height, value, 0.0F);
    return staged;
}

void vectorize_staging(Halide::Func staged, const Halide::Var& channel, const Halide::Var& x,
                       int channels) {
    if (channels >= 8) {
        staged.vectorize(channel, 16, Halide::TailStrategy::GuardWithIf);
    } else if (channels == 1) {
        staged.vectorize(x, 16, Halide::TailStrategy::GuardWithIf);
    }
}

}  // namespace emulsion
