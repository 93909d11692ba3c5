// One bound inference library with memory of its own: pictures in, scores out.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/abi/program.h"
#include "runtime/data/open.h"
#include "runtime/data/picture.h"
#include "runtime/program/memory.h"

namespace emulsion {

// What the scores of a network are.
enum class ScoreKind { kProbabilities, kScores };

// The classifiers of a network: its f32 outputs called `what` or "NAME.what". The one without a
// name comes first, then the others in the order of the model. The first one decides: its accuracy
// is the network's, its classes are shown.
struct Head {
    std::string name;  // empty: without one
    int output = 0;
};
std::vector<Head> find_heads(const emulsion_info& info, std::string_view what);

// Where a network's scores are: an f32 output, one vector a picture: the "probabilities" of the
// classifier that decides, else "scores", else the first there is. `find` throws RuntimeError where
// there is none.
struct ScoreOutput {
    int index = 0, classes = 0;
    ScoreKind kind = ScoreKind::kScores;
};
std::optional<ScoreOutput> score_output_of(const emulsion_info& info);
ScoreOutput find_score_output(const emulsion_info& info);
ScoreKind score_kind_of(const emulsion_info& info);  // kScores where there are none

// Where the scores of every pixel are: the first f32 output of shape K, H, W, of a line or of a
// volume, K of 2 at least, called "probabilities" or "NAME.probabilities", else "scores" or
// "NAME.scores".
struct MapOutput {
    int index = 0;
    PictureShape shape;  // K, H, W; of a volume K, D * H, W
    ScoreKind kind = ScoreKind::kScores;
};
std::optional<MapOutput> map_output_of(const emulsion_info& info);

// The classes that the network tells apart, of pictures or else of pixels; 0 where of neither.
int classes_of(const emulsion_info& info);

struct SessionOptions {
    int threads = 1;
    int variant = 0;  // as in emulsion_options
    Device device;    // of the library
    bool stays_awake = false;
    void (*profile)(void* self, int kernel, double seconds) = nullptr;
    void* profile_self = nullptr;
    void* parameters = nullptr;  // of another library, for MemoryBlocks
};

// Memory from the system aligned to EMULSION_ALIGNMENT, zeroed, for inputs and outputs of a call.
struct FreeAligned {
    void operator()(void* block) const;
};
using AlignedBlock = std::unique_ptr<void, FreeAligned>;
AlignedBlock allocate_aligned(uint64_t bytes);

// The picture a network reads: an f32 input of shape C, H, W; its row of numbers, (C, L) or
// (C, D, H, W), as a picture of shape C, 1, L or C, D * H, W; or its indices, (L) or (R, L), as a
// picture of shape 1, 1, L or R, 1, L. Throws RuntimeError where the inputs are others, as the
// programs feed these alone.
PictureShape picture_input(const emulsion_port& port, const std::string& network);

// The axes of an input that is a row of numbers, (C, L) or (C, D, H, W); of a picture, none.
std::vector<int64_t> row_axes(const emulsion_port& port);

// What a row is compared with by a tensor of a sample: its shape as that of a picture, as
// picture_input sees it, and the axes of a line or a volume. The kind is the caller's affair.
TargetForm target_form(const emulsion_port& port);

// The numbers that an input of indices takes; of other inputs, none.
IndexRange index_range(const emulsion_port& port);

// The picture of a network's first input. Throws RuntimeError where it is none.
PictureShape first_input(const emulsion_info& info);

// What a network reads besides: its inputs behind the first. Throws RuntimeError where one is
// neither a value of each sample, numbers or indices.
std::vector<ExtraInput> extra_inputs(const emulsion_info& info);

// A bound library for inference with memory of its own, whatever its inputs are.
class BoundLibrary {
  public:
    // Takes the memory and binds. `library` must outlive it. Throws RuntimeError.
    BoundLibrary(const emulsion_infer_library& library, const SessionOptions& options);
    ~BoundLibrary();  // unbinds
    BoundLibrary(const BoundLibrary&) = delete;
    BoundLibrary& operator=(const BoundLibrary&) = delete;

    const emulsion_info& info() const { return info_; }
    const emulsion_memory& memory() const { return blocks_.memory(); }
    const emulsion_sizes& sizes() const { return blocks_.sizes(); }

    // As those of InferenceSession. inputs: a block for each of info().inputs, in their order.
    void prepare();
    void run(const void* const* inputs, int samples);
    std::span<const float> output(int index, int sample) const;

  private:
    void check(int status, const char* action) const;

    const emulsion_infer_library& library_;
    const emulsion_info& info_;
    MemoryBlocks blocks_;
    std::vector<AlignedBlock> outputs_;  // [samples][...] each
    std::vector<void*> output_pointers_;
};

class InferenceSession {
  public:
    // Takes the memory and binds. `library` must outlive the session. Throws RuntimeError.
    InferenceSession(const emulsion_infer_library& library, const SessionOptions& options);

    const emulsion_info& info() const { return bound_.info(); }
    const emulsion_memory& memory() const { return bound_.memory(); }
    const emulsion_sizes& sizes() const { return bound_.sizes(); }
    const PictureShape& shape() const { return shape_; }
    int batch() const { return info().batch; }
    int classes() const { return classes_of(info()); }
    // Whether there is one vector of scores a picture; without, scores() is empty.
    bool has_scores() const { return score_output_.has_value(); }
    ScoreKind score_kind() const { return score_kind_of(info()); }
    // Those with probabilities; the scores are the first one's where there is one.
    const std::vector<Head>& heads() const { return heads_; }

    // To be called once parameters and state are in memory, and whenever they change.
    void prepare() { bound_.prepare(); }

    // images: [samples][H][W][C], aligned; 1 <= samples <= batch(). extras: as Batch::extras, one
    // for each of extra_inputs(info()). The scores stay until the next run.
    void run(const float* images, int samples, std::span<const int32_t* const> extras = {});
    std::span<const float> scores(int sample) const;
    std::span<const float> probabilities(const Head& head, int sample) const;
    // An output of type f32 as it lies in memory: [K], or [H][W][C]. REQUIRES: it is batched.
    std::span<const float> output(int index, int sample) const {
        return bound_.output(index, sample);
    }

  private:
    PictureShape shape_;
    std::optional<ScoreOutput> score_output_;
    std::vector<Head> heads_;
    std::vector<const void*> inputs_;  // of the last run
    BoundLibrary bound_;
};

// The names of a network's classes; empty where it names none.
std::vector<std::string> class_names(const emulsion_info& info);
// The name of a class, or its number where it has none.
std::string class_name(std::span<const std::string> names, int index);

}  // namespace emulsion
