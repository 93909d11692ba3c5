// Batches of a data set, prepared in the background.
//
// One thread fills a ring of reusable buffers ahead of the caller: normalised pictures and labels,
// in the order of (seed, epoch). The stream goes on from epoch to epoch without a pause. A position
// is (epoch, batch) alone, so a run resumes anywhere and gets the same batches. All memory is taken
// and touched at construction.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "runtime/data/dataset.h"
#include "runtime/data/normalize.h"

namespace emulsion {

struct LoaderOptions {
    int batch = 64;
    uint64_t seed = 0;
    bool is_shuffled = true;  // false: the order of the subset, for validation and test
    int buffers = 3;          // batches in memory, the caller's included; at least 2
};

// Valid until the next call of `next` or `start`. Buffers are aligned to EMULSION_ALIGNMENT.
struct Batch {
    const float* images = nullptr;    // [batch][H][W][C]; past `samples` the content is old
    const int32_t* labels = nullptr;  // [batch]
    int samples = 0;                  // 1 .. batch; fewer than batch at most at the end of an epoch
    uint64_t epoch = 0, index = 0;    // index of the batch in its epoch
    bool is_last = false;             // the last one of its epoch
};

class Loader {
  public:
    // `dataset` must outlive the loader. Throws RuntimeError where the batch is not positive, the
    // subset is empty or leaves the data set, or the system refuses the thread.
    Loader(const Dataset& dataset, std::vector<uint32_t> subset, const Normalizer& normalizer,
           const LoaderOptions& options);
    ~Loader();  // stops the thread
    Loader(const Loader&) = delete;
    Loader& operator=(const Loader&) = delete;

    uint64_t batches() const;  // of one epoch: ceil(subset / batch)
    uint64_t samples() const;  // of one epoch
    uint64_t bytes() const;    // of all buffers

    // Continues at this batch of this epoch. Without a call the stream begins at (0, 0). Throws
    // RuntimeError where there is no such place.
    void start(uint64_t epoch, uint64_t batch);

    // Waits for the next batch and gives the former one back. Calls no malloc. Serves one
    // thread.
    const Batch& next();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

// The subset's order in an epoch, as the loader uses it.
std::vector<uint32_t> epoch_order(std::vector<uint32_t> subset, uint64_t seed, uint64_t epoch);

}  // namespace emulsion
