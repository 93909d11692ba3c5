// See session.h.
#include "runtime/program/session.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "runtime/abi/instance.h"
#include "runtime/support/error.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

uint64_t round_up(uint64_t bytes) {
    return (bytes + EMULSION_ALIGNMENT - 1) / EMULSION_ALIGNMENT * EMULSION_ALIGNMENT;
}

}  // namespace

void FreeAligned::operator()(void* block) const { std::free(block); }

AlignedBlock allocate_aligned(uint64_t bytes) {
    const uint64_t size = round_up(bytes > 0 ? bytes : 1);
    void* block = std::aligned_alloc(EMULSION_ALIGNMENT, size);
    if (block == nullptr) {
        throw RuntimeError("memory", concat("the system refuses ", size, " bytes"), "free memory");
    }
    std::memset(block, 0, size);
    return AlignedBlock(block);
}

PictureShape picture_input(const emulsion_port& port, const std::string& network) {
    const bool is_picture = port.type == EMULSION_F32 && port.rank == 3 && port.batched == 1 &&
                            (port.shape[0] == 1 || port.shape[0] == 3);
    if (!is_picture) {
        throw RuntimeError(
            concat(network, ", input ", quoted(port.name)),
            concat("has shape ", shape_text({port.shape, static_cast<size_t>(port.rank)}),
                   ", but this program feeds pictures: f32 [1 or 3, height, width]"),
            "declare the input so and reshape it in the model, or call the library from a program "
            "of your own");
    }
    return {static_cast<int>(port.shape[0]), static_cast<int>(port.shape[1]),
            static_cast<int>(port.shape[2])};
}

PictureShape only_picture_input(const emulsion_info& info) {
    if (info.input_count == 1) return picture_input(info.inputs[0], info.network);
    throw RuntimeError(
        info.network,
        concat("has ", info.input_count, " inputs, but this program feeds one picture"),
        "call the inference library from a program of your own");
}

std::string class_name(const emulsion_info& info, int index) {
    const bool is_named = info.classes != nullptr && index < info.class_count;
    return is_named ? std::string(info.classes[index]) : concat(index);
}

ScoreOutput find_score_output(const emulsion_info& info) {
    constexpr std::string_view kNamed = ".probabilities";
    int best = -1, best_rank = 0;
    const auto is_named = [&](const emulsion_port& port) {
        return std::string_view(port.name).ends_with(kNamed);
    };
    const bool has_one_named =
        std::count_if(info.outputs, info.outputs + info.output_count, is_named) == 1;
    for (int i = 0; i < info.output_count; i++) {
        const emulsion_port& port = info.outputs[i];
        if (port.type != EMULSION_F32 || port.rank != 1 || port.batched != 1) continue;
        const std::string_view name = port.name;
        const bool is_probabilities = name == "probabilities";
        const bool is_named_alone = has_one_named && is_named(port);
        const int rank = is_probabilities ? 4 : is_named_alone ? 3 : name == "scores" ? 2 : 1;
        if (rank > best_rank) best = i, best_rank = rank;
    }
    if (best < 0) {
        throw RuntimeError(info.network, "has no output that is one vector of scores a picture",
                           "call the inference library from a program of your own");
    }
    return {best, static_cast<int>(info.outputs[best].shape[0]),
            best_rank >= 3 ? ScoreKind::kProbabilities : ScoreKind::kScores};
}

InferenceSession::InferenceSession(const emulsion_infer_library& library,
                                   const SessionOptions& options)
    : library_(library),
      info_(*library.info()),
      shape_(only_picture_input(info_)),
      score_output_(find_score_output(info_)),
      blocks_(query_sizes(library, options.threads)) {
    for (int i = 0; i < info_.output_count; i++) {
        const emulsion_port& port = info_.outputs[i];
        const uint64_t count = port.batched ? static_cast<uint64_t>(info_.batch) : 1;
        outputs_.push_back(allocate_aligned(port.bytes * count));
        output_pointers_.push_back(outputs_.back().get());
    }
    emulsion_options bound{};
    bound.threads = options.threads;
    bound.variant = options.variant;
    bound.stay_awake = options.stays_awake ? 1 : 0;
    bound.profile = options.profile;
    bound.profile_self = options.profile_self;
    check(library_.bind(blocks_.instance(), &blocks_.memory(), &bound), "bind");
}

InferenceSession::~InferenceSession() { library_.unbind(blocks_.instance()); }

void InferenceSession::check(int status, const char* action) const {
    if (status != EMULSION_OK)
        refuse_call(info_, action, status, library_.error(blocks_.instance()));
}

void InferenceSession::prepare() { check(library_.prepare(blocks_.instance()), "prepare"); }

void InferenceSession::run(const float* images, int samples) {
    const void* inputs[] = {images};
    const emulsion_call call{samples, 0, inputs, output_pointers_.data()};
    check(library_.run(blocks_.instance(), &call), "run");
}

std::span<const float> InferenceSession::scores(int sample) const {
    const void* block = outputs_[static_cast<size_t>(score_output_.index)].get();
    const size_t count = static_cast<size_t>(score_output_.classes);
    return {static_cast<const float*>(block) + static_cast<size_t>(sample) * count, count};
}

}  // namespace emulsion
