// See vulkan_support.h.
#include "tests/runtime/vulkan_support.h"

#include <fmt/format.h>

#include <cstring>
#include <fstream>
#include <map>
#include <stdexcept>

#include "compiler/support/process.h"
#include "tests/support/run_program.h"
#include "tests/support/test_folder.h"

extern "C" {
int halide_vulkan_initialize_kernels(void*, void**, const char*, int);
int halide_vulkan_run(void*, void*, const char*, int, int, int, int, int, int, int, size_t*, void**,
                      int8_t*);
void halide_vulkan_finalize_kernels(void*, void*);
}

namespace emulsion::test {

namespace {

using Words = std::vector<uint32_t>;

void add_name(Words& words, const std::string& name) {
    Words characters(name.size() / 4 + 1);
    std::memcpy(characters.data(), name.data(), name.size());
    words.push_back(static_cast<uint32_t>(characters.size()));
    words.insert(words.end(), characters.begin(), characters.end());
}

Words part_of(const VulkanKernel& kernel) {
    Words words = {0, 1};
    add_name(words, kernel.name);
    words.push_back(kernel.uniforms);
    words.push_back(kernel.storages);
    words.push_back(1);  // a constant, which nothing sets
    add_name(words, "constant");
    words.insert(words.end(), {1, 4});
    words.push_back(static_cast<uint32_t>(kernel.shared.size()));
    for (const VulkanKernel::Shared& shared : kernel.shared) {
        add_name(words, "shared");
        words.insert(words.end(), {shared.constant, shared.bytes, shared.length});
    }
    words.insert(words.end(), {kernel.local_size, 0, 0});
    words[0] = static_cast<uint32_t>(words.size());
    words.insert(words.end(), kernel.words.begin(), kernel.words.end());
    return words;
}

constexpr const char* kAssembly = R"(
               OpCapability Shader
               OpCapability {capability}
               OpMemoryModel Logical GLSL450
               OpEntryPoint GLCompute %main "{name}" %id
               OpExecutionMode %main LocalSize 64 1 1
               OpDecorate %id BuiltIn GlobalInvocationId
               OpDecorate %scalars Block
               OpMemberDecorate %scalars 0 Offset 0
               OpMemberDecorate %scalars 1 Offset 4
               OpDecorate %given DescriptorSet 0
               OpDecorate %given Binding 0
               OpDecorate %floats ArrayStride 4
               OpDecorate %buffer BufferBlock
               OpMemberDecorate %buffer 0 Offset 0
               OpDecorate %values DescriptorSet 0
               OpDecorate %values Binding 1
       %void = OpTypeVoid
   %function = OpTypeFunction %void
       %bool = OpTypeBool
       %uint = OpTypeInt 32 0
      %float = OpTypeFloat 32
      %uint3 = OpTypeVector %uint 3
     %input3 = OpTypePointer Input %uint3
         %id = OpVariable %input3 Input
    %scalars = OpTypeStruct %float %uint
 %to_scalars = OpTypePointer Uniform %scalars
      %given = OpVariable %to_scalars Uniform
     %floats = OpTypeRuntimeArray %float
     %buffer = OpTypeStruct %floats
  %to_buffer = OpTypePointer Uniform %buffer
     %values = OpVariable %to_buffer Uniform
   %to_float = OpTypePointer Uniform %float
    %to_uint = OpTypePointer Uniform %uint
       %zero = OpConstant %uint 0
        %one = OpConstant %uint 1
       %main = OpFunction %void None %function
      %start = OpLabel
        %ids = OpLoad %uint3 %id
          %i = OpCompositeExtract %uint %ids 0
      %where = OpAccessChain %to_float %given %zero
     %factor = OpLoad %float %where
    %where_n = OpAccessChain %to_uint %given %one
      %count = OpLoad %uint %where_n
     %inside = OpULessThan %bool %i %count
               OpSelectionMerge %end None
               OpBranchConditional %inside %set %end
        %set = OpLabel
      %place = OpAccessChain %to_float %values %zero %i
     %former = OpLoad %float %place
      %value = {value}
               OpStore %place %value
               OpBranch %end
        %end = OpLabel
               OpReturn
               OpFunctionEnd
)";

Words assemble(const std::string& text) {
    TestFolder folder;
    const std::string source = folder / "kernel.spvasm", words = folder / "kernel.spv";
    std::ofstream(source) << text;
    std::string output;
    if (run_program({"spirv-as", "--target-env", "spv1.0", "-o", words, source},
                    {.output = &output, .temporary = {}}) != 0)
        throw std::runtime_error(output);
    const std::string bytes = read_text(words);
    Words result(bytes.size() / 4);
    std::memcpy(result.data(), bytes.data(), bytes.size());
    return result;
}

}  // namespace

std::string vulkan_module(const std::vector<VulkanKernel>& kernels) {
    Words front = {static_cast<uint32_t>(kernels.size())}, parts;
    for (const VulkanKernel& kernel : kernels) {
        const Words part = part_of(kernel);
        front.push_back(static_cast<uint32_t>(part.size() * 4));
        add_name(front, kernel.name);
        parts.insert(parts.end(), part.begin(), part.end());
    }
    front.insert(front.end(), parts.begin(), parts.end());
    return {reinterpret_cast<const char*>(front.data()), front.size() * 4};
}

VulkanKernel kernel_of(const std::string& name, const std::string& value,
                       const std::string& capability) {
    static std::map<std::string, Words> assembled;
    const std::string text =
        fmt::format(fmt::runtime(kAssembly), fmt::arg("name", name), fmt::arg("value", value),
                    fmt::arg("capability", capability));
    Words& words = assembled[text];
    if (words.empty()) words = assemble(text);
    return {.name = name, .words = words};
}

VulkanProgram vulkan_scaling() {
    return {.text = vulkan_module({kernel_of("scale", "OpFMul %float %former %factor")}),
            .name = "scale"};
}

VulkanScaled::VulkanScaled(VulkanProgram& program) : program_(program), device_(emulsion_vulkan) {
    device_.api().allocate(device_.get(), EMULSION_WORKSPACE, kArenaBytes);
    descriptor_.device =
        device_.api().view(device_.get(), EMULSION_WORKSPACE, 0, kCount * sizeof(float));
}

void VulkanScaled::upload(float value) {
    const std::vector<float> values(kCount, value);
    device_.api().upload(device_.get(), EMULSION_WORKSPACE, 0, values.data(),
                         kCount * sizeof(float));
}

int VulkanScaled::run(float factor, const std::vector<int>& blocks,
                      const std::vector<int>& threads) {
    auto count = static_cast<int32_t>(kCount);
    size_t sizes[] = {sizeof(uint64_t), has_scalars_ ? sizeof factor : 0, sizeof count, 0};
    void* arguments[] = {&descriptor_, &factor, &count, nullptr};
    int8_t is_buffer[] = {1, 0, 0, 0};
    halide_vulkan_initialize_kernels(device_.worker(), &program_.state, program_.text.data(),
                                     static_cast<int>(program_.text.size()));
    const int result = halide_vulkan_run(device_.worker(), program_.state, program_.name, blocks[0],
                                         blocks[1], blocks[2], threads[0], threads[1], threads[2],
                                         0, sizes, arguments, is_buffer);
    halide_vulkan_finalize_kernels(device_.worker(), program_.state);
    return result;
}

std::vector<float> VulkanScaled::download() {
    std::vector<float> values(kCount);
    device_.api().download(device_.get(), EMULSION_WORKSPACE, 0, values.data(),
                           kCount * sizeof(float), EMULSION_ALL_LAUNCHES);
    return values;
}

const emulsion_vulkan_driver& VulkanStandIn::real() {
    static const emulsion_vulkan_driver driver = [] {
        char text[EMULSION_DEVICE_TEXT];
        const emulsion_vulkan_driver* found = emulsion_vulkan_find(text);
        EXPECT_NE(found, nullptr) << text;
        return found == nullptr ? emulsion_vulkan_driver{} : *found;
    }();
    return driver;
}

VulkanStandIn::VulkanStandIn() : driver(real()) { emulsion_vulkan_stand_in = &driver; }
VulkanStandIn::~VulkanStandIn() { emulsion_vulkan_stand_in = nullptr; }

void VulkanStandIn::set_properties(void (*change)(VkPhysicalDeviceProperties&)) {
    static void (*changed)(VkPhysicalDeviceProperties&);
    changed = change;
    driver.vkGetPhysicalDeviceProperties = [](VkPhysicalDevice device,
                                              VkPhysicalDeviceProperties* properties) {
        real().vkGetPhysicalDeviceProperties(device, properties);
        changed(*properties);
    };
}

std::string vulkan_name() {
    emulsion_device_facts facts{};
    char text[EMULSION_DEVICE_TEXT];
    emulsion_vulkan.facts(0, &facts, text);
    return std::string(facts.name).substr(0, 60);
}

void VulkanTest::SetUp() {
    char text[EMULSION_DEVICE_TEXT] = "";
    if (emulsion_vulkan.count(text) == 0) GTEST_SKIP() << text;
}

}  // namespace emulsion::test
