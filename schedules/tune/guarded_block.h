// Memory of exact size for one tensor, between pages that nobody may touch: a kernel that leaves
// its buffers ends its process instead of damaging what is measured.
#pragma once

#include <cstddef>

namespace emulsion {

class GuardedBlock {
  public:
    enum class Sharing { no, with_children };  // whether what a forked child writes is seen

    // Aligned to 64 bytes, with less than that between its end and a protected page; all bytes are
    // 0x7E, as floats huge. Throws std::bad_alloc.
    explicit GuardedBlock(size_t bytes, Sharing sharing = Sharing::no);
    ~GuardedBlock();
    GuardedBlock(GuardedBlock&& other) noexcept;
    GuardedBlock& operator=(GuardedBlock&&) = delete;
    GuardedBlock(const GuardedBlock&) = delete;

    void* data() const { return data_; }
    size_t bytes() const { return bytes_; }
    // False where somebody wrote beside the block, but not far enough to meet a protected page.
    bool is_intact() const;

  private:
    std::byte* pages_ = nullptr;  // the protected page in front
    size_t inner_bytes_ = 0;      // between the protected pages
    std::byte* data_ = nullptr;
    size_t bytes_ = 0;
};

}  // namespace emulsion
