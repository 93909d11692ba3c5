// See count_allocations.h.
#include "tests/support/count_allocations.h"

#include <atomic>

namespace {
std::atomic<long> allocations = 0, asked_for = 0;
std::atomic<std::size_t> refused_from = 0;

[[maybe_unused]] void count(std::size_t bytes) {
    allocations.fetch_add(1, std::memory_order_relaxed);
    asked_for.fetch_add(static_cast<long>(bytes), std::memory_order_relaxed);
}
}  // namespace

#ifdef EMULSION_COUNTS_ALLOCATIONS
extern "C" {
void* __libc_malloc(std::size_t bytes);
void* __libc_calloc(std::size_t count, std::size_t bytes);
void* __libc_realloc(void* block, std::size_t bytes);
void* __libc_memalign(std::size_t alignment, std::size_t bytes);

void* malloc(std::size_t bytes) noexcept {
    count(bytes);
    const std::size_t limit = refused_from.load(std::memory_order_relaxed);
    return limit > 0 && bytes >= limit ? nullptr : __libc_malloc(bytes);
}
void* calloc(std::size_t elements, std::size_t bytes) noexcept {
    count(elements * bytes);
    return __libc_calloc(elements, bytes);
}
void* realloc(void* block, std::size_t bytes) noexcept {
    count(bytes);
    return __libc_realloc(block, bytes);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) noexcept {
    count(bytes);
    return __libc_memalign(alignment, bytes);
}
}
#endif

namespace emulsion {

long allocation_count() { return allocations; }

long allocated_bytes() { return asked_for; }

void refuse_blocks_from(std::size_t bytes) { refused_from = bytes; }

}  // namespace emulsion
