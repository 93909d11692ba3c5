// See plain_body.h.
#include "schedules/tune/plain_body.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <stdexcept>

#include "compiler/ops/sources.h"

namespace emulsion {

namespace {

bool is_source(const Node& node) { return node.op->op_class() == OpClass::source; }

// The recipe of last resort where it runs the group, else the first that does.
const Recipe* plainest_recipe(const RecipeLibrary& library, const Group& group, const Isa& isa) {
    const Recipe* first = nullptr;
    for (const auto& recipe : library) {
        if (!can_run(*recipe, group, isa, /*exact=*/true)) continue;
        if (recipe->is_last_resort()) return recipe.get();
        if (first == nullptr) first = recipe.get();
    }
    return first;
}

}  // namespace

PlainBody::PlainBody(const Group& group, const Isa& isa, const RecipeLibrary& library,
                     const KernelOptions& options)
    : group_(group) {
    std::vector<PlannedKernel> kernels;
    for (int i = 0; i < static_cast<int>(group.body.nodes().size()); i++) {
        if (is_source(group.body.node(i))) continue;
        steps_.push_back(step_of(i, isa, library));
        kernels.push_back(steps_.back().kernel);
    }
    // Equal ops share a kernel, which is compiled and loaded once.
    compiled_ = compile_kernels(kernels, isa, library, options);
}

int64_t PlainBody::pitch_of(Value value) const {
    size_t operand = 0;
    for (int i = 0; i < value.node; i++) operand += group_.body.op_as<Input>(i) != nullptr ? 1 : 0;
    return group_.body.op_as<Input>(value.node) != nullptr ? group_.pitch_of(operand) : 0;
}

PlainBody::Step PlainBody::step_of(int index, const Isa& isa, const RecipeLibrary& library) const {
    const Graph& body = group_.body;
    const Node& node = body.node(index);
    Step step;
    step.node = index;
    GraphBuilder builder("group");
    std::map<Value, Value> own;
    std::vector<Value> inputs;
    std::vector<int64_t> pitches;
    for (Value value : node.inputs) {
        if (!own.contains(value)) {
            const Node& source = body.node(value.node);
            const bool is_copied = body.op_as<Scalar>(value.node) != nullptr ||
                                   body.op_as<Constant>(value.node) != nullptr;
            if (is_copied) {
                own[value] = builder.add_typed({source.op, {}, source.types, source.name, {}});
            } else {
                own[value] = builder.add(std::make_shared<Input>(body.type(value)), {},
                                         fmt::format("a{}", step.operands.size()));
                step.operands.push_back(value);
                pitches.push_back(pitch_of(value));
            }
        }
        inputs.push_back(own.at(value));
    }
    Node copy{node.op, inputs, node.types, "v0", {}};
    const Value result = builder.add_typed(std::move(copy));
    for (int k = 0; k < static_cast<int>(node.types.size()); k++)
        builder.output(fmt::format("r{}", k), {result.node, k});
    Group& group = step.kernel.group;
    group.body = builder.build();
    const OpClass kind = node.op->op_class();
    const bool is_anchor =
        kind == OpClass::anchor || kind == OpClass::window || kind == OpClass::reduction;
    group.anchor = is_anchor ? result.node : -1;
    group.batch = group.has_samples() ? group_.batch : 1;
    pitches.resize(pitches.size() + node.types.size());  // what it makes lies by itself
    if (!group_.pitches.empty()) group.pitches = std::move(pitches);
    const Recipe* recipe = plainest_recipe(library, group, isa);
    if (recipe == nullptr) {
        fail("kernel",
             fmt::format("no recipe runs '{}' alone: {}", node.op->kind(), group.signature()),
             "report this network: its kernel cannot be checked");
    }
    step.kernel.recipe = recipe->name();
    step.kernel.recipe_version = recipe->version();
    step.kernel.tiling = recipe->tilings(group, isa)[0];
    return step;
}

void PlainBody::run(const OperandValues& operands, const std::vector<GuardedBlock>& results) const {
    const Graph& body = group_.body;
    std::map<Value, void*> memory;
    std::vector<GuardedBlock> blocks;
    const KernelArguments outer = operands.arguments();
    size_t buffers = 0, integers = 0, numbers = 0;
    std::map<std::string, std::pair<bool, size_t>> scalars;  // whether a float, and the place
    for (int i = 0; i < static_cast<int>(body.nodes().size()); i++) {
        const Node& node = body.node(i);
        if (body.op_as<Input>(i) != nullptr) memory[{i, 0}] = outer.buffers[buffers++];
        if (body.op_as<Scalar>(i) == nullptr) continue;
        const bool is_float = node.types[0].element == ElementType::f32;
        scalars[node.name] = {is_float, is_float ? numbers++ : integers++};
    }
    for (size_t s = 0; s < steps_.size(); s++) {
        const Step& step = steps_[s];
        KernelSession session({{&step.kernel.group, &compiled_[s]}}, /*threads=*/1);
        KernelArguments arguments;
        for (Value value : step.operands) arguments.buffers.push_back(memory.at(value));
        const Graph& own = step.kernel.group.body;
        for (int i = 0; i < static_cast<int>(own.nodes().size()); i++) {
            if (own.op_as<Scalar>(i) == nullptr) continue;
            const auto [is_float, place] = scalars.at(own.node(i).name);
            if (is_float) {
                arguments.numbers.push_back(outer.numbers[place]);
            } else {
                arguments.integers.push_back(outer.integers[place]);
            }
        }
        int k = 0;
        for (GuardedBlock& block : result_blocks(step.kernel.group, operands.samples())) {
            memory[{step.node, k++}] = block.data();
            arguments.buffers.push_back(block.data());
            blocks.push_back(std::move(block));
        }
        session.run(0, operands.samples(), arguments);
    }
    for (size_t r = 0; r < results.size(); r++) {
        const TensorType& type = body.type(body.results()[r].value);
        const auto bytes = static_cast<size_t>(memory_bytes(type, operands.samples()));
        const int64_t pitch = group_.pitch_of(buffers + r);
        const auto* from = static_cast<const std::byte*>(memory.at(body.results()[r].value));
        auto* to = static_cast<std::byte*>(results[r].data());
        const auto element = static_cast<size_t>(bytes_of(type.element));
        const size_t row = pitch == 0 ? bytes : static_cast<size_t>(type.shape[0]) * element;
        for (size_t done = 0; done < bytes; done += row, from += row) {
            std::memcpy(to, from, row);
            to += static_cast<size_t>(pitch) * element;
        }
    }
}

}  // namespace emulsion
