// What the generators of random networks draw with. What they draw depends on the order of their
// calls alone.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <random>

namespace emulsion::test {

class RandomChoices {
  protected:
    explicit RandomChoices(uint64_t seed) : random_(seed) {}

    int below(int count) { return static_cast<int>(random_() % static_cast<uint64_t>(count)); }
    bool one_in(int count) { return below(count) == 0; }
    template <class T>
    T of(std::initializer_list<T> choices) {
        return choices.begin()[below(static_cast<int>(choices.size()))];
    }

    std::mt19937_64 random_;
};

}  // namespace emulsion::test
