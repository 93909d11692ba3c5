// One instruction set's groups, buffers, recipes and calls.
#include "compiler/plan/variant.h"

#include <algorithm>
#include <map>
#include <optional>

#include "compiler/graph/limits.h"
#include "compiler/ops/sources.h"
#include "compiler/plan/choice.h"
#include "compiler/plan/in_place.h"
#include "compiler/plan/memory.h"
#include "compiler/plan/prepared.h"

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
    VariantPlanner(const std::vector<Graph>& graphs, const Plan& plan, const RecipeLibrary& library,
                   const PlanOptions& options, const Isa& isa)
        : plan_(plan), library_(library), options_(options), prepared_(isa.family->alignment) {
        variant_.isa = isa;
        for (size_t i = 0; i < graphs.size(); i++)
            batches_.push_back(group_batch(graphs[i], options.batches[i]));
    }

    VariantPlan run() {
        for (GroupedBatch& batch : batches_) prepared_.define(batch);
        for (const GroupedBatch& batch : batches_) plan_batch(batch);
        BatchPlan& first = variant_.batches[0];
        first.calls.insert(first.calls.begin(), prepare_.begin(), prepare_.end());
        variant_.prepared_bytes = prepared_.bytes();
        return std::move(variant_);
    }

  private:
    // ---- Fixed places and groups ----

    GroupedBatch group_batch(const Graph& graph, int batch) const {
        GroupedBatch grouped{graph, batch, {}, {}, fixed_places(graph), {}};
        grouped.grouping = group_nodes(graph, library_, variant_.isa, options_, batch);
        for (const NodeGroup& group : grouped.grouping.groups) {
            grouped.bodies.push_back(
                build_body(graph, group, grouped.grouping, stored_values(graph, group), batch));
        }
        return grouped;
    }

    // Values with a place of their own: parameters, state, inputs; updates and gradients; outputs.
    // The device's flag is at the head of the state.
    std::map<Value, Place> fixed_places(const Graph& graph) const {
        std::map<Value, Place> fixed;
        int input = 0, output = 0;
        for (int i = 0; i < static_cast<int>(graph.nodes().size()); i++) {
            if (graph.op_as<Input>(i) != nullptr) fixed[{i, 0}] = {MemoryClass::input, input++};
            if (graph.op_as<NotFinite>(i) != nullptr) fixed[{i, 0}] = {MemoryClass::state, 0};
        }
        for (const PlannedTensor& tensor : plan_.tensors) {
            fixed[{graph.find(tensor.name), 0}] = {tensor.memory, tensor.offset};
        }
        for (const Result& result : graph.results()) {
            Value root = root_of(graph, result.value);
            Place place{MemoryClass::output, 0};
            if (result.kind == Result::Kind::output) {
                place.offset = output++;
            } else if (result.kind == Result::Kind::update) {
                const PlannedTensor& tensor = tensor_of(graph, result.target);
                place = {tensor.memory, tensor.offset};
            } else if (plan_.update_at_once) {
                continue;  // in the workspace, until its update
            } else {
                const PlannedTensor& tensor = tensor_of(graph, result.target);
                place = {MemoryClass::gradients, tensor.gradient_offset};
            }
            if (!fixed.emplace(root, place).second) {
                fail("result",
                     fmt::format("'{}' is a result twice, or a result without any computation",
                                 graph.node(root.node).name),
                     "give each output, update and gradient a value of its own");
            }
        }
        return fixed;
    }

    const PlannedTensor& tensor_of(const Graph& graph, int node) const {
        for (const PlannedTensor& tensor : plan_.tensors) {
            if (tensor.name == graph.node(node).name) return tensor;
        }
        EMU_CHECK(false, "'{}' is no tensor of the plan", graph.node(node).name);
    }

    // ---- Calls ----

    void plan_batch(const GroupedBatch& grouped) {
        const bool first = variant_.batches.empty();
        add_notes(grouped);
        BatchPlan plan;
        plan.batch = grouped.batch;
        const std::vector<bool> needed = prepared_.needed_groups(grouped);
        const std::map<Value, Place> places = place_values(grouped);
        for (size_t g = 0; g < grouped.bodies.size(); g++) {
            const Stage stage = grouped.stage(g);
            if (stage == Stage::prepare) {
                if (needed[g]) prepare_.push_back(make_call(grouped, g, places, plan));
            } else if (stage != Stage::update || first) {
                plan.calls.push_back(make_call(grouped, g, places, plan));
            }
        }
        variant_.batches.push_back(std::move(plan));
    }

    void add_notes(const GroupedBatch& grouped) {
        const Choices& choices = grouped.grouping.choices;
        variant_.choices.insert(variant_.choices.end(), choices.kept().begin(),
                                choices.kept().end());
        for (const std::string& sentence : choices.left_out())
            variant_.left_out.push_back(sentence);
        for (const std::string& note : grouped.grouping.decisions) {
            if (std::find(variant_.notes.begin(), variant_.notes.end(), note) ==
                variant_.notes.end())
                variant_.notes.push_back(note);
        }
    }

    PlannedCall make_call(const GroupedBatch& grouped, size_t g,
                          const std::map<Value, Place>& places, BatchPlan& plan) {
        const NodeGroup& group = grouped.grouping.groups[g];
        const GroupBody& body = grouped.bodies[g];
        PlannedCall call;
        call.stage = group.stage;
        call.name = name_of(grouped, g);
        call.reason = group.reason;
        call.scalars = body.scalars;
        call.kernel = kernel_of(body.group, call.name);
        auto add = [&](Value root, const TensorType& type) {
            const auto place = places.find(root);
            EMU_CHECK(place != places.end(), "'{}' reads '{}', which has no memory", call.name,
                      grouped.graph.node(root.node).name);
            call.buffers.push_back(buffer_of(grouped, root, type, place->second, plan));
        };
        for (const Operand& operand : body.operands) add(operand.root, operand.type);
        for (Value value : body.results) add(value, grouped.graph.type(value));
        const std::vector<Scratch>& scratch =
            variant_.kernels[static_cast<size_t>(call.kernel)].scratch;
        for (size_t i = 0; i < scratch.size(); i++) {
            const PlannedBuffer buffer{fmt::format("{}.{}", call.name, scratch[i].name),
                                       TensorType(),
                                       MemoryClass::workspace,
                                       scratch_[g][i],
                                       4 * scratch[i].elements(),
                                       scratch[i].extents};
            call.scratch.push_back(index_of(buffer));
        }
        return call;
    }

    static const std::string& name_of(const GroupedBatch& grouped, size_t g) {
        const NodeGroup& group = grouped.grouping.groups[g];
        return grouped.graph.node(group.anchor >= 0 ? group.anchor : group.nodes.back()).name;
    }

    // The kernel of a group: an equal one, or a new one with the cheapest recipe that applies.
    int kernel_of(const Group& group, const std::string& name) {
        std::string signature = group.signature();
        auto found = kernels_.find(signature);
        if (found != kernels_.end()) return found->second;
        PlannedKernel kernel;
        kernel.group = group;
        const Choice& choice = choice_of(group, name);
        kernel.recipe = choice.recipe->name();
        kernel.recipe_version = choice.recipe->version();
        kernel.tiling = choice.tiling;
        kernel.record = choice.record;
        kernel.multiply_adds = choice.recipe->multiply_adds(group);
        kernel.relative_error = choice.recipe->relative_error(group);
        kernel.scratch = choice.recipe->scratch(group, choice.tiling);
        kernel.is_last_resort = choice.is_last_resort();
        kernel.writes_in_place = choice.recipe->writes_in_place();
        variant_.kernels.push_back(std::move(kernel));
        return kernels_[signature] = static_cast<int>(variant_.kernels.size()) - 1;
    }

    // How a group runs, decided once; `name` is for notes and errors.
    const Choice& choice_of(const Group& group, const std::string& name) {
        const std::string signature = group.signature();
        if (auto found = choices_.find(signature); found != choices_.end()) return found->second;
        std::vector<std::string> notes;
        const Choice choice = choose_recipe(library_, group, variant_.isa, options_, notes);
        for (const std::string& note : notes)
            variant_.notes.push_back(fmt::format("{}: {}", name, note));
        if (choice.recipe == nullptr) {
            fail("recipe", fmt::format("no recipe runs '{}': {}", name, signature),
                 "this operation is not supported on this target");
        }
        return choices_[signature] = choice;
    }

    int buffer_of(const GroupedBatch& grouped, Value root, const TensorType& type,
                  const Place& place, BatchPlan& plan) {
        const Node& node = grouped.graph.node(root.node);
        PlannedBuffer buffer{
            node.name, type,       place.memory, place.offset, memory_bytes(type, grouped.batch),
            {},        place.pitch};
        if (node.types.size() > 1) buffer.name += fmt::format(":{}", root.output);
        const int index = index_of(buffer);
        auto bind = [&](std::vector<std::pair<int, int>>& list) {
            std::pair<int, int> binding{index, static_cast<int>(place.offset)};
            if (std::find(list.begin(), list.end(), binding) == list.end()) list.push_back(binding);
        };
        if (place.memory == MemoryClass::input) bind(plan.inputs);
        if (place.memory == MemoryClass::output) bind(plan.outputs);
        return index;
    }

    int index_of(const PlannedBuffer& buffer) {
        auto found = std::find(variant_.buffers.begin(), variant_.buffers.end(), buffer);
        const int index = static_cast<int>(found - variant_.buffers.begin());
        if (found == variant_.buffers.end()) variant_.buffers.push_back(buffer);
        return index;
    }

    // ---- Memory ----

    // Places of all values of one batch: the fixed ones, prepared weights, and the workspace by
    // liveness; those of scratch go to scratch_.
    std::map<Value, Place> place_values(const GroupedBatch& grouped) {
        const std::vector<GroupBody>& bodies = grouped.bodies;
        const std::map<Value, int> last_reads = last_reads_of(grouped);
        std::map<Value, Place> places = grouped.fixed;
        std::map<Value, size_t> block_of;  // a part has that of its whole
        std::vector<LiveBlock> blocks;
        for (size_t g = 0; g < bodies.size(); g++) {
            for (Value value : bodies[g].results) {
                if (places.contains(value)) continue;
                if (grouped.stage(g) == Stage::prepare && prepared_.is_prepared(grouped, value)) {
                    places[value] = prepared_.place(grouped, value);
                    continue;
                }
                const Value whole = grouped.grouping.joins.home_of(value).whole;
                const auto read = last_reads.find(whole);
                const int call = static_cast<int>(g);
                const int last = read == last_reads.end() ? call : std::max(call, read->second);
                if (block_of.contains(value)) continue;  // a part of what others have begun
                const auto shared = reused_block(grouped, g, value, block_of, blocks);
                const size_t block = shared.value_or(blocks.size());
                if (shared) {
                    blocks[block].last = last;
                } else {
                    blocks.push_back(
                        {memory_bytes(grouped.graph.type(whole), grouped.batch), call, last, 0});
                }
                block_of[whole] = block;
                for (const auto& [part, home] : grouped.grouping.joins.parts) {
                    if (home.whole == whole) block_of[part] = block;
                }
            }
        }
        const std::vector<std::vector<size_t>> scratch = add_scratch(grouped, blocks);
        MemoryPlan memory = assign_offsets(blocks, variant_.isa.family->alignment);
        variant_.activation_bytes = std::max(variant_.activation_bytes, memory.bytes);
        variant_.largest_live_bytes =
            std::max(variant_.largest_live_bytes, memory.largest_live_bytes);
        for (const auto& [value, block] : block_of)
            places[value] = place_in(grouped, value, blocks[block].offset);
        scratch_.assign(bodies.size(), {});
        for (size_t g = 0; g < bodies.size(); g++) {
            for (size_t block : scratch[g]) scratch_[g].push_back(blocks[block].offset);
        }
        return places;
    }

    // The last group that reads a value or one of its parts; parts are no keys.
    static std::map<Value, int> last_reads_of(const GroupedBatch& grouped) {
        std::map<Value, int> last;
        for (size_t g = 0; g < grouped.bodies.size(); g++) {
            for (const Operand& operand : grouped.bodies[g].operands)
                last[grouped.grouping.joins.home_of(operand.root).whole] = static_cast<int>(g);
        }
        return last;
    }

    // The place of a value whose whole lies at `offset`.
    static Place place_in(const GroupedBatch& grouped, Value value, int64_t offset) {
        const Home home = grouped.grouping.joins.home_of(value);
        const int64_t before = home.begin * bytes_of(grouped.graph.type(value).element);
        return {MemoryClass::workspace, offset + before, home.pitch};
    }

    // A block for each scratch of each call; their indices by group.
    std::vector<std::vector<size_t>> add_scratch(const GroupedBatch& grouped,
                                                 std::vector<LiveBlock>& blocks) {
        std::vector<std::vector<size_t>> added(grouped.bodies.size());
        for (size_t g = 0; g < added.size(); g++) {
            const Group& group = grouped.bodies[g].group;
            const std::string name = name_of(grouped, g);
            const Choice& choice = choice_of(group, name);
            for (const Scratch& scratch : choice.recipe->scratch(group, choice.tiling)) {
                check_size(fmt::format("{}.{}", name, scratch.name), batched_type(scratch.extents));
                const int call = static_cast<int>(g);
                added[g].push_back(blocks.size());
                blocks.push_back({4 * scratch.elements(), call, call, 0});
            }
        }
        return added;
    }

    // The block of an operand that dies in this call and that its kernel may overwrite, if there is
    // one.
    std::optional<size_t> reused_block(const GroupedBatch& grouped, size_t g, Value value,
                                       const std::map<Value, size_t>& block_of,
                                       const std::vector<LiveBlock>& blocks) {
        const GroupBody& body = grouped.bodies[g];
        if (grouped.grouping.joins.home_of(value).pitch > 0) return std::nullopt;
        const auto r = static_cast<size_t>(
            std::find(body.results.begin(), body.results.end(), value) - body.results.begin());
        for (size_t i = 0; i < body.operands.size(); i++) {
            const Operand& operand = body.operands[i];
            auto found = block_of.find(operand.root);
            if (found == block_of.end() || operand.type != grouped.graph.type(value)) continue;
            if (operand.type != grouped.graph.type(operand.root)) continue;
            if (body.group.pitch_of(i) > 0) continue;
            bool taken = std::any_of(body.results.begin(), body.results.end(), [&](Value other) {
                auto block = block_of.find(other);
                return block != block_of.end() && block->second == found->second;
            });
            auto readers = std::count_if(
                body.operands.begin(), body.operands.end(), [&](const Operand& other) {
                    auto block = block_of.find(other.root);
                    return block != block_of.end() && block->second == found->second;
                });
            const bool dies = blocks[found->second].last == static_cast<int>(g);
            if (taken || readers != 1 || !dies) continue;
            const Recipe& recipe = *choice_of(body.group, name_of(grouped, g)).recipe;
            if (may_overwrite(body.group, recipe, r, i)) return found->second;
        }
        return std::nullopt;
    }

    const Plan& plan_;
    const RecipeLibrary& library_;
    const PlanOptions& options_;
    VariantPlan variant_;
    std::vector<GroupedBatch> batches_;
    std::vector<PlannedCall> prepare_;
    PreparedWeights prepared_;
    std::vector<std::vector<int64_t>> scratch_;  // offsets by group of the batch at hand
    std::map<std::string, Choice> choices_;      // by signature
    std::map<std::string, int> kernels_;         // by signature
};

}  // namespace

VariantPlan plan_variant(const std::vector<Graph>& graphs, const Plan& plan,
                         const RecipeLibrary& library, const PlanOptions& options, const Isa& isa) {
    return VariantPlanner(graphs, plan, library, options, isa).run();
}

}  // namespace emulsion
