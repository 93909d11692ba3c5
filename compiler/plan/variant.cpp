// One instruction set's groups, buffers, recipes and calls.
#include "compiler/plan/variant.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "compiler/graph/limits.h"
#include "compiler/ops/sources.h"
#include "compiler/plan/choice.h"
#include "compiler/plan/memory.h"
#include "compiler/plan/memory_budget.h"
#include "compiler/plan/prepared.h"
#include "compiler/plan/workspace.h"

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

    // Which groups run when, and the places of all values of one batch.
    struct Schedule {
        RunOrder order;
        std::map<Value, Place> elsewhere;  // of what has a place whatever lives when
        Workspace::Lives lives;            // the blocks with their offsets
    };

    void plan_batch(const GroupedBatch& grouped) {
        const bool first = variant_.batches.empty();
        add_notes(grouped);
        BatchPlan plan;
        plan.batch = grouped.batch;
        const std::vector<bool> needed = prepared_.needed_groups(grouped);
        const Schedule runs = schedule(grouped);
        std::vector<bool> has_run(grouped.bodies.size(), false);
        for (size_t run = 0; run < runs.order.size(); run++) {
            const auto g = static_cast<size_t>(runs.order[run]);
            const Stage stage = grouped.stage(g);
            if (stage == Stage::prepare) {
                if (needed[g]) prepare_.push_back(make_call(grouped, runs, run, plan));
            } else if (stage != Stage::update || first) {
                plan.calls.push_back(make_call(grouped, runs, run, plan));
                if (has_run[g]) run_again(plan.calls.back());
            }
            has_run[g] = true;
        }
        variant_.batches.push_back(std::move(plan));
    }

    static void run_again(PlannedCall& call) {
        call.stage = Stage::backward;
        call.reason = "again, for the memory budget; " + call.reason;
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

    PlannedCall make_call(const GroupedBatch& grouped, const Schedule& runs, size_t index,
                          BatchPlan& plan) {
        const auto g = static_cast<size_t>(runs.order[index]);
        const Workspace::Run& run = runs.lives.runs[index];
        const NodeGroup& group = grouped.grouping.groups[g];
        const GroupBody& body = grouped.bodies[g];
        PlannedCall call;
        call.stage = group.stage;
        call.name = name_of(grouped, g);
        call.reason = group.reason;
        call.scalars = body.scalars;
        call.kernel = kernel_of(body.group, call.name);
        const auto block_at = [&](int block) -> const LiveBlock& {
            return runs.lives.blocks[static_cast<size_t>(block)];
        };
        auto add = [&](Value root, const TensorType& type, int block) {
            const auto found = runs.elsewhere.find(root);
            EMU_CHECK(block >= 0 || found != runs.elsewhere.end(),
                      "'{}' reads '{}', which has no memory", call.name,
                      grouped.graph.node(root.node).name);
            const Place place =
                block < 0 ? found->second : place_in(grouped, root, block_at(block));
            call.buffers.push_back(buffer_of(grouped, root, type, place, plan));
        };
        for (size_t i = 0; i < body.operands.size(); i++)
            add(body.operands[i].root, body.operands[i].type, run.operands[i]);
        for (size_t r = 0; r < body.results.size(); r++)
            add(body.results[r], grouped.graph.type(body.results[r]), run.results[r]);
        const std::vector<Scratch>& scratch =
            variant_.kernels[static_cast<size_t>(call.kernel)].scratch;
        for (size_t i = 0; i < scratch.size(); i++) {
            const PlannedBuffer buffer{fmt::format("{}.{}", call.name, scratch[i].name),
                                       TensorType(),
                                       MemoryClass::workspace,
                                       block_at(run.scratch[i]).offset,
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

    // The groups in turn, unless the budget asks for more.
    Schedule schedule(const GroupedBatch& grouped) {
        Schedule result;
        result.elsewhere = grouped.fixed;
        for (size_t g = 0; g < grouped.bodies.size(); g++) {
            if (grouped.stage(g) != Stage::prepare) continue;
            for (Value value : grouped.bodies[g].results) {
                if (!result.elsewhere.contains(value) && prepared_.is_prepared(grouped, value))
                    result.elsewhere[value] = prepared_.place(grouped, value);
            }
        }
        const std::vector<const Choice*> choices = choices_of(grouped);
        const Workspace workspace(grouped, result.elsewhere, choices);
        result.order.resize(grouped.bodies.size());
        std::iota(result.order.begin(), result.order.end(), 0);
        MemoryPlan memory = place(workspace, result);
        if (options_.memory_budget > 0) {
            const int64_t other = plan_.parameter_bytes + plan_.gradient_bytes + plan_.state_bytes;
            const int64_t needed = other + memory.bytes;
            if (needed > options_.memory_budget) {
                result.order =
                    order_within(grouped, workspace, seconds_of(grouped, choices),
                                 variant_.isa.family->alignment, options_.memory_budget - other);
                memory = place(workspace, result);
            }
            variant_.budget = fmt::format("memory budget of {} bytes: {} instead of {}; {}",
                                          options_.memory_budget, other + memory.bytes, needed,
                                          cost_of(grouped, choices, result.order));
        }
        variant_.activation_bytes = std::max(variant_.activation_bytes, memory.bytes);
        variant_.largest_live_bytes =
            std::max(variant_.largest_live_bytes, memory.largest_live_bytes);
        return result;
    }

    MemoryPlan place(const Workspace& workspace, Schedule& runs) const {
        runs.lives = workspace.lives(runs.order);
        return assign_offsets(runs.lives.blocks, variant_.isa.family->alignment);
    }

    // What a run of each group takes, by the cost model.
    std::vector<double> seconds_of(const GroupedBatch& grouped,
                                   const std::vector<const Choice*>& choices) const {
        std::vector<double> seconds;
        for (size_t g = 0; g < choices.size(); g++) {
            seconds.push_back(choices[g]->recipe->cost(grouped.bodies[g].group, choices[g]->tiling,
                                                       variant_.isa, options_.machine));
        }
        return seconds;
    }

    // What an order costs, in words.
    static std::string cost_of(const GroupedBatch& grouped,
                               const std::vector<const Choice*>& choices, const RunOrder& order) {
        std::vector<double> work;
        for (size_t g = 0; g < choices.size(); g++)
            work.push_back(choices[g]->recipe->multiply_adds(grouped.bodies[g].group));
        const double once = std::accumulate(work.begin(), work.end(), 0.0);
        double all = 0;
        for (int g : order) all += work[static_cast<size_t>(g)];
        return fmt::format("{} kernels run again beside {}, {:.1f} % more multiply-adds",
                           order.size() - work.size(), work.size(),
                           once > 0 ? 100 * (all - once) / once : 0);
    }

    // How each group runs.
    std::vector<const Choice*> choices_of(const GroupedBatch& grouped) {
        std::vector<const Choice*> choices;
        for (size_t g = 0; g < grouped.bodies.size(); g++) {
            const Group& group = grouped.bodies[g].group;
            const std::string& name = name_of(grouped, g);
            const Choice& choice = choice_of(group, name);
            for (const Scratch& scratch : choice.recipe->scratch(group, choice.tiling))
                check_size(fmt::format("{}.{}", name, scratch.name), batched_type(scratch.extents));
            choices.push_back(&choice);
        }
        return choices;
    }

    // The place of a value in the block of its whole.
    static Place place_in(const GroupedBatch& grouped, Value value, const LiveBlock& block) {
        const Home home = grouped.grouping.joins.home_of(value);
        const int64_t before = home.begin * bytes_of(grouped.graph.type(value).element);
        return {MemoryClass::workspace, block.offset + before, home.pitch};
    }

    const Plan& plan_;
    const RecipeLibrary& library_;
    const PlanOptions& options_;
    VariantPlan variant_;
    std::vector<GroupedBatch> batches_;
    std::vector<PlannedCall> prepare_;
    PreparedWeights prepared_;
    std::map<std::string, Choice> choices_;  // by signature
    std::map<std::string, int> kernels_;     // by signature
};

}  // namespace

VariantPlan plan_variant(const std::vector<Graph>& graphs, const Plan& plan,
                         const RecipeLibrary& library, const PlanOptions& options, const Isa& isa) {
    return VariantPlanner(graphs, plan, library, options, isa).run();
}

}  // namespace emulsion
