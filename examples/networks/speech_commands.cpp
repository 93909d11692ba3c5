// A network for spoken commands, from a second of sound: 98 frames of 30 ms, a hundred a second, as
// 40 bands even in pitch, read as a picture by two convolutions. The spectra are a part of the
// network, which hence takes what a microphone gives. With `--set spectrogram=true` its input is
// that picture. Settings: spectrogram, frames, bands, classes, rate (samples a second).
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Settings settings(argc, argv);
    const int frames = settings.integer("frames", 98), bands = settings.integer("bands", 40);
    const int rate = settings.integer("rate", 16000);
    const int window = rate * 3 / 100, hop = rate / 100;

    Model m("speech_commands");
    Tensor x;
    if (settings.boolean("spectrogram", false)) {
        x = m.input("spectrogram", {1, frames, bands});
    } else {
        x = m.input("sound", {1, window + (frames - 1) * hop});
        x = spectrogram(x, {.n_fft = window, .hop = hop, .center = false});
        x = log(mel_bands(x, bands, {.sample_rate = 1. * rate}) + 1e-6);  // (bands, frames)
        x = reshape(transpose(x, {1, 0}), {1, frames, bands});
    }
    x = dropout(relu(conv(x, 64, {.kernel = {20, 8}, .padding = same})));
    x = max_pool(x, {.padding = same});
    x = dropout(relu(conv(x, 64, {.kernel = {10, 4}, .padding = same})));
    m.classify(dense(flatten(x), settings.integer("classes", 12)));
    m.optimizer(sgd({.learning_rate = 0.001, .momentum = 0.9}));
    return compile(m, settings);
}
