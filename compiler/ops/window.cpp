// Output size, padding and receptive field of a sliding window.
#include "compiler/ops/window.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "compiler/graph/limits.h"
#include "compiler/ops/positions.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

namespace {

constexpr int64_t kLargest = 1 << 20;

size_t at(int axis) { return static_cast<size_t>(axis); }

// What a list of numbers for the axes holds, or of two for each.
const char* names_of(size_t axes, bool has_sides) {
    if (axes == 1) return has_sides ? "[before,after]" : "[length]";
    if (axes == 2) return has_sides ? "[top,bottom,left,right]" : "[height,width]";
    return has_sides ? "[front,back,top,bottom,left,right]" : "[depth,height,width]";
}

void check_list(std::string_view name, const std::vector<int64_t>& values, size_t axes,
                bool has_sides, int64_t least) {
    const size_t count = has_sides ? 2 * axes : axes;
    if (values.size() != count) {
        fail("attribute",
             fmt::format("{} needs {} number{}, but is [{}]", name, count, count == 1 ? "" : "s",
                         fmt::join(values, ",")),
             fmt::format("give {}={}", name, names_of(axes, has_sides)));
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

int64_t Window::taps() const {
    return std::accumulate(size.begin(), size.end(), int64_t{1}, std::multiplies<>());
}

bool Window::tiles(std::span<const int64_t> extents) const {
    bool divides = true;
    for (size_t axis = 0; axis < size.size(); axis++)
        divides = divides && extents[axis] % size[axis] == 0;
    return divides && stride == size &&
           std::ranges::all_of(dilation, [](int64_t d) { return d == 1; }) &&
           std::ranges::all_of(padding, [](int64_t p) { return p == 0; });
}

void check_window(const Window& window, std::span<const int64_t> extents, std::string_view what) {
    const size_t axes = extents.size();
    check_list(what, window.size, axes, /*has_sides=*/false, 1);
    check_list("stride", window.stride, axes, /*has_sides=*/false, 1);
    check_list("dilation", window.dilation, axes, /*has_sides=*/false, 1);
    check_list("padding", window.padding, axes, /*has_sides=*/true, 0);
    std::vector<int64_t> padded, covered, smaller, larger;
    for (int axis = 0; axis < window.axes(); axis++) {
        padded.push_back(extents[at(axis)] + window.before(axis) + window.after(axis));
        covered.push_back(window.covered(axis));
        smaller.push_back(std::min(covered.back(), padded.back()));
        larger.push_back(std::max(covered.back(), padded.back()));
    }
    if (std::ranges::max(padded) > kMostElements) {
        fail("size",
             fmt::format("the padded input {} has more than {} cells along an axis", by(padded),
                         kMostElements),
             "use a smaller input or less padding");
    }
    if (smaller == covered) return;
    const bool dilated = covered != window.size;
    const bool is_padded = !std::ranges::equal(padded, extents);
    const std::string name = axes == 1 ? fmt::format("{} of {}", what, window.size[0])
                                       : fmt::format("{} {}", by(window.size), what);
    fail("window",
         fmt::format("the {}{} is larger than its {}input {}", name,
                     dilated ? fmt::format(", with dilation {} covering {},", by(window.dilation),
                                           by(covered))
                             : "",
                     is_padded ? "padded " : "", by(padded)),
         fmt::format("use a {} {} at most {}, or pad the input to at least {}", what,
                     dilated ? "that covers" : "of", by(smaller), by(larger)));
}

void check_pool_padding(const Window& window) {
    for (int axis = 0; axis < window.axes(); axis++) {
        const int64_t padding = std::max(window.before(axis), window.after(axis));
        const int64_t size = window.size[at(axis)];
        if (padding < size) continue;
        fail("padding",
             fmt::format("the padding {} is as wide as the window {} along the {}: a window would "
                         "hold no cell of the map",
                         padding, size, position_name(window.size.size(), at(axis))),
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
