// See detection.h.
#include "runtime/infer/detection.h"

#include <algorithm>
#include <cmath>

namespace emulsion {

double intersection_over_union(const Box& a, const Box& b) {
    const double width = std::min(a.x + a.width, b.x + b.width) - std::max(a.x, b.x);
    const double height = std::min(a.y + a.height, b.y + b.height) - std::max(a.y, b.y);
    if (width <= 0.0 || height <= 0.0) return 0.0;
    const double both = width * height;
    return both / (a.area() + b.area() - both);
}

std::vector<Detection> suppress(std::vector<Detection> detections, double most) {
    std::stable_sort(detections.begin(), detections.end(),
                     [](const Detection& a, const Detection& b) { return a.score > b.score; });
    std::vector<Detection> kept;
    for (const Detection& each : detections) {
        const bool is_covered = std::any_of(kept.begin(), kept.end(), [&](const Detection& other) {
            return other.index == each.index && intersection_over_union(other.box, each.box) > most;
        });
        if (!is_covered) kept.push_back(each);
    }
    return kept;
}

namespace {

std::vector<int> places(int length, int window, int stride) {
    std::vector<int> begins;
    for (int begin = 0; begin < length - window; begin += stride) begins.push_back(begin);
    begins.push_back(length - window);
    return begins;
}

}  // namespace

std::vector<PyramidLevel> make_pyramid(int height, int width, const PictureShape& window,
                                       double step, int stride) {
    std::vector<PyramidLevel> levels;
    for (double scale = 1.0;; scale /= step) {
        PyramidLevel level;
        level.height = static_cast<int>(std::lround(height * scale));
        level.width = static_cast<int>(std::lround(width * scale));
        if (level.height < window.height || level.width < window.width) return levels;
        level.rows = places(level.height, window.height, stride);
        level.columns = places(level.width, window.width, stride);
        // A step near 1 gives no size twice.
        const bool is_new = levels.empty() || levels.back().height != level.height ||
                            levels.back().width != level.width;
        if (is_new) levels.push_back(std::move(level));
    }
}

void draw_box(const Box& box, int thickness, const std::array<uint8_t, 3>& colour,
              Picture* picture) {
    const int left = static_cast<int>(std::lround(box.x)),
              top = static_cast<int>(std::lround(box.y));
    const int right = static_cast<int>(std::lround(box.x + box.width)),
              bottom = static_cast<int>(std::lround(box.y + box.height));
    const PictureShape& shape = picture->shape;
    for (int y = std::max(top, 0); y < std::min(bottom, shape.height); y++) {
        for (int x = std::max(left, 0); x < std::min(right, shape.width); x++) {
            const bool is_line = x < left + thickness || x >= right - thickness ||
                                 y < top + thickness || y >= bottom - thickness;
            if (!is_line) continue;
            const auto pixel =
                static_cast<size_t>(y) * static_cast<size_t>(shape.width) + static_cast<size_t>(x);
            std::copy(colour.begin(), colour.end(),
                      picture->pixels.begin() + static_cast<ptrdiff_t>(3 * pixel));
        }
    }
}

}  // namespace emulsion
