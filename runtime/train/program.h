// One run of the trainer, in three phases.
//
//   prepare   (prepare.cpp) options against checkpoint, data and places to write: whatever is wrong
//             is found here, before anything is trained, and ends the program
//   train     (program.cpp) the loop, to its end, to a signal, or to an error
//   conclude  (conclude.cpp) last checkpoint, weights, profile and trace, test: each is tried,
//             whatever has become of the others, and every failure is printed
//
// The exit code is that of the worst that has happened: a failure, else the signal, else done.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "runtime/data/initial_weights.h"
#include "runtime/train/average.h"
#include "runtime/train/folder.h"
#include "runtime/train/loop.h"
#include "runtime/train/run_data.h"

namespace emulsion {

class TrainProgram {
  public:
    // All references must outlive the program.
    TrainProgram(const emulsion_train_library& train, const emulsion_infer_library& infer,
                 const NetworkDescription& network, const TrainOptions& options);

    // Returns the exit code. Throws what `prepare` finds wrong.
    int run();

  private:
    void prepare();
    void begin_state();
    void begin_weights();
    void check_files() const;
    void choose_best();
    void check_metrics() const;
    void begin_average(double decay);
    void check_numbers() const;
    void begin_parameters();
    void load_data();
    void check_augmentation() const;
    LoaderOptions loader_options() const;
    void check_length();
    std::string checkpoint_file() const;
    std::string weights_file() const;
    OutputPaths outputs() const;
    RunFacts facts() const;

    void test_rates();
    // augment_modes.cpp
    void draw_preview();
    void ablate();
    std::optional<Evaluation> train_with(const Augmentation& augmentation);

    void train();
    void say_resumed();
    LoopOptions loop_options();
    void make_inference();
    std::optional<Evaluation> evaluate_now(const Source& source, std::span<const uint32_t> subset);

    void conclude();
    const EpochRecord* restore_best();
    void write_weights();
    void report_measured();
    void report_profile(const CallProfile& call);
    void test();
    void report_mistakes();
    void say_stopped();
    void say_skipped();

    void attempt(const std::function<void()>& action);
    int exit_code();
    bool has_profile() const { return !options_.profile.empty(); }
    bool has_trace() const { return !options_.trace.empty(); }
    bool shows_mistakes() const {
        return !options_.report.empty() || !options_.tensorboard.empty();
    }
    // Of either.
    bool measures_kernels() const { return has_profile() || has_trace(); }
    ProfileFacts profile_facts() const;
    int64_t total_steps() const { return state_.settings.total_steps(loader_->batches()); }

    const emulsion_train_library& train_;
    const emulsion_infer_library& infer_;
    const NetworkDescription& network_;
    const TrainOptions& options_;
    Console console_;
    std::unique_ptr<Reporter> reporter_;
    KernelProfile profile_;
    TrainingSession session_;
    std::optional<RunFolder> folder_;
    RunState state_;
    bool resumes_ = false;
    std::optional<InitialWeights> initial_;  // of --init
    int64_t stored_steps_ = 0;               // length of the run as the checkpoint has it
    RunData data_;
    std::optional<Augmenter> augmenter_;  // of the run's pictures, where it has one
    std::unique_ptr<Loader> loader_;
    std::unique_ptr<InferenceSession> inference_;  // made at the first evaluation
    std::optional<MistakeList> mistakes_;          // of the last evaluation, where they are shown,
    const Source* mistaken_ = nullptr;             // and what it looked at
    CheckpointKeeper keeper_;
    WeightsKeeper weights_;
    std::optional<WeightAverage> average_;
    std::optional<LoopEnd> end_;  // none: an error has ended the training, or it has not begun
    bool owes_validation_ = false, owes_test_ = false;  // what a signal has kept it from
    bool has_lost_patience_ = false;
    int64_t result_step_ = 0;  // of the weights that are the result
    bool has_failed_ = false;
};

}  // namespace emulsion
