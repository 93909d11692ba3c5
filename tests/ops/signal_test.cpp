// Filters of spectra: the reference, what a transform of known signals is, published frequencies,
// and each refusal.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "compiler/ops/fold_frames.h"
#include "compiler/ops/fourier_filter.h"
#include "compiler/ops/mel_filter.h"
#include "tests/support/check_op.h"
#include "tests/support/run_graph.h"

namespace emulsion::test {
namespace {

using reference::Tensor;

FourierFilter fourier(int64_t size, int64_t taps, const char* window, const char* part) {
    FourierFilter op;
    op.size = size;
    op.taps = taps;
    op.window = window;
    op.part = part;
    return op;
}

std::shared_ptr<FoldFrames> fold(int64_t taps, int64_t hop, const char* part) {
    auto op = std::make_shared<FoldFrames>();
    op->taps = taps;
    op->hop = hop;
    op->part = part;
    return op;
}

TEST(FoldFrames, FoldsAboutTheMiddle) {
    const Tensor x = reference::make_tensor(batched_type({1, 7}), 1, {1, 2, 4, 8, 16, 32, 64});
    using Values = std::vector<double>;
    EXPECT_EQ(run_op(*fold(4, 3, "even"), {x}, 1)[0].values, (Values{1, 8, 2 + 8, 16 + 64, 4, 32}));
    EXPECT_EQ(run_op(*fold(4, 3, "odd"), {x}, 1)[0].values, (Values{1, 8, 2 - 8, 16 - 64, 4, 32}));
    EXPECT_EQ(run_op(*fold(5, 2, "even"), {x}, 1)[0].values,
              (Values{1, 4, 2 + 16, 8 + 64, 4 + 8, 16 + 32}));
    EXPECT_EQ(run_op(*fold(1, 3, "odd"), {x}, 1)[0].values, (Values{1, 8, 64}));
}

TEST(FoldFrames, AgreesWithTheReferenceAndItsGradient) {
    for (const char* part : {"even", "odd"}) {
        check_op(fold(1, 1, part), {{batched_type({1, 1})}, {}, 2});
        check_op(fold(2, 3, part), {{batched_type({1, 11})}, {}, 2});
        check_op(fold(9, 4, part), {{batched_type({1, 31})}, {}, 3});
        check_op(fold(62, 17, part), {{batched_type({1, 131})}, {}, 2});
        check_op(fold(35, 1, part), {{batched_type({1, 40})}, {}, 2});  // a loop over frames
    }
    FoldFramesBackward op;
    op.taps = 32;
    EXPECT_EQ(op.op_class(), OpClass::gather);
    op.taps = 33;
    EXPECT_EQ(op.op_class(), OpClass::anchor);
}

TEST(FoldFrames, Refusals) {
    const auto error = [](int64_t taps, int64_t hop, const char* part, const TensorType& type) {
        return node_error(fold(taps, hop, part), {type});
    };
    const TensorType signal = batched_type({1, 31});
    EXPECT_EQ(
        error(0, 1, "even", signal),
        "net.cpp:7: error[attribute]: fold_frames 'it': frames have 0 samples and follow each "
        "other by 1, but must have 1 to 32768, and follow by 1 to 2147483647\n"
        "    operand 'a' f32[n,1,31] from net.cpp:1\n"
        "  fix: choose the samples of a frame, such as 400, and a hop, such as 160");
    EXPECT_EQ(error(4, 1, "both", signal),
              "net.cpp:7: error[attribute]: fold_frames 'it': there is no part 'both'\n"
              "    operand 'a' f32[n,1,31] from net.cpp:1\n"
              "  fix: choose \"even\" or \"odd\"");
    EXPECT_EQ(
        error(32, 1, "odd", signal),
        "net.cpp:7: error[attribute]: fold_frames 'it': a frame has 32 samples, but the signal "
        "31\n"
        "    operand 'a' f32[n,1,31] from net.cpp:1\n"
        "  fix: choose shorter frames or a longer signal");
    EXPECT_EQ(
        error(4, 1, "odd", batched_type({2, 31})),
        "net.cpp:7: error[rank]: fold_frames 'it': the signal must be (n, 1, samples), but is "
        "f32[n,2,31]\n"
        "    operand 'a' f32[n,2,31] from net.cpp:1\n"
        "  fix: reshape it, or split its channels");
    auto backward = std::make_shared<FoldFramesBackward>();
    backward->samples = 30;
    EXPECT_EQ(node_error(backward, {batched_type({2, 31})}),
              "net.cpp:7: error[shape]: fold_frames_backward 'it': the halves of the frames of 30 "
              "samples are f32[n,2,29], but the gradient is f32[n,2,31]\n"
              "    operand 'a' f32[n,2,31] from net.cpp:1\n"
              "  fix: give it the gradient of what fold_frames has made");
}

TEST(FourierFilter, AgreesWithTheReference) {
    for (const char* part : {"cosine", "sine"}) {
        check_lowering(fourier(1, 1, "rectangular", part), {{}, {}, 1});
        check_lowering(fourier(7, 4, "hann", part), {{}, {}, 1});
        check_lowering(fourier(62, 62, "hamming", part), {{}, {}, 1});
        check_lowering(fourier(400, 333, "hann", part), {{}, {}, 1});
        FourierFilter folded = fourier(400, 334, "hamming", part);
        folded.folded = true;
        check_lowering(folded, {{}, {}, 1});
        folded.size = 333, folded.taps = 21;
        check_lowering(folded, {{}, {}, 1});
    }
    check_lowering(fourier(32768, 3, "rectangular", "sine"), {{}, {}, 1});
}

// A cosine of 3 periods a frame is bin 3 alone, half of the frame high; a quarter later it is
// imaginary.
TEST(FourierFilter, FindsAWave) {
    constexpr int64_t kSize = 20;
    const Tensor real = run_op(fourier(kSize, kSize, "rectangular", "cosine"), {}, 1)[0];
    const Tensor imaginary = run_op(fourier(kSize, kSize, "rectangular", "sine"), {}, 1)[0];
    for (int64_t k = 0; k <= kSize / 2; k++) {
        double cosine = 0, sine = 0;
        for (int64_t t = 0; t < kSize; t++) {
            const double turns = 3.0 * static_cast<double>(t) / kSize;
            cosine += std::cos(2 * M_PI * turns) * real.at(k, 0, t);
            sine += std::sin(2 * M_PI * turns) * imaginary.at(k, 0, t);
        }
        EXPECT_NEAR(cosine, k == 3 ? kSize / 2.0 : 0.0, 1e-5) << k;
        EXPECT_NEAR(sine, k == 3 ? -kSize / 2.0 : 0.0, 1e-5) << k;
    }
}

TEST(FourierFilter, Refusals) {
    const auto error = [](int64_t size, int64_t taps, const char* window, const char* part) {
        return node_error(std::make_shared<FourierFilter>(fourier(size, taps, window, part)), {});
    };
    const std::string head = "net.cpp:7: error[attribute]: fourier_filter 'it': ";
    EXPECT_EQ(error(0, 1, "hann", "sine"), head +
                                               "the size is 0, but must be 1 to 32768\n"
                                               "  fix: choose the samples of a frame, such as 512");
    EXPECT_EQ(error(400, 401, "hann", "sine"),
              head +
                  "the window has 401 samples, but a frame 400: it must have 1 to 400\n"
                  "  fix: choose a window that fits into the frame, or longer frames");
    EXPECT_EQ(error(4, 4, "kaiser", "sine"),
              head +
                  "there is no window 'kaiser'\n"
                  "  fix: choose \"hann\", \"hamming\" or \"rectangular\"");
    EXPECT_EQ(error(4, 4, "hann", "tangent"), head +
                                                  "there is no part 'tangent'\n"
                                                  "  fix: choose \"cosine\" or \"sine\"");
    FourierFilter folded = fourier(400, 333, "hann", "sine");
    folded.folded = true;
    EXPECT_EQ(node_error(std::make_shared<FourierFilter>(folded), {}),
              head +
                  "a window of 333 samples does not lie in the middle of a frame of 400, so that "
                  "it cannot be folded\n"
                  "  fix: choose a window longer or shorter by one, or folded=false");
    EXPECT_EQ(
        node_error(std::make_shared<FourierFilter>(), {plain_type({3})}),
        "net.cpp:7: error[operands]: fourier_filter 'it': it takes 0 operands, but 1 is given\n"
        "    operand 'a' f32[3] from net.cpp:1\n"
        "  fix: give it 0 operands");
}

MelFilter mel(int64_t size, int64_t bands, double rate, const char* scale = "htk") {
    MelFilter op;
    op.size = size;
    op.bands = bands;
    op.rate = rate;
    op.high = rate / 2;
    op.scale = scale;
    return op;
}

TEST(MelFilter, AgreesWithTheReference) {
    check_lowering(mel(400, 40, 16000), {{}, {}, 1});
    check_lowering(mel(1025, 17, 44100, "slaney"), {{}, {}, 1});
    check_lowering(mel(4, 1, 8000), {{}, {}, 1});
    MelFilter op = mel(480, 33, 16000, "slaney");
    op.norm = "slaney";
    op.low = 20.5;
    op.high = 7600;
    check_lowering(op, {{}, {}, 1});
}

// Bins are a hertz apart, so the largest weight of a band is at its middle.
std::vector<double> middles(const MelFilter& op) {
    const Tensor w = run_op(op, {}, 1)[0];
    std::vector<double> middles;
    for (int64_t m = 0; m < op.bands; m++) {
        const auto row = w.values.begin() + m * (op.size / 2 + 1);
        middles.push_back(static_cast<double>(std::max_element(row, row + op.size / 2 + 1) - row));
    }
    return middles;
}

// librosa.mel_frequencies(40, fmax=11025), as its documentation prints them, less both ends.
TEST(MelFilter, SlaneysFrequencies) {
    expect_near(middles(mel(22050, 38, 22050, "slaney")),
                {85.317,   170.635,  255.952,  341.269,  426.586,  511.904,  597.221,  682.538,
                 767.855,  853.173,  938.49,   1024.856, 1119.114, 1222.042, 1334.436, 1457.167,
                 1591.187, 1737.532, 1897.337, 2071.84,  2262.393, 2470.47,  2697.686, 2945.799,
                 3216.731, 3512.582, 3835.643, 4188.417, 4573.636, 4994.285, 5453.621, 5955.205,
                 6502.92,  7101.009, 7754.107, 8467.272, 9246.028, 10096.408},
                0.51);
}

// 8000 Hz are 2840.02 mel; a quarter, a half and three quarters of these are 614.3, 1767.8 and
// 3933.6 Hz.
TEST(MelFilter, FrequenciesOfHtk) {
    expect_near(middles(mel(16000, 3, 16000)), {614.3, 1767.8, 3933.6}, 0.51);
}

// Of Slaney's norm, each band is as large as any other; of none, each is 1 high in its middle, and
// neighbours add up to 1.
TEST(MelFilter, Norms) {
    MelFilter op = mel(8000, 5, 8000);
    const Tensor high = run_op(op, {}, 1)[0];
    const std::vector<double> tops = middles(op);
    for (auto k = static_cast<int64_t>(tops.front()); k < static_cast<int64_t>(tops.back()); k++) {
        double sum = 0;
        for (int64_t m = 0; m < op.bands; m++) sum += high.at(m, k, int64_t{0});
        ASSERT_NEAR(sum, k < static_cast<int64_t>(tops.front()) ? sum : 1, 1e-5) << k;
    }
    op.norm = "slaney";
    const Tensor even = run_op(op, {}, 1)[0];
    for (int64_t m = 0; m < op.bands; m++) {
        double area = 0;
        for (int64_t k = 0; k <= op.size / 2; k++) area += even.at(m, k, int64_t{0});
        EXPECT_NEAR(area, 1, 1e-3) << m;
    }
}

std::string mel_error(void (*change)(MelFilter&)) {
    MelFilter op = mel(400, 40, 16000);
    change(op);
    return node_error(std::make_shared<MelFilter>(op), {});
}

TEST(MelFilter, Refusals) {
    const std::string head = "net.cpp:7: error[attribute]: mel_filter 'it': ";
    EXPECT_EQ(mel_error([](MelFilter& op) { op.size = 0; }),
              head + "size is 0, but must be 1 to 32768\n  fix: choose from 1 to 32768");
    EXPECT_EQ(mel_error([](MelFilter& op) { op.bands = 0; }),
              head + "bands is 0, but must be 1 to 1024\n  fix: choose from 1 to 1024");
    EXPECT_EQ(mel_error([](MelFilter& op) { op.scale = "bark"; }),
              head + "there is no scale 'bark'\n  fix: choose \"htk\" or \"slaney\"");
    EXPECT_EQ(mel_error([](MelFilter& op) { op.norm = "l2"; }),
              head + "there is no norm 'l2'\n  fix: choose \"none\" or \"slaney\"");
    EXPECT_EQ(mel_error([](MelFilter& op) { op.rate = 0; }),
              head +
                  "the rate is 0, but must be above 0\n"
                  "  fix: give the samples of a second, such as 16000");
    EXPECT_EQ(mel_error([](MelFilter& op) { op.rate = HUGE_VAL; }),
              head +
                  "the rate is inf, which is no number of 32-bit floats\n"
                  "  fix: choose a finite number below 3.4e38");
    EXPECT_EQ(mel_error([](MelFilter& op) { op.high = 8001; }),
              head +
                  "the bands lie between 0 and 8001 Hz, but 16000 samples a second have 0 to "
                  "8000 Hz\n"
                  "  fix: choose 0 <= low < high <= 8000");
    EXPECT_EQ(mel_error([](MelFilter& op) { op.low = op.high; }),
              head +
                  "the bands lie between 8000 and 8000 Hz, but 16000 samples a second have 0 to "
                  "8000 Hz\n"
                  "  fix: choose 0 <= low < high <= 8000");
    EXPECT_EQ(mel_error([](MelFilter& op) { op.bands = 128; }),
              head +
                  "band 1 of 128, between 0 and 27.89 Hz, has no bin, as bins are 40 Hz apart\n"
                  "  fix: choose fewer bands or longer frames");
}

}  // namespace
}  // namespace emulsion::test
