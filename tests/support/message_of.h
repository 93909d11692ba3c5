// The words of a refusal.
#pragma once

#include <string>

#include "compiler/support/diagnostic.h"

namespace emulsion::test {

// Text of the Error that `action` throws; empty if it throws none.
template <class Action>
std::string message_of(const Action& action) {
    try {
        action();
    } catch (const Error& error) {
        return error.what();
    }
    return "";
}

}  // namespace emulsion::test
