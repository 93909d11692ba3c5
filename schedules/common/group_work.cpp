// Shapes and bytes of a group.
#include "schedules/common/group_work.h"

#include <algorithm>

namespace emulsion {

bool has_one_shape(const Group& group) {
    const TensorType& first = group.body.type(group.body.results()[0].value);
    return std::all_of(group.body.results().begin(), group.body.results().end(),
                       [&](const Result& result) {
                           const TensorType& type = group.body.type(result.value);
                           return type.shape == first.shape && type.batched == first.batched;
                       });
}

bool has_shape_of_anchor(const Group& group, bool batched) {
    const TensorType& type = group.body.type(group.body.results()[0].value);
    return has_one_shape(group) && type.batched == batched &&
           type.shape == group.anchor_output().shape;
}

double traffic_bytes(const Group& group) {
    double bytes = 0;
    for (const Node& node : group.body.nodes()) {
        if (node.op->op_class() != OpClass::source) continue;
        bytes += static_cast<double>(memory_bytes(node.types[0], group.batch));
    }
    for (const Result& result : group.body.results()) {
        bytes += static_cast<double>(memory_bytes(group.body.type(result.value), group.batch));
    }
    return bytes;
}

}  // namespace emulsion
