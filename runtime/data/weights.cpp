// Tensors of a library to and from safetensors, by logical name.
#include "runtime/data/weights.h"

#include <algorithm>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "runtime/data/checksum.h"
#include "runtime/data/layout.h"
#include "runtime/data/origin.h"
#include "runtime/data/weight_values.h"
#include "runtime/support/atomic_file.h"
#include "runtime/support/limits.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr const char* kFormat = "emulsion-weights-1";
constexpr size_t kChunk = 1 << 18;  // elements written at once

std::span<const emulsion_tensor> tensors_of(const emulsion_info& info) {
    return {info.tensors, static_cast<size_t>(info.tensor_count)};
}

// Writing

Metadata make_metadata(const emulsion_info& info, const TrainedFor& trained, uint64_t checksum) {
    Metadata metadata = {
        {"format", kFormat}, {"network", info.network}, {"signature", info.signature}};
    const Metadata origin = describe_origin(info);
    metadata.insert(metadata.end(), origin.begin(), origin.end());
    const Metadata data = describe_data(trained.data, info);
    metadata.insert(metadata.end(), data.begin(), data.end());
    metadata.emplace_back("optimizer", info.optimizer);
    metadata.emplace_back("epoch", concat(trained.epoch));
    metadata.emplace_back("step", concat(trained.step));
    metadata.insert(metadata.end(), trained.metrics.begin(), trained.metrics.end());
    metadata.emplace_back(kWeightsChecksumKey, checksum_text(checksum));
    return metadata;
}

std::span<const uint8_t> bytes_of(std::span<const float> values) {
    return {reinterpret_cast<const uint8_t*>(values.data()), values.size_bytes()};
}

// Calls visit(bytes) for the tensors' data in the order of the file, part by part.
template <typename Visit>
void visit_data(std::span<const emulsion_tensor* const> tensors, const emulsion_memory& memory,
                Visit visit) {
    std::vector<float> buffer(kChunk);
    for (const emulsion_tensor* tensor : tensors) {
        const uint64_t count = logical_elements(*tensor);
        for (uint64_t first = 0; first < count; first += kChunk) {
            const std::span<float> part(buffer.data(), std::min<uint64_t>(kChunk, count - first));
            unpack_part(*tensor, first, tensor_memory(*tensor, memory), part);
            visit(bytes_of(part));
        }
    }
}

// Where the tensors lie in the file.
std::vector<TensorEntry> make_entries(std::span<const emulsion_tensor* const> tensors) {
    std::vector<TensorEntry> entries;
    uint64_t begin = 0;
    for (const emulsion_tensor* tensor : tensors) {
        const std::span<const int64_t> shape = shape_of(*tensor);
        const uint64_t end = begin + logical_elements(*tensor) * sizeof(float);
        entries.push_back({tensor->name, "F32", {shape.begin(), shape.end()}, begin, end});
        begin = end;
    }
    return entries;
}

// Checks of a file

// What the checks have at hand.
struct File {
    const ByteSource& input;
    const SafetensorsHeader& header;
    const emulsion_info& info;

    [[noreturn]] void refuse(const std::string& what, const std::string& fix) const {
        input.refuse(what, fix);
    }
    std::string own_fix() const {
        return concat("give the weights that training ", quoted(info.network), " wrote");
    }
};

void check_metadata(const File& file) {
    const std::string* format = file.header.find_metadata("format");
    if (format == nullptr || *format != kFormat) {
        file.refuse(concat("expected the format ", quoted(kFormat), " in the metadata, found ",
                           format ? quoted(*format) : "none"),
                    file.own_fix());
    }
    const std::string* network = file.header.find_metadata("network");
    const std::string* signature = file.header.find_metadata("signature");
    if (signature == nullptr || *signature != file.info.signature) {
        file.refuse(concat("the weights belong to the network ",
                           network ? quoted(*network) : "without a name", " with the signature ",
                           signature ? one_line(*signature) : "none", "; this program runs ",
                           quoted(file.info.network), " with the signature ", file.info.signature),
                    file.own_fix());
    }
    check_origin(file.header.metadata, file.info, "weights", file.input.name());
}

void check_tensor(const File& file, const emulsion_tensor& tensor, const TensorEntry* entry) {
    const std::string name = quoted(tensor.name);
    if (entry == nullptr) {
        file.refuse(concat("tensor ", name, " ", shape_text(shape_of(tensor)), " is missing"),
                    file.own_fix());
    }
    if (entry->type != "F32") {
        file.refuse(concat("tensor ", name, " has the type ", entry->type, "; expected F32"),
                    file.own_fix());
    }
    const std::span<const int64_t> expected = shape_of(tensor);
    if (!std::equal(entry->shape.begin(), entry->shape.end(), expected.begin(), expected.end())) {
        file.refuse(concat("tensor ", name, " has the shape ", shape_text(entry->shape),
                           "; the network expects ", shape_text(expected)),
                    file.own_fix());
    }
}

// A file of more bytes than the network's weights can have is not looked into.
void check_bytes(const ByteSource& input, std::span<const emulsion_tensor* const> tensors,
                 const emulsion_info& info) {
    uint64_t limit = kMostHeaderBytes + sizeof(uint64_t);
    for (const emulsion_tensor* tensor : tensors)
        limit += logical_elements(*tensor) * sizeof(float);
    if (input.size() <= limit) return;
    input.refuse(concat("the file has ", input.size(), " bytes; the weights of ",
                        quoted(info.network), " have at most ", limit),
                 concat("give the weights that training ", quoted(info.network), " wrote"));
}

// The tensor of each entry; every tensor of the network is in the file and nothing else is.
std::vector<const emulsion_tensor*> match_tensors(const File& file,
                                                  std::span<const emulsion_tensor* const> tensors) {
    std::vector<const emulsion_tensor*> matched(file.header.tensors.size());
    for (const emulsion_tensor* tensor : tensors) {
        const TensorEntry* entry = file.header.find(tensor->name);
        check_tensor(file, *tensor, entry);
        matched[static_cast<size_t>(entry - file.header.tensors.data())] = tensor;
    }
    const auto unknown = std::find(matched.begin(), matched.end(), nullptr);
    if (unknown == matched.end()) return matched;
    const TensorEntry& entry = file.header.tensors[static_cast<size_t>(unknown - matched.begin())];
    file.refuse(concat("tensor ", quoted(entry.name), " ", shape_text(entry.shape),
                       " is not part of the network ", quoted(file.info.network)),
                file.own_fix());
}

// Reads the data from the front, part by part: visit(index of the entry, first element, values).
// Returns their checksum.
template <typename Visit>
uint64_t read_data(const File& file, Visit visit) {
    Checksum checksum;
    for (size_t i = 0; i < file.header.tensors.size(); i++) {
        read_values(file.input, file.header, file.header.tensors[i],
                    [&](uint64_t first, std::span<const float> values) {
                        checksum.add(bytes_of(values));
                        visit(i, first, values);
                    });
    }
    return checksum.value();
}

// All values are finite and those that were written; returns their checksum.
uint64_t check_values(const File& file) {
    std::optional<std::string> not_finite;
    const uint64_t checksum =
        read_data(file, [&](size_t index, uint64_t first, std::span<const float> values) {
            if (!not_finite)
                not_finite = not_finite_text(file.header.tensors[index], first, values);
        });
    check_stored_checksum(file.input, file.header, checksum);
    if (not_finite) file.refuse(*not_finite, kNotFiniteFix);
    return checksum;
}

}  // namespace

std::vector<const emulsion_tensor*> weights_tensors(const emulsion_info& info,
                                                    const emulsion_info& names) {
    std::vector<const emulsion_tensor*> common;
    for (const emulsion_tensor& tensor : tensors_of(info)) {
        for (const emulsion_tensor& other : tensors_of(names)) {
            if (std::string_view(tensor.name) != other.name) continue;
            common.push_back(&tensor);
            break;
        }
    }
    return common;
}

void save_weights(const std::string& path, const emulsion_info& info, const emulsion_memory& memory,
                  const emulsion_info& names, const TrainedFor& trained) {
    const std::vector<const emulsion_tensor*> tensors = weights_tensors(info, names);
    AtomicFile file(path);
    Checksum checksum;  // it stands in front of the data
    visit_data(tensors, memory, [&](std::span<const uint8_t> bytes) { checksum.add(bytes); });
    file.write(encode_safetensors_header(make_metadata(info, trained, checksum.value()),
                                         make_entries(tensors)));
    visit_data(tensors, memory, [&](std::span<const uint8_t> bytes) { file.write(bytes); });
    file.commit();
}

uint64_t weights_file_bytes(const emulsion_info& info, const emulsion_info& names,
                            const TrainedFor& trained) {
    const std::vector<TensorEntry> entries = make_entries(weights_tensors(info, names));
    const Bytes header = encode_safetensors_header(make_metadata(info, trained, 0), entries);
    return header.size() + (entries.empty() ? 0 : entries.back().end);
}

DataFacts load_weights(const ByteSource& input, const emulsion_info& info,
                       const emulsion_memory& memory, const emulsion_info& names) {
    const std::vector<const emulsion_tensor*> tensors = weights_tensors(info, names);
    check_bytes(input, tensors, info);
    const SafetensorsHeader header = read_safetensors(input);
    const File file{input, header, info};
    check_metadata(file);
    DataFacts data = read_data_facts(header.metadata, info, input.name());
    const std::vector<const emulsion_tensor*> matched = match_tensors(file, tensors);
    const uint64_t checked = check_values(file);
    for (const emulsion_tensor* tensor : matched) {
        float* place = tensor_memory(*tensor, memory);
        std::fill(place, place + memory_elements(*tensor), 0.0f);
    }
    const uint64_t read =
        read_data(file, [&](size_t index, uint64_t first, std::span<const float> values) {
            pack_part(*matched[index], first, values, tensor_memory(*matched[index], memory));
        });
    if (read == checked) return data;
    file.refuse("another process changed the file while it was read", "load the weights again");
}

DataFacts load_weights(const std::string& path, const emulsion_info& info,
                       const emulsion_memory& memory, const emulsion_info& names) {
    return load_weights(ByteSource(path, "weights file"), info, memory, names);
}

}  // namespace emulsion
