// Batches of a source, prepared in the background.
//
// Threads fill a ring of reusable buffers ahead of the caller: normalised pictures and labels, in
// the order of (seed, epoch). The stream goes on from epoch to epoch without a pause. A position
// is (epoch, batch) alone, so a run resumes anywhere and gets the same batches, however many
// threads read them. Memory is bounded: the ring, which is taken and touched at construction, and
// what source and augmenter take for one row in each thread. No row is read further ahead than the
// ring holds.
#pragma once
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <vector>

#include "runtime/data/augmenter.h"
#include "runtime/data/normalize.h"
#include "runtime/data/source.h"

namespace emulsion {

struct LoaderOptions {
    int batch = 64;
    uint64_t seed = 0;
    bool is_shuffled = true;  // false: the order of the subset, for validation and test
    int buffers = 3;          // batches in memory, the caller's included; at least 2
    // Threads that read. 0: none, next() reads, into one buffer.
    int workers = 1;
    bool is_once = false;  // the stream ends with its first epoch
    // A row that cannot be read is a row of zeros with its error; otherwise next() throws it.
    bool keeps_errors = false;
    // What happens to each picture, in each epoch anew; null: nothing. It must outlive the loader.
    const Augmenter* augmenter = nullptr;
    bool has_boxes = false;  // as in Augmenter::move_target
};

// Threads worth having for a source: one where it is in memory and is not augmented.
int workers_for(const Source& source, int threads, bool is_augmented = false);

// Valid until the next call of `next` or `start`. Buffers are aligned to EMULSION_ALIGNMENT.
struct Batch {
    const float* images = nullptr;  // [batch][H][W][C]; past `samples` the content is old
    // [batch][source.target.elements()]: class indices, or the bits of numbers.
    const int32_t* labels = nullptr;
    // Of each of source.extras [batch][elements()]: indices, or the bits of numbers.
    std::span<const int32_t* const> extras;
    int samples = 0;                // 1 .. batch; fewer than batch at most at the end of an epoch
    uint64_t epoch = 0, index = 0;  // index of the batch in its epoch
    bool is_last = false;           // the last one of its epoch
    std::span<const uint32_t> indices;           // [samples], of the rows in the source
    std::span<const std::exception_ptr> errors;  // [samples], null where the row was read
};

class Loader {
  public:
    // `source` must outlive the loader. Throws RuntimeError where the batch is not positive, the
    // subset is empty or leaves the source, an augmented source has no pictures, or the system
    // refuses a thread.
    Loader(const Source& source, std::vector<uint32_t> subset, const Normalizer& normalizer,
           const LoaderOptions& options);
    ~Loader();  // stops the threads
    Loader(const Loader&) = delete;
    Loader& operator=(const Loader&) = delete;

    uint64_t batches() const;  // of one epoch: ceil(subset / batch)
    uint64_t samples() const;  // of one epoch
    uint64_t bytes() const;    // of all pictures and labels in the ring

    // Continues at this batch of this epoch. Without a call the stream begins at (0, 0). Throws
    // RuntimeError where there is no such place.
    void start(uint64_t epoch, uint64_t batch);

    // Waits for the next batch and gives the former one back. Calls no malloc, but for what source
    // and augmenter need. Throws the error of the first row of the batch that could not be read,
    // and again at every further call. Serves one thread. REQUIRES: the stream has not ended.
    const Batch& next();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

// The subset's order in an epoch, as the loader uses it.
std::vector<uint32_t> epoch_order(std::vector<uint32_t> subset, uint64_t seed, uint64_t epoch);

}  // namespace emulsion
