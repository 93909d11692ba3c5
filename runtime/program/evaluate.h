// Scores of pictures, ranked, and the accuracy of a network on a labelled set.
//
// The trainer's validation and the inference program's `--data` are this one function.
#pragma once
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/data/source.h"
#include "runtime/program/confusion.h"
#include "runtime/program/metrics.h"
#include "runtime/program/session.h"

namespace emulsion {

struct RankedClass {
    int index = 0;
    float score = 0.0f;
};

// Whether no score is NaN or infinite.
bool has_finite_scores(std::span<const float> scores);

// The `count` best classes, best first; of equal scores the lower index first. REQUIRES:
// has_finite_scores.
std::vector<RankedClass> rank_classes(std::span<const float> scores, int count);

// How many pictures have their label among the `classes` best.
struct TopCount {
    int classes = 1;
    double correct = 0.0;
};

struct Evaluation {
    Metrics metrics;  // the loss holds where has_loss is true
    // The network gives probabilities: loss = -ln(probability of the label); or it predicts
    // numbers: loss = the mean squared error.
    bool has_loss = false;
    // What metrics.samples counts: pictures, or pixels of maps that a label counts for.
    bool counts_pixels = false;
    // Pictures whose scores are NaN or infinite; they count as wrong, without a loss.
    int64_t not_finite = 0;
    std::optional<TopCount> top = std::nullopt;         // where the caller has counted them
    std::optional<Confusion> confusion = std::nullopt;  // the same
    // Of the confusion, which a checkpoint does not hold.
    std::optional<double> mean_recall = std::nullopt, mean_iou = std::nullopt;
};

// Called for each picture in the order of the subset, with its index in the source.
using ScoreVisitor = std::function<void(uint32_t index, std::span<const float> scores)>;

struct EvaluateOptions {
    ScoreVisitor visit = nullptr;
    // The same for whoever looks at other outputs of the session, whose sample it is.
    std::function<void(uint32_t index, int sample)> visit_sample = nullptr;
    // Called for each pixel that counts, with its class index and that of the best score, or
    // nothing where a score is not finite.
    std::function<void(int32_t label, std::optional<int> found)> visit_pixel = nullptr;
    // Called for a picture that cannot be read, which then counts nowhere; null: the error is
    // thrown.
    std::function<void(uint32_t index, const std::exception_ptr& error)> fail = nullptr;
    // Asked between runs; where it says true the rest is left out. Null: nothing is.
    std::function<bool()> stop = nullptr;
    int batch = 0;    // pictures of a run; 0: as many as the library takes
    int readers = 1;  // threads that read ahead while the network runs, unless all is in memory
};

// Whether an evaluation of the network has a loss, for data of this kind.
bool has_evaluation_loss(const emulsion_info& info, TargetKind kind);

// The f32 output that is compared with numbers of this shape: "prediction" or "NAME.prediction",
// else the first of the shape. Throws RuntimeError where there is none.
int find_prediction(const emulsion_info& info, const PictureShape& shape);

// Runs the pictures of `subset`. Throws RuntimeError. Memory is that of the Loader.
Evaluation evaluate(InferenceSession& session, const Source& source,
                    std::span<const uint32_t> subset, const EvaluateOptions& options = {});

// "accuracy 91.32 % (9132 of 10000), loss 0.2431", one line; with several classifiers also
// ", NAME 90.10 %" for each that has a name; where they were counted, ", top 5 99.20 %".
std::string accuracy_text(const Evaluation& evaluation);

}  // namespace emulsion
