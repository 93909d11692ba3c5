// Compiles groups with Halide's own JIT and sets the kernel's arguments through its parameters.
#include "tests/schedules/recipe_support.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <random>
#include <set>

#include "compiler/codegen/device/lowering.h"
#include "compiler/codegen/lowered.h"
#include "compiler/ops/conv2d.h"
#include "compiler/ops/sources.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/library.h"

namespace emulsion::test {

namespace {

using Halide::Parameter;
using reference::Tensor;

// Collects the parameters that a pipeline reads, by name.
class ParameterFinder : public Halide::Internal::IRGraphVisitor {
  public:
    using IRGraphVisitor::visit;
    void visit(const Halide::Internal::Variable* op) override {
        if (op->param.defined()) found[op->param.name()] = op->param;
        IRGraphVisitor::visit(op);
    }
    void visit(const Halide::Internal::Call* op) override {
        if (op->param.defined()) found[op->param.name()] = op->param;
        IRGraphVisitor::visit(op);
    }
    std::map<std::string, Parameter> found;
};

std::map<std::string, Parameter> parameters_of(const std::vector<Halide::Func>& outputs) {
    ParameterFinder finder;
    for (const Halide::Func& output : outputs) {
        for (auto& [name, function] : Halide::Internal::find_transitive_calls(output.function())) {
            function.accept(&finder);
        }
        output.function().accept(&finder);
    }
    return finder.found;
}

std::vector<int> extents_of(const TensorType& type, int64_t samples) {
    std::vector<int> extents;
    for (int64_t extent : memory_extents(type)) extents.push_back(static_cast<int>(extent));
    if (type.batched) extents.push_back(static_cast<int>(samples));
    return extents;
}

constexpr int kPattern = 0x7E;  // a huge number where nothing is written
constexpr int kBegin = 3;       // of a part among the channels of its whole

// A tensor's memory, and what it is part of where it has a pitch.
struct TensorMemory {
    Halide::Buffer<> whole, own;
};

TensorMemory memory_of(const TensorType& type, int64_t samples, int64_t pitch) {
    std::vector<int> extents = extents_of(type, samples);
    if (pitch > 0) extents[0] = static_cast<int>(pitch);
    Halide::Buffer<> whole(halide_type(type.element), extents);
    std::memset(whole.data(), kPattern, whole.size_in_bytes());
    if (pitch == 0) return {whole, whole};
    Halide::Buffer<> own = whole.cropped(0, kBegin, static_cast<int>(type.shape[0]));
    own.translate(0, -kBegin);
    return {whole, own};
}

// Copies the elements of a tensor from or to packed bytes, row by row.
void copy_packed(const TensorMemory& memory, std::byte* packed, bool to_memory) {
    const auto element = static_cast<size_t>(memory.own.type().bytes());
    const bool is_part = memory.own.data() != memory.whole.data();
    const size_t row = is_part ? static_cast<size_t>(memory.own.dim(0).extent()) * element
                               : memory.whole.size_in_bytes();
    const size_t pitch =
        is_part ? static_cast<size_t>(memory.whole.dim(0).extent()) * element : row;
    auto* own = static_cast<std::byte*>(memory.own.data());
    const size_t rows = memory.whole.size_in_bytes() / pitch;
    for (size_t k = 0; k < rows; k++) {
        std::memcpy(to_memory ? own + k * pitch : packed + k * row,
                    to_memory ? packed + k * row : own + k * pitch, row);
    }
}

// Whether only the elements of the tensor itself were written.
bool is_rest_intact(const TensorMemory& memory) {
    std::vector<std::byte> pattern(memory.whole.size_in_bytes(), std::byte{kPattern});
    copy_packed(memory, pattern.data(), /*to_memory=*/true);
    return std::memcmp(memory.whole.data(), pattern.data(), pattern.size()) == 0;
}

// The same bytes as channels by positions, or as channels of a group by groups by positions.
Halide::Buffer<> flat(const Halide::Buffer<>& map, int64_t groups) {
    int positions = 1;
    for (int i = 1; i < map.dimensions(); i++) positions *= map.dim(i).extent();
    if (groups == 1)
        return Halide::Buffer<>(map.type(), map.data(), {map.dim(0).extent(), positions});
    const auto count = static_cast<int>(groups);
    return Halide::Buffer<>(map.type(), map.data(),
                            {map.dim(0).extent() / count, count, positions});
}

// A buffer's elements on a device of Vulkan. Halide's runtime there drops what lies behind a
// buffer's last whole 64 bytes, so the buffer is the first slice of a larger one.
class VulkanCopy {
  public:
    VulkanCopy(const Halide::Buffer<>& host, const Halide::Target& target) : host_(host) {
        std::vector<int> extents;
        for (int i = 0; i < host.dimensions(); i++) extents.push_back(host.dim(i).extent());
        extents.push_back(64);
        whole_ = Halide::Buffer<>(host.type(), extents);
        std::memcpy(whole_.data(), host.data(), host.size_in_bytes());
        whole_.set_host_dirty();
        whole_.copy_to_device(Halide::DeviceAPI::Vulkan, target);
    }
    Halide::Buffer<> on_device() { return whole_.sliced(whole_.dimensions() - 1); }
    void download() {
        whole_.set_device_dirty();
        whole_.copy_to_host();
        std::memcpy(host_.data(), whole_.data(), host_.size_in_bytes());
    }

  private:
    Halide::Buffer<> host_, whole_;
};

// Once for each kernel: its storage and loops do not depend on the instruction set.
void inspect(const Group& group, const Recipe& recipe, const Tiling& tiling, const Isa& isa) {
    static std::set<std::string> seen;
    const std::string kernel =
        fmt::format("{} {} {}", recipe.name(), to_string(tiling), group.signature());
    if (!seen.insert(kernel).second) return;
    KernelContext context(group, isa);
    std::vector<Halide::Func> outputs = recipe.build(context, tiling);
    context.constrain_outputs(outputs, recipe.scratch(group, tiling));
    const Halide::Target target("x86-64-linux-no_runtime-user_context-no_asserts-no_bounds_query" +
                                target_features(isa));
    Halide::Pipeline pipeline(outputs);
    add_device_lowering(pipeline, isa, group.batch);
    inspect_module(pipeline.compile_to_module(context.arguments(), "kernel", target));
}

void expect_close(const Tensor& actual, const Tensor& expected, double tolerance) {
    double largest = 1e-30;
    for (double value : expected.values) largest = std::max(largest, std::abs(value));
    expect_near(actual.values, expected.values, tolerance * largest);
}

// Values of a group's sources, and of all that follows from them.
struct Expected {
    Expected(const Group& group, const RecipeCheck& check, int64_t samples)
        : sources(random_sources(group, samples, check.fills, check.classes)) {
        if (check.adjust) check.adjust(sources, samples);
        values = reference::evaluate(group.body, sources, samples);
    }
    reference::Sources sources;
    reference::Values values;
    std::vector<Tensor> bits = {};  // of the first kernel with fused multiply-add
};

void check_samples(CompiledRecipe& compiled, const Group& group, const RecipeCheck& check,
                   int64_t samples, Expected& expected, bool same_bits) {
    SCOPED_TRACE(fmt::format("{} samples", samples));
    const std::vector<Tensor> actual = compiled.run(expected.sources, samples);
    for (size_t k = 0; k < actual.size(); k++) {
        const Value value = group.body.results()[k].value;
        SCOPED_TRACE(fmt::format("result {}", k));
        expect_close(
            actual[k],
            expected.values[static_cast<size_t>(value.node)][static_cast<size_t>(value.output)],
            check.tolerance);
    }
    if (!same_bits) return;
    if (expected.bits.empty()) expected.bits = actual;
    EXPECT_TRUE(expected.bits == actual)
        << "other bits than with another instruction set or tiling";
}

}  // namespace

Value add_operand(GraphBuilder& builder, const std::string& name, const TensorType& type) {
    if (type.batched || !type.shape.empty())
        return builder.add(std::make_shared<Input>(type), {}, name);
    auto scalar = std::make_shared<Scalar>(type);
    scalar->name = name;
    return builder.add(scalar, {}, name);
}

Group make_group(int batch, const BodyBuilder& body) {
    GraphBuilder builder("group");
    int index = 0;
    for (Value value : body(builder)) builder.output(fmt::format("r{}", index++), value);
    Group group;
    group.body = builder.build();
    group.batch = batch;
    for (size_t i = 0; i < group.body.nodes().size(); i++) {
        const OpClass kind = group.body.nodes()[i].op->op_class();
        const bool is_anchor =
            kind == OpClass::window || kind == OpClass::reduction || kind == OpClass::anchor;
        if (is_anchor && group.anchor < 0) group.anchor = static_cast<int>(i);
    }
    return group;
}

Group group_of(std::shared_ptr<const Op> op, const std::vector<TensorType>& inputs, int batch) {
    return make_group(batch, [&](GraphBuilder& builder) {
        std::vector<Value> operands, results;
        for (size_t i = 0; i < inputs.size(); i++) {
            operands.push_back(add_operand(builder, fmt::format("a{}", i), inputs[i]));
        }
        const Value first = builder.add(op, operands, "v0");
        const auto count = static_cast<int>(builder.graph().node(first.node).types.size());
        for (int k = 0; k < count; k++) results.push_back({first.node, k});
        return results;
    });
}

CompiledRecipe::CompiledRecipe(const Group& group, const Recipe& recipe, const Tiling& tiling,
                               const Isa& isa)
    : group_(group),
      scratch_(recipe.scratch(group, tiling)),
      target_("x86-64-linux-jit" + target_features(isa)) {
    try {
        inspect(group, recipe, tiling, isa);
        KernelContext context(group, isa);
        std::vector<Halide::Func> outputs = recipe.build(context, tiling);
        context.constrain_outputs(outputs, recipe.scratch(group, tiling));
        for (const Halide::Func& output : outputs)
            ranks_.insert(ranks_.end(), static_cast<size_t>(output.outputs()), output.dimensions());
        parameters_ = parameters_of(outputs);
        pipeline_ = Halide::Pipeline(outputs);
        add_device_lowering(pipeline_, isa, group.batch);
        pipeline_.compile_jit(target_);
    } catch (const Halide::Error& error) {  // is no std::exception
        throw std::runtime_error(error.what());
    }
}

std::vector<Tensor> CompiledRecipe::run(const reference::Sources& sources, int64_t samples) {
    const bool is_vulkan = target_.has_feature(Halide::Target::Vulkan);
    std::deque<VulkanCopy> copies;
    for (auto& [name, parameter] : parameters_) {
        if (name == "samples") {
            parameter.set_scalar<int32_t>(static_cast<int32_t>(samples));
            continue;
        }
        const bool is_scalar = !parameter.is_buffer();
        const Tensor& tensor = sources.at(name.substr(0, name.size() - 4));  // less "_arg"
        if (is_scalar && tensor.type.element == ElementType::f32) {
            parameter.set_scalar<float>(static_cast<float>(tensor.values[0]));
        } else if (is_scalar) {
            parameter.set_scalar<int32_t>(
                static_cast<int32_t>(static_cast<int64_t>(tensor.values[0])));
        } else {
            TensorMemory memory =
                memory_of(tensor.type, samples, pitch_of(name.substr(0, name.size() - 4)));
            std::vector<std::byte> bytes = reference::pack(tensor);
            copy_packed(memory, bytes.data(), /*to_memory=*/true);
            memory.own.set_host_dirty();
            if (is_vulkan) memory.own = copies.emplace_back(memory.own, target_).on_device();
            parameter.set_buffer(memory.own);
        }
    }
    std::vector<TensorMemory> memories;
    std::vector<Halide::Buffer<>> buffers;
    const std::vector<TensorType> types = group_.buffer_types();
    const size_t operands = types.size() - group_.body.results().size();
    for (size_t k = 0; k < group_.body.results().size(); k++) {
        memories.push_back(memory_of(types[operands + k], samples, group_.pitch_of(operands + k)));
        if (auto found = placed_.find(k); found != placed_.end()) {
            const Halide::Buffer<> operand(parameters_.at(found->second + "_arg").buffer());
            memories.back() = {operand, operand};
        }
        buffers.push_back(memories.back().own);
    }
    const std::vector<Halide::Buffer<>> owners = buffers;
    for (size_t k = 0; k < buffers.size(); k++) {
        if (ranks_[k] != buffers[k].dimensions()) buffers[k] = flat(buffers[k], groups_at(k));
    }
    const size_t results_end = buffers.size();
    for (const Scratch& scratch : scratch_) {
        buffers.emplace_back(Halide::Float(32),
                             std::vector<int>(scratch.extents.begin(), scratch.extents.end()));
    }
    const size_t inputs = copies.size();
    if (is_vulkan) {
        for (Halide::Buffer<>& buffer : buffers)
            buffer = copies.emplace_back(buffer, target_).on_device();
    }
    for (size_t k = 0; k < results_end; k++) {
        if (ranks_[k] == 3 && groups_at(k) > 1) buffers[k] = buffers[k].transposed(1, 2);
    }
    try {
        pipeline_.realize(Halide::Realization(buffers), target_);
        for (Halide::Buffer<>& buffer : buffers) buffer.copy_to_host();
        for (size_t k = inputs; k < copies.size(); k++) copies[k].download();
    } catch (const Halide::Error& error) {
        throw std::runtime_error(error.what());
    }
    std::vector<Tensor> results;
    for (size_t k = 0; k < results_end; k++) {
        const TensorType& type = types[operands + k];
        std::vector<std::byte> bytes(static_cast<size_t>(memory_bytes(type, samples)));
        copy_packed(memories[k], bytes.data(), /*to_memory=*/false);
        results.push_back(reference::unpack(type, samples, bytes.data()));
        EXPECT_TRUE(is_rest_intact(memories[k])) << "channels beside result " << k;
    }
    return results;
}

// Of a result that is seen by groups of channels; else 1.
int64_t CompiledRecipe::groups_at(size_t result) const {
    const auto* conv =
        group_.anchor < 0 ? nullptr : group_.body.op_as<ConvAttributes>(group_.anchor);
    return conv != nullptr && ranks_[result] == 3 ? conv->groups : 1;
}

int64_t CompiledRecipe::pitch_of(const std::string& operand) const {
    size_t buffer = 0;
    for (const Node& node : group_.body.nodes()) {
        if (node.name == operand) return group_.pitch_of(buffer);
        buffer += dynamic_cast<const Input*>(node.op.get()) != nullptr ? 1 : 0;
    }
    throw std::runtime_error("the group has no operand '" + operand + "'");
}

const Recipe& recipe_named(const std::string& name) {
    static const RecipeLibrary library = make_library();
    for (const auto& recipe : library) {
        if (recipe->name() == name) return *recipe;
    }
    throw std::runtime_error("the library has no recipe '" + name + "'");
}

std::vector<const Isa*> runnable_isas() {
    std::vector<const Isa*> isas = {&isa_baseline()};
    const Halide::Target host = Halide::get_host_target();
    if (host.has_feature(Halide::Target::AVX2)) isas.push_back(&isa_avx2());
    if (host.has_feature(Halide::Target::AVX512_Skylake)) isas.push_back(&isa_avx512());
    return isas;
}

reference::Sources random_sources(const Group& group, int64_t samples,
                                  const std::map<std::string, Fill>& fills, int64_t classes,
                                  uint64_t seed) {
    reference::Sources sources;
    for (const Node& node : group.body.nodes()) {
        if (node.op->op_class() != OpClass::source) continue;
        auto found = fills.find(node.name);
        OpCase op_case{{node.types[0]}, {}, samples, classes, seed++};
        if (found != fills.end()) op_case.fills = {found->second};
        sources[node.name] = random_operands(op_case)[0];
    }
    return sources;
}

namespace {

// The group with all that have samples as channels of larger maps.
Group among_others(Group group) {
    for (const TensorType& type : group.buffer_types()) {
        const bool can_be_part = type.batched && !type.shape.empty() && type.factors.empty();
        group.pitches.push_back(can_be_part ? type.shape[0] + kBegin + 2 : 0);
    }
    return group;
}

// Of the tilings for an older instruction set the first one, and one of three of the others, which
// groups take turns with: the newest takes all of them.
void keep_turns(std::vector<Tiling>& tilings, const Group& group) {
    if (std::getenv("EMULSION_LONG_TESTS") != nullptr) return;
    std::vector<Tiling> kept;
    for (size_t i = 0; i < tilings.size(); i++) {
        if (i == 0 || (i + group.signature().size()) % 3 == 0) kept.push_back(tilings[i]);
    }
    tilings = kept;
}

}  // namespace

const Isa& test_device() {
    const char* name = std::getenv("EMULSION_TEST_DEVICE");
    const Isa* device = name == nullptr ? &isa_opencl() : find_device_isa(name);
    if (device == nullptr) {
        throw std::runtime_error(
            fmt::format("EMULSION_TEST_DEVICE is '{}', but must be cuda, opencl or vulkan", name));
    }
    return *device;
}

bool has_driver(const Isa& device) {
    return Halide::host_supports_target_device(
        Halide::Target("x86-64-linux-jit" + target_features(device)));
}

void check_recipe(const std::string& name, const Group& group, const RecipeCheck& check) {
    SCOPED_TRACE(name + ": " + group.signature());
    const Recipe& recipe = recipe_named(name);
    std::vector<const Isa*> isas = runnable_isas();
    if (!check.all_isas) isas = {isas.back()};
    if (recipe.is_for_devices()) isas = {check.device != nullptr ? check.device : &test_device()};
    if (isas[0] == &isa_cuda() && !has_driver(isa_cuda())) GTEST_SKIP() << "no driver of cuda";
    std::map<int64_t, Expected> expected;  // by the number of samples
    for (int64_t samples :
         {int64_t{1}, int64_t{2}, group.batch - int64_t{1}, int64_t{group.batch}}) {
        if (samples >= 1 && samples <= group.batch)
            expected.try_emplace(samples, group, check, samples);
    }
    for (const Isa* isa : isas) {
        // Groups take turns on the oldest processors, which no other bits depend on.
        if (check.all_isas && !isa->fma && group.signature().size() % 3 != 0) continue;
        ASSERT_TRUE(recipe.applies(group, *isa));
        std::vector<Tiling> tilings = recipe.tilings(group, *isa);
        ASSERT_FALSE(tilings.empty());
        if (!check.all_tilings) tilings.resize(1);
        if (!check.tilings.empty()) tilings = check.tilings;
        if (check.tilings.empty() && isa != isas.back()) keep_turns(tilings, group);
        for (const Tiling& tiling : tilings) {
            SCOPED_TRACE(isa->name + " " + to_string(tiling));
            EXPECT_GT(recipe.cost(group, tiling, *isa, Machine()), 0);
            EXPECT_EQ(parse_tiling(to_string(tiling)), tiling);
            CompiledRecipe compiled(group, recipe, tiling, *isa);
            for (auto& [samples, each] : expected)
                check_samples(compiled, group, check, samples, each, isa->fma && check.same_bits);
        }
        // Groups take turns.
        if (!recipe.takes_pitches() || !isa->fma || group.signature().size() % 3 != 1) continue;
        const Group parts = among_others(group);
        SCOPED_TRACE(isa->name + " channels among others");
        CompiledRecipe compiled(parts, recipe, tilings[0], *isa);
        check_samples(compiled, parts, check, group.batch, expected.at(group.batch),
                      check.same_bits);
    }
}

}  // namespace emulsion::test
