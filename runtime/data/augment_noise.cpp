// Sixteen blocks at once: the loops over lanes become vector code.
#include "runtime/data/augment_noise.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace emulsion {

namespace {

constexpr size_t kLanes = 16;

struct Words {
    uint32_t word[4][kLanes];
};

// Those of the blocks first .. first + 15.
void make_words(const FieldCounter& field, uint32_t first, Words* words) {
    auto& x = words->word;
    uint32_t key0 = static_cast<uint32_t>(field.key), key1 = static_cast<uint32_t>(field.key >> 32);
    for (size_t i = 0; i < kLanes; i++) {
        x[0][i] = first + static_cast<uint32_t>(i);
        x[1][i] = field.counter[1];
        x[2][i] = field.counter[2];
        x[3][i] = field.counter[3];
    }
    for (int round = 0; round < 10; round++) {
        for (size_t i = 0; i < kLanes; i++) {
            const uint64_t a = uint64_t{0xd2511f53} * x[0][i], b = uint64_t{0xcd9e8d57} * x[2][i];
            x[0][i] = static_cast<uint32_t>(b >> 32) ^ x[1][i] ^ key0;
            x[2][i] = static_cast<uint32_t>(a >> 32) ^ x[3][i] ^ key1;
            x[1][i] = static_cast<uint32_t>(b);
            x[3][i] = static_cast<uint32_t>(a);
        }
        key0 += 0x9e3779b9;
        key1 += 0xbb67ae85;
    }
}

// In [0, 1), of 24 bits.
float share_of(uint32_t word) {
    return static_cast<float>(static_cast<int32_t>(word >> 8)) * 0x1p-24f;
}

// The natural logarithm of a number in (0, 1]: exponent, then 2 artanh((m - 1) / (m + 1)).
float logarithm_of(float x) {
    const auto bits = std::bit_cast<int32_t>(x);
    const float half = std::bit_cast<float>((bits & 0x7fffff) | 0x3f000000);  // [0.5, 1)
    const bool is_low = half < 0.70710678f;
    const float m = is_low ? half + half : half;
    const auto exponent = static_cast<float>((bits >> 23) - 126 - (is_low ? 1 : 0));
    const float t = (m - 1.0f) / (m + 1.0f), t2 = t * t;
    const float series =
        1.0f + t2 * (1.0f / 3 + t2 * (1.0f / 5 + t2 * (1.0f / 7 + t2 * (1.0f / 9))));
    return exponent * 0.69314718f + 2.0f * t * series;
}

// The quarter turns of 2 pi v are taken off first.
void add_turn(float v, float radius, float* cosine, float* sine) {
    const auto quarter = static_cast<int32_t>(4.0f * v + 0.5f);
    const float x = (v - 0.25f * static_cast<float>(quarter)) * 6.2831853f, x2 = x * x;
    const float s =
        x * (1.0f + x2 * (-1.0f / 6 + x2 * (1.0f / 120 + x2 * (-1.0f / 5040 + x2 / 362880))));
    const float c =
        1.0f + x2 * (-1.0f / 2 + x2 * (1.0f / 24 + x2 * (-1.0f / 720 + x2 * (1.0f / 40320))));
    const bool is_odd = (quarter & 1) != 0;
    const float across = is_odd ? s : c, up = is_odd ? c : s;
    *cosine = radius * (((quarter + 1) & 2) != 0 ? -across : across);
    *sine = radius * ((quarter & 2) != 0 ? -up : up);
}

// The four values of each of sixteen blocks.
using Block = float[4][kLanes];

void make_even(const Words& words, Block& block) {
    for (size_t j = 0; j < 4; j++) {
        for (size_t i = 0; i < kLanes; i++) block[j][i] = share_of(words.word[j][i]) * 2.0f - 1.0f;
    }
}

void make_normal(const Words& words, Block& block) {
    for (size_t j = 0; j < 4; j += 2) {
        for (size_t i = 0; i < kLanes; i++) {
            const float u = share_of(words.word[j][i]) + 0x1p-25f;
            const float radius = std::sqrt(-2.0f * logarithm_of(u));
            add_turn(share_of(words.word[j + 1][i]), radius, &block[j][i], &block[j + 1][i]);
        }
    }
}

template <class Make>
void fill(const SampleKey& key, uint32_t piece, std::span<float> values, Make make) {
    const FieldCounter field = field_counter(key, piece);
    Words words;
    Block block;
    for (size_t first = 0; first < values.size(); first += 4 * kLanes) {
        make_words(field, static_cast<uint32_t>(first / 4), &words);
        make(words, block);
        const size_t count = std::min(4 * kLanes, values.size() - first);
        for (size_t i = 0; i < count; i++) values[first + i] = block[i % 4][i / 4];
    }
}

}  // namespace

void fill_even(const SampleKey& key, uint32_t piece, std::span<float> values) {
    fill(key, piece, values, make_even);
}

void fill_normal(const SampleKey& key, uint32_t piece, std::span<float> values) {
    fill(key, piece, values, make_normal);
}

}  // namespace emulsion
