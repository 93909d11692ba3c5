// Amounts of memory on the command line.
#include "dsl/bytes.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/message_of.h"

namespace emulsion::test {
namespace {

TEST(Bytes, HaveUnitsOfBothKinds) {
    EXPECT_EQ(parse_bytes("--size", "1500000000"), 1500000000);
    EXPECT_EQ(parse_bytes("--size", "7B"), 7);
    EXPECT_EQ(parse_bytes("--size", "1.5kB"), 1500);
    EXPECT_EQ(parse_bytes("--size", "2MB"), 2000000);
    EXPECT_EQ(parse_bytes("--size", "1.5GB"), 1500000000);
    EXPECT_EQ(parse_bytes("--size", "3KiB"), 3072);
    EXPECT_EQ(parse_bytes("--size", "512MiB"), 536870912);
    EXPECT_EQ(parse_bytes("--size", ".5GiB"), 536870912);
    EXPECT_EQ(parse_bytes("--size", "1.0001kB"), 1000);
}

TEST(Bytes, OtherTextsAreRefused) {
    for (const std::string text : {"", "MiB", "100M", "1 GB", "1GBs", "1e3", "0x10", "inf", "nan",
                                   "-1kB", "+1kB", "0", "0.5B", "9999999999GiB", "1,5GB"}) {
        EXPECT_EQ(message_of([&] { parse_bytes("--size", text); }),
                  "error[usage]: --size is '" + text +
                      "', but must be an amount of memory\n  fix: write --size=512MiB or "
                      "--size=1.5GB; units are B, kB, MB, GB, KiB, MiB and GiB");
    }
}

}  // namespace
}  // namespace emulsion::test
