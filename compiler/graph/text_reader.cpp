// The cursor that all parsers of text share.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>

#include "compiler/graph/text.h"

namespace emulsion {

void TextReader::fail(std::string_view code, std::string message, std::string fix) const {
    throw Error({std::string(code), std::move(message), std::move(fix), location(), {}});
}

void TextReader::skip_space() {
    while (position_ < text_.size()) {
        char c = text_[position_];
        if (c == '#') {
            while (position_ < text_.size() && text_[position_] != '\n') position_++;
        } else if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
            if (c == '\n') line_++;
            position_++;
        } else {
            break;
        }
    }
}

bool TextReader::at_end() {
    skip_space();
    return position_ >= text_.size();
}

char TextReader::peek() { return at_end() ? '\0' : text_[position_]; }

bool TextReader::accept(std::string_view token) {
    skip_space();
    if (text_.substr(position_, token.size()) != token) return false;
    position_ += token.size();
    return true;
}

void TextReader::expect(std::string_view token) {
    if (accept(token)) return;
    if (at_end()) {
        fail("truncated", fmt::format("the text ends where '{}' is expected", token),
             "the file is cut short: write it again");
    }
    std::string_view found =
        text_.substr(position_, std::min<size_t>(20, text_.find('\n', position_) - position_));
    fail("syntax", fmt::format("expected '{}', found '{}'", token, found),
         "see the text form in graph/text.h");
}

std::string TextReader::word() {
    skip_space();
    size_t start = position_;
    auto is_word = [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == '-';
    };
    while (position_ < text_.size() && is_word(text_[position_])) position_++;
    if (position_ == start) {
        if (at_end())
            fail("truncated", "the text ends where a name is expected",
                 "the file is cut short: write it again");
        fail("syntax", fmt::format("expected a name, found '{}'", text_.substr(position_, 1)),
             "see the text form in graph/text.h");
    }
    return std::string(text_.substr(start, position_ - start));
}

std::string TextReader::quoted() {
    expect("\"");
    std::string value;
    while (position_ < text_.size() && text_[position_] != '"') {
        char c = text_[position_++];
        if (c == '\n') line_++;
        if (c == '\\' && position_ < text_.size()) {
            c = text_[position_++];
            if (c == 'n') c = '\n';
        }
        value += c;
    }
    if (position_ >= text_.size())
        fail("truncated", "a quoted text has no end", "close it with '\"'");
    position_++;
    return value;
}

int64_t TextReader::integer() {
    std::string text = word();
    int64_t value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) {
        fail("syntax", fmt::format("'{}' is not a whole number", text),
             "write a whole number such as 3");
    }
    return value;
}

double TextReader::number() {
    skip_space();
    size_t start = position_;
    while (position_ < text_.size() &&
           (std::isalnum(static_cast<unsigned char>(text_[position_])) != 0 ||
            std::string_view(".+-").find(text_[position_]) != std::string_view::npos)) {
        position_++;
    }
    std::string_view text = text_.substr(start, position_ - start);
    double value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
        fail("syntax", fmt::format("'{}' is not a number", text), "write a number such as 0.05");
    }
    return value;
}

}  // namespace emulsion
