// The header is read as a stream of JSON events, which sees names that occur twice and never
// recurses; then the tensors are put in the order of their data and must tile it.
#include "runtime/data/safetensors.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>

#include "runtime/support/error.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr uint64_t kHeaderLimit = static_cast<uint64_t>(1) << 24;
constexpr size_t kRankLimit = 32;

[[noreturn]] void refuse(const std::string& file, std::string what) {
    throw RuntimeError(one_line(file), std::move(what),
                       "replace the file: it is cut, damaged or no safetensors file");
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
        if (depth_ == 1) {
            if (!remember(names_, key)) {
                refuse(file_, concat("the name ", quoted(key), " occurs twice in the header"));
            }
            name_ = key;
        } else {
            if (!remember(fields_, key)) {
                refuse(file_, concat("the key ", quoted(key), " occurs twice in ", quoted(name_)));
            }
            field_ = key;
        }
        return true;
    }
    bool end_object() {
        if (--depth_ == 1 && !is_metadata()) close_tensor();
        return true;
    }
    bool string(std::string& value) {
        if (depth_ == 2 && is_metadata()) {
            header_.metadata.emplace_back(field_, value);
        } else if (depth_ == 2 && field_ == "dtype") {
            header_.tensors.back().type = value;
        } else {
            fail("a string where none is expected");
        }
        return true;
    }
    bool start_array(size_t) {
        if (depth_ != 2 || is_metadata() || array_ != nullptr)
            fail("a list where none is expected");
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
        if (array_->size() == kRankLimit) fail("a list that is too long");
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
    bool is_metadata() const { return name_ == "__metadata__"; }

    // The first mistake in the form of the header.
    bool fail(std::string_view found) {
        refuse(file_, concat("the header has ", found,
                             name_.empty() ? "" : concat(" in ", quoted(name_))));
    }

    static bool remember(std::vector<std::string>& seen, const std::string& name) {
        const auto place = std::lower_bound(seen.begin(), seen.end(), name);
        if (place != seen.end() && *place == name) return false;
        seen.insert(place, name);
        return true;
    }

    void open_member() {
        fields_.clear();
        shape_.clear();
        offsets_.clear();
        if (!is_metadata()) header_.tensors.push_back({name_, "", {}, 0, 0});
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
    std::string name_, field_;                 // the keys of depth 1 and 2
    std::vector<std::string> names_, fields_;  // those seen, sorted
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

}  // namespace

const TensorEntry* SafetensorsHeader::find(std::string_view name) const {
    for (const TensorEntry& tensor : tensors) {
        if (tensor.name == name) return &tensor;
    }
    return nullptr;
}

const std::string* SafetensorsHeader::find_metadata(std::string_view key) const {
    for (const auto& [name, value] : metadata) {
        if (name == key) return &value;
    }
    return nullptr;
}

SafetensorsHeader parse_safetensors(std::span<const uint8_t> file, const std::string& name) {
    if (file.size() < 8) {
        refuse(name, concat("the file has ", file.size(), " bytes, too few for a header"));
    }
    uint64_t length = 0;
    for (size_t i = 0; i < 8; i++) length |= static_cast<uint64_t>(file[i]) << 8 * i;
    if (length > kHeaderLimit || length > file.size() - 8) {
        refuse(name, concat("the header is said to have ", length, " bytes; the file has ",
                            file.size() - 8, " after the length, and the limit is ", kHeaderLimit));
    }
    if (length == 0 || file[8] != '{') refuse(name, "the header does not begin with '{'");
    SafetensorsHeader header;
    header.data_begin = 8 + length;
    HeaderHandler handler(header, name);
    const char* text = reinterpret_cast<const char*>(file.data()) + 8;
    nlohmann::json::sax_parse(text, text + length, &handler);
    for (const TensorEntry& tensor : header.tensors) check_tensor(tensor, name);
    std::stable_sort(header.tensors.begin(), header.tensors.end(),
                     [](const TensorEntry& a, const TensorEntry& b) {
                         return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
                     });
    check_tiling(header, file.size() - header.data_begin, name);
    return header;
}

Bytes encode_safetensors(const Metadata& metadata, const std::vector<TensorValues>& tensors) {
    nlohmann::ordered_json header;
    if (!metadata.empty())
        header["__metadata__"] = nlohmann::ordered_json(nlohmann::json::value_t::object);
    for (const auto& [key, value] : metadata) header["__metadata__"][key] = value;
    uint64_t offset = 0;
    for (const TensorValues& tensor : tensors) {
        const uint64_t end = offset + tensor.values.size() * sizeof(float);
        header[tensor.name] = {
            {"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
        offset = end;
    }
    // Spaces align the data to 8 bytes. Bytes that are no UTF-8 become U+FFFD.
    std::string text = header.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    text.resize((text.size() + 7) / 8 * 8, ' ');
    Bytes file;
    file.reserve(8 + text.size() + offset);
    for (unsigned i = 0; i < 8; i++)
        file.push_back(static_cast<uint8_t>(static_cast<uint64_t>(text.size()) >> 8 * i));
    file.insert(file.end(), text.begin(), text.end());
    for (const TensorValues& tensor : tensors) {
        const auto* bytes = reinterpret_cast<const uint8_t*>(tensor.values.data());
        file.insert(file.end(), bytes, bytes + tensor.values.size() * sizeof(float));
    }
    return file;
}

}  // namespace emulsion
