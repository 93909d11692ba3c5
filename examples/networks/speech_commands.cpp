// A network for spoken commands, on the spectrogram of a second: 98 frames of 40 bands each, read
// as a picture by two convolutions. Settings: frames, bands, classes.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Settings settings(argc, argv);
    const int frames = settings.integer("frames", 98), bands = settings.integer("bands", 40);

    Model m("speech_commands");
    Tensor x = m.input("spectrogram", {1, frames, bands});
    x = dropout(relu(conv(x, 64, {.kernel = {20, 8}, .padding = same})));
    x = max_pool(x, {.padding = same});
    x = dropout(relu(conv(x, 64, {.kernel = {10, 4}, .padding = same})));
    m.classify(dense(flatten(x), settings.integer("classes", 12)));
    m.optimizer(sgd({.learning_rate = 0.001, .momentum = 0.9}));
    return compile(m, settings);
}
