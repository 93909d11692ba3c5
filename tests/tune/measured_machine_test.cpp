// Files that describe a machine: written, read, and refused with the whole message.
#include "schedules/tune/measured_machine.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/message_of.h"
#include "tests/support/test_folder.h"
#include "tests/tune/tune_support.h"

namespace emulsion::test {
namespace {

constexpr const char* kText = R"({
 "format": "emulsion-machine",
 "format_version": 1,
 "class": "TestMachine-7-3-l1.32-l2.512-l3.4096-fma.16",
 "fma_gflops": 87.5,
 "bandwidth_gbs": 6.2
}
)";
constexpr const char* kFix =
    "\n  fix: write one with emulsion machine --json >FILE, on the machine to plan for";

class MachineFile : public testing::Test {
  protected:
    const std::string& write(const std::string& text) {
        std::ofstream(file_) << text;
        return file_;
    }
    std::string refusal(const std::string& text) {
        write(text);
        return message_of([&] { read_machine_file(file_); });
    }
    // The file with one piece of text replaced.
    std::string refusal_with(const std::string& piece, const std::string& other) {
        std::string text = kText;
        const size_t at = text.find(piece);
        EXPECT_NE(at, std::string::npos) << piece;
        return refusal(text.replace(at, piece.size(), other));
    }
    std::string expected(const std::string& problem) {
        return "error[machine]: '" + file_ + "' is no machine file: " + problem + kFix;
    }

    TestFolder folder_;
    const std::string file_ = folder_ / "m.json";
};

TEST_F(MachineFile, IsReadAsWritten) {
    const MeasuredMachine machine{some_machine(), 87.5, 6.2};
    EXPECT_EQ(to_json(machine), kText);
    EXPECT_EQ(read_machine_file(write(kText)), machine);
    const MeasuredMachine measured = measure_this_machine();
    EXPECT_EQ(measured.machine_class, this_machine());
    EXPECT_EQ(read_machine_file(write(to_json(measured))), measured);
}

TEST_F(MachineFile, IsWhatPlansAreMadeFor) {
    const Machine machine = to_plan_for(MeasuredMachine{some_machine(), 87.5, 6.2});
    EXPECT_EQ(machine.l2_bytes, 512 << 10);
    EXPECT_EQ(machine.fma_gflops, 87.5);
    EXPECT_DOUBLE_EQ(machine.bandwidth_gbs, 6.2 * kPlannedThreads);
    const Machine of_class = to_plan_for(some_machine());
    EXPECT_EQ(to_string(of_class),
              "512 KiB of second cache, 100 GFLOP/s a core, 20 GB/s from memory");
    EXPECT_EQ(to_string(to_plan_for(MachineClass())), to_string(Machine()));
}

TEST_F(MachineFile, IsNamedByItsForm) {
    EXPECT_TRUE(names_machine_file("m.json"));
    EXPECT_TRUE(names_machine_file("./m"));
    for (const char* other : {"native", "none", "TestMachine-7-3", ""})
        EXPECT_FALSE(names_machine_file(other)) << other;
}

TEST_F(MachineFile, ThatIsNone) {
    EXPECT_EQ(message_of([] { read_machine_file("no/such.json"); }),
              std::string("error[machine]: 'no/such.json': cannot open the machine file: no such "
                          "file or folder") +
                  kFix);
    EXPECT_EQ(message_of([&] { read_machine_file(folder_.path()); }),
              "error[machine]: '" + folder_.path() +
                  "': expected a machine file, but this is a folder" + kFix);
    write("{");
    std::filesystem::resize_file(file_, (64 << 10) + 1);
    EXPECT_EQ(message_of([&] { read_machine_file(file_); }),
              "error[machine]: '" + file_ +
                  "': the machine file has 65537 bytes; the limit is 65536" + kFix);
}

// Cut anywhere, it is refused; nothing is guessed.
TEST_F(MachineFile, TruncatedAtAnyByte) {
    const std::string text = kText;
    for (size_t bytes = 1; bytes <= text.find('}'); bytes++) {
        EXPECT_EQ(
            refusal(text.substr(0, bytes)),
            expected(fmt::format("the text is no JSON from byte {} of {} on", bytes + 1, bytes)));
    }
    EXPECT_EQ(refusal(""), expected("it is empty"));
}

TEST_F(MachineFile, OfAnotherForm) {
    EXPECT_EQ(refusal("[]"), expected("the file is no object"));
    EXPECT_EQ(refusal("{}"), expected("the file has no field \"format\""));
    EXPECT_EQ(refusal_with("emulsion-machine", "emulsion-profile"),
              expected("its format is another"));
    EXPECT_EQ(refusal_with("n\": 1", "n\": 2"),
              expected("\"format_version\" of the file is no whole number from 1 to 1"));
    EXPECT_EQ(refusal_with("\"class\"", "\"cores\": 2, \"class\""),
              expected("the file has the unknown field 'cores'"));
    EXPECT_EQ(refusal_with("\"bandwidth_gbs\": 6.2", "\"format_version\": 1"),
              expected("the file has no field \"bandwidth_gbs\""));
    EXPECT_EQ(refusal(std::string(60000, '[')),
              expected("the text is no JSON from byte 60001 of 60000 on"));
}

TEST_F(MachineFile, OfImpossibleValues) {
    EXPECT_EQ(refusal_with("\"TestMachine-7-3-l1.32-l2.512-l3.4096-fma.16\"", "7"),
              expected("\"class\" of the file is no text"));
    EXPECT_EQ(refusal_with("l2.512", "l2.99999999999"),
              expected("\"class\": 'TestMachine-7-3-l1.32-l2.99999999999-l3.4096-fma.16' is no "
                       "machine class"));
    EXPECT_EQ(refusal_with("l2.512", "l2.-1"),
              expected("\"class\": 'TestMachine-7-3-l1.32-l2.-1-l3.4096-fma.16' is no machine "
                       "class"));
    for (const char* number : {"0", "-87.5", "\"87.5\"", "null"}) {
        EXPECT_EQ(refusal_with("87.5", number),
                  expected("\"fma_gflops\" of the file is no number above 0"));
    }
    EXPECT_EQ(refusal_with("87.5", "1e-308"),
              expected("\"fma_gflops\" is 1e-308, but must be 0.001 to 1000000"));
    EXPECT_EQ(refusal_with("6.2", "1e7"),
              expected("\"bandwidth_gbs\" is 10000000, but must be 0.001 to 1000000"));
    EXPECT_EQ(refusal_with("6.2", "1e999"),
              expected("the text holds a number that no double can hold"));
}

}  // namespace
}  // namespace emulsion::test
