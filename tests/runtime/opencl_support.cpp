// See opencl_support.h.
#include "tests/runtime/opencl_support.h"

#include <algorithm>
#include <cstring>

extern "C" {
int halide_opencl_initialize_kernels(void*, void**, const char*, int);
int halide_opencl_run(void*, void*, const char*, int, int, int, int, int, int, int, size_t*, void**,
                      int8_t*);
void halide_opencl_finalize_kernels(void*, void*);
}

namespace emulsion::test {

TextProgram scaling_program() {
    return {.source =
                "__kernel void scale(__global float* values, const float factor,\n"
                "                    const int count, __local int* shared) {\n"
                "    const int i = (int)get_global_id(0);\n"
                "    if (i < count) values[i] *= factor;\n"
                "}\n",
            .name = "scale"};
}

Scaled::Scaled(TextProgram& program) : program_(program), device_(emulsion_opencl) {
    device_.api().allocate(device_.get(), EMULSION_WORKSPACE, kArenaBytes);
    descriptor_.device =
        device_.api().view(device_.get(), EMULSION_WORKSPACE, 0, kCount * sizeof(float));
}

void Scaled::upload(float value) {
    const std::vector<float> values(kCount, value);
    device_.api().upload(device_.get(), EMULSION_WORKSPACE, 0, values.data(),
                         kCount * sizeof(float));
}

int Scaled::scale(float factor, int shared) {
    auto count = static_cast<int32_t>(kCount);
    size_t sizes[] = {sizeof(uint64_t), sizeof factor, sizeof count, 0};
    void* arguments[] = {&descriptor_, &factor, &count, nullptr};
    int8_t is_buffer[] = {1, 0, 0, 0};
    halide_opencl_initialize_kernels(device_.worker(), &program_.state, program_.source,
                                     static_cast<int>(std::strlen(program_.source)) + 1);
    const int result = halide_opencl_run(device_.worker(), program_.state, program_.name,
                                         static_cast<int>(kCount / 64), 1, 1, 64, 1, 1, shared,
                                         sizes, arguments, is_buffer);
    halide_opencl_finalize_kernels(device_.worker(), program_.state);
    return result;
}

std::vector<float> Scaled::download() {
    std::vector<float> values(kCount);
    device_.api().download(device_.get(), EMULSION_WORKSPACE, 0, values.data(),
                           kCount * sizeof(float), EMULSION_ALL_LAUNCHES);
    return values;
}

const emulsion_opencl_driver& StandIn::real() {
    static const emulsion_opencl_driver driver = [] {
        char text[EMULSION_DEVICE_TEXT];
        const emulsion_opencl_driver* found = emulsion_opencl_find(text);
        EXPECT_NE(found, nullptr) << text;
        return found == nullptr ? emulsion_opencl_driver{} : *found;
    }();
    return driver;
}

StandIn::StandIn() : driver(real()) { emulsion_opencl_stand_in = &driver; }
StandIn::~StandIn() { emulsion_opencl_stand_in = nullptr; }

std::map<uint32_t, std::string> changed_facts;

int changed_info(void* device, uint32_t name, size_t bytes, void* value, size_t* needed) {
    const int answer = StandIn::real().clGetDeviceInfo(device, name, bytes, value, needed);
    if (auto found = changed_facts.find(name); found != changed_facts.end())
        std::memcpy(value, found->second.data(), std::min(bytes, found->second.size()));
    return answer;
}

std::string device_name() {
    emulsion_device_facts facts{};
    char text[EMULSION_DEVICE_TEXT];
    emulsion_opencl.facts(0, &facts, text);
    return std::string(facts.name).substr(0, 60);
}

void OpenClTest::SetUp() {
    char text[EMULSION_DEVICE_TEXT] = "";
    if (emulsion_opencl.count(text) == 0) GTEST_SKIP() << text;
}

}  // namespace emulsion::test
