// The ring: worker threads fill slots in order, the caller takes them in order.
//
// A worker claims some rows of the slot that was opened last, or opens the next one, under the
// mutex, and reads them without it. A slot is ready when all its rows are done; only the last one
// opened has rows that nobody has claimed. `start` waits for the claims under way, drops all slots
// and goes on at its place. The threads touch only memory that exists from construction on.
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

#include "runtime/abi/emulsion_abi.h"
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
    AlignedArray<int32_t> labels;  // [batch][target]
    std::vector<AlignedArray<int32_t>> extras;
    std::vector<const int32_t*> extra_pointers;
    std::vector<uint32_t> indices;           // [batch]
    std::vector<std::exception_ptr> errors;  // [batch]
    Batch batch;
    uint64_t claimed = 0, done = 0;  // rows

    uint64_t samples() const { return static_cast<uint64_t>(batch.samples); }
};

struct Position {
    uint64_t epoch = 0, batch = 0;
};

// Rows of a slot that one thread reads.
struct Claim {
    Slot* slot = nullptr;
    uint64_t first = 0, count = 0;
};

void check_arguments(const Source& source, const std::vector<uint32_t>& subset,
                     const LoaderOptions& options) {
    if (options.augmenter != nullptr && !source.has_pictures()) {
        throw RuntimeError(one_line(source.source),
                           "holds numbers, but the network augments pictures",
                           "give data of pictures, or add --no-augment");
    }
    const uint64_t count = source.count();
    const auto outside =
        std::find_if(subset.begin(), subset.end(), [&](uint32_t index) { return index >= count; });
    if (options.batch >= 1 && !subset.empty() && outside == subset.end()) return;
    std::string what = concat("a batch of ", options.batch, " pictures is asked for");
    if (subset.empty()) what = "there are no pictures";
    if (outside != subset.end()) {
        what = concat("picture ", *outside, " is asked for, but the data hold ", count);
    }
    throw RuntimeError("loader", what, "give 1 picture at least, all of them from the data");
}

}  // namespace

struct Loader::State {
    State(const Source& rows, std::vector<uint32_t> indices, const Normalizer& table,
          const LoaderOptions& settings);
    ~State() { stop(); }

    uint64_t batches() const {
        return (subset.size() + static_cast<uint64_t>(options.batch) - 1) /
               static_cast<uint64_t>(options.batch);
    }
    void start_threads();
    void stop();
    void run();  // a thread
    void read(const Claim& claim, AugmentMemory* memory);

    // Under the mutex.
    Slot& last_slot() { return slots[(head + opened - 1) % slots.size()]; }
    bool has_unclaimed() { return opened > 0 && last_slot().claimed < last_slot().samples(); }
    bool has_next() const { return !options.is_once || position.epoch == 0; }
    bool can_claim() { return has_unclaimed() || (has_next() && opened + is_held < slots.size()); }
    void order_epoch(uint64_t epoch);
    void open_slot();
    Claim claim_rows();
    void finish(const Claim& claim);

    const Source& source;
    const Normalizer normalizer;
    const LoaderOptions options;
    const std::vector<uint32_t> subset;
    std::vector<Slot> slots;

    std::mutex mutex;
    std::condition_variable has_work, has_batch, is_idle;
    std::vector<uint32_t> order;  // of ordered_epoch
    uint64_t ordered_epoch = 0;
    bool is_ordered = false;
    Position position;     // the next batch to open
    size_t head = 0;       // the slot of the next batch for the caller
    size_t opened = 0;     // slots that are or were filled, from head on
    int active = 0;        // claims under way
    bool is_held = false;  // the caller uses the slot before head
    bool is_paused = false, is_stopped = false;

    AugmentMemory own_memory;  // of next(), where there are no threads
    std::vector<std::thread> threads;
};

Loader::State::State(const Source& rows, std::vector<uint32_t> indices, const Normalizer& table,
                     const LoaderOptions& settings)
    : source(rows),
      normalizer(table),
      options(settings),
      subset(std::move(indices)),
      slots(settings.workers > 0 ? static_cast<size_t>(std::max(settings.buffers, 2)) : 1),
      order(subset) {
    const auto batch = static_cast<uint64_t>(options.batch);
    for (Slot& slot : slots) {
        slot.images = make_aligned<float>(batch * source.shape.elements());
        slot.labels = make_aligned<int32_t>(batch * source.target.elements());
        for (const ExtraInput& extra : source.extras) {
            slot.extras.push_back(make_aligned<int32_t>(batch * extra.elements()));
            slot.extra_pointers.push_back(slot.extras.back().get());
        }
        slot.indices.resize(batch);
        slot.errors.resize(batch);
    }
}

void Loader::State::order_epoch(uint64_t epoch) {
    if (is_ordered && (!options.is_shuffled || ordered_epoch == epoch)) return;
    std::copy(subset.begin(), subset.end(), order.begin());
    if (options.is_shuffled) shuffle(order, options.seed, Stream::shuffle, epoch);
    ordered_epoch = epoch;
    is_ordered = true;
}

// The slot behind those opened, for the batch at `position`, which moves on.
void Loader::State::open_slot() {
    order_epoch(position.epoch);
    const uint64_t first = position.batch * static_cast<uint64_t>(options.batch);
    const uint64_t samples = std::min(static_cast<uint64_t>(options.batch), order.size() - first);
    opened++;
    Slot& slot = last_slot();
    std::copy_n(order.begin() + static_cast<ptrdiff_t>(first), samples, slot.indices.begin());
    std::fill(slot.errors.begin(), slot.errors.end(), nullptr);
    slot.claimed = slot.done = 0;
    const bool is_last = position.batch + 1 == batches();
    slot.batch = {slot.images.get(),
                  slot.labels.get(),
                  slot.extra_pointers,
                  static_cast<int>(samples),
                  position.epoch,
                  position.batch,
                  is_last,
                  {slot.indices.data(), samples},
                  {slot.errors.data(), samples}};
    position =
        is_last ? Position{position.epoch + 1, 0} : Position{position.epoch, position.batch + 1};
}

// A share of the rows that is small against a batch where several threads read.
Claim Loader::State::claim_rows() {
    if (!has_unclaimed()) open_slot();
    Slot& slot = last_slot();
    const auto workers = static_cast<uint64_t>(options.workers);
    const uint64_t group = workers > 1 ? 1 + slot.samples() / (8 * workers) : slot.samples();
    const Claim claim{&slot, slot.claimed, std::min(group, slot.samples() - slot.claimed)};
    slot.claimed += claim.count;
    active++;
    return claim;
}

void Loader::State::finish(const Claim& claim) {
    active--;
    claim.slot->done += claim.count;
    if (claim.slot->done == claim.slot->samples()) has_batch.notify_one();
    if (active == 0) is_idle.notify_one();
}

void Loader::State::read(const Claim& claim, AugmentMemory* memory) {
    const uint64_t elements = source.shape.elements(), targets = source.target.elements();
    const auto extra_of = [&](size_t input, uint64_t i) {
        return claim.slot->extras[input].get() + i * source.extras[input].elements();
    };
    for (uint64_t i = claim.first; i < claim.first + claim.count; i++) {
        const uint32_t index = claim.slot->indices[i];
        float* row = claim.slot->images.get() + i * elements;
        int32_t* target = claim.slot->labels.get() + i * targets;
        try {
            if (options.augmenter == nullptr) {
                source.read(index, normalizer, row);
            } else {
                options.augmenter->write_row(source.picture_at(index), claim.slot->batch.epoch,
                                             index, normalizer, memory, row);
            }
            source.read_target(index, target);
            for (size_t k = 0; k < source.extras.size(); k++)
                source.read_extra(index, k, extra_of(k, i));
            if (options.augmenter != nullptr)
                options.augmenter->move_target(source.target, options.has_boxes, memory, target);
        } catch (...) {
            claim.slot->errors[i] = std::current_exception();
            std::fill_n(row, elements, 0.0f);
            std::fill_n(target, targets, 0);
            for (size_t k = 0; k < source.extras.size(); k++)
                std::fill_n(extra_of(k, i), source.extras[k].elements(), 0);
        }
    }
}

void Loader::State::run() {
    AugmentMemory memory;
    std::unique_lock lock(mutex);
    while (true) {
        has_work.wait(lock, [&] { return is_stopped || (!is_paused && can_claim()); });
        if (is_stopped) return;
        const Claim claim = claim_rows();
        if (can_claim()) has_work.notify_one();
        lock.unlock();
        read(claim, &memory);
        lock.lock();
        finish(claim);
    }
}

// Throws std::system_error where the system refuses one.
void Loader::State::start_threads() {
    threads.reserve(static_cast<size_t>(std::max(options.workers, 0)));
    for (int i = 0; i < options.workers; i++) threads.emplace_back([this] { run(); });
}

void Loader::State::stop() {
    {
        std::lock_guard lock(mutex);
        is_stopped = true;
    }
    has_work.notify_all();
    for (std::thread& thread : threads) thread.join();
    threads.clear();
}

Loader::Loader(const Source& source, std::vector<uint32_t> subset, const Normalizer& normalizer,
               const LoaderOptions& options) {
    check_arguments(source, subset, options);
    state_ = std::make_unique<State>(source, std::move(subset), normalizer, options);
    sigset_t former;
    emulsion_mask_signals(&former);
    std::string problem;
    try {
        state_->start_threads();
    } catch (const std::system_error& error) {
        problem = error.what();
    }
    pthread_sigmask(SIG_SETMASK, &former, nullptr);
    if (!problem.empty()) {
        throw RuntimeError("loader", concat("the system refuses a thread: ", problem),
                           "raise the limits of threads and of memory (ulimit -u, ulimit -v)");
    }
}

Loader::~Loader() = default;

uint64_t Loader::batches() const { return state_->batches(); }

uint64_t Loader::samples() const { return state_->subset.size(); }

uint64_t Loader::bytes() const {
    const Source& source = state_->source;
    uint64_t sample =
        source.shape.elements() * sizeof(float) + source.target.elements() * sizeof(int32_t);
    for (const ExtraInput& extra : source.extras) sample += extra.elements() * sizeof(int32_t);
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
    State& state = *state_;
    std::unique_lock lock(state.mutex);
    state.is_paused = true;
    state.is_idle.wait(lock, [&] { return state.active == 0; });
    state.position = {epoch, batch};
    state.opened = 0;
    state.is_held = false;
    state.is_paused = false;
    state.has_work.notify_one();
}

const Batch& Loader::next() {
    State& state = *state_;
    std::unique_lock lock(state.mutex);
    if (state.is_held) {
        state.is_held = false;
        state.has_work.notify_one();
    }
    if (state.threads.empty() && state.opened == 0) {
        const Claim claim = state.claim_rows();
        state.read(claim, &state.own_memory);
        state.finish(claim);
    }
    Slot& slot = state.slots[state.head];
    state.has_batch.wait(lock, [&] { return state.opened > 0 && slot.done == slot.samples(); });
    if (!state.options.keeps_errors) {
        for (const std::exception_ptr& error : slot.batch.errors) {
            if (error) std::rethrow_exception(error);
        }
    }
    state.head = (state.head + 1) % state.slots.size();
    state.opened--;
    state.is_held = true;
    return slot.batch;
}

int workers_for(const Source& source, int threads, bool is_augmented) {
    return source.is_in_memory() && !is_augmented ? 1 : std::max(threads, 1);
}

std::vector<uint32_t> epoch_order(std::vector<uint32_t> subset, uint64_t seed, uint64_t epoch) {
    shuffle(subset, seed, Stream::shuffle, epoch);
    return subset;
}

}  // namespace emulsion
