// What the ops that read or write at indices share: the index operand, which says for each place of
// a row of them a column, and the index that says "none".
#pragma once

#include <Halide.h>

#include <span>
#include <string_view>
#include <vector>

#include "compiler/graph/op.h"

namespace emulsion {

// Of an index i32[n,L], or of row `row` of an index i32[n,R,L]. `ignored` has one number at most,
// which may be that of a column or none. At their defaults they are not printed.
struct IndexAttributes {
    int64_t row = 0;
    std::vector<int64_t> ignored;

    void visit(Fields& f) {
        f.field("row", row);
        f.field("ignored", ignored);
    }
    std::optional<int64_t> ignored_number() const {
        return ignored.empty() ? std::nullopt : std::optional(ignored[0]);
    }
};

// That the operand is an index which has the row. Throws Error[element], [rank] or [attribute].
void expect_index(const TensorType& index, const IndexAttributes& attributes);

// That the map [n,D,L] has a place for each of the index. Throws Error[rank], [element] or [shape].
void expect_values_at(const TensorType& values, const TensorType& index, std::string_view what);

// What the two operands of a scatter become: (channels, columns). Throws what the two above do, and
// Error[attribute] where `columns` is no number of columns.
std::vector<int64_t> scattered_shape(std::span<const TensorType> operands,
                                     const IndexAttributes& attributes, int64_t columns);

// Places of an index: L.
inline int64_t places_of(const TensorType& index) { return index.shape.back(); }

// What an index says of a place: a column that is always one of `columns`, and whether it counts.
struct Column {
    Halide::Expr at, counts;
};
Column column_at(const Halide::Func& index, const TensorType& type,
                 const IndexAttributes& attributes, int64_t columns, const Halide::Expr& place,
                 const Halide::Expr& n);

}  // namespace emulsion
