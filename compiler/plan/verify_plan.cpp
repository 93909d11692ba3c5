// Symbolic execution of plans. Shares no code with the planner: what both got wrong would pass.
#include "compiler/plan/verify_plan.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "compiler/ops/sources.h"
#include "compiler/plan/symbolic_memory.h"

namespace emulsion {

namespace {

int64_t bytes_of(const TensorType& type, int batch) {
    int64_t bytes = type.element == ElementType::u8 ? 1 : 4;
    for (int64_t extent : memory_extents(type)) bytes *= extent;
    return type.batched ? bytes * batch : bytes;
}

TensorType flag_type() { return plain_type({}, ElementType::i32); }

// Nodes of a body that depend on `node`, itself included.
std::vector<bool> dependents(const Graph& body, int node) {
    std::vector<bool> found(body.nodes().size(), false);
    found[static_cast<size_t>(node)] = true;
    for (size_t i = static_cast<size_t>(node) + 1; i < found.size(); i++) {
        for (Value input : body.nodes()[i].inputs) {
            if (found[static_cast<size_t>(input.node)]) found[i] = true;
        }
    }
    return found;
}

class Verifier {
  public:
    Verifier(const std::vector<Graph>& graphs, const Plan& plan) : graphs_(graphs), plan_(plan) {}

    void run() {
        for (const VariantPlan& variant : plan_.variants) verify_variant(variant);
    }

    const std::string& fault() const { return fault_; }

  private:
    template <class... Arguments>
    void expect(bool condition, fmt::format_string<Arguments...> text, Arguments&&... arguments) {
        if (condition || !fault_.empty()) return;
        fault_ =
            fmt::format("{}: {}", where_, fmt::format(text, std::forward<Arguments>(arguments)...));
    }

    void verify_variant(const VariantPlan& variant) {
        where_ = variant.isa.name;
        expect(variant.batches.size() == graphs_.size(), "{} batches, {} graphs",
               variant.batches.size(), graphs_.size());
        for (const PlannedBuffer& buffer : variant.buffers) verify_inside(variant, buffer);
        if (!fault_.empty()) return;
        SymbolicMemory given = tensors();
        run_calls(variant, variant.batches[0], {Stage::prepare}, given);
        for (size_t i = 0; i < variant.batches.size() && fault_.empty(); i++) {
            const BatchPlan& batch = variant.batches[i];
            where_ = fmt::format("{}, batch {}", variant.isa.name, batch.batch);
            SymbolicMemory memory = given;
            memory.forget(MemoryClass::workspace);
            verify_order(batch, i == 0);
            run_calls(variant, batch, {Stage::forward, Stage::backward}, memory);
            if (!plan_.update_at_once) memory.forget(MemoryClass::workspace);
            run_calls(variant, variant.batches[0], {Stage::update}, memory);
            verify_results(graphs_[i], batch.batch, memory);
        }
    }

    // ---- Bytes ----

    void verify_inside(const VariantPlan& variant, const PlannedBuffer& buffer) {
        const std::map<MemoryClass, int64_t> classes = {
            {MemoryClass::parameters, plan_.parameter_bytes},
            {MemoryClass::gradients, plan_.gradient_bytes},
            {MemoryClass::state, plan_.state_bytes},
            {MemoryClass::prepared, variant.prepared_bytes},
            {MemoryClass::workspace, variant.activation_bytes}};
        const auto found = classes.find(buffer.memory);
        if (found == classes.end()) return;  // the caller's
        // Channels among others begin at any element; on devices nothing does.
        const bool is_part = buffer.pitch != 0;
        expect(!is_part || (buffer.memory == MemoryClass::workspace && buffer.type.batched &&
                            !buffer.type.shape.empty() && buffer.pitch >= buffer.type.shape[0]),
               "'{}' in {} is no part of {} channels", buffer.name, to_string(buffer.memory),
               buffer.pitch);
        if (!fault_.empty()) return;
        const bool is_anywhere = is_part && !variant.isa.is_device();
        const int64_t alignment = is_anywhere ? 4 : variant.isa.family->alignment;
        expect(buffer.offset >= 0 && buffer.offset % alignment == 0, "'{}' lies at {}", buffer.name,
               buffer.offset);
        const int64_t end = block_of(buffer).end;
        expect(end <= found->second, "'{}' ends at {}, {} has {} bytes", buffer.name, end,
               to_string(buffer.memory), found->second);
    }

    // What `bind` finds: parameters and state of the caller, at the state's head a device's flag,
    // and inputs of each call.
    SymbolicMemory tensors() {
        SymbolicMemory memory(symbols_);
        for (const PlannedTensor& tensor : plan_.tensors) {
            memory.write({tensor.memory, tensor.offset, tensor.offset + tensor.bytes},
                         symbols_.source("tensor " + tensor.name, tensor.type));
        }
        memory.write({MemoryClass::state, 0, 4}, symbols_.source("not_finite", flag_type()));
        for (size_t i = 0; i < plan_.inputs.size(); i++) {
            const auto port = static_cast<int64_t>(i);
            memory.write({MemoryClass::input, port, port + 1},
                         symbols_.source("input " + plan_.inputs[i].name, plan_.inputs[i].type));
        }
        return memory;
    }

    // ---- Calls ----

    void verify_order(const BatchPlan& batch, bool is_first) {
        Stage stage = Stage::prepare;
        for (const PlannedCall& call : batch.calls) {
            expect(static_cast<int>(call.stage) >= static_cast<int>(stage),
                   "'{}' runs after a later stage", call.name);
            const bool shared = call.stage == Stage::prepare || call.stage == Stage::update;
            expect(is_first || !shared, "'{}' stands in a batch that is not the first", call.name);
            stage = call.stage;
        }
    }

    void run_calls(const VariantPlan& variant, const BatchPlan& batch,
                   const std::vector<Stage>& stages, SymbolicMemory& memory) {
        std::vector<Block> written;  // that may be written once
        for (const PlannedCall& call : batch.calls) {
            if (std::find(stages.begin(), stages.end(), call.stage) == stages.end()) continue;
            run_call(variant, call, batch.batch, memory, written);
            if (!fault_.empty()) return;
        }
    }

    void run_call(const VariantPlan& variant, const PlannedCall& call, int batch,
                  SymbolicMemory& memory, std::vector<Block>& written) {
        const PlannedKernel& kernel = variant.kernels[static_cast<size_t>(call.kernel)];
        const Graph& body = kernel.group.body;
        std::vector<PlannedBuffer> operands, results;
        for (size_t i = 0; i < call.buffers.size(); i++) {
            const auto buffer = variant.buffers[static_cast<size_t>(call.buffers[i])];
            const bool is_result = i + body.results().size() >= call.buffers.size();
            (is_result ? results : operands).push_back(buffer);
            expect(buffer.bytes == bytes_of(buffer.type, batch), "'{}' of '{}' has {} bytes",
                   buffer.name, call.name, buffer.bytes);
            expect(buffer.pitch == kernel.group.pitch_of(i),
                   "'{}' of '{}' lies among {} channels, which its kernel does not know",
                   buffer.name, call.name, buffer.pitch);
        }
        const std::vector<int> symbols = evaluate(body, call, operands, memory);
        for (size_t i = 0; i < results.size() && fault_.empty(); i++) {
            const Block block = block_of(results[i]);
            expect(results[i].type == body.type(body.results()[i].value),
                   "'{}' writes '{}' as {}, but makes {}", call.name, results[i].name,
                   to_string(results[i].type), to_string(body.type(body.results()[i].value)));
            const bool repeats = call.stage == Stage::prepare && memory.read(block) == symbols[i];
            if (!repeats) verify_writable(call, results[i], written);
            verify_apart(kernel, call, operands, results, i);
            memory.write(block, symbols[i]);
        }
        for (const Block& block : scratch_of(variant, call)) memory.forget(block);
    }

    // Where the kernel scribbles: on bytes of its own, and on nothing else that it touches.
    std::vector<Block> scratch_of(const VariantPlan& variant, const PlannedCall& call) {
        const PlannedKernel& kernel = variant.kernels[static_cast<size_t>(call.kernel)];
        expect(call.scratch.size() == kernel.scratch.size(),
               "'{}' has {} pieces of scratch, not {}", call.name, call.scratch.size(),
               kernel.scratch.size());
        std::vector<Block> blocks;
        for (size_t i = 0; i < call.scratch.size() && fault_.empty(); i++) {
            const PlannedBuffer& own = variant.buffers[static_cast<size_t>(call.scratch[i])];
            int64_t bytes = 4;
            for (int64_t extent : kernel.scratch[i].extents) bytes *= extent;
            expect(own.memory == MemoryClass::workspace && own.bytes == bytes &&
                       own.extents == kernel.scratch[i].extents,
                   "'{}' is not the scratch of '{}'", own.name, call.name);
            const Block block = block_of(own);
            for (int index : call.buffers) {
                const PlannedBuffer& other = variant.buffers[static_cast<size_t>(index)];
                expect(!block.overlaps(block_of(other)), "'{}' has its scratch over '{}'",
                       call.name, other.name);
            }
            expect(std::none_of(blocks.begin(), blocks.end(),
                                [&](const Block& other) { return block.overlaps(other); }),
                   "two pieces of scratch of '{}' overlap", call.name);
            blocks.push_back(block);
        }
        return blocks;
    }

    // Symbols of the results of a kernel's body.
    std::vector<int> evaluate(const Graph& body, const PlannedCall& call,
                              const std::vector<PlannedBuffer>& operands,
                              const SymbolicMemory& memory) {
        std::vector<std::vector<int>> values;
        size_t operand = 0, scalar = 0;
        for (int i = 0; i < static_cast<int>(body.nodes().size()); i++) {
            const Node& node = body.node(i);
            if (body.op_as<Input>(i) != nullptr) {
                expect(operand < operands.size(), "'{}' has too few operands", call.name);
                if (!fault_.empty()) return {};
                values.push_back({read(call, operands[operand++], node.types[0], memory)});
            } else if (const auto* number = body.op_as<Scalar>(i)) {
                expect(scalar < call.scalars.size() && call.scalars[scalar] == number->name,
                       "'{}' is not given '{}'", call.name, number->name);
                scalar++;
                values.push_back({symbols_.source("scalar " + number->name, node.types[0])});
            } else {
                values.push_back(symbols_.outputs_of(node, symbols_of(node, values)));
            }
        }
        expect(operand == operands.size() && scalar == call.scalars.size(),
               "'{}' has too many operands", call.name);
        std::vector<int> results;
        for (const Result& result : body.results()) results.push_back(symbol(values, result.value));
        return results;
    }

    int read(const PlannedCall& call, const PlannedBuffer& buffer, const TensorType& type,
             const SymbolicMemory& memory) {
        expect(buffer.type == type, "'{}' reads '{}' of {} as {}", call.name, buffer.name,
               to_string(buffer.type), to_string(type));
        const std::optional<int> held = memory.read(block_of(buffer));
        expect(held.has_value(), "'{}' reads '{}', which nobody wrote, or whose bytes were reused",
               call.name, buffer.name);
        return held ? symbols_.seen_as(*held, type) : 0;
    }

    static int symbol(const std::vector<std::vector<int>>& values, Value value) {
        return values[static_cast<size_t>(value.node)][static_cast<size_t>(value.output)];
    }

    static std::vector<int> symbols_of(const Node& node,
                                       const std::vector<std::vector<int>>& values) {
        std::vector<int> symbols;
        for (Value value : node.inputs) symbols.push_back(symbol(values, value));
        return symbols;
    }

    void verify_writable(const PlannedCall& call, const PlannedBuffer& result,
                         std::vector<Block>& written) {
        const MemoryClass memory = result.memory;
        const bool lasts = memory == MemoryClass::parameters || memory == MemoryClass::state;
        const bool before_test = call.stage == Stage::prepare || call.stage == Stage::forward;
        expect(memory != MemoryClass::input && !(before_test && lasts) &&
                   (call.stage == Stage::prepare || memory != MemoryClass::prepared) &&
                   (call.stage == Stage::backward || memory != MemoryClass::gradients),
               "'{}' of {} writes '{}' in {}", call.name, to_string(call.stage), result.name,
               to_string(memory));
        if (memory == MemoryClass::workspace) return;
        const Block block = block_of(result);
        expect(std::none_of(written.begin(), written.end(),
                            [&](const Block& other) { return other.overlaps(block); }),
               "'{}' writes '{}', which was written before", call.name, result.name);
        written.push_back(block);
    }

    // Result i against the other results and the operands of its call.
    void verify_apart(const PlannedKernel& kernel, const PlannedCall& call,
                      const std::vector<PlannedBuffer>& operands,
                      const std::vector<PlannedBuffer>& results, size_t i) {
        const Block block = block_of(results[i]);
        for (size_t k = 0; k < i; k++) {
            expect(!block_of(results[k]).overlaps(block), "'{}' writes '{}' over '{}'", call.name,
                   results[i].name, results[k].name);
        }
        size_t operand = 0;
        const Graph& body = kernel.group.body;
        for (int node = 0; node < static_cast<int>(body.nodes().size()); node++) {
            if (body.op_as<Input>(node) == nullptr) continue;
            const PlannedBuffer& read = operands[operand++];
            if (!block_of(read).overlaps(block)) continue;
            expect(block_of(read) == block && may_overwrite(kernel.group, node, i),
                   "'{}' writes '{}' over its operand '{}'", call.name, results[i].name, read.name);
            expect(kernel.writes_in_place,
                   "'{}' writes '{}' over its operand '{}', which {} may not", call.name,
                   results[i].name, read.name, kernel.recipe);
        }
    }

    // Whether the kernel may write its result i over this source of its body: all that depends on
    // the source is computed element by element behind the anchor, and other results do not read it
    // late: a pass computes all results of an element before it stores one, and result i waits for
    // the element too; behind an anchor results are stored in turn, so no other depends on it.
    static bool may_overwrite(const Group& group, int source, size_t i) {
        const Graph& body = group.body;
        const std::vector<bool> depends = dependents(body, source);
        const TensorType& type = body.node(source).types[0];
        for (int node = source + 1; node < static_cast<int>(body.nodes().size()); node++) {
            if (!depends[static_cast<size_t>(node)]) continue;
            const Node& reader = body.node(node);
            if (reader.op->op_class() != OpClass::pointwise || reader.types[0] != type)
                return false;
        }
        if (body.results().size() == 1) return true;
        for (size_t k = 0; k < body.results().size(); k++) {
            const bool waits = depends[static_cast<size_t>(body.results()[k].value.node)];
            if (k == i ? !waits : waits && group.anchor >= 0) return false;
        }
        return true;
    }

    // ---- Results ----

    void verify_results(const Graph& graph, int batch, const SymbolicMemory& memory) {
        if (!fault_.empty()) return;
        std::vector<std::vector<int>> values;
        for (int i = 0; i < static_cast<int>(graph.nodes().size()); i++) {
            const Node& node = graph.node(i);
            const char* kind = graph.op_as<Input>(i) != nullptr       ? "input "
                               : graph.op_as<Parameter>(i) != nullptr ? "tensor "
                               : graph.op_as<State>(i) != nullptr     ? "tensor "
                                                                      : nullptr;
            if (graph.op_as<NotFinite>(i) != nullptr) {
                values.push_back({symbols_.source("not_finite", flag_type())});
            } else if (kind != nullptr) {
                values.push_back({symbols_.source(kind + node.name, node.types[0])});
            } else if (const auto* scalar = graph.op_as<Scalar>(i)) {
                values.push_back({symbols_.source("scalar " + scalar->name, node.types[0])});
            } else {
                values.push_back(symbols_.outputs_of(node, symbols_of(node, values)));
            }
        }
        int64_t port = 0;
        for (const Result& result : graph.results()) {
            const TensorType& type = graph.type(result.value);
            Block block{MemoryClass::output, port, port + 1};
            std::string name = result.name;
            if (result.kind == Result::Kind::output) {
                port++;
            } else if (result.kind == Result::Kind::gradient && plan_.update_at_once) {
                continue;
            } else {
                const PlannedTensor* tensor = tensor_of(graph.node(result.target).name);
                expect(tensor != nullptr, "'{}' is no tensor", graph.node(result.target).name);
                if (tensor == nullptr) return;
                const bool is_gradient = result.kind == Result::Kind::gradient;
                const int64_t begin = is_gradient ? tensor->gradient_offset : tensor->offset;
                name = tensor->name;
                block = {is_gradient ? MemoryClass::gradients : tensor->memory, begin,
                         begin + bytes_of(type, batch)};
            }
            const std::optional<int> held = memory.read(block);
            expect(
                held.has_value() && symbols_.seen_as(*held, type) == symbol(values, result.value),
                "{} of '{}' is not what the graph computes", to_string(block.memory), name);
        }
    }

    const PlannedTensor* tensor_of(const std::string& name) const {
        for (const PlannedTensor& tensor : plan_.tensors) {
            if (tensor.name == name) return &tensor;
        }
        return nullptr;
    }

    const std::vector<Graph>& graphs_;
    const Plan& plan_;
    Symbols symbols_;
    std::string where_, fault_;
};

}  // namespace

std::string plan_fault(const std::vector<Graph>& graphs, const Plan& plan) {
    Verifier verifier(graphs, plan);
    verifier.run();
    return verifier.fault();
}

}  // namespace emulsion
