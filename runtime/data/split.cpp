// Shares of each class, counted with integers.
#include "runtime/data/split.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "runtime/data/random.h"
#include "runtime/support/error.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr size_t kDigits = 18;  // of numerator and denominator: both fit 64 bits

// The digits of a decimal number and the power of ten below them.
struct Decimal {
    uint64_t digits = 0;
    int exponent = 0;
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Reads digits, with at most one point among them, off the front of `text`.
bool read_digits(std::string_view& text, Decimal& number) {
    std::string digits;
    bool has_point = false;
    for (; !text.empty() && (is_digit(text[0]) || text[0] == '.'); text.remove_prefix(1)) {
        if (text[0] == '.') {
            if (has_point) return false;
            has_point = true;
            continue;
        }
        digits += text[0];
        if (has_point) number.exponent--;
    }
    if (digits.empty()) return false;
    for (; digits.size() > 1 && digits.back() == '0'; digits.pop_back()) number.exponent++;
    digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size() - 1));
    if (digits.size() > kDigits) return false;
    for (char digit : digits)
        number.digits = number.digits * 10 + static_cast<uint64_t>(digit - '0');
    return true;
}

bool read_exponent(std::string_view& text, Decimal& number) {
    if (text.empty() || (text[0] != 'e' && text[0] != 'E')) return true;
    text.remove_prefix(1);
    bool is_negative = !text.empty() && text[0] == '-';
    if (is_negative || (!text.empty() && text[0] == '+')) text.remove_prefix(1);
    int value = 0, length = 0;
    for (; !text.empty() && is_digit(text[0]); text.remove_prefix(1)) {
        if (++length > 4) return false;
        value = value * 10 + (text[0] - '0');
    }
    number.exponent += is_negative ? -value : value;
    return length > 0;
}

// The number as a fraction below 1, or false.
bool make_fraction(Decimal number, Fraction& fraction) {
    if (number.digits == 0) number.exponent = 0;
    if (number.exponent < -static_cast<int>(kDigits) || number.exponent > 0) return false;
    fraction.numerator = number.digits;
    for (int i = number.exponent; i < 0; i++) fraction.denominator *= 10;
    return fraction.numerator < fraction.denominator;
}

}  // namespace

uint64_t Fraction::of(uint64_t count) const {
    return static_cast<uint64_t>(static_cast<unsigned __int128>(count) * numerator / denominator);
}

Fraction parse_fraction(std::string_view text, std::string_view where) {
    Decimal number;
    std::string_view rest = text;
    Fraction fraction;
    bool is_valid = read_digits(rest, number) && read_exponent(rest, number);
    if (is_valid && rest == "%") {
        number.exponent -= 2;
        rest = {};
    }
    if (!is_valid || !rest.empty() || !make_fraction(number, fraction)) {
        throw RuntimeError(
            std::string(where),
            concat("expected a share of at least 0 and below 1, found ", quoted(text)),
            "write it as 0.1 or 10%, with a decimal point");
    }
    return fraction;
}

namespace {

// The indices of each class, ascending.
using Members = std::vector<std::vector<uint32_t>>;

Members members_of(std::span<const int32_t> labels, int classes) {
    Members members(static_cast<size_t>(classes));
    for (size_t i = 0; i < labels.size(); i++) {
        members[static_cast<size_t>(labels[i])].push_back(static_cast<uint32_t>(i));
    }
    return members;
}

// The front of each class goes to validation.
Split split_members(const Members& members, Fraction validation) {
    Split split;
    for (const std::vector<uint32_t>& indices : members) {
        const auto middle = indices.begin() + ptrdiff_t(validation.of(indices.size()));
        split.validation.insert(split.validation.end(), indices.begin(), middle);
        split.train.insert(split.train.end(), middle, indices.end());
    }
    std::sort(split.validation.begin(), split.validation.end());
    std::sort(split.train.begin(), split.train.end());
    return split;
}

}  // namespace

Split split_by_class(std::span<const int32_t> labels, int classes, Fraction validation,
                     uint64_t seed) {
    Members members = members_of(labels, classes);
    for (size_t label = 0; label < members.size(); label++)
        shuffle(members[label], seed, Stream::split, label);
    return split_members(members, validation);
}

Split split_leading(std::span<const int32_t> labels, int classes, Fraction validation) {
    return split_members(members_of(labels, classes), validation);
}

std::vector<uint32_t> whole_set(uint64_t count) {
    std::vector<uint32_t> indices(count);
    std::iota(indices.begin(), indices.end(), 0u);
    return indices;
}

}  // namespace emulsion
