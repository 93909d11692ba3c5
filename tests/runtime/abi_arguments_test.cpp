// Arguments of every function: null, misaligned, too small, out of range; instances of another
// library and of another version; labels; pools that break their contract.
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <string>

#include "tests/runtime/abi_support.h"

namespace emulsion::testing {
namespace {

const char* const kClasses[] = {"parameters", "gradients", "state",
                                "prepared",   "workspace", "instance"};

bool is_untouched(const Block& block) {
    const auto* bytes = static_cast<const unsigned char*>(block.get());
    return std::all_of(bytes, bytes + block.bytes, [](unsigned char c) { return c == 0xa5; });
}

TEST(AbiArguments, OfInit) {
    FakeLibrary fake;
    const Block parameters(128), state(128);
    emulsion_memory good = {};
    good.block[EMULSION_PARAMETERS] = parameters.get();
    good.block[EMULSION_STATE] = state.get();
    emulsion_library_sizes(&fake.library, 1, &good.sizes);
    EXPECT_EQ(emulsion_library_init(&fake.library, 1, nullptr), EMULSION_INVALID_ARGUMENT);
    for (const int which : {EMULSION_PARAMETERS, EMULSION_STATE}) {
        SCOPED_TRACE(kClasses[which]);
        emulsion_memory memory = good;
        memory.block[which] = nullptr;
        EXPECT_EQ(emulsion_library_init(&fake.library, 1, &memory), EMULSION_INVALID_ARGUMENT);
        memory.block[which] = static_cast<char*>(good.block[which]) + 4;
        EXPECT_EQ(emulsion_library_init(&fake.library, 1, &memory), EMULSION_MISALIGNED);
        memory = good;
        for (const std::uint64_t stated : {std::uint64_t{0}, good.sizes.bytes[which] - 1}) {
            memory.sizes.bytes[which] = stated;
            EXPECT_EQ(emulsion_library_init(&fake.library, 1, &memory), EMULSION_INVALID_ARGUMENT);
        }
    }
    EXPECT_TRUE(is_untouched(parameters) && is_untouched(state));
    EXPECT_EQ(emulsion_library_init(&fake.library, 1, &good), EMULSION_OK);
    EXPECT_FALSE(is_untouched(parameters) || is_untouched(state));
}

// What bind refuses before it knows that it may write a message.
TEST(AbiArguments, BindWritesNothingIntoABlockThatMayBeTooSmall) {
    FakeLibrary fake;
    const Block block(64), large(1 << 20);
    emulsion_memory memory = {};
    emulsion_library_sizes(&fake.library, 1, &memory.sizes);
    const emulsion_library* library = &fake.library;
    EXPECT_EQ(emulsion_library_bind(library, nullptr, &memory, nullptr), EMULSION_INVALID_ARGUMENT);
    EXPECT_EQ(emulsion_library_bind(library, block.get(), nullptr, nullptr),
              EMULSION_INVALID_ARGUMENT);
    EXPECT_EQ(emulsion_library_bind(library, static_cast<char*>(large.get()) + 8, &memory, nullptr),
              EMULSION_MISALIGNED);
    for (const std::uint64_t stated :
         {std::uint64_t{0}, std::uint64_t{64}, sizeof(emulsion_instance) - 1}) {
        memory.sizes.bytes[EMULSION_INSTANCE] = stated;
        EXPECT_EQ(emulsion_library_bind(library, block.get(), &memory, nullptr),
                  EMULSION_INVALID_ARGUMENT);
    }
    EXPECT_TRUE(is_untouched(block) && is_untouched(large));
    // From there on there is room for a message.
    memory.sizes.bytes[EMULSION_INSTANCE] = sizeof(emulsion_instance);
    EXPECT_EQ(emulsion_library_bind(library, large.get(), &memory, nullptr),
              EMULSION_INVALID_ARGUMENT);
    EXPECT_NE(std::string(emulsion_library_error(library, large.get())).find("of class instance"),
              std::string::npos);
}

TEST(AbiArguments, RefusedOnesLeaveABoundInstanceBound) {
    FakeNetwork network(1);
    emulsion_memory small = network.memory;
    small.sizes.bytes[EMULSION_INSTANCE] = 64;
    const emulsion_library* library = network.instance()->library;
    for (const emulsion_memory* memory : {static_cast<const emulsion_memory*>(nullptr),
                                          static_cast<const emulsion_memory*>(&small)}) {
        EXPECT_EQ(emulsion_library_bind(library, network.instance(), memory, nullptr),
                  EMULSION_INVALID_ARGUMENT);
        EXPECT_EQ(network.step(1, 0.1f), EMULSION_OK);
    }
}

TEST(AbiArguments, OfBindByClass) {
    FakeLibrary fake;
    fake.variants[0].prepared_bytes = 64;
    FakeNetwork network(fake, 1);
    ASSERT_EQ(network.status, EMULSION_OK);
    const emulsion_memory good = network.memory;
    for (int which = 0; which < EMULSION_CLASSES; which++) {
        SCOPED_TRACE(kClasses[which]);
        const std::string name = kClasses[which];
        network.memory.sizes.bytes[which]--;
        EXPECT_EQ(network.bind(), EMULSION_INVALID_ARGUMENT);
        EXPECT_NE(std::string(network.error()).find("bytes of class " + name), std::string::npos);
        network.memory = good;
        if (which == EMULSION_INSTANCE) continue;
        network.memory.block[which] = nullptr;
        EXPECT_EQ(network.bind(), EMULSION_INVALID_ARGUMENT);
        EXPECT_EQ(network.error(), "the memory block of class " + name + " is null");
        network.memory.block[which] = static_cast<char*>(good.block[which]) + 4;
        EXPECT_EQ(network.bind(), EMULSION_MISALIGNED);
        EXPECT_EQ(network.error(),
                  "the memory block of class " + name + " is not aligned to 64 bytes");
        network.memory = good;
    }
    EXPECT_EQ(network.bind(), EMULSION_OK);
}

// Every function that takes an instance.
std::vector<int> call_all(const emulsion_library* library, void* instance) {
    const emulsion_call call = {};
    return {emulsion_library_prepare(library, instance),
            emulsion_library_run(library, instance, &call),
            emulsion_library_forward_backward(library, instance, &call),
            emulsion_library_update(library, instance, 0.1f),
            emulsion_library_step(library, instance, &call, 0.1f),
            emulsion_library_unbind(library, instance)};
}

TEST(AbiArguments, InstancesThatAreNone) {
    FakeNetwork network(1);
    const FakeLibrary other;
    const emulsion_library* library = network.instance()->library;
    const std::vector<int> none(6, EMULSION_NOT_BOUND);
    void* shifted = static_cast<char*>(static_cast<void*>(network.instance())) + 8;
    EXPECT_EQ(call_all(library, nullptr), none);
    EXPECT_STREQ(emulsion_library_error(library, nullptr), "the instance is null");
    EXPECT_EQ(call_all(library, shifted), none);
    EXPECT_STREQ(emulsion_library_error(library, shifted),
                 "the instance is not aligned to 64 bytes");
    EXPECT_EQ(call_all(&other.library, network.instance()), none);
    EXPECT_STREQ(emulsion_library_error(&other.library, network.instance()),
                 "the instance is bound by another library");
    const Block garbage(1 << 16);
    EXPECT_EQ(call_all(library, garbage.get()), none);
    EXPECT_STREQ(emulsion_library_error(library, garbage.get()),
                 "bind has not succeeded on this instance");
    EXPECT_EQ(network.step(1, 0.1f), EMULSION_OK) << "the instance itself is untouched";
}

TEST(AbiArguments, AnInstanceOfAnotherVersionIsNone) {
    FakeNetwork network(1);
    const emulsion_library* library = network.instance()->library;
    const std::uint64_t magic = network.instance()->magic;
    EXPECT_EQ(magic >> 48 & 0xff, static_cast<std::uint64_t>(EMULSION_ABI_VERSION));
    network.instance()->magic = magic + (std::uint64_t{1} << 48);
    EXPECT_EQ(call_all(library, network.instance()), std::vector<int>(6, EMULSION_NOT_BOUND));
    EXPECT_STREQ(network.error(),
                 "the instance is bound by a library of another version of Emulsion");
    EXPECT_EQ(network.bind(), EMULSION_OK) << "its threads are not known, so none is joined";
    EXPECT_EQ(network.instance()->magic, magic);
    EXPECT_EQ(network.step(1, 0.1f), EMULSION_OK);
}

// ---- Calls ----

TEST(AbiArguments, OfCalls) {
    FakeLibrary fake;
    FakeNetwork network(fake, 1);
    alignas(64) float x[kBatch * kWidth + 16] = {}, y[kBatch + 16], loss[32];
    const auto expect = [&](const emulsion_call* call, int status, const std::string& text) {
        void* instance = network.instance();
        for (const int result : {emulsion_library_run(&fake.library, instance, call),
                                 emulsion_library_forward_backward(&fake.library, instance, call),
                                 emulsion_library_step(&fake.library, instance, call, 0.1f)}) {
            EXPECT_EQ(result, status);
            EXPECT_EQ(network.error(), text);
        }
    };
    const auto shifted = [](float* block) { return static_cast<void*>(block + 1); };
    const void* inputs[] = {x};
    void* outputs[] = {y, loss};
    const emulsion_call good = {1, 0, inputs, outputs};
    expect(&good, EMULSION_OK, "no error");
    expect(nullptr, EMULSION_INVALID_ARGUMENT, "call is null");
    emulsion_call call = good;
    call.inputs = nullptr;
    expect(&call, EMULSION_INVALID_ARGUMENT, "input 'x' is null");
    call = good;
    call.outputs = nullptr;
    expect(&call, EMULSION_INVALID_ARGUMENT, "output 'y' is null");
    inputs[0] = nullptr;
    expect(&good, EMULSION_INVALID_ARGUMENT, "input 'x' is null");
    inputs[0] = shifted(x);
    expect(&good, EMULSION_MISALIGNED, "input 'x' is not aligned to 64 bytes");
    inputs[0] = x;
    for (int port = 0; port < 2; port++) {
        const std::string name = port == 0 ? "output 'y'" : "output 'loss'";
        void* before = outputs[port];
        outputs[port] = nullptr;
        expect(&good, EMULSION_INVALID_ARGUMENT, name + " is null");
        outputs[port] = shifted(static_cast<float*>(before));
        expect(&good, EMULSION_MISALIGNED, name + " is not aligned to 64 bytes");
        outputs[port] = before;
    }
    for (const int samples : {0, -1, kBatch + 1, std::numeric_limits<int>::min()}) {
        call = good;
        call.samples = samples;
        expect(&call, EMULSION_INVALID_ARGUMENT,
               "call.samples is " + std::to_string(samples) +
                   ", but the library is compiled for 1 to 8");
    }
}

TEST(AbiArguments, LearningRatesThatAreNone) {
    FakeNetwork network(1);
    const float bad[] = {std::numeric_limits<float>::quiet_NaN(),
                         std::numeric_limits<float>::infinity(),
                         -std::numeric_limits<float>::infinity()};
    ASSERT_EQ(network.forward_backward(1), EMULSION_OK);
    for (const float rate : bad) {
        EXPECT_EQ(network.update(rate), EMULSION_INVALID_ARGUMENT);
        EXPECT_STREQ(network.error(), "the learning rate is not finite");
        EXPECT_EQ(network.step(1, rate), EMULSION_INVALID_ARGUMENT);
        EXPECT_STREQ(network.error(), "the learning rate is not finite");
    }
    EXPECT_EQ(network.state()[1], 0u);
    EXPECT_EQ(network.update(0.1f), EMULSION_OK) << "a refused call uses no gradients up";
}

TEST(AbiArguments, LabelsAreClasses) {
    FakeLibrary fake;
    emulsion_port ports[2] = {fake.input_ports[0], {}};
    ports[1].name = "label";
    ports[1].type = EMULSION_I32;
    ports[1].batched = 1;
    ports[1].classes = 10;
    ports[1].bytes = sizeof(std::int32_t);
    fake.info.inputs = ports;
    fake.info.input_count = 2;
    FakeNetwork network(fake, 1);
    alignas(64) float x[kBatch * kWidth] = {}, y[16], loss[16];
    alignas(64) std::int32_t labels[16] = {0, 9, 5, 77};
    const void* inputs[] = {x, labels};
    void* outputs[] = {y, loss};
    emulsion_call call = {3, 0, inputs, outputs};
    const auto step = [&] {
        return emulsion_library_step(&fake.library, network.instance(), &call, 0.1f);
    };
    EXPECT_EQ(step(), EMULSION_OK) << "labels beyond the samples are not read";
    for (const std::int32_t label : {10, -1, -100, std::numeric_limits<std::int32_t>::max()}) {
        labels[2] = label;
        EXPECT_EQ(step(), EMULSION_INVALID_ARGUMENT);
        EXPECT_EQ(network.error(), "input 'label' of sample 2 is " + std::to_string(label) +
                                       ", but must be a class: 0 to 9");
    }
    EXPECT_EQ(network.state()[1], 1u);
    labels[2] = 5;
    ports[1].ignored = -100;
    labels[1] = -100;
    EXPECT_EQ(step(), EMULSION_OK);
    labels[2] = -1;
    EXPECT_EQ(step(), EMULSION_INVALID_ARGUMENT);
    EXPECT_STREQ(network.error(),
                 "input 'label' of sample 2 is -1, but must be a class: 0 to 9, or -100 for what "
                 "does not count");
}

TEST(AbiArguments, LabelsOfPixelsAreClasses) {
    FakeLibrary fake;
    emulsion_port ports[2] = {fake.input_ports[0], {}};
    ports[1] = {"mask", EMULSION_I32, 3, 1, 2, 0, 0, {1, 2, 3}, 6 * sizeof(std::int32_t)};
    fake.info.inputs = ports;
    fake.info.input_count = 2;
    FakeNetwork network(fake, 1);
    alignas(64) float x[kBatch * kWidth] = {}, y[16], loss[16];
    alignas(64) std::int32_t labels[16] = {};
    const void* inputs[] = {x, labels};
    void* outputs[] = {y, loss};
    emulsion_call call = {2, 0, inputs, outputs};
    labels[11] = 2;
    EXPECT_EQ(emulsion_library_step(&fake.library, network.instance(), &call, 0.1f),
              EMULSION_INVALID_ARGUMENT);
    EXPECT_STREQ(network.error(),
                 "input 'mask' of sample 1, row 1, column 2 is 2, but must be a class: 0 to 1");
    ports[1] = {"line", EMULSION_I32, 2, 1, 2, 0, 0, {1, 6}, 6 * sizeof(std::int32_t)};
    EXPECT_EQ(emulsion_library_step(&fake.library, network.instance(), &call, 0.1f),
              EMULSION_INVALID_ARGUMENT);
    EXPECT_STREQ(network.error(),
                 "input 'line' of sample 1, column 5 is 2, but must be a class: 0 to 1");
    ports[1] = {"voxels", EMULSION_I32, 4, 1, 2, 0, 0, {1, 2, 1, 3}, 6 * sizeof(std::int32_t)};
    EXPECT_EQ(emulsion_library_step(&fake.library, network.instance(), &call, 0.1f),
              EMULSION_INVALID_ARGUMENT);
    EXPECT_STREQ(
        network.error(),
        "input 'voxels' of sample 1, plane 1, row 0, column 2 is 2, but must be a class: 0 "
        "to 1");
}

TEST(AbiArguments, DistributionsSumToOne) {
    FakeLibrary fake;
    emulsion_port ports[2] = {fake.input_ports[0], {}};
    ports[1] = {"target", EMULSION_F32, 1, 1, 0, 0, 1, {4}, 4 * sizeof(float)};
    fake.info.inputs = ports;
    fake.info.input_count = 2;
    FakeNetwork network(fake, 1);
    alignas(64) float x[kBatch * kWidth] = {}, y[16], loss[16];
    alignas(64) float target[16] = {0.25f, 0.25f, 0.5f, 0, 0.9995f};
    const void* inputs[] = {x, target};
    void* outputs[] = {y, loss};
    emulsion_call call = {2, 0, inputs, outputs};
    const auto step = [&] {
        return emulsion_library_step(&fake.library, network.instance(), &call, 0.1f);
    };
    EXPECT_EQ(step(), EMULSION_OK) << network.error();
    const std::string fix = ", but must be a distribution: values of 0 or more that sum to 1";
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const struct {
        float value;
        const char* fault;
    } cases[] = {{0.5f, " sums to 500 thousandths"},
                 {2, " sums to 2000 thousandths"},
                 {1e30f, " sums to a million or more"},
                 {-1, " is negative or no number at class 0"},
                 {nan, " is negative or no number at class 0"}};
    for (const auto& [value, fault] : cases) {
        target[4] = value;
        EXPECT_EQ(step(), EMULSION_INVALID_ARGUMENT);
        EXPECT_EQ(network.error(), std::string("input 'target' of sample 1") + fault + fix);
    }
}

// ---- Pools ----

using Loop = void (*)(void*, void (*)(void*, int, int), void*, int);

void expect_pool_refused(Loop loop) {
    emulsion_pool pool = {nullptr, 2, loop};
    emulsion_options options = {};
    options.pool = &pool;
    FakeNetwork network(2, &options);
    ASSERT_EQ(network.status, EMULSION_OK);
    EXPECT_EQ(network.step(kBatch, 0.1f), EMULSION_INVALID_ARGUMENT);
    EXPECT_STREQ(
        network.error(),
        "options.pool.parallel_for returned before each index was done once, by a worker of "
        "0 to threads - 1");
    EXPECT_EQ(network.state()[1], 0u);
}

TEST(AbiPoolContract, WorkersAreWithinTheThreads) {
    expect_pool_refused([](void*, void (*task)(void*, int, int), void* closure, int count) {
        for (int i = 0; i < count; i++) task(closure, i % 3, i);
    });
    expect_pool_refused([](void*, void (*task)(void*, int, int), void* closure, int count) {
        for (int i = 0; i < count; i++) task(closure, -1, i);
    });
}

TEST(AbiPoolContract, EveryIndexRunsOnce) {
    expect_pool_refused([](void*, void (*task)(void*, int, int), void* closure, int count) {
        for (int i = 1; i < count; i++) task(closure, 0, i);
    });
    expect_pool_refused([](void*, void (*task)(void*, int, int), void* closure, int count) {
        for (int i = 0; i <= count; i++) task(closure, 0, i == 0 ? count : i - 1 == 0 ? -1 : i - 1);
    });
    expect_pool_refused([](void*, void (*)(void*, int, int), void*, int) {});
    expect_pool_refused([](void*, void (*task)(void*, int, int), void* closure, int count) {
        for (int i = 0; i < 2 * count; i++) task(closure, 0, i % count);
    });
}

// bind copies the struct: one on the stack of a function that sets up may go.
TEST(AbiPoolContract, TheStructMayGoAfterBind) {
    static int loops;
    loops = 0;
    auto pool = std::make_unique<emulsion_pool>();
    pool->threads = 2;
    pool->parallel_for = [](void*, void (*task)(void*, int, int), void* closure, int count) {
        loops++;
        for (int i = 0; i < count; i++) task(closure, i % 2, i);
    };
    emulsion_options options = {};
    options.pool = pool.get();
    FakeNetwork network(2, &options);
    ASSERT_EQ(network.status, EMULSION_OK);
    std::memset(static_cast<void*>(pool.get()), 0xff, sizeof *pool);
    pool.reset();
    EXPECT_EQ(network.step(kBatch, 0.1f), EMULSION_OK);
    EXPECT_EQ(loops, 2);
}

}  // namespace
}  // namespace emulsion::testing
