// The cost model's constants: fitted to measurements, written, read, and asked by the tuner.
#include "schedules/tune/cost_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>

#include "runtime/support/file.h"
#include "schedules/library.h"
#include "schedules/tune/journal.h"
#include "schedules/tune/model_fit.h"
#include "schedules/tune/search.h"
#include "schedules/tune/signature.h"
#include "tests/support/message_of.h"
#include "tests/support/paths.h"
#include "tests/support/test_folder.h"
#include "tests/tune/tune_support.h"

namespace emulsion::test {
namespace {

const Isa& isa() { return isa_avx512(); }

Trial trial_of(double us, bool is_contended) {
    Trial trial;
    trial.times.pairs.push_back({us * 1e-6, us * 1e-6});
    trial.times.contended = is_contended;
    return trial;
}

class CostModels : public testing::Test {
  protected:
    CostModels() : library_(make_library()) {}

    const Recipe& recipe(std::string_view name) const {
        for (const auto& known : library_) {
            if (known->name() == name) return *known;
        }
        throw std::runtime_error("no recipe");
    }
    std::string file() const { return folder_ / "m.model"; }

    void measure(Journal& journal, const Group& group, const Tiling& tiling, double us,
                 bool is_contended = false, const std::string& name = "matmul",
                 int threads = 1) const {
        const int64_t kernel = journal.number_of(
            {"build", to_string(some_machine()), isa().name, threads, group.signature()});
        const Candidate candidate{name, recipe(name).version(), tiling};
        ASSERT_TRUE(journal.claim(kernel, candidate)) << to_string(candidate);
        journal.finish(kernel, candidate, trial_of(us, is_contended), 0.1);
    }
    // Every legal tiling of matmul for some layers takes what `seconds` says of its terms, and of
    // whether the recipe lists it.
    void measure_layers(const std::function<double(const std::vector<CostTerm>&, bool)>& seconds,
                        int layers = 4, int threads = 1) const {
        const Recipe& matmul = recipe("matmul");
        Journal journal(folder_ / "j");
        Machine machine;
        machine.threads = 1;
        for (int64_t outputs = 32, k = 0; k < layers; outputs *= 2, k++) {
            const Group group = dense_kernel(library_, isa(), outputs).group;
            const std::vector<Tiling> listed = matmul.tilings(group, isa());
            for (int kw : {16, 32, 48, 64}) {
                for (int tn = 1; tn <= 4; tn++) {
                    for (int chains : {1, 2, 4}) {
                        const Tiling tiling{{{"kw", kw}, {"tn", tn}, {"chains", chains}}};
                        if (!tiling_fault(matmul, group, tiling, isa()).empty()) continue;
                        const auto terms = cost_terms(matmul, group, tiling, isa(), machine);
                        const bool is_listed =
                            std::find(listed.begin(), listed.end(), tiling) != listed.end();
                        measure(journal, group, tiling, 1e6 * seconds(terms, is_listed), false,
                                "matmul", threads);
                    }
                }
            }
        }
    }
    std::vector<FittedRow> fitted() const {
        const MachineClass machine = some_machine();
        return fit_model(read_costs({folder_ / "j"}, library_, &machine));
    }
    std::string model_text(const std::string& lines, std::vector<std::string>& faults) const {
        std::ofstream(file()) << lines;
        std::vector<Diagnostic> found;
        const CostModel model = CostModel::read(file(), library_, found, "m.model");
        for (const Diagnostic& fault : found) faults.push_back(to_string(fault));
        return model.text();
    }

    TestFolder folder_;
    RecipeLibrary library_;
};

double term(const std::vector<CostTerm>& terms, std::string_view name) {
    for (const CostTerm& term : terms) {
        if (term.name == name) return term.seconds;
    }
    ADD_FAILURE() << "no term " << name;
    return 0;
}

double own_cost(const std::vector<CostTerm>& terms, bool = false) {
    return term(terms, "arithmetic") + term(terms, "bytes") + term(terms, "fixed");
}

// Unlike the recipe's: a turn of the loop over samples is dear, and so are long chains.
double other_cost(const std::vector<CostTerm>& terms, bool = false) {
    return 3 * (0.5 * term(terms, "arithmetic") + 2 * term(terms, "bytes") +
                4 * term(terms, "per.tn") + 0.5 * term(terms, "by.chains"));
}

TEST(NonnegativeLeastSquares, LeavesNothingBelowZero) {
    const std::vector<std::vector<double>> rows = {{1, 0}, {1, 1}, {1, 2}};
    const auto rising = nonnegative_least_squares(rows, {1, 3, 5});
    EXPECT_NEAR(rising[0], 1, 1e-4);
    EXPECT_NEAR(rising[1], 2, 1e-4);
    const auto falling = nonnegative_least_squares(rows, {5, 3, 1});
    EXPECT_NEAR(falling[0], 3, 1e-4);
    EXPECT_EQ(falling[1], 0);
}

TEST_F(CostModels, TermsAddUpToTheRecipesOwnCost) {
    const PlannedKernel dense = dense_kernel(library_, isa());
    for (const auto& known : library_) {
        if (!can_run(*known, dense.group, isa(), false)) continue;
        for (const Tiling& tiling : known->tilings(dense.group, isa())) {
            const double whole = known->cost(dense.group, tiling, isa(), Machine());
            EXPECT_NEAR(own_cost(cost_terms(*known, dense.group, tiling, isa(), Machine())), whole,
                        1e-8 * whole);
        }
    }
}

TEST_F(CostModels, AreFittedBackFromTheTimesTheyMade) {
    measure_layers(other_cost);
    const std::vector<FittedRow> rows = fitted();
    ASSERT_EQ(rows.size(), 1u);
    const FittedCosts& costs = rows[0].costs;
    EXPECT_EQ(rows[0].refusal, "");
    EXPECT_EQ(costs.recipe, "matmul");
    EXPECT_EQ(costs.kernels, 4);
    EXPECT_GT(costs.candidates, 100);
    EXPECT_LT(costs.before, 0.9);
    EXPECT_GT(costs.after, 0.99);
    // Of a layer that was not measured too, but for what is divided out of all.
    const Group group = dense_kernel(library_, isa(), 1024).group;
    double least = 1e9, most = 0;
    for (const Tiling& tiling : recipe("matmul").tilings(group, isa())) {
        const auto terms = cost_terms(recipe("matmul"), group, tiling, isa(), Machine());
        const double ratio = costs.cost(terms) / other_cost(terms);
        least = std::min(least, ratio);
        most = std::max(most, ratio);
    }
    EXPECT_LT(most / least, 1.05);

    CostModel model;
    model.put(costs);
    model.save(file());
    std::vector<std::string> faults;
    EXPECT_EQ(model_text(model.text(), faults), model.text());
    EXPECT_EQ(faults.size(), 0u);
}

TEST_F(CostModels, AreNotFittedToTimesBesideOtherWork) {
    measure_layers(other_cost);
    {
        Journal journal(folder_ / "j");
        const Group group = dense_kernel(library_, isa(), 32).group;
        for (int tn = 1; tn <= 4; tn++)
            measure(journal, group, {{{"kw", 16}, {"tn", tn}, {"chains", 3}}}, 1e9 / tn, true);
    }
    const std::vector<FittedRow> rows = fitted();
    ASSERT_EQ(rows.size(), 1u);
    EXPECT_EQ(rows[0].contended, 4);
    EXPECT_GT(rows[0].costs.after, 0.99);
}

TEST_F(CostModels, AreRefusedWhereTooLittleWasMeasured) {
    // Two layers are no more than that with one thread and with two.
    measure_layers(other_cost, 2);
    measure_layers(other_cost, 2, 2);
    const std::vector<FittedRow> rows = fitted();
    ASSERT_EQ(rows.size(), 1u);
    EXPECT_EQ(rows[0].costs.kernels, 4);
    EXPECT_EQ(rows[0].refusal, "too few: 3 layers and 40 candidates are the least");
    EXPECT_TRUE(rows[0].costs.constants.empty());
    const MachineClass other = this_machine();
    EXPECT_TRUE(read_costs({folder_ / "j"}, library_, &other).empty());
}

TEST_F(CostModels, AreRefusedWhereTheRecipesOwnRanksAsWell) {
    measure_layers(own_cost);
    const std::vector<FittedRow> rows = fitted();
    ASSERT_EQ(rows.size(), 1u);
    EXPECT_NEAR(rows[0].costs.before, 1, 1e-9);
    EXPECT_EQ(rows[0].refusal, "its own estimate ranks as well");
}

// Random candidates lie far apart; an order of those alone would spoil that of the best.
TEST_F(CostModels, AreRefusedWhereTheRecipeRanksWhatItListsBetter) {
    measure_layers([](const std::vector<CostTerm>& terms, bool is_listed) {
        return is_listed ? own_cost(terms) : 50 * term(terms, "by.tn");
    });
    const std::vector<FittedRow> rows = fitted();
    ASSERT_EQ(rows.size(), 1u);
    EXPECT_GT(rows[0].costs.after, rows[0].costs.before);
    EXPECT_EQ(rows[0].refusal, "its own estimate ranks the tilings that it lists better");
}

// Winograd kernels of a small network, as a tuner has timed them on AuthenticAMD-26-2, 1 thread.
TEST_F(CostModels, OfMeasuredWinogradRankKernelsThatTheyDoNotKnow) {
    std::ifstream text(source_path("tests/tune/measured/winograd.txt"));
    ASSERT_TRUE(text);
    {
        Journal journal(folder_ / "j");
        std::optional<Group> group;
        for (std::string first, second, rest; text >> first >> second;) {
            if (first == "kernel") text >> first;  // threads
            std::getline(text >> std::ws, rest);
            if (second == isa().name) {
                group = parse_signature(rest);
            } else {
                measure(journal, *group, parse_tiling(rest), std::stod(first),
                        second == "contended", "winograd");
            }
        }
    }
    const std::vector<FittedRow> rows = fitted();
    ASSERT_EQ(rows.size(), 1u);
    EXPECT_EQ(rows[0].refusal, "");
    EXPECT_EQ(rows[0].costs.kernels, 6);
    EXPECT_LT(rows[0].costs.before, 0);
    EXPECT_GT(rows[0].costs.after, 0.35);
}

TEST_F(CostModels, LeaveBrokenLinesOut) {
    const std::string line = "kernels=4 candidates=96 before=0.31 after=0.72 constants=";
    const std::string good = "recipe=matmul@1 " + line + "\"arithmetic=0.9 by.tn=0.1\"\n";
    std::vector<std::string> faults;
    EXPECT_EQ(model_text("# ours\nemulsion model 1\n\nrecipe=magic@1 " + line +
                             "\"bytes=1\"\n"
                             "recipe=direct@7 " +
                             line + "\"bytes=1\"\n" + good + "recipe=pool@1 " + line +
                             "\"bytes=-1\"\n"
                             "recipe=pool@1 " +
                             line +
                             "\"bytes=nan\"\n"
                             "recipe=pool@1 " +
                             line +
                             "\"bytes=1 bytes=1\"\n"
                             "recipe=pool@1 " +
                             line +
                             "\"\"\n"
                             "recipe=pool@1 kernels=0\n"
                             "broken\n" +
                             good +
                             "recipe=pool@1 kernels=4 candidates=96 before=1.5 after=0.7\n"
                             "recipe=pool@1 " +
                             line +
                             "\"bytes=1\" more\n"
                             "recipe=pool@1 " +
                             line + "bytes\n",
                         faults),
              "emulsion model 1\n" +
                  std::string("recipe=matmul@1 kernels=4 candidates=96 "
                              "before=0.310 after=0.720 ") +
                  "constants=\"arithmetic=0.9 by.tn=0.1\"\n");
    const std::string form =
        "\n  fix: write it as recipe=NAME@VERSION kernels=… candidates=… before=… after=… "
        "constants=\"TERM=NUMBER …\"";
    const std::vector<std::string> expected = {
        "m.model:4: error[model]: there is no recipe 'magic'\n  fix: remove the line",
        "m.model:5: error[model]: it was fitted to version 7 of direct, which is at 1\n"
        "  fix: fit it again, or remove the line",
        "m.model:7: error[model]: the constant 'bytes=-1' is no TERM=NUMBER from 0 on" + form,
        "m.model:8: error[model]: the constant 'bytes=nan' is no TERM=NUMBER from 0 on" + form,
        "m.model:9: error[model]: the constant 'bytes' is there twice" + form,
        "m.model:10: error[model]: no constant is above 0" + form,
        "m.model:11: error[model]: 'kernels' is 0, but must be a whole number from 1 on" + form,
        "m.model:12: error[model]: 'recipe=' is expected, but there is 'broken'" + form,
        "m.model:13: error[model]: matmul has a line already: line 6\n  fix: remove one of them",
        "m.model:14: error[model]: 'before' is 1.5, but must be a number from -1 to 1" + form,
        "m.model:15: error[model]: something stands behind the constants" + form,
        "m.model:16: error[model]: 'constants' has no value in quotes" + form,
    };
    EXPECT_EQ(faults, expected);
    EXPECT_EQ(message_of([&] { model_text("emulsion model 2\n", faults); }),
              "error[model]: 'm.model' is no cost model of this version: its first line is not "
              "'emulsion model 1'\n  fix: fit it again with `emulsion records model --fit`");
    EXPECT_NE(message_of([&] {
                  std::vector<Diagnostic> none;
                  CostModel::read(folder_ / "none.model", library_, none);
              }),
              "");
}

TEST_F(CostModels, ThatAreShippedCanBeUsed) {
    const std::filesystem::path folder(source_path("schedules/tuned"));
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        if (entry.path().extension() != ".model") continue;
        parse_machine_class(entry.path().stem().string());
        std::vector<Diagnostic> faults;
        const CostModel model = CostModel::read(entry.path(), library_, faults);
        EXPECT_TRUE(faults.empty()) << to_string(faults.at(0));
        Bytes bytes = read_file(entry.path(), 1 << 20, "cost model");
        EXPECT_EQ(model.text(), std::string(bytes.begin(), bytes.end()));
    }
}

TEST_F(CostModels, LoseLinesWhoseTermsDoNotFit) {
    CostModel model;
    FittedCosts costs = parse_fitted_costs(
        "recipe=matmul@1 kernels=4 candidates=96 before=0.31 after=0.72 "
        "constants=\"bytes=1 by.rows=2\"");
    costs.where = {"m.model", 2};
    model.put(costs);
    const Group group = dense_kernel(library_, isa()).group;
    const auto fault = model.drop_misfit(recipe("matmul"), group, isa());
    ASSERT_TRUE(fault);
    EXPECT_EQ(to_string(*fault),
              "m.model:2: error[model]: matmul has no term 'by.rows'\n  fix: fit it again, or "
              "choose from arithmetic, bytes, fixed, per.kw, by.kw, per.tn, by.tn, per.chains, "
              "by.chains");
    EXPECT_EQ(model.size(), 0u);
    EXPECT_FALSE(model.drop_misfit(recipe("matmul"), group, isa()));
}

TEST_F(CostModels, SayWhatASearchTriesFirst) {
    const PlannedKernel kernel = dense_kernel(library_, isa(), 256);
    const Recipe& matmul = recipe("matmul");
    const std::string head = "recipe=matmul@1 kernels=4 candidates=96 before=0 after=1 constants=";
    for (const bool likes_wide : {false, true}) {
        CostModel model;
        model.put(parse_fitted_costs(head + (likes_wide ? "\"fixed=0 bytes=1e-6 per.kw=1e6\""
                                                        : "\"bytes=1e-6 by.kw=1e6\"")));
        std::vector<double> costs;
        Search search(kernel, isa(), library_, /*exact=*/false, 1, 1, nullptr, model);
        for (size_t i = 1; i < matmul.tilings(kernel.group, isa()).size(); i++) {
            const std::optional<Candidate> next = search.next();
            ASSERT_TRUE(next);
            ASSERT_EQ(next->recipe, "matmul");
            Machine machine;
            machine.threads = 1;
            costs.push_back(model.cost(matmul, kernel.group, next->tiling, isa(), machine));
        }
        ASSERT_GT(costs.size(), 2u);
        EXPECT_TRUE(std::is_sorted(costs.begin(), costs.end())) << likes_wide;
    }
}

}  // namespace
}  // namespace emulsion::test
