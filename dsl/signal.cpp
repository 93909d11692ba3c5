// Spectra of signals: convolutions with filters that follow from a formula.
#include "dsl/signal.h"

#include <fmt/format.h>

#include "dsl/layer.h"
#include "dsl/window_options.h"

namespace emulsion {

using internal::Access;
using internal::Layer;
using internal::Numbers;
using internal::Padded;
using internal::write_layer;

namespace {

// What frames of a signal are made of, in numbers.
struct Frames {
    int64_t size = 0, hop = 0, taps = 0;
    const char* window = "";
    bool is_centered = false;
    Border border;
};

const char* name_of(FrameWindow window) {
    switch (window) {
        case FrameWindow::hann:
            return "hann";
        case FrameWindow::hamming:
            return "hamming";
        case FrameWindow::rectangular:
            return "rectangular";
    }
    return "";
}

template <class Options>
Frames frames_of(const Options& options) {
    const int taps = options.window_length == 0 ? options.n_fft : options.window_length;
    return {options.n_fft,           options.hop,    taps,
            name_of(options.window), options.center, options.border};
}

void check_frames(const Layer& layer, Value signal, const Frames& frames) {
    const TensorType& type = layer.type(signal);
    if (!type.batched || type.shape.size() != 2 || type.shape[0] != 1) {
        layer.refuse("rank",
                     fmt::format("the signal must be (n, 1, samples), but is {}", to_string(type)),
                     "reshape it to {1, samples}, or split its channels", {signal});
    }
    if (frames.hop < 1) {
        layer.refuse("attribute", fmt::format("the hop is {}, but must be 1 or more", frames.hop),
                     "choose the samples from one frame to the next, such as n_fft / 4");
    }
    const int64_t seen = type.shape[1] + (frames.is_centered ? 2 * (frames.size / 2) : 0);
    if (frames.size <= seen) return;
    layer.refuse("attribute",
                 fmt::format("a frame has {} samples, but the signal only {}", frames.size, seen),
                 "choose a smaller n_fft or a longer signal", {signal});
}

// Whether filters weigh samples at the same distance from a frame's middle alike, but for the sign.
bool is_symmetric(const Frames& frames) { return (frames.size - frames.taps) % 2 == 0; }

// The signal as the windows of all frames read it: with what lies beyond its ends, or without the
// samples there that every window leaves out.
Padded seen_by_windows(Layer& layer, Value signal, const Frames& frames) {
    const int64_t before = (frames.size - frames.taps) / 2;
    const int64_t after = frames.size - frames.taps - before;
    if (frames.is_centered) {
        const int64_t half = frames.size / 2;
        const Numbers sides = {half - before, half - after};
        if (!is_symmetric(frames))
            return with_border(layer, signal, sides, frames.border, /*has_zeros=*/true);
        // What is folded has no padding of its own.
        const bool is_own = frames.border.kind[0] == '\0';
        return with_border(layer, signal, sides, is_own ? Border::zeros() : frames.border,
                           /*has_zeros=*/false);
    }
    if (before + after == 0) return {signal, {0, 0}};
    const int64_t samples = layer.type(signal).shape[1];
    const Value seen = layer.add("seen", "crop", {signal},
                                 {{"begin", Numbers{0, before}},
                                  {"count", Numbers{1, samples - before - after}},
                                  {"step", Numbers{1, 1}}});
    return {seen, {0, 0}};
}

Value filter_of(Layer& layer, const std::string& part, const Frames& frames) {
    return layer.add(part + ".filter", "fourier_filter", {},
                     {{"size", frames.size},
                      {"taps", frames.taps},
                      {"window", std::string(frames.window)},
                      {"part", part},
                      {"folded", is_symmetric(frames)}});
}

Value filtered(Layer& layer, std::string_view part, const Padded& seen, Value filter, int64_t hop) {
    return layer.add(
        part, "conv2d", {seen.map, filter},
        {{"stride", Numbers{hop}}, {"dilation", Numbers{1}}, {"padding", seen.padding}});
}

// The same of the halves of frames: half of the multiply-adds.
Value filtered_half(Layer& layer, std::string_view part, const std::string& half, Value seen,
                    Value filter, const Frames& frames) {
    const Value folded = layer.add(half, "fold_frames", {seen},
                                   {{"taps", frames.taps}, {"hop", frames.hop}, {"part", half}});
    return filtered(layer, part, {folded, {0, 0}}, filter, 1);
}

struct Parts {
    Value real, imaginary;
};

// `real` names the node of that part.
Parts transforms(Layer& layer, std::string_view real, Value signal, const Frames& frames) {
    check_frames(layer, signal, frames);
    const Value cosine = filter_of(layer, "cosine", frames);
    const Value sine = filter_of(layer, "sine", frames);
    const Padded seen = seen_by_windows(layer, signal, frames);
    if (is_symmetric(frames)) {
        return {filtered_half(layer, real, "even", seen.map, cosine, frames),
                filtered_half(layer, "sine", "odd", seen.map, sine, frames)};
    }
    return {filtered(layer, real, seen, cosine, frames.hop),
            filtered(layer, "sine", seen, sine, frames.hop)};
}

}  // namespace

Stft stft(const Tensor& x, const StftOptions& options, Place where) {
    Parts parts;
    const Tensor real = write_layer("stft", options.name, {x}, where,
                                    [&](Layer& layer, const std::vector<Value>& in) {
                                        parts = transforms(layer, "", in[0], frames_of(options));
                                        return parts.real;
                                    });
    if (Access::is_poisoned(real)) return {real, real};
    return {real, Access::make(Access::model(real), parts.imaginary)};
}

Tensor spectrogram(const Tensor& x, const SpectrogramOptions& options, Place where) {
    return write_layer(
        "spectrogram", options.name, {x}, where, [&](Layer& layer, const std::vector<Value>& in) {
            constexpr double kLeast = 1e-30, kMost = 3e38;  // of a squared magnitude
            if (!(options.power > 0)) {
                layer.refuse("attribute",
                             fmt::format("the power is {}, but must be above 0", options.power),
                             "choose 1 for magnitudes or 2 for their squares");
            }
            const Parts parts = transforms(layer, "cosine", in[0], frames_of(options));
            const Value real = layer.add("real", "multiply", {parts.real, parts.real});
            const Value imaginary =
                layer.add("imaginary", "multiply", {parts.imaginary, parts.imaginary});
            if (options.power == 2) return layer.add("", "add", {real, imaginary});
            const Value square = layer.add("square", "add", {real, imaginary});
            const Value heard =
                layer.add("heard", "clip", {square}, {{"low", kLeast}, {"high", kMost}});
            return layer.add("", "power", {heard}, {{"exponent", options.power / 2}});
        });
}

Tensor mel_bands(const Tensor& x, int bands, const MelBandsOptions& options, Place where) {
    return write_layer(
        "mel_bands", options.name, {x}, where, [&](Layer& layer, const std::vector<Value>& in) {
            const TensorType& type = layer.type(in[0]);
            if (!type.batched || type.shape.size() != 2) {
                layer.refuse("rank",
                             fmt::format("the spectra must be (n, bins, frames), but are {}",
                                         to_string(type)),
                             "give it the result of spectrogram()", in);
            }
            const int64_t bins = type.shape[0];
            const int64_t size = options.n_fft == 0 ? 2 * (bins - 1) : options.n_fft;
            if (size < 1 || size / 2 + 1 != bins) {
                layer.refuse("attribute",
                             fmt::format("frames of {} samples have {} bins, but the spectra {}",
                                         size, size / 2 + 1, bins),
                             "give it the n_fft of the spectrogram", in);
            }
            const double high = options.high == 0 ? options.sample_rate / 2 : options.high;
            const Value filter = layer.add(
                "filter", "mel_filter", {},
                {{"size", size},
                 {"bands", int64_t{bands}},
                 {"rate", options.sample_rate},
                 {"low", options.low},
                 {"high", high},
                 {"scale", std::string(options.scale == MelScale::htk ? "htk" : "slaney")},
                 {"norm", std::string(options.equal_area ? "slaney" : "none")}});
            return layer.add(
                "", "conv2d", {in[0], filter},
                {{"stride", Numbers{1}}, {"dilation", Numbers{1}}, {"padding", Numbers{0, 0}}});
        });
}

}  // namespace emulsion
