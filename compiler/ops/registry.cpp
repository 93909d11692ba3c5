// The list of all ops. A new op adds its header and one line here.
#include "compiler/ops/registry.h"

#include <algorithm>
#include <map>
#include <typeinfo>

#include "compiler/ops/activations.h"
#include "compiler/ops/adadelta.h"
#include "compiler/ops/adagrad.h"
#include "compiler/ops/adam.h"
#include "compiler/ops/add_map.h"
#include "compiler/ops/arithmetic.h"
#include "compiler/ops/average_pool.h"
#include "compiler/ops/batch_norm.h"
#include "compiler/ops/batch_norm_parts.h"
#include "compiler/ops/channel_sum.h"
#include "compiler/ops/clip.h"
#include "compiler/ops/concatenate.h"
#include "compiler/ops/connect_filter.h"
#include "compiler/ops/conv2d.h"
#include "compiler/ops/crop.h"
#include "compiler/ops/deform_sample.h"
#include "compiler/ops/dense.h"
#include "compiler/ops/depth_to_space.h"
#include "compiler/ops/distribution_cross_entropy.h"
#include "compiler/ops/dropout.h"
#include "compiler/ops/element_losses.h"
#include "compiler/ops/elementary.h"
#include "compiler/ops/expand.h"
#include "compiler/ops/extremes.h"
#include "compiler/ops/flatten.h"
#include "compiler/ops/fold_filter.h"
#include "compiler/ops/fold_frames.h"
#include "compiler/ops/fourier_filter.h"
#include "compiler/ops/gather.h"
#include "compiler/ops/gaussian_noise.h"
#include "compiler/ops/group_norm.h"
#include "compiler/ops/gumbel_noise.h"
#include "compiler/ops/keep_old.h"
#include "compiler/ops/l1_penalty.h"
#include "compiler/ops/label_weight.h"
#include "compiler/ops/levenberg_marquardt.h"
#include "compiler/ops/local_dense.h"
#include "compiler/ops/max_pool.h"
#include "compiler/ops/mel_filter.h"
#include "compiler/ops/moments.h"
#include "compiler/ops/multi_margin.h"
#include "compiler/ops/pad.h"
#include "compiler/ops/phase_filter.h"
#include "compiler/ops/reduce.h"
#include "compiler/ops/resize.h"
#include "compiler/ops/rmsprop.h"
#include "compiler/ops/rotate_filter.h"
#include "compiler/ops/scatter_max.h"
#include "compiler/ops/scatter_sum.h"
#include "compiler/ops/sgd.h"
#include "compiler/ops/slice.h"
#include "compiler/ops/smooth_activations.h"
#include "compiler/ops/softmax.h"
#include "compiler/ops/softmax_cross_entropy.h"
#include "compiler/ops/sources.h"
#include "compiler/ops/squared_distance.h"
#include "compiler/ops/stop_gradient.h"
#include "compiler/ops/sum_squares.h"
#include "compiler/ops/transpose.h"
#include "compiler/ops/unfactor.h"
#include "compiler/ops/weight_decay.h"
#include "compiler/ops/winograd.h"
#include "compiler/support/closest.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

namespace {

struct Entry {
    std::string_view kind;
    OpEntry op;
    std::string_view no_gradient = {};  // why there is none, unless its class or name say so
};

template <class T>
constexpr OpEntry make = op_entry<T>();

constexpr std::string_view kIsGradient = "is a gradient";
constexpr std::string_view kOfUpdate = "belongs to the update";  // behind all gradients
constexpr std::string_view kOfPass = "is made by a pass";        // behind differentiation
constexpr std::string_view kIsConstant = "has no operands";
constexpr std::string_view kOfNorm = "is a part of a norm";  // which has the gradient

// Sorted by name.
constexpr Entry kOps[] = {
    {"abs", make<Abs>},
    {"abs_backward", make<AbsBackward>},
    {"absolute_error", make<AbsoluteError>},
    {"absolute_error_backward", make<AbsoluteErrorBackward>},
    {"adadelta_update", make<AdadeltaUpdate>, kOfUpdate},
    {"adagrad_update", make<AdagradUpdate>, kOfUpdate},
    {"adam_correction", make<AdamCorrection>, kOfUpdate},
    {"adam_update", make<AdamUpdate>, kOfUpdate},
    {"add", make<Add>},
    {"add_map", make<AddMap>},
    {"average_pool", make<AveragePool>},
    {"average_pool_backward", make<AveragePoolBackward>},
    {"batch_norm", make<BatchNorm>},
    {"batch_norm_backward", make<BatchNormBackward>},
    {"batch_norm_coefficients", make<BatchNormCoefficients>, kOfNorm},
    {"batch_norm_factor", make<BatchNormFactor>, kOfNorm},
    {"batch_norm_fold", make<BatchNormFold>, kOfPass},
    {"binary_cross_entropy", make<BinaryCrossEntropy>},
    {"binary_cross_entropy_backward", make<BinaryCrossEntropyBackward>},
    {"channel_shuffle", make<ChannelShuffle>},
    {"channel_sum", make<ChannelSum>},
    {"clip", make<Clip>},
    {"clip_backward", make<ClipBackward>},
    {"clip_factor", make<ClipFactor>, kOfUpdate},
    {"clip_value", make<ClipValue>, kOfUpdate},
    {"concatenate", make<Concatenate>},
    {"connect_filter", make<ConnectFilter>},
    {"connect_filter_backward", make<ConnectFilterBackward>},
    {"constant", make<Constant>},
    {"conv2d", make<Conv2d>},
    {"conv2d_backward_data", make<Conv2dBackwardData>},
    {"conv2d_backward_filter", make<Conv2dBackwardFilter>},
    {"crop", make<Crop>},
    {"crop_backward", make<CropBackward>},
    {"decay_weights", make<DecayWeights>, kOfUpdate},
    {"deform_sample", make<DeformSample>},
    {"deform_sample_backward_data", make<DeformSampleBackwardData>},
    {"deform_sample_backward_offsets", make<DeformSampleBackwardOffsets>},
    {"dense", make<Dense>},
    {"dense_backward_data", make<DenseBackwardData>},
    {"dense_backward_weights", make<DenseBackwardWeights>},
    {"depth_to_space", make<DepthToSpace>},
    {"distribution_cross_entropy", make<DistributionCrossEntropy>},
    {"distribution_cross_entropy_backward", make<DistributionCrossEntropyBackward>},
    {"divide", make<Divide>},
    {"dropout", make<Dropout>},
    {"elu", make<Elu>},
    {"elu_backward", make<EluBackward>},
    {"exp", make<Exp>},
    {"expand", make<Expand>},
    {"factor", make<Factor>},
    {"flatten", make<Flatten>},
    {"flip", make<Flip>},
    {"fold_filter", make<FoldFilter>},
    {"fold_frames", make<FoldFrames>},
    {"fold_frames_backward", make<FoldFramesBackward>},
    {"fourier_filter", make<FourierFilter>, kIsConstant},
    {"gather", make<Gather>},
    {"gaussian_noise", make<GaussianNoise>},
    {"gelu", make<Gelu>},
    {"gelu_backward", make<GeluBackward>},
    {"group_coefficients", make<GroupCoefficients>, kOfNorm},
    {"group_norm", make<GroupNorm>},
    {"group_statistics", make<GroupStatistics>, kOfNorm},
    {"gumbel_noise", make<GumbelNoise>},
    {"hard_sigmoid", make<HardSigmoid>},
    {"hard_sigmoid_backward", make<HardSigmoidBackward>},
    {"hard_swish", make<HardSwish>},
    {"hard_swish_backward", make<HardSwishBackward>},
    {"hinge", make<Hinge>},
    {"hinge_backward", make<HingeBackward>},
    {"huber", make<Huber>},
    {"huber_backward", make<HuberBackward>},
    {"input", make<Input>},
    {"keep_old", make<KeepOld>, kOfUpdate},
    {"l1_penalty", make<L1Penalty>, kOfUpdate},
    {"l2_penalty", make<L2Penalty>, kOfUpdate},
    {"label_weight", make<LabelWeight>},
    {"leaky_relu", make<LeakyRelu>},
    {"leaky_relu_backward", make<LeakyReluBackward>},
    {"levenberg_marquardt_update", make<LevenbergMarquardtUpdate>, kOfUpdate},
    {"local_dense", make<LocalDense>},
    {"local_dense_backward_data", make<LocalDenseBackwardData>},
    {"local_dense_backward_weights", make<LocalDenseBackwardWeights>},
    {"log", make<Log>},
    {"log_softmax", make<LogSoftmax>},
    {"max_pool", make<MaxPool>},
    {"max_pool_backward", make<MaxPoolBackward>},
    {"max_pool_winners", make<MaxPoolWinners>},
    {"maximum", make<Maximum>},
    {"maximum_backward", make<MaximumBackward>},
    {"mel_filter", make<MelFilter>, kIsConstant},
    {"merge_moments", make<MergeMoments>, kOfNorm},
    {"minimum", make<Minimum>},
    {"multi_margin", make<MultiMargin>},
    {"multi_margin_backward", make<MultiMarginBackward>},
    {"multiply", make<Multiply>},
    {"negate", make<Negate>},
    {"normalize", make<Normalize>, kOfNorm},
    {"not_finite", make<NotFinite>},
    {"pad", make<Pad>},
    {"pad_backward", make<PadBackward>},
    {"parameter", make<Parameter>},
    {"partial_dots", make<PartialDots>, kOfNorm},
    {"partial_moments", make<PartialMoments>, kOfNorm},
    {"phase_filter", make<PhaseFilter>, kOfPass},
    {"power", make<Power>},
    {"prelu", make<Prelu>},
    {"prelu_backward", make<PreluBackward>},
    {"prelu_slope_backward", make<PreluSlopeBackward>},
    {"reciprocal", make<Reciprocal>},
    {"reduce", make<Reduce>},
    {"reduce_axes", make<ReduceAxes>},
    {"relu", make<Relu>},
    {"relu6", make<Relu6>},
    {"relu6_backward", make<Relu6Backward>},
    {"relu_backward", make<ReluBackward>},
    {"resize", make<Resize>},
    {"resize_backward", make<ResizeBackward>},
    {"rmsprop_update", make<RmspropUpdate>, kOfUpdate},
    {"rotate_filter", make<RotateFilter>},
    {"running_average", make<RunningAverage>, kOfNorm},
    {"scalar", make<Scalar>},
    {"scale", make<Scale>},
    {"scale_filter", make<ScaleFilter>, kOfPass},
    {"scale_shift", make<ScaleShift>},
    {"scatter_max", make<ScatterMax>},
    {"scatter_max_backward", make<ScatterMaxBackward>},
    {"scatter_sum", make<ScatterSum>},
    {"sgd_plain", make<SgdPlain>, kOfUpdate},
    {"sgd_update", make<SgdUpdate>, kOfUpdate},
    {"shift", make<Shift>},
    {"sigmoid", make<Sigmoid>},
    {"sigmoid_backward", make<SigmoidBackward>},
    {"silu", make<Silu>},
    {"silu_backward", make<SiluBackward>},
    {"slice", make<Slice>},
    {"slice_backward", make<SliceBackward>},
    {"softmax", make<Softmax>},
    {"softmax_cross_entropy", make<SoftmaxCrossEntropy>},
    {"softmax_cross_entropy_backward", make<SoftmaxCrossEntropyBackward>},
    {"softplus", make<Softplus>},
    {"space_to_depth", make<SpaceToDepth>},
    {"spatial_dropout", make<SpatialDropout>},
    {"sqrt", make<Sqrt>},
    {"squared_distance", make<SquaredDistance>},
    {"state", make<State>},
    {"stop_gradient", make<StopGradient>},
    {"subtract", make<Subtract>},
    {"sum_samples", make<SumSamples>, kIsGradient},
    {"sum_squares", make<SumSquares>},
    {"tanh", make<Tanh>},
    {"tanh_backward", make<TanhBackward>},
    {"transpose", make<Transpose>},
    {"unfactor", make<Unfactor>},
    {"unflatten", make<Unflatten>},
    {"unfold_filter", make<UnfoldFilter>},
    {"view", make<View>},
    {"weighted_mean", make<WeightedMean>},
    {"winograd_conv2d", make<WinogradConv2d>, kOfPass},
    {"winograd_filter", make<WinogradFilter>, kOfPass},
};

static_assert(std::ranges::is_sorted(kOps, {}, &Entry::kind));

// Those of the user.
using OwnOps = std::map<std::string, OpEntry, std::less<>>;
OwnOps& own_ops() {
    static OwnOps ops;
    return ops;
}

const Entry* find_built_in(std::string_view kind) {
    const Entry* entry = std::ranges::lower_bound(kOps, kind, {}, &Entry::kind);
    return entry == std::end(kOps) || entry->kind != kind ? nullptr : entry;
}

bool is_op_name(std::string_view name) {
    const auto is_small = [](char c) { return c >= 'a' && c <= 'z'; };
    return !name.empty() && is_small(name[0]) && std::ranges::all_of(name, [&](char c) {
        return is_small(c) || (c >= '0' && c <= '9') || c == '_';
    });
}

}  // namespace

const OpEntry* find_op(std::string_view kind) {
    if (const Entry* entry = find_built_in(kind)) return &entry->op;
    const auto own = own_ops().find(kind);
    return own == own_ops().end() ? nullptr : &own->second;
}

bool is_built_in(std::string_view kind) { return find_built_in(kind) != nullptr; }

std::string_view why_no_gradient(std::string_view kind) {
    const Entry* entry = find_built_in(kind);
    if (entry == nullptr) return "";
    if (!entry->no_gradient.empty()) return entry->no_gradient;
    if (entry->op.make()->op_class() == OpClass::source) return kIsConstant;
    if (entry->op.has_gradient) return "";
    return kind.find("_backward") != std::string_view::npos ? kIsGradient : "";
}

void register_op(const OpEntry& entry) {
    const std::string kind(entry.make()->kind());
    if (!is_op_name(kind))
        fail("op", fmt::format("'{}' is no name for an op", kind),
             "let kind() return a small letter, then small letters, digits and '_'");
    if (is_built_in(kind))
        fail("op", fmt::format("the compiler has an op '{}' of its own", kind),
             "let kind() return another name");
    const std::unique_ptr<Op> known = own_ops().emplace(kind, entry).first->second.make();
    const std::unique_ptr<Op> given = entry.make();
    const Op &first = *known, &second = *given;
    if (typeid(first) != typeid(second))
        fail("op", fmt::format("two classes are registered as the op '{}'", kind),
             "let kind() of one of them return another name");
}

std::unique_ptr<Op> make_op(std::string_view kind) {
    const OpEntry* entry = find_op(kind);
    return entry == nullptr ? nullptr : entry->make();
}

std::string remedy_for_op(std::string_view unknown) {
    const Suggestion near = suggest(unknown, op_kinds(), Vocabulary::layers);
    if (!near.word.empty()) return near.to_string(unknown, "op");
    return "use an op that 'emulsion ops' lists; one of your own is known to the model file that "
           "registers it, and nowhere else";
}

std::vector<std::string_view> op_kinds() {
    std::vector<std::string_view> kinds;
    for (const Entry& entry : kOps) kinds.push_back(entry.kind);
    for (const auto& [kind, entry] : own_ops()) kinds.push_back(kind);
    std::ranges::sort(kinds);
    return kinds;
}

}  // namespace emulsion
