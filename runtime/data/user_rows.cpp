// See user_rows.h.
#include "runtime/data/user_rows.h"

#include <dlfcn.h>
#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "runtime/abi/emulsion_reader.h"
#include "runtime/data/index_rows.h"
#include "runtime/support/error.h"
#include "runtime/support/path.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr std::string_view kEnding = ".so";

// The library, until nobody uses it.
struct CloseLibrary {
    void operator()(void* library) const { dlclose(library); }
};
using Library = std::unique_ptr<void, CloseLibrary>;

Library load(const std::string& path) {
    const std::string place = path.find('/') == path.npos ? "./" + path : path;
    Library library(dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL));
    if (library) return library;
    const char* reason = dlerror();
    throw RuntimeError(one_line(path),
                       concat("cannot be loaded: ", one_line(reason ? reason : "unknown reason")),
                       "build it for this machine with cc -shared -fPIC");
}

struct UserRows : Source {
    UserRows(Library loaded, const emulsion_reader& opened)
        : library(std::move(loaded)), reader(opened) {}
    ~UserRows() override {
        if (reader.close != nullptr) reader.close(reader.self);
    }
    UserRows(const UserRows&) = delete;
    UserRows& operator=(const UserRows&) = delete;

    uint64_t count() const override { return rows; }
    void read(uint64_t index, const Normalizer& normalizer, float* row) const override;
    void read_target(uint64_t index, int32_t* target_row) const override;
    void read_extra(uint64_t index, size_t input, int32_t* values) const override;
    bool is_in_memory() const override { return false; }
    uint64_t bytes() const override { return labels.size() * sizeof(int32_t); }
    // Of the labels, where there are any: what else a reader reads from is its own.
    uint32_t checksum() const override {
        return static_cast<uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(labels.data()),
                                             labels.size() * sizeof(int32_t)));
    }

    const Library library;
    const emulsion_reader reader;
    uint64_t rows = 0;
};

// Runs a call of the reader that writes a message where it fails.
template <class Call>
void ask(const UserRows& rows, const std::string& what, const Call& call) {
    char error[EMULSION_READER_ERROR] = "";
    const bool has_failed = call(error) != 0;
    error[sizeof error - 1] = '\0';
    if (!has_failed) return;
    throw RuntimeError(one_line(rows.source), concat(what, ": ", one_line(error)),
                       "see what the reader reads from");
}

void check_finite(const UserRows& rows, const std::string& what, const float* values,
                  uint64_t count) {
    const float* bad =
        std::find_if_not(values, values + count, [](float x) { return std::isfinite(x); });
    if (bad == values + count) return;
    throw RuntimeError(one_line(rows.source),
                       concat(what, " holds NaN or infinity at ", bad - values), "mend the reader");
}

void UserRows::read(uint64_t index, const Normalizer& normalizer, float* row) const {
    const std::string what = concat("row ", index);
    ask(*this, what, [&](char* error) { return reader.read(reader.self, index, row, error); });
    const uint64_t elements = shape.elements();
    check_finite(*this, what, row, elements);
    normalizer.apply(row, elements / static_cast<uint64_t>(shape.channels), row);
}

// The same of the bits of numbers.
void check_finite_bits(const UserRows& rows, const std::string& what, const int32_t* bits,
                       uint64_t count) {
    std::vector<float> numbers(count);
    std::memcpy(numbers.data(), bits, count * sizeof(float));
    check_finite(rows, what, numbers.data(), count);
}

void UserRows::read_extra(uint64_t index, size_t input, int32_t* values) const {
    const ExtraInput& extra = extras[input];
    const std::string what = concat("input ", quoted(extra.name), " of row ", index);
    ask(*this, what, [&](char* error) {
        return reader.extra(reader.self, index, static_cast<int32_t>(input), values, error);
    });
    const uint64_t elements = extra.elements();
    const IndexRange& range = extra.indices;
    if (range.limit == 0) return check_finite_bits(*this, what, values, elements);
    for (uint64_t i = 0; i < elements; i++) {
        if (range.contains(values[i])) continue;
        throw RuntimeError(one_line(source),
                           concat(what, " holds the index ", values[i], " at ", i,
                                  ", but the network knows ", to_text(range)),
                           "mend the reader, or give the model a larger vocabulary");
    }
}

void UserRows::read_target(uint64_t index, int32_t* target_row) const {
    if (target.kind == TargetKind::kLabel || target.kind == TargetKind::kNothing)
        return Source::read_target(index, target_row);
    const std::string what = concat("the target of row ", index);
    ask(*this, what,
        [&](char* error) { return reader.target(reader.self, index, target_row, error); });
    const uint64_t elements = target.elements();
    if (target.kind == TargetKind::kNumbers)
        return check_finite_bits(*this, what, target_row, elements);
    for (uint64_t i = 0; i < elements; i++) {
        const int32_t value = target_row[i];
        if ((value >= 0 && value < classes) || value == target.ignored) continue;
        throw RuntimeError(
            one_line(source),
            concat(
                what, " holds the class ", value, " at ", i, ", but the network has ", classes,
                " classes (0 to ", classes - 1,
                target.ignored ? concat(", and ", *target.ignored, " where nothing counts)") : ")"),
            "mend the reader, or give the model more classes");
    }
}

}  // namespace

std::optional<UserReader> find_user_reader(std::string_view name) {
    const size_t place = name.find(concat(kEnding, ":"));
    const bool has_argument = place != name.npos;
    if (!has_argument && !name.ends_with(kEnding)) return std::nullopt;
    UserReader reader;
    reader.library = name.substr(0, has_argument ? place + kEnding.size() : name.size());
    if (has_argument) reader.argument = name.substr(place + kEnding.size() + 1);
    if (!is_file(reader.library)) return std::nullopt;
    return reader;
}

namespace {

int32_t target_of(const TargetForm& target) {
    switch (target.kind) {
        case TargetKind::kMap:
            return EMULSION_READER_MAP;
        case TargetKind::kNumbers:
            return EMULSION_READER_NUMBERS;
        case TargetKind::kNothing:
            return EMULSION_READER_NOTHING;
        default:
            return EMULSION_READER_LABEL;
    }
}

// Their names are those of the request.
std::vector<emulsion_reader_input> inputs_of(const DataRequest& request) {
    std::vector<emulsion_reader_input> inputs;
    for (const ExtraInput& extra : request.extras) {
        emulsion_reader_input input{};
        input.name = extra.name.c_str();
        input.rank = static_cast<int32_t>(extra.shape.size());
        std::ranges::copy(extra.shape, input.shape);
        input.limit = extra.indices.limit;
        input.ignored = extra.indices.ignored;
        inputs.push_back(input);
    }
    return inputs;
}

}  // namespace

std::unique_ptr<Source> open_user_rows(const UserReader& reader, Part part,
                                       const DataRequest& request) {
    Library library = load(reader.library);
    const auto open = reinterpret_cast<decltype(&emulsion_open_reader)>(
        dlsym(library.get(), "emulsion_open_reader"));
    if (open == nullptr) {
        throw RuntimeError(one_line(reader.library), "exports no emulsion_open_reader",
                           "build it of a reader as emulsion_reader.h describes it");
    }
    const PictureShape &shape = request.shape, &goal = request.target.shape;
    const std::vector<emulsion_reader_input> inputs = inputs_of(request);
    const emulsion_reader_request asked{EMULSION_READER_VERSION,
                                        part == Part::train ? 0 : 1,
                                        {shape.channels, shape.height, shape.width},
                                        request.classes,
                                        target_of(request.target),
                                        reader.argument.c_str(),
                                        {goal.channels, goal.height, goal.width},
                                        request.target.ignored.value_or(-1),
                                        static_cast<int32_t>(inputs.size()),
                                        inputs.data()};
    emulsion_reader opened{};
    char error[EMULSION_READER_ERROR] = "";
    const bool has_failed = open(&asked, &opened, error) != 0;
    error[sizeof error - 1] = '\0';
    if (has_failed) {
        throw RuntimeError(one_line(reader.library), one_line(error),
                           "see what the reader reads from");
    }
    auto rows = std::make_unique<UserRows>(std::move(library), opened);
    const bool has_labels = request.target.kind == TargetKind::kLabel;
    const bool needs_target = !has_labels && request.target.kind != TargetKind::kNothing;
    const char* lacking = nullptr;
    if (!request.extras.empty() && opened.extra == nullptr) lacking = "extra";
    if (has_labels && opened.label == nullptr) lacking = "label";
    if (needs_target && opened.target == nullptr) lacking = "target";
    if (opened.read == nullptr) lacking = "read";
    if (opened.count > UINT32_MAX || (opened.count > 0 && lacking != nullptr)) {
        throw RuntimeError(one_line(reader.library),
                           lacking != nullptr ? concat("the reader has no function ", lacking)
                                              : "the reader has more than 4294967295 rows",
                           "mend the reader");
    }
    rows->source = reader.library;
    rows->shape = shape;
    rows->classes = request.classes;
    if (opened.count == 0 && part == Part::train) {
        throw RuntimeError(one_line(reader.library), "the reader has no rows to train on",
                           "see what the reader reads from");
    }
    rows->target = request.target;
    rows->extras = request.extras;
    rows->rows = std::min(request.take, opened.count);
    if (!has_labels) return rows;
    rows->labels.resize(rows->rows);
    for (uint64_t i = 0; i < rows->labels.size(); i++) {
        rows->labels[i] = opened.label(opened.self, i);
        if (rows->labels[i] >= 0 && rows->labels[i] < request.classes) continue;
        throw RuntimeError(
            one_line(reader.library),
            concat("label ", rows->labels[i], " at row ", i, ", but the network has ",
                   request.classes, " classes (labels 0 to ", request.classes - 1, ")"),
            "mend the reader, or give the model more classes");
    }
    return rows;
}

}  // namespace emulsion
