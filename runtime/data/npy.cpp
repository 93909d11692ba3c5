// .npy: a magic number, a version, the length of a header, the header, a Python dictionary in
// ASCII:
// {'descr': '|u1', 'fortran_order': False, 'shape': (60000, 28, 28), }
// and the elements. See table.h.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "runtime/data/dataset.h"
#include "runtime/data/index_rows.h"
#include "runtime/data/table.h"
#include "runtime/support/error.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kMostNpyAxes = 8;

struct NpyHeader {
    std::string type;  // "<f4"
    bool is_fortran = false;
    std::vector<uint64_t> shape;
    uint64_t begin = 0;  // of the elements
};

// The text behind 'key': in the dictionary; empty where it is not there.
std::string_view value_of(std::string_view header, std::string_view key) {
    const std::string wanted = concat("'", key, "'");
    size_t place = header.find(wanted);
    if (place == header.npos) return {};
    place = header.find(':', place + wanted.size());
    if (place == header.npos) return {};
    place = header.find_first_not_of(' ', place + 1);
    return place == header.npos ? std::string_view() : header.substr(place);
}

// "(60000, 28, 28)"; nothing where it is none.
std::optional<std::vector<uint64_t>> read_shape(std::string_view text) {
    const size_t end = text.find(')');
    if (!text.starts_with('(') || end == text.npos) return std::nullopt;
    text = text.substr(1, end - 1);
    std::vector<uint64_t> shape;
    while (text.find_first_not_of(' ') != text.npos) {
        text.remove_prefix(text.find_first_not_of(' '));
        const size_t comma = std::min(text.find(','), text.size());
        const auto length = parse_unsigned(text.substr(0, comma));
        if (!length || *length > UINT32_MAX || shape.size() == kMostNpyAxes) return std::nullopt;
        shape.push_back(*length);
        text.remove_prefix(std::min(comma + 1, text.size()));
    }
    return shape;
}

std::string tuple_text(const std::vector<uint64_t>& shape) {
    std::string text = "(";
    for (uint64_t length : shape) text += concat(text.size() > 1 ? ", " : "", length);
    return text + ")";
}

constexpr const char* kBad = "replace the file: it is cut or damaged";

NpyHeader read_header(const ByteSource& file) {
    Bytes start(12);
    if (file.size() < start.size()) file.refuse("the file is too short for an array", kBad);
    file.read(0, start);
    if (std::memcmp(start.data(), kMagic.data(), kMagic.size()) != 0)
        file.refuse("this is no array of NumPy", "give a .npy file, as numpy.save writes it");
    const bool is_short = start[6] == 1;
    if (start[6] < 1 || start[6] > 3)
        file.refuse(concat("the version ", start[6], " of .npy is not read"), "save it anew");
    uint64_t length = uint64_t{start[8]} | uint64_t{start[9]} << 8;
    if (!is_short) length |= uint64_t{start[10]} << 16 | uint64_t{start[11]} << 24;
    NpyHeader header;
    const uint64_t from = is_short ? 10 : 12;
    header.begin = from + length;
    if (length > kMostNpyHeader || header.begin > file.size())
        file.refuse(concat("the header says that it has ", length, " bytes"), kBad);
    std::string text(length, '\0');
    file.read(from, {reinterpret_cast<uint8_t*>(text.data()), length});
    const std::string_view type = value_of(text, "descr");
    const auto shape = read_shape(value_of(text, "shape"));
    const size_t end = type.starts_with('\'') ? type.find('\'', 1) : type.npos;
    if (end == type.npos || !shape)
        file.refuse("the header names no type and shape of a plain array",
                    "save the array with numpy.save, of type uint8 or float32");
    header.type = type.substr(1, end - 1);
    header.is_fortran = value_of(text, "fortran_order").starts_with("True");
    header.shape = *shape;
    return header;
}

uint64_t element_bytes(const NpyHeader& header) {
    return static_cast<uint64_t>(header.type.back() - '0');
}

// Refuses what is no array in C order whose elements the file holds, no more and no less.
void check_elements(const ByteSource& file, const NpyHeader& header) {
    if (header.is_fortran) {
        file.refuse("the array is in Fortran's order, columns first",
                    "save numpy.ascontiguousarray(array)");
    }
    unsigned __int128 bytes = element_bytes(header);
    for (uint64_t length : header.shape) {
        bytes *= length;
        if (bytes > file.size()) break;
    }
    if (bytes != file.size() - header.begin) {
        file.refuse(concat("the header says ", tuple_text(header.shape), " of ", header.type,
                           ", but ", file.size() - header.begin, " bytes follow"),
                    kBad);
    }
    if (header.shape.empty() || header.shape[0] == 0)
        file.refuse(concat("the array ", tuple_text(header.shape), " holds no rows"),
                    "give an array whose first axis counts the rows");
}

// The same of a line (C, L) or a volume (C, D, H, W).
bool is_row_channels_first(const ByteSource& file, const std::vector<uint64_t>& row,
                           const DataRequest& request) {
    const std::vector<uint64_t> first(request.axes.begin(), request.axes.end());
    std::vector<uint64_t> last(first.begin() + 1, first.end());
    last.push_back(first[0]);
    if (row == first || row == std::vector{request.shape.elements()}) return true;
    if (row == last) return false;
    file.refuse(
        concat("a row has the shape ", tuple_text(row), "; the network expects ", tuple_text(first),
               ", ", tuple_text(last), " or (", request.shape.elements(), ")"),
        "give data of the network's size, or change the input of the model");
}

// Whether the axes behind the first are those of channels first, or last; refused otherwise.
bool is_channels_first(const ByteSource& file, const NpyHeader& header,
                       const DataRequest& request) {
    const PictureShape& shape = request.shape;
    const std::vector<uint64_t> row(header.shape.begin() + 1, header.shape.end());
    if (!request.axes.empty()) return is_row_channels_first(file, row, request);
    const auto c = static_cast<uint64_t>(shape.channels);
    const auto h = static_cast<uint64_t>(shape.height), w = static_cast<uint64_t>(shape.width);
    using Axes = std::vector<uint64_t>;
    if (row == Axes{c, h, w} || row == Axes{c * h * w}) return true;
    if (h == 1 && row == Axes{c, w}) return true;
    if (row == Axes{h, w, c}) return false;
    if (c == 1 && row == Axes{h, w}) return true;
    file.refuse(concat("a row has the shape ", tuple_text(row), "; the network expects (", c, ", ",
                       h, ", ", w, "), (", h, ", ", w, ", ", c, ") or (", c * h * w, ")"),
                "give data of the network's size, or change the input of the model");
}

// [n][row], each from C, H, W to H, W, C where channels are first.
template <typename T>
std::vector<T> read_rows(const ByteSource& file, const NpyHeader& header, uint64_t count,
                         const DataRequest& request) {
    const PictureShape& shape = request.shape;
    const bool is_first = is_channels_first(file, header, request);
    const uint64_t elements = shape.elements();
    const auto channels = static_cast<uint64_t>(shape.channels);
    const uint64_t pixels = elements / channels;
    std::vector<T> values(count * elements), row(elements);
    for (uint64_t i = 0; i < count; i++) {
        file.read(header.begin + i * elements * sizeof(T),
                  {reinterpret_cast<uint8_t*>(row.data()), elements * sizeof(T)});
        T* out = values.data() + i * elements;
        for (uint64_t e = 0; e < elements; e++)
            out[is_first ? e % pixels * channels + e / pixels : e] = row[e];
    }
    return values;
}

void set_facts(Source* source, const std::string& path, const DataRequest& request) {
    source->source = path;
    source->shape = request.shape;
    source->classes = request.classes;
}

std::unique_ptr<Source> read_numbers(const ByteSource& file, const NpyHeader& header,
                                     uint64_t count, const DataRequest& request) {
    auto table = std::make_unique<Table>();
    set_facts(table.get(), file.name(), request);
    table->scale = request.scale;
    table->numbers = read_rows<float>(file, header, count, request);
    const uint64_t elements = request.shape.elements();
    for (uint64_t i = 0; i < table->numbers.size(); i++) {
        const double scaled = static_cast<double>(table->numbers[i]) / request.scale;
        table->numbers[i] = static_cast<float>(scaled);
        if (std::isfinite(table->numbers[i])) continue;
        file.refuse(concat("row ", i / elements, " holds NaN or infinity"),
                    "leave the row out, or correct it");
    }
    return table;
}

int64_t whole_number(const uint8_t* bytes, uint64_t length, bool is_signed) {
    uint64_t value = 0;
    for (uint64_t i = 0; i < length; i++) value |= uint64_t{bytes[i]} << (8 * i);
    const bool is_negative = is_signed && length < 8 && (value >> (8 * length - 1) & 1) != 0;
    if (is_negative) value -= uint64_t{1} << (8 * length);
    return static_cast<int64_t>(value);
}

void expect_whole(const ByteSource& file, const NpyHeader& header, const char* what) {
    constexpr std::string_view kTypes[] = {"|u1", "|i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8"};
    if (std::find(std::begin(kTypes), std::end(kTypes), header.type) == std::end(kTypes)) {
        file.refuse(
            concat("the ", what, " are of type ", quoted(header.type), "; expected whole numbers"),
            "save array.astype('int32')");
    }
    check_elements(file, header);
}

// The numbers come in the order of the axes and go to the network's, row by row.
std::unique_ptr<Source> read_indices(const ByteSource& file, const NpyHeader& header,
                                     uint64_t count, const DataRequest& request) {
    auto rows = make_index_rows(file.name(), request);
    const bool is_first = is_channels_first(file, header, request);
    const uint64_t elements = request.shape.elements(), each = element_bytes(header);
    const auto channels = static_cast<uint64_t>(request.shape.channels);
    const uint64_t places = elements / channels;
    const bool is_signed = header.type[1] == 'i';
    Bytes row(elements * each);
    rows->numbers.reserve(count * elements);
    for (uint64_t i = 0; i < count; i++) {
        file.read(header.begin + i * row.size(), row);
        for (uint64_t e = 0; e < elements; e++) {
            const uint64_t from = is_first ? e % channels * places + e / channels : e;
            const int64_t number = whole_number(row.data() + from * each, each, is_signed);
            // Beyond 63 bits, an unsigned one would look negative.
            add_index(*rows, is_signed ? number : number < 0 ? INT64_MAX : number, request.indices);
        }
    }
    return rows;
}

}  // namespace

bool is_npy(const std::string& path) {
    const ByteSource file(path, "data file");
    uint8_t start[kMagic.size()] = {};
    if (file.size() < sizeof start) return false;
    file.read(0, start);
    return std::memcmp(start, kMagic.data(), sizeof start) == 0;
}

namespace {

std::vector<int32_t> read_npy_labels(const std::string& path, int classes) {
    const ByteSource file(path, ".npy file");
    const NpyHeader header = read_header(file);
    const std::string_view type = header.type;
    expect_whole(file, header, "labels");
    if (header.shape.size() != 1) {
        file.refuse(
            concat("the labels have the shape ", tuple_text(header.shape), "; expected one axis"),
            "save array.ravel()");
    }
    const uint64_t each = element_bytes(header);
    Bytes bytes(header.shape[0] * each);
    file.read(header.begin, bytes);
    std::vector<int32_t> labels;
    for (uint64_t i = 0; i < header.shape[0]; i++) {
        const int64_t label = whole_number(bytes.data() + i * each, each, type[1] == 'i');
        if (label < 0 || label >= classes) {
            file.refuse(concat("label ", label, " at index ", i, ", but the network has ", classes,
                               " classes (labels 0 to ", classes - 1, ")"),
                        "correct the label, or give the model more classes");
        }
        labels.push_back(static_cast<int32_t>(label));
    }
    return labels;
}

}  // namespace

namespace {

void check_npy_type(const ByteSource& file, const NpyHeader& header, const char* wanted,
                    std::span<const std::string_view> types) {
    if (std::find(types.begin(), types.end(), std::string_view(header.type)) != types.end()) return;
    file.refuse(concat("what rows are trained towards is of type ", quoted(header.type),
                       "; expected ", wanted),
                types.size() == 1 ? "save array.astype('float32')" : "save array.astype('uint8')");
}

// Class indices of the pixels of n maps.
std::vector<int32_t> read_npy_maps(const ByteSource& file, const NpyHeader& header,
                                   const DataRequest& request) {
    const PictureShape& shape = request.target.shape;
    std::vector<int64_t> axes = request.target.axes;  // of one map
    if (axes.empty()) axes = {1, shape.height, shape.width};
    std::vector<uint64_t> wanted(axes.begin(), axes.end());
    wanted[0] = header.shape[0];
    if (header.shape != wanted) {
        std::string expected;
        for (size_t i = 1; i < axes.size(); i++) expected += concat(", ", axes[i]);
        file.refuse(concat("the maps have the shape ", tuple_text(header.shape),
                           "; the network is trained towards (n", expected, ")"),
                    concat("give a class index for each ", axes.size() == 3 ? "pixel" : "position",
                           " that the network classifies"));
    }
    const uint64_t each = element_bytes(header), elements = shape.elements();
    std::vector<int32_t> maps;
    maps.reserve(header.shape[0] * elements);
    Bytes row(elements * each);
    for (uint64_t n = 0; n < header.shape[0]; n++) {
        file.read(header.begin + n * row.size(), row);
        for (uint64_t i = 0; i < elements; i++) {
            const int64_t value = whole_number(row.data() + i * each, each, header.type[1] == 'i');
            const bool is_ignored = request.target.ignored && value == *request.target.ignored;
            if (!is_ignored && (value < 0 || value >= request.classes)) {
                file.refuse(
                    concat("row ", n, " holds the class index ", value, ", but the network has ",
                           request.classes, " classes (indices 0 to ", request.classes - 1, ")"),
                    "correct it, or give the model more classes");
            }
            maps.push_back(static_cast<int32_t>(value));
        }
    }
    return maps;
}

// The bits of numbers, in the order H, W, C.
std::vector<int32_t> read_npy_numbers(const ByteSource& file, NpyHeader header,
                                      const DataRequest& request) {
    const TargetForm& target = request.target;
    if (header.shape.size() == 1 && target.elements() == 1) header.shape.push_back(1);
    DataRequest rows = request;  // that are targets
    rows.shape = target.shape;
    rows.axes = target.axes;
    const auto numbers = read_rows<float>(file, header, header.shape[0], rows);
    std::vector<int32_t> bits(numbers.size());
    for (size_t i = 0; i < numbers.size(); i++) {
        if (!std::isfinite(numbers[i]))
            file.refuse(concat("row ", i / target.elements(), " holds NaN or infinity"),
                        "leave the row out, or correct it");
        std::memcpy(&bits[i], &numbers[i], sizeof(float));
    }
    return bits;
}

}  // namespace

std::vector<int32_t> read_npy_targets(const std::string& path, const DataRequest& request) {
    static constexpr std::string_view kWhole[] = {"|u1", "|i1", "<u2", "<i2",
                                                  "<u4", "<i4", "<u8", "<i8"};
    static constexpr std::string_view kFloat[] = {"<f4"};
    const ByteSource file(path, ".npy file");
    const NpyHeader header = read_header(file);
    const bool is_map = request.target.kind == TargetKind::kMap;
    if (is_map) {
        check_npy_type(file, header, "whole numbers", kWhole);
    } else {
        check_npy_type(file, header, "'<f4' (float32)", kFloat);
    }
    check_elements(file, header);
    PictureShape stored = request.target.shape;
    stored.channels *= static_cast<int>(sizeof(int32_t));
    check_data_bytes(header.shape[0], stored, request.bytes, path);
    return is_map ? read_npy_maps(file, header, request) : read_npy_numbers(file, header, request);
}

std::unique_ptr<Source> read_npy(const std::string& images, const std::string& labels,
                                 const DataRequest& request) {
    const ByteSource file(images, ".npy file");
    const NpyHeader header = read_header(file);
    const bool is_indices = request.indices.limit > 0;
    if (is_indices) {
        expect_whole(file, header, "indices");
    } else if (header.type != "|u1" && header.type != "<f4") {
        file.refuse(concat("the array is of type ", quoted(header.type),
                           "; '|u1' (uint8) and '<f4' (float32) are read"),
                    "save array.astype('uint8') or array.astype('float32')");
    }
    check_elements(file, header);
    const uint64_t count = std::min(request.take, header.shape[0]);
    PictureShape stored = request.shape;
    if (is_indices || header.type == "<f4") stored.channels *= 4;  // bytes of a value
    check_data_bytes(count, stored, request.bytes, images);
    std::vector<int32_t> known;
    if (!labels.empty()) {
        known = read_npy_labels(labels, request.classes);
        if (known.size() != header.shape[0]) {
            file.refuse(concat("the array holds ", header.shape[0], " rows, but ", quoted(labels),
                               " holds ", known.size(), " labels"),
                        "give files that belong together");
        }
        known.resize(count);
    }
    std::unique_ptr<Source> source;
    if (is_indices) {
        source = read_indices(file, header, count, request);
    } else if (header.type == "<f4") {
        source = read_numbers(file, header, count, request);
    } else {
        auto dataset = std::make_unique<Dataset>();
        set_facts(dataset.get(), images, request);
        dataset->pixels = read_rows<uint8_t>(file, header, count, request);
        source = std::move(dataset);
    }
    source->labels = std::move(known);
    return source;
}

}  // namespace emulsion
