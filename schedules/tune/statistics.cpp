// See statistics.h.
#include "schedules/tune/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace emulsion {

namespace {

constexpr double kHopelessRatio = 1.3;  // that no noise of two pairs in a row explains

double quantile(std::vector<double> values, double share) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    const double place = share * static_cast<double>(values.size() - 1);
    const auto below = static_cast<size_t>(place);
    const size_t above = std::min(below + 1, values.size() - 1);
    const double rest = place - static_cast<double>(below);
    return values[below] * (1 - rest) + values[above] * rest;
}

std::vector<double> ratios(const PairedTimes& times) {
    std::vector<double> list;
    for (const TimePair& pair : times.pairs) list.push_back(pair.candidate / pair.current);
    return list;
}

}  // namespace

double PairedTimes::current_seconds() const {
    std::vector<double> list;
    for (const TimePair& pair : pairs) list.push_back(pair.current);
    return quantile(list, 0.5);
}

double PairedTimes::candidate_seconds() const {
    std::vector<double> list;
    for (const TimePair& pair : pairs) list.push_back(pair.candidate);
    return quantile(list, 0.5);
}

double PairedTimes::ratio() const { return pairs.empty() ? 1 : quantile(ratios(*this), 0.5); }

double PairedTimes::spread() const {
    const std::vector<double> list = ratios(*this);
    return list.empty() ? 0 : (quantile(list, 0.75) - quantile(list, 0.25)) / quantile(list, 0.5);
}

int PairedTimes::wins() const {
    return static_cast<int>(std::count_if(pairs.begin(), pairs.end(), [](const TimePair& pair) {
        return pair.candidate < pair.current;
    }));
}

double chance_of_heads(int heads, int count) {
    double chance = 0, ways = 1, all = 1;  // ways: of `k` heads in `count`
    for (int k = 0; k <= count; k++) {
        if (k >= heads) chance += ways;
        ways = ways * (count - k) / (k + 1);
        if (k < count) all *= 2;
    }
    return chance / all;
}

bool is_faster(const PairedTimes& times, double significance, double margin) {
    const int count = static_cast<int>(times.pairs.size());
    return count > 0 && times.ratio() <= 1 - margin &&
           chance_of_heads(times.wins(), count) <= significance;
}

bool is_hopeless(const PairedTimes& times, int most, double significance) {
    const int count = static_cast<int>(times.pairs.size());
    if (count >= 2 && std::all_of(times.pairs.begin(), times.pairs.end(), [](const TimePair& p) {
            return p.candidate > kHopelessRatio * p.current;
        }))
        return true;
    return chance_of_heads(times.wins() + most - count, most) > significance;
}

namespace {

// Places from 0 on, less their mean.
std::vector<double> centred_places(const std::vector<double>& values) {
    std::vector<size_t> order(values.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(),
              [&](size_t a, size_t b) { return values[a] < values[b]; });
    std::vector<double> places(values.size());
    const double mean = static_cast<double>(values.size() - 1) / 2;
    for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
        while (end < order.size() && values[order[end]] == values[order[begin]]) end++;
        for (size_t i = begin; i < end; i++)
            places[order[i]] = static_cast<double>(begin + end - 1) / 2 - mean;
    }
    return places;
}

}  // namespace

double rank_correlation(const std::vector<double>& a, const std::vector<double>& b) {
    const std::vector<double> x = centred_places(a), y = centred_places(b);
    const double xx = std::inner_product(x.begin(), x.end(), x.begin(), 0.0);
    const double yy = std::inner_product(y.begin(), y.end(), y.begin(), 0.0);
    const double xy = std::inner_product(x.begin(), x.end(), y.begin(), 0.0);
    return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : 0;
}

}  // namespace emulsion
