// The map of the compiler: what happens to a network on its way to a library, in order. Read this
// first.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "compiler/graph/network.h"
#include "compiler/recipe/recipe.h"

namespace emulsion {

struct Plan;
class ChoiceSource;
class Choices;
class RecordSource;

struct BuildOptions {
    std::string output = "out";            // folder of the products; made where it is missing
    int batch = 64;                        // the most samples of a training step
    std::vector<int> infer_batches = {1};  // ascending; `run` takes the smallest that fits
    int threads = 0;                       // selects records and stated bytes; 0: kPlannedThreads
    int jobs = 0;                          // compiling processes; 0: the CPUs this process may use
    bool exact = false;                    // no recipe that changes rounding (Winograd)
    bool update_at_once = false;           // each parameter right after its gradient, PlanOptions
    int64_t memory_budget = 0;             // bytes of training, PlanOptions; 0: what it takes
    bool cache = true;
    bool checked = false;              // kernels keep Halide's asserts
    std::string target = "native";     // "native", "portable", "x86-64", "avx2" or "avx512"
    std::vector<std::string> devices;  // of variants beside that target's: "opencl"
    Machine machine;                   // that the plans are made for
    bool programs = true;              // link NAME-train and NAME-infer too
    bool saliency = false;             // and the library of input_gradients.h, for NAME-infer
    // Asked before the cost model, recipe/records.h and choices.h. The caller's.
    const RecordSource* records = nullptr;
    const ChoiceSource* choices = nullptr;
};

// The optimised graphs for calls of at most `batch` samples: all passes, each result verified.
// `exact` leaves out what changes rounding. `choices` are asked and kept where there are any.
Graph training_graph(const Network& network, bool exact = false, int batch = 64,
                     bool update_at_once = false, Choices* choices = nullptr);
// The same of a step that is differentiated already.
Graph optimized_step(const Graph& step, bool exact = false, int batch = 64,
                     bool update_at_once = false, Choices* choices = nullptr);
// The same as training_graph for devices: updates keep the old values where the loss or a gradient
// is not finite.
Graph device_training_graph(const Network& network, bool exact = true, int batch = 64,
                            bool update_at_once = false, Choices* choices = nullptr);
Graph inference_graph(const Network& network, bool exact = false, int batch = 64,
                      Choices* choices = nullptr);

// What a library of a build runs: the plan of training, which the network must have, or of
// inference. Throws Error.
Plan plan_of(const Network& network, const RecipeLibrary& recipes, const BuildOptions& options,
             bool training);

// What a build wrote, in order: archives, headers, manifests, programs; and what its user should
// know, a sentence each.
struct Artifact {
    std::vector<std::string> files;
    std::vector<std::string> notes;
};

// Compiles and links; of a network that is not trained, what inference needs alone. Throws Error.
Artifact build(const Network& network, const RecipeLibrary& recipes, const BuildOptions& options);

// One stage as text: "graph" is the network itself, a .emu file; "optimized", "plan", "choices",
// "loops", "stmt", "llvm" and "asm" are of training, where there is one, and inference in turn.
// Throws Error[stage] for another name.
std::string show(const Network& network, const RecipeLibrary& recipes, std::string_view stage,
                 const BuildOptions& options);

// The table of plan/roofline.h for a file that one of the network's programs has written. Batches,
// threads and variant are the file's; the rest of `options` must be that of the build.
// Throws Error[profile] where the file is broken or of another network or build.
std::string show_roofline(const Network& network, const RecipeLibrary& recipes,
                          const std::string& profile_file, const BuildOptions& options);

}  // namespace emulsion
