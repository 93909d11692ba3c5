// Filters of image processing, which nobody trains: edges across and down (Sobel), blur, sharpen
// and outline, of grey pictures of 28x28. With `--set classify=true` they are the features of a
// trained classifier; without, a library of inference alone. Settings: classify, size.
#include "dsl/emulsion.h"
using namespace emulsion;

namespace {

using Filter = double[3][3];
constexpr Filter kSobelX = {{-1, 0, 1}, {-2, 0, 2}, {-1, 0, 1}};
constexpr Filter kSobelY = {{-1, -2, -1}, {0, 0, 0}, {1, 2, 1}};
constexpr Filter kBlur = {
    {1. / 9, 1. / 9, 1. / 9}, {1. / 9, 1. / 9, 1. / 9}, {1. / 9, 1. / 9, 1. / 9}};
constexpr Filter kSharpen = {{0, -1, 0}, {-1, 5, -1}, {0, -1, 0}};
constexpr Filter kOutline = {{0, -1, 0}, {-1, 4, -1}, {0, -1, 0}};

// The sum of the map moved by each cell of the filter, times its weight. What lies outside is as
// the cell at the edge.
Tensor filtered(Tensor x, const Filter& filter) {
    const Tensor wide = pad(x, 1, {.border = Border::replicate()});
    Tensor sum;
    bool is_first = true;
    for (int down = 0; down < 3; down++) {
        for (int across = 0; across < 3; across++) {
            if (filter[down][across] == 0) continue;
            Tensor moved = crop(wide, {down, 2 - down, across, 2 - across});
            moved = filter[down][across] * moved;
            sum = is_first ? moved : sum + moved;
            is_first = false;
        }
    }
    return sum;
}

}  // namespace

int main(int argc, char** argv) {
    Settings settings(argc, argv);
    const int size = settings.integer("size", 28);

    Model m("image_filters");
    Tensor x = m.input("image", {1, size, size});  // channels, height, width
    Tensor across = filtered(x, kSobelX), down = filtered(x, kSobelY);
    Tensor blur = filtered(x, kBlur), sharp = filtered(x, kSharpen),
           outline = filtered(x, kOutline);
    if (settings.boolean("classify", false)) {
        Tensor features = concatenate({abs(across), abs(down), blur, abs(outline)});
        m.classify(dense(flatten(average_pool(features, {.window = 4})), 10));
        m.optimizer(sgd({.learning_rate = 0.05, .momentum = 0.9}));
    } else {
        m.output("edges_across", across);
        m.output("edges_down", down);
        m.output("blur", blur);
        m.output("sharp", sharp);
        m.output("outline", outline);
    }
    return compile(m, settings);
}
