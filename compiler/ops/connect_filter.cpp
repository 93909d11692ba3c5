// Filters whose connections a table names.
#include "compiler/ops/connect_filter.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/graph/limits.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::Var;

// Shape

namespace {

constexpr int64_t kBits = 32;  // channels of a word of connections

void expect_table(const std::vector<int64_t>& table, int64_t filters, int64_t channels) {
    if (filters < 1 || channels < 1 || filters > kMostConnections / channels) {
        fail("attribute",
             fmt::format("the table has {} filters and {} channels, but may have 1 to {} pairs of "
                         "them",
                         filters, channels, kMostConnections),
             "use a convolution, or groups");
    }
    if (static_cast<int64_t>(table.size()) != filters * channels) {
        fail("attribute",
             fmt::format("the table has {} numbers, but there are {} filters and {} channels",
                         table.size(), filters, channels),
             fmt::format("give it {} numbers, a row of {} for each filter", filters * channels,
                         channels));
    }
    const auto other =
        std::ranges::find_if(table, [](int64_t number) { return number != 0 && number != 1; });
    if (other != table.end()) {
        fail("attribute", fmt::format("the table holds {}, but must hold 0 and 1", *other),
             "write 1 where a filter reads a channel, else 0");
    }
    for (int64_t o = 0; o < filters; o++) {
        const auto row = table.begin() + o * channels;
        if (std::find(row, row + channels, 1) != row + channels) continue;
        fail("attribute", fmt::format("filter {} of the table reads no channel", o),
             "connect it with a channel, or leave it out");
    }
}

// A parameter with two axes and those of the taps.
void expect_filter(const TensorType& type, std::string_view what, std::string_view axes) {
    expect_parameter(type, std::clamp<size_t>(type.shape.size(), 3, 5), what, axes);
}

// The filter with other extents on its first two axes.
TensorType with_pairs(const TensorType& filter, int64_t first, int64_t second) {
    TensorType type = filter;
    type.shape[0] = first;
    type.shape[1] = second;
    return type;
}

int64_t pairs_of(const std::vector<int64_t>& table) {
    return std::count(table.begin(), table.end(), 1);
}

}  // namespace

std::vector<TensorType> ConnectFilter::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    expect_filter(inputs[0], "weights", "(pairs, 1, taps)");
    expect_table(table, filters, channels);
    const std::vector<int64_t>& w = inputs[0].shape;
    if (w[0] != pairs_of(table) || w[1] != 1) {
        fail("shape",
             fmt::format("the weights are {}, but the table connects {} pairs",
                         to_string(inputs[0]), pairs_of(table)),
             fmt::format("give them the type {}",
                         to_string(with_pairs(inputs[0], pairs_of(table), 1))));
    }
    return {with_pairs(inputs[0], filters, channels)};
}

std::vector<TensorType> ConnectFilterBackward::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    expect_filter(inputs[0], "gradient", "(filters, channels, taps)");
    const std::vector<int64_t>& w = inputs[0].shape;
    expect_table(table, w[0], w[1]);
    return {with_pairs(inputs[0], pairs_of(table), 1)};
}

// Gradient

std::vector<Value> ConnectFilter::gradient(GradientContext& context) const {
    auto op = std::make_shared<ConnectFilterBackward>();
    op->table = table;
    return {context.add("dw", op, {context.gradients[0]})};
}

// Lowering

namespace {

// numbers[index] as a tree of comparisons; equal neighbours are one leaf.
Expr choose_number(const std::vector<uint32_t>& numbers, size_t begin, size_t end,
                   const Expr& index) {
    const auto from = numbers.begin() + static_cast<std::ptrdiff_t>(begin),
               to = numbers.begin() + static_cast<std::ptrdiff_t>(end);
    if (std::all_of(from, to, [&](uint32_t number) { return number == *from; }))
        return Halide::Internal::make_const(Halide::UInt(32), uint64_t{*from});
    const size_t middle = begin + (end - begin) / 2;
    return Halide::select(index < static_cast<int>(middle),
                          choose_number(numbers, begin, middle, index),
                          choose_number(numbers, middle, end, index));
}

Expr choose_number(const std::vector<uint32_t>& numbers, const Expr& index) {
    return choose_number(numbers, 0, numbers.size(), index);
}

// The ones of 32 bits, summed in pairs, fours, eights and so on (Warren, "Hacker's Delight",
// section 5-1); OpenCL's code generator has no popcount.
Expr count_ones(Expr x) {
    const auto masked = [](const Expr& bits, uint32_t mask) {
        return bits & Halide::Internal::make_const(Halide::UInt(32), uint64_t{mask});
    };
    x = x - masked(x >> 1, 0x55555555);
    x = masked(x, 0x33333333) + masked(x >> 2, 0x33333333);
    x = masked(x + (x >> 4), 0x0f0f0f0f);
    x = x + (x >> 8);
    return masked(x + (x >> 16), 0x3f);
}

// Coordinates (lane, i, taps, k) of a filter at the tap of `vars`, row `first` and column `second`.
std::vector<Expr> weight_at(const std::vector<Var>& vars, const Expr& first, const Expr& second) {
    std::vector<Expr> at = as_exprs(vars);
    at[0] = first % to_int(kBlock);
    at[1] = second;
    at.back() = first / to_int(kBlock);
    return at;
}

// The connections of each filter in words of 32 channels, and how many pairs come before a word.
struct Words {
    std::vector<uint32_t> bits, before;
};

Words words_of(const std::vector<int64_t>& table, int64_t filters, int64_t channels) {
    Words words;
    uint32_t pairs = 0;
    for (int64_t o = 0; o < filters; o++) {
        for (int64_t begin = 0; begin < channels; begin += kBits) {
            words.before.push_back(pairs);
            uint32_t bits = 0;
            for (int64_t i = begin; i < std::min(begin + kBits, channels); i++) {
                if (table[static_cast<size_t>(o * channels + i)] == 0) continue;
                bits |= uint32_t{1} << (i - begin);
                pairs++;
            }
            words.bits.push_back(bits);
        }
    }
    return words;
}

}  // namespace

// The pair of filter o and channel i is the number of those before its word, and of the bits below
// its own.
std::vector<Func> ConnectFilter::lower(const LowerContext& context,
                                       const std::vector<Func>& inputs) const {
    const std::vector<Var> vars = coordinates(context.outputs[0]);  // (lane, i, taps, k)
    const Words words = words_of(table, filters, channels);
    const int lanes = to_int(kBlock), bits_of_word = to_int(kBits);
    const Expr i = vars[1], o = vars.back() * lanes + vars[0];
    const int words_of_filter = to_int((channels + kBits - 1) / kBits);
    const Expr word = Halide::min(o, to_int(filters - 1)) * words_of_filter + i / bits_of_word;
    const Expr bits = choose_number(words.bits, word);
    const Expr own = Halide::cast<uint32_t>(1) << Halide::cast<uint32_t>(i % bits_of_word);
    const Expr pair = Halide::cast<int32_t>(choose_number(words.before, word)) +
                      Halide::cast<int32_t>(count_ones(bits & (own - 1)));
    const Expr at = Halide::clamp(pair, 0, to_int(pairs_of(table) - 1));
    Func out(context.name);
    out(vars) = Halide::select(o < to_int(filters) && (bits & own) != 0,
                               inputs[0](weight_at(vars, at, 0)), 0.0F);
    return {out};
}

std::vector<Func> ConnectFilterBackward::lower(const LowerContext& context,
                                               const std::vector<Func>& inputs) const {
    const std::vector<Var> vars = coordinates(context.outputs[0]);  // (lane, i, taps, k)
    std::vector<uint32_t> places;                                   // of the ones
    for (size_t f = 0; f < table.size(); f++) {
        if (table[f] == 1) places.push_back(static_cast<uint32_t>(f));
    }
    const int lanes = to_int(kBlock), channels = to_int(context.inputs[0].shape[1]);
    const int filters = to_int(context.inputs[0].shape[0]), pairs = to_int(pairs_of(table));
    const Expr pair = vars.back() * lanes + vars[0];
    const Expr place = Halide::cast<int32_t>(choose_number(places, Halide::min(pair, pairs - 1)));
    const Expr o = Halide::clamp(place / channels, 0, filters - 1);
    const Expr i = Halide::clamp(place % channels, 0, channels - 1);
    Func out(context.name);
    out(vars) = Halide::select(pair < pairs, inputs[0](weight_at(vars, o, i)), 0.0F);
    return {out};
}

}  // namespace emulsion
