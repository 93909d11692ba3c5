// The text of the progress bar, and of the numbers and tables around it.
#include "runtime/train/progress.h"

#include <gtest/gtest.h>

#include "runtime/program/format.h"
#include "runtime/program/metrics.h"

namespace emulsion {
namespace {

ProgressState half_way() {
    ProgressState state;
    state.epoch = 2, state.epochs = 5;
    state.step = 469, state.steps = 938;
    state.loss = 0.40123, state.accuracy = 0.8541;
    state.images_per_second = 8412.3;
    state.seconds_left = 31.4;
    return state;
}

TEST(Progress, PlainBar) {
    const TerminalStyle style{.terminal = true, .width = 80};
    EXPECT_EQ(render_progress(half_way(), style),
              "epoch 2/5 [==>   ]  50 %  8,412 img/s  0:31 left  loss 0.4012  accuracy 85.41 %");
}

TEST(Progress, NarrowTerminalDropsTheLeastImportant) {
    for (int width : {100, 80, 70, 60, 50, 40, 30}) {
        const TerminalStyle style{.terminal = true, .width = width};
        const std::string line = render_progress(half_way(), style);
        EXPECT_LT(static_cast<int>(line.size()), width) << line;
        EXPECT_NE(line.find("50 %"), line.npos) << line;
        EXPECT_EQ(line.find("accuracy") != line.npos, width >= 80) << line;
    }
}

TEST(Progress, UnicodeAndColour) {
    const TerminalStyle plain{.terminal = true, .unicode = true, .width = 42};
    EXPECT_EQ(display_width(render_progress(half_way(), plain)), 41u);
    EXPECT_EQ(render_progress(half_way(), plain).find('\x1b'), std::string::npos);
    const TerminalStyle color{.terminal = true, .color = true, .unicode = true, .width = 42};
    EXPECT_NE(render_progress(half_way(), color).find("\x1b[32m"), std::string::npos);
}

TEST(Progress, BeginningAndEnd) {
    const TerminalStyle style{.terminal = true, .width = 50};
    ProgressState state = half_way();
    state.step = 0, state.seconds_left = -1;
    EXPECT_EQ(render_progress(state, style), "epoch 2/5 [                  ]   0 %  8,412 img/s");
    state.step = state.steps;
    EXPECT_NE(render_progress(state, style).find("=>] 100 %"), std::string::npos);
}

TEST(Format, DurationsThousandsBytes) {
    EXPECT_EQ(format_duration(0.4), "0:00");
    EXPECT_EQ(format_duration(59.6), "1:00");
    EXPECT_EQ(format_duration(725), "12:05");
    EXPECT_EQ(format_duration(3 * 3600 + 12 * 60 + 5), "3:12:05");
    EXPECT_EQ(format_thousands(0), "0");
    EXPECT_EQ(format_thousands(999.4), "999");
    EXPECT_EQ(format_thousands(1000), "1,000");
    EXPECT_EQ(format_thousands(-1234567), "-1,234,567");
    EXPECT_EQ(format_bytes(12345), "12,345 bytes");
    EXPECT_EQ(format_bytes(2 * 1024 * 1024), "2.0 MiB");
    EXPECT_EQ(format_significant(0.0075048123, 4), "0.007505");
    EXPECT_EQ(format_significant(1.4321e-8, 4), "1.432e-08");
    EXPECT_EQ(format_significant(0.1f, 4), "0.1");
    EXPECT_EQ(format_percent(0.91325, 2), "91.33 %");
}

TEST(Format, TableAlignsByCharactersNotBytes) {
    EXPECT_EQ(format_table({{"größe", "1"}, {"a", "20"}}, {Align::kLeft, Align::kRight}),
              "größe   1\na      20\n");
}

// Losses 1, 1, 1, 1, 6 in batches of two: the mean over samples, not over batches.
TEST(Metrics, MeansAreOverSamples) {
    Metrics metrics;
    metrics.add(1.0, std::vector<HeadCount>{{"", 2}}, 2);
    metrics.add(1.0, std::vector<HeadCount>{{"", 1}}, 2);
    metrics.add(6.0, std::vector<HeadCount>{{"", 0}}, 1);
    EXPECT_DOUBLE_EQ(metrics.loss(), 2.0);
    EXPECT_DOUBLE_EQ(metrics.accuracy().value_or(-1.0), 0.6);
    EXPECT_EQ(metrics.samples, 5);
}

TEST(Metrics, SeveralClassifiers) {
    const auto counted = [](const std::vector<std::vector<HeadCount>>& calls) {
        Metrics metrics;
        for (const auto& counts : calls) metrics.add(1.0, counts, 4);
        std::string text = metrics.correct ? std::to_string(*metrics.correct) : "none";
        for (const HeadCount& head : metrics.heads)
            text += " " + head.name + " " + std::to_string(metrics.share(head.correct));
        return text;
    };
    // The first one decides; those with a name are kept by it.
    EXPECT_EQ(counted({{{"a", 4}, {"b", 1}}, {{"a", 3}, {"b", 1}}}),
              "7.000000 a 0.875000 b 0.250000");
    EXPECT_EQ(counted({{{"", 4}, {"b", 1}}, {{"", 3}, {"b", 1}}}), "7.000000 b 0.250000");
    EXPECT_EQ(counted({{{"a", 4}}}), "4.000000");
    EXPECT_EQ(counted({{}, {}}), "none");
}

TEST(Metrics, EmptyIsZero) {
    EXPECT_EQ(Metrics{}.loss(), 0.0);
    EXPECT_EQ(Metrics{}.accuracy(), 0.0);
}

}  // namespace
}  // namespace emulsion
