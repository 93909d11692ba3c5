// See text_plot.h.
#include "runtime/train/text_plot.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/program/format.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

struct Range {
    double lowest = std::numeric_limits<double>::infinity(), highest = -lowest;

    void add(double value) {
        if (!std::isfinite(value)) return;
        lowest = std::min(lowest, value);
        highest = std::max(highest, value);
    }
};

// The row of a value, the highest in row 0; of values that are all equal, the middle.
size_t row_of(double value, const Range& range, size_t height) {
    // Halves, as the difference of two finite numbers need not be one.
    const double span = range.highest / 2 - range.lowest / 2;
    const double share = span > 0 ? (range.highest / 2 - value / 2) / span : 0.5;
    const auto row = static_cast<size_t>(std::lround(share * static_cast<double>(height - 1)));
    return std::min(row, height - 1);
}

}  // namespace

std::string plot_text(const std::string& title, std::span<const PlotSeries> curves, int width,
                      int height) {
    Range range;
    size_t count = 0, most = 0;
    std::string legend = title;
    for (const PlotSeries& curve : curves) {
        const auto found = static_cast<size_t>(
            std::ranges::count_if(curve.values, [](double value) { return std::isfinite(value); }));
        for (double value : curve.values) range.add(value);
        count = std::max(count, curve.values.size());
        most = std::max(most, found);
        if (found > 0) legend += concat(legend == title ? ": " : ", ", curve.mark, " ", curve.name);
    }
    if (most < 2) return "";
    const size_t columns = std::min(count, static_cast<size_t>(width));
    const size_t step = std::min<size_t>(static_cast<size_t>(width) / columns, 4);
    const size_t rows = static_cast<size_t>(height), wide = (columns - 1) * step + 1;
    std::vector<std::string> lines(rows, std::string(wide, ' '));
    for (auto curve = curves.rbegin(); curve != curves.rend(); curve++) {
        for (size_t column = 0; column < columns; column++) {
            const size_t i = column * (count - 1) / (columns - 1);
            if (i >= curve->values.size() || !std::isfinite(curve->values[i])) continue;
            lines[row_of(curve->values[i], range, rows)][column * step] = curve->mark;
        }
    }
    const std::string top = format_significant(range.highest, 4);
    const std::string bottom = format_significant(range.lowest, 4);
    const size_t label_width = std::max(top.size(), bottom.size());
    std::string text = legend + "\n";
    for (size_t row = 0; row < rows; row++) {
        const std::string label = row == 0 ? top : row + 1 == rows ? bottom : "";
        lines[row].resize(lines[row].find_last_not_of(' ') + 1);
        text += pad_left(label, label_width) + " |" + lines[row] + "\n";
    }
    const std::string last = concat(count);
    return text + std::string(label_width + 2, ' ') +
           pad_right("1", std::max<size_t>(wide, last.size() + 2) - last.size()) + last + "\n";
}

}  // namespace emulsion
