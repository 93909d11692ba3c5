// What the lowering pass of devices accepts and refuses, on small pipelines; no driver is needed.
#include "compiler/codegen/device/lowering.h"

#include <Halide.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "compiler/recipe/group.h"
#include "tests/support/message_of.h"

namespace emulsion::test {
namespace {

using Halide::Expr;
using Halide::Func;
using Halide::ImageParam;
using Halide::MemoryType;
using Halide::RDom;
using Halide::Var;

const char* const kTarget =
    "x86-64-linux-no_runtime-user_context-no_asserts-no_bounds_query-opencl";

// The sizes of allocations in registers, by the name of the Func.
class Registers : public Halide::Internal::IRVisitor {
  public:
    std::map<std::string, int64_t> found;

  private:
    using Halide::Internal::IRVisitor::visit;
    void visit(const Halide::Internal::Allocate* node) override {
        if (node->memory_type == MemoryType::Register)
            found[node->name] = node->constant_allocation_size();
        Halide::Internal::IRVisitor::visit(node);
    }
};

// Keeps what the pass before it makes.
class Keep : public Halide::Internal::IRMutator {
  public:
    explicit Keep(Halide::Internal::Stmt& kept) : kept_(kept) {}
    using Halide::Internal::IRMutator::mutate;
    Halide::Internal::Stmt mutate(const Halide::Internal::Stmt& stmt) override {
        return kept_ = stmt;
    }

  private:
    Halide::Internal::Stmt& kept_;
};

Halide::Internal::Stmt lowered(const Func& out, const std::vector<Halide::Argument>& arguments,
                               const Isa& isa = isa_opencl()) {
    Halide::Pipeline pipeline(out);
    add_device_lowering(pipeline, isa, 8);
    Halide::Internal::Stmt result;
    pipeline.add_custom_lowering_pass(new Keep(result));
    pipeline.compile_to_module(arguments, "kernel", Halide::Target(kTarget));
    return result;
}

std::string refusal(const Func& out, const std::vector<Halide::Argument>& arguments,
                    const Isa& isa = isa_opencl()) {
    return message_of([&] { lowered(out, arguments, isa); });
}

// out(x) = the sum over r of in(x + r), by blocks of 64 whose accumulators are computed at block
// level.
struct BlockSum {
    ImageParam in{Halide::Float(32), 1, "in"};
    Var x{"x"}, block{"block"}, thread{"thread"};
    RDom r{0, 4, "r"};
    Func acc{"acc"}, out{"out"};

    // The element of the accumulator that out reads for x.
    explicit BlockSum(const std::function<Expr(const Expr&)>& read) {
        acc(x) = 0.0F;
        acc(x) += in(x + r);
        out(x) = acc(read(x));
        out.bound(x, 0, 1024).split(x, block, x, 64).gpu_blocks(block).gpu_threads(x);
        acc.compute_at(out, block)
            .store_in(MemoryType::Register)
            .bound_extent(acc.args()[0], 64)
            .gpu_threads(acc.args()[0]);
        acc.update().gpu_threads(acc.args()[0]);
    }
};

TEST(PrivateRegisters, EachThreadKeepsItsOwn) {
    BlockSum sum([](const Expr& x) { return x; });
    Registers registers;
    lowered(sum.out, {sum.in}).accept(&registers);
    ASSERT_EQ(registers.found.size(), 1u);
    EXPECT_EQ(registers.found.begin()->second, 1);  // of 64 in the block
}

TEST(PrivateRegisters, AnotherThreadsElementIsRefused) {
    BlockSum sum([](const Expr& x) { return x / 64 * 64 + 63 - x % 64; });
    const std::string text = refusal(sum.out, {sum.in});
    EXPECT_NE(text.find("error[registers]: the registers of 'acc"), std::string::npos) << text;
    EXPECT_NE(text.find("threads index it in two ways"), std::string::npos) << text;
}

TEST(PrivateRegisters, AnElementThatThreadsShareIsRefused) {
    BlockSum sum([](const Expr& x) { return x / 2 * 2; });
    const std::string text = refusal(sum.out, {sum.in});
    EXPECT_NE(text.find("error[registers]"), std::string::npos) << text;
}

// One thread writes what all read.
TEST(PrivateRegisters, WhatOneThreadWritesIsRefused) {
    ImageParam in(Halide::Float(32), 1, "in");
    Var x("x"), block("block");
    Func first("first"), out("out");
    first(x) = in(x) * 2.0F;
    out(x) = first(x / 64 * 64) + 1.0F;
    out.bound(x, 0, 1024).split(x, block, x, 64).gpu_blocks(block).gpu_threads(x);
    first.compute_at(out, block).store_in(MemoryType::Register);
    const std::string text = refusal(out, {in});
    EXPECT_NE(text.find("error[registers]"), std::string::npos) << text;
    EXPECT_NE(text.find("read elsewhere too"), std::string::npos) << text;
}

TEST(DeviceCheck, WhatDriversRefuseIsRefusedHere) {
    const Var x("x"), y("y"), block("block");
    ImageParam in(Halide::Float(32), 1, "in");
    Func wide("wide");
    wide(x) = in(x) + 1.0F;
    wide.bound(x, 0, 4096).split(x, block, x, 512).gpu_blocks(block).gpu_threads(x);
    EXPECT_EQ(refusal(wide, {in}),
              "error[device]: a block has 512 threads, but opencl allows 256\n"
              "  fix: choose smaller tiles");
    EXPECT_EQ(refusal(wide, {in}, isa_cuda()), "");

    Func staged("staged"), reader("reader");
    staged(x) = in(x) * 2.0F;
    reader(x) = staged(x) + staged(x + 9000);
    reader.bound(x, 0, 4096).split(x, block, x, 64).gpu_blocks(block).gpu_threads(x);
    staged.compute_at(reader, block).store_in(MemoryType::GPUShared).gpu_threads(x);
    EXPECT_NE(refusal(reader, {in}).find("bytes of shared memory, but opencl allows 32768"),
              std::string::npos);

    Func tall("tall");
    tall(x, y) = in(x) + Halide::cast<float>(y);
    Var xo("xo");
    tall.bound(x, 0, 64).bound(y, 0, 70000).split(x, xo, x, 32).reorder(x, xo, y);
    tall.gpu_threads(x).gpu_blocks(xo, y);
    EXPECT_NE(refusal(tall, {in}).find("70000 blocks, but its axis takes 65535"),
              std::string::npos);
}

// The innermost axis of a grid has no limit, but on Vulkan.
TEST(DeviceCheck, TheInnermostAxisIsKnownByItsName) {
    namespace ir = Halide::Internal;
    const auto grid = [](int axis) {
        return ir::For::make("out" + ir::gpu_block_name(axis), 0, Halide::Var("blocks") - 1,
                             ir::ForType::GPUBlock, Halide::Partition::Auto,
                             Halide::DeviceAPI::OpenCL, ir::Evaluate::make(0));
    };
    const auto refusal_of = [&](int axis, const Isa& isa) {
        return message_of([&] { check_device_kernel(grid(axis), isa, 8); });
    };
    EXPECT_EQ(refusal_of(0, isa_opencl()), "");
    EXPECT_EQ(refusal_of(0, isa_cuda()), "");
    EXPECT_NE(refusal_of(0, isa_vulkan()), "");
    EXPECT_EQ(refusal_of(1, isa_opencl()), "error[device]: the loop out" + ir::gpu_block_name(1) +
                                               " has no constant extent\n"
                                               "  fix: bound the Func's coordinates");
}

TEST(DeviceCheck, WorkBesideTheDeviceIsRefused) {
    const Var x("x"), block("block");
    ImageParam in(Halide::Float(32), 1, "in");
    Func whole("whole"), reader("reader");
    whole(x) = in(x) * 2.0F;
    reader(x) = whole(x) + whole(x + 1);
    reader.bound(x, 0, 1024).split(x, block, x, 64).gpu_blocks(block).gpu_threads(x);
    Var wb("wb");
    whole.compute_root().split(x, wb, x, 64).gpu_blocks(wb).gpu_threads(x);
    EXPECT_NE(refusal(reader, {in}).find("would be allocated with each call"), std::string::npos);

    Func host("host");
    host(x) = in(x) + 1.0F;
    host.bound(x, 0, 64);
    EXPECT_NE(refusal(host, {in}).find("would be computed or read by the processor"),
              std::string::npos);
}

}  // namespace
}  // namespace emulsion::test
