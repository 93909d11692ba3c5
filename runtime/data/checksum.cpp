// xxHash's own code, compiled in.
#include "runtime/data/checksum.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace emulsion {

struct Checksum::State {
    XXH64_state_t hash;
};

Checksum::Checksum() : state_(std::make_unique<State>()) { XXH64_reset(&state_->hash, 0); }

Checksum::~Checksum() = default;

void Checksum::add(std::span<const uint8_t> bytes) {
    if (!bytes.empty()) XXH64_update(&state_->hash, bytes.data(), bytes.size());
}

uint64_t Checksum::value() const { return XXH64_digest(&state_->hash); }

uint64_t checksum_of(std::string_view text) { return XXH64(text.data(), text.size(), 0); }

std::string checksum_text(uint64_t value) {
    std::string text;
    for (int shift = 60; shift >= 0; shift -= 4) text += "0123456789abcdef"[value >> shift & 15];
    return text;
}

}  // namespace emulsion
