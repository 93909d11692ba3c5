// The gradients of single units of a network with respect to its picture, by the library that
// `emulsion build --saliency` adds to the inference program.
#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "runtime/infer/options.h"
#include "runtime/program/session.h"

namespace emulsion {

// A value of an output: `place` counts in the order of memory, [K] or [H][W][C].
struct Unit {
    int output = 0;  // of the inference library
    size_t place = 0;
};

class UnitGradients {
  public:
    // With the weights of `session`, which are in memory. `saliency` is null where the program has
    // no such library; then throws UsageError naming `mode`. `rule` is one of kBackwardRules.
    UnitGradients(const emulsion_infer_library* saliency, const InferenceSession& session,
                  const InferOptions& options, const char* mode, const std::string& rule);

    int batch() const { return bound_.info().batch; }
    const PictureShape& shape() const { return shape_; }
    // Whether the library has the output's units.
    bool has(int output) const { return seed_of(output) >= 0; }

    // One unit of each picture, 1 to batch() of them. images: [units][H][W][C], normalised and
    // aligned. Throws RuntimeError where the library has not the output.
    void run(const float* images, std::span<const Unit> units);
    // Of the last run: [H][W][C] of the normalised picture.
    std::span<const float> gradient(int sample) const { return bound_.output(result_, sample); }

  private:
    int seed_of(int output) const;  // the input of the library; -1: there is none

    const emulsion_info& network_;
    PictureShape shape_;
    BoundLibrary bound_;
    int result_ = 0;
    std::vector<AlignedBlock> seeds_;  // of each input but the first: [batch][values]
};

}  // namespace emulsion
