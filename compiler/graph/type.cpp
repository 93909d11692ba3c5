// Text and memory layout of tensor types.
#include "compiler/graph/type.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <numeric>

#include "compiler/support/diagnostic.h"

namespace emulsion {

namespace {

int64_t product(const std::vector<int64_t>& values) {
    return std::accumulate(values.begin(), values.end(), int64_t{1}, std::multiplies<>());
}

}  // namespace

TensorType batched_type(std::vector<int64_t> shape, ElementType element) {
    return {element, /*batched=*/true, std::move(shape), {}};
}

TensorType plain_type(std::vector<int64_t> shape, ElementType element) {
    return {element, /*batched=*/false, std::move(shape), {}};
}

TensorType row_type(const TensorType& features_or_map, ElementType element) {
    TensorType type = batched_type(features_or_map.shape, element);
    if (type.shape.size() < 2) {
        type.shape.clear();
    } else {
        type.shape[0] = 1;
    }
    return type;
}

std::string to_string(ElementType element) {
    switch (element) {
        case ElementType::f32:
            return "f32";
        case ElementType::i32:
            return "i32";
        case ElementType::u8:
            return "u8";
    }
    return "";
}

std::string to_string(const TensorType& type) {
    std::string text = to_string(type.element) + "[";
    if (type.batched) text += type.shape.empty() ? "n" : "n,";
    text += fmt::format("{}]", fmt::join(type.shape, ","));
    if (!type.factors.empty()) text += fmt::format("{{{}}}", fmt::join(type.factors, ","));
    return text;
}

int64_t bytes_of(ElementType element) { return element == ElementType::u8 ? 1 : 4; }

int64_t element_count(const TensorType& type) { return product(type.shape); }

std::vector<int64_t> memory_extents(const TensorType& type) {
    const std::vector<int64_t>& s = type.shape;
    if (s.empty()) return {};
    std::vector<int64_t> extents;
    if (type.batched) {
        extents.push_back(s[0]);
        extents.insert(extents.end(), s.rbegin(), s.rend() - 1);
        return extents;
    }
    if (s.size() == 1) return {round_up(s[0], kBlock)};
    extents = {kBlock, s[1]};
    extents.insert(extents.end(), s.rbegin(), s.rend() - 2);
    extents.push_back((s[0] + kBlock - 1) / kBlock);
    return extents;
}

int64_t memory_bytes(const TensorType& type, int64_t samples) {
    return product(memory_extents(type)) * bytes_of(type.element) * (type.batched ? samples : 1);
}

int dimension_count(const TensorType& type) {
    return static_cast<int>(memory_extents(type).size()) + (type.batched ? 1 : 0);
}

}  // namespace emulsion
