// What functions of elementwise ops share.
#pragma once

#include <algorithm>
#include <array>
#include <initializer_list>
#include <stdexcept>
#include <vector>

#include "tests/reference/interpreter.h"

namespace emulsion::reference {

// The operands, or the results, of one element; kept off the heap.
struct Numbers {
    Numbers() = default;
    Numbers(std::initializer_list<double> list) {
        std::copy(list.begin(), list.end(), values.begin());
    }
    double operator[](size_t i) const { return values[i]; }
    std::array<double, 8> values{};
};

// Applies `function` to the operands of every element.
template <class Function>
std::vector<Tensor> map(const Call& call, const Function& function) {
    std::vector<Tensor> results;
    for (size_t k = 0; k < call.types.size(); k++) results.push_back(call.output(k));
    Numbers operands;
    if (call.inputs.size() > operands.values.size())
        throw std::runtime_error("an elementwise op has too many operands");
    for (size_t i = 0; i < results[0].values.size(); i++) {
        for (size_t k = 0; k < call.inputs.size(); k++) {
            const Tensor& x = *call.inputs[k];
            operands.values[k] = x.values[repeated_offset(x, results[0], i)];
        }
        const Numbers values = function(operands);
        for (size_t k = 0; k < results.size(); k++) results[k].values[i] = values[k];
    }
    return results;
}

template <double (*function)(double)>
std::vector<Tensor> unary(const Call& call) {
    return map(call, [](const Numbers& x) { return Numbers{function(x[0])}; });
}

template <double (*function)(double, double)>
std::vector<Tensor> binary(const Call& call) {
    return map(call, [](const Numbers& x) { return Numbers{function(x[0], x[1])}; });
}

}  // namespace emulsion::reference
