// The list of all ops. A new op adds its header and one line here.
#include "compiler/ops/registry.h"

#include <algorithm>

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
#include "compiler/ops/conv2d.h"
#include "compiler/ops/crop.h"
#include "compiler/ops/dense.h"
#include "compiler/ops/distribution_cross_entropy.h"
#include "compiler/ops/dropout.h"
#include "compiler/ops/element_losses.h"
#include "compiler/ops/elementary.h"
#include "compiler/ops/expand.h"
#include "compiler/ops/extremes.h"
#include "compiler/ops/flatten.h"
#include "compiler/ops/fold_filter.h"
#include "compiler/ops/gaussian_noise.h"
#include "compiler/ops/group_norm.h"
#include "compiler/ops/keep_old.h"
#include "compiler/ops/l1_penalty.h"
#include "compiler/ops/label_weight.h"
#include "compiler/ops/max_pool.h"
#include "compiler/ops/moments.h"
#include "compiler/ops/multi_margin.h"
#include "compiler/ops/pad.h"
#include "compiler/ops/reduce.h"
#include "compiler/ops/resize.h"
#include "compiler/ops/rmsprop.h"
#include "compiler/ops/rotate_filter.h"
#include "compiler/ops/sgd.h"
#include "compiler/ops/slice.h"
#include "compiler/ops/smooth_activations.h"
#include "compiler/ops/softmax.h"
#include "compiler/ops/softmax_cross_entropy.h"
#include "compiler/ops/sources.h"
#include "compiler/ops/sum_squares.h"
#include "compiler/ops/transpose.h"
#include "compiler/ops/unfactor.h"
#include "compiler/ops/weight_decay.h"
#include "compiler/ops/winograd.h"
#include "compiler/support/closest.h"

namespace emulsion {

namespace {

struct Entry {
    std::string_view kind;
    std::unique_ptr<Op> (*make)();
};

template <class T>
std::unique_ptr<Op> make() {
    return std::make_unique<T>();
}

// Sorted by name.
constexpr Entry kOps[] = {
    {"abs", make<Abs>},
    {"abs_backward", make<AbsBackward>},
    {"absolute_error", make<AbsoluteError>},
    {"absolute_error_backward", make<AbsoluteErrorBackward>},
    {"adadelta_update", make<AdadeltaUpdate>},
    {"adagrad_update", make<AdagradUpdate>},
    {"adam_correction", make<AdamCorrection>},
    {"adam_update", make<AdamUpdate>},
    {"add", make<Add>},
    {"add_map", make<AddMap>},
    {"average_pool", make<AveragePool>},
    {"average_pool_backward", make<AveragePoolBackward>},
    {"batch_norm", make<BatchNorm>},
    {"batch_norm_backward", make<BatchNormBackward>},
    {"batch_norm_coefficients", make<BatchNormCoefficients>},
    {"batch_norm_factor", make<BatchNormFactor>},
    {"batch_norm_fold", make<BatchNormFold>},
    {"binary_cross_entropy", make<BinaryCrossEntropy>},
    {"binary_cross_entropy_backward", make<BinaryCrossEntropyBackward>},
    {"channel_shuffle", make<ChannelShuffle>},
    {"channel_sum", make<ChannelSum>},
    {"clip", make<Clip>},
    {"clip_backward", make<ClipBackward>},
    {"clip_factor", make<ClipFactor>},
    {"clip_value", make<ClipValue>},
    {"concatenate", make<Concatenate>},
    {"constant", make<Constant>},
    {"conv2d", make<Conv2d>},
    {"conv2d_backward_data", make<Conv2dBackwardData>},
    {"conv2d_backward_filter", make<Conv2dBackwardFilter>},
    {"crop", make<Crop>},
    {"crop_backward", make<CropBackward>},
    {"decay_weights", make<DecayWeights>},
    {"dense", make<Dense>},
    {"dense_backward_data", make<DenseBackwardData>},
    {"dense_backward_weights", make<DenseBackwardWeights>},
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
    {"gaussian_noise", make<GaussianNoise>},
    {"gelu", make<Gelu>},
    {"gelu_backward", make<GeluBackward>},
    {"group_coefficients", make<GroupCoefficients>},
    {"group_norm", make<GroupNorm>},
    {"group_statistics", make<GroupStatistics>},
    {"hard_sigmoid", make<HardSigmoid>},
    {"hard_sigmoid_backward", make<HardSigmoidBackward>},
    {"hard_swish", make<HardSwish>},
    {"hard_swish_backward", make<HardSwishBackward>},
    {"hinge", make<Hinge>},
    {"hinge_backward", make<HingeBackward>},
    {"huber", make<Huber>},
    {"huber_backward", make<HuberBackward>},
    {"input", make<Input>},
    {"keep_old", make<KeepOld>},
    {"l1_penalty", make<L1Penalty>},
    {"l2_penalty", make<L2Penalty>},
    {"label_weight", make<LabelWeight>},
    {"leaky_relu", make<LeakyRelu>},
    {"leaky_relu_backward", make<LeakyReluBackward>},
    {"log", make<Log>},
    {"log_softmax", make<LogSoftmax>},
    {"max_pool", make<MaxPool>},
    {"max_pool_backward", make<MaxPoolBackward>},
    {"max_pool_winners", make<MaxPoolWinners>},
    {"maximum", make<Maximum>},
    {"maximum_backward", make<MaximumBackward>},
    {"merge_moments", make<MergeMoments>},
    {"minimum", make<Minimum>},
    {"multi_margin", make<MultiMargin>},
    {"multi_margin_backward", make<MultiMarginBackward>},
    {"multiply", make<Multiply>},
    {"negate", make<Negate>},
    {"normalize", make<Normalize>},
    {"not_finite", make<NotFinite>},
    {"pad", make<Pad>},
    {"pad_backward", make<PadBackward>},
    {"parameter", make<Parameter>},
    {"partial_dots", make<PartialDots>},
    {"partial_moments", make<PartialMoments>},
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
    {"rmsprop_update", make<RmspropUpdate>},
    {"rotate_filter", make<RotateFilter>},
    {"running_average", make<RunningAverage>},
    {"scalar", make<Scalar>},
    {"scale", make<Scale>},
    {"scale_filter", make<ScaleFilter>},
    {"scale_shift", make<ScaleShift>},
    {"sgd_plain", make<SgdPlain>},
    {"sgd_update", make<SgdUpdate>},
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
    {"spatial_dropout", make<SpatialDropout>},
    {"sqrt", make<Sqrt>},
    {"state", make<State>},
    {"subtract", make<Subtract>},
    {"sum_samples", make<SumSamples>},
    {"sum_squares", make<SumSquares>},
    {"tanh", make<Tanh>},
    {"tanh_backward", make<TanhBackward>},
    {"transpose", make<Transpose>},
    {"unfactor", make<Unfactor>},
    {"unflatten", make<Unflatten>},
    {"unfold_filter", make<UnfoldFilter>},
    {"view", make<View>},
    {"weighted_mean", make<WeightedMean>},
    {"winograd_conv2d", make<WinogradConv2d>},
    {"winograd_filter", make<WinogradFilter>},
};

static_assert(std::ranges::is_sorted(kOps, {}, &Entry::kind));

}  // namespace

std::unique_ptr<Op> make_op(std::string_view kind) {
    const Entry* entry = std::ranges::lower_bound(kOps, kind, {}, &Entry::kind);
    if (entry == std::end(kOps) || entry->kind != kind) return nullptr;
    return entry->make();
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
    return kinds;
}

}  // namespace emulsion
