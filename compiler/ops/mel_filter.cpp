// Triangles of a mel filter bank. Each edge is a whole bin and a part of one, so that the distance
// of a bin from it loses no digits.
#include "compiler/ops/mel_filter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "compiler/ops/expect.h"
#include "compiler/ops/softmax_rows.h"
#include "compiler/ops/strict.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;

namespace {

// Slaney's scale: even up to kBreak, then kStep in the logarithm for each mel.
constexpr double kBreak = 1000, kEven = 3.0 / 200;
const double kStep = std::log(6.4) / 27;

double mel_of(double hertz, bool is_htk) {
    if (is_htk) return 2595 * std::log10(1 + hertz / 700);
    return hertz < kBreak ? hertz * kEven : kBreak * kEven + std::log(hertz / kBreak) / kStep;
}

double hertz_of(double mel, bool is_htk) {
    if (is_htk) return 700 * (std::pow(10, mel / 2595) - 1);
    const double apart = mel - kBreak * kEven;
    return apart < 0 ? mel / kEven : kBreak * std::exp(apart * kStep);
}

void expect_word(std::string_view name, const std::string& word, std::string_view first,
                 std::string_view second) {
    if (word == first || word == second) return;
    fail("attribute", fmt::format("there is no {} '{}'", name, word),
         fmt::format("choose \"{}\" or \"{}\"", first, second));
}

void expect_count(std::string_view name, int64_t count, int64_t most) {
    if (count >= 1 && count <= most) return;
    fail("attribute", fmt::format("{} is {}, but must be 1 to {}", name, count, most),
         fmt::format("choose from 1 to {}", most));
}

}  // namespace

// Shape

std::vector<TensorType> MelFilter::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 0);
    expect_count("size", size, 1 << 15);
    expect_count("bands", bands, 1 << 10);
    expect_word("scale", scale, "htk", "slaney");
    expect_word("norm", norm, "none", "slaney");
    expect_number(rate, "rate");
    if (!(rate > 0)) {
        fail("attribute", fmt::format("the rate is {}, but must be above 0", rate),
             "give the samples of a second, such as 16000");
    }
    if (!(low >= 0 && low < high && high <= rate / 2)) {
        fail("attribute",
             fmt::format("the bands lie between {} and {} Hz, but {} samples a second have 0 to {} "
                         "Hz",
                         low, high, rate, rate / 2),
             fmt::format("choose 0 <= low < high <= {}", rate / 2));
    }
    expect_bins();
    return {plain_type({bands, size / 2 + 1, 1})};
}

std::vector<double> MelFilter::edges() const {
    const bool is_htk = scale == "htk";
    const double first = mel_of(low, is_htk), last = mel_of(high, is_htk);
    std::vector<double> edges;
    for (int64_t m = 0; m <= bands + 1; m++) {
        const double share = static_cast<double>(m) / static_cast<double>(bands + 1);
        const double hertz = hertz_of(first + (last - first) * share, is_htk);
        edges.push_back(hertz * static_cast<double>(size) / rate);
    }
    return edges;
}

void MelFilter::expect_bins() const {
    const std::vector<double> p = edges();
    for (size_t m = 0; m + 2 < p.size(); m++) {
        const double next = std::floor(p[m]) + 1;  // the first bin above the lower edge
        if (next < p[m + 2] && next <= static_cast<double>(size / 2)) continue;
        const double step = rate / static_cast<double>(size);
        fail("attribute",
             fmt::format("band {} of {}, between {:.5g} and {:.5g} Hz, has no bin, as bins are "
                         "{:.5g} Hz apart",
                         m + 1, bands, p[m] * step, p[m + 2] * step, step),
             "choose fewer bands or longer frames");
    }
}

// Lowering

namespace {

// One side of every triangle: ((bin - whole) - part) * slope, negative beyond its edge.
struct Side {
    std::vector<double> whole, part, slope;
    void add(double edge, double rise) {
        whole.push_back(std::floor(edge));
        part.push_back(edge - std::floor(edge));
        slope.push_back(rise);
    }
    Strict at(const Strict& bin, const Expr& band) const {
        return ((bin - Strict(choose_value(whole, band))) - Strict(choose_value(part, band))) *
               Strict(choose_value(slope, band));
    }
};

}  // namespace

std::vector<Expr> MelFilter::evaluate(const LowerContext& context, const std::vector<Expr>&,
                                      const std::vector<Expr>& at) const {
    const std::vector<double> p = edges();
    const double bins_of_hertz = static_cast<double>(size) / rate;
    Side rising, falling;
    for (size_t m = 0; m + 2 < p.size(); m++) {
        const double height = norm == "slaney" ? 2 * bins_of_hertz / (p[m + 2] - p[m]) : 1;
        rising.add(p[m], height / (p[m + 1] - p[m]));
        falling.add(p[m + 2], -height / (p[m + 2] - p[m + 1]));
    }
    const Expr band = first_axis(context.outputs[0], at);
    const Strict bin(Halide::cast<float>(at[1]));
    const Strict up = rising.at(bin, band), down = falling.at(bin, band);
    const Strict both = choose(up < down, up, down);
    return {choose(both > 0.0F, both, 0.0F)};
}

}  // namespace emulsion
