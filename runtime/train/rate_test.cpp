// See rate_test.h.
#include "runtime/train/rate_test.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "runtime/program/format.h"
#include "runtime/support/text.h"
#include "runtime/train/interrupt.h"
#include "runtime/train/page.h"
#include "runtime/train/schedule.h"

namespace emulsion {

namespace {

constexpr double kSmoothing = 0.9;
constexpr double kTooHigh = 4.0;  // times the lowest smooth loss

double rate_at(double base, int64_t step, int64_t steps) {
    const double place = 2.0 * static_cast<double>(step) / static_cast<double>(steps - 1) - 1.0;
    return std::min(base * std::pow(kRateTestRange, place), kMostRate);
}

// The losses become points as they come.
class LossFollower {
  public:
    // False where the test is over.
    bool add(double rate, double loss) {
        weighted_ = kSmoothing * weighted_ + loss;
        weight_ = kSmoothing * weight_ + 1.0;
        const double smooth = weighted_ / weight_;
        points.push_back({rate, loss, smooth});
        lowest_ = points.size() == 1 ? smooth : std::min(lowest_, smooth);
        return !(smooth > kTooHigh * lowest_);
    }
    std::vector<RatePoint> points;

  private:
    double weighted_ = 0.0, weight_ = 0.0, lowest_ = 0.0;
};

// The point from which the smooth loss falls most in a twentieth of the test; the first tenth, of
// few losses, does not count.
size_t steepest(std::span<const RatePoint> points) {
    const size_t width = std::max<size_t>(1, points.size() / 20);
    size_t best = points.size() / 10;
    double fall = 0.0;
    for (size_t i = best; i + width < points.size(); i++) {
        const double next = points[i].smooth - points[i + width].smooth;
        if (next > fall) best = i, fall = next;
    }
    return best;
}

}  // namespace

std::vector<RatePoint> run_rate_test(TrainingSession& session, Loader& loader, double base,
                                     int64_t steps) {
    LossFollower losses;
    loader.start(0, 0);
    for (int64_t i = 0; i < steps && StopSignals::of_process().arrived() == 0; i++) {
        const double rate = rate_at(base, i, steps);
        StepResult result = session.step(loader.next(), static_cast<float>(rate));
        if (!result.is_there) result = session.wait();
        if (result.fault != nullptr || !losses.add(rate, result.loss)) break;
    }
    return std::move(losses.points);
}

std::string rate_test_csv(std::span<const RatePoint> points) {
    std::string text = "rate,loss,smooth\n";
    for (const RatePoint& point : points)
        text += concat(point.rate, ",", point.loss, ",", point.smooth, "\n");
    return text;
}

std::string rate_test_json(std::span<const RatePoint> points) {
    std::string text;
    for (const RatePoint& point : points) {
        text += concat(R"({"event":"rate","rate":)", point.rate, R"(,"loss":)", point.loss,
                       R"(,"smooth":)", point.smooth, "}\n");
    }
    return text;
}

namespace {

constexpr const char* kNothing =
    "the loss was not finite, or far higher, after fewer than 3 steps: there is nothing to draw";

std::string advice_of(std::span<const RatePoint> points) {
    const auto lowest = std::ranges::min_element(points, {}, &RatePoint::smooth);
    return concat("falls fastest at rate ", format_significant(points[steepest(points)].rate, 3),
                  ", is lowest at rate ", format_significant(lowest->rate, 3));
}

}  // namespace

std::string rate_test_page(const std::string& network, std::span<const RatePoint> points) {
    const std::string head = concat("<h1>", html_text(network), ": range test</h1>\n");
    if (points.size() < 3) return html_page(network, head + "<p>" + html_text(kNothing) + "</p>\n");
    // What the loss rises to at the end would press the rest together.
    const double most = 1.5 * points.front().smooth;
    ChartCurve curves[2] = {{"loss", {}, {}}, {"smooth", {}, {}}};
    HtmlTable table{"points", {"rate", "loss", "smooth"}, 0, {}};
    for (const RatePoint& point : points) {
        for (ChartCurve& curve : curves) curve.x.push_back(std::log10(point.rate));
        curves[0].y.push_back(std::min(point.loss, most));
        curves[1].y.push_back(std::min(point.smooth, most));
        table.rows.push_back(
            {format_significant(point.rate, 4), fixed(point.loss, 4), fixed(point.smooth, 4)});
    }
    return html_page(network,
                     head + concat("<p id=\"advice\">The loss ", advice_of(points), ".</p>\n") +
                         html_chart("range", "loss", "power of ten of the rate", curves) +
                         "<details><summary>all steps</summary>\n" + html_table(table) +
                         "</details>\n");
}

std::string rate_test_text(std::span<const RatePoint> points) {
    constexpr int kWidth = 60, kHeight = 10;
    if (points.size() < 3) return concat(kNothing, "\n");
    const double first = points.front().smooth;
    const auto lowest = std::ranges::min_element(points, {}, &RatePoint::smooth);
    std::vector<float> heights;  // above the lowest, as high as the first at most
    for (const RatePoint& point : points) {
        heights.push_back(static_cast<float>(std::min(point.smooth, first) - lowest->smooth));
    }
    return concat("loss over rates from ", format_significant(points.front().rate, 3), " to ",
                  format_significant(points.back().rate, 3), "\n") +
           draw_curve(heights, {kWidth, kHeight, format_significant(first, 4),
                                format_significant(lowest->smooth, 4)}) +
           advice_of(points) + "\n";
}

}  // namespace emulsion
