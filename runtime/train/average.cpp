// See average.h.
#include "runtime/train/average.h"

#include <cstring>

#include "runtime/data/layout.h"
#include "runtime/data/weights.h"

namespace emulsion {

namespace {

// Nothing of the blocks is resident but what is touched.
emulsion_sizes sizes_of_average(const emulsion_sizes& sizes) {
    emulsion_sizes own{};
    for (int c : {EMULSION_PARAMETERS, EMULSION_STATE}) own.bytes[c] = sizes.bytes[c];
    own.threads = sizes.threads;
    return own;
}

}  // namespace

WeightAverage::WeightAverage(double decay, const emulsion_info& info, const emulsion_info& names,
                             const emulsion_sizes& sizes, const emulsion_memory& memory)
    : rest_(static_cast<float>(1.0 - decay)),
      tensors_(weights_tensors(info, names)),
      weights_(memory),
      blocks_(sizes_of_average(sizes)) {}

void WeightAverage::update(uint64_t step) {
    for (const emulsion_tensor* tensor : tensors_) {
        const float* from = tensor_memory(*tensor, weights_);
        float* to = tensor_memory(*tensor, blocks_.memory());
        if (step == 1) {
            std::memcpy(to, from, tensor->bytes);
            continue;
        }
        const uint64_t count = tensor->bytes / sizeof(float);
        for (uint64_t i = 0; i < count; i++) to[i] += rest_ * (from[i] - to[i]);
    }
}

std::vector<std::span<uint8_t>> WeightAverage::parts() const {
    std::vector<std::span<uint8_t>> parts;
    for (const emulsion_tensor* tensor : tensors_) {
        float* place = tensor_memory(*tensor, blocks_.memory());
        parts.emplace_back(reinterpret_cast<uint8_t*>(place), tensor->bytes);
    }
    return parts;
}

}  // namespace emulsion
