// Symbols by the text of what computes them.
#include "compiler/plan/symbols.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "compiler/graph/text.h"
#include "compiler/ops/sources.h"

namespace emulsion {

std::vector<int> Symbols::outputs_of(const Node& node, const std::vector<int>& inputs) {
    if (node.op->op_class() == OpClass::view) return {seen_as(inputs[0], node.types[0])};
    if (dynamic_cast<const Constant*>(node.op.get()) != nullptr)
        return {constant(print_attributes(*node.op), node.types[0])};
    if (node.op->joins_channels()) return {joined(inputs)};
    if (const std::optional<ChannelRange> slice = node.op->taken_channels())
        return {taken(inputs[0], slice->begin, slice->count)};
    std::string text = fmt::format("{} {}", node.op->kind(), print_attributes(*node.op));
    for (int input : inputs) text += fmt::format(" {}", input);
    std::vector<int> outputs;
    for (size_t k = 0; k < node.types.size(); k++) {
        const std::string output = fmt::format("{} {} {}", text, to_string(node.types[k]), k);
        outputs.push_back(number(output, node.types[k]));
    }
    return outputs;
}

std::vector<int> Symbols::sources_of(int symbol) const {
    const auto found = parts_.find(symbol);
    return found == parts_.end() ? std::vector<int>{symbol} : found->second;
}

Symbols::Channels Symbols::channels_of(int symbol) const {
    const auto found = taken_.find(symbol);
    return found == taken_.end() ? Channels{symbol, 0, types_[at(symbol)].shape[0]} : found->second;
}

int Symbols::joined(const std::vector<int>& parts) {
    std::vector<int> flat;
    for (int part : parts) {
        for (int source : sources_of(part)) {
            const Channels next = channels_of(source);
            if (!flat.empty()) {
                const Channels last = channels_of(flat.back());
                if (last.source == next.source && last.begin + last.count == next.begin) {
                    flat.back() = taken(last.source, last.begin, last.count + next.count);
                    continue;
                }
            }
            flat.push_back(source);
        }
    }
    if (flat.size() == 1) return flat[0];
    TensorType type = types_[at(flat[0])];
    type.shape[0] = 0;
    for (int part : flat) type.shape[0] += types_[at(part)].shape[0];
    const int whole = number(fmt::format("joined {}", fmt::join(flat, " ")), type);
    parts_[whole] = std::move(flat);
    return whole;
}

int Symbols::taken(int symbol, int64_t begin, int64_t count) {
    std::vector<int> found;
    int64_t end = 0;
    for (int source : sources_of(symbol)) {
        const Channels own = channels_of(source);
        const int64_t first = std::max(begin, end), last = std::min(begin + count, end + own.count);
        const Channels part{own.source, own.begin + first - end, last - first};
        end += own.count;
        if (first >= last) continue;
        TensorType type = types_[at(own.source)];
        if (part.count == type.shape[0]) {
            found.push_back(own.source);
            continue;
        }
        type.shape[0] = part.count;
        const std::string text =
            fmt::format("channels {} + {} of {}", part.begin, part.count, part.source);
        found.push_back(number(text, type));
        taken_[found.back()] = part;
    }
    return joined(found);
}

int Symbols::seen_as(int symbol, const TensorType& type) {
    const int root = roots_[at(symbol)];
    if (types_[at(root)] == type) return root;
    if (const auto found = constants_.find(root); found != constants_.end())
        return constant(std::string(found->second), type);
    const int view = number(fmt::format("view {} {}", root, to_string(type)), type);
    roots_[at(view)] = root;
    return view;
}

int Symbols::constant(const std::string& attributes, const TensorType& type) {
    const int symbol = number(fmt::format("constant {} {}", attributes, to_string(type)), type);
    constants_[symbol] = attributes;
    return symbol;
}

int Symbols::number(const std::string& text, const TensorType& type) {
    const auto [found, inserted] = numbers_.emplace(text, static_cast<int>(types_.size()));
    if (inserted) {
        types_.push_back(type);
        roots_.push_back(found->second);
    }
    return found->second;
}

}  // namespace emulsion
