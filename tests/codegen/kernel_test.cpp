// Compiling kernels in worker processes: what goes wrong in one is one clear error, what comes out
// runs.
#include "compiler/codegen/kernel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "compiler/codegen/loader.h"
#include "schedules/library.h"
#include "tests/codegen/codegen_support.h"
#include "tests/support/sanitized.h"

namespace emulsion::test {
namespace {

using Halide::Expr;
using Halide::Func;
using Halide::Var;

// The message of a kernel that failed in this way.
std::string failed(const std::string& failure) {
    return "error[kernel]: a kernel did not compile: recipe fake for x86-64\n"
           "    group: batch=4 graph group { %a0 = input() : f32[n,8]; %v0 = relu(%a0) : f32[n,8]; "
           "output \"r0\" %v0; }\n"
           "    tiling: size=3\n"
           "    " +
           failure +
           "\n"
           "  fix: report this kernel; where memory or time ran out, build with fewer processes at "
           "once";
}

TEST(Workers, ACrashIsOneError) {
    EXPECT_EQ(kernel_error([](KernelContext&) -> std::vector<Func> { std::abort(); }),
              failed("killed by signal 6 (Aborted)"));
    EXPECT_EQ(kernel_error([](KernelContext&) -> std::vector<Func> {
                  std::signal(SIGSEGV, SIG_DFL);
                  raise(SIGSEGV);
                  return {};
              }),
              failed("killed by signal 11 (Segmentation fault)"));
}

TEST(Workers, AnEndWithoutResultIsOneError) {
    EXPECT_EQ(kernel_error([](KernelContext&) -> std::vector<Func> { _exit(7); }),
              failed("ended with status 7 and no result"));
}

TEST(Workers, AHangIsOneError) {
    KernelOptions options;
    options.timeout_seconds = 1;
    EXPECT_EQ(kernel_error(
                  [](KernelContext&) -> std::vector<Func> {
                      for (;;) pause();
                  },
                  options),
              failed("took longer than 1 s"));
}

TEST(Workers, MemoryThatRunsOutIsOneError) {
    if (is_sanitized()) GTEST_SKIP() << "the sanitizer reserves address space itself";
    KernelOptions options;
    options.memory_limit_bytes = int64_t{256} << 20;
    EXPECT_EQ(kernel_error(
                  [](KernelContext&) -> std::vector<Func> {
                      std::vector<std::unique_ptr<char[]>> blocks;
                      for (;;) blocks.push_back(std::make_unique<char[]>(32 << 20));
                  },
                  options),
              failed("ran out of memory: more than 256 MiB"));
}

TEST(Workers, WhatARecipeThrowsIsKept) {
    EXPECT_EQ(kernel_error([](KernelContext&) -> std::vector<Func> {
                  throw std::runtime_error("no such nest");
              }),
              failed("no such nest"));
    std::string error = kernel_error([](KernelContext& context) -> std::vector<Func> {
        Func out = context.finish();
        out.vectorize(Var("nowhere"), 8);
        return {out};
    });
    EXPECT_NE(error.find("nowhere"), std::string::npos) << error;
    EXPECT_TRUE(
        error.starts_with("error[kernel]: a kernel did not compile: recipe fake for x86-64\n"))
        << error;
}

// The other kernels compile; the error names the one that failed.
TEST(Workers, OneOfManyFails) {
    std::vector<PlannedKernel> kernels = {relu_kernel(8), relu_kernel(16), relu_kernel(24)};
    RecipeLibrary library = fake_library([](KernelContext& context) -> std::vector<Func> {
        if (context.group().body.node(0).types[0].shape[0] == 16) std::abort();
        return {context.finish()};
    });
    KernelOptions options;
    options.use_cache = false;
    options.processes = 2;
    try {
        compile_kernels(kernels, isa_baseline(), library, options);
        FAIL();
    } catch (const Error& error) {
        std::string text = error.what();
        EXPECT_NE(text.find("f32[n,16]"), std::string::npos) << text;
        EXPECT_EQ(text.find("f32[n,24]"), std::string::npos) << text;
    }
    kernels.erase(kernels.begin() + 1);
    std::vector<CompiledKernel> compiled =
        compile_kernels(kernels, isa_baseline(), library, options);
    ASSERT_EQ(compiled.size(), 2u);
    for (size_t i = 0; i < 2; i++) {
        Symbols symbols = symbols_of(compiled[i].object);
        EXPECT_NE(std::find(symbols.global.begin(), symbols.global.end(), compiled[i].symbol),
                  symbols.global.end());
    }
    EXPECT_NE(compiled[0].symbol, compiled[1].symbol);
}

TEST(Workers, AnUnknownRecipeIsNamed) {
    PlannedKernel kernel = relu_kernel();
    kernel.recipe = "winograd_f9";
    KernelOptions options;
    options.use_cache = false;
    try {
        compile_kernels({kernel}, isa_baseline(), make_library(), options);
        FAIL();
    } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("error[recipe]: unknown recipe 'winograd_f9'"),
                  std::string::npos)
            << error.what();
    }
}

TEST(Validator, StorageThatGrowsWithSamplesIsRefused) {
    std::string error = kernel_error([](KernelContext& context) -> std::vector<Func> {
        Func inner("inner"), out("out");
        Var c("c"), n("n");
        inner(c, n) = context.finish()(c, n) + 1.0F;
        out(c, n) = inner(c, n) + inner(c, 0);
        inner.compute_root();
        return {out};
    });
    EXPECT_NE(error.find("error[storage]: the storage of 'inner' has no constant size\n"
                         "  fix: bound_storage each axis that depends on samples or on a tile"),
              std::string::npos)
        << error;
}

TEST(Validator, AParallelLoopInsideAnotherIsRefused) {
    std::string error = kernel_error([](KernelContext& context) -> std::vector<Func> {
        Func out = context.finish();
        std::vector<Var> args = out.args();
        out.parallel(args[0]).parallel(args[1]);
        return {out};
    });
    EXPECT_NE(error.find("error[nested_parallel]: '"), std::string::npos) << error;
    EXPECT_NE(
        error.find("starts a parallel loop inside another\n  fix: fuse the parallel axes into one"),
        std::string::npos)
        << error;
}

// A kernel with scratch larger than what Halide keeps on the stack.
std::vector<Func> staged_twice(KernelContext& context) {
    Func inner("inner"), out("out");
    Var c("c"), n("n"), k("k");
    inner(k, n) = context.finish()(k % 8, n) * 2.0F;
    out(c, n) = inner(c, n) + inner(c + 8 * 1023, n);
    inner.compute_at(out, n).bound_extent(k, 8 * 1024);
    out.parallel(n);
    return {out};
}

TEST(Slabs, AreReadOffTheLoweredCode) {
    CompiledKernel plain = compile_fake(
        [](KernelContext& context) -> std::vector<Func> { return {context.finish()}; });
    EXPECT_EQ(plain.slab0_bytes, 0);
    EXPECT_EQ(plain.slab_bytes, 0);
    CompiledKernel staged = compile_fake(staged_twice);
    const auto least = static_cast<int64_t>(emulsion_slab_bytes_of(4 * 8 * 1024));
    EXPECT_GE(staged.slab_bytes, least);
    EXPECT_LE(staged.slab_bytes, least + 64);
    EXPECT_EQ(staged.slab0_bytes, staged.slab_bytes);
}

using ReluKernel = int(void*, int32_t, halide_buffer_t*, halide_buffer_t*);

TEST(Loader, RunsTheObjectThatShips) {
    for (bool staged : {false, true}) {
        CompiledKernel kernel = compile_fake([staged](KernelContext& context) -> std::vector<Func> {
            if (staged) return staged_twice(context);
            return {context.finish()};
        });
        LoadedObject loaded(kernel_with_runtime(kernel.object));
        auto* run = loaded.function<ReluKernel>(kernel.symbol);
        ASSERT_NE(run, nullptr);
        KernelWorker worker(kernel.slab0_bytes);
        Halide::Buffer<float> in(8, 4), out(8, 4);
        in.for_each_element(
            [&](int c, int n) { in(c, n) = static_cast<float>(c - 4 + 3 * n) / 4; });
        out.fill(-77);
        ASSERT_EQ(run(worker.get(), 3, in.raw_buffer(), out.raw_buffer()), 0);
        for (int n = 0; n < 3; n++) {
            for (int c = 0; c < 8; c++)
                EXPECT_EQ(out(c, n), std::max(in(c, n), 0.0F) * (staged ? 4 : 1));
        }
        for (int c = 0; c < 8; c++)
            EXPECT_EQ(out(c, 3), -77) << "a sample beyond the call is written";
        EXPECT_EQ(loaded.find("no_such_symbol"), nullptr);
    }
}

TEST(Loader, BytesThatAreNoObjectAreRefused) {
    EXPECT_THROW(LoadedObject("no object at all"), Error);
}

TEST(Checked, KernelsFindBuffersThatAreTooSmall) {
    KernelOptions options;
    options.checked = true;
    auto build = [](KernelContext& context) -> std::vector<Func> { return {context.finish()}; };
    CompiledKernel kernel = compile_fake(build, options);
    EXPECT_NE(kernel.object, compile_fake(build).object);
    LoadedObject loaded(kernel_with_runtime(kernel.object));
    auto* run = loaded.function<ReluKernel>(kernel.symbol);
    ASSERT_NE(run, nullptr) << "a checked kernel needs what no library has";
    KernelWorker worker(kernel.slab0_bytes);
    Halide::Buffer<float> in(8, 4), out(8, 4), small(8, 2);
    in.fill(1), out.fill(0), small.fill(1);
    EXPECT_EQ(run(worker.get(), 4, in.raw_buffer(), out.raw_buffer()), 0);
    EXPECT_EQ(out(7, 3), 1);
    EXPECT_LT(run(worker.get(), 4, small.raw_buffer(), out.raw_buffer()), 0);
}

TEST(Show, StagesOfOneKernel) {
    RecipeLibrary library = fake_library(
        [](KernelContext& context) -> std::vector<Func> { return {context.finish()}; });
    EXPECT_EQ(show_kernel(relu_kernel(), isa_baseline(), library, "loops"),
              "produce out:\n  for n:\n    for f in [0, 7]:\n      out(...) = ...\n");
    EXPECT_NE(show_kernel(relu_kernel(), isa_baseline(), library, "stmt").find("produce out"),
              std::string::npos);
    EXPECT_NE(show_kernel(relu_kernel(), isa_avx2(), library, "asm").find("vmaxss"),
              std::string::npos);
}

}  // namespace
}  // namespace emulsion::test
