// Libraries at work: the object that ships against the double-precision reference of the same
// graph.
#include <gtest/gtest.h>
#include <llvm/Object/Archive.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "compiler/autodiff/training_step.h"
#include "compiler/codegen/loader.h"
#include "compiler/graph/text.h"
#include "compiler/passes/inference_form.h"
#include "compiler/pipeline.h"
#include "schedules/library.h"
#include "tests/codegen/codegen_support.h"
#include "tests/support/graph_results.h"

namespace emulsion::test {
namespace {

std::string member_of(const std::string& archive) {
    auto opened = llvm::cantFail(
        llvm::object::Archive::create(llvm::MemoryBufferRef(llvm::StringRef(archive), "a")));
    llvm::Error error = llvm::Error::success();
    std::string bytes;
    for (const auto& child : opened->children(error))
        bytes = llvm::cantFail(child.getBuffer()).str();
    llvm::cantFail(std::move(error));
    return bytes;
}

struct Free {
    void operator()(void* block) const { std::free(block); }
};
using Block = std::unique_ptr<void, Free>;

Block aligned(size_t bytes) {
    Block block(std::aligned_alloc(64, (bytes + 127) / 64 * 64));
    std::memset(block.get(), 0x7E, bytes);
    return block;
}

TensorType type_of(const emulsion_port& port) {
    TensorType type;
    type.element = port.type == EMULSION_F32 ? ElementType::f32 : ElementType::i32;
    type.batched = port.batched != 0;
    type.shape.assign(port.shape, port.shape + port.rank);
    return type;
}

// A library of the graph `graph`, loaded, with memory of its own and two threads.
class LoadedLibrary {
  public:
    LoadedLibrary(const BuiltLibrary& built, const Graph& graph)
        : name_(built.name), graph_(graph), object_(member_of(built.archive)) {
        info_ = object_.function<const emulsion_info*()>(name_ + "_info")();
        const emulsion_sizes& sizes = memory_.sizes;
        EXPECT_EQ(object_.function<int(int, emulsion_sizes*)>(name_ + "_sizes")(2, &memory_.sizes),
                  EMULSION_OK);
        for (int i = 0; i < EMULSION_CLASSES; i++) {
            blocks_.push_back(aligned(sizes.bytes[i]));
            memory_.block[i] = blocks_.back().get();
        }
    }
    ~LoadedLibrary() { object_.function<int(void*)>(name_ + "_unbind")(instance()); }

    void init(uint64_t seed) {
        EXPECT_EQ((object_.function<int(uint64_t, const emulsion_memory*)>(name_ + "_init")(
                      seed, &memory_)),
                  EMULSION_OK);
    }
    void bind() {
        emulsion_options options{};
        options.threads = 2;
        EXPECT_EQ((object_.function<int(void*, const emulsion_memory*, const emulsion_options*)>(
                      name_ + "_bind")(instance(), &memory_, &options)),
                  EMULSION_OK)
            << error();
    }
    void prepare() {
        EXPECT_EQ(object_.function<int(void*)>(name_ + "_prepare")(instance()), EMULSION_OK)
            << error();
    }

    // Values of parameters and states by name.
    reference::Sources tensors() const {
        reference::Sources values;
        for (int i = 0; i < info_->tensor_count; i++) {
            values[info_->tensors[i].name] = reference::unpack(type_of_tensor(i), 1, address_of(i));
        }
        return values;
    }
    void set_tensors(const reference::Sources& values) {
        for (int i = 0; i < info_->tensor_count; i++) {
            std::vector<std::byte> bytes = reference::pack(values.at(info_->tensors[i].name));
            ASSERT_EQ(bytes.size(), info_->tensors[i].bytes);
            std::memcpy(address_of(i), bytes.data(), bytes.size());
        }
    }

    // Runs `run` (learning_rate < 0) or `step` and returns the outputs by name.
    GraphResults call(const reference::Sources& inputs, int samples, float learning_rate,
                      int expected = EMULSION_OK) {
        std::vector<Block> in, out;
        std::vector<const void*> in_pointers;
        std::vector<void*> out_pointers;
        for (int i = 0; i < info_->input_count; i++) {
            std::vector<std::byte> bytes = reference::pack(inputs.at(info_->inputs[i].name));
            in.push_back(aligned(bytes.size()));
            std::memcpy(in.back().get(), bytes.data(), bytes.size());
            in_pointers.push_back(in.back().get());
        }
        for (int i = 0; i < info_->output_count; i++) {
            out.push_back(aligned(info_->outputs[i].bytes * static_cast<size_t>(info_->batch)));
            out_pointers.push_back(out.back().get());
        }
        emulsion_call call{samples, 0, in_pointers.data(), out_pointers.data()};
        int status = learning_rate < 0 ? object_.function<int(void*, const emulsion_call*)>(
                                             name_ + "_run")(instance(), &call)
                                       : object_.function<int(void*, const emulsion_call*, float)>(
                                             name_ + "_step")(instance(), &call, learning_rate);
        EXPECT_EQ(status, expected) << error();
        GraphResults results;
        for (int i = 0; i < info_->output_count; i++) {
            const emulsion_port& port = info_->outputs[i];
            results[std::string("output ") + port.name] =
                reference::unpack(type_of(port), samples, out_pointers[static_cast<size_t>(i)]);
        }
        return results;
    }

  private:
    void* instance() const { return memory_.block[EMULSION_INSTANCE]; }
    const char* error() const {
        return object_.function<const char*(const void*)>(name_ + "_error")(instance());
    }
    TensorType type_of_tensor(int i) const {
        return graph_.node(graph_.find(info_->tensors[i].name)).types[0];
    }
    char* address_of(int i) const {
        return static_cast<char*>(memory_.block[info_->tensors[i].memory_class]) +
               info_->tensors[i].offset;
    }

    std::string name_;
    const Graph& graph_;
    LoadedObject object_;
    const emulsion_info* info_ = nullptr;
    std::vector<Block> blocks_;
    emulsion_memory memory_{};
};

// A tensor of each input, images and labels.
reference::Sources inputs_of(const Graph& graph, int64_t samples) {
    reference::Sources inputs;
    for (auto& [name, value] : random_sources(graph, samples, 11, 3)) {
        if (name == "image" || name == "label") inputs[name] = value;
    }
    return inputs;
}

class RunLibrary : public ::testing::Test {
  protected:
    static const BuiltNetwork& built() {
        static const BuiltNetwork network = build_network(tiny_network());
        return network;
    }
};

// Steps of a library with these numbers of samples, each from where the last one ended.
void expect_right_steps(const BuiltLibrary& built, std::initializer_list<int> sample_counts) {
    const Graph graph = training_step(tiny_network());
    LoadedLibrary library(built, graph);
    library.init(5);
    library.bind();
    for (int samples : sample_counts) {
        SCOPED_TRACE(samples);
        reference::Sources sources = library.tensors();
        const reference::Sources inputs = inputs_of(graph, samples);
        sources.insert(inputs.begin(), inputs.end());
        sources["learning_rate"] = reference::make_tensor(plain_type({}), 1, {0.125});
        GraphResults expected = results_of(graph, sources, samples);
        GraphResults actual = library.call(inputs, samples, 0.125F);
        for (const auto& [name, value] : library.tensors()) actual["update " + name] = value;
        for (const auto& [name, value] : expected) {
            if (name.starts_with("gradient ")) continue;
            ASSERT_TRUE(actual.contains(name)) << name;
            EXPECT_LT(relative_difference(actual.at(name), value), 2e-6) << name;
        }
        EXPECT_GT(relative_difference(library.tensors().at("conv.w"), sources.at("conv.w")), 1e-6)
            << "nothing is learned";
    }
}

TEST_F(RunLibrary, StepsAreThoseOfTheReference) { expect_right_steps(built().train, {5, 1, 3}); }

TEST_F(RunLibrary, ACheckedLibraryFindsNothingToReport) {
    expect_right_steps(build_network(tiny_network(), {.checked = true}).train, {5, 2});
}

TEST_F(RunLibrary, ALossThatIsNotFiniteChangesNothing) {
    const Graph graph = training_step(tiny_network());
    LoadedLibrary library(built().train, graph);
    library.init(5);
    library.bind();
    reference::Sources inputs = inputs_of(graph, 4), before = library.tensors();
    for (double& pixel : inputs.at("image").values) pixel = pixel > 0 ? 3e38 : -3e38;
    library.call(inputs, 4, 0.125F, EMULSION_NOT_FINITE);
    for (const auto& [name, value] : library.tensors()) {
        EXPECT_EQ(value.values, before.at(name).values) << name;
    }
}

// 2 relu(x) + x, in one kernel and in one for each op, whose results share memory where they may.
TEST_F(RunLibrary, AResidualKeepsItsMemory) {  // case X4
    Network network;
    network.name = "residual";
    network.graph = parse_graph(R"(graph residual {
  %image = input() : f32[n,2]
  %w = parameter() : f32[2]
  %x = multiply(%image, %w) : f32[n,2]
  %a = relu(%x) : f32[n,2]
  %b = scale(%a) {factor=2} : f32[n,2]
  %y = add(%b, %x) : f32[n,2]
  output "y" %y
})",
                                "residual.emu");
    const Graph graph = inference_graph(network);
    const RecipeLibrary recipes = make_library();
    for (bool fuse : {true, false}) {
        PlanOptions options;
        options.batches = {2};
        options.isas = {isa_avx2()};
        options.fuse = fuse;
        const Plan plan = make_plan(graph, recipes, options);
        EXPECT_EQ(plan.variants[0].batches[0].calls.size(), fuse ? 1u : 4u);
        Library made = make_library(
            network, plan, {compile_kernels(plan.variants[0].kernels, isa_avx2(), recipes, {})});
        LoadedLibrary library({made.name, made.archive, made.header, made.manifest}, graph);
        library.set_tensors({{"w", reference::make_tensor(plain_type({2}), 1, {1, 1})}});
        library.bind();
        library.prepare();
        reference::Sources inputs = {
            {"image", reference::make_tensor(batched_type({2}), 2, {-2, 3, 5, -7})}};
        EXPECT_EQ(library.call(inputs, 2, -1).at("output y").values,
                  (std::vector<double>{-2, 9, 15, -7}));
    }
}

// Folded filters that are transformed further are steps of `prepare`: they lie in the workspace,
// which runs overwrite, so `prepare` may follow a run.
TEST_F(RunLibrary, PreparesAgainAfterARun) {
    Network network;
    network.name = "folded";
    network.graph = parse_graph(R"(graph folded {
  %image = input() : f32[n,16,8,8]
  %a.w = parameter() : f32[16,16,3,3]
  %a = conv2d(%image, %a.w) {padding=[1,1,1,1]} : f32[n,16,8,8]
  %gamma = parameter() : f32[16]
  %beta = parameter() : f32[16]
  %mean = state() : f32[16]
  %variance = state() : f32[16]
  %norm = batch_norm(%a, %gamma, %beta, %mean, %variance) : f32[n,16,8,8], f32[16], f32[16]
  %x = relu(%norm:0) : f32[n,16,8,8]
  %b.w = parameter() : f32[16,16,3,3]
  %b = conv2d(%x, %b.w) {padding=[1,1,1,1]} : f32[n,16,8,8]
  %again = batch_norm(%b, %beta, %gamma, %mean, %variance) : f32[n,16,8,8], f32[16], f32[16]
  output "y" %again:0
})",
                                "folded.emu");
    const Graph plain = inference_form(network), graph = inference_graph(network);
    const RecipeLibrary recipes = make_library();
    PlanOptions options;
    options.batches = {1, 2};
    options.isas = {isa_avx2()};
    const Plan plan = make_plan(graph, recipes, options);
    const std::vector<PlannedBuffer>& buffers = plan.variants[0].buffers;
    EXPECT_TRUE(std::any_of(buffers.begin(), buffers.end(), [](const PlannedBuffer& buffer) {
        return buffer.name == "a.folded" && buffer.memory == MemoryClass::workspace;
    }));
    Library made = make_library(
        network, plan, {compile_kernels(plan.variants[0].kernels, isa_avx2(), recipes, {})});
    LoadedLibrary library({made.name, made.archive, made.header, made.manifest}, graph);
    for (uint64_t seed : {1, 2}) {
        for (int samples : {2, 1}) {
            const reference::Sources sources = random_sources(plain, samples, seed);
            library.set_tensors(sources);
            if (seed == 1 && samples == 2) library.bind();
            library.prepare();
            const reference::Sources inputs = {{"image", sources.at("image")}};
            const GraphResults expected = results_of(plain, sources, samples);
            for (int run = 0; run < 2; run++) {
                const GraphResults actual = library.call(inputs, samples, -1);
                EXPECT_LT(relative_difference(actual.at("output y"), expected.at("output y")), 1e-5)
                    << "seed " << seed << ", " << samples << " samples, run " << run;
            }
        }
    }
}

// The last convolution of a block adds the shortcut, which dies there, and writes its sum over it.
void expect_residual_in_place(const std::string& size, bool exact, const std::string& recipe) {
    SCOPED_TRACE(size + " by " + recipe);
    Network network;
    network.name = "residual";
    const std::string map = " : f32[n,32," + size + "]";
    network.graph = parse_graph(
        "graph residual {\n  %image = input()" + map + "\n  %a.w = parameter() : f32[32,32,3,3]\n" +
            "  %b.w = parameter() : f32[32,32,3,3]\n  %bias = parameter() : f32[32]\n" +
            "  %x = conv2d(%image, %a.w) {padding=[1,1,1,1]}" + map +
            "\n  %a = conv2d(%x, %a.w) {padding=[1,1,1,1]}" + map + "\n  %y = relu(%a)" + map +
            "\n  %b = conv2d(%y, %b.w) {padding=[1,1,1,1]}" + map + "\n  %biased = add(%b, %bias)" +
            map + "\n  %sum = add(%biased, %x)" + map + "\n  %z = relu(%sum)" + map +
            "\n  %c = conv2d(%z, %a.w) {padding=[1,1,1,1]}" + map + "\n  output \"c\" %c\n}",
        "residual.emu");
    const Graph graph = inference_graph(network, exact);
    const RecipeLibrary recipes = make_library();
    PlanOptions options;
    options.batches = {3};
    options.isas = {isa_avx2()};
    options.exact = exact;
    const Plan plan = make_plan(graph, recipes, options);
    const VariantPlan& variant = plan.variants[0];
    const std::vector<PlannedCall>& calls = variant.batches[0].calls;
    const PlannedCall& adds = *std::find_if(calls.begin(), calls.end(), [](const auto& call) {
        return call.name == "b" && call.stage == Stage::forward;
    });
    EXPECT_EQ(variant.kernels[static_cast<size_t>(adds.kernel)].recipe, recipe);
    auto place = [&](const std::string& name) -> int64_t {
        for (const PlannedBuffer& buffer : variant.buffers) {
            if (buffer.name == name) return buffer.offset;
        }
        return -1;
    };
    EXPECT_GE(place("x"), 0);
    EXPECT_EQ(place("z"), place("x"));
    EXPECT_NE(place("y"), place("x"));
    Library made =
        make_library(network, plan, {compile_kernels(variant.kernels, isa_avx2(), recipes, {})});
    LoadedLibrary library({made.name, made.archive, made.header, made.manifest}, graph);
    for (int samples : {1, 2, 3}) {
        const reference::Sources sources = random_sources(network.graph, samples);
        library.set_tensors(sources);
        if (samples == 1) library.bind();
        library.prepare();
        const GraphResults expected = results_of(network.graph, sources, samples);
        const GraphResults actual = library.call({{"image", sources.at("image")}}, samples, -1);
        EXPECT_LT(relative_difference(actual.at("output c"), expected.at("output c")), 1e-5);
    }
}

TEST_F(RunLibrary, AResidualIsAddedInPlace) {
    expect_residual_in_place("8,8", false, "winograd");
    expect_residual_in_place("7,9", false, "winograd");
    expect_residual_in_place("8,8", true, "direct");
    expect_residual_in_place("7,9", true, "direct");
}

TEST_F(RunLibrary, InferenceIsThatOfTheReference) {
    Network network = tiny_network();
    const Graph step = training_step(network), graph = inference_form(network);
    LoadedLibrary trained(built().train, step);
    trained.init(5);
    LoadedLibrary library(built().infer, graph);
    library.set_tensors(trained.tensors());
    library.bind();
    library.prepare();
    for (int samples : {1, 2, 3}) {  // 1 runs the kernels of batch 1, the others those of batch 3
        reference::Sources sources = library.tensors();
        const reference::Sources inputs = inputs_of(graph, samples);
        sources.insert(inputs.begin(), inputs.end());
        GraphResults expected = results_of(graph, sources, samples),
                     actual = library.call(inputs, samples, -1);
        EXPECT_LT(relative_difference(actual.at("output scores"), expected.at("output scores")),
                  2e-6)
            << samples;
    }
}

}  // namespace
}  // namespace emulsion::test
