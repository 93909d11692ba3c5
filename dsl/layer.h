// The frame in which every layer function runs: it checks the operands, finds the layer's name, and
// turns what the compiler throws into a mistake of the model.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "dsl/model_state.h"

namespace emulsion::internal {

// An op of this kind with some attributes set. REQUIRES: the op has them, with these types.
using AttributeValue =
    std::variant<bool, int64_t, double, std::string, std::vector<int64_t>, std::vector<double>>;
using Attributes = std::vector<std::pair<std::string_view, AttributeValue>>;
std::shared_ptr<const Op> make_op_with(std::string_view kind, const Attributes& attributes);

// One layer being written.
class Layer {
  public:
    Layer(std::shared_ptr<ModelState> model, std::string_view kind, std::string name,
          SourceLocation where)
        : model_(std::move(model)), kind_(kind), name_(std::move(name)), where_(std::move(where)) {}

    const std::string& name() const { return name_; }
    const TensorType& type(Value value) const { return model_->builder.type(value); }
    ModelState& model() { return *model_; }

    // Adds the node NAME.PART, or NAME where `part` is empty, and returns its first output.
    Value add(std::string_view part, std::string_view kind, const std::vector<Value>& inputs,
              const Attributes& attributes = {});
    Value parameter(std::string_view part, TensorType type, const Init& init, int64_t fan_in = 0,
                    int64_t fan_out = 0);
    // A tensor of this type that holds one number everywhere.
    Value constant(std::string_view part, TensorType type, double value);
    Value state(std::string_view part, std::vector<int64_t> shape, double value);
    // The model's input of this name and type, made at its first use. Throws Error[name] where the
    // name is taken by something else.
    Value input(const std::string& name, const TensorType& type);
    // The model's scalar of this name, made at its first use.
    Value scalar(const std::string& name, ElementType element);
    // A node that draws random numbers for `x`, others than those of the model's other such nodes.
    Value add_random(std::string_view part, std::string_view kind, Value x,
                     Attributes attributes = {});
    // A training step writes `value` into `target`.
    void update(Value target, Value value);

    // Throws Error[code] with kind and name of the layer in front, and the operands as notes.
    [[noreturn]] void refuse(std::string_view code, std::string_view message, std::string fix,
                             const std::vector<Value>& operands = {}) const;
    // Refuses anything but a map (C, H, W), but a map (C, L), (C, H, W) or (C, D, H, W), or but
    // features (F), of each sample.
    void expect_map(Value x) const;
    void expect_any_map(Value x) const;
    void expect_features(Value x) const;
    // Refuses a number of filters or units below 1 or above 2^20.
    void expect_count(std::string_view what, int64_t count) const;
    // Refuses groups that do not divide both.
    void expect_groups(int64_t channels, int64_t filters, int64_t groups) const;
    // Refuses an initialiser that asks for the number of inputs, which `what` has none of.
    void expect_init_without_inputs(const Init& init, std::string_view what) const;
    // The parameter NAME.PART (units, F) that reads features of this type, in their order.
    Value weights_of_features(std::string_view part, int64_t units, const TensorType& features,
                              const Init& init);
    // `value`, in the order of plain features where it is a flattened map.
    Value plain_features(Value value);
    // Another shape of the same values in the same logical order. REQUIRES: the same count.
    Value reshaped(Value value, const std::vector<int64_t>& shape);
    // The activation of a layer written at `where`, NAME.activation; `value` itself where there is
    // none.
    Value activated(Value value, const Activation& activation, const Place& where);

  private:
    std::string name_of(std::string_view part) const;

    std::shared_ptr<ModelState> model_;
    std::string kind_;
    std::string name_;
    SourceLocation where_;
};

// The filter (filters, channels, taps …) of a convolution whose options name the channels that each
// filter reads.
Value connected_filter(Layer& layer, int filters, int64_t channels,
                       const std::vector<int64_t>& kernel, const ConvOptions& options);

// Behind the contraction of a layer: its bias, one for each of the channels or of shape (C, H, W),
// and its activation.
template <class Options>
Value finish_layer(Layer& layer, Value value, const std::vector<int64_t>& bias_shape,
                   const Options& options, const Place& where) {
    if (options.bias) {
        layer.expect_init_without_inputs(options.bias_init, "bias");
        Value bias = layer.parameter("b", plain_type(bias_shape), options.bias_init);
        value = layer.add("biased", bias_shape.size() > 1 ? "add_map" : "add", {value, bias});
    }
    return layer.activated(value, options.activation, where);
}

// Writes one layer of `kind` on the operands: `body` gets the layer and the operands' values and
// returns the result. The result is poisoned where an operand is, where operands belong to
// different models, or where `body` throws Error.
using LayerBody = std::function<Value(Layer&, const std::vector<Value>&)>;
Tensor write_layer(std::string_view kind, const std::string& name,
                   const std::vector<Tensor>& operands, const Place& where, const LayerBody& body);

// A layer that is one node, of the op `kind` with these attributes.
Tensor write_node(std::string_view kind, const std::string& name,
                  const std::vector<Tensor>& operands, const Place& where,
                  const Attributes& attributes = {});

// The name of a layer that is made of others of NAME.PART: `name`, or the layer's place among its
// kind.
std::string composite_name(const Tensor& x, std::string_view kind, const std::string& name);

// write_layer inside a known model: operands of another one are a mistake of `model`. Inputs and
// losses are written so.
Tensor write_layer_of(std::shared_ptr<ModelState> model, std::string_view kind,
                      const std::string& name, const std::vector<Tensor>& operands,
                      const Place& where, const LayerBody& body);

// Hands a tensor out as `name`; anything wrong is a mistake of the model. Flattened maps leave in
// plain order.
void write_output(std::shared_ptr<ModelState> model, const std::string& name, const Tensor& value,
                  const SourceLocation& where);

}  // namespace emulsion::internal
