// No call allocates from the C library: malloc and its kin are replaced by counting ones for this
// whole program.
#include <gtest/gtest.h>

#include <atomic>

#include "tests/runtime/abi_support.h"

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
namespace {
std::atomic<long> allocations = 0;
}

extern "C" {
void* __libc_malloc(std::size_t bytes);
void* __libc_calloc(std::size_t count, std::size_t bytes);
void* __libc_realloc(void* block, std::size_t bytes);

void* malloc(std::size_t bytes) noexcept {
    allocations.fetch_add(1, std::memory_order_relaxed);
    return __libc_malloc(bytes);
}
void* calloc(std::size_t count, std::size_t bytes) noexcept {
    allocations.fetch_add(1, std::memory_order_relaxed);
    return __libc_calloc(count, bytes);
}
void* realloc(void* block, std::size_t bytes) noexcept {
    allocations.fetch_add(1, std::memory_order_relaxed);
    return __libc_realloc(block, bytes);
}
}

namespace emulsion::testing {
namespace {

TEST(AbiMalloc, CallsAllocateNothing) {
    const long at_start = allocations;
    FakeNetwork network(3);
    ASSERT_GT(allocations, at_start) << "the replacement is not in effect";
    ASSERT_EQ(network.step(kBatch, 0.1f), EMULSION_OK);
    const long before = allocations;
    for (int call = 0; call < 1000; call++) {
        if (network.step(1 + call % kBatch, 0.01f) != EMULSION_OK) break;
        if (network.run(1 + call % kBatch) != EMULSION_OK) break;
    }
    network.run(0);  // an error, with its message
    const long after = allocations;
    EXPECT_EQ(after, before);
    EXPECT_EQ(network.state()[1], 1001u);
}

}  // namespace
}  // namespace emulsion::testing
#endif
