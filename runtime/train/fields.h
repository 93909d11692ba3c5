// The fields of a struct, listed once, as JSON: written with FieldWriter, read and checked with
// FieldReader.
//
// A struct has one function for both:
//
//     template <typename Fields>
//     void list_fields(Fields& fields, Is<Metrics> auto& metrics) {
//         fields("loss_sum", metrics.loss_sum);                  // any finite number
//         fields("samples", metrics.samples, int64_t(0), kMost);  // within these bounds
//     }
//
// so that a new field is one line, and a file cannot hold a value that no writer writes.
#pragma once
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "runtime/support/error.h"
#include "runtime/support/text.h"

namespace emulsion {

template <typename T, typename Struct>
concept Is = std::is_same_v<std::remove_const_t<T>, Struct>;

class FieldWriter {
  public:
    template <typename Value>
    void operator()(const char* name, const Value& value) {
        json_[name] = to_json(value);
    }
    template <typename Value>
    void operator()(const char* name, const Value& value, const Value&, const Value&) {
        json_[name] = to_json(value);
    }
    template <typename Value>
    void operator()(const char* name, const std::optional<Value>& value) {
        if (value) json_[name] = to_json(*value);
    }
    template <typename Value>
    void operator()(const char* name, const std::optional<Value>& value, const Value&,
                    const Value&) {
        (*this)(name, value);
    }
    // Nothing where the text is empty, or the number is `usual`.
    void text_if_any(const char* name, const std::string& text) {
        if (!text.empty()) json_[name] = text;
    }
    template <typename Value>
    void unless(const char* name, const Value& value, const Value& usual, const Value&,
                const Value&) {
        if (value != usual) json_[name] = value;
    }
    // Nothing where the list is empty.
    template <typename Value>
    void list_if_any(const char* name, const std::vector<Value>& values) {
        if (!values.empty()) (*this)(name, values);
    }
    std::string text() const {
        return json_.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
    }

  private:
    template <typename Value>
    static nlohmann::ordered_json to_json(const Value& value) {
        if constexpr (std::is_arithmetic_v<Value> || std::is_same_v<Value, std::string>) {
            return value;
        } else {
            FieldWriter fields;
            list_fields(fields, value);
            return fields.json_;
        }
    }
    template <typename Value>
    static nlohmann::ordered_json to_json(const std::vector<Value>& values) {
        auto json = nlohmann::ordered_json::array();
        for (const Value& value : values) json.push_back(to_json(value));
        return json;
    }

    nlohmann::ordered_json json_ = nlohmann::ordered_json::object();
};

// Throws RuntimeError, with `where` of the constructor and the path of the field, where one is
// missing, of another type or outside its bounds.
class FieldReader {
  public:
    FieldReader(const nlohmann::json& json, std::string where, std::string fix)
        : FieldReader(json, std::move(where), std::move(fix), "") {}

    template <typename Value>
    void operator()(const char* name, Value& value) {
        using Limits = std::numeric_limits<Value>;
        if constexpr (std::is_arithmetic_v<Value>) {
            (*this)(name, value, Limits::lowest(), Limits::max());
        } else {
            read(find(name), name, value);
        }
    }
    template <typename Value>
    void operator()(const char* name, std::optional<Value>& value) {
        value.reset();
        if (json_.contains(name)) read(find(name), name, value.emplace());
    }
    template <typename Value>
    void operator()(const char* name, std::optional<Value>& value, const Value& low,
                    const Value& high) {
        value.reset();
        if (json_.contains(name)) (*this)(name, value.emplace(), low, high);
    }
    void text_if_any(const char* name, std::string& text) {
        text.clear();
        if (json_.contains(name)) read(find(name), name, text);
    }
    template <typename Value>
    void unless(const char* name, Value& value, const Value& usual, const Value& low,
                const Value& high) {
        value = usual;
        if (json_.contains(name)) (*this)(name, value, low, high);
    }
    template <typename Value>
    void list_if_any(const char* name, std::vector<Value>& values) {
        values.clear();
        if (json_.contains(name)) read(find(name), name, values);
    }
    template <typename Value>
    void operator()(const char* name, Value& value, const Value& low, const Value& high) {
        const nlohmann::json& field = find(name);
        if (!get(field, value) || !(value >= low && value <= high)) {
            refuse(name, field, concat("a number from ", low, " to ", high));
        }
    }

    [[noreturn]] void refuse(const std::string& what) const {
        throw RuntimeError(where_, what, fix_);
    }

  private:
    FieldReader(const nlohmann::json& json, std::string where, std::string fix, std::string path)
        : json_(json), where_(std::move(where)), fix_(std::move(fix)), path_(std::move(path)) {}

    const nlohmann::json& find(const char* name) const {
        if (json_.is_object() && json_.contains(name)) return json_.at(name);
        throw RuntimeError(where_, concat("its field ", quoted(path_ + name), " is missing"), fix_);
    }
    [[noreturn]] void refuse(const char* name, const nlohmann::json& found,
                             const std::string& expected) const {
        const std::string text =
            found.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
        throw RuntimeError(where_,
                           concat("its field ", quoted(path_ + name), " is ",
                                  one_line(text.substr(0, 60)), ", not ", expected),
                           fix_);
    }

    // Whether the field is a number that the type holds.
    template <typename Value>
    static bool get(const nlohmann::json& field, Value& value) {
        if constexpr (std::is_same_v<Value, bool>) {
            if (field.is_boolean()) value = field.get<bool>();
            return field.is_boolean();
        } else if constexpr (std::is_floating_point_v<Value>) {
            if (!field.is_number()) return false;
            const double number = field.get<double>();
            if (!(std::fabs(number) <= static_cast<double>(std::numeric_limits<Value>::max())))
                return false;
            value = static_cast<Value>(number);
            return true;
        } else if (field.is_number_unsigned()) {
            const auto number = field.get<uint64_t>();
            value = static_cast<Value>(number);
            return std::in_range<Value>(number);
        } else if (field.is_number_integer()) {
            const auto number = field.get<int64_t>();
            value = static_cast<Value>(number);
            return std::in_range<Value>(number);
        }
        return false;
    }
    void read(const nlohmann::json& field, const char* name, std::string& value) const {
        if (!field.is_string()) refuse(name, field, "a text");
        value = field.get<std::string>();
    }
    template <typename Value>
    void read(const nlohmann::json& field, const char* name, std::vector<Value>& values) const {
        if (!field.is_array()) refuse(name, field, "a list");
        for (size_t i = 0; i < field.size(); i++) {
            read(field[i], concat(name, "[", i, "]").c_str(), values.emplace_back());
        }
    }
    template <typename Value>
    void read(const nlohmann::json& field, const char* name, Value& value) const {
        if constexpr (std::is_arithmetic_v<Value>) {
            if (!get(field, value)) refuse(name, field, "a number");
        } else {
            FieldReader fields(field, where_, fix_, path_ + name + ".");
            list_fields(fields, value);
        }
    }

    const nlohmann::json& json_;
    std::string where_, fix_, path_;
};

}  // namespace emulsion
