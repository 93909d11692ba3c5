// What the device family becomes on CUDA, without a GPU: kernels as planned, through NVIDIA's
// assembler and disassembler. No registers are spilled, each launch fits a multiprocessor, and the
// products keep the share of multiply-adds in their hottest loops that their nests are made for.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <future>
#include <tuple>

#include "compiler/codegen/device/lowering.h"
#include "compiler/ops/activations.h"
#include "compiler/ops/arithmetic.h"
#include "compiler/ops/batch_norm_parts.h"
#include "compiler/ops/conv2d.h"
#include "compiler/ops/dense.h"
#include "compiler/ops/moments.h"
#include "compiler/ops/reduce.h"
#include "compiler/pipeline.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/gpu/product/block_product.h"
#include "schedules/gpu/product/strip_parts.h"
#include "schedules/library.h"
#include "tests/schedules/recipe_support.h"
#include "tests/support/cuda_code.h"
#include "tests/support/golden.h"

namespace emulsion::test {
namespace {

constexpr int kBatch = 16;
constexpr int kRegisterFile = 65536;  // of a multiprocessor; a launch that wants more fails
constexpr int kMapThreads = 256;      // of blocks without a tile

#define SKIP_WITHOUT_CUDA_TOOLS()                                                  \
    if (!has_cuda_tools())                                                         \
    GTEST_SKIP() << "ptxas and nvdisasm are missing; fix: run compiler/toolchain/" \
                    "setup.sh --tests"

bool has_tile(const PlannedKernel& kernel) {
    return kernel.recipe == "gpu_product" || kernel.recipe == "gpu_strided_gradient" ||
           kernel.recipe == "gpu_split_product" || kernel.recipe == "gpu_filter_gradient" ||
           kernel.recipe.starts_with("gpu_grouped") || kernel.recipe.starts_with("gpu_winograd");
}

// Lowers the kernel for a device that has no more shared memory than its tile states.
void expect_stated_shared_bytes(const PlannedKernel& kernel) {
    Isa isa = isa_cuda();
    const BlockTile tile = block_tile(kernel.tiling);
    isa.shared_bytes = tile.shared_bytes() + strip_bytes(kernel.group, tile);
    KernelContext context(kernel.group, isa);
    const std::vector<Halide::Func> outputs =
        recipe_named(kernel.recipe).build(context, kernel.tiling);
    context.constrain_outputs(outputs, kernel.scratch);
    Halide::Pipeline pipeline(outputs);
    add_device_lowering(pipeline, isa, kernel.group.batch);
    const Halide::Target target("x86-64-linux-no_runtime-user_context-no_asserts-no_bounds_query" +
                                target_features(isa_opencl()));
    EXPECT_NO_THROW(pipeline.compile_to_module(context.arguments(), "kernel", target));
}

// `least`: of the share of FFMA in the hottest loop of the first launch.
void expect_sound(const PlannedKernel& planned, const CompiledKernel& kernel, double least) {
    const int threads = has_tile(planned)
                            ? std::max(block_tile(planned.tiling).threads(), kMapThreads)
                            : kMapThreads;
    for (const char* architecture : {"sm_80", "sm_90"}) {
        const bool reads_loops = least > 0 && std::string(architecture) == "sm_90";
        double share = 0;
        for (const CudaEntry& entry : cuda_entries(kernel, architecture, reads_loops)) {
            const std::string where =
                fmt::format("{} {} {} {}\n{}", architecture, entry.name, planned.recipe,
                            to_string(planned.tiling), planned.group.signature());
            EXPECT_EQ(entry.spill_bytes, 0) << where;
            EXPECT_EQ(entry.stack_bytes, 0) << where;
            EXPECT_GT(entry.registers, 0) << where;
            EXPECT_LE(entry.registers * threads, kRegisterFile) << where;
            share = std::max(share, entry.ffma_share());
            if (entry.has_loop) {
                EXPECT_EQ(entry.wide_loads, entry.loads) << where;
            }
        }
        if (reads_loops) {
            EXPECT_GE(share, least) << planned.recipe << " " << to_string(planned.tiling) << "\n"
                                    << planned.group.signature();
        }
    }
}

void expect_sound(const std::vector<PlannedKernel>& planned, const std::vector<double>& least) {
    const RecipeLibrary recipes = make_library();
    const std::vector<CompiledKernel> kernels =
        compile_kernels(planned, isa_cuda(), recipes, KernelOptions{});
    std::vector<std::future<void>> checks;
    for (size_t thread = 0; thread < 2; thread++) {
        checks.push_back(std::async(std::launch::async, [&, thread] {
            for (size_t i = thread; i < planned.size(); i += 2)
                expect_sound(planned[i], kernels[i], least[i]);
        }));
    }
    for (std::future<void>& check : checks) check.get();
}

// A convolution in three directions.
struct Layer {
    int64_t inputs, size, outputs, kernel, stride, groups = 1;
    std::vector<int64_t> padding() const {
        return {kernel / 2, kernel / 2, kernel / 2, kernel / 2};
    }
    int64_t out() const { return (size + 2 * (kernel / 2) - kernel) / stride + 1; }
    TensorType x() const { return batched_type({inputs, size, size}); }
    TensorType y() const { return batched_type({outputs, out(), out()}); }
    TensorType filter() const { return plain_type({outputs, inputs / groups, kernel, kernel}); }

    Group forward() const {
        auto op = std::make_shared<Conv2d>();
        op->stride = {stride, stride};
        op->padding = padding();
        op->groups = groups;
        return group_of(op, {x(), filter()}, kBatch);
    }
    Group data_gradient() const {
        auto op = std::make_shared<Conv2dBackwardData>();
        op->stride = {stride, stride};
        op->padding = padding();
        op->groups = groups;
        op->input = {size, size};
        op->rotated = stride == 1;  // as the passes leave it
        const TensorType w =
            op->rotated ? plain_type({inputs, outputs / groups, kernel, kernel}) : filter();
        return group_of(op, {y(), w}, kBatch);
    }
    // The data gradient of a layer the other way round, as plans have it where its map has another
    // reader and is an activation's result.
    Group joined() const {
        return make_group(kBatch, [&](GraphBuilder& b) -> std::vector<Value> {
            auto op = std::make_shared<Conv2d>();
            op->padding = padding();
            const Value dy = add_operand(b, "dy", x()), w = add_operand(b, "w", filter()),
                        other = add_operand(b, "other", y()), active = add_operand(b, "x", y());
            const Value dx = b.add(op, {dy, w}, "v0");
            const Value sum = b.add(std::make_shared<Add>(), {dx, other}, "v1");
            return {b.add(std::make_shared<ReluBackward>(), {sum, active}, "v2")};
        });
    }
    Group filter_gradient() const {
        auto op = std::make_shared<Conv2dBackwardFilter>();
        op->stride = {stride, stride};
        op->padding = padding();
        op->groups = groups;
        op->kernel = {kernel, kernel};
        return group_of(op, {x(), y()}, kBatch);
    }
};

TEST(CudaCode, ProductsOfResidualNetworks) {
    SKIP_WITHOUT_CUDA_TOOLS();
    const RecipeLibrary recipes = make_library();
    std::vector<PlannedKernel> kernels;
    std::vector<double> least;
    const auto add = [&](const Group& group, double share) {
        kernels.push_back(planned_for_cuda(group, recipes));
        EXPECT_TRUE(has_tile(kernels.back())) << group.signature();
        expect_stated_shared_bytes(kernels.back());
        least.push_back(share);
    };
    for (const Layer& layer : {Layer{64, 56, 64, 3, 1},
                               {64, 56, 128, 3, 2},
                               {256, 14, 256, 3, 1},
                               {512, 7, 512, 3, 1}}) {
        add(layer.forward(), 0.85);
        add(layer.data_gradient(), 0.85);
        add(layer.filter_gradient(), 0.82);
    }
    const Layer narrow{256, 56, 64, 1, 1};
    add(narrow.forward(), 0.87);
    add(narrow.data_gradient(), 0.87);
    add(narrow.filter_gradient(), 0.82);
    const Layer of_one_piece{16, 55, 64, 1, 1};
    add(of_one_piece.forward(), 0);
    add(of_one_piece.data_gradient(), 0);
    add(of_one_piece.filter_gradient(), 0);
    add(Layer{64, 55, 16, 3, 1}.joined(), 0);
    // A layer of few results is dealt to small tiles, a larger one split into parts.
    for (const auto& [inputs, outputs, forward, back] :
         {std::tuple{512, 1000, 0.82, 0.78}, {4096, 1024, 0.84, 0.84}}) {
        const TensorType x = batched_type({inputs}), y = batched_type({outputs}),
                         weights = plain_type({outputs, inputs});
        add(group_of(std::make_shared<Dense>(), {x, weights}, 64), forward);
        add(group_of(std::make_shared<DenseBackwardData>(), {y, weights}, 64), back);
        add(group_of(std::make_shared<DenseBackwardWeights>(), {x, y}, 64), 0.82);
    }
    expect_sound(kernels, least);
}

// Of resnext50_32x4d at both ends, and of two wide groups.
TEST(CudaCode, ProductsOfGroups) {
    SKIP_WITHOUT_CUDA_TOOLS();
    const RecipeLibrary recipes = make_library();
    std::vector<PlannedKernel> kernels;
    std::vector<double> least;
    for (const auto& [layer, map, filter] : {std::tuple{Layer{128, 56, 128, 3, 1, 32}, 0.42, 0.66},
                                             {Layer{1024, 14, 1024, 3, 2, 32}, 0.82, 0.68},
                                             {Layer{96, 27, 256, 5, 1, 2}, 0.74, 0.78}}) {
        for (const Group& group :
             {layer.forward(), layer.data_gradient(), layer.filter_gradient()}) {
            kernels.push_back(planned_for_cuda(group, recipes));
            EXPECT_TRUE(kernels.back().recipe.starts_with("gpu_grouped")) << group.signature();
            expect_stated_shared_bytes(kernels.back());
        }
        least.insert(least.end(), {map, map, filter});
    }
    expect_sound(kernels, least);
}

TEST(CudaCode, ProductsOfWinograd) {
    SKIP_WITHOUT_CUDA_TOOLS();
    const RecipeLibrary recipes = make_library();
    std::vector<PlannedKernel> kernels;
    const Layer wide{256, 14, 256, 3, 1}, small{512, 7, 512, 3, 1};
    for (const Group& group : {wide.forward(), small.data_gradient(), wide.filter_gradient()}) {
        kernels.push_back(planned_for_cuda(group, recipes, /*exact=*/false));
        EXPECT_EQ(kernels.back().recipe.find("gpu_winograd"), 0u) << group.signature();
        expect_stated_shared_bytes(kernels.back());
    }
    expect_sound(kernels, std::vector<double>(kernels.size(), 0.87));
}

// A group with sums over strips of its map behind it, and a stored prologue in front.
Group with_sums(const Group& group, std::shared_ptr<const Op> sums, bool stores = false) {
    return make_group(group.batch, [&](GraphBuilder& builder) {
        std::vector<Value> operands;
        for (int i = 0; i < 2; i++)
            operands.push_back(add_operand(builder, fmt::format("a{}", i), group.anchor_input(i)));
        if (stores) {
            const Value rest = add_operand(builder, "rest", group.anchor_input(0));
            const Value tail = builder.add(std::make_shared<Add>(), {operands[0], rest}, "p0");
            operands[0] = builder.add(std::make_shared<Relu>(), {tail}, "p1");
        }
        const Value map = builder.add(group.anchor_node().op, operands, "v0");
        std::vector<Value> inputs = {map}, results = {map};
        if (sums->kind() == "partial_dots") {
            const TensorType type = group.anchor_output();
            inputs.push_back(add_operand(builder, "x", type));
            inputs.push_back(add_operand(builder, "mean", plain_type({type.shape[0]})));
        }
        const Value node = builder.add(sums, inputs, "v1");
        const auto count = static_cast<int>(builder.graph().node(node.node).types.size());
        for (int k = 0; k < count; k++) results.push_back({node.node, k});
        if (stores) results.push_back(operands[0]);
        return results;
    });
}

TEST(CudaCode, SumsInsideProducts) {
    SKIP_WITHOUT_CUDA_TOOLS();
    const RecipeLibrary recipes = make_library();
    std::vector<PlannedKernel> kernels;
    const Layer wide{64, 32, 64, 3, 1}, small{128, 16, 128, 3, 1};
    for (const Group& group : {with_sums(wide.forward(), std::make_shared<PartialMoments>()),
                               with_sums(small.data_gradient(), std::make_shared<PartialDots>()),
                               with_sums(small.forward(), std::make_shared<PartialMoments>(),
                                         /*stores=*/true)}) {
        kernels.push_back(planned_for_cuda(group, recipes));
        EXPECT_EQ(kernels.back().recipe, "gpu_product") << group.signature();
        expect_stated_shared_bytes(kernels.back());
    }
    expect_sound(kernels, {0.85, 0.85, 0.82});
}

TEST(CudaCode, SumsWithinSamples) {
    SKIP_WITHOUT_CUDA_TOOLS();
    const RecipeLibrary recipes = make_library();
    std::vector<PlannedKernel> kernels;
    const auto add = [&](const Group& group) {
        kernels.push_back(planned_for_cuda(group, recipes));
        EXPECT_EQ(kernels.back().recipe, "gpu_sample_sums") << group.signature();
    };
    auto mean = std::make_shared<Reduce>();
    mean->keep_samples = mean->keep_channels = mean->mean = true;
    for (const TensorType& map : {batched_type({64, 112, 112}), batched_type({512, 7, 7})}) {
        add(group_of(std::make_shared<PartialMoments>(), {map}, kBatch));
        add(group_of(std::make_shared<PartialDots>(), {map, map, plain_type({map.shape[0]})},
                     kBatch));
        add(group_of(mean, {map}, kBatch));
    }
    expect_sound(kernels, std::vector<double>(kernels.size(), 0));
}

TEST(CudaCode, DepthwiseConvolutions) {
    SKIP_WITHOUT_CUDA_TOOLS();
    const RecipeLibrary recipes = make_library();
    std::vector<PlannedKernel> kernels;
    for (const Layer& layer : {Layer{32, 112, 32, 3, 1, 32},
                               {96, 112, 96, 3, 2, 96},
                               {960, 7, 960, 3, 1, 960},
                               {40, 28, 40, 5, 2, 40},
                               {96, 14, 96, 9, 1, 96}}) {
        for (const Group& group :
             {layer.forward(), layer.data_gradient(), layer.filter_gradient()}) {
            kernels.push_back(planned_for_cuda(group, recipes));
            EXPECT_EQ(kernels.back().recipe.find("gpu_depthwise"), 0u) << group.signature();
        }
    }
    expect_sound(kernels, std::vector<double>(kernels.size(), 0));
}

TEST(CudaCode, EveryKernelOfLenet) {
    SKIP_WITHOUT_CUDA_TOOLS();
    const RecipeLibrary recipes = make_library();
    PlanOptions options;
    options.training = true;
    options.batches = {64};
    options.exact = true;
    options.isas = {isa_cuda()};
    const Plan plan = make_plan(device_training_graph(golden_network("lenet")), recipes, options);
    const std::vector<PlannedKernel>& kernels = plan.variants[0].kernels;
    expect_sound(kernels, std::vector<double>(kernels.size(), 0));
}

}  // namespace
}  // namespace emulsion::test
