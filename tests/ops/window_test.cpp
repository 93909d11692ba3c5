// Output sizes, padding and receptive fields.
#include "compiler/ops/window.h"

#include <gtest/gtest.h>

#include "compiler/graph/limits.h"

namespace emulsion::test {
namespace {

Window window(int64_t size, int64_t stride = 1, int64_t before = 0, int64_t after = 0,
              int64_t dilation = 1) {
    return {{size, size},
            {stride, stride},
            {dilation, dilation},
            {before, after, before, after},
            false};
}

// Positions counted one by one: first cells from -before on in steps, as long as the window ends
// within the padding.
int64_t counted(const Window& w, int64_t in) {
    int64_t count = 0;
    for (int64_t first = -w.before(0); first + w.covered(0) <= in + w.after(0);
         first += w.stride[0])
        count++;
    return count;
}

TEST(Window, PositionsAreThoseThatFit) {
    for (int64_t in = 1; in <= 9; in++)
        for (int64_t size = 1; size <= 4; size++)
            for (int64_t stride = 1; stride <= 3; stride++)
                for (int64_t padding = 0; padding <= 2; padding++)
                    for (int64_t dilation = 1; dilation <= 2; dilation++) {
                        const Window w = window(size, stride, padding, padding / 2, dilation);
                        if (w.covered(0) > in + padding + padding / 2) continue;
                        EXPECT_EQ(w.positions(0, in), counted(w, in));
                        EXPECT_EQ(w.positions(1, in), counted(w, in));
                    }
}

TEST(Window, RoundedUpKeepsWindowsThatBeginOnTheMap) {
    Window w = window(2, 2);
    w.ceil = true;
    EXPECT_EQ(w.positions(0, 5), 3);
    EXPECT_EQ(w.positions(0, 4), 2);
    w = window(2, 3, 1, 1);
    w.ceil = true;
    EXPECT_EQ(w.positions(0, 5), 2);  // a third one would begin at cell 5, beyond the map
}

TEST(Window, WorkedExamples) {
    EXPECT_EQ(window(3).positions(0, 7), 5);
    EXPECT_EQ(window(3, 2).positions(0, 7), 3);
    EXPECT_EQ(window(5).positions(0, 32), 28);
    EXPECT_EQ(window(3).positions(0, 32), 30);
    const auto [before, after] = same_padding(224, 7, 2, 1);
    EXPECT_EQ(before, 2);
    EXPECT_EQ(after, 3);
    EXPECT_EQ(window(7, 2, before, after).positions(0, 224), 112);
    for (int64_t size : {3, 5, 7}) {
        EXPECT_EQ(same_padding(32, size, 1, 1), (std::array{(size - 1) / 2, (size - 1) / 2}));
    }
    EXPECT_EQ(window(11, 4).positions(0, 227), 55);
    EXPECT_EQ(window(3, 2).positions(0, 55), 27);
    EXPECT_EQ(window(3, 2).positions(0, 27), 13);
}

TEST(Window, SamePaddingGivesInOverStride) {
    for (int64_t in = 1; in <= 12; in++)
        for (int64_t size = 1; size <= 5; size++)
            for (int64_t stride = 1; stride <= 4; stride++) {
                const auto [before, after] = same_padding(in, size, stride, 2);
                EXPECT_LE(after - before, 1);
                EXPECT_GE(after, before);
                EXPECT_EQ(window(size, stride, before, after, 2).positions(0, in),
                          (in + stride - 1) / stride);
            }
}

int64_t field_of(const std::vector<Window>& layers) {
    ReceptiveField field;
    for (const Window& layer : layers) field = through(field, layer, 0);
    return field.size;
}

TEST(Window, ReceptiveFields) {
    const Window three = window(3, 1, 1, 1), pool = window(2, 2);
    EXPECT_EQ(field_of({three, three}), 5);
    EXPECT_EQ(field_of({three, three, three}), 7);
    EXPECT_EQ(field_of({window(5), pool, window(5), pool, window(5)}), 32);  // LeNet-5, C5
    EXPECT_EQ(field_of({window(11, 4), window(3, 2), window(5, 1, 2, 2), window(3, 2), three, three,
                        three, window(3, 2)}),
              195);  // AlexNet, pool5
    EXPECT_EQ(field_of({three, three, pool, three, three, pool, three, three, three, pool, three,
                        three, three, pool, three, three, three}),
              196);  // VGG-16, conv5_3
}

TEST(Window, ReceptiveFieldsEndAtTheLimit) {
    ReceptiveField field;
    for (int i = 0; i < 8; i++) field = through(field, window(32768, 32768), 0);
    EXPECT_EQ(field.size, kMostElements);
    EXPECT_EQ(field.jump, kMostElements);
}

TEST(Window, ReceptiveFieldKnowsItsCentre) {
    ReceptiveField field = through({}, window(3, 2, 1, 1), 0);
    EXPECT_EQ(field, (ReceptiveField{0, 3, 2}));
    field = through(field, window(2, 2), 0);
    EXPECT_EQ(field, (ReceptiveField{1, 5, 4}));
}

TEST(Window, ReceptiveFieldsOnFinerMaps) {
    const Window halved = window(3, 2, 1, 1);
    ReceptiveField field = through({}, halved, 0);
    field = back_through(field, halved, 0);  // every second cell sees one of two, the others two
    EXPECT_EQ(field, (ReceptiveField{0, 5, 1}));
    EXPECT_EQ(back_through({}, window(2, 2), 0), (ReceptiveField{-0.25, 1, 0.5}));
    EXPECT_EQ(resized({}, 8, 16, /*is_nearest=*/true), (ReceptiveField{-0.25, 1, 0.5}));
    EXPECT_EQ(resized({}, 8, 16, /*is_nearest=*/false), (ReceptiveField{-0.25, 2, 0.5}));
    EXPECT_EQ(through(resized({}, 8, 16, true), window(3), 0), (ReceptiveField{0.25, 2, 0.5}));
}

TEST(Window, LeavesTheMap) {
    EXPECT_FALSE(window(3, 2).leaves(0, 8));
    EXPECT_TRUE(window(3, 2, 1, 0).leaves(0, 8));
    EXPECT_TRUE(window(3, 2, 0, 1).leaves(0, 8));
    EXPECT_FALSE(window(3, 2, 0, 1).leaves(0, 9));  // the padding is never reached
}

}  // namespace
}  // namespace emulsion::test
