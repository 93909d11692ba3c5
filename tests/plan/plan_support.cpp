// Plans of networks, and the walk that checks them.
#include "tests/plan/plan_support.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

#include "compiler/pipeline.h"
#include "compiler/plan/memory.h"
#include "schedules/library.h"

namespace emulsion::test {

namespace {

const RecipeLibrary& recipes() {
    static const RecipeLibrary library = make_library();
    return library;
}

size_t result_count(const VariantPlan& variant, const PlannedCall& call) {
    return variant.kernels[static_cast<size_t>(call.kernel)].group.body.results().size();
}

const PlannedBuffer& buffer_at(const VariantPlan& variant, int index) {
    return variant.buffers[static_cast<size_t>(index)];
}

// What the bytes of the memory classes hold: blocks and the values that were written there last.
class Memory {
  public:
    void write(const PlannedBuffer& buffer) {
        int64_t end = end_of(buffer);
        std::erase_if(blocks_, [&](const Block& block) {
            return block.memory == buffer.memory && block.begin < end && buffer.offset < block.end;
        });
        blocks_.push_back({buffer.memory, buffer.offset, end, buffer.name});
    }
    // What a buffer's bytes hold: the name of one value, "" where nobody wrote, else all names.
    std::string read(const PlannedBuffer& buffer) const {
        std::string names;
        for (const Block& block : blocks_) {
            if (block.memory != buffer.memory || block.begin >= end_of(buffer) ||
                buffer.offset >= block.end)
                continue;
            if (block.begin == buffer.offset && block.end == end_of(buffer)) return block.name;
            names += "a part of " + block.name + " ";
        }
        return names;
    }

  private:
    struct Block {
        MemoryClass memory;
        int64_t begin, end;
        std::string name;
    };
    static int64_t end_of(const PlannedBuffer& buffer) {
        bool is_port = buffer.memory == MemoryClass::input || buffer.memory == MemoryClass::output;
        return buffer.offset + (is_port ? 1 : buffer.bytes);
    }
    std::vector<Block> blocks_;
};

bool is_given(MemoryClass memory) {
    return memory == MemoryClass::parameters || memory == MemoryClass::state ||
           memory == MemoryClass::input;
}

void expect_inside(const Plan& plan, const VariantPlan& variant) {
    std::map<MemoryClass, int64_t> limits = {{MemoryClass::parameters, plan.parameter_bytes},
                                             {MemoryClass::gradients, plan.gradient_bytes},
                                             {MemoryClass::state, plan.state_bytes},
                                             {MemoryClass::prepared, variant.prepared_bytes},
                                             {MemoryClass::workspace, variant.activation_bytes}};
    for (const PlannedBuffer& buffer : variant.buffers) {
        if (!limits.contains(buffer.memory)) continue;
        EXPECT_EQ(buffer.offset % kPlanAlignment, 0) << buffer.name;
        EXPECT_GE(buffer.offset, 0) << buffer.name;
        EXPECT_LE(buffer.offset + buffer.bytes, limits.at(buffer.memory)) << buffer.name;
    }
    EXPECT_GE(variant.activation_bytes, variant.largest_live_bytes);
}

void expect_calls_read_what_was_written(const VariantPlan& variant, const BatchPlan& batch,
                                        Memory memory) {
    Stage stage = Stage::prepare;
    for (const PlannedCall& call : batch.calls) {
        EXPECT_GE(static_cast<int>(call.stage), static_cast<int>(stage))
            << call.name << " runs after a later stage";
        stage = call.stage;
        size_t operands = call.buffers.size() - result_count(variant, call);
        for (size_t i = 0; i < call.buffers.size(); i++) {
            const PlannedBuffer& buffer = buffer_at(variant, call.buffers[i]);
            if (i >= operands) {
                memory.write(buffer);
                continue;
            }
            std::string held = memory.read(buffer);
            EXPECT_TRUE(held == buffer.name || (held.empty() && is_given(buffer.memory)))
                << "batch " << batch.batch << ": " << call.name << " reads " << buffer.name
                << ", but finds '" << held << "'";
        }
    }
}

}  // namespace

Plan plan_graph(const Graph& graph, const PlanSettings& settings) {
    PlanOptions options;
    options.training = settings.training;
    options.batches = settings.batches;
    options.isas = settings.isas;
    options.fuse = settings.fuse;
    options.update_at_once = settings.update_at_once;
    options.machine = settings.machine;
    return make_plan(graph, recipes(), options);
}

Plan plan_network(const Network& network, const PlanSettings& settings) {
    return plan_graph(settings.training ? training_graph(network) : inference_graph(network),
                      settings);
}

const PlannedCall& call_named(const VariantPlan& variant, const std::string& name) {
    for (const PlannedCall& call : variant.batches.at(0).calls) {
        if (call.name == name) return call;
    }
    std::string names;
    for (const PlannedCall& call : variant.batches.at(0).calls) names += " " + call.name;
    throw std::runtime_error("no call '" + name + "' among" + names);
}

std::string kinds_of(const VariantPlan& variant, const PlannedCall& call) {
    std::string kinds;
    for (const Node& node : variant.kernels[static_cast<size_t>(call.kernel)].group.body.nodes()) {
        if (node.op->op_class() == OpClass::source) continue;
        kinds += (kinds.empty() ? "" : " ") + std::string(node.op->kind());
    }
    return kinds;
}

std::vector<std::string> operands_of(const VariantPlan& variant, const PlannedCall& call) {
    std::vector<std::string> names;
    for (size_t i = 0; i + result_count(variant, call) < call.buffers.size(); i++) {
        names.push_back(buffer_at(variant, call.buffers[i]).name);
    }
    return names;
}

std::vector<std::string> results_of_call(const VariantPlan& variant, const PlannedCall& call) {
    std::vector<std::string> names;
    for (size_t i = call.buffers.size() - result_count(variant, call); i < call.buffers.size();
         i++) {
        names.push_back(buffer_at(variant, call.buffers[i]).name);
    }
    return names;
}

int expect_sound_memory(const Plan& plan) {
    int calls = 0;
    for (const VariantPlan& variant : plan.variants) {
        expect_inside(plan, variant);
        Memory prepared;  // what `prepare`, which stands in the first batch, leaves for the others
        for (const PlannedCall& call : variant.batches.at(0).calls) {
            if (call.stage != Stage::prepare) continue;
            for (size_t i = call.buffers.size() - result_count(variant, call);
                 i < call.buffers.size(); i++) {
                const PlannedBuffer& buffer = buffer_at(variant, call.buffers[i]);
                prepared.write(buffer);
            }
        }
        for (size_t b = 0; b < variant.batches.size(); b++) {
            const BatchPlan& batch = variant.batches[b];
            expect_calls_read_what_was_written(variant, batch, b == 0 ? Memory() : prepared);
            calls += static_cast<int>(batch.calls.size());
            if (b == 0) continue;
            for (const PlannedCall& call : batch.calls) {
                EXPECT_TRUE(call.stage == Stage::forward || call.stage == Stage::backward)
                    << call.name;
            }
        }
    }
    return calls;
}

}  // namespace emulsion::test
