// Curves over the epochs of a run as text.
#pragma once
#include <span>
#include <string>
#include <vector>

namespace emulsion {

// One curve: its name, what marks its points, and its values in order. What is not finite is left
// out.
struct PlotSeries {
    std::string name;
    char mark = '*';
    std::vector<double> values;
};

// A title with the names of the curves that have values, the lowest and highest of which stand
// beside the last and the first row; under it the number of the first value, which is 1, and of the
// last. Where two points fall on one place, the first curve's shows. More values than `width`
// columns are thinned out. Empty where no curve has two values. REQUIRES: width, height > 1.
std::string plot_text(const std::string& title, std::span<const PlotSeries> curves, int width,
                      int height);

}  // namespace emulsion
