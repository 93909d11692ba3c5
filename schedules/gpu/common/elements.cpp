// Blocks and threads over independent elements.
#include "schedules/gpu/common/elements.h"

#include <algorithm>
#include <vector>

#include "schedules/common/funcs.h"

namespace emulsion {

using Halide::Func;
using Halide::TailStrategy;
using Halide::Var;

double device_seconds(double launches, double bytes, double multiply_adds, double efficiency) {
    constexpr double kLaunchSeconds = 5e-6, kBytesPerSecond = 500e9, kMultiplyAddsPerSecond = 5e12;
    return launches * kLaunchSeconds + bytes / kBytesPerSecond +
           multiply_adds / (kMultiplyAddsPerSecond * efficiency);
}

int parts_that_fill(int64_t blocks, int64_t most, int fewest) {
    constexpr int kWantedBlocks = 256;  // of a grid
    int parts = 1;
    while (2 * parts <= most && (parts < fewest || blocks * parts < kWantedBlocks)) parts *= 2;
    return parts;
}

double scratch_bytes(const std::vector<Scratch>& scratch) {
    double elements = 0;
    for (const Scratch& s : scratch) elements += static_cast<double>(s.elements());
    return 2 * sizeof(float) * elements;
}

int64_t most_copies(std::span<const int64_t> extents) {
    const int64_t elements = bounded_product(extents);
    return elements < 0 ? 0 : kMostElements / elements;
}

bool can_be_counted(const std::vector<Scratch>& scratch, int64_t most) {
    return std::all_of(scratch.begin(), scratch.end(), [&](const Scratch& s) {
        const int64_t elements = bounded_product(s.extents);
        return elements > 0 && elements <= most;
    });
}

bool has_vectors(const TensorType& type) {
    const std::vector<int64_t> extents = memory_extents(type);
    return !extents.empty() && extents[0] % kDeviceVector == 0;
}

Var schedule_elements(Func func, int threads, bool vectors) {
    const std::vector<Var> axes = func.args();
    const Var block("block"), thread("thread");
    if (axes.empty()) {  // one thread
        func.split(Var::outermost(), Var::outermost(), thread, 1)
            .split(Var::outermost(), Var::outermost(), block, 1)
            .gpu_blocks(block)
            .gpu_threads(thread);
        return thread;
    }
    Var flat = axes[0];
    const Var lane("vector_lane");
    if (vectors) {
        const Var vector("vector");
        func.split(flat, vector, lane, kDeviceVector, TailStrategy::RoundUp).vectorize(lane);
        flat = vector;
    }
    for (size_t i = 1; i < axes.size(); i++) {
        const Var fused("flat" + std::to_string(i));
        func.fuse(flat, axes[i], fused);
        flat = fused;
    }
    func.split(flat, block, thread, threads, TailStrategy::GuardWithIf)
        .gpu_blocks(block)
        .gpu_threads(thread);
    if (vectors) func.reorder({lane, thread, block});
    return thread;
}

Func schedule_stores(Func values, int threads, bool vectors) {
    if (values.outputs() == 1) {
        schedule_elements(values, threads, vectors);
        return values;
    }
    const Func stored = stored_copy(values, "stored");
    values.compute_at(stored, schedule_elements(stored, threads, vectors));
    if (vectors) values.vectorize(values.args()[0], kDeviceVector);
    return stored;
}

}  // namespace emulsion
