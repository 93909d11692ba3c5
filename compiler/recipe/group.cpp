// Instruction sets, and what a group says of itself.
#include "compiler/recipe/group.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "compiler/graph/text.h"
#include "compiler/ops/sources.h"
#include "runtime/abi/device.h"

namespace emulsion {

namespace {

struct X86 {
    TargetFamily family{EMULSION_ALIGNMENT, {&avx512, &avx2, &baseline}};
    Isa baseline{"x86-64", 4, 16, false, &family};
    Isa avx2{"avx2", 8, 16, true, &family};
    Isa avx512{"avx512", 16, 32, true, &family};
};

const X86& x86() {
    static const X86 targets;
    return targets;
}

// A kind of devices is a family of its own: sums are contracted differently on each.
struct Device {
    TargetFamily family{EMULSION_DEVICE_ALIGNMENT, {&isa}};
    Isa isa;
    Device(std::string name, int block_threads, int64_t shared_bytes)
        : isa{std::move(name), 4, 255, true, &family, block_threads, shared_bytes} {}
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;
};

}  // namespace

const Isa& isa_opencl() {
    static const Device device("opencl", 256, 32 << 10);
    return device.isa;
}

const Isa& isa_cuda() {
    static const Device device("cuda", 1024, 48 << 10);
    return device.isa;
}

// Drivers of Vulkan 1.2 have to allow half of either; those of graphics cards and lavapipe allow
// this. A device with less is refused when a kernel that wants more is made ready.
const Isa& isa_vulkan() {
    static const Device device("vulkan", 256, 32 << 10);
    return device.isa;
}

const Isa& isa_baseline() { return x86().baseline; }
const Isa& isa_avx2() { return x86().avx2; }
const Isa& isa_avx512() { return x86().avx512; }

const Isa& isa_named(std::string_view name) {
    for (const Isa* isa : x86().family.members) {
        if (isa->name == name) return *isa;
    }
    fail("isa", fmt::format("unknown instruction set '{}'", name),
         "the instruction sets are x86-64, avx2, avx512");
}

const Isa* find_device_isa(std::string_view name) {
    for (const Isa* isa : {&isa_opencl(), &isa_cuda(), &isa_vulkan()}) {
        if (isa->name == name) return isa;
    }
    return nullptr;
}

const Isa& native_isa() {
    const uint32_t features = emulsion_cpu_features();
    for (const Isa* isa : x86().family.members) {
        if ((emulsion_isa_features(isa->name.c_str()) & ~features) == 0) return *isa;
    }
    return isa_baseline();
}

std::vector<TensorType> Group::buffer_types() const {
    std::vector<TensorType> types;
    for (int i = 0; i < static_cast<int>(body.nodes().size()); i++) {
        if (body.op_as<Input>(i) != nullptr) types.push_back(body.node(i).types[0]);
    }
    for (const Result& result : body.results()) types.push_back(body.type(result.value));
    return types;
}

std::string Group::signature() const {
    std::string text = print(body);
    std::string line;
    for (size_t i = 0; i < text.size(); i++) {
        if (text[i] != '\n') {
            line += text[i];
            continue;
        }
        while (i + 1 < text.size() && text[i + 1] == ' ') i++;
        if (i + 1 < text.size()) line += line.ends_with("{") ? " " : "; ";
    }
    const std::string parts =
        pitches.empty() ? "" : fmt::format("pitches={} ", fmt::join(pitches, ","));
    return fmt::format("batch={} {}{}", batch, parts, line);
}

bool Group::has_samples() const {
    return std::any_of(body.nodes().begin(), body.nodes().end(), [](const Node& node) {
        return std::any_of(node.types.begin(), node.types.end(),
                           [](const TensorType& type) { return type.batched; });
    });
}

int64_t Group::multiply_adds() const {
    int64_t count = 0;
    for (const Node& node : body.nodes()) {
        std::vector<TensorType> types;
        for (Value value : node.inputs) types.push_back(body.type(value));
        count += node.op->multiply_adds(types);
    }
    return count * batch;
}

bool Group::has_prologue(int i) const {
    Value value = anchor_node().inputs[static_cast<size_t>(i)];
    return body.node(value.node).op->op_class() != OpClass::source;
}

bool Group::has_epilogue() const {
    for (const Result& result : body.results()) {
        if (result.value.node != anchor) return true;
    }
    return false;
}

std::vector<int> Group::strip_sums() const {
    std::vector<int> nodes;
    for (int i = anchor + 1; anchor >= 0 && i < static_cast<int>(body.nodes().size()); i++) {
        if (body.node(i).op->sums_strips()) nodes.push_back(i);
    }
    return nodes;
}

std::vector<Value> Group::maps() const {
    std::vector<Value> values;
    for (const Result& result : body.results()) {
        const bool is_sum =
            result.value.node != anchor && body.node(result.value.node).op->sums_strips();
        if (!is_sum && (anchor < 0 || follows_anchor(result.value))) values.push_back(result.value);
    }
    return values;
}

std::vector<Value> Group::stored_prologues() const {
    std::vector<Value> values;
    for (const Result& result : body.results()) {
        if (anchor >= 0 && !follows_anchor(result.value)) values.push_back(result.value);
    }
    return values;
}

bool Group::follows_anchor(Value value) const {
    if (anchor < 0 || value.node < anchor) return false;
    const std::vector<Value>& inputs = body.node(value.node).inputs;
    return value.node == anchor ||
           std::any_of(inputs.begin(), inputs.end(), [&](Value v) { return follows_anchor(v); });
}

std::vector<int64_t> Group::epilogue_window() const {
    for (int i = anchor + 1; anchor >= 0 && i < static_cast<int>(body.nodes().size()); i++) {
        const Op& op = *body.node(i).op;
        if (op.op_class() == OpClass::window)
            return {op.window_extents()[1], op.window_extents()[0]};
    }
    return {1, 1};
}

}  // namespace emulsion
