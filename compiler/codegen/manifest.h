// What a library says of itself in text: signature of the network, line of the optimiser, bytes,
// the JSON manifest, the C header, and the description that its programs carry.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "compiler/codegen/library.h"

namespace emulsion {

struct VariantBytes {
    int64_t slab0 = 0, slab = 0;  // of the calling thread and of every other worker
};

// The slabs of a variant: the maximum over its kernels. One for devices has none.
VariantBytes bytes_of(const VariantPlan& variant, const VariantKernels& kernels);

// What bind allocates on a device of the variant, by emulsion_class.
std::array<int64_t, 6> device_bytes(const Plan& plan, const VariantPlan& variant);

// 16 hexadecimal digits, equal for the training and the inference library of one network: hash of
// what the weights mean, the forward graph and the names and shapes of its tensors.
std::string network_signature(const Network& network);

// "sgd learning_rate=0.05 momentum=0.9 … schedule=cosine"
std::string optimizer_line(const Network& network);

std::string manifest_text(const std::string& name, const Network& network, const Plan& plan,
                          const std::vector<VariantKernels>& kernels);

std::string header_text(const std::string& name, const Network& network, const Plan& plan,
                        const std::vector<VariantKernels>& kernels);

// The JSON that programs read; `train` is null for the inference program.
std::string description_text(const Network& network, const Plan* train, const Plan& infer);

}  // namespace emulsion
