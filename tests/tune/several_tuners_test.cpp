// Several tuners on one journal and one file of records, of which one is killed.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "runtime/support/path.h"
#include "schedules/library.h"
#include "schedules/tune/tuner.h"
#include "tests/support/golden.h"
#include "tests/support/test_folder.h"
#include "tests/tune/fake_workbench.h"

namespace emulsion::test {
namespace {

constexpr int kTuners = 4;
constexpr int kTrials = 120;

// Writes a line for each candidate that is timed, at once, so that it survives the process.
class WritingWorkbench : public FakeWorkbench {
  public:
    explicit WritingWorkbench(const std::string& file)
        : file_(open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) {}
    ~WritingWorkbench() override { close(file_); }
    Trial compare(const Candidate& current, const Candidate& candidate,
                  const Effort& effort) override {
        const Trial trial = FakeWorkbench::compare(current, candidate, effort);
        if (effort.significance == kTrialEffort.significance) {
            const std::string line = signature() + " with " + to_string(candidate) + "\n";
            if (write(file_, line.data(), line.size()) < 0) _exit(3);
        }
        return trial;
    }

  private:
    int file_;
};

class SeveralTuners : public testing::Test {
  protected:
    SeveralTuners() : network_(golden_network("lenet")), library_(make_library()) {
        build_.batch = 4;
        build_.target = kTarget;
        options_.records = folder_ / "net.records";
        options_.journal = folder_ / "net.journal";
        options_.threads = 2;
        options_.choices = false;  // choice_search_test.cpp
        options_.trials = kTrials;
    }
    pid_t start(uint64_t seed, const std::string& journal = "net.journal") {
        const pid_t tester = getpid();
        const pid_t child = fork();
        if (child != 0) return child;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != tester) _exit(1);
        options_.seed = seed;
        options_.journal = folder_ / journal;
        try {
            tune_here();
            _exit(testing::Test::HasFailure() ? 2 : 0);
        } catch (const std::exception& error) {
            std::fprintf(stderr, "a tuner failed: %s\n", error.what());
            _exit(1);
        }
    }
    SilentReport tune_here() {
        WritingWorkbench workbench(folder_ / "timed");
        SilentReport report;
        tune(network_, library_, build_, options_, workbench, report);
        return report;
    }
    // Whatever is there, it is whole.
    size_t read_records() const {
        if (!is_file(options_.records)) return 0;
        std::vector<Diagnostic> faults;
        const RecordSet set = RecordSet::read(options_.records, faults);
        EXPECT_TRUE(faults.empty()) << faults[0].message;
        return set.size();
    }
    std::map<std::string, int> timed() const {
        std::map<std::string, int> times;
        std::ifstream text(folder_ / "timed");
        for (std::string line; std::getline(text, line);) times[line]++;
        return times;
    }

    TestFolder folder_;
    Network network_;
    RecipeLibrary library_;
    BuildOptions build_;
    TuneOptions options_;
};

TEST_F(SeveralTuners, LoseNothingAndMeasureNothingTwice) {
    std::vector<pid_t> tuners;
    for (int i = 0; i < kTuners; i++) tuners.push_back(start(static_cast<uint64_t>(i)));
    bool was_killed = false;
    for (size_t left = tuners.size(); left > 0;) {
        const size_t records = read_records();
        if (records > 0 && !was_killed) was_killed = kill(tuners[0], SIGKILL) == 0;
        int status = 0;
        const pid_t ended = waitpid(-1, &status, WNOHANG);
        if (ended <= 0) continue;
        left--;
        EXPECT_TRUE(ended == tuners[0] || status == 0) << status;
    }
    EXPECT_TRUE(was_killed);
    const SilentReport last = tune_here();  // what the killed one had claimed is free again
    EXPECT_GE(last.spent.trials, kTrials);
    int twice = 0;
    for (const auto& [line, count] : timed()) twice += count > 1 ? 1 : 0;
    EXPECT_LE(twice, 1);  // which the killed one had timed and not yet written down
    // Each kernel's best is in the file, but for one that was killed between file and journal.
    std::set<std::string> recorded;
    std::vector<Diagnostic> faults;
    for (const TunedRecord& record : RecordSet::read(options_.records, faults).records()) {
        recorded.insert(record.signature + " with " +
                        to_string(Candidate{record.recipe, record.version, record.tiling}));
    }
    EXPECT_GT(last.best.size(), 1u);
    std::vector<std::string> others;
    std::set_symmetric_difference(last.best.begin(), last.best.end(), recorded.begin(),
                                  recorded.end(), std::back_inserter(others));
    EXPECT_LE(others.size(), 2u);
    for (const std::string& other : others) {
        const std::string signature = other.substr(0, other.find(" with "));
        EXPECT_TRUE(others[0].starts_with(signature)) << other;
    }
}

// They know nothing of each other but the file, and each has its best of each kernel there, or what
// another one has put in its place.
TEST_F(SeveralTuners, WithJournalsOfTheirOwnShareTheFile) {
    for (int i = 0; i < kTuners; i++)
        start(static_cast<uint64_t>(i), "journal" + std::to_string(i));
    for (int i = 0; i < kTuners; i++) {
        int status = 0;
        ASSERT_GT(wait(&status), 0);
        EXPECT_EQ(status, 0);
    }
    EXPECT_GT(read_records(), 1u);
    std::set<std::string> recorded, best;
    for (const TunedRecord& record : RecordSet::read_whole(options_.records).records())
        recorded.insert(record.signature);
    for (int i = 0; i < kTuners; i++) {
        options_.journal = folder_ / ("journal" + std::to_string(i));
        for (const std::string& text : tune_here().best)  // its budget is spent
            best.insert(text.substr(0, text.find(" with ")));
    }
    EXPECT_EQ(recorded, best);
}

}  // namespace
}  // namespace emulsion::test
