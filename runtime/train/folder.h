// The folder of a run, held by one trainer at a time, and the places that a run writes to.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace emulsion {

inline constexpr const char *kEventLogName = "log.jsonl", *kEpochLogName = "log.csv";

// Holds FOLDER/lock while it lives. The lock is the system's (flock), so it goes with the process
// however that ends; a file `lock` that is left over locks nothing. What stands in the file is for
// the message: process and host. A file `lock` that no trainer has written is neither changed nor
// removed.
class RunFolder {
  public:
    // Makes the folder where needed. Throws RuntimeError where that fails, another trainer holds
    // the folder, or something else is called `lock` there.
    explicit RunFolder(std::string path);
    // Removes the lock, and a folder that it has made where nothing else is in it.
    ~RunFolder();
    RunFolder(const RunFolder&) = delete;
    RunFolder& operator=(const RunFolder&) = delete;

  private:
    bool take_lock();
    [[noreturn]] void refuse() const;
    [[noreturn]] void refuse_foreign() const;

    std::string path_, lock_;
    bool is_new_ = false;
    int descriptor_ = -1;
};

// Whether a trainer holds the folder.
bool is_held(const std::string& folder);

// Where a run writes; empty: nowhere.
struct OutputPaths {
    std::string folder;  // of checkpoints
    std::string weights, best, profile, trace, rate_test, report, preview, ablation;
    std::string init;               // what the run reads: weights,
    std::vector<std::string> data;  // and files of the data set
    uint64_t checkpoint_bytes = 0, weights_bytes = 0;
};

// Throws RuntimeError where one of the files cannot be written, found out by beginning to, or
// would replace another file of the run or one of its data, and where the disk has no room for the
// weights, or for a checkpoint beside the former one. A run must not end with results that cannot
// be kept.
void check_outputs(const OutputPaths& paths);

}  // namespace emulsion
