// The plan: which kernels run in which order, with which recipe, on which bytes. Pure data; it
// prints.
//
// A library has one VariantPlan per instruction set and kind of devices. Buffers are what
// descriptors point to; a value of the graph and its views are one buffer with several descriptors.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "compiler/graph/graph.h"
#include "compiler/recipe/choices.h"
#include "compiler/recipe/recipe.h"

namespace emulsion {

class RecordSource;

enum class MemoryClass { parameters, gradients, state, prepared, workspace, input, output };
std::string to_string(MemoryClass memory);

enum class Stage { prepare, forward, backward, update };
std::string to_string(Stage stage);

// A tensor in memory as kernels see it. `offset` counts bytes in its class; for input and output it
// is the port.
struct PlannedBuffer {
    std::string name;  // of the graph's value
    TensorType type;
    MemoryClass memory = MemoryClass::workspace;
    int64_t offset = 0;
    int64_t bytes = 0;                  // for the plan's batch
    std::vector<int64_t> extents = {};  // of scratch, which is no tensor; its type says f32 alone
    // Of some channels of a larger map, which lie among those of the others: channels of that map.
    int64_t pitch = 0;
    bool operator==(const PlannedBuffer&) const = default;
};

// A kernel to compile: a group with its recipe. Calls of equal groups share one.
struct PlannedKernel {
    Group group;
    std::string recipe;
    int recipe_version = 1;
    Tiling tiling;
    std::string record = "";  // the origin of the record that decided, "" where none did
    std::vector<Scratch> scratch = {};
    double multiply_adds = 0;      // that the recipe does, of group.batch samples
    double relative_error = 0;     // the recipe's bound; 0: it rounds as the plain definition does
    bool is_last_resort = false;   // no recipe is made for it
    bool writes_in_place = false;  // Recipe::writes_in_place
    // The kernel's identity in text: signature, recipe, tiling, isa. Cache key and line of reports.
    std::string identity(const Isa& isa) const;
};

// One call: `buffers` are operands then results, in the order of the group's sources (Scalar nodes
// left out) and results; `scalars` the names of its Scalar sources in order; `scratch` the buffers
// of its kernel's scratch, which are its last arguments.
struct PlannedCall {
    int kernel = 0;
    Stage stage = Stage::forward;
    std::string name;  // of the anchor's node, or of the last node
    std::vector<int> buffers;
    std::vector<int> scratch;
    std::vector<std::string> scalars;
    std::string reason;  // why it is fused as it is
};

// The calls for one compiled batch, in order; `prepare` calls, those of all batches, and `update`
// calls stand in the first plan alone.
struct BatchPlan {
    int batch = 1;
    std::vector<PlannedCall> calls;
    std::vector<std::pair<int, int>> inputs, outputs;  // (buffer, port) bindings
};

// The memory of a device that a build for another batch takes.
struct BatchMemory {
    int batch = 0;
    int64_t bytes = 0;    // of all classes
    int64_t largest = 0;  // of the largest one
};

struct VariantPlan {
    Isa isa;
    std::vector<PlannedBuffer> buffers;
    std::vector<PlannedKernel> kernels;
    std::vector<BatchPlan> batches;  // ascending
    int64_t activation_bytes = 0;    // workspace without slabs
    int64_t prepared_bytes = 0;
    int64_t largest_live_bytes = 0;     // lower bound of activation_bytes
    std::vector<std::string> notes;     // decisions in words: fuse or pass, store or recompute
    std::vector<NodeChoice> choices;    // the same where a node could do otherwise
    std::vector<std::string> left_out;  // records that say what a node cannot do, in words
    std::string budget;                 // what PlanOptions::memory_budget costs, a sentence
    std::vector<BatchMemory> smaller;   // of a variant for devices that is built; batch ascending
};

// A call in a line, "forward conv1 direct kw=16 tx=7": what emulsion_info lists and profiles quote.
std::string call_line(const VariantPlan& variant, const PlannedCall& call);

// A parameter or state tensor as the library's user sees it.
struct PlannedTensor {
    std::string name;
    TensorType type;
    MemoryClass memory = MemoryClass::parameters;
    int64_t offset = 0;
    int64_t bytes = 0;
    bool trained = false;
    int64_t gradient_offset = 0;  // 0 where the update is at once
    std::string init;             // of parameters, graph/sources.h; "fill" for state
    double init_value = 0;        // deviation, bound or constant
};

struct PlannedPort {
    std::string name;
    TensorType type;
};

struct Plan {
    std::string network;
    bool training = false;
    bool update_at_once = false;  // PlanOptions
    int threads = 0;              // of the stated bytes
    Machine machine;              // that it was made for
    std::vector<PlannedTensor> tensors;
    std::vector<PlannedPort> inputs, outputs;
    int64_t parameter_bytes = 0, gradient_bytes = 0, state_bytes = 0;
    std::vector<VariantPlan> variants;  // of processors, best last; then of devices
    // Above the kernels, of processors: those of the graphs, then those of the best variant's
    // groups.
    std::vector<NodeChoice> choices;
    std::vector<std::string> left_out;  // a sentence for each record of one that is left out
};

struct PlanOptions {
    bool training = false;
    std::vector<int> batches = {1};
    int threads = kPlannedThreads;  // of records and stated bytes; the cost model ignores them
    // Asked before the cost model, recipe/records.h and choices.h.
    const RecordSource* records = nullptr;
    const ChoiceSource* choices = nullptr;
    std::vector<Isa> isas;  // of one family
    // Of parameters, gradients and state, whose offsets the families of a library share; 0: that of
    // the isas' family.
    int64_t tensor_alignment = 0;
    Machine machine;
    bool exact = false;  // recipes that are not exact are left out
    bool fuse = true;    // false: every node a kernel of its own (tests)
    // Training: a parameter is updated right after its gradient, in the backward stage (which runs
    // after the test of the loss); gradients live in the workspace until then. Else updates are a
    // stage of their own, and gradients a class of memory.
    bool update_at_once = false;
    // Training: the most bytes of parameters, gradients, state and workspace without slabs; 0: any.
    // Groups of the forward pass run again where that is what it takes (plan/memory_budget.h).
    int64_t memory_budget = 0;
};

// Plans optimized graphs of one network, one for each batch: they may differ in how they compute,
// and then in what they prepare, but not in tensors and ports. Throws Error[size] before anything
// else where a tensor of a whole batch is beyond graph/limits.h, Error[memory] where the budget is
// too small, with the smallest one. State starts with 64 bytes of seed
// and step (runtime/abi/emulsion_abi.h).
Plan make_plan(const std::vector<Graph>& graphs, const RecipeLibrary& library,
               const PlanOptions& options);
// The same graph for every batch.
Plan make_plan(const Graph& graph, const RecipeLibrary& library, const PlanOptions& options);

// What the plan states of a variant's memory: parameters, gradients, state, prepared weights, and
// the workspace without slabs.
int64_t planned_bytes(const Plan& plan, const VariantPlan& variant);

// Adds the variants of another family's plan of the same network, whose tensors and ports are
// equal.
void add_variants(Plan& plan, Plan other);

// A sentence for each kernel that runs a recipe of last resort, for the user of a build.
std::vector<std::string> slow_kernels(const Plan& plan);

// Kernels, buffers with offsets, calls with their reasons, bytes of each class.
std::string print(const Plan& plan);

}  // namespace emulsion
