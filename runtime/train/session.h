// One training library with its memory: batches in, loss and correct count out.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/abi/program.h"
#include "runtime/data/loader.h"
#include "runtime/program/memory.h"
#include "runtime/program/metrics.h"
#include "runtime/program/profile.h"
#include "runtime/program/session.h"

namespace emulsion {

struct StepResult {
    bool is_there = false;        // the rest says how a step went
    const char* fault = nullptr;  // what was NaN or infinite, so that no parameter was updated
    double loss = 0.0;            // mean over the samples
    std::span<const HeadCount> correct;  // as Metrics::add takes them; until the next step
    std::span<const NamedLoss> losses;   // as Metrics::add_losses takes them; until the next step
};

// The most pictures of a step: what the library is compiled for; on a processor, where updates are
// apart from gradients, kMostParts times as many.
constexpr int kMostParts = 32768;
int largest_batch(const emulsion_train_library& library, const Device& device);

// Of the state of an optimiser that is built with .adjustable = true.
inline constexpr const char* kMomentum = "optimizer.momentum";

class TrainingSession {
  public:
    // Reserves the memory, which costs nothing until it is touched, and looks at inputs and
    // outputs: what inference reads, the first a picture, and one i32 label, one map of them, or
    // one tensor of f32 numbers that it is trained towards, or nothing; outputs "loss" and the
    // classifiers' counts. `infer`: of the network's inference library. Throws RuntimeError where
    // the network has others.
    TrainingSession(const emulsion_train_library& library, const emulsion_info& infer, int threads,
                    const Device& device);
    ~TrainingSession();  // unbinds
    TrainingSession(const TrainingSession&) = delete;
    TrainingSession& operator=(const TrainingSession&) = delete;

    const emulsion_info& info() const { return info_; }
    const emulsion_memory& memory() const { return blocks_.memory(); }
    const emulsion_sizes& sizes() const { return blocks_.sizes(); }
    const PictureShape& shape() const { return shape_; }
    // Those that count right answers, the one that decides first.
    const std::vector<Head>& heads() const { return heads_; }
    // What it reads of each sample besides pictures.
    const std::vector<ExtraInput>& extras() const { return extras_; }
    // What the network is trained towards.
    const TargetForm& target() const { return target_; }
    bool has_target() const { return target_.kind != TargetKind::kNothing; }
    // The classes that a label may name, or INT32_MAX where the network does not say.
    int label_classes() const;

    void initialize(uint64_t seed);  // parameters and state
    // A number of the state in memory(), such as "optimizer.momentum", or null where the library
    // has none of this name.
    float* state_number(const char* name) const;
    // Takes parameters and state to where they are trained. `profile`, or null, measures every step
    // and must outlive the session.
    void bind(int variant, KernelProfile* profile = nullptr);
    // Hands in a step, whose batch is free then. On a processor the result is its own. On a device
    // it is under way from then on, and the result is that of the step before it, if one was under
    // way; where that has a fault, the new one has not been made.
    // A batch of more pictures than the library is compiled for is computed in parts, in order, and
    // then makes one update with the mean of all its pictures' gradients: batch norm's statistics
    // are those of each part, dropout draws anew for each. REQUIRES: bind; at most largest_batch
    // pictures, and no profile where there are parts.
    StepResult step(const Batch& batch, float learning_rate);
    // The result of the step under way, if there is one.
    StepResult wait();
    // Brings them back to memory(), which a device leaves as it is. REQUIRES: bind.
    void fetch();
    // Unbinds and gives back all memory but parameters and state.
    void release_workspace();

  private:
    void find_inputs(const emulsion_info& infer);
    void find_outputs();
    void check(int status, const char* action) const;
    StepResult step_in_parts(const Batch& batch, float learning_rate);
    void copy_part(const Batch& batch, int begin, int samples);
    void add_gradients(float weight);
    StepResult read_result(int status, const char* action, int samples);
    double read_output(int index) const;
    double read_correct(const Head& head, int samples) const;

    const emulsion_train_library& library_;
    const emulsion_info& info_;
    int threads_;
    Device device_;
    bool is_bound_ = false;
    bool is_under_way_ = false;  // a step
    int samples_under_way_ = 0;
    KernelProfile* profile_ = nullptr;
    PictureShape shape_;
    MemoryBlocks blocks_;
    int picture_input_ = 0, label_input_ = 0;
    std::vector<ExtraInput> extras_;
    std::vector<int> extra_places_;  // among the inputs
    TargetForm target_;
    int loss_output_ = 0;
    std::vector<Head> heads_;
    std::vector<HeadCount> counts_;  // of the last step
    std::vector<Head> loss_heads_;   // where there are several losses: of each
    std::vector<NamedLoss> losses_;  // of the last step
    std::vector<const void*> inputs_;
    std::vector<AlignedBlock> outputs_;
    std::vector<void*> output_pointers_;
    // Of a step in parts: the pictures and labels of one, the sum of the gradients so far.
    AlignedBlock part_pictures_, part_labels_;
    std::vector<AlignedBlock> part_extras_;
    std::vector<float> gradients_;
};

}  // namespace emulsion
