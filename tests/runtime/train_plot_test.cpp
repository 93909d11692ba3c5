// Curves in text, compared as text.
#include <gtest/gtest.h>

#include <limits>

#include "runtime/train/text_plot.h"

namespace emulsion {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(TextPlot, TwoCurvesSideBySide) {
    const PlotSeries curves[] = {{"training", '*', {4, 2, 1, 0}}, {"validation", 'o', {4, 3, 3}}};
    EXPECT_EQ(plot_text("loss", curves, 60, 5),
              "loss: * training, o validation\n"
              "4 |*\n"
              "  |    o   o\n"
              "  |    *\n"
              "  |        *\n"
              "0 |            *\n"
              "   1           4\n");
}

TEST(TextPlot, WhatIsNotFiniteIsLeftOut) {
    const PlotSeries curves[] = {{"training", '*', {kNaN, 1, kInfinity, 2}},
                                 {"validation", 'o', {kNaN, kNaN, kNaN, kNaN}}};
    EXPECT_EQ(plot_text("loss", curves, 4, 2), "loss: * training\n2 |   *\n1 | *\n   1  4\n");
    EXPECT_EQ(plot_text("loss", std::span(curves).subspan(1), 4, 2), "");
}

TEST(TextPlot, EqualAndExtremeValues) {
    const PlotSeries equal[] = {{"training", '*', {0.5, 0.5}}};
    EXPECT_EQ(plot_text("x", equal, 2, 3), "x: * training\n0.5 |\n    |**\n0.5 |\n     1 2\n");
    const double most = std::numeric_limits<double>::max();
    const PlotSeries extreme[] = {{"training", '*', {-most, 0, most}}};
    const std::string text = plot_text("x", extreme, 3, 3);
    EXPECT_NE(text.find("|  *\n"), text.npos) << text;
    EXPECT_NE(text.find("| *\n"), text.npos) << text;
    EXPECT_NE(text.find("|*\n"), text.npos) << text;
}

// Thinned out, the first and the last stay.
TEST(TextPlot, MoreValuesThanColumns) {
    PlotSeries curve{"training", '*', {}};
    for (int i = 0; i < 1000; i++) curve.values.push_back(i);
    EXPECT_EQ(plot_text("x", {&curve, 1}, 5, 5),
              "x: * training\n999 |    *\n    |   *\n    |  *\n    | *\n  0 |*\n     1 1000\n");
    curve.values.resize(1);
    EXPECT_EQ(plot_text("x", {&curve, 1}, 5, 5), "");
    curve.values.clear();
    EXPECT_EQ(plot_text("x", {&curve, 1}, 5, 5), "");
}

}  // namespace
}  // namespace emulsion
