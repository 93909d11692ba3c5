// Lesson 4: an op of your own.
//
// Most layers that are not there can be written as functions of others: a few lines that call conv,
// multiply and so on, which are fused into few kernels. Where that is not enough, because a formula
// is not made of what there is, write an op. The compiler stays as it is: the op is a class in a
// header beside the model, examples/softsign.h here, and reaches the compiler with the model file.
//
// The header has four things, and nothing else is needed: a name, a rule of shapes, a gradient made
// of ops, and the formula. What is done for the compiler's own ops is done for this one: it is
// fused into the layers around it, vectorized, run by all threads, differentiated, and tuned.
//
//     emulsion build lesson_04_own_op.cpp --batch 32 -o out
//     out/own-op-train --data synthetic --steps 60 --checkpoint run
//     out/own-op-infer --weights run/weights.safetensors --benchmark
//
// When the header changes, so do the kernels that contain the op; all others come from the cache.
#include "dsl/emulsion.h"
#include "examples/softsign.h"

using namespace emulsion;

int main(int argc, char** argv) {
    Model m("own-op");
    Tensor x = m.input("image", {1, 16, 16});

    // The layer is a function like any other: here behind a convolution, as a step of its own and,
    // with a sharper bend, as the activation that a dense layer applies to its result.
    x = max_pool(softsign(conv(x, 8)));
    const auto sharp = [](const Tensor& t) { return softsign(t, 2.0); };
    x = dense(flatten(x), 32, {.activation = sharp});

    m.classify(dense(x, 4));
    m.optimizer(sgd({.learning_rate = 0.05, .momentum = 0.9}));
    return compile(m, argc, argv);
}
