// See guarded_block.h.
#include "schedules/tune/guarded_block.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace emulsion {

namespace {

constexpr int kPattern = 0x7E;
constexpr size_t kAlignment = 64;
constexpr size_t kHugePage = size_t(2) << 20;

size_t page_bytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

}  // namespace

GuardedBlock::GuardedBlock(size_t bytes, Sharing sharing) : bytes_(bytes) {
    const size_t page = page_bytes();
    inner_bytes_ = (std::max<size_t>(bytes, 1) + page - 1) / page * page;
    const int kind = sharing == Sharing::no ? MAP_PRIVATE : MAP_SHARED;
    void* pages = mmap(nullptr, inner_bytes_ + 2 * page, PROT_NONE, kind | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) throw std::bad_alloc();
    pages_ = static_cast<std::byte*>(pages);
    if (mprotect(pages_ + page, inner_bytes_, PROT_READ | PROT_WRITE) != 0) {
        munmap(pages_, inner_bytes_ + 2 * page);
        throw std::bad_alloc();
    }
    // As programs do: a kernel is timed in the pages that it will run in.
    if (sharing == Sharing::no && inner_bytes_ >= kHugePage)
        madvise(pages_ + page, inner_bytes_, MADV_HUGEPAGE);
    std::memset(pages_ + page, kPattern, inner_bytes_);
    data_ = pages_ + page + (inner_bytes_ - bytes) / kAlignment * kAlignment;
}

GuardedBlock::GuardedBlock(GuardedBlock&& other) noexcept
    : pages_(std::exchange(other.pages_, nullptr)),
      inner_bytes_(other.inner_bytes_),
      data_(other.data_),
      bytes_(other.bytes_) {}

GuardedBlock::~GuardedBlock() {
    if (pages_ != nullptr) munmap(pages_, inner_bytes_ + 2 * page_bytes());
}

bool GuardedBlock::is_intact() const {
    const std::byte* begin = pages_ + page_bytes();
    const std::byte* end = begin + inner_bytes_;
    const auto is_pattern = [](std::byte b) { return b == std::byte{kPattern}; };
    return std::all_of(begin, static_cast<const std::byte*>(data_), is_pattern) &&
           std::all_of(static_cast<const std::byte*>(data_) + bytes_, end, is_pattern);
}

}  // namespace emulsion
