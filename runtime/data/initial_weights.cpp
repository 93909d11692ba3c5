// See initial_weights.h.
#include "runtime/data/initial_weights.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>
#include <utility>

#include "runtime/data/checksum.h"
#include "runtime/data/foreign_names.h"
#include "runtime/data/layout.h"
#include "runtime/data/safetensors.h"
#include "runtime/data/weights.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr size_t kChunk = 1 << 18;  // elements read at once

std::vector<int64_t> shape_of(const emulsion_tensor& tensor) {
    return {tensor.shape, tensor.shape + tensor.rank};
}

// A tensor of the network and the one of its name in the file, or null.
struct Pair {
    const emulsion_tensor* own;
    const TensorEntry* theirs;

    bool fits() const {
        return theirs != nullptr && theirs->type == "F32" && theirs->shape == shape_of(*own);
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

// Calls visit(first element, values) for the parts of the entry's data.
template <typename Visit>
void read_values(const ByteSource& input, const SafetensorsHeader& header, const TensorEntry& entry,
                 Visit visit) {
    std::vector<float> buffer(kChunk);
    const uint64_t count = (entry.end - entry.begin) / sizeof(float);
    for (uint64_t first = 0; first < count; first += kChunk) {
        const std::span<float> part(buffer.data(), std::min<uint64_t>(kChunk, count - first));
        input.read(header.data_begin + entry.begin + first * sizeof(float),
                   {reinterpret_cast<uint8_t*>(part.data()), part.size_bytes()});
        visit(first, std::span<const float>(part));
    }
}

// Of all data, where the file says what they were.
void check_checksum(const ByteSource& input, const SafetensorsHeader& header) {
    const std::string* stored = header.find_metadata(kWeightsChecksumKey);
    if (stored == nullptr) return;
    Bytes buffer(kChunk * sizeof(float));
    Checksum checksum;
    for (uint64_t at = header.data_begin; at < input.size(); at += buffer.size()) {
        const std::span<uint8_t> part(buffer.data(),
                                      std::min<uint64_t>(buffer.size(), input.size() - at));
        input.read(at, part);
        checksum.add(part);
    }
    const std::string found = checksum_text(checksum.value());
    if (*stored == found) return;
    input.refuse(concat("the data are damaged: their checksum is ", found, ", but ",
                        quoted(*stored), " was written with them"),
                 "replace the file");
}

void check_finite(const ByteSource& input, const SafetensorsHeader& header,
                  const TensorEntry& entry) {
    read_values(input, header, entry, [&](uint64_t first, std::span<const float> values) {
        for (size_t i = 0; i < values.size(); i++) {
            if (std::isfinite(values[i])) continue;
            input.refuse(
                concat("tensor ", quoted(entry.name), " holds ",
                       std::isnan(values[i]) ? "NaN" : "infinity", " at index ", first + i),
                "give weights of an earlier step");
        }
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
        const NamedShape own{pair.own->name, shape_of(*pair.own)};
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
