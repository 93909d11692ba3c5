// A library made by hand for the tests of runtime/abi: its kernels are C++ functions instead of
// Halide's.
//
// The network: x [samples][16] and label-free; parameters w [16]; loss = sum over samples of dot(x,
// w) / samples. forward writes each sample's dot product to the output "y" and the loss; backward
// writes the gradient of w; update is w -= learning_rate * gradient. Sums are in a fixed order, so
// results are the same bits for any thread count.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "runtime/abi/instance.h"

namespace emulsion::testing {

inline constexpr int kWidth = 16;
inline constexpr int kBatch = 8;

/// The tables of one library. Change fields before binding; the pointers inside refer to this
/// object.
struct FakeLibrary {
    FakeLibrary();
    FakeLibrary(const FakeLibrary&) = delete;
    FakeLibrary& operator=(const FakeLibrary&) = delete;

    emulsion_dimension matrix[2];  // x: (c, n)
    emulsion_dimension vector[1];  // w, gradient: (c)
    emulsion_dimension list[1];    // y: (n)
    emulsion_buffer buffers[6];    // x, w, gradient, y, loss, activations
    emulsion_binding inputs[1], outputs[2];
    emulsion_kernel forward[1], backward[1], update[1], prepare[1];
    emulsion_plan plan;
    emulsion_variant variants[3];
    emulsion_port input_ports[1], output_ports[2];
    emulsion_tensor tensors[2];
    const char* variant_names[3];
    const char* kernel_names[4];
    emulsion_initializer initializer;
    emulsion_info info;
    emulsion_library library;
};

enum Buffer { kX, kW, kGradient, kY, kLoss, kActivations };

/// Memory aligned to EMULSION_ALIGNMENT, filled with 0xa5.
struct Block {
    explicit Block(std::size_t bytes, std::size_t shift = 0);
    void* get() const { return start; }
    std::unique_ptr<void, void (*)(void*)> memory;
    void* start;
    std::size_t bytes;
};

/// A library with memory of every class, bound on request, unbound at the end.
class FakeNetwork {
  public:
    explicit FakeNetwork(int threads, const emulsion_options* options = nullptr);
    FakeNetwork(FakeLibrary& fake, int threads, const emulsion_options* options = nullptr);
    ~FakeNetwork();
    FakeNetwork(const FakeNetwork&) = delete;
    FakeNetwork& operator=(const FakeNetwork&) = delete;

    int bind(const emulsion_options* options = nullptr);  // as if prepared
    int unbind();
    int step(int samples, float learning_rate);
    int forward_backward(int samples);
    int update(float learning_rate);
    int run(int samples);
    const char* error() const;
    emulsion_instance* instance() const;
    float* weights() const;
    float* inputs() const { return static_cast<float*>(x_.get()); }
    float* outputs() const { return static_cast<float*>(y_.get()); }
    float loss() const { return *static_cast<float*>(loss_.get()); }
    std::uint64_t* state() const;

    emulsion_memory memory;
    int status;  // of the bind in the constructor

  private:
    void allocate();
    emulsion_call make_call(int samples);

    std::unique_ptr<FakeLibrary> own_;
    FakeLibrary* fake_;
    int threads_;
    std::vector<Block> blocks_;
    Block x_, y_, loss_;
    const void* call_inputs_[1];
    void* call_outputs_[2];
};

/// Kernel thread ids of this process, without those of threads that are joined: these may still
/// leave.
std::vector<int> list_threads();

}  // namespace emulsion::testing
