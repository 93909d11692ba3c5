// See own_op.h.
#include "dsl/own_op.h"

#include "dsl/layer.h"

namespace emulsion::internal {

void register_own_op(const Model& model, const OpEntry& entry, const Place& where) {
    try {
        register_op(entry);
    } catch (const Error& error) {
        Access::state(model).mistake(error, location(where));
    }
}

Tensor write_own_op(std::shared_ptr<const Op> op, const OpEntry& entry,
                    const std::vector<Tensor>& operands, const LayerOptions& options,
                    const Place& where) {
    const std::string kind(op->kind());
    return write_layer(
        kind, options.name, operands, where, [&](Layer& layer, const std::vector<Value>& in) {
            register_op(entry);
            std::vector<Value> plain;
            for (Value value : in) plain.push_back(layer.plain_features(value));
            return layer.model().builder.add(op, plain, layer.name(), location(where));
        });
}

}  // namespace emulsion::internal
