// A fused group: the unit that becomes one kernel.
//
// `body` is a graph of its own: its sources are the group's operands in order (Input nodes for
// tensors, Scalar nodes for numbers), its results the tensors it writes, in order. At most one node
// is the anchor (an op of class window, reduction or anchor); what the anchor depends on is its
// prologue, what depends on it the epilogue. A group without an anchor is pointwise. Names in the
// body are canonical (a0, a1, …, v0, v1, …), so equal groups print equal text.
#pragma once

#include <string>
#include <vector>

#include "compiler/graph/graph.h"

namespace emulsion {

struct Isa;

// What a library may hold variants for. Its variants agree bit for bit, so what bits follow from is
// decided once for a family: by its first member, the judge, which can run whatever the others can.
struct TargetFamily {
    int64_t alignment = 0;            // bytes, of whatever a plan places
    std::vector<const Isa*> members;  // the most capable first
    const Isa& judge() const { return *members.at(0); }
};

// What a kernel is compiled for: an instruction set of processors, or an interface to devices.
struct Isa {
    std::string name;    // "x86-64", "avx2", "avx512", "opencl", "cuda", "vulkan"
    int lanes = 16;      // f32 in one register; of a device: in one access of memory
    int registers = 32;  // vector registers; of a device: those of a thread
    bool fma = true;
    const TargetFamily* family = nullptr;
    // Of devices alone.
    int block_threads = 0;     // the most threads of a block
    int64_t shared_bytes = 0;  // the most shared memory of a block
    bool is_device() const { return block_threads > 0; }
    bool operator==(const Isa&) const = default;
};

const Isa& isa_baseline();
const Isa& isa_avx2();
const Isa& isa_avx512();
const Isa& isa_opencl();
const Isa& isa_cuda();
const Isa& isa_vulkan();
// Of processors, by name; Error[isa] for an unknown one.
const Isa& isa_named(std::string_view name);
// That of devices; null for an unknown one.
const Isa* find_device_isa(std::string_view name);

// The best instruction set of the processor this runs on.
const Isa& native_isa();

struct Group {
    Graph body;
    int anchor = -1;  // node of body, or -1
    int batch = 1;    // the most samples of one call: recipes derive partitions from it; 1 where
                      // nothing has samples

    // Of each buffer, operands then results: how many channels the map has that it is some channels
    // of (graph/layout.h), 0 where it lies by itself. Empty where all do.
    std::vector<int64_t> pitches = {};

    // Types of the buffers.
    std::vector<TensorType> buffer_types() const;
    int64_t pitch_of(size_t buffer) const { return pitches.empty() ? 0 : pitches[buffer]; }
    // One line of text: the group's identity less recipe and tiling.
    std::string signature() const;
    const Node& anchor_node() const { return body.node(anchor); }
    const TensorType& anchor_input(int i) const {
        return body.type(anchor_node().inputs[static_cast<size_t>(i)]);
    }
    const TensorType& anchor_output(int i = 0) const {
        return anchor_node().types[static_cast<size_t>(i)];
    }
    // Whether any tensor has one entry per sample.
    bool has_samples() const;
    // Multiply-adds of `batch` samples, by the ops' plain definitions.
    int64_t multiply_adds() const;
    // True if the anchor's input i is computed inside the group from operands.
    bool has_prologue(int i) const;
    // True if anything but the anchor's own outputs is computed after it.
    bool has_epilogue() const;
    // The group's results are, in this order: maps that the anchor makes or that follow from it,
    // sums over strips of them (ops/moments.h; here their nodes), and values of the prologue.
    std::vector<Value> maps() const;
    std::vector<int> strip_sums() const;
    std::vector<Value> stored_prologues() const;
    // True if the value is the anchor's or computed from it.
    bool follows_anchor(Value value) const;
    // Anchor positions (w, h) that one output position reads: {1, 1}, or the window of a pooling in
    // the epilogue.
    std::vector<int64_t> epilogue_window() const;
};

}  // namespace emulsion
