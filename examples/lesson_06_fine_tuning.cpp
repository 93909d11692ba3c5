// Lesson 6: fine-tuning.
//
// The network of lesson 5 has learned to see edges and corners. Other classes need the same, so its
// first block is taken as it is, the second learns slowly, and only the last layer begins anew: a
// few pictures are enough, and nothing is computed backwards through what is frozen. With fewer
// pictures still, freeze the second block too; with many, freeze nothing and let all learn slowly.
//
// 1. Train lesson 5 on two classes.
//
//     emulsion build lesson_05_your_pictures.cpp -o out --batch 12 --set width=8
//     out/shapes-train --data pictures --validation 0.25 --epochs 120 --patience 40
//     --checkpoint run
//
// 2. Build the network below, which differs in its last layer.
//
//     emulsion build lesson_06_fine_tuning.cpp -o tuned --batch 12
//
// 3. Begin with the weights of lesson 5. The trainer says what it has taken, and what it begins
// anew: the last layer, whose shape is another one.
//
//     tuned/more_shapes-train --data more --init run/weights.safetensors --validation 0.25
//     --epochs 40 --checkpoint more_run
//
// 4. The rest is as before.
//
//     tuned/more_shapes-infer --weights more_run/weights.safetensors more/cross
#include "dsl/emulsion.h"

using namespace emulsion;

int main(int argc, char** argv) {
    Model m("more_shapes");
    Tensor x = m.input("image", {3, 24, 24});
    // The names of layers follow from their order, so they are those of lesson 5.
    x = max_pool(relu(batch_norm(conv(x, 8, {.kernel = 5, .padding = same}))), {.window = 2});
    x = relu(batch_norm(conv(x, 16, {.kernel = 3, .padding = same})));
    x = global_average_pool(x);
    m.classify(dense(x, 3));
    // '*' stands for any text: conv1.w and conv1.b. The second block learns at a tenth of the rate.
    m.freeze("conv1*");
    m.freeze("batch_norm1*");
    m.learning_rate("conv2*", 0.1);
    m.learning_rate("batch_norm2*", 0.1);
    m.optimizer(adam({.learning_rate = 0.1}));
    return compile(m, argc, argv);
}
