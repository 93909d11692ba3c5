// What a Model holds while the user's program writes it: the graph so far, the mistakes so far, and
// settings.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "compiler/graph/network.h"
#include "compiler/graph/text.h"
#include "dsl/emulsion.h"

namespace emulsion::internal {

// One term of the model's loss.
struct LossTerm {
    std::string name;  // of its layer
    Value value;       // f32[]
    double weight = 1;
    SourceLocation where;
};

// A pattern for layers or weights, and where the user wrote it.
struct Pattern {
    std::string text;
    SourceLocation where;
};

// A pattern for weights, and the factor of their learning rate.
struct RatePattern {
    Pattern pattern;
    double factor = 1;
};

struct ModelState {
    explicit ModelState(const std::string& network) : name(network), builder(network) {}

    std::string name;
    SourceLocation where;
    GraphBuilder builder;
    std::vector<Diagnostic> mistakes;
    std::map<std::string, int, std::less<>> counts;              // layers of each kind
    std::map<std::string, SourceLocation, std::less<>> layers;   // explicit and automatic names
    std::map<std::string, SourceLocation, std::less<>> outputs;  // names of outputs
    std::vector<LossTerm> losses;
    bool loss_is_poisoned = false;  // a loss was written, on the result of a mistake
    int dropouts = 0;
    OptimizerSpec optimizer;
    ScheduleSpec schedule;
    SourceLocation optimizer_where;
    std::vector<std::string> classes;
    SourceLocation classes_where;
    Normalization normalization;
    SourceLocation normalization_where;
    Augmentation augmentation;
    SourceLocation augmentation_where;
    std::vector<Pattern> frozen, undecayed;
    std::vector<RatePattern> rates;

    // Records a mistake.
    void mistake(std::string_view code, std::string message, std::string fix,
                 const SourceLocation& place, std::vector<std::string> notes = {});
    // Keeps in `first` where a function is called first; the second time is a mistake.
    void set_once(std::string_view function, SourceLocation& first, const SourceLocation& place);
    // Records what the compiler found; the place is filled in where the compiler does not know it.
    void mistake(const Error& error, const SourceLocation& place);
};

// The DSL's own look into Tensor and Model.
struct Access {
    static const std::shared_ptr<ModelState>& model(const Tensor& tensor) { return tensor.model_; }
    static ModelState& state(const Model& model) { return *model.state_; }
    static bool is_poisoned(const Tensor& tensor) { return tensor.node_ < 0; }
    static Value value(const Tensor& tensor) { return {tensor.node_, tensor.output_}; }
    static Tensor make(std::shared_ptr<ModelState> model, Value value);
    // The result of a mistake in `model` (null: of an empty tensor).
    static Tensor poison(std::shared_ptr<ModelState> model);
};

SourceLocation location(const Place& where);

// True where `text` matches `pattern`, in which '*' stands for any text.
bool matches(std::string_view pattern, std::string_view text);

// True for names of layers: a letter, then letters, digits, '_', '-' and '.', not ending in '.'.
bool is_layer_name(std::string_view name);

}  // namespace emulsion::internal
