// The smallest memory budget, as the refusal of a smaller one names it.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "tests/support/message_of.h"

namespace emulsion::test {

// `plan` plans a training step within so many bytes.
template <class Plan>
int64_t smallest_budget(const Plan& plan) {
    const std::string text = message_of([&] { plan(int64_t{1}); }), before = "fix: allow ";
    const size_t found = text.find(before);
    EXPECT_NE(found, text.npos) << text;
    return found == text.npos ? 0 : std::atoll(text.c_str() + found + before.size());
}

}  // namespace emulsion::test
