// Facts as JSON text; compared as JSON values, so that another writer's blanks make no difference.
#include "runtime/data/origin.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "runtime/data/resize.h"
#include "runtime/support/error.h"
#include "runtime/support/limits.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

using Json = nlohmann::json;

constexpr const char* kKeys[] = {"input", "mean", "deviation", "classes"};
constexpr size_t kMostEscaped = 6;    // bytes of \uXXXX that stand for one
constexpr size_t kMostBlanks = 1024;  // of another writer

// The picture among the inputs, or null.
const emulsion_port* picture_of(const emulsion_info& info) {
    for (int i = 0; i < info.input_count; i++) {
        if (info.inputs[i].type == EMULSION_F32) return &info.inputs[i];
    }
    return nullptr;
}

std::string number_list(const float* values, int64_t count) {
    std::string text = "[";
    for (int64_t i = 0; i < count; i++) text += concat(i > 0 ? ", " : "", values[i]);
    return text + "]";
}

// A JSON list of strings; bytes that are no UTF-8 become U+FFFD.
template <typename Names>
std::string name_list(const Names& names) {
    std::string text = "[";
    for (const auto& name : names) {
        text += text.size() > 1 ? ", " : "";
        text += Json(name).dump(-1, ' ', false, Json::error_handler_t::replace);
    }
    return text + "]";
}

const std::string* find(const Metadata& metadata, std::string_view key) {
    const auto entry = std::find_if(metadata.begin(), metadata.end(),
                                    [&](const auto& pair) { return pair.first == key; });
    return entry == metadata.end() ? nullptr : &entry->second;
}

// A value of a file that is much longer than the program's own is not looked at: it differs.
Json parse(const std::string* text, const std::string* own) {
    if (text == nullptr) return Json();
    const size_t limit = kMostEscaped * (own ? own->size() : 0) + kMostBlanks;
    if (text->size() > limit) return Json(Json::value_t::discarded);
    return Json::parse(*text, nullptr, /*allow_exceptions=*/false);
}

std::string text_or_none(const std::string* text) {
    return text ? one_line(std::string_view(*text).substr(0, 200)) : "none";
}

// Where two lists of class names begin to differ, in words.
std::string class_difference(const Json& found, const Json& expected, std::string_view kind) {
    if (found.is_array() && expected.is_array()) {
        for (size_t i = 0; i < std::min(found.size(), expected.size()); i++) {
            if (found[i] == expected[i]) continue;
            const std::string* name = found[i].get_ptr<const std::string*>();
            return concat("class ", i, " of the ", kind, " is ", name ? quoted(*name) : "no name",
                          "; that of this program is ",
                          quoted(expected[i].get_ref<const std::string&>()));
        }
    }
    const auto count = [](const Json& list) { return list.is_array() ? list.size() : 0; };
    return concat("the ", kind, " and this program name different classes: ", count(found),
                  " there, ", count(expected), " here");
}

}  // namespace

Metadata describe_origin(const emulsion_info& info) {
    Metadata metadata;
    if (const emulsion_port* input = picture_of(info)) {
        metadata.emplace_back("input",
                              shape_text({input->shape, static_cast<size_t>(input->rank)}));
        if (info.normalized) {
            const int64_t channels = std::min<int64_t>(input->shape[0], std::size(info.input_mean));
            metadata.emplace_back("mean", number_list(info.input_mean, channels));
            metadata.emplace_back("deviation", number_list(info.input_deviation, channels));
        }
    }
    if (info.classes != nullptr && info.class_count > 0) {
        metadata.emplace_back(
            "classes", name_list(std::span(info.classes, static_cast<size_t>(info.class_count))));
    }
    return metadata;
}

void check_origin(const Metadata& found, const emulsion_info& info, std::string_view kind,
                  std::string_view file) {
    const Metadata expected = describe_origin(info);
    for (const std::string key : kKeys) {
        const std::string *theirs = find(found, key), *ours = find(expected, key);
        if (key == "classes" && ours == nullptr) continue;
        const Json their_value = parse(theirs, ours), our_value = parse(ours, ours);
        if (their_value == our_value) continue;
        throw RuntimeError(
            one_line(file),
            key == "classes" ? class_difference(their_value, our_value, kind)
                             : concat("the ", key, " of the ", kind, " is ", text_or_none(theirs),
                                      "; that of this program is ", text_or_none(ours)),
            concat("build the program with the ", key, " of the ", kind, ", or train anew"));
    }
}

Metadata describe_data(const DataFacts& facts, const emulsion_info& info) {
    Metadata metadata;
    if (info.classes == nullptr && !facts.classes.empty())
        metadata.emplace_back("classes", name_list(facts.classes));
    if (!facts.resize.empty()) metadata.emplace_back("resize", facts.resize);
    if (facts.scale != 1.0) metadata.emplace_back("scale", concat(facts.scale));
    return metadata;
}

namespace {

constexpr size_t kMostClassText = 16 * 1024 * 1024;  // bytes

// The names of a JSON list of strings; nothing where it is none.
std::optional<std::vector<std::string>> read_names(const std::string& text) {
    if (text.size() > kMostClassText) return std::nullopt;
    const Json list = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!list.is_array()) return std::nullopt;
    std::vector<std::string> names;
    for (const Json& name : list) {
        if (!name.is_string()) return std::nullopt;
        names.push_back(name.get<std::string>());
    }
    return names;
}

}  // namespace

DataFacts read_data_facts(const Metadata& found, const emulsion_info& info, std::string_view file) {
    DataFacts facts;
    const auto refuse = [&](const char* key, const std::string& text, const char* expected) {
        throw RuntimeError(
            one_line(file),
            concat("the entry ", quoted(key), " is ", text_or_none(&text), "; expected ", expected),
            "give weights that the trainer has written");
    };
    const std::string* classes = find(found, "classes");
    if (classes != nullptr && info.classes == nullptr) {
        auto names = read_names(*classes);
        if (!names) refuse("classes", *classes, "a list of names");
        facts.classes = std::move(*names);
    }
    if (const std::string* resize = find(found, "resize")) {
        if (!parse_rule(*resize)) refuse("resize", *resize, "one such as 'bilinear stretch'");
        facts.resize = *resize;
    }
    if (const std::string* scale = find(found, "scale")) {
        const std::optional<double> value = parse_double(*scale);
        if (!value || !(*value >= kLeastScale && *value <= kMostScale))
            refuse("scale", *scale, "a number above 0");
        facts.scale = *value;
    }
    return facts;
}

}  // namespace emulsion
