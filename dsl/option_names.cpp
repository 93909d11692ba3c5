// Reads just enough of C++: comments and literals become blanks; then brackets and words count.
#include "dsl/option_names.h"

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <map>
#include <set>

namespace emulsion {

namespace {

using Options = std::map<std::string, std::vector<std::string>, std::less<>>;  // by function

constexpr size_t kNone = std::string::npos;

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool is_blank(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }

// Where the comment or literal that begins at `begin` ends; `begin` where none does.
size_t end_of_blank(std::string_view text, size_t begin) {
    const std::string_view rest = text.substr(begin);
    const auto behind = [&](size_t found, size_t length) {
        return found == kNone ? text.size() : begin + found + length;
    };
    if (rest.starts_with("//")) return behind(rest.find('\n'), 0);
    if (rest.starts_with("/*")) return behind(rest.find("*/", 2), 2);
    const bool is_separator = begin > 0 && is_word(text[begin - 1]);  // of digits
    if (rest[0] != '"' && (rest[0] != '\'' || is_separator)) return begin;
    for (size_t i = 1; i < rest.size(); i++) {
        if (rest[i] == '\\') {
            i++;
        } else if (rest[i] == rest[0] || rest[i] == '\n') {
            return begin + i + 1;
        }
    }
    return text.size();
}

// The text with blanks in place of comments and literals; lines stay.
std::string code_of(std::string_view text) {
    std::string code(text);
    for (size_t i = 0; i < code.size();) {
        const size_t end = std::min(end_of_blank(text, i), code.size());
        for (size_t j = i; j < end; j++) {
            if (code[j] != '\n') code[j] = ' ';
        }
        i = std::max(end, i + 1);
    }
    return code;
}

size_t skip_blanks_back(std::string_view code, size_t end) {
    while (end > 0 && is_blank(code[end - 1])) end--;
    return end;
}

// The word that ends before `end`, blanks left out.
std::string_view word_before(std::string_view code, size_t end) {
    end = skip_blanks_back(code, end);
    size_t begin = end;
    while (begin > 0 && is_word(code[begin - 1])) begin--;
    return code.substr(begin, end - begin);
}

// The bracket that is open at `at`, or kNone.
size_t open_bracket(std::string_view code, size_t at) {
    int depth = 0;
    while (at-- > 0) {
        const char c = code[at];
        if (c == ')' || c == '}' || c == ']') depth++;
        if ((c == '(' || c == '{' || c == '[') && depth-- == 0) return at;
    }
    return kNone;
}

// The members of "struct NAME { … }" that have a default.
std::vector<std::string> members_of(std::string_view code, std::string_view name) {
    const size_t begin = code.find("struct " + std::string(name) + " {");
    if (begin == kNone) return {};
    const size_t end = code.find("\n};", begin);
    std::vector<std::string> members;
    for (size_t i = code.find(" =", begin); i < end; i = code.find(" =", i + 1))
        members.emplace_back(word_before(code, i));
    return members;
}

// Every function whose last braces are "const NAMEOptions& options".
Options options_of(std::string_view header) {
    constexpr std::string_view kParameter = "Options& options";
    Options options;
    for (size_t i = header.find(kParameter); i != kNone; i = header.find(kParameter, i + 1)) {
        const size_t call = open_bracket(header, i);
        if (call == kNone) continue;
        const std::string_view type = word_before(header, i + std::string_view("Options").size());
        options.emplace(word_before(header, call), members_of(header, type));
    }
    return options;
}

}  // namespace

std::vector<UnknownOption> find_unknown_options(std::string_view model, std::string_view header) {
    const Options options = options_of(code_of(header));
    const std::string code = code_of(model);
    std::vector<UnknownOption> unknown;
    for (size_t i = code.find('.'); i != kNone; i = code.find('.', i + 1)) {
        size_t end = i + 1;
        while (end < code.size() && is_word(code[end])) end++;
        const std::string name = code.substr(i + 1, end - i - 1);
        const size_t before = skip_blanks_back(code, i);
        const bool is_first = before > 0 && (code[before - 1] == '{' || code[before - 1] == ',');
        const size_t brace = is_first && !name.empty() ? open_bracket(code, i) : kNone;
        if (brace == kNone || code[brace] != '{') continue;
        const size_t call = open_bracket(code, brace);
        if (call == kNone || code[call] != '(') continue;
        const auto found = options.find(word_before(code, call));
        if (found == options.end() || std::ranges::count(found->second, name) > 0) continue;
        const auto line =
            1 + std::count(code.begin(), code.begin() + static_cast<ptrdiff_t>(i), '\n');
        unknown.push_back({static_cast<int>(line), found->first, name, found->second});
    }
    return unknown;
}

namespace {

using Words = std::set<std::string, std::less<>>;

// Where the bracket that is opened at `at` is closed, or the end.
size_t closing_bracket(std::string_view code, size_t at) {
    int depth = 0;
    for (size_t i = at; i < code.size(); i++) {
        if (code[i] == '(') depth++;
        if (code[i] == ')' && --depth == 0) return i;
    }
    return code.size();
}

// Words in front of a round bracket; of the header, those that a model file may name.
Words functions_of(std::string_view header, bool is_for_models) {
    Words functions;
    for (size_t i = header.find('('); i != kNone; i = header.find('(', i + 1)) {
        const std::string_view name = word_before(header, i);
        const std::string_view inside = header.substr(i, closing_bracket(header, i) - i);
        const bool fits = !is_for_models || inside.find("Place where") != kNone ||
                          inside.find("Options& options") != kNone;
        if (fits && !name.empty()) functions.emplace(name);
    }
    return functions;
}

// Whether what stands before the name is a type, so that the name is declared here.
bool is_declared(std::string_view code, size_t name_begin) {
    const size_t end = skip_blanks_back(code, name_begin);
    if (end == 0) return false;
    if (code[end - 1] == '&' || code[end - 1] == '*' || code[end - 1] == '>')
        return end < 2 || code[end - 2] != '-';  // but for ->
    const std::string_view word = word_before(code, end);
    return !word.empty() && word != "return" && word != "else" && word != "case";
}

bool is_keyword(std::string_view word) {
    for (const char* keyword : {"if", "for", "while", "switch", "return", "sizeof", "catch"}) {
        if (word == keyword) return true;
    }
    return false;
}

}  // namespace

CalledFunctions find_unknown_functions(std::string_view model, std::string_view header) {
    const std::string header_code = code_of(header), code = code_of(model);
    const Words known = functions_of(header_code, /*is_for_models=*/true);
    Words settled = functions_of(header_code, /*is_for_models=*/false);
    std::vector<UnknownFunction> unknown;
    for (size_t i = code.find('('); i != kNone; i = code.find('(', i + 1)) {
        const std::string name(word_before(code, i));
        if (name.empty() || is_keyword(name) || settled.contains(name)) continue;
        const size_t begin = skip_blanks_back(code, i) - name.size();
        const bool is_member = begin > 0 && (code[begin - 1] == '.' || code[begin - 1] == ':' ||
                                             (begin > 1 && code.compare(begin - 2, 2, "->") == 0));
        if (is_member && begin > 1 && word_before(code, begin - 2) == "std") continue;
        settled.insert(name);
        if (!is_member && is_declared(code, begin)) continue;
        const auto line =
            1 + std::count(code.begin(), code.begin() + static_cast<ptrdiff_t>(begin), '\n');
        unknown.push_back({static_cast<int>(line), name, is_member});
    }
    return {unknown, {known.begin(), known.end()}};
}

}  // namespace emulsion
