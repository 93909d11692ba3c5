// Matrix products of the dense layer, and distances. Logical features need no thought of their
// order in memory.
#include "tests/reference/interpreter.h"

namespace emulsion::reference {

namespace {

std::vector<Tensor> dense(const Call& call) {
    const Tensor &x = call.input(0), &w = call.input(1);
    Tensor y = call.output();
    for (int64_t n = 0; n < call.samples; n++)
        for (int64_t o = 0; o < w.type.shape[0]; o++)
            for (int64_t i = 0; i < w.type.shape[1]; i++) y.at(n, o) += x.at(n, i) * w.at(o, i);
    return {y};
}

std::vector<Tensor> dense_backward_data(const Call& call) {
    const Tensor &dy = call.input(0), &w = call.input(1);
    Tensor dx = call.output();
    for (int64_t n = 0; n < call.samples; n++)
        for (int64_t o = 0; o < w.type.shape[0]; o++)
            for (int64_t i = 0; i < w.type.shape[1]; i++) dx.at(n, i) += dy.at(n, o) * w.at(o, i);
    return {dx};
}

std::vector<Tensor> dense_backward_weights(const Call& call) {
    const Tensor &x = call.input(0), &dy = call.input(1);
    Tensor dw = call.output();
    for (int64_t n = 0; n < call.samples; n++)
        for (int64_t o = 0; o < dw.type.shape[0]; o++)
            for (int64_t i = 0; i < dw.type.shape[1]; i++) dw.at(o, i) += x.at(n, i) * dy.at(n, o);
    return {dw};
}

std::vector<Tensor> squared_distance(const Call& call) {
    const Tensor &x = call.input(0), &centers = call.input(1);
    Tensor y = call.output();
    for (int64_t n = 0; n < call.samples; n++) {
        for (int64_t o = 0; o < centers.type.shape[0]; o++) {
            for (int64_t i = 0; i < centers.type.shape[1]; i++) {
                const double apart = x.at(n, i) - centers.at(o, i);
                y.at(n, o) += apart * apart;
            }
        }
    }
    return {y};
}

}  // namespace

void add_dense(Table& table) {
    table["dense"] = dense;
    table["dense_backward_data"] = dense_backward_data;
    table["dense_backward_weights"] = dense_backward_weights;
    table["squared_distance"] = squared_distance;
}

}  // namespace emulsion::reference
