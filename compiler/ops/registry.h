// The list of all ops by name: those of the compiler, and those that a model registers.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "compiler/graph/op.h"

namespace emulsion {

// What is known of an op without its operands.
struct OpEntry {
    std::unique_ptr<Op> (*make)() = nullptr;  // with default attributes
    bool has_gradient = false;
};

// That of the class T.
template <class T>
constexpr OpEntry op_entry() {
    OpEntry entry;
    entry.make = [] { return std::unique_ptr<Op>(std::make_unique<T>()); };
    entry.has_gradient = !std::is_same_v<decltype(&T::gradient), decltype(&Op::gradient)>;
    return entry;
}

// The op of this name, or null.
const OpEntry* find_op(std::string_view kind);
// Whether it is one of the compiler's own.
bool is_built_in(std::string_view kind);

// Why an op of the compiler has no gradient, in a few words: what its line of the list says, of
// sources that they have no operands, of KIND_backward that it is a gradient. Empty where it has
// one, and where nobody says why.
std::string_view why_no_gradient(std::string_view kind);

// Adds an op of the user's own under its kind; once more is the same as once. Throws Error[op]
// where the compiler, or another class, has an op of this name, or where the name is none: small
// letters, digits and '_'. To be called before graphs are built, from one thread.
void register_op(const OpEntry& entry);

// A new op with default attributes, or null for an unknown name.
std::unique_ptr<Op> make_op(std::string_view kind);

// What to do where a text names an op that there is none of: the name of what is meant, if any op
// is near.
std::string remedy_for_op(std::string_view unknown);

// All names, sorted.
std::vector<std::string_view> op_kinds();

}  // namespace emulsion
