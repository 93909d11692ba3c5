// See cost_model.h.
#include "schedules/tune/cost_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "runtime/support/atomic_file.h"
#include "runtime/support/error.h"
#include "runtime/support/file.h"
#include "runtime/support/text.h"
#include "schedules/tune/line_reader.h"

namespace emulsion {

namespace {

constexpr std::string_view kFirstLine = "emulsion model 1";
constexpr std::string_view kForm =
    "write it as recipe=NAME@VERSION kernels=… candidates=… before=… after=… "
    "constants=\"TERM=NUMBER …\"";
constexpr uint64_t kMostBytes = uint64_t{1} << 20;

std::string print_constants(const std::map<std::string, double>& constants) {
    std::string text;
    for (const auto& [term, value] : constants)
        text += fmt::format("{}{}={:.3g}", text.empty() ? "" : " ", term, value);
    return text;
}

std::map<std::string, double> parse_constants(const LineReader& line, std::string_view text) {
    std::map<std::string, double> constants;
    double sum = 0;
    while (!text.empty()) {
        const size_t end = std::min(text.find(' '), text.size());
        const std::string_view word = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (word.empty()) continue;
        const size_t equals = std::min(word.find('='), word.size());
        const std::string term(word.substr(0, equals));
        const auto value = parse_double(word.substr(std::min(equals + 1, word.size())));
        if (term.empty() || !value || !std::isfinite(*value) || *value < 0)
            line.refuse(fmt::format("the constant '{}' is no TERM=NUMBER from 0 on", word));
        if (!constants.try_emplace(term, *value).second)
            line.refuse(fmt::format("the constant '{}' is there twice", term));
        sum += *value;
    }
    if (sum <= 0) line.refuse("no constant is above 0");
    return constants;
}

double correlation(LineReader& line, std::string_view name) {
    const std::string_view text = line.word(name);
    const auto value = parse_double(text);
    if (!value || !(std::abs(*value) <= 1))
        line.refuse(fmt::format("'{}' is {}, but must be a number from -1 to 1", name, text));
    return *value;
}

// Less than this share of an estimate is what sums of it were rounded by.
constexpr double kRounding = 1e-9;

double rounded(double part, double whole) { return part > kRounding * whole ? part : 0; }

// The share of an estimate that falls with a rate of the machine: what it loses where that is
// doubled, twice.
double share_of(double whole, double halved) { return rounded(2 * (whole - halved), whole); }

}  // namespace

std::vector<CostTerm> cost_terms(const Recipe& recipe, const Group& group, const Tiling& tiling,
                                 const Isa& isa, const Machine& machine) {
    const auto cost = [&](const Machine& on) { return recipe.cost(group, tiling, isa, on); };
    Machine faster = machine, wider = machine;
    faster.fma_gflops *= 2;
    wider.bandwidth_gbs *= 2;
    const double whole = cost(machine);
    const double arithmetic = share_of(whole, cost(faster)), bytes = share_of(whole, cost(wider));
    std::vector<CostTerm> terms = {{"arithmetic", arithmetic},
                                   {"bytes", bytes},
                                   {"fixed", rounded(whole - arithmetic - bytes, whole)}};
    const double work = arithmetic > 0 ? arithmetic : whole;
    const Tiling full = in_full(recipe.space(group, isa), tiling);
    for (const auto& [field, value] : full.values) {
        terms.push_back({"per." + field, work / (1 + value)});
        terms.push_back({"by." + field, work * value});
    }
    return terms;
}

double FittedCosts::cost(const std::vector<CostTerm>& terms) const {
    double sum = 0;
    for (const CostTerm& term : terms) {
        const auto constant = constants.find(term.name);
        if (constant != constants.end()) sum += constant->second * term.seconds;
    }
    return sum;
}

std::string to_string(const FittedCosts& c) {
    return fmt::format(
        "recipe={}@{} kernels={} candidates={} before={:.3f} after={:.3f} constants=\"{}\"",
        c.recipe, c.version, c.kernels, c.candidates, c.before, c.after,
        print_constants(c.constants));
}

FittedCosts parse_fitted_costs(std::string_view text) {
    LineReader line(text, "model", kForm);
    FittedCosts costs;
    std::tie(costs.recipe, costs.version) = line.versioned("recipe");
    costs.kernels = line.count("kernels");
    costs.candidates = line.count("candidates");
    costs.before = correlation(line, "before");
    costs.after = correlation(line, "after");
    costs.constants = parse_constants(line, line.quoted("constants"));
    if (!line.at_end()) line.refuse("something stands behind the constants");
    return costs;
}

CostModel CostModel::read(const std::string& file, const RecipeLibrary& library,
                          std::vector<Diagnostic>& faults, const std::string& name) {
    Bytes bytes;
    try {
        bytes = read_file(file, kMostBytes, "cost model");
    } catch (const RuntimeError& error) {
        fail("model", fmt::format("'{}': {}", error.where(), error.problem()), error.fix());
    }
    CostModel model;
    const auto take = [&](std::string_view line, const SourceLocation& where) {
        FittedCosts costs = parse_fitted_costs(line);
        costs.where = where;
        const auto recipe = std::find_if(library.begin(), library.end(), [&](const auto& known) {
            return known->name() == costs.recipe;
        });
        if (recipe == library.end()) {
            fail("model", fmt::format("there is no recipe '{}'", costs.recipe), "remove the line");
        }
        if ((*recipe)->version() != costs.version) {
            fail("model",
                 fmt::format("it was fitted to version {} of {}, which is at {}", costs.version,
                             costs.recipe, (*recipe)->version()),
                 "fit it again, or remove the line");
        }
        if (const FittedCosts* other = model.find(costs.recipe)) {
            fail("model",
                 fmt::format("{} has a line already: line {}", costs.recipe, other->where.line),
                 "remove one of them");
        }
        model.put(std::move(costs));
    };
    const std::string& shown = name.empty() ? file : name;
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (read_lines(text, shown, kFirstLine, "model", take, faults)) return model;
    fail("model",
         fmt::format("'{}' is no cost model of this version: its first line is not '{}'", shown,
                     kFirstLine),
         "fit it again with `emulsion records model --fit`");
}

const FittedCosts* CostModel::find(std::string_view recipe) const {
    const auto found = lines_.find(recipe);
    return found == lines_.end() ? nullptr : &found->second;
}

std::optional<Diagnostic> CostModel::drop_misfit(const Recipe& recipe, const Group& group,
                                                 const Isa& isa) {
    const auto found = lines_.find(recipe.name());
    if (found == lines_.end()) return std::nullopt;
    const FittedCosts& line = found->second;
    std::vector<std::string> known;
    for (const CostTerm& term :
         cost_terms(recipe, group, recipe.tilings(group, isa).at(0), isa, Machine()))
        known.push_back(term.name);
    for (const auto& [term, value] : line.constants) {
        if (std::find(known.begin(), known.end(), term) != known.end()) continue;
        Diagnostic fault{"model",
                         fmt::format("{} has no term '{}'", line.recipe, term),
                         fmt::format("fit it again, or choose from {}", fmt::join(known, ", ")),
                         line.where,
                         {}};
        lines_.erase(found);
        return fault;
    }
    return std::nullopt;
}

double CostModel::cost(const Recipe& recipe, const Group& group, const Tiling& tiling,
                       const Isa& isa, const Machine& machine) const {
    if (const FittedCosts* line = find(recipe.name()))
        return line->cost(cost_terms(recipe, group, tiling, isa, machine));
    return recipe.cost(group, tiling, isa, machine);
}

std::string CostModel::text() const {
    std::string text(kFirstLine);
    text += '\n';
    for (const auto& [recipe, line] : lines_) text += to_string(line) + '\n';
    return text;
}

void CostModel::save(const std::string& file) const { write_file(file, text()); }

}  // namespace emulsion
