// The seeds of a test of random cases: a few in every run, always the same; by hand any others.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace emulsion::test {

struct Seeds {
    uint64_t first = 1, last = 1;
    bool is_given = false;  // by hand
};

// 1 … count, or those of EMULSION_SEEDS=A..B in the environment.
inline Seeds seeds_to_test(uint64_t count) {
    Seeds seeds{1, count};
    const char* text = std::getenv("EMULSION_SEEDS");
    if (text == nullptr) return seeds;
    seeds.is_given = std::sscanf(text, "%lu..%lu", &seeds.first, &seeds.last) == 2;
    if (!seeds.is_given) ADD_FAILURE() << "EMULSION_SEEDS is '" << text << "', but should be A..B";
    return seeds;
}

}  // namespace emulsion::test
