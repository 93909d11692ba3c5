// The index operand: its shape, and what it says of a place.
#include "compiler/ops/index.h"

#include <fmt/format.h>

#include "compiler/graph/limits.h"
#include "compiler/ops/expect.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;

void expect_index(const TensorType& index, const IndexAttributes& attributes) {
    const size_t rank = index.shape.size();
    if (!index.batched || index.element != ElementType::i32 || rank < 1 || rank > 2) {
        fail("index",
             fmt::format("the index must be i32[n,length] or i32[n,rows,length], but is {}",
                         to_string(index)),
             "give it an input of indices");
    }
    const int64_t rows = rank == 2 ? index.shape[0] : 1;
    if (attributes.row < 0 || attributes.row >= rows) {
        fail("attribute",
             fmt::format("row {} of the index is asked for, but {} has {}", attributes.row,
                         to_string(index), rows),
             fmt::format("choose a row from 0 to {}", rows - 1));
    }
    if (attributes.ignored.size() > 1) {
        fail("attribute",
             fmt::format("{} indices are to be ignored, but one can be", attributes.ignored.size()),
             "give what does not count one index");
    }
}

void expect_values_at(const TensorType& values, const TensorType& index, std::string_view what) {
    if (!values.batched || values.shape.size() != 2) {
        fail("rank",
             fmt::format("the {} must be (n, channels, length), but are {}", what,
                         to_string(values)),
             "give it one column of channels for each index");
    }
    expect_f32(values, what);
    if (values.shape[1] == places_of(index)) return;
    fail("shape",
         fmt::format("the {} have {} columns, but there are {} indices", what, values.shape[1],
                     places_of(index)),
         fmt::format("give it {} columns", places_of(index)));
}

std::vector<int64_t> scattered_shape(std::span<const TensorType> operands,
                                     const IndexAttributes& attributes, int64_t columns) {
    expect_operands(operands, 2);
    expect_index(operands[1], attributes);
    expect_values_at(operands[0], operands[1], "values");
    if (columns < 1 || columns > kMostElements) {
        fail("attribute", fmt::format("the number of columns is {}", columns),
             "give it one column or more");
    }
    return {operands[0].shape[0], columns};
}

// What no reader would accept is refused at the border of a library; the clamp keeps every address
// inside all the same.
Column column_at(const Halide::Func& index, const TensorType& type,
                 const IndexAttributes& attributes, int64_t columns, const Expr& place,
                 const Expr& n) {
    const Expr given =
        type.shape.size() == 2 ? index(to_int(attributes.row), place, n) : index(place, n);
    const Expr at = Halide::clamp(given, 0, to_int(columns - 1));
    Expr counts = given == at;
    if (attributes.ignored_number())
        counts = counts && given != to_int(*attributes.ignored_number());
    return {at, counts};
}

}  // namespace emulsion
