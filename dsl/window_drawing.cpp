// A picture as text and as SVG.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "compiler/ops/expect.h"
#include "compiler/support/diagnostic.h"
#include "dsl/window_picture.h"

namespace emulsion {

namespace {

void expect_drawable(const WindowPicture& picture, int64_t most) {
    const int64_t height = picture.rows.end() - picture.rows.first();
    const int64_t width = picture.columns.end() - picture.columns.first();
    if (std::max(height, width) <= most) return;
    fail("size",
         fmt::format("a map of {} cells, padding included, is too large to be drawn",
                     by(height, width)),
         fmt::format("draw the same window on a smaller map, of at most {} cells along an axis",
                     most));
}

// Text

char letter(const PicturedAxis& rows, const PicturedAxis& columns, int64_t y, int64_t x,
            int64_t position_y, int64_t position_x) {
    const bool is_cell = rows.is_cell(y) && columns.is_cell(x);
    const bool is_tap = rows.is_tap(y, position_y) && columns.is_tap(x, position_x);
    if (is_tap) return is_cell ? '#' : '+';
    if (is_cell) return 'o';
    const bool is_inside =
        (rows.is_cell(y) || rows.is_between(y)) && (columns.is_cell(x) || columns.is_between(x));
    return is_inside ? ':' : '.';
}

// The rows of one step: the map at the left, the result at the right.
std::string step_of(const WindowPicture& picture, int64_t i, int64_t j) {
    const PicturedAxis &rows = picture.rows, &columns = picture.columns;
    std::string text;
    const int64_t height = std::max(rows.end() - rows.first(), rows.out);
    for (int64_t line = 0; line < height; line++) {
        const int64_t y = rows.first() + line;
        std::string left, right;
        for (int64_t x = columns.first(); x < columns.end(); x++) {
            const bool is_drawn = y < rows.end();
            left += is_drawn ? std::string{' ', letter(rows, columns, y, x, i, j)} : "  ";
        }
        for (int64_t x = 0; x < columns.out && line < rows.out; x++)
            right += line == i && x == j ? " #" : " o";
        text += " " + left + (right.empty() ? "" : "    " + right) + "\n";
    }
    return text;
}

// The steps that are shown: the first, one to the right, one down, the last.
std::vector<std::pair<int64_t, int64_t>> shown_steps(const WindowPicture& picture) {
    const int64_t rows = picture.rows.out, columns = picture.columns.out;
    std::vector<std::pair<int64_t, int64_t>> steps = {{0, 0}};
    const auto add = [&](int64_t i, int64_t j) {
        if (std::ranges::find(steps, std::pair(i, j)) == steps.end()) steps.emplace_back(i, j);
    };
    if (columns > 1) add(0, 1);
    if (rows > 1) add(1, 0);
    add(rows - 1, columns - 1);
    return steps;
}

std::string legend_of(const WindowPicture& picture) {
    const PicturedAxis &rows = picture.rows, &columns = picture.columns;
    std::string text = "o a cell, # a cell under the window";
    const bool is_padded =
        std::max({rows.end() - (rows.in - 1) * rows.spacing - 1, -rows.first(),
                  columns.end() - (columns.in - 1) * columns.spacing - 1, -columns.first()}) > 0;
    const bool is_spread = rows.spacing > 1 || columns.spacing > 1;
    if (is_padded) text += ", . padding";
    if (is_spread) text += ", : a zero between cells";
    if (is_padded || is_spread) text += ", + either under the window";
    return text;
}

// SVG

constexpr int64_t kCell = 24, kMargin = 24, kGap = 72, kTitle = 40;

std::string cell(std::string_view name, int64_t x, int64_t y) {
    return fmt::format("<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>\n", name,
                       x, y, kCell, kCell);
}

std::string map_cells(const WindowPicture& picture) {
    const PicturedAxis &rows = picture.rows, &columns = picture.columns;
    std::string text;
    for (int64_t y = rows.first(); y < rows.end(); y++) {
        for (int64_t x = columns.first(); x < columns.end(); x++) {
            const bool is_cell = rows.is_cell(y) && columns.is_cell(x);
            const bool is_inside = (rows.is_cell(y) || rows.is_between(y)) &&
                                   (columns.is_cell(x) || columns.is_between(x));
            text +=
                cell(is_cell     ? "cell"
                     : is_inside ? "zero"
                                 : "padding",
                     kMargin + (x - columns.first()) * kCell, kTitle + (y - rows.first()) * kCell);
        }
    }
    return text;
}

// Moves what it stands in to one place after another, a step of `step_x`, `step_y` for each
// position; again and again.
std::string animation(const WindowPicture& picture, int64_t step_y, int64_t step_x) {
    constexpr double kSeconds = 0.6;
    std::string values;
    for (int64_t i = 0; i < picture.rows.out; i++) {
        for (int64_t j = 0; j < picture.columns.out; j++) {
            values += fmt::format("{}{} {}", values.empty() ? "" : ";", j * step_x * kCell,
                                  i * step_y * kCell);
        }
    }
    const auto steps = static_cast<double>(picture.rows.out * picture.columns.out);
    return fmt::format(
        "<animateTransform attributeName=\"transform\" type=\"translate\" calcMode=\"discrete\" "
        "dur=\"{:.1f}s\" repeatCount=\"indefinite\" values=\"{}\"/>\n",
        steps * kSeconds, values);
}

std::string window_cells(const WindowPicture& picture) {
    const PicturedAxis &rows = picture.rows, &columns = picture.columns;
    std::string text = "<g id=\"window\">\n";
    for (int64_t p = 0; p < rows.taps; p++) {
        for (int64_t q = 0; q < columns.taps; q++) {
            text += cell(
                "tap",
                kMargin + (columns.begin_of(0) + q * columns.dilation - columns.first()) * kCell,
                kTitle + (rows.begin_of(0) + p * rows.dilation - rows.first()) * kCell);
        }
    }
    return text + animation(picture, rows.stride, columns.stride) + "</g>\n";
}

std::string result_cells(const WindowPicture& picture, int64_t left) {
    std::string text;
    for (int64_t i = 0; i < picture.rows.out; i++) {
        for (int64_t j = 0; j < picture.columns.out; j++)
            text += cell("result", left + j * kCell, kTitle + i * kCell);
    }
    return text + "<g id=\"made\">\n" + cell("made", left, kTitle) + animation(picture, 1, 1) +
           "</g>\n";
}

// A name of a layer has none of these; titles are made of such names and of words of this program.
std::string escaped(const std::string& text) {
    std::string result;
    for (char c : text) {
        if (c == '<') {
            result += "&lt;";
        } else if (c == '&') {
            result += "&amp;";
        } else {
            result += c;
        }
    }
    return result;
}

constexpr const char* kStyle =
    "text { font: 14px sans-serif; fill: #222 }\n"
    "rect { stroke: #555; stroke-width: 1 }\n"
    ".cell { fill: #9ecae1 }\n"
    ".zero { fill: #fff; stroke-dasharray: 3 2 }\n"
    ".padding { fill: #fff; stroke: #bbb; stroke-dasharray: 3 2 }\n"
    ".tap { fill: #e6550d; fill-opacity: 0.45; stroke: #a63603; stroke-width: 2 }\n"
    ".result { fill: #c7e9c0 }\n"
    ".made { fill: #e6550d; fill-opacity: 0.6; stroke: #a63603; stroke-width: 2 }\n";

}  // namespace

std::string text_of(const WindowPicture& picture) {
    constexpr int64_t kMost = 60;
    expect_drawable(picture, kMost);
    std::string text = fmt::format("{}\n{}\n", picture.title, legend_of(picture));
    const int64_t count = picture.rows.out * picture.columns.out;
    for (const auto& [i, j] : shown_steps(picture)) {
        text += fmt::format("\nstep {} of {}\n{}", i * picture.columns.out + j + 1, count,
                            step_of(picture, i, j));
    }
    return text;
}

std::string svg_of(const WindowPicture& picture) {
    constexpr int64_t kMost = 100;
    expect_drawable(picture, kMost);
    const PicturedAxis &rows = picture.rows, &columns = picture.columns;
    const int64_t map_width = (columns.end() - columns.first()) * kCell;
    const int64_t left = kMargin + map_width + kGap;
    constexpr int64_t kLetter = 8;  // about the width of a letter of the title
    const int64_t width =
        std::max(left + columns.out * kCell + kMargin,
                 2 * kMargin + kLetter * static_cast<int64_t>(picture.title.size()));
    const int64_t height = kTitle + std::max(rows.end() - rows.first(), rows.out) * kCell + kMargin;
    std::string text = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" viewBox=\"0 0 {} "
        "{}\" "
        "role=\"img\">\n<title>{}</title>\n<style>\n{}</style>\n",
        width, height, width, height, escaped(picture.title), kStyle);
    text += fmt::format("<text x=\"{}\" y=\"{}\">{}</text>\n", kMargin, kTitle - 16,
                        escaped(picture.title));
    return text + map_cells(picture) + window_cells(picture) + result_cells(picture, left) +
           "</svg>\n";
}

}  // namespace emulsion
