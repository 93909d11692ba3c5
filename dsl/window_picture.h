// The arithmetic of a convolution or pooling as a picture: the cells of the map with what is added
// around or between them, the taps of the window, and the cells of the result that its positions
// make.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/graph/graph.h"

namespace emulsion {

// One axis. Coordinates count cells of the map as the window sees it, the first cell of the map
// at 0, and at every `spacing` cells the next one: between them, of a transposed convolution, are
// zeros. Position i of the window has its first tap at i * stride - before.
struct PicturedAxis {
    int64_t in = 1, out = 1;
    int64_t taps = 1, stride = 1, dilation = 1;
    int64_t before = 0, after = 0;  // cells of padding; of a cut, negative
    int64_t spacing = 1;

    int64_t first() const;  // the first coordinate that is drawn, and one behind the last one
    int64_t end() const;
    int64_t begin_of(int64_t position) const { return position * stride - before; }
    bool is_cell(int64_t coordinate) const;     // of the map
    bool is_between(int64_t coordinate) const;  // a zero between two cells
    bool is_tap(int64_t coordinate, int64_t position) const;
};

// A layer by its rows and columns; of volumes the last two axes.
struct WindowPicture {
    std::string title;   // "conv1: 5x5, filter 3x3, stride 2x2, …"
    std::string border;  // what the padding holds: "zeros", "reflect", … or empty: nothing
    PicturedAxis rows, columns;
};

// That of a layer of the graph. What is drawn follows from the attributes of its op and from the
// types that the op's rule of shapes has inferred. Throws Error[layer] where there is no such layer
// or where it has no window.
WindowPicture picture_of_layer(const Graph& graph, std::string_view layer);

// Cells as letters, a few steps of the window one below the other. Throws Error[size] where the map
// is too large to be drawn.
std::string text_of(const WindowPicture& picture);

// An SVG document: the map at the left, the result at the right, the window moving over the one and
// the cell that it makes over the other; without animation, the first position. Throws Error[size].
std::string svg_of(const WindowPicture& picture);

}  // namespace emulsion
