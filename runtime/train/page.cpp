// See page.h.
#include "runtime/train/page.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/program/format.h"
#include "runtime/support/base64.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

// The colours are the browser's own, in its light or dark scheme; the curves' are readable on both.
constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --line: #8886; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.scroll { margin: .8rem 0; overflow-x: auto; }
table { border-collapse: collapse; }
th, td { border-bottom: 1px solid var(--line); padding: .2rem .6rem; text-align: right; }
th.t, td.t { text-align: left; overflow-wrap: break-word; max-width: 26rem; }
td:not(.t) { white-space: nowrap; }
.matrix td, .matrix th { border: 1px solid var(--line); padding: .15rem .4rem; }
.charts { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(18rem, 100%), 1fr)); }
figure { margin: 0; } figcaption { font-size: .85rem; overflow-wrap: anywhere; }
svg { height: auto; width: 100%; }
svg text { fill: currentColor; font-size: 12px; }
svg .axis { stroke: var(--line); }
svg polyline[class] { fill: none; stroke-width: 2; }
.c0 { stroke: #2a7de1; fill: #2a7de1; } .c1 { stroke: #e07b00; fill: #e07b00; }
.key { font-weight: bold; } .key.c0 { color: #2a7de1; } .key.c1 { color: #e07b00; }
.pictures { display: grid; gap: .8rem; grid-template-columns: repeat(auto-fill, minmax(7rem, 1fr)); }
img { image-rendering: pixelated; max-width: 100%; }
)";

constexpr double kWidth = 420, kHeight = 220;                       // of a chart
constexpr double kLeft = 66, kRight = 10, kTop = 10, kBottom = 24;  // its margins

struct Axis {
    double lowest = std::numeric_limits<double>::infinity(), highest = -lowest;

    void add(double value) {
        lowest = std::min(lowest, value);
        highest = std::max(highest, value);
    }
    // 0 to 1; a half where there is one value only. Halves, as the difference of two finite numbers
    // need not be one.
    double share(double value) const {
        const double span = highest / 2 - lowest / 2;
        return span > 0 ? (value / 2 - lowest / 2) / span : 0.5;
    }
};

bool is_point(const ChartCurve& curve, size_t i) {
    return i < curve.x.size() && i < curve.y.size() && std::isfinite(curve.x[i]) &&
           std::isfinite(curve.y[i]);
}

// One line for each run of points, a dot for a point that stands alone.
std::string curve_svg(const ChartCurve& curve, size_t number, const Axis& x, const Axis& y) {
    std::string svg, points;
    size_t count = 0;
    const auto end_run = [&] {
        if (count > 1)
            svg += concat("<polyline class=\"c", number, "\" points=\"", points, "\"/>\n");
        if (count == 1) {
            const size_t comma = points.find(',');
            svg +=
                concat("<circle class=\"c", number, "\" r=\"3\" cx=\"", points.substr(0, comma),
                       "\" cy=\"", points.substr(comma + 1, points.size() - comma - 2), "\"/>\n");
        }
        points.clear();
        count = 0;
    };
    for (size_t i = 0; i < std::max(curve.x.size(), curve.y.size()); i++) {
        if (!is_point(curve, i)) {
            end_run();
            continue;
        }
        const double across = kLeft + (kWidth - kLeft - kRight) * x.share(curve.x[i]);
        const double down = kHeight - kBottom - (kHeight - kTop - kBottom) * y.share(curve.y[i]);
        points += concat(fixed(across, 1), ",", fixed(down, 1), " ");
        count++;
    }
    end_run();
    return svg;
}

std::string label(double x, double y, const char* anchor, const std::string& text) {
    return concat("<text x=\"", fixed(x, 1), "\" y=\"", fixed(y, 1), "\" text-anchor=\"", anchor,
                  "\">", html_text(text), "</text>\n");
}

std::string axes_svg(const Axis& x, const Axis& y, const std::string& x_name) {
    std::string svg;
    for (const double share : {0.0, 0.5, 1.0}) {
        const double down = kHeight - kBottom - (kHeight - kTop - kBottom) * share;
        svg += concat("<line class=\"axis\" x1=\"", kLeft, "\" x2=\"", kWidth - kRight, "\" y1=\"",
                      fixed(down, 1), "\" y2=\"", fixed(down, 1), "\"/>\n");
        if (share == 0.5 && y.lowest == y.highest) continue;
        const double value = y.lowest * (1 - share) + y.highest * share;
        svg += label(kLeft - 6, down + 4, "end", format_significant(value, 3));
    }
    const double below = kHeight - 6;
    return svg + label(kLeft, below, "start", format_significant(x.lowest, 6)) +
           label((kLeft + kWidth - kRight) / 2, below, "middle", x_name) +
           label(kWidth - kRight, below, "end", format_significant(x.highest, 6));
}

}  // namespace

std::string html_text(std::string_view text) {
    std::string safe;
    for (const char c : one_line(text)) {
        switch (c) {
            case '&':
                safe += "&amp;";
                break;
            case '<':
                safe += "&lt;";
                break;
            case '>':
                safe += "&gt;";
                break;
            case '"':
                safe += "&quot;";
                break;
            case '\'':
                safe += "&#39;";
                break;
            default:
                safe += c;
        }
    }
    return safe;
}

std::string html_table(const HtmlTable& table) {
    const auto row = [&](const std::vector<std::string>& cells, const char* tag) {
        std::string html = "<tr>";
        for (size_t i = 0; i < cells.size(); i++) {
            html += concat("<", tag, i < table.text_columns ? " class=\"t\">" : ">",
                           html_text(cells[i]), "</", tag, ">");
        }
        return html + "</tr>\n";
    };
    std::string html = concat("<div class=\"scroll\"><table id=\"", table.id, "\">\n");
    if (!table.head.empty()) html += "<thead>" + row(table.head, "th") + "</thead>\n";
    html += "<tbody>\n";
    for (const auto& cells : table.rows) html += row(cells, "td");
    return html + "</tbody></table></div>\n";
}

std::string html_chart(const std::string& id, const std::string& title, const std::string& x_name,
                       std::span<const ChartCurve> curves) {
    Axis x, y;
    for (const ChartCurve& curve : curves) {
        for (size_t i = 0; i < curve.x.size(); i++) {
            if (is_point(curve, i)) x.add(curve.x[i]), y.add(curve.y[i]);
        }
    }
    if (x.lowest > x.highest) return "";
    std::string svg = concat("<figure id=\"", id, "\"><svg viewBox=\"0 0 ", kWidth, " ", kHeight,
                             "\" role=\"img\" aria-label=\"", html_text(title), "\">\n") +
                      axes_svg(x, y, x_name);
    std::string legend = html_text(title);
    for (size_t k = 0; k < curves.size(); k++) {
        const std::string drawn = curve_svg(curves[k], k, x, y);
        svg += drawn;
        if (drawn.empty() || curves[k].name.empty()) continue;
        legend +=
            concat(" <span class=\"key c", k, "\">&#9632;</span> ", html_text(curves[k].name));
    }
    return svg + "</svg><figcaption>" + legend + "</figcaption></figure>\n";
}

std::string html_picture(std::span<const uint8_t> png, const std::string& text, int width) {
    return concat("<img alt=\"", html_text(text), "\" width=\"", width,
                  "\" src=\"data:image/png;base64,", to_base64(png), "\">");
}

std::string html_page(const std::string& title, const std::string& body) {
    return concat("<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\n",
                  "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
                  "<title>", html_text(title), "</title>\n<style>", kStyle, "</style></head>\n",
                  "<body>\n", body, "</body>\n</html>\n");
}

}  // namespace emulsion
