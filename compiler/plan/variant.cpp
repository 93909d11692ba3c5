// One instruction set's groups, buffers, recipes and calls.
#include "compiler/plan/variant.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "compiler/ops/sources.h"
#include "compiler/plan/choice.h"
#include "compiler/plan/grouping.h"
#include "compiler/plan/memory.h"

namespace emulsion {

std::string PlannedKernel::identity(const Isa& isa) const {
    return fmt::format("{} recipe={}.{} tiling=[{}] isa={}", group.signature(), recipe,
                       recipe_version, to_string(tiling), isa.name);
}

std::string call_line(const VariantPlan& variant, const PlannedCall& call) {
    const PlannedKernel& kernel = variant.kernels[static_cast<size_t>(call.kernel)];
    return fmt::format("{} {} {} {}", to_string(call.stage), call.name, kernel.recipe,
                       to_string(kernel.tiling));
}

namespace {

class VariantPlanner {
  public:
    VariantPlanner(const Graph& graph, const Plan& plan, const RecipeLibrary& library,
                   const PlanOptions& options, const Isa& isa)
        : graph_(graph), plan_(plan), library_(library), options_(options) {
        variant_.isa = isa;
    }

    VariantPlan run() {
        place_fixed();
        std::vector<GroupedBatch> batches;
        for (int batch : options_.batches) batches.push_back(group_batch(batch));
        find_lasting(batches);
        for (const GroupedBatch& batch : batches) plan_batch(batch);
        return std::move(variant_);
    }

  private:
    // The groups of one compiled batch, in order, and their bodies.
    struct GroupedBatch {
        int batch = 1;
        Grouping grouping;
        std::vector<GroupBody> bodies;
    };
    struct Place {
        MemoryClass memory;
        int64_t offset;
    };

    // Values with a place of their own: parameters, state, inputs; updates and gradients; outputs.
    void place_fixed() {
        int input = 0, output = 0;
        for (int i = 0; i < static_cast<int>(graph_.nodes().size()); i++) {
            if (graph_.op_as<Input>(i) != nullptr) fixed_[{i, 0}] = {MemoryClass::input, input++};
        }
        for (const PlannedTensor& tensor : plan_.tensors) {
            fixed_[{graph_.find(tensor.name), 0}] = {tensor.memory, tensor.offset};
        }
        for (const Result& result : graph_.results()) {
            Value root = root_of(graph_, result.value);
            Place place{MemoryClass::output, 0};
            if (result.kind == Result::Kind::output) {
                place.offset = output++;
            } else if (result.kind == Result::Kind::update) {
                place = fixed_.at({result.target, 0});
            } else if (plan_.update_at_once) {
                continue;  // in the workspace, until its update
            } else {
                place = {MemoryClass::gradients, tensor_of(result.target).gradient_offset};
            }
            if (!fixed_.emplace(root, place).second) {
                fail("result",
                     fmt::format("'{}' is a result twice, or a result without any computation",
                                 graph_.node(root.node).name),
                     "give each output, update and gradient a value of its own");
            }
        }
    }

    const PlannedTensor& tensor_of(int node) const {
        for (const PlannedTensor& tensor : plan_.tensors) {
            if (tensor.name == graph_.node(node).name) return tensor;
        }
        EMU_CHECK(false, "'{}' is no tensor of the plan", graph_.node(node).name);
    }

    GroupedBatch group_batch(int batch) const {
        GroupedBatch grouped{batch, {}, {}};
        grouped.grouping = group_nodes(graph_, library_, variant_.isa, options_, batch);
        for (size_t g = 0; g < grouped.grouping.groups.size(); g++) {
            grouped.bodies.push_back(
                build_body(graph_, grouped.grouping.groups[g], grouped.grouping.inlined,
                           stored_values(graph_, grouped.grouping.groups[g]), batch));
        }
        return grouped;
    }

    // Prepared weights are what any batch reads outside `prepare`; the other values of `prepare`
    // are steps on the way to them.
    void find_lasting(const std::vector<GroupedBatch>& batches) {
        for (const GroupedBatch& batch : batches) {
            for (size_t g = 0; g < batch.bodies.size(); g++) {
                if (batch.grouping.groups[g].stage == Stage::prepare) continue;
                for (const Operand& operand : batch.bodies[g].operands)
                    lasting_.insert(operand.root);
            }
        }
    }

    void plan_batch(const GroupedBatch& grouped) {
        const auto& [batch, grouping, bodies] = grouped;
        bool first = variant_.batches.empty();
        if (first) variant_.notes = grouping.decisions;
        BatchPlan plan;
        plan.batch = batch;
        std::map<Value, Place> places = place_values(grouping, bodies, batch);
        for (size_t g = 0; g < bodies.size(); g++) {
            const NodeGroup& group = grouping.groups[g];
            bool once = group.stage == Stage::prepare || group.stage == Stage::update;
            if (once && !first) continue;
            plan.calls.push_back(make_call(group, bodies[g], places, batch, plan));
        }
        variant_.batches.push_back(std::move(plan));
    }

    PlannedCall make_call(const NodeGroup& group, const GroupBody& body,
                          const std::map<Value, Place>& places, int batch, BatchPlan& plan) {
        PlannedCall call;
        call.stage = group.stage;
        call.name = graph_.node(group.anchor >= 0 ? group.anchor : group.nodes.back()).name;
        call.reason = group.reason;
        call.scalars = body.scalars;
        call.kernel = kernel_of(body.group, call.name);
        for (const Operand& operand : body.operands) {
            call.buffers.push_back(buffer_of(operand.root, operand.type, places, batch, plan));
        }
        for (Value value : body.results) {
            call.buffers.push_back(buffer_of(value, graph_.type(value), places, batch, plan));
        }
        return call;
    }

    // The kernel of a group: an equal one, or a new one with the cheapest recipe that applies.
    int kernel_of(const Group& group, const std::string& name) {
        std::string signature = group.signature();
        auto found = kernels_.find(signature);
        if (found != kernels_.end()) return found->second;
        PlannedKernel kernel;
        kernel.group = group;
        const Choice choice = choose_recipe(library_, group, variant_.isa, options_);
        if (choice.recipe == nullptr) {
            fail("recipe", fmt::format("no recipe runs '{}': {}", name, signature),
                 "this operation is not supported on this target");
        }
        kernel.recipe = choice.recipe->name();
        kernel.recipe_version = choice.recipe->version();
        kernel.tiling = choice.tiling;
        kernel.multiply_adds = choice.recipe->multiply_adds(group);
        kernel.relative_error = choice.recipe->relative_error(group);
        kernel.is_last_resort = choice.is_last_resort();
        variant_.kernels.push_back(std::move(kernel));
        return kernels_[signature] = static_cast<int>(variant_.kernels.size()) - 1;
    }

    int buffer_of(Value root, const TensorType& type, const std::map<Value, Place>& places,
                  int batch, BatchPlan& plan) {
        const Place& place = places.at(root);
        PlannedBuffer buffer{graph_.node(root.node).name, type, place.memory, place.offset,
                             memory_bytes(type, batch)};
        if (graph_.node(root.node).types.size() > 1) buffer.name += fmt::format(":{}", root.output);
        auto found = std::find(variant_.buffers.begin(), variant_.buffers.end(), buffer);
        int index = static_cast<int>(found - variant_.buffers.begin());
        if (found == variant_.buffers.end()) variant_.buffers.push_back(buffer);
        auto bind = [&](std::vector<std::pair<int, int>>& list) {
            std::pair<int, int> binding{index, static_cast<int>(place.offset)};
            if (std::find(list.begin(), list.end(), binding) == list.end()) list.push_back(binding);
        };
        if (place.memory == MemoryClass::input) bind(plan.inputs);
        if (place.memory == MemoryClass::output) bind(plan.outputs);
        return index;
    }

    // Places of all values of one batch: the fixed ones, prepared weights, and the workspace by
    // liveness.
    std::map<Value, Place> place_values(const Grouping& grouping,
                                        const std::vector<GroupBody>& bodies, int batch) {
        std::map<Value, Place> places = fixed_;
        std::map<Value, size_t> block_of;
        std::vector<LiveBlock> blocks;
        for (size_t g = 0; g < bodies.size(); g++) {
            int call = static_cast<int>(g);
            for (Value value : bodies[g].results) {
                if (places.contains(value)) continue;
                int64_t bytes = memory_bytes(graph_.type(value), batch);
                bool prepared = grouping.groups[g].stage == Stage::prepare;
                if (prepared && lasting_.contains(value)) {
                    auto [found, inserted] =
                        prepared_.try_emplace(value, Place{MemoryClass::prepared, 0});
                    if (inserted) {
                        found->second.offset = variant_.prepared_bytes;
                        variant_.prepared_bytes += round_up(bytes, kPlanAlignment);
                    }
                    places[value] = found->second;
                    continue;
                }
                if (auto shared = reused_block(grouping.groups[g], bodies[g], value, block_of,
                                               blocks, call)) {
                    block_of[value] = *shared;
                    blocks[*shared].last = call;
                    continue;
                }
                block_of[value] = blocks.size();
                blocks.push_back({bytes, call, call, 0});
            }
            for (size_t k = g + 1; k < bodies.size(); k++) {
                for (const Operand& operand : bodies[k].operands) {
                    auto found = block_of.find(operand.root);
                    if (found == block_of.end()) continue;
                    LiveBlock& block = blocks[found->second];
                    if (is_result_of(bodies[g], operand.root))
                        block.last = std::max(block.last, static_cast<int>(k));
                }
            }
        }
        MemoryPlan memory = assign_offsets(blocks);
        variant_.activation_bytes = std::max(variant_.activation_bytes, memory.bytes);
        variant_.largest_live_bytes =
            std::max(variant_.largest_live_bytes, memory.largest_live_bytes);
        for (const auto& [value, block] : block_of)
            places[value] = {MemoryClass::workspace, blocks[block].offset};
        return places;
    }

    static bool is_result_of(const GroupBody& body, Value value) {
        return std::find(body.results.begin(), body.results.end(), value) != body.results.end();
    }

    // Whether the group's kernel may write its result over operand i, of the same type: it reads
    // each element of it before it stores that element, and never again.
    bool may_overwrite(const NodeGroup& group, const GroupBody& body, size_t i) {
        if (group.anchor < 0) {
            return std::all_of(group.nodes.begin(), group.nodes.end(), [&](int node) {
                return graph_.node(node).op->op_class() == OpClass::pointwise;
            });
        }
        const Graph& nodes = body.group.body;
        if (nodes.results().size() != 1) return false;
        if (body.group.epilogue_window() != std::vector<int64_t>{1, 1}) return false;
        const std::vector<int> users =
            users_of(nodes)[static_cast<size_t>(nodes.find(fmt::format("a{}", i)))];
        if (users.size() != 1 || users[0] == body.group.anchor) return false;
        if (!body.group.follows_anchor({users[0], 0})) return false;
        if (nodes.node(users[0]).op->op_class() != OpClass::pointwise) return false;
        const int kernel = kernel_of(body.group, graph_.node(group.anchor).name);
        const std::string& name = variant_.kernels[static_cast<size_t>(kernel)].recipe;
        return std::any_of(library_.begin(), library_.end(), [&](const auto& recipe) {
            return recipe->name() == name && recipe->writes_in_place();
        });
    }

    // The block of an operand that dies in this call and that its kernel may overwrite, if there is
    // one.
    std::optional<size_t> reused_block(const NodeGroup& group, const GroupBody& body, Value value,
                                       const std::map<Value, size_t>& block_of,
                                       const std::vector<LiveBlock>& blocks, int call) {
        for (size_t i = 0; i < body.operands.size(); i++) {
            const Operand& operand = body.operands[i];
            auto found = block_of.find(operand.root);
            if (found == block_of.end() || operand.type != graph_.type(value)) continue;
            if (operand.type != graph_.type(operand.root)) continue;
            bool taken = std::any_of(body.results.begin(), body.results.end(), [&](Value other) {
                auto block = block_of.find(other);
                return block != block_of.end() && block->second == found->second;
            });
            auto readers =
                std::count_if(body.operands.begin(), body.operands.end(),
                              [&](const Operand& other) { return other.root == operand.root; });
            if (taken || readers != 1 || blocks[found->second].last != call) continue;
            if (may_overwrite(group, body, i)) return found->second;
        }
        return std::nullopt;
    }

    const Graph& graph_;
    const Plan& plan_;
    const RecipeLibrary& library_;
    const PlanOptions& options_;
    VariantPlan variant_;
    std::map<Value, Place> fixed_, prepared_;
    std::set<Value> lasting_;
    std::map<std::string, int> kernels_;
};

}  // namespace

VariantPlan plan_variant(const Graph& graph, const Plan& plan, const RecipeLibrary& library,
                         const PlanOptions& options, const Isa& isa) {
    return VariantPlanner(graph, plan, library, options, isa).run();
}

}  // namespace emulsion
