// Spectra of signals: shapes, a transform against a naive one in double precision, and the whole
// message of each mistake. tests/reference/pytorch_test.cpp compares values and gradients with
// PyTorch's.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/dsl/dsl_support.h"
#include "tests/support/check_op.h"

namespace emulsion {
namespace {

Values some_signal(size_t count) {
    Values signal(count);
    for (size_t t = 0; t < count; t++) {
        const auto at = static_cast<double>(t);
        signal[t] = static_cast<float>(std::sin(0.13 * at) + 0.4 * std::cos(1.7 * at * at / 500));
    }
    return signal;
}

// What lies at a place of a signal with reflections at both ends.
double reflected(const Values& signal, int64_t at) {
    const auto last = static_cast<int64_t>(signal.size()) - 1;
    if (at < 0) at = -at;
    if (at > last) at = 2 * last - at;
    return signal[static_cast<size_t>(at)];
}

// Bins and frames of the squared magnitudes, of centred frames and a Hann window.
Values naive_spectrogram(const Values& signal, int64_t size, int64_t hop, int64_t taps) {
    const auto samples = static_cast<int64_t>(signal.size());
    const int64_t frames = (samples + 2 * (size / 2) - size) / hop + 1;
    Values result;
    for (int64_t k = 0; k <= size / 2; k++) {
        for (int64_t frame = 0; frame < frames; frame++) {
            double real = 0, imaginary = 0;
            for (int64_t t = 0; t < taps; t++) {
                const int64_t place = t + (size - taps) / 2;
                const double angle =
                    2 * M_PI * static_cast<double>(k * place % size) / static_cast<double>(size);
                const double window = 0.5 - 0.5 * std::cos(2 * M_PI * static_cast<double>(t) /
                                                           static_cast<double>(taps));
                const double x = window * reflected(signal, frame * hop + place - size / 2);
                real += x * std::cos(angle);
                imaginary -= x * std::sin(angle);
            }
            result.push_back(real * real + imaginary * imaginary);
        }
    }
    return result;
}

TEST(Spectrogram, IsTheNaiveTransform) {
    const Values signal = some_signal(230);
    for (const int taps : {31, 32, 45}) {
        const Values power = run_layer({1, 230}, signal, [&](const Tensor& x) {
            return spectrogram(x, {.n_fft = 45, .hop = 13, .window_length = taps});
        });
        const Values expected = naive_spectrogram(signal, 45, 13, taps);
        test::expect_near(power, expected, 3e-6 * *std::ranges::max_element(expected));
    }
}

// Around frames that are folded, and around others.
TEST(Spectrogram, TheBorderOfItsOwnIsZero) {
    const Values signal = some_signal(70);
    for (const int taps : {16, 15}) {
        const auto power = [&](const Border& border) {
            return run_layer({1, 70}, signal, [&](const Tensor& x) {
                return spectrogram(
                    x, {.n_fft = 16, .hop = 5, .window_length = taps, .border = border});
            });
        };
        const Values own = power(Border{});
        EXPECT_EQ(own.size(), 9U * 15U);
        EXPECT_EQ(own, power(Border::zeros()));
    }
}

// The last frames hear nothing: their magnitude is that below which the derivative is 0.
TEST(Spectrogram, MagnitudesAndSilence) {
    Values signal = some_signal(230);
    std::fill(signal.begin() + 100, signal.end(), 0);
    const Values magnitude = run_layer({1, 230}, signal, [](const Tensor& x) {
        return spectrogram(x, {.n_fft = 64, .hop = 16, .power = 1});
    });
    Values expected = naive_spectrogram(signal, 64, 16, 64);
    for (double& value : expected) value = std::sqrt(value);
    test::expect_near(magnitude, expected, 1e-4);
    EXPECT_NEAR(magnitude.back(), 1e-15, 1e-20);
}

TEST(Spectrogram, Shapes) {
    Model m("m");
    const Tensor x = m.input("x", {1, 16000});
    EXPECT_EQ(spectrogram(x).shape(), (Shape{201, 101}));
    const Tensor y = spectrogram(x, {.n_fft = 480, .hop = 160, .center = false});
    EXPECT_EQ(y.shape(), (Shape{241, 98}));
    EXPECT_EQ(stft(x, {.n_fft = 512, .hop = 128, .window_length = 400}).imaginary.shape(),
              (Shape{257, 126}));
    EXPECT_EQ(stft(x, {.n_fft = 512, .window_length = 1, .center = false}).real.shape(),
              (Shape{257, 97}));
    EXPECT_EQ(mel_bands(y, 40).shape(), (Shape{40, 98}));
    EXPECT_EQ(mel_bands(stft(x, {.n_fft = 333}).real, 10, {.n_fft = 333}).shape(),
              (Shape{10, 100}));
}

// All lines but those of operands.
std::vector<std::string> mistakes_in(const std::function<Tensor(Model&)>& layer) {
    Model m("m");
    m.output("z", m.input("other", {1}));
    m.output("y", layer(m));
    std::vector<std::string> texts = mistakes_of(m);
    for (std::string& text : texts) {
        const size_t notes = text.find("\n    operand"), fix = text.find("\n  fix");
        if (notes != std::string::npos) text.erase(notes, fix - notes);
    }
    return texts;
}

std::vector<std::string> spectrogram_mistakes(const SpectrogramOptions& options,
                                              const Shape& shape = {1, 100}) {
    return mistakes_in([&](Model& m) { return spectrogram(m.input("x", shape), options); });
}

std::vector<std::string> mel_mistakes(int bands, const MelBandsOptions& options,
                                      const Shape& shape = {33, 5}) {
    return mistakes_in([&](Model& m) { return mel_bands(m.input("x", shape), bands, options); });
}

using Texts = std::vector<std::string>;

TEST(Spectrogram, Mistakes) {
    const std::string head = "error[attribute]: spectrogram 'spectrogram1': ";
    const std::string filter = "error[attribute]: fourier_filter 'spectrogram1.cosine.filter': ";
    const std::string rank =
        "error[rank]: spectrogram 'spectrogram1': the signal must be (n, 1, samples), but is ";
    const std::string reshape = "\n  fix: reshape it to {1, samples}, or split its channels";
    EXPECT_EQ(spectrogram_mistakes({}, {2, 1000}), Texts{rank + "f32[n,2,1000]" + reshape});
    EXPECT_EQ(spectrogram_mistakes({}, {1, 10, 100}), Texts{rank + "f32[n,1,10,100]" + reshape});
    EXPECT_EQ(
        spectrogram_mistakes({.n_fft = 16, .hop = 0}),
        Texts{head + "the hop is 0, but must be 1 or more\n"
                     "  fix: choose the samples from one frame to the next, such as n_fft / 4"});
    EXPECT_EQ(spectrogram_mistakes({.n_fft = 16, .window_length = 17}),
              Texts{filter + "the window has 17 samples, but a frame 16: it must have 1 to 16\n"
                             "  fix: choose a window that fits into the frame, or longer frames"});
    EXPECT_EQ(spectrogram_mistakes({.n_fft = 0}),
              Texts{filter + "the size is 0, but must be 1 to 32768\n"
                             "  fix: choose the samples of a frame, such as 512"});
    EXPECT_EQ(spectrogram_mistakes({.n_fft = 101, .center = false}),
              Texts{head + "a frame has 101 samples, but the signal only 100\n"
                           "  fix: choose a smaller n_fft or a longer signal"});
    EXPECT_EQ(spectrogram_mistakes({.n_fft = 200}),
              Texts{"error[padding]: pad 'spectrogram1.padded': the border 'reflect' is 100 cells "
                    "wide along the axis 1, but the input has 100: 99 of them can be mirrored\n"
                    "  fix: pad at most 99 per side, or use the border replicate"});
    EXPECT_EQ(spectrogram_mistakes({.n_fft = 16, .power = 0}),
              Texts{head + "the power is 0, but must be above 0\n"
                           "  fix: choose 1 for magnitudes or 2 for their squares"});
}

TEST(MelBands, Mistakes) {
    const std::string filter = "error[attribute]: mel_filter 'mel_bands1.filter': ";
    EXPECT_EQ(mel_mistakes(4, {}, {33}),
              Texts{"error[rank]: mel_bands 'mel_bands1': the spectra must be (n, bins, frames), "
                    "but are f32[n,33]\n"
                    "  fix: give it the result of spectrogram()"});
    EXPECT_EQ(mel_mistakes(4, {.n_fft = 66}),
              Texts{"error[attribute]: mel_bands 'mel_bands1': frames of 66 samples have 34 bins, "
                    "but the spectra 33\n"
                    "  fix: give it the n_fft of the spectrogram"});
    EXPECT_EQ(mel_mistakes(0, {}), Texts{filter + "bands is 0, but must be 1 to 1024\n"
                                                  "  fix: choose from 1 to 1024"});
    EXPECT_EQ(mel_mistakes(4, {.high = 9000}),
              Texts{filter + "the bands lie between 0 and 9000 Hz, but 16000 samples a second have "
                             "0 to 8000 Hz\n"
                             "  fix: choose 0 <= low < high <= 8000"});
    EXPECT_EQ(
        mel_mistakes(40, {}),
        Texts{filter + "band 1 of 40, between 0 and 91.561 Hz, has no bin, as bins are 250 Hz "
                       "apart\n"
                       "  fix: choose fewer bands or longer frames"});
}

}  // namespace
}  // namespace emulsion
