// See model_fit.h.
#include "schedules/tune/model_fit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace emulsion {

namespace {

constexpr size_t kLeastOfKernel = 3;  // candidates, of which an order says something
constexpr size_t kLeastLayers = 3;    // so that two are left where one is held back
constexpr size_t kLeastCandidates = 40;
constexpr size_t kMostFolds = 8;
constexpr int kRounds = 20;      // of fitting to logarithms
constexpr int kSweeps = 2000;    // of descent along coordinates
constexpr double kRidge = 1e-6;  // of the sum of squares of a column: terms that say the same share

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values.empty() ? 0 : values[values.size() / 2];
}

// Of one recipe: the terms of each candidate, seconds and layers: kernels of one group, whatever
// the instruction set, the threads and the build, tell alike and are held back together.
struct Samples {
    std::vector<MeasuredCost> measured;
    std::vector<std::string> layers;
    std::vector<std::string> names;
    std::vector<std::vector<double>> terms;
    std::vector<double> seconds;
};

double product(const std::vector<double>& terms, const std::vector<double>& constants) {
    double sum = 0;
    for (size_t i = 0; i < terms.size(); i++) sum += terms[i] * constants[i];
    return sum;
}

double log_error(const Samples& samples, const std::vector<size_t>& chosen,
                 const std::vector<double>& constants) {
    double sum = 0;
    for (size_t i : chosen) {
        const double error = std::log(product(samples.terms[i], constants) / samples.seconds[i]);
        sum += error * error;
    }
    return sum;
}

// Near an estimate p the logarithm of a cost c is log p + c / p - 1, so each round is a linear
// problem; the first one is that of relative errors. Empty where that leaves a candidate without
// any cost.
std::vector<double> fit(const Samples& samples, const std::vector<size_t>& chosen) {
    std::vector<double> estimate, best;
    for (size_t i : chosen) estimate.push_back(samples.seconds[i]);
    double least = 0;
    for (int round = 0; round < kRounds; round++) {
        std::vector<std::vector<double>> rows;
        std::vector<double> values;
        for (size_t k = 0; k < chosen.size(); k++) {
            std::vector<double>& row = rows.emplace_back(samples.terms[chosen[k]]);
            for (double& term : row) term /= estimate[k];
            values.push_back(1 + std::log(samples.seconds[chosen[k]] / estimate[k]));
        }
        const std::vector<double> constants = nonnegative_least_squares(rows, values);
        const double error = log_error(samples, chosen, constants);
        if (!std::isfinite(error) || (round > 0 && error >= least)) break;
        least = error;
        best = constants;
        for (size_t k = 0; k < chosen.size(); k++)
            estimate[k] = product(samples.terms[chosen[k]], constants);
    }
    return best;
}

// The rank correlation of the costs with the times of the samples; 0 where no kernel has enough.
double correlation(const std::vector<MeasuredCost>& measured, const std::vector<double>& costs) {
    const std::vector<ModelRow> rows = check_model(measured, costs);
    return rows.empty() ? 0 : rows[0].correlation;
}

// The same of those alone that the recipe lists, which are what a search tries in this order.
double correlation_of_listed(const std::vector<MeasuredCost>& measured,
                             const std::vector<double>& costs) {
    std::vector<MeasuredCost> listed;
    std::vector<double> their;
    for (size_t i = 0; i < measured.size(); i++) {
        const MeasuredCost& m = measured[i];
        const std::vector<Tiling> tilings = m.recipe->tilings(*m.group, *m.isa);
        if (std::find(tilings.begin(), tilings.end(), m.tiling) == tilings.end()) continue;
        listed.push_back(m);
        their.push_back(costs[i]);
    }
    return correlation(listed, their);
}

// The costs of each candidate by constants that were fitted to other layers; empty where there are
// none.
std::vector<double> foreseen(const Samples& samples, const std::set<std::string>& layers) {
    std::map<std::string, size_t> fold_of;
    for (const std::string& layer : layers) fold_of.emplace(layer, fold_of.size() % kMostFolds);
    std::vector<double> costs(samples.terms.size());
    for (size_t fold = 0; fold < std::min(kMostFolds, layers.size()); fold++) {
        std::vector<size_t> others, held;
        for (size_t i = 0; i < samples.terms.size(); i++)
            (fold_of.at(samples.layers[i]) == fold ? held : others).push_back(i);
        const std::vector<double> constants = fit(samples, others);
        if (constants.empty()) return {};
        for (size_t i : held) costs[i] = product(samples.terms[i], constants);
    }
    return costs;
}

Samples samples_of(const std::vector<const MeasuredCost*>& measured, double scale) {
    Samples samples;
    std::map<size_t, size_t> count;
    for (const MeasuredCost* m : measured) count[m->kernel]++;
    for (const MeasuredCost* m : measured) {
        if (count.at(m->kernel) < kLeastOfKernel) continue;
        const auto terms = cost_terms(*m->recipe, *m->group, m->tiling, *m->isa, m->machine);
        samples.names.clear();
        samples.terms.emplace_back();
        for (const CostTerm& term : terms) {
            samples.names.push_back(term.name);
            samples.terms.back().push_back(term.seconds);
        }
        samples.seconds.push_back(m->us * 1e-6 / scale);
        samples.measured.push_back(*m);
        samples.layers.push_back(m->group->signature());
    }
    return samples;
}

void fit_recipe(const Samples& samples, FittedRow& row) {
    std::set<size_t> kernels;
    for (const MeasuredCost& m : samples.measured) kernels.insert(m.kernel);
    row.costs.kernels = static_cast<int>(kernels.size());
    row.costs.candidates = static_cast<int>(samples.terms.size());
    const std::vector<double> own = own_costs(samples.measured);
    row.costs.before = correlation(samples.measured, own);
    const std::set<std::string> layers(samples.layers.begin(), samples.layers.end());
    if (layers.size() < kLeastLayers || samples.terms.size() < kLeastCandidates) {
        row.refusal = fmt::format("too few: {} layers and {} candidates are the least",
                                  kLeastLayers, kLeastCandidates);
        return;
    }
    std::vector<size_t> all(samples.terms.size());
    for (size_t i = 0; i < all.size(); i++) all[i] = i;
    const std::vector<double> constants = fit(samples, all);
    const std::vector<double> fitted = foreseen(samples, layers);
    if (constants.empty() || fitted.empty()) {
        row.refusal = "no constants leave each candidate a cost";
        return;
    }
    row.costs.after = correlation(samples.measured, fitted);
    if (row.costs.after <= row.costs.before) {
        row.refusal = "its own estimate ranks as well";
        return;
    }
    if (correlation_of_listed(samples.measured, fitted) <
        correlation_of_listed(samples.measured, own)) {
        row.refusal = "its own estimate ranks the tilings that it lists better";
        return;
    }
    for (size_t i = 0; i < constants.size(); i++) {
        if (constants[i] > 0) row.costs.constants[samples.names[i]] = constants[i];
    }
}

}  // namespace

std::vector<double> nonnegative_least_squares(const std::vector<std::vector<double>>& rows,
                                              const std::vector<double>& values) {
    const size_t count = rows.at(0).size();
    std::vector<double> norms(count);
    for (const auto& row : rows) {
        for (size_t i = 0; i < count; i++) norms[i] += row[i] * row[i];
    }
    for (double& norm : norms) norm = norm > 0 ? std::sqrt(norm) : 1;
    // The normal equations of columns of norm 1.
    std::vector<std::vector<double>> square(count, std::vector<double>(count));
    std::vector<double> right(count), x(count);
    for (size_t r = 0; r < rows.size(); r++) {
        for (size_t i = 0; i < count; i++) {
            right[i] += rows[r][i] / norms[i] * values[r];
            for (size_t j = 0; j < count; j++)
                square[i][j] += rows[r][i] / norms[i] * (rows[r][j] / norms[j]);
        }
    }
    for (size_t i = 0; i < count; i++) square[i][i] += kRidge;
    for (int sweep = 0; sweep < kSweeps; sweep++) {
        double moved = 0;
        for (size_t i = 0; i < count; i++) {
            const double slope = right[i] - product(square[i], x);
            const double value = std::max(0.0, x[i] + slope / square[i][i]);
            moved = std::max(moved, std::abs(value - x[i]));
            x[i] = value;
        }
        if (moved < 1e-12) break;
    }
    for (size_t i = 0; i < count; i++) x[i] /= norms[i];
    return x;
}

std::vector<FittedRow> fit_model(const std::vector<MeasuredCost>& measured) {
    std::map<std::string, std::vector<const MeasuredCost*>> by_recipe;
    std::map<std::string, int> contended;
    std::vector<double> ratios;
    const std::vector<double> own = own_costs(measured);
    for (size_t i = 0; i < measured.size(); i++) {
        const std::string name(measured[i].recipe->name());
        contended[name] += measured[i].is_contended ? 1 : 0;
        by_recipe[name];
        if (measured[i].is_contended) continue;
        by_recipe[name].push_back(&measured[i]);
        ratios.push_back(measured[i].us * 1e-6 / own[i]);
    }
    std::vector<FittedRow> list;
    for (const auto& [name, candidates] : by_recipe) {
        FittedRow& row = list.emplace_back();
        row.costs.recipe = name;
        row.contended = contended[name];
        if (candidates.empty()) {
            row.refusal = "all its candidates were timed beside other work";
            continue;
        }
        row.costs.version = candidates[0]->recipe->version();
        fit_recipe(samples_of(candidates, median(ratios)), row);
    }
    return list;
}

}  // namespace emulsion
