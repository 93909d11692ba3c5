// What the tests of devices take from the environment on machines that they were not compiled on.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "tests/schedules/recipe_support.h"
#include "tests/support/golden.h"
#include "tests/support/test_folder.h"

namespace emulsion::test {
namespace {

// A variable of the environment for as long as this lives.
class Variable {
  public:
    Variable(const char* name, const std::string& value) : name_(name) {
        const char* before = std::getenv(name);
        was_set_ = before != nullptr;
        if (was_set_) before_ = before;
        setenv(name, value.c_str(), 1);
    }
    ~Variable() {
        if (was_set_) {
            setenv(name_, before_.c_str(), 1);
        } else {
            unsetenv(name_);
        }
    }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;

  private:
    const char* name_;
    bool was_set_;
    std::string before_;
};

TEST(OtherMachines, RunRecipesOnTheDeviceThatIsNamed) {
    for (const Isa* isa : {&isa_cuda(), &isa_opencl(), &isa_vulkan()}) {
        const Variable device("EMULSION_TEST_DEVICE", isa->name);
        EXPECT_EQ(&test_device(), isa);
    }
    const Variable device("EMULSION_TEST_DEVICE", "gpu");
    try {
        test_device();
        FAIL() << "gpu is an interface";
    } catch (const std::runtime_error& error) {
        EXPECT_STREQ(error.what(),
                     "EMULSION_TEST_DEVICE is 'gpu', but must be cuda, opencl or vulkan");
    }
}

TEST(OtherMachines, FindExpectedTexts) {
    const TestFolder folder;
    std::filesystem::create_directory(folder.path() + "/tests");
    std::ofstream(folder.path() + "/tests/text.txt") << "elsewhere";
    const Variable source("EMULSION_SOURCE_DIR", folder.path());
    EXPECT_EQ(read_test_file("text.txt"), "elsewhere");
}

}  // namespace
}  // namespace emulsion::test
