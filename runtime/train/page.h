// The pieces of a page of HTML: texts, tables, curves and pictures, all in the page itself.
//
// Every text that a page shows goes through html_text: names of classes, files and layers are
// whatever somebody has called them.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/support/file.h"

namespace emulsion {

// The text on one line (see one_line), with the characters that HTML gives a meaning replaced; for
// elements and for attributes in double quotes.
std::string html_text(std::string_view text);

// A table whose first `text_columns` columns are texts and whose others are numbers. Rows may hold
// fewer cells than the head.
struct HtmlTable {
    std::string id;
    std::vector<std::string> head;
    size_t text_columns = 1;
    std::vector<std::vector<std::string>> rows;
};
std::string html_table(const HtmlTable& table);

// One curve; points that are not finite break it.
struct ChartCurve {
    std::string name;
    std::vector<double> x, y;  // as many of each, x ascending
};
// A figure of the curves with the lowest and highest values beside the axes, and below it a legend
// that names them. Empty where no curve has a finite point.
std::string html_chart(const std::string& id, const std::string& title, const std::string& x_name,
                       std::span<const ChartCurve> curves);

// A picture `width` pixels wide, its own shown as squares; `text` says what it is.
std::string html_picture(std::span<const uint8_t> png, const std::string& text, int width);

// The whole page around its body.
std::string html_page(const std::string& title, const std::string& body);

}  // namespace emulsion
