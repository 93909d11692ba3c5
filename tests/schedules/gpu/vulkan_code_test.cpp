// Kernels as they ship for Vulkan, read without a driver: modules that SPIR-V's validator accepts,
// for the version that the target says, with no capability beyond those that it says.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <set>
#include <vector>

#include "compiler/codegen/kernel.h"
#include "compiler/pipeline.h"
#include "compiler/plan/plan.h"
#include "schedules/library.h"
#include "tests/support/golden.h"
#include "tests/support/test_folder.h"

namespace emulsion::test {
namespace {

using Words = std::vector<uint32_t>;

constexpr uint32_t kMagic = 0x07230203, kVersion = 0x00010000;
constexpr size_t kHeader = 5;  // words in front of the instructions
constexpr uint32_t kFunctionEnd = 56, kCapability = 17, kDecorate = 71;
constexpr uint32_t kShader = 1, kInt64 = 11, kInt8 = 39;
constexpr uint32_t kSpecialized = 1;  // the decoration of a constant that is left open

// The modules in an object, each of which is one function.
std::vector<Words> modules_in(const std::string& object) {
    const auto word_at = [&](size_t at) {
        uint32_t word = 0;
        if (at + sizeof word <= object.size()) std::memcpy(&word, object.data() + at, sizeof word);
        return word;
    };
    const std::string magic(reinterpret_cast<const char*>(&kMagic), sizeof kMagic);
    std::vector<Words> modules;
    for (size_t at = 0; (at = object.find(magic, at)) != std::string::npos;) {
        Words words;
        bool is_whole = false;
        for (size_t i = 0; i < kHeader; i++) words.push_back(word_at(at + i * sizeof(uint32_t)));
        while (!is_whole) {
            const uint32_t first = word_at(at + words.size() * sizeof(uint32_t));
            const uint32_t length = first >> 16;
            if (length == 0) break;
            const size_t begin = at + words.size() * sizeof(uint32_t);
            for (size_t i = 0; i < length; i++)
                words.push_back(word_at(begin + i * sizeof(uint32_t)));
            is_whole = (first & 0xFFFF) == kFunctionEnd;
        }
        EXPECT_TRUE(is_whole) << "a module breaks off";
        at += words.size() * sizeof(uint32_t);
        modules.push_back(std::move(words));
    }
    return modules;
}

void check_instructions(const Words& words) {
    ASSERT_GT(words.size(), kHeader);
    EXPECT_EQ(words[1], kVersion);
    const std::set<uint32_t> allowed = {kShader, kInt64, kInt8};
    for (size_t at = kHeader; at < words.size(); at += words[at] >> 16) {
        const uint32_t code = words[at] & 0xFFFF;
        if (code == kCapability) {
            EXPECT_TRUE(allowed.contains(words[at + 1])) << words[at + 1];
        }
        if (code == kDecorate) {
            EXPECT_NE(words[at + 2], kSpecialized);
        }
    }
}

std::vector<PlannedKernel> kernels_of(const Network& network, const RecipeLibrary& recipes,
                                      bool is_training) {
    PlanOptions options;
    options.training = is_training;
    options.batches = {64};
    options.exact = true;
    options.isas = {isa_vulkan()};
    return make_plan(is_training ? device_training_graph(network)
                                 : inference_graph(network, /*exact=*/true),
                     recipes, options)
        .variants[0]
        .kernels;
}

TEST(VulkanCode, OfLenetIsValid) {
    if (std::system("spirv-val --version >/dev/null 2>&1") != 0)
        GTEST_SKIP() << "spirv-val is missing; fix: install spirv-tools";
    const RecipeLibrary recipes = make_library();
    const Network network = golden_network("lenet");
    const TestFolder folder;
    size_t count = 0;
    for (bool is_training : {true, false}) {
        const std::vector<PlannedKernel> kernels = kernels_of(network, recipes, is_training);
        const std::vector<CompiledKernel> compiled =
            compile_kernels(kernels, isa_vulkan(), recipes, KernelOptions());
        for (size_t i = 0; i < kernels.size(); i++) {
            SCOPED_TRACE(kernels[i].identity(isa_vulkan()));
            const std::vector<Words> modules = modules_in(compiled[i].object);
            EXPECT_GE(modules.size(), 1u);
            for (const Words& words : modules) {
                check_instructions(words);
                const std::string path = folder / fmt::format("{}.spv", count++);
                std::ofstream(path, std::ios::binary)
                    .write(reinterpret_cast<const char*>(words.data()),
                           static_cast<std::streamsize>(words.size() * sizeof(uint32_t)));
                const std::string command =
                    "spirv-val --target-env vulkan1.2 " + path + " >" + (folder / "log") + " 2>&1";
                EXPECT_EQ(std::system(command.c_str()), 0) << std::ifstream(folder / "log").rdbuf();
            }
        }
    }
    EXPECT_GE(count, 30u);
}

}  // namespace
}  // namespace emulsion::test
