// Operands, names and mistakes of layers.
#include "dsl/layer.h"

#include <fmt/ranges.h>

#include <cctype>

#include "compiler/graph/limits.h"
#include "compiler/ops/flatten.h"
#include "compiler/ops/registry.h"
#include "compiler/ops/sources.h"

namespace emulsion::internal {

// Ops by name

namespace {

class SetField : public Fields {
  public:
    SetField(std::string_view wanted, const AttributeValue& value)
        : wanted_(wanted), value_(value) {}
    bool found = false;

    void field(std::string_view name, bool& value) override { set(name, value); }
    void field(std::string_view name, int64_t& value) override { set(name, value); }
    void field(std::string_view name, double& value) override { set(name, value); }
    void field(std::string_view name, std::string& value) override { set(name, value); }
    void field(std::string_view name, std::vector<int64_t>& value) override { set(name, value); }
    void field(std::string_view name, std::vector<double>& value) override { set(name, value); }

  private:
    template <class T>
    void set(std::string_view name, T& value) {
        if (name != wanted_ || !std::holds_alternative<T>(value_)) return;
        value = std::get<T>(value_);
        found = true;
    }
    std::string_view wanted_;
    const AttributeValue& value_;
};

}  // namespace

std::shared_ptr<const Op> make_op_with(std::string_view kind, const Attributes& attributes) {
    std::shared_ptr<Op> op = make_op(kind);
    EMU_CHECK(op != nullptr, "the op '{}' is not registered", kind);
    for (const auto& [name, value] : attributes) {
        SetField set(name, value);
        op->fields(set);
        EMU_CHECK(set.found, "the op '{}' has no attribute '{}' of this type", kind, name);
    }
    return op;
}

// Nodes

std::string Layer::name_of(std::string_view part) const {
    return part.empty() ? name_ : fmt::format("{}.{}", name_, part);
}

Value Layer::add(std::string_view part, std::string_view kind, const std::vector<Value>& inputs,
                 const Attributes& attributes) {
    return model_->builder.add(make_op_with(kind, attributes), inputs, name_of(part), where_);
}

Value Layer::parameter(std::string_view part, TensorType type, const Init& init, int64_t fan_in,
                       int64_t fan_out) {
    auto op = std::make_shared<Parameter>(std::move(type));
    op->init = init.kind;
    op->scale = init.scale;
    if (bounded_elements(op->type(), 1) >= 0) {  // else the builder refuses the type
        op->fan_in = fan_in;
        op->fan_out = fan_out;
    }
    return model_->builder.add(std::move(op), {}, name_of(part), where_);
}

Value Layer::constant(std::string_view part, TensorType type, double value) {
    auto op = std::make_shared<Constant>(std::move(type));
    op->value = value;
    return model_->builder.add(std::move(op), {}, name_of(part), where_);
}

Value Layer::state(std::string_view part, std::vector<int64_t> shape, double value) {
    auto op = std::make_shared<State>(plain_type(std::move(shape)));
    op->value = value;
    return model_->builder.add(std::move(op), {}, name_of(part), where_);
}

Value Layer::input(const std::string& name, const TensorType& type) {
    int found = model_->builder.graph().find(name);
    if (found < 0) return model_->builder.add(std::make_shared<Input>(type), {}, name, where_);
    if (model_->builder.graph().op_as<Input>(found) != nullptr &&
        model_->builder.type({found, 0}) == type) {
        return {found, 0};
    }
    const Node& node = model_->builder.graph().node(found);
    refuse("name",
           fmt::format(
               "it needs an input '{}' of type {}, but that name belongs to {} '{}' of type {}",
               name, to_string(type), node.op->kind(), name, to_string(node.types[0])),
           "give the layer or the input another name", {{found, 0}});
}

Value Layer::scalar(const std::string& name, ElementType element) {
    int found = model_->builder.graph().find(name);
    if (found >= 0 && model_->builder.graph().op_as<Scalar>(found) != nullptr) return {found, 0};
    auto op = std::make_shared<Scalar>(plain_type({}, element));
    op->name = name;
    return model_->builder.add(std::move(op), {}, name, where_);
}

Value Layer::add_random(std::string_view part, std::string_view kind, Value x,
                        Attributes attributes) {
    std::vector<Value> operands = {x};
    for (const char* name : {"seed_low", "seed_high", "step_low", "step_high"})
        operands.push_back(scalar(name, ElementType::i32));
    attributes.emplace_back("site", model_->dropouts++);
    return add(part, kind, operands, attributes);
}

void Layer::update(Value target, Value value) { model_->builder.update(target.node, value); }

void Layer::refuse(std::string_view code, std::string_view message, std::string fix,
                   const std::vector<Value>& operands) const {
    std::vector<std::string> notes;
    for (Value value : operands) {
        const Node& node = model_->builder.graph().node(value.node);
        notes.push_back(fmt::format("operand '{}' {} from {}:{}", node.name, to_string(type(value)),
                                    node.where.file, node.where.line));
    }
    throw Error({std::string(code), fmt::format("{} '{}': {}", kind_, name_, message),
                 std::move(fix), where_, std::move(notes)});
}

void Layer::expect_map(Value x) const {
    const TensorType& t = type(x);
    if (t.batched && t.shape.size() == 3) return;
    refuse("rank",
           fmt::format("the input must be a map (n, channels, height, width), but is {}",
                       to_string(t)),
           "put it before the layers that flatten the map", {x});
}

void Layer::expect_any_map(Value x) const {
    const TensorType& t = type(x);
    if (t.batched && t.shape.size() >= 2 && t.shape.size() <= 4) return;
    refuse(
        "rank",
        fmt::format("the input must be a map (n, channels, height, width), or one with a length, "
                    "or a depth, height and width behind the channels, but is {}",
                    to_string(t)),
        "put it before the layers that flatten the map", {x});
}

void Layer::expect_features(Value x) const {
    const TensorType& t = type(x);
    if (t.batched && t.shape.size() == 1) return;
    refuse("rank", fmt::format("the input must be features (n, features), but is {}", to_string(t)),
           "write flatten(x) in front of it", {x});
}

void Layer::expect_count(std::string_view what, int64_t count) const {
    constexpr int64_t kMost = 1 << 20;
    if (count >= 1 && count <= kMost) return;
    refuse("attribute", fmt::format("it has {} {}, but must have 1 to {}", count, what, kMost),
           fmt::format("choose from 1 to {} of the {}", kMost, what));
}

void Layer::expect_groups(int64_t channels, int64_t filters, int64_t groups) const {
    if (groups >= 1 && channels % groups == 0 && filters % groups == 0) return;
    refuse("groups",
           fmt::format("{} channels and {} filters cannot be cut into {} equal groups", channels,
                       filters, groups),
           "choose a number of groups that divides both");
}

void Layer::expect_init_without_inputs(const Init& init, std::string_view what) const {
    for (const char* kind : {"zeros", "ones", "constant", "normal", "uniform"}) {
        if (init.kind == std::string_view(kind)) return;
    }
    refuse("initializer",
           fmt::format("the {} cannot start by '{}', which goes by the number of inputs of a layer",
                       what, init.kind),
           "use Init::zeros(), ones(), constant(value), normal(deviation) or uniform(bound)");
}

Value Layer::weights_of_features(std::string_view part, int64_t units, const TensorType& features,
                                 const Init& init) {
    TensorType type = plain_type({units, features.shape[0]});
    type.factors = features.factors;
    return parameter(part, type, init, features.shape[0], units);
}

Value Layer::reshaped(Value value, const std::vector<int64_t>& shape) {
    const TensorType from = type(value);
    if (from.shape == shape) return value;
    if (from.shape.size() > 1 && shape.size() > 1 && from.shape[0] == shape[0])
        return add("", "view", {value}, {{"shape", shape}});
    Value flat =
        from.shape.size() == 1 ? value : add(shape.size() == 1 ? "" : "flat", "flatten", {value});
    if (shape.size() == 1) return flat;
    std::vector<int64_t> factors = flat_factors(shape);
    if (type(flat).factors != factors) {
        flat = plain_features(flat);
        if (!factors.empty()) flat = add("factored", "factor", {flat}, {{"factors", factors}});
    }
    return add("", "unflatten", {flat}, {{"shape", shape}});
}

Value Layer::plain_features(Value value) {
    if (type(value).factors.empty()) return value;
    std::string part = "plain";
    for (int i = 2; model_->builder.graph().find(name_of(part)) >= 0; i++)
        part = fmt::format("plain{}", i);
    return add(part, "unfactor", {value});
}

Value Layer::activated(Value value, const Activation& activation, const Place& where) {
    if (!activation.apply) return value;
    const Tensor result =
        activation.apply(Access::make(model_, value), name_ + ".activation", where);
    if (Access::model(result) != model_) {
        refuse("activation", "the function that is its activation returns another model's tensor",
               "return what it makes of its argument");
    }
    return Access::value(result);
}

// The frame

namespace {

std::string next_name(ModelState& model, std::string_view kind, const std::string& name) {
    int place = ++model.counts[std::string(kind)];
    return name.empty() ? fmt::format("{}{}", kind, place) : name;
}

// Takes the name for a layer; false, and a mistake, where that cannot be.
bool take_name(ModelState& model, const std::string& name, const SourceLocation& where) {
    if (!is_layer_name(name)) {
        model.mistake("name", fmt::format("'{}' is no name for a layer", name),
                      "use a letter, then letters, digits, '_', '-' and '.'", where);
        return false;
    }
    auto [first, is_new] = model.layers.emplace(name, where);
    if (is_new) return true;
    model.mistake("name", fmt::format("the name '{}' is used twice", name),
                  "give one of the two another name", where,
                  {fmt::format("first used at {}:{}", first->second.file, first->second.line)});
    return false;
}

// Records what is wrong with the operands themselves; false where anything is, or where one is
// poisoned already.
bool check_operands(const std::shared_ptr<ModelState>& model, std::string_view kind,
                    const std::string& name, const std::vector<Tensor>& operands,
                    const SourceLocation& where) {
    bool usable = true;
    for (const Tensor& tensor : operands) {
        const auto& owner = Access::model(tensor);
        if (owner == nullptr) {
            model->mistake(
                "empty", fmt::format("{} '{}': an operand is an empty tensor", kind, name),
                "give it a value first: an input of the model or the result of a layer", where);
            usable = false;
        } else if (owner != model) {
            model->mistake("models",
                           fmt::format("{} '{}': an operand belongs to model '{}', not to '{}'",
                                       kind, name, owner->name, model->name),
                           "combine tensors of one model only", where);
            usable = false;
        }
        usable = usable && !Access::is_poisoned(tensor);
    }
    return usable;
}

}  // namespace

Tensor write_layer_of(std::shared_ptr<ModelState> model, std::string_view kind,
                      const std::string& name, const std::vector<Tensor>& operands,
                      const Place& place, const LayerBody& body) {
    SourceLocation where = location(place);
    std::string full_name = next_name(*model, kind, name);
    bool is_named = take_name(*model, full_name, where);
    if (!check_operands(model, kind, full_name, operands, where) || !is_named)
        return Access::poison(model);
    std::vector<Value> values;
    for (const Tensor& tensor : operands) values.push_back(Access::value(tensor));
    try {
        Layer layer(model, kind, full_name, where);
        return Access::make(model, body(layer, values));
    } catch (const Error& error) {
        model->mistake(error, where);
        return Access::poison(model);
    }
}

Tensor write_layer(std::string_view kind, const std::string& name,
                   const std::vector<Tensor>& operands, const Place& where, const LayerBody& body) {
    for (const Tensor& tensor : operands) {
        if (Access::model(tensor) != nullptr) {
            return write_layer_of(Access::model(tensor), kind, name, operands, where, body);
        }
    }
    // No operand knows a model to record in: the mistake shows where the result meets one.
    return Access::poison(nullptr);
}

Tensor write_node(std::string_view kind, const std::string& name,
                  const std::vector<Tensor>& operands, const Place& where,
                  const Attributes& attributes) {
    return write_layer(kind, name, operands, where,
                       [&](Layer& layer, const std::vector<Value>& in) {
                           return layer.add("", kind, in, attributes);
                       });
}

std::string composite_name(const Tensor& x, std::string_view kind, const std::string& name) {
    const std::shared_ptr<ModelState>& model = Access::model(x);
    if (model != nullptr) return next_name(*model, kind, name);
    return name.empty() ? std::string(kind) : name;
}

void write_output(std::shared_ptr<ModelState> model, const std::string& name, const Tensor& value,
                  const SourceLocation& where) {
    auto [first, is_new] = model->outputs.emplace(name, where);
    if (!is_new) {
        model->mistake(
            "name", fmt::format("the output '{}' is named twice", name),
            "give one of the two another name", where,
            {fmt::format("first named at {}:{}", first->second.file, first->second.line)});
        return;
    }
    if (!check_operands(model, "output", name, {value}, where)) return;
    try {
        Layer layer(model, "output", "output." + name, where);
        model->builder.output(name, layer.plain_features(Access::value(value)));
    } catch (const Error& error) {
        model->mistake(error, where);
    }
}

}  // namespace emulsion::internal
