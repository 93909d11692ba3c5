// Shape rules that the pooling ops share.
#include "compiler/ops/pool_attributes.h"

#include "compiler/ops/expect.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

void PoolAttributes::visit(Fields& f) {
    f.field("window", window);
    f.field("stride", stride);
    f.field("padding", padding);
    f.field("ceil", ceil);
}

TensorType PoolAttributes::result_type(const TensorType& input) const {
    const Window w = sliding();
    check_window(w, input.shape[1], input.shape[2], "window");
    check_pool_padding(w);
    return batched_type(
        {input.shape[0], w.positions(0, input.shape[1]), w.positions(1, input.shape[2])});
}

TensorType PoolAttributes::input_type(const TensorType& gradient,
                                      const std::vector<int64_t>& input) const {
    expect_map(gradient, "gradient");
    if (input.size() != 2 || input[0] < 1 || input[1] < 1) {
        fail("attribute", "input must be a height and a width", "give input=[height,width]");
    }
    const TensorType type = batched_type({gradient.shape[0], input[0], input[1]});
    expect_gradient_of(gradient, result_type(type));
    return type;
}

bool PoolAttributes::covers_once(const std::vector<int64_t>& input) const {
    return input.size() == 2 && window.size() == 2 && sliding().tiles(input[0], input[1]);
}

}  // namespace emulsion
