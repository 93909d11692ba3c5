// Logical tensors and their way into memory and back.
#include "tests/reference/tensor.h"

#include <cstring>
#include <numeric>
#include <stdexcept>

namespace emulsion::reference {

namespace {

size_t count_of(const TensorType& type, int64_t samples) {
    return static_cast<size_t>(element_count(type) * (type.batched ? samples : 1));
}

// A flattened feature's place among its features in memory.
int64_t feature_place(const std::vector<int64_t>& factors, int64_t feature) {
    if (factors.empty()) return feature;
    const int64_t cells = factors[1] * factors[2];
    return feature % cells * factors[0] + feature / cells;
}

void store(const TensorType& type, double value, std::byte* memory) {
    switch (type.element) {
        case ElementType::f32: {
            const auto number = static_cast<float>(value);
            std::memcpy(memory, &number, sizeof number);
            return;
        }
        case ElementType::i32: {
            const auto number = static_cast<int32_t>(static_cast<int64_t>(value));
            std::memcpy(memory, &number, sizeof number);
            return;
        }
        case ElementType::u8:
            *memory = static_cast<std::byte>(static_cast<int>(value));
            return;
    }
}

double load(const TensorType& type, const std::byte* memory) {
    if (type.element == ElementType::u8) return static_cast<double>(*memory);
    if (type.element == ElementType::f32) {
        float number;
        std::memcpy(&number, memory, sizeof number);
        return number;
    }
    int32_t number;
    std::memcpy(&number, memory, sizeof number);
    return number;
}

}  // namespace

std::vector<int64_t> Tensor::extents() const {
    std::vector<int64_t> result = type.shape;
    if (type.batched) result.insert(result.begin(), samples);
    return result;
}

size_t Tensor::offset(std::initializer_list<int64_t> index) const {
    const size_t leading = type.batched ? 1 : 0;
    if (index.size() != leading + type.shape.size()) {
        throw std::runtime_error("a tensor is read with a wrong number of indices");
    }
    int64_t flat = 0;
    size_t axis = 0;
    for (int64_t i : index) {
        const int64_t extent = axis < leading ? samples : type.shape[axis - leading];
        if (i < 0 || i >= extent) throw std::runtime_error("a tensor is read beyond its border");
        flat = flat * extent + i;
        axis++;
    }
    return static_cast<size_t>(flat);
}

size_t repeated_offset(const Tensor& from, const Tensor& to, size_t flat) {
    if (from.type.batched == to.type.batched && from.type.shape == to.type.shape) return flat;
    auto rest = static_cast<int64_t>(flat);
    int64_t offset = 0, stride = 1;
    for (size_t i = to.type.shape.size(); i-- > 0; rest /= to.type.shape[i]) {
        if (i >= from.type.shape.size()) continue;
        const int64_t extent = from.type.shape[i];
        if (extent != 1) offset += rest % to.type.shape[i] * stride;
        stride *= extent;
    }
    return static_cast<size_t>(offset + (from.type.batched ? rest * stride : 0));
}

Tensor make_tensor(const TensorType& type, int64_t samples) {
    return {type, type.batched ? samples : 1, std::vector<double>(count_of(type, samples), 0.0)};
}

Tensor make_tensor(const TensorType& type, int64_t samples, std::vector<double> values) {
    if (values.size() != count_of(type, samples))
        throw std::runtime_error("a tensor gets a wrong number of values");
    return {type, type.batched ? samples : 1, std::move(values)};
}

std::vector<size_t> memory_offsets(const TensorType& type, int64_t samples) {
    std::vector<int64_t> extents = memory_extents(type);  // innermost first
    if (type.batched) extents.push_back(samples);
    std::vector<int64_t> strides;
    int64_t size = 1;
    for (int64_t extent : extents) {
        strides.push_back(size);
        size *= extent;
    }
    // What an index adds, whatever those of the other axes are.
    const size_t rank = type.shape.size();
    const bool is_blocked = !type.batched && rank >= 2;
    const auto place = [&](size_t axis, int64_t index) {
        if (is_blocked && axis == 0)
            return index % kBlock * strides[0] + index / kBlock * strides[rank];
        if (axis == 0 && rank == 1 && type.batched) index = feature_place(type.factors, index);
        if (is_blocked && axis == 1 && rank == 2) index = feature_place(type.factors, index);
        if (axis == 0 || (is_blocked && axis == 1)) return index * strides[axis];
        return index * strides[rank - axis + (is_blocked ? 1 : 0)];
    };
    std::vector<size_t> offsets;
    for (int64_t sample = 0; sample < (type.batched ? samples : 1); sample++)
        offsets.push_back(static_cast<size_t>(type.batched ? sample * strides.back() : 0));
    for (size_t axis = 0; axis < rank; axis++) {
        std::vector<size_t> all;
        for (size_t begin : offsets)
            for (int64_t index = 0; index < type.shape[axis]; index++)
                all.push_back(begin + static_cast<size_t>(place(axis, index)));
        offsets = std::move(all);
    }
    return offsets;
}

std::vector<std::byte> pack(const Tensor& tensor) {
    std::vector<std::byte> memory(static_cast<size_t>(memory_bytes(tensor.type, tensor.samples)));
    const auto size = static_cast<size_t>(bytes_of(tensor.type.element));
    const std::vector<size_t> offsets = memory_offsets(tensor.type, tensor.samples);
    for (size_t i = 0; i < tensor.values.size(); i++)
        store(tensor.type, tensor.values[i], memory.data() + size * offsets[i]);
    return memory;
}

Tensor unpack(const TensorType& type, int64_t samples, const void* memory) {
    Tensor tensor = make_tensor(type, samples);
    const auto* bytes = static_cast<const std::byte*>(memory);
    const auto size = static_cast<size_t>(bytes_of(type.element));
    std::vector<bool> used(static_cast<size_t>(memory_bytes(type, samples)) / size, false);
    const std::vector<size_t> offsets = memory_offsets(type, samples);
    for (size_t i = 0; i < tensor.values.size(); i++) {
        const size_t offset = offsets[i];
        if (used[offset]) throw std::runtime_error("two elements share one place in memory");
        used[offset] = true;
        tensor.values[i] = load(type, bytes + size * offset);
    }
    for (size_t i = 0; i < used.size(); i++) {
        if (!used[i] && load(type, bytes + size * i) != 0) {
            throw std::runtime_error("a padding lane of " + to_string(type) + " is not zero");
        }
    }
    return tensor;
}

Tensor rounded(Tensor tensor) {
    std::byte memory[4];
    for (double& value : tensor.values) {
        store(tensor.type, value, memory);
        value = load(tensor.type, memory);
    }
    return tensor;
}

}  // namespace emulsion::reference
