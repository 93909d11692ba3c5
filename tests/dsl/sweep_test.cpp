// Candidates and table of a sweep; tests/dsl/sweep_test.sh runs one.
#include "dsl/sweep.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/message_of.h"

namespace emulsion::test {
namespace {

using Values = std::vector<std::string>;

TEST(Sweep, AxesInEveryForm) {
    EXPECT_EQ(parse_axis("width=16,32").name, "width");
    EXPECT_EQ(parse_axis("width=16,32").values, (Values{"16", "32"}));
    EXPECT_EQ(parse_axis("a=relu").values, (Values{"relu"}));
    EXPECT_EQ(parse_axis("depth=2..4").values, (Values{"2", "3", "4"}));
    EXPECT_EQ(parse_axis("x=-1..1").values, (Values{"-1", "0", "1"}));
    EXPECT_EQ(parse_axis("width=16..50:16").values, (Values{"16", "32", "48"}));
    for (const char* text : {"width", "=1", "width=", "width=1,1", "width=1,,2", "d=4..2", "d=1..x",
                             "d=1..9:0", "d=1..99999999", "d=..", "d=1..9223372036854775807"}) {
        EXPECT_EQ(message_of([&] { parse_axis(text); }),
                  std::string("error[usage]: --set '") + text +
                      "' is no setting with values\n  fix: write --set width=16,32 or --set "
                      "depth=2..4 or --set width=16..64:16");
    }
}

TEST(Sweep, Amounts) {
    EXPECT_EQ(parse_amount("--limit-macs", "50M"), 50000000);
    EXPECT_EQ(parse_amount("--limit-macs", "7k"), 7000);
    EXPECT_EQ(parse_amount("--limit-macs", "2G"), 2000000000);
    EXPECT_EQ(parse_amount("--limit-macs", "12"), 12);
    for (const char* text : {"0", "M", "1.5M", "9223372036854775807k", "-3"}) {
        EXPECT_EQ(message_of([&] { parse_amount("--limit-macs", text); }),
                  std::string("error[usage]: --limit-macs is '") + text +
                      "', but must be a whole number above 0\n  fix: write --limit-macs 50M, with "
                      "k, M or G for thousands, millions or milliards");
    }
}

TEST(Sweep, AllCandidatesOrSomeOfThem) {
    const std::vector<SweepAxis> axes = {{"a", {"1", "2"}}, {"b", {"x", "y", "z"}}};
    const auto all = make_candidates(axes, std::nullopt, 1);
    ASSERT_EQ(all.size(), 6u);
    EXPECT_EQ(all[0], (Values{"1", "x"}));
    EXPECT_EQ(all[1], (Values{"1", "y"}));
    EXPECT_EQ(all[5], (Values{"2", "z"}));
    const auto some = make_candidates(axes, 4, 7);
    EXPECT_EQ(std::set<Values>(some.begin(), some.end()).size(), 4u);
    EXPECT_EQ(some, make_candidates(axes, 4, 7));
    EXPECT_NE(some, make_candidates(axes, 4, 8));
    EXPECT_EQ(make_candidates(axes, 99, 7).size(), 6u);
    EXPECT_EQ(message_of([] { make_candidates({{"a", {"1"}}, {"a", {"2"}}}, std::nullopt, 1); }),
              "error[usage]: --set names 'a' twice\n"
              "  fix: give all its values at once, parted by commas");
    EXPECT_EQ(message_of([&] {
                  make_candidates({{"a", Values(1000, "1")}, {"b", Values(1000, "1")}},
                                  std::nullopt, 1);
              }),
              "error[usage]: the values of --set have more than 100000 combinations\n"
              "  fix: give fewer values");
}

SweepRow row(const std::string& value, const std::string& state, const std::string& loss,
             const std::string& validation_accuracy) {
    SweepRow made;
    made.values = {value};
    made.multiply_adds = 7;
    made.parameters = 3;
    made.state = state;
    made.loss = loss;
    made.validation_accuracy = validation_accuracy;
    return made;
}

TEST(Sweep, TheTableComesBack) {
    const std::vector<SweepRow> rows = {row("1", "done", "0.5", "0.75"),
                                        row("2", "over the limit", "", "")};
    const std::string text = sweep_csv({"a"}, rows);
    EXPECT_EQ(text,
              "a,multiply_adds,parameters,state,loss,accuracy,validation_loss,validation_accuracy,"
              "seconds\n1,7,3,done,0.5,,,0.75,\n2,7,3,over the limit,,,,,\n");
    const auto again = parse_sweep_csv({"a"}, text, "t.csv");
    EXPECT_EQ(sweep_csv({"a"}, again), text);
    EXPECT_EQ(message_of([&] { parse_sweep_csv({"b"}, text, "t.csv"); }),
              "error[sweep]: 't.csv' is no table of a sweep over b: it holds the line "
              "'a,multiply_adds,parameters,state,loss,accuracy,validation_loss,validation_accuracy,"
              "seconds'\n  fix: choose another folder with -o, or remove the table");
    EXPECT_EQ(message_of([&] { parse_sweep_csv({"a"}, text + "3,x,1,done,,,,,\n", "t.csv"); }),
              "error[sweep]: 't.csv' is no table of a sweep over a: it holds the line "
              "'3,x,1,done,,,,,'\n  fix: choose another folder with -o, or remove the table");
}

TEST(Sweep, TheBestComesFirst) {
    const auto order = [](std::vector<SweepRow> rows) {
        std::string values;
        for (const SweepRow& each : rank_rows(std::move(rows))) values += each.values[0];
        return values;
    };
    EXPECT_EQ(order({row("1", "done", "0.1", "0.5"), row("2", "failed", "", ""),
                     row("3", "done", "0.9", "0.75")}),
              "312");
    // Without validation in one of them the losses decide.
    EXPECT_EQ(order({row("1", "done", "0.4", ""), row("2", "done", "0.1", "0.5")}), "21");
}

TEST(Sweep, TheLastEpochOfALog) {
    const auto fields = last_of_log("epoch,loss\n1,0.5\n2,0.25\n");
    ASSERT_EQ(fields.size(), 2u);
    EXPECT_EQ(fields[1].first, "loss");
    EXPECT_EQ(fields[1].second, "0.25");
    EXPECT_TRUE(last_of_log("epoch,loss\n").empty());
}

}  // namespace
}  // namespace emulsion::test
