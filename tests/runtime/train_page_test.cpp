// The page of --report over the fake library: pieces compared as text, what it shows of hostile
// names and logs, and refusals with their whole message.
#include <algorithm>
#include <cmath>
#include <filesystem>

#include "runtime/program/mistakes.h"
#include "runtime/support/atomic_file.h"
#include "runtime/support/base64.h"
#include "runtime/train/filters.h"
#include "runtime/train/page.h"
#include "tests/runtime/data_support.h"
#include "tests/runtime/train_support.h"

namespace emulsion {
namespace {

TEST(Base64, TheExamplesOfTheStandardAndBack) {
    const std::pair<std::string, std::string> examples[] = {{"", ""},
                                                            {"f", "Zg=="},
                                                            {"fo", "Zm8="},
                                                            {"foo", "Zm9v"},
                                                            {"foob", "Zm9vYg=="},
                                                            {"fooba", "Zm9vYmE="},
                                                            {"foobar", "Zm9vYmFy"},
                                                            {"\xff\xfe", "//4="}};
    for (const auto& [bytes, text] : examples) {
        const std::vector<uint8_t> wanted(bytes.begin(), bytes.end());
        EXPECT_EQ(to_base64(wanted), text);
        EXPECT_EQ(from_base64(text), wanted) << text;
    }
    for (const char* text : {"Zg", "Zg=", "Zh==", "Z===", "====", "Zm9v ", "Zm9\"", "Zg==Zg=="})
        EXPECT_EQ(from_base64(text), std::nullopt) << text;
}

TEST(Page, TextsAreNoElements) {
    EXPECT_EQ(html_text("<b a='1' c=\"2\">&amp;\n\xff"),
              "&lt;b a=&#39;1&#39; c=&quot;2&quot;&gt;&amp;amp;\\x0a\\xff");
    const HtmlTable table{"t", {"<", ">"}, 1, {{"&", "1"}, {"\"", "2"}}};
    EXPECT_EQ(html_table(table),
              "<div class=\"scroll\"><table id=\"t\">\n<thead><tr><th class=\"t\">&lt;</th>"
              "<th>&gt;</th></tr>\n</thead>\n<tbody>\n<tr><td class=\"t\">&amp;</td><td>1</td>"
              "</tr>\n<tr><td class=\"t\">&quot;</td><td>2</td></tr>\n</tbody></table></div>\n");
}

size_t count_of(const std::string& text, const std::string& part) {
    size_t count = 0;
    for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) count++;
    return count;
}

TEST(Page, PointsThatAreNotFiniteBreakCurves) {
    const double none = std::nan("");
    const ChartCurve curves[] = {{"one", {1, 2, 3, 4, 5}, {0, 1, none, 3, none}},
                                 {"two", {1, 2}, {none, INFINITY}}};
    const std::string chart = html_chart("c", "a < b", "step", curves);
    EXPECT_EQ(count_of(chart, "<polyline class=\"c0\" points=\"66.0,196.0 180.7,134.0 \"/>"), 1u)
        << chart;
    EXPECT_EQ(count_of(chart, "<circle class=\"c0\" r=\"3\" cx=\"410.0\" cy=\"10.0\"/>"), 1u)
        << chart;
    EXPECT_EQ(count_of(chart, "class=\"c1\""), 0u) << chart;
    EXPECT_EQ(count_of(chart, "a &lt; b"), 2u) << chart;
    EXPECT_EQ(count_of(chart, "two"), 0u) << chart;
    EXPECT_EQ(html_chart("c", "c", "step", std::span(curves).subspan(1)), "");
}

// The surest first; no label, no scores and no mistake are none.
TEST(Mistakes, TheSurestAreKept) {
    MistakeList list(2);
    list.add(0, 0, std::vector<float>{0.9f, 0.1f});
    list.add(1, 1, std::vector<float>{0.6f, 0.4f});
    list.add(2, 0, std::vector<float>{0.2f, 0.8f});
    list.add(3, 1, std::vector<float>{0.8f, 0.2f});
    list.add(4, 1, std::vector<float>{0.7f, 0.3f});
    list.add(5, 2, std::vector<float>{0.9f, 0.1f});
    list.add(6, -1, std::vector<float>{0.9f, 0.1f});
    list.add(7, 1, std::vector<float>{NAN, 0.1f});
    const std::vector<Mistake> worst = list.worst();
    ASSERT_EQ(worst.size(), 2u);
    EXPECT_EQ(worst[0].index, 2u);
    EXPECT_EQ(worst[0].found, 1);
    EXPECT_EQ(worst[1].index, 3u);
    EXPECT_EQ(worst[1].label, 1);
    MistakeList nothing(0);
    nothing.add(1, 1, std::vector<float>{0.6f, 0.4f});
    EXPECT_TRUE(nothing.worst().empty());
}

TEST(Mistakes, PicturesAreShrunk) {
    EXPECT_EQ(shrink_picture({{1, 2, 3}, std::vector<uint8_t>(6)}, 3).shape,
              (PictureShape{1, 2, 3}));
    EXPECT_EQ(shrink_picture({{3, 100, 1}, std::vector<uint8_t>(300)}, 10).shape,
              (PictureShape{3, 10, 1}));
}

// Of three channels together, of others the first alone; zero is grey.
TEST(FiltersPicture, ShadesOfValues) {
    Filters grey{"w", 2, 2, 1, 2, {0, 4, 9, 9, -4, 2, 9, 9}};
    grey.values = {0, 4, 1, 1, -4, 2, 1, 1};
    const Picture picture = filters_picture(grey);
    EXPECT_EQ(picture.shape, (PictureShape{1, 3, 7}));
    const std::vector<uint8_t> middle(picture.pixels.begin() + 7, picture.pixels.begin() + 14);
    EXPECT_EQ(middle, (std::vector<uint8_t>{128, 128, 255, 128, 0, 191, 128}));
    const Filters color{"w", 1, 3, 1, 2, {1, 0, 0, -1, 0.5f, 0}};
    const Picture colors = filters_picture(color);
    EXPECT_EQ(colors.shape, (PictureShape{3, 3, 4}));
    EXPECT_EQ(std::vector<uint8_t>(colors.pixels.begin() + 15, colors.pixels.begin() + 21),
              (std::vector<uint8_t>{255, 128, 191, 128, 0, 128}));
    const Filters zeros{"w", 1, 1, 2, 2, {0, 0, 0, NAN}};
    EXPECT_EQ(filters_picture(zeros).pixels, std::vector<uint8_t>(16, 128));
}

class ReportTest : public TrainRunTest {
  protected:
    void SetUp() override {
        TrainRunTest::SetUp();
        write_easy_set(folder_.path(), /*is_test=*/true, 20, 4, 4, 3);
    }
    std::string page_ = folder_ / "page.html";
    std::string run_ = folder_ / "run";
};

TEST_F(ReportTest, NamesOfClassesAreTexts) {
    FakeNetwork network;
    network.class_names = {"<script>", "\"><b>", "&"};
    use_fake_network(network);
    ASSERT_EQ(train({"--epochs", "2", "--report", page_}).exit_code, 0);
    const std::string page = read_text(page_);
    EXPECT_EQ(count_of(page, "<script>"), 0u);
    EXPECT_EQ(count_of(page, "<b>\""), 0u);
    EXPECT_GE(count_of(page, "&lt;script&gt;"), 1u);
    EXPECT_GE(count_of(page, "&quot;&gt;&lt;b&gt;"), 1u);
    EXPECT_EQ(count_of(page, "id=\"confusion\""), 1u);
}

// What the log says besides is passed over, whatever it is.
TEST_F(ReportTest, HistoryOfAHostileLog) {
    ASSERT_EQ(train({"--epochs", "2", "--checkpoint", run_}).exit_code, 0);
    write_file(run_ + "/log.jsonl", R"({"event":"test","samples":-1}
{"event":"test","samples":10,"accuracy":2}
{"event":"test","samples":10,"accuracy":0.5,"confusion":[[1,2],[3]]}
{"event":"times","samples":4,"seconds":1,"kernels":[{"kernel":1,"seconds":1}]}
{"event":"mistakes","pictures":[1,{"picture":"a","label":0,"class":1,"score":1,"png":"\"><script>"},
{"event":"mistakes","pictures":[1,{"picture":"a","label":0,"class":1,"score":1,"png":"\"><script>"}]}
)");
    const ProgramResult result = run_fake_train({"--history", run_, "--report", page_});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    const std::string page = read_text(page_);
    EXPECT_EQ(count_of(page, "<script>"), 0u);
    EXPECT_EQ(count_of(page, "id=\"confusion\""), 0u);
    EXPECT_EQ(count_of(page, "id=\"mistakes\""), 0u);
    EXPECT_EQ(count_of(page, "test accuracy 50.00 % (5 of 10)"), 1u);
    EXPECT_EQ(count_of(page, "aria-label=\"loss\""), 1u);
}

TEST_F(ReportTest, Refusals) {
    const std::string none = folder_ / "none/page.html";
    const ProgramResult result = train({"--epochs", "1", "--report", none});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_TRUE(result.err.starts_with("error: --report " + none + ": ")) << result.err;
    EXPECT_EQ(train({"--rate-test", folder_ / "r.csv", "--tensorboard", page_}).err,
              "error: --tensorboard: cannot be combined with --rate-test, which keeps nothing\n"
              "  fix: leave one of the two out\n");
    EXPECT_EQ(train({"--weights", page_, "--report", page_}).err,
              "error: --report " + page_ +
                  ": is the place of the weights\n"
                  "  fix: choose another one for --report\n");
    ASSERT_EQ(train({"--steps", "3", "--checkpoint", run_}).exit_code, 0);
    EXPECT_EQ(run_fake_train({"--history", run_, "--report", page_}).err,
              "error: " + run_ +
                  ": has no finished epoch to report\n"
                  "  fix: give it to --report once one has been trained\n");
    ASSERT_EQ(train({"--epochs", "1", "--checkpoint", run_, "--overwrite"}).exit_code, 0);
    FakeNetwork other;
    other.signature = "fedcba9876543210";
    use_fake_network(other);
    EXPECT_EQ(run_fake_train({"--history", run_, "--report", page_}).err,
              "error: " + run_ +
                  "/weights.safetensors: is of another network than fake\n"
                  "  fix: give --report to the program that has trained the run\n");
    EXPECT_FALSE(std::filesystem::exists(page_));
}

// Found out before the first step.
TEST_F(ReportTest, TensorboardFolderThatCannotBe) {
    write_file(folder_ / "file", "");
    const ProgramResult result = train({"--epochs", "1", "--tensorboard", folder_ / "file"});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.out, "");
    EXPECT_NE(result.err.find("error: " + (folder_ / "file") + "/train: "), result.err.npos)
        << result.err;
}

}  // namespace
}  // namespace emulsion
