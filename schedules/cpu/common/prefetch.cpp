// Calls of the runtime's emulsion_prefetch.
#include "schedules/cpu/common/prefetch.h"

namespace emulsion {

bool reads_ahead(int channels, int out_channels, double bytes) {
    constexpr double kCachedBytes = 3e6;
    return channels * out_channels <= 16 * (channels + out_channels) && bytes > kCachedBytes;
}

Halide::Expr read_ahead(const KernelContext& context, int i, const Halide::Expr& part, int covered,
                        int parts) {
    const int64_t channels = context.group().anchor_input(i).shape[0];
    const auto lines = static_cast<int32_t>(covered * channels / 16);
    Halide::Expr zero = 0.0F;
    for (const Halide::Expr& buffer : context.buffers_under(i)) {
        const Halide::Expr call = Halide::Internal::Call::make(
            Halide::Float(32), "emulsion_prefetch", {buffer, part, lines, parts},
            Halide::Internal::Call::Extern);
        zero = Halide::Internal::is_const_zero(zero) ? call : zero + call;
    }
    return zero;
}

}  // namespace emulsion
