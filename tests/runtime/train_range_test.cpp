// The range test of the learning rate: on a parabola, whose losses follow from the rates, and the
// files and texts that it makes.
#include "runtime/train/rate_test.h"

#include "tests/runtime/train_support.h"

namespace emulsion {
namespace {

std::vector<RatePoint> points_of(const std::vector<double>& losses) {
    std::vector<RatePoint> points;
    for (size_t i = 0; i < losses.size(); i++)
        points.push_back({static_cast<double>(i + 1), losses[i], losses[i]});
    return points;
}

TEST(RateTest, Texts) {
    const auto points = points_of({4, 3.5, 1, 0.5, 2});
    EXPECT_EQ(rate_test_csv(std::span(points).first(2)), "rate,loss,smooth\n1,4,4\n2,3.5,3.5\n");
    EXPECT_EQ(rate_test_json(std::span(points).first(1)),
              "{\"event\":\"rate\",\"rate\":1,\"loss\":4,\"smooth\":4}\n");
    EXPECT_EQ(rate_test_text(points),
              "loss over rates from 1 to 5\n"
              "  4 |*\n"
              "    | *\n"
              "    |\n"
              "    |\n"
              "    |\n"
              "    |    *\n"
              "    |\n"
              "    |\n"
              "    |  *\n"
              "0.5 |   *\n"
              "falls fastest at rate 2, is lowest at rate 4\n");
    EXPECT_EQ(rate_test_text(std::span(points).first(2)),
              "the loss was not finite, or far higher, after fewer than 3 steps: there is nothing "
              "to draw\n");
}

TEST(RateTest, PageOfHostileNetworks) {
    const auto points = points_of({4, 3.5, 1, 0.5, 2, 1e300});
    const std::string page = rate_test_page("<a>", points);
    EXPECT_NE(page.find("<h1>&lt;a&gt;: range test</h1>"), page.npos);
    EXPECT_NE(page.find("The loss falls fastest at rate 2, is lowest at rate 4."), page.npos);
    EXPECT_NE(page.find("aria-label=\"loss\""), page.npos);
    EXPECT_NE(page.find(">6</text>"), page.npos) << "the curve is cut off at 1.5 times 4";
    const std::string nothing = rate_test_page("a", std::span(points).first(2));
    EXPECT_NE(nothing.find("there is nothing to draw"), nothing.npos);
}

// The fake network learns; its loss falls with rates that are large enough. Nothing is kept but the
// file, and the same test has the same losses.
TEST_F(TrainRunTest, RatesGrowFromStepToStep) {
    const auto test_rates = [&](const char* file) {
        return train({"--learning-rate", "0.1", "--rate-test", folder_ / file, "--steps", "31",
                      "--report", folder_ / "page.html"});
    };
    const ProgramResult result = test_rates("a.csv");
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_NE(result.out.find("falls fastest at rate "), std::string::npos) << result.out;
    EXPECT_NE(result.err.find("losses written to "), std::string::npos) << result.err;
    const std::string csv = read_text(folder_ / "a.csv");
    EXPECT_EQ(csv.substr(0, csv.find(',', 17)), "rate,loss,smooth\n1e-04");
    const std::string page = read_text(folder_ / "page.html");
    EXPECT_NE(page.find("<td>0.0001</td>"), page.npos);
    EXPECT_EQ(test_rates("b.csv").exit_code, 0);
    EXPECT_EQ(read_text(folder_ / "b.csv"), csv);
}

TEST_F(TrainRunTest, RateTestsKeepNothing) {
    for (const auto& [option, value] : {std::pair{"--checkpoint", "run"},
                                        std::pair{"--weights", "w"}, std::pair{"--epochs", "1"}}) {
        const ProgramResult result = train({"--rate-test", folder_ / "a.csv", option, value});
        EXPECT_EQ(result.exit_code, 2);
        EXPECT_EQ(result.err, std::string("error: ") + option +
                                  ": cannot be combined with --rate-test, which keeps nothing\n"
                                  "  fix: leave one of the two out\n");
    }
    EXPECT_EQ(train({"--rate-test", folder_ / "a.csv", "--steps", "1"}).err,
              "error: --steps: is 1, but a range test needs several\n  fix: give 2 or more\n");
    const ProgramResult result = train({"--rate-test", folder_ / "none/a.csv"});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.err.find("error: --rate-test "), 0u) << result.err;
}

}  // namespace
}  // namespace emulsion
