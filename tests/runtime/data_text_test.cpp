// Text and errors: numbers in any locale, names on one line.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <iomanip>  // brings std::quoted, which must not win over ours
#include <limits>

#include "runtime/support/error.h"
#include "runtime/support/text.h"
#include "tests/runtime/data_support.h"
#include "tests/support/comma_locale.h"

namespace emulsion {
namespace {

TEST(DataText, NumbersHaveTheFewestDigitsThatReadBack) {
    EXPECT_EQ(concat("a", 'b', 1, -2L, 3u, static_cast<uint8_t>(200), true, 0.05, 0.1f, 1e30),
              "ab1-23200true0.050.11e+30");
    EXPECT_EQ(concat(std::numeric_limits<int64_t>::min(), " ", UINT64_MAX),
              "-9223372036854775808 18446744073709551615");
    EXPECT_EQ(fixed(0.9137, 2), "0.91");
    EXPECT_EQ(fixed(91.0, 1), "91.0");
    EXPECT_EQ(fixed(1e300, 0).size(), 301u);
}

TEST(DataText, ReadsWholeNumbersOnly) {
    EXPECT_EQ(parse_double("0.05"), 0.05);
    EXPECT_EQ(parse_double("-1e-3"), -0.001);
    for (const char* text : {"", "0,05", "1x", " 1", "1 ", "--1"}) {
        EXPECT_EQ(parse_double(text), std::nullopt) << text;
    }
    EXPECT_EQ(parse_unsigned("18446744073709551615"), UINT64_MAX);
    for (const char* text : {"", "-1", "1.0", "18446744073709551616"}) {
        EXPECT_EQ(parse_unsigned(text), std::nullopt) << text;
    }
}

TEST(DataText, DecimalCommaOfALocaleChangesNothing) {
    TestFolder folder;
    const int code = testing::in_child([&] {
        if (!use_comma_locale(folder.path())) return 77;
        char printed[16];
        std::snprintf(printed, sizeof printed, "%g", 0.05);
        EXPECT_STREQ(printed, "0,05");  // the locale is at work
        EXPECT_EQ(concat(0.05, " ", 12345.5f), "0.05 12345.5");
        EXPECT_EQ(fixed(1234.5, 2), "1234.50");
        EXPECT_EQ(parse_double("0.05"), 0.05);
        EXPECT_EQ(parse_double("0,05"), std::nullopt);
        return ::testing::Test::HasFailure() ? 1 : 0;
    });
    if (code == 77) GTEST_SKIP() << "the C library refuses a locale with a decimal comma";
    EXPECT_EQ(code, 0);
}

TEST(DataText, NamesStayOnOneLine) {
    const std::string name = "a\nb\x1b[31m";
    EXPECT_EQ(quoted(name), "'a\\x0ab\\x1b[31m'");
    EXPECT_EQ(quoted(std::string("größe 漢 😀")), "'größe 漢 😀'");
    EXPECT_EQ(one_line("\xff\xc3"), "\\xff\\xc3");           // no UTF-8
    EXPECT_EQ(one_line("\xc0\xaf"), "\\xc0\\xaf");           // overlong
    EXPECT_EQ(one_line("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // half of a surrogate pair
    EXPECT_EQ(one_line("\xc2\x85"), "\\xc2\\x85");           // a control character beyond ASCII
    EXPECT_EQ(one_line(std::string_view("\0", 1)), "\\x00");
}

TEST(DataText, ErrorSaysWhereWhatAndHow) {
    const RuntimeError error("a.png", "the file is empty", "give a picture");
    EXPECT_STREQ(error.what(), "a.png: the file is empty\n  fix: give a picture");
    char* text = nullptr;
    size_t size = 0;
    std::FILE* out = open_memstream(&text, &size);
    print_error(error, out);
    print_error(RuntimeError("", "no place", ""), out);
    std::fclose(out);
    EXPECT_EQ(std::string(text, size),
              "error: a.png: the file is empty\n  fix: give a picture\nerror: no place\n");
    std::free(text);
}

TEST(DataText, LongNamesAreCut) {
    const std::string limit(4096, 'n');
    EXPECT_EQ(quoted(limit), "'" + limit + "'");
    EXPECT_EQ(quoted(limit + "n"), "'" + limit + "...'");
    EXPECT_EQ(one_line(std::string(1 << 24, '\n')).size(), 4 * 4096u + 3);
}

}  // namespace
}  // namespace emulsion
