// The table of ops has no hole: each op has a gradient or a reason, a recipe, a test and its
// documentation.
#include "dsl/ops_command.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "compiler/ops/registry.h"
#include "dsl/op_page.h"
#include "dsl/op_sample.h"
#include "schedules/library.h"
#include "tests/support/paths.h"

namespace emulsion {
namespace {

bool has_code(std::string_view kind) {
    const OpClass op_class = make_op(kind)->op_class();
    return op_class != OpClass::source && op_class != OpClass::view;
}

OpRow row_of(std::string_view kind) {
    static const std::vector<OpRow> rows = op_rows();
    const auto found = std::ranges::find(rows, kind, &OpRow::kind);
    EXPECT_NE(found, rows.end()) << kind;
    return found == rows.end() ? OpRow() : *found;
}

TEST(OpsCommand, NoRowHasAHole) {
    const std::filesystem::path root = source_path("");
    for (std::string_view kind : op_kinds()) {
        if (!is_built_in(kind)) continue;  // of another test
        const OpRow row = row_of(kind);
        EXPECT_FALSE(row.gradient.empty())
            << kind << " has no gradient, and compiler/ops/registry.cpp gives no reason";
        EXPECT_FALSE(row.test.empty()) << "no file of tests/ops names " << kind;
        EXPECT_FALSE(row.documentation.empty()) << "the header of " << kind << " does not name it";
        EXPECT_TRUE(std::filesystem::is_regular_file(root / row.test)) << row.test;
        EXPECT_TRUE(std::filesystem::is_regular_file(root / row.documentation))
            << row.documentation;
        EXPECT_TRUE(!has_code(kind) || !row.recipes.empty())
            << "no operands are found that " << kind << " takes";
    }
}

TEST(OpsCommand, RowsSayWhatIs) {
    const OpRow conv = row_of("conv2d");
    EXPECT_EQ(conv.gradient, "yes");
    EXPECT_EQ(conv.test, "tests/ops/conv2d_test.cpp");
    EXPECT_EQ(conv.documentation, "compiler/ops/conv2d.h");
    EXPECT_EQ(std::ranges::count(conv.recipes, "direct"), 1);
    EXPECT_EQ(std::ranges::count(conv.device_recipes, "gpu_product"), 1);
    EXPECT_EQ(row_of("adam_update").gradient, "none: belongs to the update");
    EXPECT_EQ(row_of("relu_backward").gradient, "none: is a gradient");
    EXPECT_EQ(row_of("input").gradient, "none: has no operands");
    EXPECT_EQ(row_of("hinge_backward").test, row_of("hinge").test);
    EXPECT_EQ(row_of("relu").recipes, std::vector<std::string>{"pointwise"});
}

TEST(OpsCommand, AnOpWithoutWordsIsAHole) {
    const OpPages pages;
    EXPECT_EQ(pages.of("no_such_op").header, "");
    EXPECT_EQ(pages.of("no_such_op").text, "");
    EXPECT_EQ(why_no_gradient("relu"), "");
    EXPECT_EQ(why_no_gradient("no_such_op"), "");
    EXPECT_TRUE(recipes_for({}, make_library(), /*for_devices=*/false).empty());
}

TEST(OpsCommand, PagesHoldTheParagraphOfTheOp) {
    const OpPages pages;
    const std::string text = pages.of("crop_backward").text;
    EXPECT_TRUE(text.starts_with("crop(x) {begin, count, step}: of each axis")) << text;
    EXPECT_NE(text.find("crop_backward(dy) {begin, step, input} -> dx"), std::string::npos);
    const std::string state = pages.of("state").text;  // stands at its class
    EXPECT_NE(state.find("A tensor that a training step updates without a gradient"),
              std::string::npos)
        << state;
}

}  // namespace
}  // namespace emulsion
