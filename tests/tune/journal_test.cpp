// The journal: what is in it stays, and is measured once.
#include "schedules/tune/journal.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "runtime/support/atomic_file.h"
#include "runtime/support/file.h"
#include "tests/support/message_of.h"
#include "tests/support/run_program.h"
#include "tests/support/test_folder.h"

namespace emulsion::test {
namespace {

const JournalKernel kKernel{"build", "machine", "avx2", 2, "batch=1 g"};

Candidate candidate(int value) {
    return {"matmul", 1, parse_tiling("kw=" + std::to_string(value))};
}

Trial trial_of(double us) {
    Trial trial;
    trial.outcome = Outcome::faster;
    for (int i = 0; i < 5; i++) trial.times.pairs.push_back({2e-6 * us, 1e-6 * us});
    return trial;
}

void measure(Journal& journal, int value) {
    const int64_t kernel = journal.number_of(kKernel);
    ASSERT_TRUE(journal.claim(kernel, candidate(value)));
    journal.finish(kernel, candidate(value), trial_of(value), 0.5);
}

TEST(Journal, KeepsWhatIsFinished) {
    const TestFolder folder;
    {
        Journal journal(folder / "j");
        measure(journal, 16);
        const int64_t kernel = journal.number_of(kKernel);
        EXPECT_TRUE(journal.claim(kernel, candidate(32)));
        EXPECT_FALSE(journal.claim(kernel, candidate(32)));
        journal.confirm(kernel, {candidate(16), 20, 10, 0.1, true, false}, 2);
    }
    Journal journal(folder / "j");
    EXPECT_EQ(journal.note(), "");
    const int64_t kernel = journal.number_of(kKernel);
    const std::vector<Journal::Finished> finished = journal.finished(kernel);
    ASSERT_EQ(finished.size(), 1u);
    EXPECT_EQ(finished[0].candidate, candidate(16));
    EXPECT_EQ(finished[0].outcome, Outcome::faster);
    EXPECT_NEAR(finished[0].us, 16, 1e-9);
    ASSERT_EQ(journal.confirmations(kernel).size(), 1u);
    EXPECT_EQ(journal.confirmations(kernel)[0].candidate, candidate(16));
    EXPECT_TRUE(journal.confirmations(kernel)[0].is_accepted);
    EXPECT_DOUBLE_EQ(journal.spent({kernel}).seconds, 2.5);
    EXPECT_EQ(journal.spent({kernel}).trials, 1);
    EXPECT_FALSE(journal.claim(kernel, candidate(16)));
    EXPECT_TRUE(journal.claim(kernel, candidate(32)));  // that was not finished
    JournalKernel other = kKernel;
    other.threads = 1;
    EXPECT_TRUE(journal.finished(journal.number_of(other)).empty());
}

// Starts a process that measures candidates 1, 2, … until it is killed.
pid_t start_measuring(const std::string& file, const std::string& lines) {
    const pid_t child = fork();
    if (child != 0) return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    {
        Journal journal(file);
        const int64_t kernel = journal.number_of(kKernel);
        std::ofstream done(lines);
        for (int value = 1; value < 100000; value++) {
            if (!journal.claim(kernel, candidate(value))) continue;
            journal.finish(kernel, candidate(value), trial_of(value), 0.001);
            done << value << std::endl;
        }
    }
    _exit(0);
}

std::set<int> numbers_in(const std::string& file) {
    std::ifstream stream(file);
    std::set<int> numbers;
    for (int number = 0; stream >> number;) numbers.insert(number);
    return numbers;
}

TEST(Journal, KeepsWhatIsFinishedWhenItsProcessIsKilled) {
    const TestFolder folder;
    std::set<int> done;
    for (int round = 0; round < 4; round++) {
        const std::string lines = folder / ("lines" + std::to_string(round));
        const pid_t child = start_measuring(folder / "j", lines);
        while (numbers_in(lines).size() < 5u + static_cast<size_t>(round) * 7) usleep(2000);
        kill(child, SIGKILL);
        waitpid(child, nullptr, 0);
        for (const int number : numbers_in(lines)) {
            EXPECT_TRUE(done.insert(number).second) << number << " was measured twice";
        }
    }
    Journal journal(folder / "j");
    EXPECT_EQ(journal.note(), "");
    std::set<std::string> kept;
    for (const Journal::Finished& finished : journal.finished(journal.number_of(kKernel)))
        kept.insert(to_string(finished.candidate));
    for (const int number : done) EXPECT_TRUE(kept.contains(to_string(candidate(number))));
    EXPECT_LE(kept.size(), done.size() + 4);  // those of which the line was not written any more
}

TEST(Journal, SharedByTwoMeasuresEachCandidateOnce) {
    const TestFolder folder;
    const std::string lines[2] = {folder / "first", folder / "second"};
    {
        Journal made(folder / "j");
    }
    pid_t children[2];
    for (int i = 0; i < 2; i++) children[i] = start_measuring(folder / "j", lines[i]);
    while (numbers_in(lines[0]).size() < 10 || numbers_in(lines[1]).size() < 10) usleep(2000);
    for (const pid_t child : children) {
        kill(child, SIGKILL);
        waitpid(child, nullptr, 0);
    }
    const std::set<int> second = numbers_in(lines[1]);
    for (const int number : numbers_in(lines[0]))
        EXPECT_FALSE(second.contains(number)) << number << " was measured twice";
}

TEST(Journal, OfAnotherVersionIsRefused) {
    const TestFolder folder;
    {
        Database(folder / "j").execute("PRAGMA user_version = 7; CREATE TABLE t (a)");
    }
    EXPECT_EQ(message_of([&] { Journal journal(folder / "j"); }),
              "error[journal]: the journal '" + (folder / "j") +
                  "' is of version 7, but this build writes version 2\n"
                  "  fix: name another file with --journal, or remove this one");
}

// Numbers that no tuner writes are never cut to 32 bits: 4294967297 is not 1.
TEST(Journal, NumbersWithout32BitsAreRefused) {
    const TestFolder folder;
    {
        Journal journal(folder / "j");
        measure(journal, 16);
    }
    Database(folder / "j").execute("UPDATE trials SET version = 4294967297");
    Journal journal(folder / "j");
    const int64_t kernel = journal.number_of(kKernel);
    const std::string refused =
        "holds 4294967297, which has no 32 bits, as its 'version'\n"
        "  fix: name another file with --journal, or remove this one";
    EXPECT_EQ(message_of([&] { journal.finished(kernel); }),
              "error[journal]: the journal '" + (folder / "j") + "' " + refused);
    EXPECT_NE(message_of([&] { read_measured(folder / "j"); }).find(refused), std::string::npos);
}

TEST(Journal, InAFolderThatCannotBeWrittenIsRefused) {
    EXPECT_EQ(message_of([] { Journal journal("/proc/j"); }),
              "error[journal]: the journal '/proc/j' cannot be opened: No such file or directory\n"
              "  fix: name a file in a folder that you may write to with --journal");
}

TEST(Journal, SaysWhenTheDiskIsFull) {
    const TestFolder folder;
    {
        Journal journal(folder / "j");
    }
    Database database(folder / "j");
    database.execute("PRAGMA max_page_count = 1");
    EXPECT_EQ(
        message_of([&] {
            database.execute("CREATE TABLE big (a); INSERT INTO big VALUES (zeroblob(1000000))");
        }),
        "error[journal]: the journal '" + (folder / "j") +
            "' cannot be used: database or disk is full\n"
            "  fix: free space on its disk, or name another file with --journal");
}

TEST(Journal, CutAnywhereSaysWhatWasLostAndGoesOn) {
    const TestFolder folder;
    {
        Journal journal(folder / "whole");
        for (int value = 1; value <= 300; value++) measure(journal, value);
    }
    const Bytes whole = read_file(folder / "whole", 1 << 30, "journal");
    ASSERT_GT(whole.size(), 20000u);
    for (int cut = 1; cut <= 20; cut++) {
        const size_t length = whole.size() * static_cast<size_t>(cut) / 21;
        const std::string file = folder / ("cut" + std::to_string(cut));
        write_file(file, std::span(whole).first(length));
        Journal journal(file);
        EXPECT_NE(journal.note().find("is damaged"), std::string::npos) << length << " bytes";
        EXPECT_TRUE(std::filesystem::exists(file + ".damaged"));
        const int64_t kernel = journal.number_of(kKernel);
        const std::vector<Journal::Finished> kept = journal.finished(kernel);
        for (const Journal::Finished& finished : kept) EXPECT_EQ(finished.outcome, Outcome::faster);
        EXPECT_TRUE(cut <= 15 || kept.size() > 50) << kept.size() << " of 300 trials";
        EXPECT_TRUE(journal.claim(kernel, candidate(1000)));
        journal.finish(kernel, candidate(1000), trial_of(1), 1);
    }
}

TEST(Journal, TakesOneOfTheVersionBefore) {
    const TestFolder folder;
    {
        Journal journal(folder / "j");
        measure(journal, 16);
        journal.confirm(journal.number_of(kKernel), {candidate(16), 20, 10, 0.1, true, false}, 2);
    }
    Database(folder / "j")
        .execute("DROP TABLE step_checks; DROP TABLE defaults; PRAGMA user_version = 1");
    Journal journal(folder / "j");
    const int64_t kernel = journal.number_of(kKernel);
    EXPECT_EQ(journal.note(), "");
    EXPECT_EQ(journal.finished(kernel).size(), 1u);
    EXPECT_EQ(journal.confirmations(kernel).size(), 1u);
    EXPECT_EQ(journal.default_us(kernel), std::nullopt);
    journal.time_default(kernel, 7, false, 1);
    journal.time_default(kernel, 8, false, 1);
    EXPECT_EQ(journal.default_us(kernel), 8);
    journal.check_in_step(kernel, {candidate(16), 20, 21, 0.1, false, false}, 3);
    ASSERT_EQ(journal.step_checks(kernel).size(), 1u);
    EXPECT_FALSE(journal.step_checks(kernel)[0].is_accepted);
    EXPECT_NEAR(journal.spent({kernel}).seconds, 0.5 + 2 + 1 + 1 + 3, 1e-9);
}

}  // namespace
}  // namespace emulsion::test
