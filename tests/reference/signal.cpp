// Filters of spectra, by their formulas in hertz and radians.
#include <cmath>
#include <numbers>

#include "compiler/ops/fold_frames.h"
#include "compiler/ops/fourier_filter.h"
#include "compiler/ops/mel_filter.h"
#include "tests/reference/interpreter.h"

namespace emulsion::reference {

namespace {

double window_at(const std::string& window, double turns) {
    const double wave = std::cos(2 * std::numbers::pi * turns);
    if (window == "hann") return 0.5 - 0.5 * wave;
    return window == "hamming" ? 0.54 - 0.46 * wave : 1;
}

std::vector<Tensor> fourier_filter(const Call& call) {
    const auto& op = call.as<FourierFilter>();
    Tensor w = call.output();
    const auto size = static_cast<double>(op.size), taps = static_cast<double>(op.taps);
    for (int64_t k = 0; k <= op.size / 2; k++) {
        for (int64_t t = 0; t < (op.folded ? op.taps / 2 + 1 : op.taps); t++) {
            const auto place = static_cast<double>(t + (op.size - op.taps) / 2);
            const double angle = 2 * std::numbers::pi * static_cast<double>(k) * place / size;
            const double wave = op.part == "cosine" ? std::cos(angle) : -std::sin(angle);
            const double value = wave * window_at(op.window, static_cast<double>(t) / taps);
            (op.folded ? w.at(k, t, int64_t{0}) : w.at(k, 0, t)) = value;
        }
    }
    return {w};
}

// Calls visit(frame, sample of the half, sample of the signal, sign) for each that is added.
template <class Visit>
void visit_halves(const TensorType& halves, int64_t taps, int64_t hop, bool is_even, Visit visit) {
    for (int64_t f = 0; f < halves.shape[1]; f++) {
        for (int64_t t = 0; t < taps; t++) {
            const bool is_mirrored = 2 * t > taps;
            visit(f, is_mirrored ? taps - t : t, hop * f + t, is_mirrored && !is_even ? -1.0 : 1.0);
        }
    }
}

std::vector<Tensor> fold_frames(const Call& call) {
    const auto& op = call.as<FoldFrames>();
    Tensor y = call.output();
    for (int64_t n = 0; n < call.samples; n++) {
        visit_halves(y.type, op.taps, op.hop, op.part == "even",
                     [&](int64_t f, int64_t m, int64_t t, double sign) {
                         y.at(n, m, f) += sign * call.input(0).at(n, int64_t{0}, t);
                     });
    }
    return {y};
}

std::vector<Tensor> fold_frames_backward(const Call& call) {
    const auto& op = call.as<FoldFramesBackward>();
    Tensor dx = call.output();
    for (int64_t n = 0; n < call.samples; n++) {
        visit_halves(call.input(0).type, op.taps, op.hop, op.part == "even",
                     [&](int64_t f, int64_t m, int64_t t, double sign) {
                         dx.at(n, int64_t{0}, t) += sign * call.input(0).at(n, m, f);
                     });
    }
    return {dx};
}

double to_mel(double hertz, const std::string& scale) {
    if (scale == "htk") return 1127.0104839937 * std::log(1 + hertz / 700);
    return hertz <= 1000 ? 3 * hertz / 200 : 15 + 27 * std::log(hertz / 1000) / std::log(6.4);
}

double to_hertz(double mel, const std::string& scale) {
    if (scale == "htk") return 700 * (std::exp(mel / 1127.0104839937) - 1);
    return mel <= 15 ? 200 * mel / 3 : 1000 * std::pow(6.4, (mel - 15) / 27);
}

std::vector<Tensor> mel_filter(const Call& call) {
    const auto& op = call.as<MelFilter>();
    const double first = to_mel(op.low, op.scale), last = to_mel(op.high, op.scale);
    const double step = (last - first) / static_cast<double>(op.bands + 1);
    Tensor w = call.output();
    for (int64_t m = 0; m < op.bands; m++) {
        const auto edge = [&](int64_t i) {
            return to_hertz(first + static_cast<double>(m + i) * step, op.scale);
        };
        const double a = edge(0), b = edge(1), c = edge(2);
        for (int64_t k = 0; k <= op.size / 2; k++) {
            const double f = static_cast<double>(k) * op.rate / static_cast<double>(op.size);
            const double height = std::max(0.0, std::min((f - a) / (b - a), (c - f) / (c - b)));
            w.at(m, k, int64_t{0}) = op.norm == "slaney" ? height * 2 / (c - a) : height;
        }
    }
    return {w};
}

}  // namespace

void add_signal(Table& table) {
    table["fold_frames"] = fold_frames;
    table["fold_frames_backward"] = fold_frames_backward;
    table["fourier_filter"] = fourier_filter;
    table["mel_filter"] = mel_filter;
}

}  // namespace emulsion::reference
