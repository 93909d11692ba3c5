// The generated header: its macros for bytes in 64 bits and for every number of threads, and its
// guard against headers of another version.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "compiler/codegen/manifest.h"
#include "compiler/support/host.h"
#include "compiler/support/process.h"
#include "compiler/support/temporary_folder.h"
#include "tests/codegen/codegen_support.h"

namespace emulsion::test {
namespace {

// A plan of variants with one kernel each, of which only the bytes are of interest.
struct Variants {
    void add(int64_t activation_bytes, int64_t slab0_bytes, int64_t slab_bytes) {
        VariantPlan& variant = plan.variants.emplace_back();
        variant.isa = isa_baseline();
        variant.kernels.push_back(relu_kernel());
        variant.batches.emplace_back();
        variant.activation_bytes = activation_bytes;
        CompiledKernel kernel;
        kernel.slab0_bytes = slab0_bytes;
        kernel.slab_bytes = slab_bytes;
        kernels.push_back({kernel});
    }
    // What `sizes` of such a library states.
    uint64_t workspace_bytes(int threads) const {
        uint64_t most = 0;
        for (size_t i = 0; i < plan.variants.size(); i++) {
            const auto u64 = [](int64_t bytes) { return static_cast<uint64_t>(bytes); };
            most = std::max(most, emulsion_workspace_bytes(u64(plan.variants[i].activation_bytes),
                                                           u64(kernels[i][0].slab0_bytes),
                                                           u64(kernels[i][0].slab_bytes), threads));
        }
        return most;
    }
    Plan plan;
    std::vector<VariantKernels> kernels;
};

int compile(const std::string& text, const char* standard, std::string* output) {
    TemporaryFolder folder;
    const std::string file = (folder.path() / "program.c").string();
    std::ofstream(file) << text;
    std::vector<std::string> command = find_compiler();
    command.insert(command.end(), {"-x", "c", standard, "-pedantic", "-Wall", "-Wextra", "-Werror",
                                   "-fsyntax-only", file});
    return run_program(command, {.output = output, .temporary = {}});
}

void expect_macros_agree(Variants& variants) {
    variants.plan.parameter_bytes = 5'000'000'064;
    std::string program =
        header_text("big_infer", tiny_network("big"), variants.plan, variants.kernels);
    program += "_Static_assert(BIG_INFER_PARAMETERS_BYTES == 5000000064, \"parameters\");\n";
    program += "static char block[BIG_INFER_WORKSPACE_BYTES(1) % 1000 + 1];\n";
    program += "int use(unsigned threads);\nint use(unsigned threads) {\n";
    program += "    return block[0] + (BIG_INFER_WORKSPACE_BYTES(threads) > 1);\n}\n";
    for (int threads : {1, 2, 3, 4, 5, 64, 256}) {
        program += fmt::format("_Static_assert(BIG_INFER_WORKSPACE_BYTES({0}) == {1}, \"{0}\");\n",
                               threads, variants.workspace_bytes(threads));
    }
    // How many threads 0 stands for is not known: enough for any number.
    program += fmt::format("_Static_assert(BIG_INFER_WORKSPACE_BYTES(0) == {}, \"0\");\n",
                           variants.workspace_bytes(EMULSION_MAX_THREADS));
    std::string output;
    EXPECT_EQ(compile(program, "-std=c11", &output), 0) << output;
}

TEST(Header, MacrosOfOneVariantAgreeWithSizes) {
    Variants variants;
    variants.add(4'000'000'000, 64, 400'000'000);
    expect_macros_agree(variants);
}

// One needs most with few threads, another with many.
TEST(Header, MacrosOfVariantsThatCrossAgreeWithSizes) {
    Variants variants;
    variants.add(1'000'000'000, 0, 64);
    variants.add(1'000, 0, 400'000'000);
    variants.add(500'000'000, 0, 200'000'000);
    variants.add(64, 0, 64);  // never
    expect_macros_agree(variants);
}

TEST(Header, RefusesToMeetAnotherVersion) {
    Variants variants;
    variants.add(64, 64, 64);
    const std::string header =
        header_text("x_infer", tiny_network("x"), variants.plan, variants.kernels);
    std::string output;
    EXPECT_EQ(compile(header + header, "-std=c99", &output), 0) << output;
    for (const char* before :
         {"#define EMULSION_ABI_H\n#define EMULSION_ABI_VERSION 2\n", "#define EMULSION_ABI_H\n"}) {
        EXPECT_NE(compile(before + header, "-std=c99", &output), 0);
        EXPECT_NE(output.find("headers of two versions of Emulsion meet"), std::string::npos)
            << output;
    }
}

}  // namespace
}  // namespace emulsion::test
