// See json_reader.h.
#include "compiler/support/json_reader.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "compiler/support/diagnostic.h"
#include "compiler/support/text_file.h"
#include "runtime/support/text.h"

namespace emulsion {

using Json = nlohmann::json;

void JsonFile::refuse(const std::string& problem) const {
    fail(code, fmt::format("'{}' is no {}: {}", path, kind, problem), fix);
}

Json JsonFile::read(uint64_t limit) const {
    const std::string text = read_text_file(path, limit, kind, code, fix);
    if (text.empty()) refuse("it is empty");
    try {
        return Json::parse(text);
    } catch (const Json::parse_error& error) {
        refuse(fmt::format("the text is no JSON from byte {} of {} on", error.byte, text.size()));
    } catch (const Json::out_of_range&) {
        refuse("the text holds a number that no double can hold");
    }
}

JsonReader::JsonReader(const JsonFile& file, const Json& json, std::string where)
    : file_(file), json_(json), where_(std::move(where)) {
    if (!json.is_object()) file.refuse(fmt::format("{} is no object", where_));
}

bool JsonReader::has(const char* name) const { return json_.contains(name); }

void JsonReader::expect_no_others(std::initializer_list<std::string_view> names) const {
    for (const auto& [name, value] : json_.items()) {
        if (std::find(names.begin(), names.end(), name) == names.end())
            file_.refuse(fmt::format("{} has the unknown field {}", where_, quoted(name)));
    }
}

std::string JsonReader::text(const char* name) const {
    const Json& value = find(name);
    if (!value.is_string() || value.get_ref<const std::string&>().empty())
        wrong(name, "is no text");
    return value.get<std::string>();
}

int64_t JsonReader::count(const char* name, int64_t least, int64_t most) const {
    const Json& value = find(name);
    if (!value.is_number_integer() || value < least || value > most)
        wrong(name, fmt::format("is no whole number from {} to {}", least, most));
    return value.get<int64_t>();
}

int JsonReader::small(const char* name, int64_t least, int64_t most) const {
    return static_cast<int>(count(name, least, most));
}

double JsonReader::number(const char* name, bool zero) const {
    const Json& value = find(name);
    const double number = value.is_number() ? value.get<double>() : -1;
    if (!std::isfinite(number) || number < 0 || (number == 0 && !zero))
        wrong(name, zero ? "is no number from 0 on" : "is no number above 0");
    return number;
}

std::vector<JsonReader> JsonReader::list(const char* name) const {
    const Json& value = find(name);
    if (!value.is_array() || value.empty()) wrong(name, "is no list with entries");
    std::vector<JsonReader> readers;
    for (const Json& entry : value)
        readers.emplace_back(file_, entry, fmt::format("an entry of \"{}\"", name));
    return readers;
}

JsonReader JsonReader::object(const char* name) const {
    return JsonReader(file_, find(name), fmt::format("\"{}\"", name));
}

const Json& JsonReader::find(const char* name) const {
    const auto found = json_.find(name);
    if (found == json_.end()) file_.refuse(fmt::format("{} has no field \"{}\"", where_, name));
    return *found;
}

void JsonReader::wrong(const char* name, const std::string& problem) const {
    file_.refuse(fmt::format("\"{}\" of {} {}", name, where_, problem));
}

}  // namespace emulsion
