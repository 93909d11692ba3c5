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

constexpr std::string_view kProbabilities = "probabilities";

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

std::vector<int64_t> row_axes(const emulsion_port& port) {
    const bool is_row =
        port.type == EMULSION_F32 && port.batched == 1 && (port.rank == 2 || port.rank == 4);
    return is_row ? std::vector<int64_t>(port.shape, port.shape + port.rank)
                  : std::vector<int64_t>();
}

TargetForm target_form(const emulsion_port& port) {
    const std::vector<int64_t> axes(port.shape, port.shape + port.rank);
    const auto extent = [&](size_t axis) {
        return axis < axes.size() ? static_cast<int>(axes[axis]) : 1;
    };
    TargetForm form;
    form.shape = {extent(0), extent(1), extent(2)};
    if (axes.size() == 2) form.shape = {extent(0), 1, extent(1)};
    if (axes.size() == 4) form.shape = {extent(0), extent(1) * extent(2), extent(3)};
    if (axes.size() == 2 || axes.size() == 4) form.axes = axes;
    return form;
}

IndexRange index_range(const emulsion_port& port) {
    return port.type == EMULSION_I32 ? IndexRange{port.classes, port.ignored} : IndexRange{};
}

PictureShape picture_input(const emulsion_port& port, const std::string& network) {
    if (index_range(port).limit > 0 && (port.rank == 1 || port.rank == 2) && port.batched == 1) {
        const bool has_rows = port.rank == 2;
        return {has_rows ? static_cast<int>(port.shape[0]) : 1, 1,
                static_cast<int>(port.shape[has_rows ? 1 : 0])};
    }
    if (const std::vector<int64_t> axes = row_axes(port); !axes.empty()) {
        const int64_t height = axes.size() == 2 ? 1 : axes[1] * axes[2];
        return {static_cast<int>(axes[0]), static_cast<int>(height), static_cast<int>(axes.back())};
    }
    const bool is_picture = port.type == EMULSION_F32 && port.rank == 3 && port.batched == 1 &&
                            (port.shape[0] == 1 || port.shape[0] == 3);
    if (!is_picture) {
        throw RuntimeError(
            concat(network, ", input ", quoted(port.name)),
            concat(
                "has shape ", shape_text({port.shape, static_cast<size_t>(port.rank)}),
                ", but this program feeds pictures, f32 [1 or 3, height, width], rows of numbers, "
                "f32 [channels, length] or [channels, depth, height, width], or indices"),
            "declare the input so and reshape it in the model, or call the library from a program "
            "of your own");
    }
    return {static_cast<int>(port.shape[0]), static_cast<int>(port.shape[1]),
            static_cast<int>(port.shape[2])};
}

PictureShape first_input(const emulsion_info& info) {
    if (info.input_count > 0) return picture_input(info.inputs[0], info.network);
    throw RuntimeError(info.network, "has no inputs, but this program feeds pictures",
                       "call the inference library from a program of your own");
}

namespace {

ExtraInput extra_input(const emulsion_port& port, const std::string& network) {
    const bool has_kind =
        port.type == EMULSION_F32 || (port.type == EMULSION_I32 && port.classes > 0);
    if (!has_kind || port.batched != 1 || port.rank > 4) {
        throw RuntimeError(concat(network, ", input ", quoted(port.name)),
                           "is no tensor of each sample, of up to 4 axes, of numbers or of indices",
                           "call the library from a program of your own");
    }
    return {port.name, {port.shape, port.shape + port.rank}, index_range(port)};
}

}  // namespace

std::vector<ExtraInput> extra_inputs(const emulsion_info& info) {
    std::vector<ExtraInput> extras;
    for (int i = 1; i < info.input_count; i++)
        extras.push_back(extra_input(info.inputs[i], info.network));
    return extras;
}

std::vector<std::string> class_names(const emulsion_info& info) {
    if (info.classes == nullptr) return {};
    return {info.classes, info.classes + info.class_count};
}

std::string class_name(std::span<const std::string> names, int index) {
    const auto place = static_cast<size_t>(index);
    return place < names.size() ? names[place] : concat(index);
}

std::vector<Head> find_heads(const emulsion_info& info, std::string_view what) {
    const std::string ending = concat(".", what);
    const int rank = what == kProbabilities ? 1 : 0;
    std::vector<Head> heads;
    for (int i = 0; i < info.output_count; i++) {
        const emulsion_port& port = info.outputs[i];
        if (port.type != EMULSION_F32 || port.rank != rank || port.batched != rank) continue;
        const std::string_view name = port.name;
        if (name == what) heads.insert(heads.begin(), {"", i});
        if (name.ends_with(ending) && name.size() > ending.size())
            heads.push_back({std::string(name.substr(0, name.size() - ending.size())), i});
    }
    return heads;
}

std::optional<ScoreOutput> score_output_of(const emulsion_info& info) {
    const auto output = [&](int i, ScoreKind kind) {
        return ScoreOutput{i, static_cast<int>(info.outputs[i].shape[0]), kind};
    };
    const std::vector<Head> heads = find_heads(info, kProbabilities);
    if (!heads.empty()) return output(heads[0].output, ScoreKind::kProbabilities);
    int best = -1;
    for (int i = info.output_count; i-- > 0;) {
        const emulsion_port& port = info.outputs[i];
        if (port.type != EMULSION_F32 || port.rank != 1 || port.batched != 1) continue;
        best = i;
        if (std::string_view(port.name) == "scores") break;
    }
    if (best >= 0) return output(best, ScoreKind::kScores);
    return std::nullopt;
}

ScoreOutput find_score_output(const emulsion_info& info) {
    if (const auto output = score_output_of(info)) return *output;
    throw RuntimeError(info.network, "has no output that is one vector of scores a picture",
                       "call the inference library from a program of your own");
}

ScoreKind score_kind_of(const emulsion_info& info) {
    const auto output = score_output_of(info);
    return output ? output->kind : ScoreKind::kScores;
}

std::optional<MapOutput> map_output_of(const emulsion_info& info) {
    for (const std::string_view wanted : {kProbabilities, std::string_view("scores")}) {
        for (int i = 0; i < info.output_count; i++) {
            const emulsion_port& port = info.outputs[i];
            if (port.type != EMULSION_F32 || port.rank < 2 || port.batched != 1) continue;
            const std::string_view name = port.name;
            if (port.shape[0] < 2 || (name != wanted && !name.ends_with(concat(".", wanted))))
                continue;
            return MapOutput{
                i, target_form(port).shape,
                wanted == kProbabilities ? ScoreKind::kProbabilities : ScoreKind::kScores};
        }
    }
    return std::nullopt;
}

int classes_of(const emulsion_info& info) {
    if (const auto scores = score_output_of(info)) return scores->classes;
    const auto map = map_output_of(info);
    return map ? map->shape.channels : 0;
}

BoundLibrary::BoundLibrary(const emulsion_infer_library& library, const SessionOptions& options)
    : library_(library),
      info_(*library.info()),
      blocks_(query_sizes(library, options.threads, options.device), options.parameters) {
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
    bound.device = options.device.option.c_str();
    check(library_.bind(blocks_.instance(), &blocks_.memory(), &bound), "bind");
}

BoundLibrary::~BoundLibrary() { library_.unbind(blocks_.instance()); }

void BoundLibrary::check(int status, const char* action) const {
    if (status != EMULSION_OK)
        refuse_call(info_, action, status, library_.error(blocks_.instance()));
}

void BoundLibrary::prepare() { check(library_.prepare(blocks_.instance()), "prepare"); }

void BoundLibrary::run(const void* const* inputs, int samples) {
    const emulsion_call call{samples, 0, inputs, output_pointers_.data()};
    check(library_.run(blocks_.instance(), &call), "run");
}

std::span<const float> BoundLibrary::output(int index, int sample) const {
    const void* block = outputs_[static_cast<size_t>(index)].get();
    const size_t count = info_.outputs[index].bytes / sizeof(float);
    return {static_cast<const float*>(block) + static_cast<size_t>(sample) * count, count};
}

InferenceSession::InferenceSession(const emulsion_infer_library& library,
                                   const SessionOptions& options)
    : shape_(first_input(*library.info())),
      score_output_(score_output_of(*library.info())),
      heads_(find_heads(*library.info(), kProbabilities)),
      inputs_(1 + extra_inputs(*library.info()).size()),
      bound_(library, options) {}

void InferenceSession::run(const float* images, int samples,
                           std::span<const int32_t* const> extras) {
    inputs_[0] = images;
    std::ranges::copy(extras, inputs_.begin() + 1);
    bound_.run(inputs_.data(), samples);
}

std::span<const float> InferenceSession::scores(int sample) const {
    if (!score_output_) return {};
    return output(score_output_->index, sample);
}

std::span<const float> InferenceSession::probabilities(const Head& head, int sample) const {
    return output(head.output, sample);
}

}  // namespace emulsion
