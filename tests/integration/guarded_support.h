// Instances of whole libraries on memory between protected pages, filled by name from the values
// that the reference gets, and what they compute by the reference's names: "output loss", "gradient
// conv1.w", "update conv1.w".
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/integration/integration_support.h"
#include "tests/support/graph_results.h"
#include "tests/support/kernel_harness.h"

namespace emulsion::test {

// Bytes in memory by name.
using RawResults = std::map<std::string, std::vector<std::byte>>;

// Throws std::runtime_error where a call returns an error or something is written beside a block.
class GuardedInstance {
  public:
    GuardedInstance(const GuardedInstance&) = delete;
    GuardedInstance& operator=(const GuardedInstance&) = delete;

  protected:
    GuardedInstance(const emulsion_info& info, Edge edge) : info_(info), edge_(edge) {}
    void allocate(const emulsion_sizes& sizes);
    // Parameters and states that `sources` has.
    void fill(const reference::Sources& sources);
    // Inputs of the exact size for `samples`.
    const emulsion_call* call(const reference::Sources& sources, int samples);
    void add_outputs(RawResults& results, int samples) const;
    void add_tensors(RawResults& results, const std::string& prefix, bool is_gradient) const;
    void expect_intact() const;
    void* instance() const { return memory_.block[EMULSION_INSTANCE]; }

    const emulsion_info& info_;
    Edge edge_;
    std::vector<std::unique_ptr<GuardedBlock>> blocks_, inputs_, outputs_;
    std::vector<const void*> input_pointers_;
    std::vector<void*> output_pointers_;
    emulsion_memory memory_{};
    emulsion_call call_{};
};

class GuardedTrainer : public GuardedInstance {
  public:
    GuardedTrainer(const emulsion_train_library& library, int threads, int variant, Edge edge,
                   const reference::Sources& sources);
    ~GuardedTrainer();
    // forward_backward and update, or step where the library has no gradients.
    RawResults step(const reference::Sources& sources, int samples, float learning_rate);

  private:
    const emulsion_train_library& library_;
};

class GuardedRunner : public GuardedInstance {
  public:
    GuardedRunner(const emulsion_infer_library& library, int threads, int variant, Edge edge,
                  const reference::Sources& sources);
    ~GuardedRunner();
    RawResults run(const reference::Sources& sources, int samples);

  private:
    const emulsion_infer_library& library_;
};

}  // namespace emulsion::test
