// Files in. Reading has a limit, so that a file of unexpected size costs no memory.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace emulsion {

using Bytes = std::vector<uint8_t>;

// A plain file, or bytes in memory, read at any place. Readers take it, so that they need no copy
// of a large file and can be given bytes that are no file. Throws RuntimeError where it cannot be
// read, is no plain file, or became shorter meanwhile; `kind` says what was expected ("picture",
// "weights file"). Serves one thread.
class ByteSource {
  public:
    ByteSource(const std::string& path, std::string_view kind);
    // The bytes must outlive it; `name` is what messages call them.
    ByteSource(std::span<const uint8_t> bytes, std::string name, std::string_view kind);
    ~ByteSource();
    ByteSource(const ByteSource&) = delete;
    ByteSource& operator=(const ByteSource&) = delete;

    const std::string& name() const { return name_; }
    uint64_t size() const { return size_; }

    // Fills `out` with the bytes from `offset` on.
    void read(uint64_t offset, std::span<uint8_t> out) const;

    [[noreturn]] void refuse(const std::string& what, const std::string& fix) const;

  private:
    std::string name_, kind_;
    std::span<const uint8_t> bytes_;
    int descriptor_ = -1;
    uint64_t size_ = 0;
};

// The content of a file of at most `limit` bytes.
Bytes read_file(const std::string& path, uint64_t limit, std::string_view kind);

}  // namespace emulsion
