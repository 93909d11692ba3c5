// See own_op.h.
#include "dsl/own_op.h"

#include <optional>

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
    std::optional<Error> fault;
    try {
        register_op(entry);
    } catch (const Error& error) {
        fault = error;
    }
    const std::string kind = fault ? "own_op" : std::string(op->kind());
    return write_layer(
        kind, options.name, operands, where, [&](Layer& layer, const std::vector<Value>& in) {
            if (fault) throw Error(*fault);
            std::vector<Value> plain;
            for (Value value : in) plain.push_back(layer.plain_features(value));
            return layer.model().builder.add(op, plain, layer.name(), location(where));
        });
}

}  // namespace emulsion::internal
