// A classifier as a detector: what its windows over a picture say becomes boxes.
#pragma once
#include <functional>
#include <span>
#include <vector>

#include "runtime/data/picture.h"

namespace emulsion {

// A rectangle in pixels of the whole picture; its left upper corner is x, y, that of the picture's
// first pixel 0, 0.
struct Box {
    double x = 0.0, y = 0.0, width = 0.0, height = 0.0;

    double area() const { return width * height; }
};

struct Detection {
    Box box;
    int index = 0;  // of the class
    float score = 0.0f;
};

// The area that both cover over the area that either covers: 0 to 1. 0 for boxes without area.
double intersection_over_union(const Box& a, const Box& b);

// Non-maximum suppression, greedy, each class by itself: from the best score down, a box goes where
// its intersection over union with a box of its class that stays is above `most`. The rest is
// returned from the best score down; of equal scores the first comes first.
std::vector<Detection> suppress(std::vector<Detection> detections, double most);

// One size of the picture, and where its windows begin.
struct PyramidLevel {
    int height = 0, width = 0;
    std::vector<int> rows, columns;  // of the windows' upper and left edges
};

// The picture at its own size, and smaller by `step` each, rounded, as long as a window fits in.
// Windows begin every `stride` pixels, the last ones at the edge. Empty where the picture is
// smaller than a window. REQUIRES: step > 1, stride >= 1.
std::vector<PyramidLevel> make_pyramid(int height, int width, const PictureShape& window,
                                       double step, int stride);

// The lines of the box, `thickness` pixels wide towards its inside, in this colour. What lies
// outside of the picture is not drawn. REQUIRES: 3 channels.
void draw_box(const Box& box, int thickness, const std::array<uint8_t, 3>& colour,
              Picture* picture);

}  // namespace emulsion
