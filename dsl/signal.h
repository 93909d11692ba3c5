// Sound in a model: the short-time Fourier transform of a signal and mel bands, as PyTorch's
// torch.stft, torchaudio and librosa compute them. dsl/emulsion.h includes this file.
//
//     Tensor x = m.input("sound", {1, 16000});                  // a second
//     x = spectrogram(x, {.n_fft = 400, .hop = 160});           // (201, 101): bins, frames
//     x = log(mel_bands(x, 40, {.sample_rate = 16000}) + 1e-6);  // (40, 101)
//     x = reshape(x, {1, 40, 101});                             // a picture of one channel
//
// A frame is a product with fixed filters, a convolution of the signal: n_fft * window_length
// multiply-adds, each part at the speed of any convolution. Nothing of it is trained, and gradients
// reach the signal.
#pragma once

#include "dsl/emulsion.h"

namespace emulsion {

// Of t = 0 ... window_length - 1, with u = 2 pi t / window_length: 1/2 - 1/2 cos u, 0.54 - 0.46 cos
// u, and 1.
enum class FrameWindow { hann, hamming, rectangular };

struct StftOptions {
    int n_fft = 400;        // samples of a frame; n_fft / 2 + 1 bins
    int hop = 160;          // samples from one frame to the next
    int window_length = 0;  // samples of a frame that the window leaves, in its middle; 0: n_fft
    FrameWindow window = FrameWindow::hann;
    bool center = true;                 // frame t is around sample t * hop: n_fft / 2 on both sides
    Border border = Border::reflect();  // what lies beyond the signal, where `center` looks there
    std::string name = {};
};

struct SpectrogramOptions {
    int n_fft = 400;
    int hop = 160;
    int window_length = 0;
    FrameWindow window = FrameWindow::hann;
    bool center = true;
    Border border = Border::reflect();
    double power = 2;  // of the magnitude; 1 is the magnitude itself
    std::string name = {};
};

// The scale on which bands are even: HTK's, 2595 log10(1 + f / 700), or that of Slaney's toolbox.
enum class MelScale { htk, slaney };

// torchaudio's defaults; librosa's are {.scale = MelScale::slaney, .equal_area = true}.
struct MelBandsOptions {
    double sample_rate = 16000;  // of the signal, in hertz
    double low = 0;              // where the first band begins, in hertz
    double high = 0;             // where the last one ends; 0: half the sample rate
    MelScale scale = MelScale::htk;
    bool equal_area = false;  // of the triangles, in hertz: 2 / width high instead of 1
    int n_fft = 0;            // of the spectrum; 0: twice its bins less 2, which is even
    std::string name = {};
};

// A part for each bin and frame, (n_fft / 2 + 1, frames).
struct Stft {
    Tensor real, imaginary;
};

// The Fourier transforms of frames of a signal (1, L), as those of torch.stft: with P = L + 2 *
// floor(n_fft / 2) if centred, else L, there are (P - n_fft) / hop + 1 frames, rounded down.
Stft stft(const Tensor& x, const StftOptions& options = {}, Place where = Place::current());

// (1, L) to (n_fft / 2 + 1, frames): the magnitude of the transform to a power. Of another power
// than 2, the derivative is 0 where the magnitude is below 1e-15.
Tensor spectrogram(const Tensor& x, const SpectrogramOptions& options = {},
                   Place where = Place::current());

// (bins, frames) to (bands, frames): triangles that overlap by half and are even on the scale,
// compiler/ops/mel_filter.h. A band without a bin is refused.
Tensor mel_bands(const Tensor& x, int bands, const MelBandsOptions& options = {},
                 Place where = Place::current());

}  // namespace emulsion
