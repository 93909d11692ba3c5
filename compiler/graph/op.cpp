// What ops share: default gradient, comparison, helpers of gradients.
#include "compiler/graph/op.h"

#include <fmt/ranges.h>

#include "compiler/graph/graph.h"
#include "compiler/graph/text.h"

namespace emulsion {

std::vector<Value> Op::gradient(GradientContext& context) const {
    fail("no_gradient", fmt::format("'{}': the op {} has no gradient", context.name, kind()),
         "keep it out of the path from a trained parameter to the loss");
}

int64_t Op::multiply_adds(std::span<const TensorType>) const { return 0; }

int64_t Op::index_limit(size_t, std::span<const TensorType>) const { return 0; }

bool operator==(const Op& a, const Op& b) {
    return a.kind() == b.kind() && print_attributes(a) == print_attributes(b);
}

const TensorType& GradientContext::type(Value value) const { return builder.type(value); }

Value GradientContext::add(std::string_view suffix, std::shared_ptr<const Op> op,
                           std::vector<Value> operands) {
    return builder.add(std::move(op), std::move(operands),
                       builder.unique_name(fmt::format("{}.{}", name, suffix)));
}

Value GradientContext::reduce_to(Value gradient, const TensorType& target) {
    const TensorType from = type(gradient);
    if (from == target) return gradient;
    const bool keep_channels = !target.shape.empty();
    std::string_view kind = "reduce";
    std::string attributes =
        fmt::format("{{keep_samples={}, keep_channels={}}}", target.batched, keep_channels);
    if (keep_channels && from.shape.size() == target.shape.size() &&
        from.batched == target.batched) {
        std::vector<size_t> axes;
        for (size_t i = 0; i < from.shape.size(); i++) {
            if (from.shape[i] != target.shape[i]) axes.push_back(i);
        }
        kind = "reduce_axes";
        attributes = fmt::format("{{axes=[{}]}}", fmt::join(axes, ","));
    }
    const Value sum = add("sum", op_from_text(kind, attributes), {gradient});
    EMU_CHECK(type(sum) == target, "cannot reduce {} to {}", to_string(from), to_string(target));
    return sum;
}

}  // namespace emulsion
