// The fixture of whole runs of the trainer over the fake library, and what their results are read
// with.
#pragma once
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/fake_library.h"
#include "tests/support/run_program.h"

namespace emulsion {

// The values of a tensor in a weights file, in the order of the file.
std::vector<float> read_weights(const std::string& path, const std::string& name);

// Of --json.
std::vector<nlohmann::json> read_lines(const std::string& text);

class TrainRunTest : public ::testing::Test {
  protected:
    void SetUp() override {
        use_fake_network({});
        write_easy_set(folder_.path(), /*is_test=*/false, 50, 4, 4, 3);
    }

    ProgramResult train(std::vector<std::string> arguments, const std::string& changes = "{}") {
        arguments.insert(arguments.begin(), {"--data", folder_.path()});
        return run_fake_train(std::move(arguments), changes);
    }

    TestFolder folder_;
};

}  // namespace emulsion
