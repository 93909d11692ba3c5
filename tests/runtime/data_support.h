// What the tests of runtime/data share: files, folders of their own, messages, a small network.
#pragma once
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/abi/emulsion_abi.h"
#include "runtime/data/picture.h"
#include "runtime/data/safetensors.h"
#include "runtime/support/file.h"
#include "tests/support/test_folder.h"

namespace emulsion::testing {

// tests/runtime/files/NAME.
std::string file_path(std::string_view name);

// The whole text of the RuntimeError that `body` throws, with the folder's path replaced by "DIR";
// "no error" where it throws none.
std::string message_of(const std::function<void()>& body, std::string_view folder = "");

// Writes without RuntimeError's checks.
void put_file(const std::string& path, std::string_view content);
void put_file(const std::string& path, const Bytes& content);

Bytes bytes_of(std::string_view text);
std::string text_of(const Bytes& bytes);
Bytes gzip(const Bytes& content);

// A JPEG file of good quality.
Bytes encode_jpeg(const Picture& picture, bool is_progressive);

// An IDX file in memory.
Bytes make_idx(const std::vector<uint32_t>& shape, const Bytes& values, uint8_t type = 8);

// Runs `body` in a forked child and returns how the child ended: its exit code, or 1000 + the
// signal. A body that returns ends with code 0, one that throws with 99.
int in_child(const std::function<int()>& body);

// KiB that `body` takes at its height, measured in a forked child.
int64_t memory_of(const std::function<void()>& body);

// A network of four parameters and two state tensors with its memory, every value set by `fill`.
struct SmallNetwork {
    explicit SmallNetwork(const char* signature = "0123456789abcdef",
                          const char* optimizer = "sgd learning_rate=0.05 momentum=0.9");

    // Each element of both classes, padding lanes included, becomes first, first + 1, …
    void fill(float first);
    // Each element becomes the value.
    void fill_equal(float value);
    std::vector<float> values() const;
    void set_step(uint64_t step);  // the step count in the state, which is no element

    std::vector<emulsion_tensor> tensors;
    emulsion_port input{};
    std::vector<const char*> classes = {"cat", "dog \"Rex\"\n"};
    emulsion_info info{};       // as the training library has it
    emulsion_info inference{};  // without the optimiser's state
    emulsion_sizes sizes{};
    emulsion_memory memory{};

  private:
    std::vector<float> parameters_, state_;
};

// One tensor of a weights file: f32 values in logical order.
struct TensorValues {
    std::string name;
    std::vector<int64_t> shape;
    std::vector<float> values;
};

// A whole safetensors file.
Bytes encode_safetensors(const Metadata& metadata, const std::vector<TensorValues>& tensors);

// What the next writes to a file, and fsync, do: see data_faults_support.cpp.
struct Faults {
    int64_t kill_after = -1;  // SIGKILL after so many bytes in all
    int64_t fail_after = -1;  // then `code`
    int code = 0;
    int folder_code = 0;     // of fsync on a folder
    int synced_folders = 0;  // counts
    bool kill_at_fsync = false, kill_before_rename = false, kill_after_rename = false;
};
extern Faults faults;

}  // namespace emulsion::testing
