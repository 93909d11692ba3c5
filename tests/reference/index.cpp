// Reading and summing at indices.
#include "compiler/ops/gather.h"
#include "compiler/ops/scatter_sum.h"
#include "tests/reference/interpreter.h"

namespace emulsion::reference {

namespace {

// The column that an index names for place l of sample n; -1 for none.
int64_t column_of(const Tensor& index, const IndexAttributes& attributes, int64_t n, int64_t l) {
    const double given =
        index.type.shape.size() == 1 ? index.at(n, l) : index.at(n, attributes.row, l);
    const auto column = static_cast<int64_t>(given);
    return attributes.ignored_number() == column ? -1 : column;
}

std::vector<Tensor> gather(const Call& call) {
    const auto& op = call.as<Gather>();
    const Tensor &x = call.input(0), &index = call.input(1);
    Tensor y = call.output();
    for (int64_t n = 0; n < call.samples; n++)
        for (int64_t l = 0; l < y.type.shape[1]; l++) {
            const int64_t column = column_of(index, op, n, l);
            for (int64_t d = 0; column >= 0 && d < y.type.shape[0]; d++)
                y.at(n, d, l) = x.type.batched ? x.at(n, d, column) : x.at(d, column);
        }
    return {y};
}

std::vector<Tensor> scatter_sum(const Call& call) {
    const auto& op = call.as<ScatterSum>();
    const Tensor &values = call.input(0), &index = call.input(1);
    Tensor y = call.output();
    for (int64_t n = 0; n < call.samples; n++)
        for (int64_t l = 0; l < values.type.shape[1]; l++) {
            const int64_t column = column_of(index, op, n, l);
            for (int64_t d = 0; column >= 0 && d < values.type.shape[0]; d++)
                (op.sum_samples ? y.at(d, column) : y.at(n, d, column)) += values.at(n, d, l);
        }
    return {y};
}

}  // namespace

void add_index(Table& table) {
    table["gather"] = gather;
    table["scatter_sum"] = scatter_sum;
}

}  // namespace emulsion::reference
