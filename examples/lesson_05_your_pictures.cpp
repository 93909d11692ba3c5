// Lesson 5: your own folder of pictures, augmentation and early stopping.
//
// Put pictures (PNG, JPEG, BMP, PPM; of any size) into a folder for each class:
//
//     pictures/disc/a.png  pictures/disc/b.jpg  ...  pictures/square/c.png  ...
//
// A few dozen of each are enough here. Few pictures make few steps an epoch, so many epochs, and
// are soon known by heart: every epoch sees each of them turned and moved a little (`m.augment`
// below), and the training ends where the pictures that it does not see get no better.
//
// 1. Build libraries and programs of the network below. It has a setting: how wide it is.
//
//     emulsion build lesson_05_your_pictures.cpp -o out --batch 12 --set width=8
//
// 2. Look at what the augmentation makes of the first pictures: is a disc still a disc?
//
//     out/shapes-train --data pictures --augment-preview preview.png
//
// 3. Train it. A quarter of the pictures of each class is kept apart and looked at after every
// epoch; 40 epochs in a row without a better one end the run, and the best one's weights are the
// result. The folder `run` gets checkpoints, the weights, and logs. The same command with
// `--resume` goes on where it was stopped. Where the loss still falls at the end, more epochs help;
// where the validation's stays high, more pictures do.
//
//     out/shapes-train --data pictures --validation 0.25 --epochs 120 --patience 40
//     --checkpoint run
//
// 4. Classify pictures: a table, or JSON with what the network hands out besides.
//
//     out/shapes-infer --weights run/weights.safetensors pictures/disc
//     out/shapes-infer --weights run/weights.safetensors --json --output features pictures/square
//
// 5. Look at it: the filters of its first layer, and which part of a picture its class hangs on.
//
//     out/shapes-infer --weights run/weights.safetensors --filters filters.png
//     out/shapes-infer --weights run/weights.safetensors --occlusion why pictures/disc
//
// 6. Find pictures that are like others, by their features.
//
//     out/shapes-infer --weights run/weights.safetensors --nearest pictures --top 3 pictures/disc
//
// Which width is enough? `emulsion sweep FILE --set width=4,8,16 --data pictures --validation 0.25`
// trains one network after the other, a process each, and ranks them.
#include "dsl/emulsion.h"

using namespace emulsion;

int main(int argc, char** argv) {
    Settings settings(argc, argv);
    const int width = settings.integer("width", 16);
    Model m("shapes");
    // Pictures of another size are resized to this one, in training and inference alike.
    Tensor x = m.input("image", {3, 24, 24});
    x = max_pool(relu(batch_norm(conv(x, width, {.kernel = 5, .padding = same}))), {.window = 2});
    x = relu(batch_norm(conv(x, 2 * width, {.kernel = 3, .padding = same})));
    x = global_average_pool(x);
    m.output("features", x);
    m.classify(dense(x, 2));  // as many classes as folders; their names travel with the weights
    m.augment({random_flip(), rotate(10), translate(0.1)}, {.fill = Fill::nearest});
    m.optimizer(adam({.learning_rate = 0.01}));
    return compile(m, settings);
}
