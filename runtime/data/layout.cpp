// One formula for all ranks: [O, I, rest…] lies as [O/16][rest…][I][16], and I itself may be a
// flattened map whose (C, H, W) becomes (H, W, C). A tensor of rank 0 is one value, without
// padding.
#include "runtime/data/layout.h"

#include <algorithm>

namespace emulsion {

namespace {

constexpr uint64_t kBlock = 16;

// The extents of the formula.
struct Axes {
    uint64_t outputs = 1, inputs = 1, rest = 1;
};

Axes axes_of(const emulsion_tensor& tensor) {
    Axes axes;
    if (tensor.rank > 0) axes.outputs = static_cast<uint64_t>(tensor.shape[0]);
    if (tensor.rank > 1) axes.inputs = static_cast<uint64_t>(tensor.shape[1]);
    for (int axis = 2; axis < tensor.rank; axis++)
        axes.rest *= static_cast<uint64_t>(tensor.shape[axis]);
    return axes;
}

// Where logical input `i` lies among the inputs in memory.
uint64_t input_place(const emulsion_tensor& tensor, uint64_t i) {
    if (tensor.rank != 2 || tensor.flattened[0] == 0) return i;
    const uint64_t channels = static_cast<uint64_t>(tensor.flattened[0]);
    const uint64_t pixels =
        static_cast<uint64_t>(tensor.flattened[1]) * static_cast<uint64_t>(tensor.flattened[2]);
    return i % pixels * channels + i / pixels;
}

// Calls copy(n, memory index) for the logical elements first + n, n in [0, count).
template <typename Copy>
void for_each_element(const emulsion_tensor& tensor, uint64_t first, uint64_t count, Copy copy) {
    const Axes axes = axes_of(tensor);
    if (count == 0) return;
    uint64_t r = first % axes.rest, i = first / axes.rest % axes.inputs;
    uint64_t o = first / axes.rest / axes.inputs;
    for (uint64_t n = 0; n < count; o++, i = 0) {
        const uint64_t block = o / kBlock * axes.rest * axes.inputs * kBlock + o % kBlock;
        for (; i < axes.inputs && n < count; i++, r = 0) {
            const uint64_t place = input_place(tensor, i);
            for (; r < axes.rest && n < count; r++, n++) {
                copy(n, block + (r * axes.inputs + place) * kBlock);
            }
        }
    }
}

}  // namespace

uint64_t logical_elements(const emulsion_tensor& tensor) {
    const Axes axes = axes_of(tensor);
    return axes.outputs * axes.inputs * axes.rest;
}

uint64_t memory_elements(const emulsion_tensor& tensor) {
    if (tensor.rank == 0) return 1;
    const Axes axes = axes_of(tensor);
    return (axes.outputs + kBlock - 1) / kBlock * kBlock * axes.inputs * axes.rest;
}

void pack(const emulsion_tensor& tensor, const float* logical, float* memory) {
    std::fill(memory, memory + memory_elements(tensor), 0.0f);
    pack_part(tensor, 0, {logical, logical_elements(tensor)}, memory);
}

void unpack(const emulsion_tensor& tensor, const float* memory, float* logical) {
    unpack_part(tensor, 0, memory, {logical, logical_elements(tensor)});
}

void pack_part(const emulsion_tensor& tensor, uint64_t first, std::span<const float> logical,
               float* memory) {
    for_each_element(tensor, first, logical.size(),
                     [=](uint64_t from, uint64_t to) { memory[to] = logical[from]; });
}

void unpack_part(const emulsion_tensor& tensor, uint64_t first, const float* memory,
                 std::span<float> logical) {
    for_each_element(tensor, first, logical.size(),
                     [=](uint64_t to, uint64_t from) { logical[to] = memory[from]; });
}

float* tensor_memory(const emulsion_tensor& tensor, const emulsion_memory& memory) {
    return reinterpret_cast<float*>(static_cast<char*>(memory.block[tensor.memory_class]) +
                                    tensor.offset);
}

}  // namespace emulsion
