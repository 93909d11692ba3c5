// The ring: one producer thread fills slots in order, the caller takes them in order.
//
// `start` raises the generation; a slot that was being filled for an older generation is dropped.
// The thread touches only memory that exists from construction on.
#include "runtime/data/loader.h"

#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

#include "runtime/abi/signals.h"
#include "runtime/data/random.h"
#include "runtime/support/error.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

struct AlignedDelete {
    void operator()(void* block) const {
        ::operator delete(block, std::align_val_t(EMULSION_ALIGNMENT));
    }
};

template <typename T>
using AlignedArray = std::unique_ptr<T[], AlignedDelete>;

// Touched, so that memory use does not grow later.
template <typename T>
AlignedArray<T> make_aligned(uint64_t count) {
    void* block = ::operator new(count * sizeof(T), std::align_val_t(EMULSION_ALIGNMENT));
    std::memset(block, 0, count * sizeof(T));
    return AlignedArray<T>(static_cast<T*>(block));
}

struct Slot {
    AlignedArray<float> images;    // [batch][H][W][C]
    AlignedArray<int32_t> labels;  // [batch]
    Batch batch;
};

struct Position {
    uint64_t epoch = 0, batch = 0;
};

void check_arguments(const Dataset& dataset, const std::vector<uint32_t>& subset,
                     const LoaderOptions& options) {
    const auto outside = std::find_if(subset.begin(), subset.end(),
                                      [&](uint32_t index) { return index >= dataset.count(); });
    if (options.batch >= 1 && !subset.empty() && outside == subset.end()) return;
    std::string what = concat("a batch of ", options.batch, " pictures is asked for");
    if (subset.empty()) what = "there are no pictures";
    if (outside != subset.end()) {
        what = concat("picture ", *outside, " is asked for, but the data hold ", dataset.count());
    }
    throw RuntimeError("loader", what, "give 1 picture at least, all of them from the data");
}

}  // namespace

struct Loader::State {
    State(const Dataset& set, std::vector<uint32_t> indices, const Normalizer& table,
          const LoaderOptions& settings);

    uint64_t batches() const {
        return (subset.size() + static_cast<uint64_t>(options.batch) - 1) /
               static_cast<uint64_t>(options.batch);
    }
    void run();  // the thread
    void fill(Slot& slot, Position position);
    void order_epoch(uint64_t epoch);

    const Dataset& dataset;
    const Normalizer normalizer;
    const LoaderOptions options;
    const std::vector<uint32_t> subset;
    std::vector<Slot> slots;

    // The thread's own.
    std::vector<uint32_t> order;  // of ordered_epoch
    uint64_t ordered_epoch = 0;
    bool is_ordered = false;

    // Under the mutex.
    std::mutex mutex;
    std::condition_variable has_space, has_batch;
    Position position;        // the next batch to fill
    uint64_t generation = 0;  // counts calls of start
    size_t head = 0;          // the slot of the next batch for the caller
    size_t filled = 0;        // slots ready, from head on
    bool is_held = false;     // the caller uses the slot before head
    bool is_stopped = false;

    std::thread thread;
};

Loader::State::State(const Dataset& set, std::vector<uint32_t> indices, const Normalizer& table,
                     const LoaderOptions& settings)
    : dataset(set),
      normalizer(table),
      options(settings),
      subset(std::move(indices)),
      slots(static_cast<size_t>(std::max(settings.buffers, 2))),
      order(subset) {
    for (Slot& slot : slots) {
        slot.images =
            make_aligned<float>(static_cast<uint64_t>(options.batch) * dataset.shape.elements());
        slot.labels = make_aligned<int32_t>(static_cast<uint64_t>(options.batch));
    }
}

void Loader::State::order_epoch(uint64_t epoch) {
    if (is_ordered && (!options.is_shuffled || ordered_epoch == epoch)) return;
    std::copy(subset.begin(), subset.end(), order.begin());
    if (options.is_shuffled) shuffle(order, options.seed, Stream::shuffle, epoch);
    ordered_epoch = epoch;
    is_ordered = true;
}

void Loader::State::fill(Slot& slot, Position at) {
    order_epoch(at.epoch);
    const uint64_t elements = dataset.shape.elements();
    const uint64_t pixels =
        static_cast<uint64_t>(dataset.shape.height) * static_cast<uint64_t>(dataset.shape.width);
    const uint64_t first = at.batch * static_cast<uint64_t>(options.batch);
    const uint64_t samples = std::min(static_cast<uint64_t>(options.batch), order.size() - first);
    for (uint64_t i = 0; i < samples; i++) {
        const uint32_t index = order[first + i];
        normalizer.apply(dataset.picture(index), pixels, slot.images.get() + i * elements);
        slot.labels[i] = dataset.labels[index];
    }
    slot.batch = {slot.images.get(), slot.labels.get(), static_cast<int>(samples),
                  at.epoch,          at.batch,          at.batch + 1 == batches()};
}

void Loader::State::run() {
    std::unique_lock lock(mutex);
    while (true) {
        has_space.wait(lock, [&] { return is_stopped || filled + is_held < slots.size(); });
        if (is_stopped) return;
        const Position at = position;
        const uint64_t started = generation;
        Slot& slot = slots[(head + filled) % slots.size()];
        lock.unlock();
        fill(slot, at);
        lock.lock();
        if (generation != started) continue;
        position =
            at.batch + 1 < batches() ? Position{at.epoch, at.batch + 1} : Position{at.epoch + 1, 0};
        filled++;
        has_batch.notify_one();
    }
}

Loader::Loader(const Dataset& dataset, std::vector<uint32_t> subset, const Normalizer& normalizer,
               const LoaderOptions& options) {
    check_arguments(dataset, subset, options);
    state_ = std::make_unique<State>(dataset, std::move(subset), normalizer, options);
    sigset_t former;
    emulsion_mask_signals(&former);
    std::string problem;
    try {
        state_->thread = std::thread([state = state_.get()] { state->run(); });
    } catch (const std::system_error& error) {
        problem = error.what();
    }
    pthread_sigmask(SIG_SETMASK, &former, nullptr);
    if (!problem.empty()) {
        throw RuntimeError("loader", concat("the system refuses a thread: ", problem),
                           "raise the limits of threads and of memory (ulimit -u, ulimit -v)");
    }
}

Loader::~Loader() {
    {
        std::lock_guard lock(state_->mutex);
        state_->is_stopped = true;
    }
    state_->has_space.notify_one();
    state_->thread.join();
}

uint64_t Loader::batches() const { return state_->batches(); }

uint64_t Loader::samples() const { return state_->subset.size(); }

uint64_t Loader::bytes() const {
    const uint64_t sample = state_->dataset.shape.elements() * sizeof(float) + sizeof(int32_t);
    return state_->slots.size() * static_cast<uint64_t>(state_->options.batch) * sample;
}

void Loader::start(uint64_t epoch, uint64_t batch) {
    constexpr uint64_t kMostEpochs = UINT32_MAX;  // rows of the random stream
    if (batch >= batches() || epoch > kMostEpochs) {
        throw RuntimeError("loader",
                           concat("there is no batch ", batch, " of epoch ", epoch,
                                  ": an epoch has ", batches(), ", and the last is ", kMostEpochs),
                           "give a checkpoint of a run on these data");
    }
    std::lock_guard lock(state_->mutex);
    state_->position = {epoch, batch};
    state_->generation++;
    state_->filled = 0;
    state_->is_held = false;
    state_->has_space.notify_one();
}

const Batch& Loader::next() {
    State& state = *state_;
    std::unique_lock lock(state.mutex);
    if (state.is_held) {
        state.is_held = false;
        state.has_space.notify_one();
    }
    state.has_batch.wait(lock, [&] { return state.filled > 0; });
    const Batch& batch = state.slots[state.head].batch;
    state.head = (state.head + 1) % state.slots.size();
    state.filled--;
    state.is_held = true;
    return batch;
}

std::vector<uint32_t> epoch_order(std::vector<uint32_t> subset, uint64_t seed, uint64_t epoch) {
    shuffle(subset, seed, Stream::shuffle, epoch);
    return subset;
}

}  // namespace emulsion
