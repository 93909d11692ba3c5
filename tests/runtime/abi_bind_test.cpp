// Sizes, bind and unbind: layout of the caller's memory, choice of the variant, options with their
// messages (other arguments: abi_arguments_test).
#include <gtest/gtest.h>
#include <sched.h>

#include <cstring>
#include <set>
#include <string>

#include "tests/runtime/abi_support.h"

namespace emulsion::testing {
namespace {

TEST(AbiSizes, FollowTheStatedFormulas) {
    FakeLibrary fake;
    emulsion_sizes sizes;
    ASSERT_EQ(emulsion_library_sizes(&fake.library, 3, &sizes), EMULSION_OK);
    EXPECT_EQ(sizes.threads, 3);
    EXPECT_EQ(sizes.bytes[EMULSION_PARAMETERS], 64u);
    EXPECT_EQ(sizes.bytes[EMULSION_STATE], 64u);
    EXPECT_EQ(sizes.bytes[EMULSION_PREPARED], 0u);
    EXPECT_EQ(sizes.bytes[EMULSION_WORKSPACE], 128u + 128u + 2 * 128u);
    EXPECT_EQ(sizes.bytes[EMULSION_INSTANCE], sizeof(emulsion_instance) + 384u + 3 * 128u);
}

TEST(AbiSizes, AreTheMaximumOverVariants) {
    FakeLibrary fake;
    fake.variants[1] = fake.variants[0];
    fake.variants[1].prepared_bytes = 4096;
    fake.variants[1].activation_bytes = 0;
    fake.variants[1].slab0_bytes = 0;
    fake.variants[1].slab_bytes = 0;
    fake.library.variant_count = 2;
    emulsion_sizes sizes;
    ASSERT_EQ(emulsion_library_sizes(&fake.library, 2, &sizes), EMULSION_OK);
    EXPECT_EQ(sizes.bytes[EMULSION_PREPARED], 4096u);
    EXPECT_EQ(sizes.bytes[EMULSION_WORKSPACE], 3 * 128u);
    ASSERT_EQ(emulsion_variant_sizes(&fake.library, 1, 2, &sizes), EMULSION_OK);
    EXPECT_EQ(sizes.bytes[EMULSION_WORKSPACE], 0u);
}

TEST(AbiSizes, RefuseBadArguments) {
    FakeLibrary fake;
    emulsion_sizes sizes;
    EXPECT_EQ(emulsion_library_sizes(&fake.library, 1, nullptr), EMULSION_INVALID_ARGUMENT);
    EXPECT_EQ(emulsion_library_sizes(&fake.library, -1, &sizes), EMULSION_INVALID_ARGUMENT);
    EXPECT_EQ(emulsion_library_sizes(&fake.library, 257, &sizes), EMULSION_INVALID_ARGUMENT);
    EXPECT_EQ(emulsion_variant_sizes(&fake.library, 1, 1, &sizes), EMULSION_INVALID_ARGUMENT);
}

TEST(AbiBind, PlacesDescriptorsAndSlabsInsideTheBlocks) {
    FakeNetwork network(3);
    ASSERT_EQ(network.status, EMULSION_OK);
    const emulsion_instance* instance = network.instance();
    const char* workspace = static_cast<char*>(network.memory.block[EMULSION_WORKSPACE]);
    EXPECT_EQ(instance->threads, 3);
    EXPECT_EQ(static_cast<const void*>(instance->descriptors),
              static_cast<const void*>(instance + 1));
    EXPECT_EQ(instance->descriptors[kW].host, network.memory.block[EMULSION_PARAMETERS]);
    EXPECT_EQ(instance->descriptors[kActivations].host, workspace + 64);
    EXPECT_EQ(instance->descriptors[kX].rank, 2);
    EXPECT_EQ(instance->descriptors[kX].dimensions[1].stride, kWidth);
    EXPECT_EQ(instance->workers[0].slab, workspace + 128);
    const emulsion_worker& last = instance->workers[2];
    EXPECT_EQ(last.slab + last.slab_bytes,
              workspace + network.memory.sizes.bytes[EMULSION_WORKSPACE]);
    EXPECT_EQ(
        reinterpret_cast<const char*>(&last + 1),
        reinterpret_cast<const char*>(instance) + network.memory.sizes.bytes[EMULSION_INSTANCE]);
}

TEST(AbiBind, ConstantsNeedNoMemoryOfTheCaller) {
    static const float kValues[2] = {1, 2};
    FakeLibrary fake;
    fake.buffers[kActivations].where = EMULSION_CONSTANT;
    fake.buffers[kActivations].constant = kValues;
    fake.buffers[kActivations].offset = 4;
    FakeNetwork network(fake, 1);
    ASSERT_EQ(network.status, EMULSION_OK);
    EXPECT_EQ(network.instance()->descriptors[kActivations].host, &kValues[1]);
}

TEST(AbiBind, AClassWithoutBytesMayBeNull) {
    FakeNetwork network(2);
    network.memory.block[EMULSION_PREPARED] = nullptr;
    EXPECT_EQ(network.bind(), EMULSION_OK);
}

TEST(AbiBind, RefusesBadOptions) {
    FakeNetwork network(1);
    emulsion_options options = {};
    options.threads = 300;
    EXPECT_EQ(network.bind(&options), EMULSION_INVALID_ARGUMENT);
    EXPECT_STREQ(network.error(), "options.threads is 300, but must be 0 to 256");
    options.threads = -2;
    EXPECT_EQ(network.bind(&options), EMULSION_INVALID_ARGUMENT);
    EXPECT_STREQ(network.error(), "options.threads is -2, but must be 0 to 256");
    options = {};
    options.variant = 2;
    EXPECT_EQ(network.bind(&options), EMULSION_INVALID_ARGUMENT);
    EXPECT_STREQ(network.error(), "options.variant is 2, but must be 0 to 1");
    options = {};
    emulsion_pool pool = {};
    options.pool = &pool;
    EXPECT_EQ(network.bind(&options), EMULSION_INVALID_ARGUMENT);
    EXPECT_STREQ(network.error(), "options.pool.parallel_for is null");
    pool.parallel_for = [](void*, void (*)(void*, int, int), void*, int) {};
    EXPECT_EQ(network.bind(&options), EMULSION_INVALID_ARGUMENT);
    EXPECT_STREQ(network.error(), "options.pool.threads is 0, but must be 1 to 256");
}

TEST(AbiBind, TakesTheThreadsThatTheMemoryIsSizedFor) {
    FakeNetwork network(3);
    emulsion_instance* instance = network.instance();
    EXPECT_EQ(emulsion_library_bind(instance->library, instance, &network.memory, nullptr),
              EMULSION_OK);
    EXPECT_EQ(instance->threads, 3);
    network.memory.sizes.threads = 0;
    EXPECT_EQ(emulsion_library_bind(instance->library, instance, &network.memory, nullptr),
              EMULSION_INVALID_ARGUMENT);
    EXPECT_STREQ(network.error(), "memory.sizes.threads is 0, but must be 1 to 256");
}

TEST(AbiBind, RefusesMemorySizedForFewerThreads) {
    FakeNetwork network(2);
    emulsion_pool pool = {};
    pool.threads = 3;
    pool.parallel_for = [](void*, void (*)(void*, int, int), void*, int) {};
    emulsion_options more = {}, own_pool = {};
    more.threads = 3;
    own_pool.pool = &pool;
    for (const emulsion_options& options : {more, own_pool}) {
        EXPECT_EQ(network.bind(&options), EMULSION_INVALID_ARGUMENT);
        EXPECT_STREQ(network.error(),
                     "memory.sizes states 384 bytes of class workspace, but 512 are needed with 3 "
                     "threads; fill it with the sizes function, and allocate as it says");
        EXPECT_EQ(network.run(1), EMULSION_NOT_BOUND);
    }
}

TEST(AbiBind, AgainReplacesTheThreads) {
    FakeNetwork network(4);
    const std::size_t threads = list_threads().size();
    emulsion_options options = {};
    options.threads = 2;
    ASSERT_EQ(network.bind(&options), EMULSION_OK);
    EXPECT_EQ(list_threads().size(), threads - 2);
    EXPECT_EQ(network.step(kBatch, 0.1f), EMULSION_OK);
}

TEST(AbiVariant, TheBestThatTheProcessorRuns) {
    FakeLibrary fake;
    fake.variants[1].cpu = EMULSION_CPU_AVX2;
    fake.variants[2].cpu = EMULSION_CPU_AVX2 | EMULSION_CPU_AVX512;
    fake.library.variant_count = 3;
    EXPECT_EQ(emulsion_choose_variant(&fake.library, 0, 0), 0);
    EXPECT_EQ(emulsion_choose_variant(&fake.library, EMULSION_CPU_AVX2, 0), 1);
    EXPECT_EQ(emulsion_choose_variant(&fake.library, EMULSION_CPU_AVX2 | EMULSION_CPU_AVX512, 0),
              2);
    EXPECT_EQ(emulsion_choose_variant(&fake.library, EMULSION_CPU_AVX2 | EMULSION_CPU_AVX512, 1),
              0);
    EXPECT_EQ(emulsion_choose_variant(&fake.library, EMULSION_CPU_AVX2, 3), -1);
}

TEST(AbiVariant, NoneThatTheProcessorRuns) {
    FakeLibrary fake;
    fake.variants[0].cpu = 1u << 31;
    fake.variants[1] = fake.variants[0];
    fake.library.variant_count = 2;
    fake.info.variant_count = 2;
    FakeNetwork network(fake, 1);
    EXPECT_EQ(network.status, EMULSION_UNSUPPORTED_CPU);
    EXPECT_STREQ(network.error(),
                 "this processor cannot run any of the library's variants: x86-64 avx2");
    emulsion_options options = {};
    options.variant = 2;
    EXPECT_EQ(network.bind(&options), EMULSION_UNSUPPORTED_CPU);
    EXPECT_STREQ(network.error(), "this processor cannot run variant avx2");
}

TEST(AbiVariant, FeaturesAgreeWithTheCompiler) {
#if defined(__x86_64__)
    const std::uint32_t features = emulsion_cpu_features();
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                      __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("f16c");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                        __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    EXPECT_EQ((features & EMULSION_CPU_AVX2) != 0, avx2);
    EXPECT_EQ((features & EMULSION_CPU_AVX512) != 0, avx512);
#endif
}

TEST(AbiVariant, NamesStandForFeatures) {
    EXPECT_EQ(emulsion_isa_features("x86-64"), 0u);
    EXPECT_EQ(emulsion_isa_features("avx2"), static_cast<uint32_t>(EMULSION_CPU_AVX2));
    EXPECT_EQ(emulsion_isa_features("avx512"),
              static_cast<uint32_t>(EMULSION_CPU_AVX2 | EMULSION_CPU_AVX512));
    EXPECT_EQ(emulsion_isa_features("mmx"), UINT32_MAX);
}

TEST(AbiStatus, EveryCodeHasItsOwnText) {
    std::set<std::string> texts;
    for (int status = EMULSION_OK; status <= EMULSION_BUSY; status++)
        texts.insert(emulsion_status_text(status));
    EXPECT_EQ(texts.size(), 10u);
    EXPECT_EQ(texts.count("unknown status"), 0u);
    EXPECT_STREQ(emulsion_status_text(99), "unknown status");
    EXPECT_STREQ(emulsion_status_text(-4), "a kernel failed one of its checks");
}

}  // namespace
}  // namespace emulsion::testing
