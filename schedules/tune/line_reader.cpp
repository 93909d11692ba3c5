// See line_reader.h.
#include "schedules/tune/line_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "runtime/support/text.h"

namespace emulsion {

void LineReader::refuse(std::string problem) const {
    fail(code_, std::move(problem), std::string(form_));
}

std::string_view LineReader::word(std::string_view name) {
    expect(name);
    const size_t end = std::min(rest_.find(' '), rest_.size());
    const std::string_view value = rest_.substr(0, end);
    if (value.empty()) refuse(fmt::format("'{}' has no value", name));
    skip(end);
    return value;
}

std::string_view LineReader::quoted(std::string_view name) {
    expect(name);
    const size_t end =
        rest_.empty() || rest_[0] != '"' ? std::string_view::npos : rest_.find('"', 1);
    if (end == std::string_view::npos) refuse(fmt::format("'{}' has no value in quotes", name));
    const std::string_view value = rest_.substr(1, end - 1);
    skip(end + 1);
    return value;
}

int LineReader::count_in(std::string_view name, std::string_view text) const {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < 1)
        refuse(fmt::format("'{}' is {}, but must be a whole number from 1 on", name, text));
    return value;
}

double LineReader::number(std::string_view name, bool may_be_zero) {
    const std::string_view text = word(name);
    const std::optional<double> value = parse_double(text);
    const double least = may_be_zero ? 0 : 1e-9;
    if (!value || !std::isfinite(*value) || *value < least)
        refuse(fmt::format("'{}' is {}, but must be a number {}", name, text,
                           may_be_zero ? "from 0 on" : "above 0"));
    return *value;
}

std::pair<std::string, int> LineReader::versioned(std::string_view name) {
    const std::string_view text = word(name);
    const size_t at = text.find('@');
    if (at == 0 || at == std::string_view::npos)
        refuse(fmt::format("'{}' is {}, but must be NAME@VERSION", name, text));
    return {std::string(text.substr(0, at)), count_in("version", text.substr(at + 1))};
}

bool LineReader::begins_with(std::string_view name) const {
    return rest_.starts_with(name) && rest_.substr(name.size()).starts_with('=');
}

bool LineReader::accept(std::string_view flag) {
    if (!rest_.starts_with(flag) || rest_.size() <= flag.size() || rest_[flag.size()] != ' ')
        return false;
    skip(flag.size());
    return true;
}

std::string_view LineReader::rest(std::string_view name) {
    expect(name);
    if (rest_.empty()) refuse(fmt::format("'{}' has no value", name));
    return rest_;
}

void LineReader::expect(std::string_view name) {
    if (!begins_with(name)) {
        refuse(fmt::format("'{}=' is expected, but there is '{}'", name,
                           rest_.empty() ? "the end of the line" : rest_.substr(0, 40)));
    }
    rest_.remove_prefix(name.size() + 1);
}

void LineReader::skip(size_t count) {
    rest_.remove_prefix(count);
    while (rest_.starts_with(' ')) rest_.remove_prefix(1);
}

bool read_lines(std::string_view text, const std::string& file, std::string_view first,
                std::string_view code,
                const std::function<void(std::string_view, const SourceLocation&)>& take,
                std::vector<Diagnostic>& faults) {
    bool has_begun = false;
    for (int number = 1; !text.empty(); number++) {
        const size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
        if (line.empty() || line[0] == '#') continue;
        if (!has_begun) {
            if (line != first) return false;
            has_begun = true;
            continue;
        }
        try {
            take(line, {file, number});
        } catch (const Error& error) {
            Diagnostic fault = error.diagnostic();
            fault.code = code;
            fault.where = {file, number};
            faults.push_back(std::move(fault));
        }
    }
    return has_begun;
}

}  // namespace emulsion
