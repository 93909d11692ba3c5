// XXH64 of bytes that arrive in parts.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace emulsion {

class Checksum {
  public:
    Checksum();
    ~Checksum();
    Checksum(const Checksum&) = delete;
    Checksum& operator=(const Checksum&) = delete;

    void add(std::span<const uint8_t> bytes);
    uint64_t value() const;  // of all that was added so far

  private:
    struct State;
    std::unique_ptr<State> state_;
};

uint64_t checksum_of(std::string_view text);

// 16 hexadecimal digits.
std::string checksum_text(uint64_t value);

}  // namespace emulsion
