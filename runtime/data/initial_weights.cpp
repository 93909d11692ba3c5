// See initial_weights.h.
#include "runtime/data/initial_weights.h"

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

#include "runtime/data/checksum.h"
#include "runtime/data/foreign_names.h"
#include "runtime/data/layout.h"
#include "runtime/data/safetensors.h"
#include "runtime/data/weight_values.h"
#include "runtime/data/weights.h"
#include "runtime/support/limits.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

// A tensor of the network and the one of its name in the file, or null.
struct Pair {
    const emulsion_tensor* own;
    const TensorEntry* theirs;

    bool fits() const {
        return theirs != nullptr && theirs->type == "F32" &&
               std::ranges::equal(theirs->shape, shape_of(*own));
    }
};

// By the rules, or by the network's own names.
std::vector<Pair> pairs_by(const NameRules* rules, const SafetensorsHeader& header,
                           std::span<const emulsion_tensor* const> tensors) {
    std::optional<ForeignNames> foreign;
    if (rules != nullptr) foreign.emplace(*rules);
    std::vector<Pair> pairs;
    for (const emulsion_tensor* tensor : tensors) {
        const std::optional<std::string> name =
            foreign ? foreign->name_of(tensor->name) : std::string(tensor->name);
        pairs.push_back({tensor, name ? header.find(*name) : nullptr});
    }
    return pairs;
}

int64_t fitting(const std::vector<Pair>& pairs) {
    return std::count_if(pairs.begin(), pairs.end(), [](const Pair& pair) { return pair.fits(); });
}

// What a message shows of a list of tensors: the first one.
std::string first_text(std::string_view name, std::span<const int64_t> shape) {
    return concat(quoted(name), " ", shape_text(shape));
}

// Of all data, where the file says what they were.
void check_checksum(const ByteSource& input, const SafetensorsHeader& header) {
    constexpr uint64_t kPart = kMebi;  // bytes read at once
    if (header.find_metadata(kWeightsChecksumKey) == nullptr) return;
    Bytes buffer(kPart);
    Checksum checksum;
    for (uint64_t at = header.data_begin; at < input.size(); at += kPart) {
        const std::span<uint8_t> part(buffer.data(), std::min(kPart, input.size() - at));
        input.read(at, part);
        checksum.add(part);
    }
    check_stored_checksum(input, header, checksum.value());
}

void check_finite(const ByteSource& input, const SafetensorsHeader& header,
                  const TensorEntry& entry) {
    read_values(input, header, entry, [&](uint64_t first, std::span<const float> values) {
        if (const auto fault = not_finite_text(entry, first, values))
            input.refuse(*fault, kNotFiniteFix);
    });
}

void take_values(const ByteSource& input, const SafetensorsHeader& header, const Pair& pair,
                 const emulsion_memory& memory) {
    float* place = tensor_memory(*pair.own, memory);
    std::fill(place, place + memory_elements(*pair.own), 0.0f);
    read_values(input, header, *pair.theirs, [&](uint64_t first, std::span<const float> values) {
        pack_part(*pair.own, first, values, place);
    });
}

InitialWeights report_of(const std::vector<Pair>& pairs, const SafetensorsHeader& header) {
    InitialWeights report;
    std::vector<const TensorEntry*> used;
    for (const Pair& pair : pairs) {
        const std::span<const int64_t> shape = shape_of(*pair.own);
        const NamedShape own{pair.own->name, {shape.begin(), shape.end()}};
        if (pair.theirs == nullptr) {
            report.missing.push_back(own);
            continue;
        }
        used.push_back(pair.theirs);
        if (pair.fits()) {
            report.matched.push_back(own.name);
        } else {
            report.differing.push_back(
                {own, {pair.theirs->name, pair.theirs->shape}, pair.theirs->type});
        }
    }
    std::sort(used.begin(), used.end());
    for (const TensorEntry& entry : header.tensors) {
        if (!std::binary_search(used.begin(), used.end(), &entry))
            report.left_over.push_back({entry.name, entry.shape});
    }
    return report;
}

}  // namespace

InitialWeights load_initial_weights(const ByteSource& input, const emulsion_info& info,
                                    const emulsion_memory& memory, const emulsion_info& names) {
    const SafetensorsHeader header = read_safetensors(input);
    const std::vector<const emulsion_tensor*> tensors = weights_tensors(info, names);
    std::vector<Pair> pairs = pairs_by(nullptr, header, tensors);
    std::string origin;
    for (const NameRules& rules : name_rules()) {
        std::vector<Pair> others = pairs_by(&rules, header, tensors);
        if (fitting(others) <= fitting(pairs)) continue;
        pairs = std::move(others);
        origin = rules.origin;
    }
    if (fitting(pairs) == 0) {
        const std::string theirs =
            header.tensors.empty() ? "none"
                                   : first_text(header.tensors[0].name, header.tensors[0].shape);
        input.refuse(
            concat("none of its ", header.tensors.size(), " tensors fits the network ",
                   quoted(info.network), " by name, shape and type; its first is ", theirs,
                   ", that of the network ",
                   tensors.empty() ? "none" : first_text(tensors[0]->name, shape_of(*tensors[0]))),
            "give weights whose layers have the same names, or those of torchvision for a "
            "network built as in examples/networks");
    }
    check_checksum(input, header);
    for (const Pair& pair : pairs) {
        if (pair.fits()) check_finite(input, header, *pair.theirs);
    }
    for (const Pair& pair : pairs) {
        if (pair.fits()) take_values(input, header, pair, memory);
    }
    InitialWeights report = report_of(pairs, header);
    report.origin = origin;
    return report;
}

}  // namespace emulsion
