// Counts what a test program takes from the C library, or has it refused: malloc and its kin are
// replaced by counting ones in every program that uses the count.
#pragma once
#include <cstddef>  // defines __GLIBC__

// Where malloc can be replaced: with glibc, and without sanitizers that replace it themselves.
#if defined(__has_feature)  // clang's way to say so
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define EMULSION_SANITIZER_HAS_MALLOC 1
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define EMULSION_SANITIZER_HAS_MALLOC 1
#endif
#if defined(__GLIBC__) && !defined(EMULSION_SANITIZER_HAS_MALLOC)
#define EMULSION_COUNTS_ALLOCATIONS 1
#endif

namespace emulsion {

// Blocks taken by all threads so far, with operator new too; 0 where malloc cannot be replaced.
long allocation_count();

// Bytes that were asked for in them; nothing is taken off where a block is given back.
long allocated_bytes();

// From here on malloc refuses blocks of so many bytes and more; 0: none.
void refuse_blocks_from(std::size_t bytes);

}  // namespace emulsion
