// Tensors of a library to and from safetensors, by logical name.
#include "runtime/data/weights.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

#include "runtime/data/layout.h"
#include "runtime/support/error.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr const char* kFormat = "emulsion-weights-1";
constexpr uint64_t kFileLimit = static_cast<uint64_t>(1) << 36;

std::span<const emulsion_tensor> tensors_of(const emulsion_info& info) {
    return {info.tensors, static_cast<size_t>(info.tensor_count)};
}

// The tensors of `info` that `names` lists too.
std::vector<const emulsion_tensor*> common_tensors(const emulsion_info& info,
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

std::span<const int64_t> shape_of(const emulsion_tensor& tensor) {
    return {tensor.shape, static_cast<size_t>(tensor.rank)};
}

// Metadata

std::string number_list(const float* values, int64_t count) {
    std::string text = "[";
    for (int64_t i = 0; i < count; i++) text += concat(i > 0 ? ", " : "", values[i]);
    return text + "]";
}

// A JSON string.
std::string json_text(std::string_view text) {
    std::string json = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\') json += '\\';
        if (static_cast<uint8_t>(c) < 0x20) {
            json += "\\u00";
            json += "01"[static_cast<uint8_t>(c) >> 4];
            json += "0123456789abcdef"[static_cast<uint8_t>(c) & 15];
        } else {
            json += c;
        }
    }
    return json + "\"";
}

Metadata make_metadata(const emulsion_info& info) {
    Metadata metadata = {
        {"format", kFormat}, {"network", info.network}, {"signature", info.signature}};
    if (info.input_count > 0) {
        const emulsion_port& input = info.inputs[0];
        metadata.emplace_back("input", shape_text({input.shape, static_cast<size_t>(input.rank)}));
        if (info.normalized) {
            metadata.emplace_back("mean", number_list(info.input_mean, input.shape[0]));
            metadata.emplace_back("deviation", number_list(info.input_deviation, input.shape[0]));
        }
    }
    if (info.classes != nullptr && info.class_count > 0) {
        std::string names;
        for (int i = 0; i < info.class_count; i++) {
            names += (i > 0 ? ", " : "") + json_text(info.classes[i]);
        }
        metadata.emplace_back("classes", "[" + names + "]");
    }
    return metadata;
}

// Checks of a file

// What the checks have at hand.
struct File {
    const std::string& path;
    const Bytes& bytes;
    const SafetensorsHeader& header;
    const emulsion_info& info;

    [[noreturn]] void refuse(std::string what, std::string fix) const {
        throw RuntimeError(one_line(path), std::move(what), std::move(fix));
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

// Values of a tensor in logical order, all finite.
std::vector<float> read_values(const File& file, const TensorEntry& entry) {
    std::vector<float> values((entry.end - entry.begin) / sizeof(float));
    const uint8_t* begin = file.bytes.data() + file.header.data_begin + entry.begin;
    if (!values.empty()) std::memcpy(values.data(), begin, values.size() * sizeof(float));
    for (size_t i = 0; i < values.size(); i++) {
        if (std::isfinite(values[i])) continue;
        file.refuse(concat("tensor ", quoted(entry.name), " holds ",
                           std::isnan(values[i]) ? "NaN" : "infinity", " at index ", i),
                    "give weights of an earlier step");
    }
    return values;
}

}  // namespace

Bytes encode_weights(const emulsion_info& info, const emulsion_memory& memory,
                     const emulsion_info& names) {
    std::vector<TensorValues> tensors;
    for (const emulsion_tensor* tensor : common_tensors(info, names)) {
        const std::span<const int64_t> shape = shape_of(*tensor);
        TensorValues& values = tensors.emplace_back();
        values.name = tensor->name;
        values.shape.assign(shape.begin(), shape.end());
        values.values.resize(logical_elements(*tensor));
        unpack(*tensor, tensor_memory(*tensor, memory), values.values.data());
    }
    return encode_safetensors(make_metadata(info), tensors);
}

void save_weights(const std::string& path, const emulsion_info& info, const emulsion_memory& memory,
                  const emulsion_info& names) {
    write_file(path, encode_weights(info, memory, names));
}

void load_weights(const std::string& path, const emulsion_info& info, const emulsion_memory& memory,
                  const emulsion_info& names) {
    const Bytes bytes = read_file(path, kFileLimit, "weights file");
    const SafetensorsHeader header = parse_safetensors(bytes, path);
    const File file{path, bytes, header, info};
    check_metadata(file);
    const std::vector<const emulsion_tensor*> tensors = common_tensors(info, names);
    std::vector<std::vector<float>> values;
    for (const emulsion_tensor* tensor : tensors) {
        const TensorEntry* entry = header.find(tensor->name);
        check_tensor(file, *tensor, entry);
        values.push_back(read_values(file, *entry));
    }
    for (const TensorEntry& entry : header.tensors) {
        bool is_known = false;
        for (const emulsion_tensor* tensor : tensors) is_known |= entry.name == tensor->name;
        if (!is_known) {
            file.refuse(concat("tensor ", quoted(entry.name), " ", shape_text(entry.shape),
                               " is not part of the network ", quoted(info.network)),
                        file.own_fix());
        }
    }
    for (size_t i = 0; i < tensors.size(); i++) {
        pack(*tensors[i], values[i].data(), tensor_memory(*tensors[i], memory));
    }
}

}  // namespace emulsion
