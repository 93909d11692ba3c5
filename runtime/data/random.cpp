// Ten rounds of two 32 x 32 bit products: Philox 4x32-10.
#include "runtime/data/random.h"

#include <utility>

namespace emulsion {

std::array<uint32_t, 4> philox(const std::array<uint32_t, 4>& counter, uint64_t key) {
    constexpr uint64_t kMultiplier0 = 0xd2511f53, kMultiplier1 = 0xcd9e8d57;
    constexpr uint32_t kWeyl0 = 0x9e3779b9, kWeyl1 = 0xbb67ae85;
    std::array<uint32_t, 4> c = counter;
    uint32_t key0 = static_cast<uint32_t>(key), key1 = static_cast<uint32_t>(key >> 32);
    for (int round = 0; round < 10; round++) {
        const uint64_t product0 = kMultiplier0 * c[0], product1 = kMultiplier1 * c[2];
        c = {static_cast<uint32_t>(product1 >> 32) ^ c[1] ^ key0, static_cast<uint32_t>(product1),
             static_cast<uint32_t>(product0 >> 32) ^ c[3] ^ key1, static_cast<uint32_t>(product0)};
        key0 += kWeyl0;
        key1 += kWeyl1;
    }
    return c;
}

uint64_t random_below(uint64_t bound, uint64_t seed, Stream stream, uint64_t row, uint64_t index) {
    const auto bits = philox({static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32),
                              static_cast<uint32_t>(row), static_cast<uint32_t>(stream)},
                             seed);
    const uint64_t number = static_cast<uint64_t>(bits[1]) << 32 | bits[0];
    // The high half of a product of 128 bits; its bias is below bound / 2^64.
    return static_cast<uint64_t>(static_cast<unsigned __int128>(number) * bound >> 64);
}

void shuffle(std::span<uint32_t> values, uint64_t seed, Stream stream, uint64_t row) {
    for (uint64_t i = values.size(); i > 1; i--) {
        std::swap(values[i - 1], values[random_below(i, seed, stream, row, i)]);
    }
}

}  // namespace emulsion
