/* write, fsync and rename of this test program. They pass calls on to the system, unless a test
 * asks for a fault: the process killed in the middle of a write, or a disk that is full. And
 * operator new, which counts. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "tests/runtime/data_support.h"

namespace emulsion::testing {

Faults faults;

namespace {

std::atomic<uint64_t> allocation_count{0};

[[maybe_unused]] void* allocate(size_t size, size_t alignment) {
    allocation_count++;
    void* block = nullptr;
    if (posix_memalign(&block, alignment < sizeof(void*) ? sizeof(void*) : alignment, size) != 0) {
        throw std::bad_alloc();
    }
    return block;
}

}  // namespace

uint64_t allocations() { return allocation_count; }

}  // namespace emulsion::testing

using emulsion::testing::faults;

extern "C" ssize_t write(int descriptor, const void* bytes, size_t count) {
    const bool is_file = descriptor > 2;
    if (is_file && faults.fail_after >= 0 && int64_t(count) > faults.fail_after) {
        if (faults.fail_after == 0) {
            errno = faults.code;
            return -1;
        }
        count = size_t(faults.fail_after);
    }
    if (is_file && faults.kill_after >= 0 && int64_t(count) >= faults.kill_after) {
        syscall(SYS_write, descriptor, bytes, size_t(faults.kill_after));
        raise(SIGKILL);
    }
    const ssize_t done = syscall(SYS_write, descriptor, bytes, count);
    if (is_file && done > 0 && faults.kill_after >= 0) faults.kill_after -= done;
    if (is_file && done > 0 && faults.fail_after >= 0) faults.fail_after -= done;
    return done;
}

extern "C" int fsync(int descriptor) {
    if (faults.kill_at_fsync) raise(SIGKILL);
    return int(syscall(SYS_fsync, descriptor));
}

extern "C" int rename(const char* from, const char* to) noexcept {
    if (faults.kill_before_rename) raise(SIGKILL);
    const int result = int(syscall(SYS_renameat2, -100 /* AT_FDCWD */, from, -100, to, 0));
    if (faults.kill_after_rename) raise(SIGKILL);
    return result;
}

#ifndef __SANITIZE_ADDRESS__
void* operator new(size_t size) { return emulsion::testing::allocate(size, alignof(max_align_t)); }
void* operator new(size_t size, std::align_val_t alignment) {
    return emulsion::testing::allocate(size, size_t(alignment));
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete(void* block, size_t) noexcept { std::free(block); }
void operator delete(void* block, std::align_val_t) noexcept { std::free(block); }
void operator delete(void* block, size_t, std::align_val_t) noexcept { std::free(block); }
#endif
