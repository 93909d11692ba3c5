// See settings.h.
#include "dsl/settings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

#include "compiler/support/closest.h"
#include "dsl/model_state.h"
#include "dsl/settings_state.h"
#include "runtime/support/text.h"

namespace emulsion {

using internal::SettingsState;

namespace {

constexpr std::string_view kOption = "--set";
constexpr const char* kForm = "write --set NAME=VALUE";

void record(SettingsState& state, std::string message, std::string fix,
            const SourceLocation& where = {}) {
    state.mistakes.push_back({"setting", std::move(message), std::move(fix), where, {}});
}

void read_given(SettingsState& state, const std::string& text) {
    const size_t sign = text.find('=');
    if (sign == std::string::npos || sign == 0)
        return record(state, fmt::format("--set {} is no NAME=VALUE", quoted(text)), kForm);
    const std::string name = text.substr(0, sign);
    if (!state.given.emplace(name, text.substr(sign + 1)).second)
        record(state, fmt::format("the setting {} is given twice", quoted(name)),
               "leave out one of the two");
}

std::optional<int> parse_integer(const std::string& text) {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

// Declares the setting; the text that is given for it, if there is one.
const std::string* declare(SettingsState& state, const std::string& name, const std::string& value,
                           const SourceLocation& where) {
    if (!internal::is_layer_name(name))
        record(state, fmt::format("{} is no name for a setting", quoted(name)),
               "use a letter, then letters, digits, '_', '-' and '.'", where);
    for (const SettingsState::Declared& other : state.declared) {
        if (other.name == name)
            record(state,
                   fmt::format("the setting {} is asked for twice, first at {}:{}", quoted(name),
                               other.where.file, other.where.line),
                   "keep its value in a variable", where);
    }
    state.declared.push_back({name, value, where});
    const auto found = state.given.find(name);
    return found == state.given.end() ? nullptr : &found->second;
}

// The setting declared last is `text`, which is not `rule`.
void refuse_value(SettingsState& state, const std::string& text, const std::string& rule) {
    const SettingsState::Declared& setting = state.declared.back();
    record(state,
           fmt::format("the setting {} is {}, which is not {}", quoted(setting.name), quoted(text),
                       rule),
           fmt::format("write --set {}=VALUE with {}", setting.name, rule), setting.where);
}

SourceLocation location_of(const std::source_location& where) {
    return {where.file_name(), static_cast<int>(where.line())};
}

template <typename Value>
std::string one_of(const std::vector<Value>& choices) {
    return fmt::format("one of {}", fmt::join(choices, ", "));
}

// What is given in place of `value`, where it fits; what does not is refused. `parse` makes an
// optional value of a text, and `fits` judges it.
template <typename Value, typename Parse, typename Fits>
Value take_value(SettingsState& state, const std::string& name, const Value& value,
                 const std::string& rule, const std::source_location& where, Parse parse,
                 Fits fits) {
    const std::string text = fmt::format("{}", value);
    const std::string* given = declare(state, name, text, location_of(where));
    const std::optional<Value> wanted =
        given == nullptr ? std::optional<Value>(value) : parse(*given);
    if (!wanted || !fits(*wanted)) {
        refuse_value(state, given == nullptr ? text : *given, rule);
        return value;
    }
    state.declared.back().value = fmt::format("{}", *wanted);
    return *wanted;
}

}  // namespace

std::vector<std::string> given_settings(int argc, char** argv) {
    std::vector<std::string> given;
    for (int i = 1; i < argc; i++) {
        const std::string_view word = argv[i];
        if (word == "--") break;
        if (word == kOption && i + 1 < argc) given.emplace_back(argv[++i]);
        if (word.starts_with("--set=")) given.emplace_back(word.substr(kOption.size() + 1));
    }
    return given;
}

Settings::Settings(int argc, char** argv) : state_(std::make_shared<SettingsState>()) {
    state_->argc = argc;
    state_->argv = argv;
    for (const std::string& text : given_settings(argc, argv)) read_given(*state_, text);
}

int Settings::integer(const std::string& name, int value, const IntegerRange& range,
                      std::source_location where) {
    const bool has_choices = !range.choices.empty();
    const std::string rule =
        has_choices ? one_of(range.choices)
                    : fmt::format("a whole number from {} to {}", range.from, range.to);
    return take_value(*state_, name, value, rule, where, parse_integer, [&](int number) {
        if (!has_choices) return number >= range.from && number <= range.to;
        return std::find(range.choices.begin(), range.choices.end(), number) != range.choices.end();
    });
}

double Settings::number(const std::string& name, double value, const NumberRange& range,
                        std::source_location where) {
    return take_value(
        *state_, name, value, fmt::format("a number from {} to {}", range.from, range.to), where,
        [](const std::string& text) { return parse_double(text); },
        [&](double number) { return number >= range.from && number <= range.to; });
}

bool Settings::boolean(const std::string& name, bool value, std::source_location where) {
    const auto parse = [](const std::string& text) -> std::optional<bool> {
        if (text != "true" && text != "false") return std::nullopt;
        return text == "true";
    };
    return take_value(*state_, name, value, "true or false", where, parse,
                      [](bool) { return true; });
}

std::string Settings::word(const std::string& name, const std::string& value,
                           const std::vector<std::string>& choices, std::source_location where) {
    return take_value(
        *state_, name, value, one_of(choices), where,
        [](const std::string& text) { return std::optional<std::string>(text); },
        [&](const std::string& text) {
            return std::find(choices.begin(), choices.end(), text) != choices.end();
        });
}

std::vector<Diagnostic> mistakes_of(const SettingsState& state) {
    std::vector<Diagnostic> mistakes = state.mistakes;
    std::vector<std::string_view> names;
    for (const SettingsState::Declared& each : state.declared) names.push_back(each.name);
    for (const auto& [name, value] : state.given) {
        if (std::find(names.begin(), names.end(), name) != names.end()) continue;
        const std::string near = closest(name, names);
        mistakes.push_back(
            {"setting",
             fmt::format("the model file has no setting {}{}", quoted(name),
                         near.empty() ? "" : fmt::format("; the closest is '{}'", near)),
             names.empty() ? "leave --set out, or ask for the setting with Settings::integer(), "
                             "number(), boolean() or word(), and call compile(model, settings)"
                           : fmt::format("set one of {}", fmt::join(names, ", ")),
             {},
             {}});
    }
    return mistakes;
}

std::string settings_text(const SettingsState& state) {
    std::vector<std::string> parts;
    for (const SettingsState::Declared& each : state.declared)
        parts.push_back(each.name + "=" + each.value);
    return fmt::format("{}", fmt::join(parts, " "));
}

}  // namespace emulsion
