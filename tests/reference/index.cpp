// Reading, summing and the largest at indices.
#include <cmath>

#include "compiler/ops/gather.h"
#include "compiler/ops/scatter_max.h"
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

std::vector<Tensor> scatter_max(const Call& call) {
    const auto& op = call.as<ScatterMax>();
    const Tensor &values = call.input(0), &index = call.input(1);
    Tensor y = call.output(), winner = call.output(1);
    for (double& place : winner.values) place = -1;
    for (int64_t n = 0; n < call.samples; n++)
        for (int64_t l = 0; l < values.type.shape[1]; l++) {
            const int64_t column = column_of(index, op, n, l);
            for (int64_t d = 0; column >= 0 && d < values.type.shape[0]; d++) {
                const double value = values.at(n, d, l), best = y.at(n, d, column);
                const bool wins = winner.at(n, d, column) < 0 || value > best ||
                                  (std::isnan(value) && !std::isnan(best));
                if (!wins) continue;
                y.at(n, d, column) = value;
                winner.at(n, d, column) = static_cast<double>(l);
            }
        }
    return {y, winner};
}

std::vector<Tensor> scatter_max_backward(const Call& call) {
    const Tensor &dy = call.input(0), &winner = call.input(1);
    Tensor dx = call.output();
    for (int64_t n = 0; n < call.samples; n++)
        for (int64_t d = 0; d < dy.type.shape[0]; d++)
            for (int64_t v = 0; v < dy.type.shape[1]; v++) {
                const auto place = static_cast<int64_t>(winner.at(n, d, v));
                if (place >= 0) dx.at(n, d, place) += dy.at(n, d, v);
            }
    return {dx};
}

}  // namespace

void add_index(Table& table) {
    table["gather"] = gather;
    table["scatter_max"] = scatter_max;
    table["scatter_max_backward"] = scatter_max_backward;
    table["scatter_sum"] = scatter_sum;
}

}  // namespace emulsion::reference
