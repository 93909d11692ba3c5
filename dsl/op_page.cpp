// Headers and tests are found by what every class of an op says: return "KIND";.
#include "dsl/op_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <vector>

#include "dsl/include_folder.h"
#include "runtime/support/error.h"
#include "runtime/support/file.h"

namespace emulsion {

namespace {

namespace fs = std::filesystem;

constexpr size_t kNone = std::string::npos;

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

bool names(std::string_view text, std::string_view word) {
    for (size_t i = text.find(word); i != kNone; i = text.find(word, i + 1)) {
        const bool begins = i == 0 || !is_word(text[i - 1]);
        const size_t end = i + word.size();
        if (begins && (end == text.size() || !is_word(text[end]))) return true;
    }
    return false;
}

// The comment lines from `begin` on, without their slashes.
std::string comment_at(std::string_view text, size_t begin) {
    std::string comment;
    while (text.substr(begin).starts_with("//")) {
        const size_t end = std::min(text.find('\n', begin), text.size());
        const std::string_view line = text.substr(begin + 2, end - begin - 2);
        comment += std::string(line.substr(line.starts_with(' ') ? 1 : 0)) + "\n";
        begin = std::min(end + 1, text.size());
    }
    return comment;
}

// The comment right above the line that begins at `end`.
std::string comment_above(std::string_view text, size_t end) {
    size_t begin = end;
    while (begin > 0) {
        const size_t line = text.rfind('\n', begin - 2);
        const size_t start = line == kNone ? 0 : line + 1;
        if (!text.substr(start).starts_with("//")) break;
        begin = start;
    }
    return comment_at(text.substr(0, end), begin);
}

// Where the class begins that has the line at `at`.
size_t class_of(std::string_view text, size_t at) {
    const size_t begin = text.rfind("\nclass ", at);
    return begin == kNone ? 0 : begin + 1;
}

std::string class_name(std::string_view text, size_t begin) {
    constexpr size_t kWord = std::string_view("class ").size();
    size_t end = begin + kWord;
    while (end < text.size() && is_word(text[end])) end++;
    return std::string(text.substr(begin + kWord, end - begin - kWord));
}

std::string_view forward_of(std::string_view kind) {
    return kind.substr(0, std::min(kind.find("_backward"), kind.size()));
}

std::string documentation(std::string_view text, size_t begin, std::string_view kind) {
    std::string top = comment_at(text, 0);
    const std::string_view forward = forward_of(kind);
    const bool is_named = names(top, kind) ||
                          (forward != kind && names(top, forward) && top.find("ackward") != kNone);
    const std::string own = comment_above(text, begin);
    if (!is_named) return own;
    return own.empty() ? top : top + "\n" + own;
}

}  // namespace

// The files of a folder below the root whose names end so, by name; none where it is not there.
std::vector<OpPages::Source> OpPages::read(const std::string& folder, std::string_view ending) {
    constexpr uint64_t kMostBytes = uint64_t{1} << 20;
    std::vector<Source> found;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(include_folder() / folder, error)) {
        const std::string name = entry.path().filename().string();
        if (!name.ends_with(ending)) continue;
        const Bytes bytes = read_file(entry.path().string(), kMostBytes, "source");
        found.push_back({folder + "/" + name, {bytes.begin(), bytes.end()}});
    }
    std::ranges::sort(found, {}, &Source::path);
    return found;
}

OpPages::OpPages() : headers_(read("compiler/ops", ".h")), tests_(read("tests/ops", "_test.cpp")) {}

OpPages::Place OpPages::find_class(std::string_view kind) const {
    const std::string line = fmt::format("return \"{}\";", kind);
    for (const Source& header : headers_) {
        const size_t at = header.text.find(line);
        if (at == kNone) continue;
        const size_t begin = class_of(header.text, at);
        return {header.path, class_name(header.text, begin),
                documentation(header.text, begin, kind)};
    }
    return {};
}

std::string OpPages::find_test(const Place& place, std::string_view kind) const {
    const std::string own = fs::path(place.header).stem().string() + "_test";
    const std::string quoted = fmt::format("\"{}\"", kind);
    std::string first;
    for (const Source& test : tests_) {
        const std::string stem = fs::path(test.path).stem().string();
        if (stem == "registry_test") continue;
        if (test.text.find(quoted) == kNone && !names(test.text, place.name)) continue;
        if (stem == own) return test.path;
        if (first.empty()) first = test.path;
    }
    return first;
}

OpPage OpPages::of(std::string_view kind) const {
    const Place place = find_class(kind);
    if (place.header.empty()) return {};
    OpPage page{place.header, place.text, find_test(place, kind)};
    const std::string_view forward = forward_of(kind);
    if (page.test.empty() && forward != kind) page.test = find_test(find_class(forward), forward);
    return page;
}

}  // namespace emulsion
