// What the tests of whole libraries share: networks, libraries built by the pipeline and loaded
// into this process, and instances with memory of their own.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "compiler/codegen/loader.h"
#include "compiler/graph/network.h"
#include "compiler/pipeline.h"
#include "runtime/abi/program.h"
#include "tests/reference/interpreter.h"
#include "tests/support/run_program.h"

namespace emulsion::test {

// A convolution with leaky ReLU, average and max pooling, dropout, two dense layers, Adam,
// clipping by norm and a rate of its own for a layer: 1 x 12 x 12, 5 classes.
Network small_network();
// Two residual blocks with batch norm, the second with stride 2 and a 1x1 shortcut: 3 x 10 x 10, 7
// classes.
Network residual_network();
// Three inverted residuals with depthwise convolutions, two with a shortcut, as in MobileNet v2,
// with a second classifier before the last convolution, dropout, a first convolution that is
// frozen, and RMSProp with all that it has: 3 x 32 x 32, 10 classes.
Network mobile_network();
// Few operations, for tests that call often: 4 features, a hidden layer of 5, 3 classes.
Network tiny_network();

// Options of bind: so many threads, and 0 or 1 + a variant's place in the library.
emulsion_options options_of(int threads, int variant);

struct LibraryOptions {
    int batch = 8;
    std::vector<int> infer_batches = {1};
    std::string target = "native";
    std::vector<std::string> devices = {};
    bool exact = false;  // no Winograd
    bool update_at_once = false;
    int64_t memory_budget = 0;  // bytes of training; 0: what it takes
    bool checked = false;       // kernels keep Halide's asserts
    int jobs = 0;               // compiling processes; 0: the CPUs this process may use
    const ChoiceSource* choices = nullptr;
};

// Both libraries of a network, as `emulsion build` writes them, without the programs.
class BuiltLibraries {
  public:
    explicit BuiltLibraries(const Network& network, const LibraryOptions& options = {});

    const emulsion_train_library& train() const { return train_; }
    const emulsion_infer_library& infer() const { return infer_; }
    const std::string& folder() const { return folder_.path(); }

  private:
    TestFolder folder_;
    std::unique_ptr<LoadedObject> train_object_, infer_object_;
    emulsion_train_library train_{};
    emulsion_infer_library infer_{};
};

// The object in an archive of one member.
std::string object_of_archive(const std::string& path);

// Bytes aligned to 64, plus `shift`; zero at first.
class Block {
  public:
    explicit Block(size_t bytes, size_t shift = 0);
    void* get() const { return memory_.get() + shift_; }
    template <class T>
    T* as() const {
        return static_cast<T*>(get());
    }
    size_t bytes() const { return bytes_; }

  private:
    struct Free {
        void operator()(char* block) const;
    };
    std::unique_ptr<char, Free> memory_;
    size_t bytes_, shift_;
};

// Memory for the ports of a library, and the call that uses it.
class Ports {
  public:
    explicit Ports(const emulsion_info& info);
    // Fills the inputs: normal numbers, class indices below `classes`, a function of the seed
    // alone.
    void fill(uint64_t seed, int classes);
    const emulsion_call* call(int samples);
    float* input(int i) const { return inputs_[static_cast<size_t>(i)].as<float>(); }
    int32_t* labels() const { return inputs_.back().as<int32_t>(); }
    float* output(const std::string& name) const;
    // Values of one sample of the output.
    std::vector<float> row(const std::string& name, int sample) const;

  private:
    const emulsion_info& info_;
    std::vector<Block> inputs_, outputs_;
    std::vector<const void*> input_pointers_;
    std::vector<void*> output_pointers_;
    emulsion_call call_{};
};

// The classes of memory of one instance of a library.
class Memory {
  public:
    explicit Memory(const emulsion_sizes& sizes);
    const emulsion_memory* get() const { return &memory_; }
    void* instance() const { return memory_.block[EMULSION_INSTANCE]; }
    std::vector<std::byte> bytes(emulsion_class which) const;
    void set(emulsion_class which, const std::vector<std::byte>& bytes);

  private:
    std::vector<Block> blocks_;
    emulsion_memory memory_{};
};

// A training library bound on memory of its own, and where a device is named on that, its values
// uploaded. Fails the test where a call fails.
class Trainer {
  public:
    explicit Trainer(const emulsion_train_library& library, int threads = 1, int variant = 0,
                     uint64_t seed = 7, const char* device = nullptr,
                     const emulsion_device_memory* device_memory = nullptr);
    ~Trainer();
    Trainer(const Trainer&) = delete;
    Trainer& operator=(const Trainer&) = delete;

    // One step on random data that depends on `data` alone.
    void step(uint64_t data, int samples, float learning_rate = 0.05f);
    // Parameters, state and gradients of a device, into memory; nothing on a processor.
    void download();
    float loss() const { return *ports.output("loss"); }
    std::vector<std::byte> weights() const { return memory.bytes(EMULSION_PARAMETERS); }
    std::vector<std::byte> state() const { return memory.bytes(EMULSION_STATE); }
    void* instance() const { return memory.instance(); }
    // A tensor of parameters, state or, as "gradient NAME", its gradient; in memory order.
    float* tensor(const std::string& name) const;

    const emulsion_train_library& library;
    const emulsion_info& info;
    Memory memory;
    Ports ports;
    int classes;
};

// An inference library, bound and prepared with parameters and state of a training instance.
class Runner {
  public:
    Runner(const emulsion_infer_library& library, const Trainer& trainer, int threads = 1,
           int variant = 0, const char* device = nullptr);
    ~Runner();
    Runner(const Runner&) = delete;
    Runner& operator=(const Runner&) = delete;

    void run(int samples);

    const emulsion_infer_library& library;
    const emulsion_info& info;
    Memory memory;
    Ports ports;
};

// The tensor of this name. Throws std::runtime_error where there is none.
const emulsion_tensor& tensor_named(const emulsion_info& info, const std::string& name);

// For reference::evaluate: inference by the plain definition, with running statistics in place of
// the batch's and without dropout.
void infer_plainly(const Node& node, const std::vector<const reference::Tensor*>& inputs,
                   std::vector<reference::Tensor>& outputs);

}  // namespace emulsion::test
