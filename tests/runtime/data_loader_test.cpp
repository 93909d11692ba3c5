// The loader: order, part batches, resume, memory; and the input's normalisation.
#include <gtest/gtest.h>

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "runtime/data/dataset.h"
#include "runtime/data/loader.h"
#include "runtime/data/split.h"
#include "runtime/support/error.h"
#include "runtime/support/text.h"
#include "tests/runtime/data_support.h"
#include "tests/support/count_allocations.h"

namespace emulsion {
namespace {

// n pictures of C x 3 x 2; pixel j of picture i is (10 i + j) mod 256, its label i mod 7.
Dataset make_dataset(int count, int channels = 1) {
    Dataset dataset;
    dataset.shape = {channels, 3, 2};
    dataset.classes = 7;
    for (int i = 0; i < count; i++) {
        dataset.labels.push_back(i % 7);
        for (uint64_t j = 0; j < dataset.shape.elements(); j++) {
            dataset.pixels.push_back(static_cast<uint8_t>(10 * static_cast<uint64_t>(i) + j));
        }
    }
    return dataset;
}

// Batch, epoch and the pictures' first pixels, as one line each.
std::string describe(const Batch& batch, uint64_t elements) {
    std::string text = concat(batch.epoch, ".", batch.index, ":");
    for (int i = 0; i < batch.samples; i++) {
        const int pixel =
            static_cast<int>(batch.images[static_cast<uint64_t>(i) * elements] * 255.0f + 0.5f);
        text += concat(" ", pixel / 10);
        EXPECT_EQ(batch.labels[i], pixel / 10 % 7);
    }
    return concat(text, batch.is_last ? " last" : "");
}

const Normalizer kPlain(1, nullptr, nullptr);

TEST(DataNormalizer, RoundsEachStepInSinglePrecision) {
    const float mean[] = {0.1307f, 0.5f, 0.25f}, deviation[] = {0.3081f, 0.25f, 2.0f};
    const Normalizer normalizer(3, mean, deviation);
    Bytes pixels;
    for (int i = 0; i < 256; i++) pixels.insert(pixels.end(), 3, static_cast<uint8_t>(i));
    std::vector<float> values(pixels.size());
    normalizer.apply(pixels.data(), 256, values.data());
    for (size_t i = 0; i < values.size(); i++) {
        const float fraction = static_cast<float>(pixels[i]) / 255.0f;
        EXPECT_EQ(values[i], (fraction - mean[i % 3]) / deviation[i % 3]) << i;
    }
    kPlain.apply(pixels.data(), 1, values.data());
    EXPECT_EQ(values[0], 0.0f);
    testing::SmallNetwork network;
    network.info.normalized = 0;
    const uint8_t white[] = {255, 255, 255};
    Normalizer(3, network.info).apply(white, 1, values.data());
    EXPECT_EQ(values[2], 1.0f);
    network.info.normalized = 1;
    Normalizer(3, network.info).apply(white, 1, values.data());
    EXPECT_EQ(values[2], (1.0f - network.info.input_mean[2]) / 0.25f);
}

TEST(DataLoader, UnshuffledInOrderWithAnExactLastBatch) {
    const Dataset dataset = make_dataset(10);
    Loader loader(dataset, {1, 3, 5, 7, 9}, kPlain, {.batch = 2, .is_shuffled = false});
    EXPECT_EQ(loader.batches(), 3u);
    EXPECT_EQ(loader.samples(), 5u);
    std::vector<std::string> seen;
    for (int i = 0; i < 4; i++) seen.push_back(describe(loader.next(), 6));
    EXPECT_EQ(seen, (std::vector<std::string>{"0.0: 1 3", "0.1: 5 7", "0.2: 9 last", "1.0: 1 3"}));
}

TEST(DataLoader, EachEpochHasEachPictureOnceInAnotherOrder) {
    const Dataset dataset = make_dataset(25);
    Loader loader(dataset, whole_set(25), kPlain, {.batch = 4, .seed = 3});
    std::vector<std::vector<uint32_t>> epochs(3);
    for (auto& epoch : epochs) {
        for (bool is_last = false; !is_last;) {
            const Batch& batch = loader.next();
            is_last = batch.is_last;
            EXPECT_EQ(batch.samples, is_last ? 1 : 4);
            for (int i = 0; i < batch.samples; i++) {
                epoch.push_back(static_cast<uint32_t>(batch.images[i * 6] * 255.0f + 0.5f) / 10);
            }
        }
    }
    for (uint64_t e = 0; e < 3; e++) EXPECT_EQ(epochs[e], epoch_order(whole_set(25), 3, e));
    EXPECT_NE(epochs[0], epochs[1]);
    EXPECT_NE(epochs[1], epochs[2]);
    for (auto& epoch : epochs) {
        std::sort(epoch.begin(), epoch.end());
        EXPECT_EQ(epoch, whole_set(25));
    }
}

TEST(DataLoader, ResumesAnywhereWithTheSameBatches) {
    const Dataset dataset = make_dataset(23);
    const LoaderOptions options{.batch = 4, .seed = 11};
    Loader whole(dataset, whole_set(23), kPlain, options);
    std::vector<std::string> expected;
    for (int i = 0; i < 18; i++) expected.push_back(describe(whole.next(), 6));
    Loader resumed(dataset, whole_set(23), kPlain, options);
    for (size_t at : {7u, 0u, 17u, 5u, 6u, 12u}) {
        resumed.start(at / 6, at % 6);
        for (size_t i = at; i < expected.size(); i++) {
            EXPECT_EQ(describe(resumed.next(), 6), expected[i]) << "from " << at;
        }
    }
}

// All pictures of the batches from here on, augmented.
std::vector<float> augmented_rows(Loader& loader, int batches) {
    std::vector<float> rows;
    for (int i = 0; i < batches; i++) {
        const Batch& batch = loader.next();
        rows.insert(rows.end(), batch.images, batch.images + batch.samples * 6);
    }
    return rows;
}

Augmentation all_kinds() {
    Augmentation augmentation{{}, Fill::reflect, 0, 0.1};
    for (const AugmentKind& kind : augment_kinds()) {
        AugmentPiece piece = usual_piece(kind.name);
        for (double& value : piece.values) value = value == 0 ? 1 : value;
        piece.values[0] = 0.5;
        augmentation.pieces.push_back(piece);
    }
    return augmentation;
}

// Whoever reads them, and wherever the stream begins, a sample is the same in the same epoch.
TEST(DataLoader, AugmentedPicturesDependOnNoThreadAndNoOrder) {
    const Dataset dataset = make_dataset(23);
    const Augmenter augmenter(all_kinds(), dataset.shape, 11);
    std::vector<float> expected;
    for (int workers : {0, 1, 2, 3, 4}) {
        const LoaderOptions options{
            .batch = 4, .seed = 11, .workers = workers, .augmenter = &augmenter};
        Loader loader(dataset, whole_set(23), kPlain, options);
        const std::vector<float> rows = augmented_rows(loader, 18);
        if (expected.empty()) expected = rows;
        EXPECT_EQ(rows, expected) << workers;
        EXPECT_NE(std::vector(rows.begin(), rows.begin() + 138),
                  std::vector(rows.begin() + 138, rows.begin() + 276));
        loader.start(1, 2);
        EXPECT_EQ(augmented_rows(loader, 10),
                  std::vector(expected.begin() + 138 + 48, expected.end()));
    }
    // In another order of the data, and alone.
    AugmentMemory memory;
    std::vector<float> row(6);
    const std::vector<uint32_t> order = epoch_order(whole_set(23), 11, 2);
    augmenter.write_row(dataset.picture_at(order[5]), 2, order[5], kPlain, &memory, row.data());
    EXPECT_EQ(row, std::vector(expected.begin() + 276 + 30, expected.begin() + 276 + 36));
}

// Rows of numbers.
struct Numbers : Source {
    Numbers() {
        source = "numbers.csv";
        shape = {1, 3, 2};
    }
    uint64_t count() const override { return 4; }
    void read(uint64_t, const Normalizer&, float*) const override {}
    bool is_in_memory() const override { return true; }
    uint64_t bytes() const override { return 0; }
    uint32_t checksum() const override { return 0; }
};

TEST(DataLoader, NumbersAreNotAugmented) {
    const Numbers numbers;
    const Augmenter augmenter(all_kinds(), numbers.shape, 11);
    EXPECT_EQ(testing::message_of([&] {
                  Loader(numbers, whole_set(4), kPlain, {.batch = 4, .augmenter = &augmenter});
              }),
              "numbers.csv: holds numbers, but the network augments pictures\n"
              "  fix: give data of pictures, or add --no-augment");
    EXPECT_EQ(workers_for(numbers, 3), 1);
    EXPECT_EQ(workers_for(numbers, 3, /*is_augmented=*/true), 3);
}

TEST(DataLoader, StartDropsWhatIsPrepared) {
    const Dataset dataset = make_dataset(60);
    Loader loader(dataset, whole_set(60), kPlain, {.batch = 3, .is_shuffled = false});
    for (int i = 0; i < 2000; i++) {
        const uint64_t batch = static_cast<uint64_t>(i) * 7 % 20;
        loader.start(static_cast<uint64_t>(i), batch);
        for (uint64_t step = 0; step < static_cast<uint64_t>(i) % 4; step++) {
            const Batch& next = loader.next();
            ASSERT_EQ(next.epoch, static_cast<uint64_t>(i) + (batch + step) / 20);
            ASSERT_EQ(next.index, (batch + step) % 20);
            ASSERT_EQ(next.images[0],
                      static_cast<float>(static_cast<uint8_t>(next.index * 30)) / 255.0f);
        }
    }
}

TEST(DataLoader, SlowAndFastCallersSeeTheSame) {
    const Dataset dataset = make_dataset(25);
    for (int buffers : {0, 2, 3, 8}) {
        Loader loader(dataset, whole_set(25), kPlain,
                      {.batch = 2, .is_shuffled = false, .buffers = buffers});
        for (uint64_t i = 0; i < 40; i++) {
            if (i % 10 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
            const Batch& batch = loader.next();
            ASSERT_EQ(batch.index, i % 13);
            ASSERT_EQ(batch.images[0], static_cast<float>(batch.index * 20) / 255.0f);
        }
    }
}

TEST(DataLoader, BuffersAreAlignedAndColourIsInterleaved) {
    const Dataset dataset = make_dataset(9, 3);
    const float mean[] = {0, 0.5f, 1}, deviation[] = {1, 2, 4};
    Loader loader(dataset, whole_set(9), Normalizer(3, mean, deviation),
                  {.batch = 5, .is_shuffled = false});
    for (int i = 0; i < 6; i++) {
        const Batch& batch = loader.next();
        EXPECT_EQ(reinterpret_cast<uintptr_t>(batch.images) % EMULSION_ALIGNMENT, 0u);
        EXPECT_EQ(reinterpret_cast<uintptr_t>(batch.labels) % EMULSION_ALIGNMENT, 0u);
        if (i != 0) continue;
        for (uint64_t j = 0; j < 18; j++) {
            EXPECT_EQ(batch.images[18 + j],
                      (static_cast<float>(10 + j) / 255.0f - mean[j % 3]) / deviation[j % 3]);
        }
    }
}

TEST(DataLoader, OneSampleAndBatchesLargerThanTheSet) {
    const Dataset dataset = make_dataset(3);
    Loader loader(dataset, whole_set(3), kPlain, {.batch = 64, .is_shuffled = false});
    EXPECT_EQ(loader.batches(), 1u);
    EXPECT_EQ(describe(loader.next(), 6), "0.0: 0 1 2 last");
    EXPECT_EQ(describe(loader.next(), 6), "1.0: 0 1 2 last");
    Loader single(dataset, {2}, kPlain, {.batch = 1});
    EXPECT_EQ(describe(single.next(), 6), "0.0: 2 last");
}

TEST(DataLoader, PlacesThatDoNotExistAreRefused) {
    const Dataset dataset = make_dataset(10);
    Loader loader(dataset, whole_set(10), kPlain, {.batch = 4});
    EXPECT_EQ(testing::message_of([&] { loader.start(2, 3); }),
              "loader: there is no batch 3 of epoch 2: an epoch has 3, and the last is 4294967295\n"
              "  fix: give a checkpoint of a run on these data");
    for (const uint64_t batch : {uint64_t{1000000}, UINT64_MAX})
        EXPECT_NE(testing::message_of([&] { loader.start(0, batch); }), "no error");
    EXPECT_NE(testing::message_of([&] { loader.start(UINT64_MAX, 0); }), "no error");
    loader.start(UINT32_MAX, 2);  // the stream goes on where it was, or at the last place there is
    EXPECT_EQ(loader.next().samples, 2);
}

TEST(DataLoader, BatchesAndSubsetsThatCannotBeAreRefused) {
    const Dataset dataset = make_dataset(10);
    const auto refusal = [&](std::vector<uint32_t> subset, int batch) {
        return testing::message_of([&] { Loader(dataset, subset, kPlain, {.batch = batch}); });
    };
    const std::string fix = "\n  fix: give 1 picture at least, all of them from the data";
    EXPECT_EQ(refusal({1}, 0), "loader: a batch of 0 pictures is asked for" + fix);
    EXPECT_EQ(refusal({1}, -3), "loader: a batch of -3 pictures is asked for" + fix);
    EXPECT_EQ(refusal({}, 4), "loader: there are no pictures" + fix);
    EXPECT_EQ(refusal({1, 10}, 4), "loader: picture 10 is asked for, but the data hold 10" + fix);
}

// The signals that a thread of this process blocks, as the system shows them.
uint64_t blocked_signals(const std::string& task) {
    std::ifstream status("/proc/self/task/" + task + "/status");
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with("SigBlk:")) return std::stoull(line.substr(8), nullptr, 16);
    }
    return 0;
}

TEST(DataLoader, ItsThreadTakesNoSignalsButItsOwn) {
    const auto tasks = [] {
        std::set<std::string> names;
        for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task"))
            names.insert(entry.path().filename());
        return names;
    };
    std::thread([] {}).join();  // a sanitizer starts one of its own beside the first
    const std::set<std::string> before = tasks();
    const Dataset dataset = make_dataset(10);
    Loader loader(dataset, whole_set(10), kPlain, {.batch = 4});
    loader.next();
    int found = 0;
    for (const std::string& task : tasks()) {
        if (before.contains(task)) continue;
        found++;
        const uint64_t blocked = blocked_signals(task);
        for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS, SIGPROF})
            EXPECT_EQ(blocked >> (own - 1) & 1, 0u) << own;
        for (const int foreign : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGALRM})
            EXPECT_EQ(blocked >> (foreign - 1) & 1, 1u) << foreign;
    }
    EXPECT_EQ(found, 1);
}

// Rows that take their time, counted: the row of index i is i in all its values. Those that are
// `bad` cannot be read.
struct SlowRows : Source {
    explicit SlowRows(uint64_t count) : rows(count) {
        shape = {1, 1, 2};
        classes = 7;
        for (uint64_t i = 0; i < count; i++) labels.push_back(static_cast<int32_t>(i % 7));
    }
    uint64_t count() const override { return rows; }
    void read(uint64_t index, const Normalizer&, float* row) const override {
        const int now = ++reading;
        for (int most = most_reading; now > most && !most_reading.compare_exchange_weak(most, now);)
            continue;
        std::this_thread::sleep_for(std::chrono::microseconds(index % 3 * 50));
        started++;
        reading--;
        if (bad.contains(index)) throw RuntimeError(concat("row ", index), "is bad", "mend it");
        row[0] = row[1] = static_cast<float>(index);
    }
    bool is_in_memory() const override { return false; }
    uint64_t bytes() const override { return 0; }
    uint32_t checksum() const override { return 0; }

    uint64_t rows;
    std::set<uint64_t> bad;
    mutable std::atomic<int> reading = 0, most_reading = 0, started = 0;
};

std::vector<uint32_t> rows_of(const Batch& batch) {
    std::vector<uint32_t> rows;
    for (int i = 0; i < batch.samples; i++) {
        rows.push_back(static_cast<uint32_t>(batch.images[2 * i + 1]));
        EXPECT_EQ(batch.indices[static_cast<size_t>(i)], rows.back());
        EXPECT_EQ(batch.labels[i], static_cast<int32_t>(rows.back() % 7));
    }
    return rows;
}

TEST(DataLoader, AnyNumberOfThreadsGivesTheSameBatches) {
    std::vector<std::vector<uint32_t>> expected;
    for (const int workers : {0, 1, 2, 5}) {
        const SlowRows rows(23);
        Loader loader(rows, whole_set(23), kPlain, {.batch = 6, .seed = 4, .workers = workers});
        std::vector<std::vector<uint32_t>> found;
        for (int i = 0; i < 7; i++) found.push_back(rows_of(loader.next()));
        loader.start(1, 2);
        found.push_back(rows_of(loader.next()));
        EXPECT_EQ(found[7], found[6]);
        if (expected.empty()) expected = found;
        EXPECT_EQ(found, expected) << workers;
        EXPECT_LE(rows.most_reading, std::max(workers, 1));
    }
}

// No row is read before the ring has a place for it, whatever the number of threads: in 3 buffers
// of 4, one of them the caller's.
TEST(DataLoader, ReadsNoFurtherAheadThanItsBuffers) {
    const SlowRows rows(100);
    Loader loader(rows, whole_set(100), kPlain, {.batch = 4, .is_shuffled = false, .workers = 5});
    for (int taken = 0; taken < 9; taken++) {
        std::this_thread::sleep_for(std::chrono::milliseconds(taken == 5 ? 20 : 0));
        EXPECT_LE(rows.started, 4 * (taken + 3));
        loader.next();
    }
    EXPECT_LE(rows.most_reading, 5);
}

TEST(DataLoader, EndsWithItsEpochWhereItIsReadOnce) {
    const SlowRows rows(10);
    {
        Loader loader(rows, whole_set(10), kPlain, {.batch = 4, .workers = 3, .is_once = true});
        for (int i = 0; i < 3; i++) loader.next();
    }
    EXPECT_EQ(rows.started, 10);
}

// The caller gets the error in the batch where the row is, and again, until it starts elsewhere.
TEST(DataLoader, ARowThatCannotBeReadIsAnErrorOfItsBatch) {
    for (const int workers : {0, 1, 3}) {
        SlowRows rows(12);
        rows.bad = {6, 7};
        Loader loader(rows, whole_set(12), kPlain,
                      {.batch = 4, .is_shuffled = false, .workers = workers});
        const auto next = [&] { return testing::message_of([&] { loader.next(); }); };
        EXPECT_EQ(next(), "no error");
        EXPECT_EQ(next(), "row 6: is bad\n  fix: mend it");
        EXPECT_EQ(next(), "row 6: is bad\n  fix: mend it");
        loader.start(0, 2);
        EXPECT_EQ(rows_of(loader.next()), (std::vector<uint32_t>{8, 9, 10, 11}));
        LoaderOptions keeping{.batch = 4, .is_shuffled = false, .workers = workers};
        keeping.keeps_errors = true;
        Loader kept(rows, whole_set(12), kPlain, keeping);
        kept.next();
        const Batch& batch = kept.next();
        EXPECT_EQ(batch.images[2], 5.0f);
        EXPECT_EQ(batch.images[4], 0.0f);
        EXPECT_FALSE(batch.errors[1]);
        EXPECT_TRUE(batch.errors[2] && batch.errors[3]);
        EXPECT_FALSE(kept.next().errors[0]);
    }
}

TEST(DataLoader, TakesNoMemoryAfterConstruction) {
    if (allocation_count() == 0) GTEST_SKIP() << "the sanitizer has its own malloc";
    const Dataset dataset = make_dataset(100);
    Loader loader(dataset, whole_set(100), kPlain, {.batch = 8});
    EXPECT_EQ(loader.bytes(), 3u * 8 * (6 * 4 + 4));
    loader.next();
    const long before = allocation_count();
    for (int i = 0; i < 200; i++) loader.next();
    loader.start(3, 5);
    loader.next();
    EXPECT_EQ(allocation_count(), before);
    ::operator delete(::operator new(1));
    EXPECT_GT(allocation_count(), before);  // the count is at work
}

}  // namespace
}  // namespace emulsion
