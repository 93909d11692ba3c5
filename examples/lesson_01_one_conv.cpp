// Lesson 1: one convolution.
//
// A convolution slides a small window, the kernel, over a picture. At every position it multiplies
// each cell under the window with the weight at the same place of the kernel and adds the products
// up; the sums form a new picture, a map. This program builds a network of a single convolution,
// looks at its shape while writing it, and compiles it:
//
//     emulsion summary examples/lesson_01_one_conv.cpp
//     emulsion build examples/lesson_01_one_conv.cpp -o out
#include <cstdio>

#include "dsl/emulsion.h"

using namespace emulsion;

int main(int argc, char** argv) {
    // A model is a network under construction. Its name becomes the prefix of everything that is
    // built from it.
    Model m("one-conv");

    // What comes in: pictures of one channel (grey), 28 cells high and 28 wide. There is no number
    // of pictures here; how many of them a step takes is decided when the model is built (--batch).
    Tensor image = m.input("image", {1, 28, 28});

    // Eight kernels of 5x5, each with a bias: eight maps. Without padding the window has 28 - 5 + 1
    // = 24 places in each direction, so the maps are 24x24. The line below knows that before
    // anything is compiled.
    Tensor maps = conv(image, 8, {.kernel = 5});
    std::fprintf(stderr, "eight maps of %dx%d\n", static_cast<int>(maps.shape()[1]),
                 static_cast<int>(maps.shape()[2]));

    // With `same`, a border of two zeros on every side gives the window as many places as the
    // picture has cells.
    Tensor bordered = conv(image, 8, {.kernel = 5, .padding = same, .name = "bordered"});
    std::fprintf(stderr, "with a border: %dx%d\n", static_cast<int>(bordered.shape()[1]),
                 static_cast<int>(bordered.shape()[2]));

    // What the eight maps say of a picture is read off their means, one number each, after cutting
    // off what is negative. A dense layer weighs these eight numbers into a score for each of ten
    // classes. Nobody reads `bordered`, so it costs nothing: only what the loss and the outputs
    // need is compiled.
    Tensor scores = dense(global_average_pool(relu(maps)), 10);

    // The loss says what training makes small: the cross-entropy of the scores with the right
    // class.
    m.classify(scores);

    // compile() reads the command line. If a line above were wrong, say a kernel of 50, it would
    // print the line's number and what to change, and compile nothing.
    return compile(m, argc, argv);
}
