// A staged network for the pose of people, as OpenPose's: the first ten layers of VGG-19 make
// features of an eighth of the size; then each stage makes 19 heat maps of joints and 38 maps of
// directions along limbs from the features and what the stage before has made, and each has losses
// of its own. Settings: stages, size.
#include "examples/networks/blocks.h"
using namespace emulsion;
using namespace emulsion::blocks;

namespace {

Tensor features_of(Tensor x) {
    for (int width : {64, 128, 256}) {
        for (int i = 0; i < (width == 256 ? 4 : 2); i++) x = conv_relu(x, width);
        x = max_pool(x);
    }
    for (int width : {512, 512, 256, 128}) x = conv_relu(x, width);
    return x;
}

// A branch of the first stage sees few cells around, those of later stages many.
Tensor branch(Tensor x, bool is_first, int maps) {
    for (int i = 0; i < (is_first ? 3 : 5); i++) x = conv_relu(x, 128, is_first ? 3 : 7);
    return conv(conv_relu(x, is_first ? 512 : 128, 1), maps, {.kernel = 1});
}

}  // namespace

int main(int argc, char** argv) {
    Settings settings(argc, argv);
    const int stages = settings.integer("stages", 6), size = settings.integer("size", 368);

    Model m("openpose");
    Tensor features = features_of(m.input("image", {3, size, size}));  // channels, height, width
    Tensor x = features;
    for (int stage = 1; stage <= stages; stage++) {
        const std::string number = std::to_string(stage);
        Tensor limbs = branch(x, stage == 1, 38), joints = branch(x, stage == 1, 19);
        m.mean_squared_error(limbs, {.target = "limbs", .name = "limbs" + number});
        m.mean_squared_error(joints, {.target = "joints", .name = "joints" + number});
        x = concatenate({limbs, joints, features});
    }
    m.optimizer(sgd({.learning_rate = 4e-5, .momentum = 0.9, .weight_decay = 5e-4}));
    return compile(m, settings);
}
