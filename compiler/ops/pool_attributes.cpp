// Shape rules that the pooling ops share.
#include "compiler/ops/pool_attributes.h"

#include "compiler/ops/expect.h"
#include "compiler/ops/positions.h"

namespace emulsion {

void PoolAttributes::visit(Fields& f) {
    f.field("window", window);
    f.field("stride", stride);
    f.field("padding", padding);
    f.field("ceil", ceil);
}

TensorType PoolAttributes::result_type(const TensorType& input) const {
    const Window w = sliding();
    const auto positions = std::span(input.shape).subspan(1);
    check_window(w, positions, "window");
    check_pool_padding(w);
    std::vector<int64_t> shape = {input.shape[0]};
    for (int axis = 0; axis < w.axes(); axis++)
        shape.push_back(w.positions(axis, positions[static_cast<size_t>(axis)]));
    return batched_type(shape);
}

TensorType PoolAttributes::input_type(const TensorType& gradient,
                                      const std::vector<int64_t>& input) const {
    expect_any_map(gradient, "gradient");
    expect_extents("input", input, gradient);
    std::vector<int64_t> shape = {gradient.shape[0]};
    shape.insert(shape.end(), input.begin(), input.end());
    const TensorType type = batched_type(shape);
    expect_gradient_of(gradient, result_type(type));
    return type;
}

bool PoolAttributes::covers_once(std::span<const int64_t> input) const {
    return input.size() == window.size() && sliding().tiles(input);
}

bool PoolAttributes::tiles_map(const TensorType& type) const {
    return type.shape.size() == 3 && covers_once(std::span(type.shape).subspan(1));
}

}  // namespace emulsion
