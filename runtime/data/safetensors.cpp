// The header is read as a stream of JSON events, which sees names that occur twice and never
// recurses; then the tensors are put in the order of their data and must tile it.
#include "runtime/data/safetensors.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "runtime/support/error.h"
#include "runtime/support/limits.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr std::string_view kMetadata = "__metadata__";
constexpr uint64_t kLengthBytes = 8;  // in front of the header

[[noreturn]] void refuse(const std::string& file, std::string what) {
    throw RuntimeError(one_line(file), std::move(what),
                       "replace the file: it is cut, damaged or no safetensors file");
}

[[noreturn]] void refuse_repeated(const std::string& file, std::string_view name) {
    refuse(file, concat("the name ", quoted(name), " occurs twice in the header"));
}

// Bytes of an element, or nothing for an unknown type.
std::optional<uint64_t> element_bytes(std::string_view type) {
    struct Row {
        std::string_view type;
        uint64_t bytes;
    };
    constexpr Row kRows[] = {{"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1},
                             {"I16", 2},  {"U16", 2}, {"F16", 2}, {"BF16", 2},    {"I32", 4},
                             {"U32", 4},  {"F32", 4}, {"F64", 8}, {"I64", 8},     {"U64", 8}};
    for (const Row& row : kRows) {
        if (row.type == type) return row.bytes;
    }
    return std::nullopt;
}

// Takes the events of {"name": {"dtype": "…", "shape": […], "data_offsets": [a, b]}, …,
// "__metadata__": {"key": "value", …}} and refuses every other shape of JSON.
class HeaderHandler {
  public:
    using string_t = std::string;

    HeaderHandler(SafetensorsHeader& header, const std::string& file)
        : header_(header), file_(file) {}

    bool start_object(size_t) {
        if (depth_ == 2 || array_ != nullptr) fail("an object where none is expected");
        if (depth_ == 1) open_member();
        depth_++;
        return true;
    }
    bool key(std::string& key) {
        if (key.size() > kMostTensorName) fail("a name that is too long");
        if (depth_ == 1) {
            name_ = key;
            is_metadata_ = key == kMetadata;
        } else {
            field_ = key;
            fields_.push_back(key);
            if (fields_.size() > kMostMetadata) fail("too many keys");
        }
        return true;
    }
    bool end_object() {
        if (--depth_ != 1) return true;
        std::sort(fields_.begin(), fields_.end());
        const auto twice = std::adjacent_find(fields_.begin(), fields_.end());
        if (twice != fields_.end()) {
            refuse(file_, concat("the key ", quoted(*twice), " occurs twice in ", quoted(name_)));
        }
        if (!is_metadata_) close_tensor();
        return true;
    }
    bool string(std::string& value) {
        if (depth_ == 2 && is_metadata_) {
            header_.metadata.emplace_back(field_, value);
        } else if (depth_ == 2 && field_ == "dtype") {
            header_.tensors.back().type = value;
        } else {
            fail("a string where none is expected");
        }
        return true;
    }
    bool start_array(size_t) {
        if (depth_ != 2 || is_metadata_ || array_ != nullptr) fail("a list where none is expected");
        if (field_ == "shape") {
            array_ = &shape_;
        } else if (field_ == "data_offsets") {
            array_ = &offsets_;
        } else {
            fail("a list where none is expected");
        }
        return true;
    }
    bool end_array() {
        array_ = nullptr;
        return true;
    }
    bool number_unsigned(uint64_t value) {
        if (array_ == nullptr) fail("a number where none is expected");
        if (value > static_cast<uint64_t>(INT64_MAX)) fail("a number that is too large");
        if (array_->size() == kMostRank) fail("a list that is too long");
        array_->push_back(static_cast<int64_t>(value));
        return true;
    }
    bool number_integer(int64_t) { return fail("a negative number"); }
    bool number_float(double, const std::string&) { return fail("a number with a fraction"); }
    bool null() { return fail("null"); }
    bool boolean(bool) { return fail("a truth value"); }
    bool binary(std::vector<uint8_t>&) { return fail("binary data"); }
    bool parse_error(size_t position, const std::string&, const nlohmann::json::exception&) {
        refuse(file_, concat("the header is no valid JSON (at byte ", position, ")"));
    }

  private:
    // The first mistake in the form of the header.
    bool fail(std::string_view found) {
        refuse(file_, concat("the header has ", found,
                             name_.empty() ? "" : concat(" in ", quoted(name_))));
    }

    void open_member() {
        fields_.clear();
        shape_.clear();
        offsets_.clear();
        if (is_metadata_) {
            if (has_metadata_) refuse_repeated(file_, kMetadata);
            has_metadata_ = true;
            return;
        }
        if (header_.tensors.size() == kMostTensors) {
            refuse(file_, concat("the header has more than ", kMostTensors, " tensors"));
        }
        header_.tensors.push_back({name_, "", {}, 0, 0});
    }

    void close_tensor() {
        for (const char* field : {"data_offsets", "dtype", "shape"}) {
            if (!std::binary_search(fields_.begin(), fields_.end(), std::string(field))) {
                refuse(file_, concat("tensor ", quoted(name_), " has no '", field, "'"));
            }
        }
        TensorEntry& tensor = header_.tensors.back();
        if (offsets_.size() != 2 || offsets_[0] > offsets_[1]) {
            refuse(file_, concat("tensor ", quoted(name_), " has the offsets ",
                                 shape_text(offsets_), "; expected [begin, end]"));
        }
        tensor.shape = shape_;
        tensor.begin = static_cast<uint64_t>(offsets_[0]);
        tensor.end = static_cast<uint64_t>(offsets_[1]);
    }

    SafetensorsHeader& header_;
    const std::string& file_;
    int depth_ = 0;
    bool is_metadata_ = false, has_metadata_ = false;
    std::string name_, field_;         // the keys of depth 1 and 2
    std::vector<std::string> fields_;  // of the member; sorted at its end
    std::vector<int64_t> shape_, offsets_;
    std::vector<int64_t>* array_ = nullptr;  // the list being read
};

// Type and shape give as many bytes as the offsets.
void check_tensor(const TensorEntry& tensor, const std::string& file) {
    const std::optional<uint64_t> element = element_bytes(tensor.type);
    if (!element) {
        refuse(file, concat("tensor ", quoted(tensor.name), " has the unknown type ",
                            quoted(tensor.type)));
    }
    const uint64_t bytes = tensor.end - tensor.begin;
    unsigned __int128 expected = *element;
    for (int64_t length : tensor.shape) {
        expected *= static_cast<uint64_t>(length);
        if (expected >> 64 != 0) expected = UINT64_MAX;  // more than any file has
    }
    if (expected != bytes) {
        refuse(file, concat("tensor ", quoted(tensor.name), " of type ", tensor.type, " and shape ",
                            shape_text(tensor.shape), " does not fit its ", bytes, " bytes"));
    }
}

// The tensors tile the data: no gap, no overlap, nothing after the last.
void check_tiling(const SafetensorsHeader& header, uint64_t data_bytes, const std::string& file) {
    uint64_t end = 0;
    for (const TensorEntry& tensor : header.tensors) {
        if (tensor.begin != end) {
            refuse(file, concat("tensor ", quoted(tensor.name), " begins at byte ", tensor.begin,
                                " of the data, where ", end, " was expected: ",
                                tensor.begin < end ? "tensors overlap" : "there is a gap"));
        }
        if (tensor.end > data_bytes) {
            refuse(file, concat("tensor ", quoted(tensor.name), " ends at byte ", tensor.end,
                                " of the data, but the file has only ", data_bytes));
        }
        end = tensor.end;
    }
    if (end != data_bytes) {
        refuse(file, concat(data_bytes - end, " bytes follow the last tensor"));
    }
}

// One sort finds names that occur twice and serves all later questions.
std::vector<uint32_t> sort_by_name(const std::vector<TensorEntry>& tensors,
                                   const std::string& file) {
    std::vector<uint32_t> order(tensors.size());
    std::iota(order.begin(), order.end(), 0u);
    std::sort(order.begin(), order.end(),
              [&](uint32_t a, uint32_t b) { return tensors[a].name < tensors[b].name; });
    const auto twice = std::adjacent_find(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
        return tensors[a].name == tensors[b].name;
    });
    if (twice != order.end()) refuse_repeated(file, tensors[*twice].name);
    return order;
}

// The JSON text, and nothing that is longer than the file or the limit.
std::string read_header(const ByteSource& input) {
    if (input.size() < kLengthBytes) {
        refuse(input.name(), concat("the file has ", input.size(), " bytes, too few for a header"));
    }
    uint8_t bytes[kLengthBytes];
    input.read(0, bytes);
    uint64_t length = 0;
    for (size_t i = 0; i < kLengthBytes; i++) length |= static_cast<uint64_t>(bytes[i]) << 8 * i;
    const uint64_t rest = input.size() - kLengthBytes;
    if (length > kMostHeaderBytes || length > rest) {
        refuse(input.name(),
               concat("the header is said to have ", length, " bytes; the file has ", rest,
                      " after the length, and the limit is ", kMostHeaderBytes));
    }
    std::string text(length, '\0');
    input.read(kLengthBytes, {reinterpret_cast<uint8_t*>(text.data()), text.size()});
    if (text.empty() || text[0] != '{') {
        refuse(input.name(), "the header does not begin with '{'");
    }
    return text;
}

}  // namespace

const TensorEntry* SafetensorsHeader::find(std::string_view name) const {
    const auto place =
        std::lower_bound(by_name.begin(), by_name.end(), name,
                         [&](uint32_t i, std::string_view key) { return tensors[i].name < key; });
    return place != by_name.end() && tensors[*place].name == name ? &tensors[*place] : nullptr;
}

const std::string* SafetensorsHeader::find_metadata(std::string_view key) const {
    for (const auto& [name, value] : metadata) {
        if (name == key) return &value;
    }
    return nullptr;
}

SafetensorsHeader read_safetensors(const ByteSource& input) {
    const std::string& name = input.name();
    const std::string text = read_header(input);
    SafetensorsHeader header;
    header.data_begin = kLengthBytes + text.size();
    HeaderHandler handler(header, name);
    nlohmann::json::sax_parse(text, &handler);
    for (const TensorEntry& tensor : header.tensors) check_tensor(tensor, name);
    std::stable_sort(header.tensors.begin(), header.tensors.end(),
                     [](const TensorEntry& a, const TensorEntry& b) {
                         return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
                     });
    header.by_name = sort_by_name(header.tensors, name);
    check_tiling(header, input.size() - header.data_begin, name);
    return header;
}

SafetensorsHeader parse_safetensors(std::span<const uint8_t> file, const std::string& name) {
    return read_safetensors(ByteSource(file, name, "weights file"));
}

namespace {

// What is written can be read.
void check_limits(const Metadata& metadata, std::span<const TensorEntry> tensors,
                  uint64_t header_bytes) {
    size_t rank = 0, name = 0;
    for (const TensorEntry& tensor : tensors) {
        rank = std::max(rank, tensor.shape.size());
        name = std::max(name, tensor.name.size());
    }
    struct Row {
        const char* what;
        uint64_t found, most;
    };
    for (const Row& row : {Row{"tensors", tensors.size(), kMostTensors},
                           Row{"entries of metadata", metadata.size(), kMostMetadata},
                           Row{"axes of a tensor", rank, kMostRank},
                           Row{"bytes of a tensor's name", name, kMostTensorName},
                           Row{"bytes of the header", header_bytes, kMostHeaderBytes}}) {
        if (row.found <= row.most) continue;
        throw RuntimeError("weights",
                           concat("a weights file of this network would have ", row.found, " ",
                                  row.what, "; at most ", row.most, " are read"),
                           "give the network fewer or shorter names");
    }
}

}  // namespace

Bytes encode_safetensors_header(const Metadata& metadata, std::span<const TensorEntry> tensors) {
    nlohmann::ordered_json header;
    if (!metadata.empty())
        header[kMetadata] = nlohmann::ordered_json(nlohmann::json::value_t::object);
    for (const auto& [key, value] : metadata) header[kMetadata][key] = value;
    for (const TensorEntry& tensor : tensors) {
        header[tensor.name] = {{"dtype", tensor.type},
                               {"shape", tensor.shape},
                               {"data_offsets", {tensor.begin, tensor.end}}};
    }
    // Spaces align the data to 8 bytes. Bytes that are no UTF-8 become U+FFFD.
    std::string text = header.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    text.resize((text.size() + 7) / 8 * 8, ' ');
    check_limits(metadata, tensors, text.size());
    Bytes bytes;
    for (unsigned i = 0; i < kLengthBytes; i++)
        bytes.push_back(static_cast<uint8_t>(static_cast<uint64_t>(text.size()) >> 8 * i));
    bytes.insert(bytes.end(), text.begin(), text.end());
    return bytes;
}

}  // namespace emulsion
