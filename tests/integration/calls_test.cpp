// Whole libraries as a host program calls them: no memory taken after the first step, memory that
// is not aligned, small stacks, fork, rows of any batch, tiny weights, values that are no numbers.
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <cstring>
#include <fstream>
#include <limits>

#include "dsl/emulsion.h"
#include "dsl/finish.h"
#include "runtime/abi/instance.h"
#include "tests/integration/integration_support.h"
#include "tests/support/count_allocations.h"
#include "tests/support/golden.h"

namespace emulsion::test {
namespace {

constexpr int kBatch = 8;

// Built once for the tests that run in one process.
const BuiltLibraries& lenet() {
    static const BuiltLibraries built(golden_network("lenet"),
                                      {.batch = kBatch, .infer_batches = {1, 4}});
    return built;
}

const BuiltLibraries& tiny() {
    static const BuiltLibraries built(tiny_network(), {.batch = kBatch, .infer_batches = {1, 8}});
    return built;
}

// ---- Memory ----

#ifdef EMULSION_COUNTS_ALLOCATIONS
TEST(Calls, TakeNoMemoryFromTheCLibrary) {
    Trainer trainer(lenet().train(), 2);
    trainer.step(0, kBatch);
    Runner runner(lenet().infer(), trainer, 2);
    runner.run(1);
    trainer.ports.fill(1, trainer.classes);
    const emulsion_call* whole = trainer.ports.call(kBatch);
    const long before = allocation_count();
    ASSERT_GT(before, 0) << "the replacement of malloc is not in effect";
    int failures = 0;
    for (int i = 0; i < 5; i++)
        failures += trainer.library.step(trainer.instance(), whole, 0.01f) != EMULSION_OK;
    failures += runner.library.prepare(runner.memory.instance()) != EMULSION_OK;
    for (int i = 0; i < 5; i++) {
        failures += runner.library.run(runner.memory.instance(), runner.ports.call(1 + i % 4)) !=
                    EMULSION_OK;
    }
    const long after = allocation_count();
    EXPECT_EQ(failures, 0);
    EXPECT_EQ(after, before);
}
#endif

long resident_bytes() {
    std::ifstream file("/proc/self/statm");
    long total = 0, resident = 0;
    file >> total >> resident;
    return resident * sysconf(_SC_PAGESIZE);
}

TEST(Calls, OfChangingSizeDoNotGrowTheProcess) {
    Trainer trainer(tiny().train(), 2);
    Runner runner(tiny().infer(), trainer, 2);
    trainer.ports.fill(1, trainer.classes);
    long after_100 = 0;
    int failures = 0;
    for (int i = 0; i < 10000; i++) {
        if (i == 100) after_100 = resident_bytes();
        const int samples = 1 + i % kBatch;
        failures += trainer.library.step(trainer.instance(), trainer.ports.call(samples), 0.001f) !=
                    EMULSION_OK;
        failures +=
            runner.library.run(runner.memory.instance(), runner.ports.call(samples)) != EMULSION_OK;
    }
    const long at_end = resident_bytes();
    EXPECT_EQ(failures, 0);
    EXPECT_LE(std::labs(at_end - after_100), 64 << 10);
}

TEST(Calls, MisalignedMemoryOfEveryClassIsRefused) {
    Trainer trainer(lenet().train());
    Runner runner(lenet().infer(), trainer);
    emulsion_sizes sizes{};
    const auto check = [&](const auto& library, const Memory& memory) {
        ASSERT_EQ(library.sizes(1, &sizes), EMULSION_OK);
        for (int i = 0; i < EMULSION_CLASSES; i++) {
            if (sizes.bytes[i] == 0) continue;
            const Block shifted(sizes.bytes[i], 4), instance(sizes.bytes[EMULSION_INSTANCE]);
            emulsion_memory blocks = *memory.get();
            blocks.block[i] = shifted.get();
            void* where = i == EMULSION_INSTANCE ? shifted.get() : instance.get();
            EXPECT_EQ(library.bind(where, &blocks, nullptr), EMULSION_MISALIGNED) << "class " << i;
            if (i != EMULSION_INSTANCE) {
                EXPECT_NE(std::string(library.error(where)).find("is not aligned to 64 bytes"),
                          std::string::npos);
            }
        }
    };
    check(trainer.library, trainer.memory);
    check(runner.library, runner.memory);
    // Inputs and outputs too.
    const Block image(static_cast<size_t>(runner.info.inputs[0].bytes), 4);
    emulsion_call call = *runner.ports.call(1);
    const void* inputs[] = {image.get()};
    call.inputs = inputs;
    EXPECT_EQ(runner.library.run(runner.memory.instance(), &call), EMULSION_MISALIGNED);
}

// ---- Threads and processes ----

struct SmallStackWork {
    Trainer* trainer;
    Runner* runner;
    int step = -1, run = -1;
};

void* work_on_small_stack(void* closure) {
    auto& work = *static_cast<SmallStackWork*>(closure);
    work.step = work.trainer->library.step(work.trainer->instance(),
                                           work.trainer->ports.call(kBatch), 0.01f);
    work.run = work.runner->library.run(work.runner->memory.instance(), work.runner->ports.call(1));
    return nullptr;
}

TEST(Calls, RunOnAStackOf64KiB) {
    Trainer trainer(lenet().train(), 2);
    Runner runner(lenet().infer(), trainer, 2);
    SmallStackWork work{&trainer, &runner};
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    ASSERT_EQ(pthread_attr_setstacksize(&attributes, 64 << 10), 0);
    pthread_t thread;
    ASSERT_EQ(pthread_create(&thread, &attributes, work_on_small_stack, &work), 0);
    pthread_join(thread, nullptr);
    pthread_attr_destroy(&attributes);
    EXPECT_EQ(work.step, EMULSION_OK);
    EXPECT_EQ(work.run, EMULSION_OK);
}

// Exit code of a child that runs `work`; 128 where a signal ends it.
template <class Work>
int run_in_child(const Work& work) {
    const pid_t child = fork();
    if (child == 0) _exit(work());
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

TEST(Calls, InAForkedChildEndWithAStatus) {
    Trainer trainer(lenet().train(), 2);
    Runner runner(lenet().infer(), trainer, 2);
    runner.ports.fill(1, 2);
    runner.run(1);
    const std::vector<float> expected = runner.ports.row("scores", 0);
    // The threads of the instance are the parent's: the call says so.
    EXPECT_EQ(run_in_child([&] {
                  return runner.library.run(runner.memory.instance(), runner.ports.call(1));
              }),
              EMULSION_FORKED);
    // Bound again, the child has threads of its own and the right result.
    EXPECT_EQ(run_in_child([&] {
                  emulsion_options options{};
                  options.threads = 2;
                  void* instance = runner.memory.instance();
                  if (runner.library.bind(instance, runner.memory.get(), &options) != EMULSION_OK)
                      return 1;
                  if (runner.library.prepare(instance) != EMULSION_OK) return 2;
                  if (runner.library.run(instance, runner.ports.call(1)) != EMULSION_OK) return 4;
                  const int result = runner.ports.row("scores", 0) == expected ? 0 : 3;
                  runner.library.unbind(instance);
                  return result;
              }),
              0);
    runner.run(1);
    EXPECT_EQ(runner.ports.row("scores", 0), expected);
}

// ---- Rows ----

Network dense_network() {
    Model m("rows");
    m.classify(dense(m.input("x", {5}), 3));
    return finish(m).network.value();
}

// Each row of a batch equals the row alone: bit by bit within one kernel set, to rounding across
// sets.
TEST(Rows, OfABatchEqualTheRowAlone) {
    for (int batch : {1, 2, 3, 5, 7}) {
        SCOPED_TRACE(batch);
        const BuiltLibraries built(dense_network(),
                                   {.batch = 8, .infer_batches = {batch, batch + 4}});
        Trainer trainer(built.train());
        Runner runner(built.infer(), trainer);
        runner.ports.fill(5, 3);
        const std::vector<float> inputs(runner.ports.input(0),
                                        runner.ports.input(0) + 5 * (batch + 4));
        std::vector<std::vector<float>> together, larger;
        runner.run(batch);
        for (int i = 0; i < batch; i++) together.push_back(runner.ports.row("scores", i));
        runner.run(batch + 1);  // of the second kernel set
        for (int i = 0; i < batch; i++) larger.push_back(runner.ports.row("scores", i));
        for (int i = 0; i < batch; i++) {
            std::copy_n(inputs.begin() + 5 * i, 5, runner.ports.input(0));
            runner.run(1);
            EXPECT_EQ(runner.ports.row("scores", 0), together[static_cast<size_t>(i)])
                << "row " << i;
            for (size_t k = 0; k < 3; k++) {
                EXPECT_NEAR(larger[static_cast<size_t>(i)][k], together[static_cast<size_t>(i)][k],
                            1e-5);
            }
        }
    }
}

TEST(Rows, OfLenetEqualTheRowAlone) {
    Trainer trainer(lenet().train());
    Runner runner(lenet().infer(), trainer, 2);
    runner.ports.fill(5, 2);
    const size_t width = runner.info.inputs[0].bytes / sizeof(float);
    const std::vector<float> inputs(runner.ports.input(0), runner.ports.input(0) + width * 4);
    runner.run(4);
    std::vector<std::vector<float>> together;
    for (int i = 0; i < 4; i++) together.push_back(runner.ports.row("scores", i));
    std::copy_n(inputs.begin() + static_cast<std::ptrdiff_t>(2 * width), 2 * width,
                runner.ports.input(0));
    runner.run(2);  // in the kernels of four
    EXPECT_EQ(runner.ports.row("scores", 0), together[2]);
    EXPECT_EQ(runner.ports.row("scores", 1), together[3]);
    runner.run(1);  // in the kernels of one
    const std::vector<float> alone = runner.ports.row("scores", 0);
    for (size_t k = 0; k < alone.size(); k++) EXPECT_NEAR(alone[k], together[2][k], 1e-5);
}

// ---- Numbers at the ends of their range ----

Network conv_network() {
    Model m("wide");
    const Tensor map =
        conv(m.input("image", {64, 9, 9}), 64, {.kernel = 3, .bias = false, .name = "conv"});
    m.output("map", map);
    m.loss(map);
    return finish(m).network.value();
}

// Weights of 1e-41 are flushed to zero instead of being computed with slowly, and the caller's mode
// comes back.
TEST(Calls, TinyWeightsGiveZero) {
    const BuiltLibraries built(conv_network(), {.batch = 1});
    Trainer trainer(built.train());
    const emulsion_tensor& tensor = tensor_named(built.infer().info()[0], "conv.w");
    Runner runner(built.infer(), trainer, 2);
    auto* weights = reinterpret_cast<float*>(
        static_cast<char*>(runner.memory.get()->block[EMULSION_PARAMETERS]) + tensor.offset);
    for (size_t i = 0; i < tensor.bytes / sizeof(float); i++) weights[i] = 1e-41f;
    runner.ports.fill(1, 2);
    EXPECT_EQ(runner.library.prepare(runner.memory.instance()), EMULSION_OK);
    runner.run(1);
    for (float value : runner.ports.row("map", 0)) ASSERT_NEAR(value, 0, 1e-37);
    volatile float denormal = 1e-41f;
    EXPECT_GT(denormal * 2.0f, 0.0f) << "the caller's floating-point mode is not restored";
}

// A NaN in one picture: one result whatever the number of threads, and the other pictures are
// untouched.
TEST(Calls, NotANumberGivesTheSameForAllThreads) {
    std::vector<std::vector<float>> first;
    for (int threads : {1, 2, 3}) {
        Trainer trainer(lenet().train());
        Runner runner(lenet().infer(), trainer, threads);
        runner.ports.fill(5, 2);
        runner.run(4);
        const std::vector<float> clean = runner.ports.row("scores", 3);
        const size_t width = runner.info.inputs[0].bytes / sizeof(float);
        runner.ports.input(0)[width + 100] = std::numeric_limits<float>::quiet_NaN();
        runner.run(4);
        EXPECT_EQ(runner.ports.row("scores", 3), clean);
        std::vector<std::vector<float>> rows;
        for (int i = 0; i < 4; i++) rows.push_back(runner.ports.row("scores", i));
        if (threads == 1) first = rows;
        for (size_t i = 0; i < 4; i++) {
            EXPECT_EQ(std::memcmp(rows[i].data(), first[i].data(), rows[i].size() * sizeof(float)),
                      0)
                << threads << " threads, row " << i;
        }
    }
}

Network pool_network(int channels) {
    Model m("pools");
    const Tensor map =
        max_pool(m.input("image", {channels, 1, 4}), {.window = {1, 2}, .stride = {1, 2}});
    m.output("map", map);
    m.classify(dense(flatten(map), 3));
    return finish(m).network.value();
}

// What a maximum makes of a NaN is not defined, but it is the same in every lane, with every
// instruction set and for any number of threads; maxima of numbers beside it are right.
TEST(Calls, AMaximumOverNotANumberIsTheSameInAllLanes) {
    constexpr int kChannels = 19;
    const BuiltLibraries built(pool_network(kChannels),
                               {.batch = 2, .infer_batches = {2}, .target = "portable"});
    const uint32_t features = emulsion_cpu_features();
    std::vector<float> first;
    for (int variant = 1; variant <= built.infer().info()->variant_count; variant++) {
        if (variant == 2 && (features & EMULSION_CPU_AVX2) == 0) break;
        if (variant == 3 && (features & EMULSION_CPU_AVX512) == 0) break;
        for (int threads : {1, 2}) {
            SCOPED_TRACE(testing::Message() << "variant " << variant << ", threads " << threads);
            Trainer trainer(built.train());
            Runner runner(built.infer(), trainer, threads, variant);
            const float values[] = {1, std::numeric_limits<float>::quiet_NaN(), 3, 4};
            for (int i = 0; i < 2 * 4 * kChannels; i++)
                runner.ports.input(0)[i] = values[i / kChannels % 4];
            runner.run(2);
            const std::vector<float> map = runner.ports.row("map", 1);  // (w, c)
            ASSERT_EQ(map.size(), 2u * kChannels);
            for (size_t c = 0; c < kChannels; c++) {
                EXPECT_EQ(std::memcmp(&map[c], &map[0], sizeof(float)), 0)
                    << "channel " << c << " is " << map[c];
                EXPECT_EQ(map[kChannels + c], 4.0f);
            }
            if (first.empty()) first = map;
            EXPECT_EQ(std::memcmp(map.data(), first.data(), map.size() * sizeof(float)), 0);
        }
    }
}

}  // namespace
}  // namespace emulsion::test
