// Output size, padding and receptive field of a sliding window.
#include "compiler/ops/window.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "compiler/graph/limits.h"
#include "compiler/ops/expect.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

namespace {

constexpr int64_t kLargest = 1 << 20;

size_t at(int axis) { return static_cast<size_t>(axis); }

void check_list(std::string_view name, const std::vector<int64_t>& values, size_t count,
                int64_t least) {
    if (values.size() != count) {
        fail("attribute",
             fmt::format("{} needs {} numbers, but is [{}]", name, count, fmt::join(values, ",")),
             count == 4 ? fmt::format("give {}=[top,bottom,left,right]", name)
                        : fmt::format("give {}=[height,width]", name));
    }
    for (int64_t value : values) {
        if (value >= least && value <= kLargest) continue;
        fail("attribute",
             fmt::format("{} is {}, but must be {} to {}", name, value, least, kLargest),
             fmt::format("give {} numbers from {} to {}", name, least, kLargest));
    }
}

}  // namespace

int64_t Window::covered(int axis) const { return dilation[at(axis)] * (size[at(axis)] - 1) + 1; }

int64_t Window::positions(int axis, int64_t in) const {
    const int64_t step = stride[at(axis)];
    const int64_t room = in + before(axis) + after(axis) - covered(axis);
    if (!ceil) return room / step + 1;
    int64_t count = (room + step - 1) / step + 1;
    if ((count - 1) * step >= in + before(axis)) count--;
    return count;
}

bool Window::leaves(int axis, int64_t in) const {
    return before(axis) > 0 ||
           (positions(axis, in) - 1) * stride[at(axis)] + covered(axis) - before(axis) > in;
}

bool Window::tiles(int64_t height, int64_t width) const {
    return stride == size && std::ranges::all_of(dilation, [](int64_t d) { return d == 1; }) &&
           std::ranges::all_of(padding, [](int64_t p) { return p == 0; }) &&
           height % size[0] == 0 && width % size[1] == 0;
}

void check_window(const Window& window, int64_t height, int64_t width, std::string_view what) {
    check_list(what, window.size, 2, 1);
    check_list("stride", window.stride, 2, 1);
    check_list("dilation", window.dilation, 2, 1);
    check_list("padding", window.padding, 4, 0);
    const int64_t padded_height = height + window.before(0) + window.after(0);
    const int64_t padded_width = width + window.before(1) + window.after(1);
    if (std::max(padded_height, padded_width) > kMostElements) {
        fail("size",
             fmt::format("the padded input {} has more than {} cells along an axis",
                         by(padded_height, padded_width), kMostElements),
             "use a smaller input or less padding");
    }
    if (window.covered(0) <= padded_height && window.covered(1) <= padded_width) return;
    const bool dilated = window.covered(0) != window.size[0] || window.covered(1) != window.size[1];
    const bool padded = padded_height != height || padded_width != width;
    fail("window",
         fmt::format("the {} {}{} is larger than its {}input {}",
                     by(window.size[0], window.size[1]), what,
                     dilated ? fmt::format(", with dilation {} covering {},",
                                           by(window.dilation[0], window.dilation[1]),
                                           by(window.covered(0), window.covered(1)))
                             : "",
                     padded ? "padded " : "", by(padded_height, padded_width)),
         fmt::format("use a {} {} at most {}, or pad the input to at least {}", what,
                     dilated ? "that covers" : "of",
                     by(std::min(window.covered(0), padded_height),
                        std::min(window.covered(1), padded_width)),
                     by(std::max(window.covered(0), padded_height),
                        std::max(window.covered(1), padded_width))));
}

void check_pool_padding(const Window& window) {
    for (int axis = 0; axis < 2; axis++) {
        const int64_t padding = std::max(window.before(axis), window.after(axis));
        const int64_t size = window.size[at(axis)];
        if (padding < size) continue;
        fail("padding",
             fmt::format("the padding {} is as wide as the window {} along the {}: a window would "
                         "hold no cell of the map",
                         padding, size, axis == 0 ? "height" : "width"),
             fmt::format("pad at most {} per side, or use a window of at least {}", size - 1,
                         padding + 1));
    }
}

std::array<int64_t, 2> same_padding(int64_t in, int64_t size, int64_t stride, int64_t dilation) {
    const int64_t covered = dilation * (size - 1) + 1;
    const int64_t out = (in + stride - 1) / stride;
    const int64_t total = std::max<int64_t>(0, (out - 1) * stride + covered - in);
    return {total / 2, total - total / 2};
}

namespace {

// Of a field that sees `cells` cells of the map in front of it, the centre of the first one's at
// `first`; the next one's lies `step` further on.
ReceptiveField moved(const ReceptiveField& field, int64_t cells, double first, double step) {
    constexpr auto kMost = static_cast<double>(kMostElements);
    const double size =
        static_cast<double>(field.size) + std::ceil(static_cast<double>(cells - 1) * field.jump);
    ReceptiveField result;
    result.offset = field.offset + first * field.jump;
    result.size = static_cast<int64_t>(std::min(size, kMost));
    result.jump = std::min(field.jump * step, kMost);
    return result;
}

}  // namespace

ReceptiveField through(const ReceptiveField& field, const Window& window, int axis) {
    const int64_t covered = window.covered(axis);
    const double centre =
        static_cast<double>(covered - 1) / 2 - static_cast<double>(window.before(axis));
    return moved(field, covered, centre, static_cast<double>(window.stride[at(axis)]));
}

ReceptiveField back_through(const ReceptiveField& field, const Window& window, int axis) {
    const int64_t covered = window.covered(axis), stride = window.stride[at(axis)];
    const double centre =
        static_cast<double>(window.before(axis)) - static_cast<double>(covered - 1) / 2;
    return moved(field, (covered + stride - 1) / stride, centre / static_cast<double>(stride),
                 1 / static_cast<double>(stride));
}

ReceptiveField resized(const ReceptiveField& field, int64_t in, int64_t out, bool is_nearest) {
    const double step = static_cast<double>(in) / static_cast<double>(out);
    return moved(field, is_nearest || in == out ? 1 : 2, step / 2 - 0.5, step);
}

}  // namespace emulsion
