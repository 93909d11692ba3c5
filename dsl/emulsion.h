// What a model file includes: a network written as a short C++ program, which is also the network's
// compiler.
//
//     int main(int argc, char** argv) {
//         Model m("tiny");
//         Tensor x = m.input("image", {1, 28, 28});           // channels, height, width
//         m.classify(dense(flatten(relu(conv(x, 8))), 10));
//         return compile(m, argc, argv);
//     }
//
// A tensor's shape is that of one sample; the samples of a batch are implied. Nothing here throws
// or ends the program: a mistake is recorded in the model with the user's file and line, its result
// silences what follows from it, and compile() prints all mistakes. Options are structs with a
// default for every field, written by name.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <source_location>
#include <string>
#include <type_traits>
#include <vector>

#include "dsl/augmentation.h"
#include "dsl/settings.h"
#include "dsl/sizes.h"
#include "dsl/training.h"

namespace emulsion {

namespace internal {
struct ModelState;
struct Access;
}  // namespace internal

// Where in the user's file a function was called; every function takes it as a last argument that
// nobody writes.
using Place = std::source_location;

// A value of the model: a handle, cheap to copy. It keeps its model's description alive.
class Tensor {
  public:
    Tensor() = default;
    // {channels, height, width} or {features} of one sample, or {channels, length}, {channels,
    // depth, height, width}; empty for a number, and after a mistake.
    std::vector<int64_t> shape() const;

  private:
    friend struct internal::Access;
    std::shared_ptr<internal::ModelState> model_;  // null: an empty tensor
    int node_ = -1;                                // -1: the result of a mistake
    int output_ = 0;
};

// Options

// A name of a layer is unique in its model: letters, digits, '_', '-' and '.'. Left empty, it is
// the function's name and the layer's place among its kind: conv1, conv2, max_pool1.
struct LayerOptions {
    std::string name = {};
};

// What a layer applies to its result: an activation by its name, with its default options
// (`.activation = relu`), or any function of a tensor.
struct Activation {
    Activation() = default;  // none
    template <class Options>
    Activation(Tensor (*function)(const Tensor&, const Options&, Place))
        : apply([function](const Tensor& x, const std::string& name, Place where) {
              Options options;
              options.name = name;
              return function(x, options, where);
          }) {}
    template <class Function>
        requires std::is_invocable_r_v<Tensor, Function, const Tensor&>
    Activation(Function function)
        : apply([function](const Tensor& x, const std::string&, Place) { return function(x); }) {}
    std::function<Tensor(const Tensor& x, const std::string& name, Place where)> apply;
};

struct ConvOptions {
    Size kernel = 3;
    Size stride = 1;
    Size dilation = 1;
    Padding padding = valid;
    Border border = {};   // what the padding holds
    bool strict = false;  // refuses a map that the last position does not end at: see conv()
    int groups = 1;       // of channels and of filters, each group a convolution of its own
    bool flip = false;    // true convolution: the filter turned round in both directions
    // The channels that each filter reads, as LeNet-5's C3 has them: weights (pairs, 1, KH, KW), in
    // the order of the filters, their channels ascending. Empty: all.
    std::vector<std::vector<int>> connections = {};
    bool bias = true;
    bool untied_bias = false;  // the bias is one of each position, not of each filter
    Init init = Init::he();
    Init bias_init = Init::zeros();
    Activation activation = Activation();
    std::string name = {};
};

struct DepthwiseConvOptions {
    Size kernel = 3;
    Size stride = 1;
    Size dilation = 1;
    Padding padding = valid;
    Border border = {};   // what the padding holds
    bool strict = false;  // refuses a map that the last position does not end at: see conv()
    int multiplier = 1;   // filters for each channel
    bool bias = true;
    Init init = Init::he();
    Init bias_init = Init::zeros();
    Activation activation = Activation();
    std::string name = {};
};

struct ConvTransposeOptions {
    Size kernel = 3;
    Size stride = 1;
    Size dilation = 1;
    Padding padding = valid;
    Size output_padding = 0;  // more cells below, to the right and behind, fewer than the stride
    int groups = 1;           // of channels and of filters, each group a layer of its own
    bool bias = true;
    Init init = Init::he();
    Init bias_init = Init::zeros();
    Activation activation = Activation();
    std::string name = {};
};

struct LocallyConnectedOptions {
    Size kernel = 3;
    Size stride = 1;
    Size dilation = 1;
    Padding padding = valid;
    Border border = {};   // what the padding holds
    bool strict = false;  // refuses a map that the last position does not end at: see conv()
    bool bias = true;     // one of each filter and position
    Init init = Init::he();
    Init bias_init = Init::zeros();
    Activation activation = Activation();
    std::string name = {};
};

enum class Offsets { per_position, per_tap };
struct DeformConvOptions {
    Size kernel = 3;
    Size stride = 1;
    Size dilation = 1;
    Padding padding = valid;
    Offsets offsets = Offsets::per_position;  // where none are given
    bool modulated = false;                   // where no mask is given: learns one
    int offset_groups = 1;  // of channels that move together, with offsets and a mask of their own
    int groups = 1;         // of channels and of filters, each group a convolution of its own
    bool bias = true;
    Init init = Init::he();
    Init bias_init = Init::zeros();
    Activation activation = Activation();
    std::string name = {};
};

struct DenseOptions {
    bool bias = true;
    Init init = Init::he();
    Init bias_init = Init::zeros();
    Activation activation = Activation();
    std::string name = {};
};

struct PoolOptions {
    Size window = 2;
    Size stride = 0;  // 0: the window
    Padding padding = valid;
    Border border = {};     // what the padding holds; its cells then count as those of the map do
    bool strict = false;    // refuses a map that the last window does not end at: see conv()
    bool round_up = false;  // one more window where the last one overhangs
    bool count_padding =
        false;  // average: divide by the whole window where it reaches into the padding
    std::string name = {};
};

struct SubsampleOptions {
    Size window = 2;  // and stride
    std::string name = {};
};

struct PadOptions {
    Border border = Border::zeros();
    std::string name = {};
};

inline constexpr int64_t kToTheEnd = INT64_MAX;
struct SliceOptions {
    int64_t axis = 0;  // 0 is the channels or the features, 1 the height, 2 the width
    int64_t begin = 0;
    int64_t end = kToTheEnd;  // the first cell that is left out
    int64_t step = 1;
    std::string name = {};
};

struct AxisOptions {
    int64_t axis = 0;  // 0 is the channels or the features, 1 the height, 2 the width
    std::string name = {};
};

enum class Interpolation { nearest, bilinear, linear = bilinear, trilinear = bilinear };
struct UpsampleOptions {
    Size factor = 2;
    Interpolation mode = Interpolation::nearest;
    Size size = 0;  // of the result; 0: the map's times the factor
    std::string name = {};
};

struct LeakyReluOptions {
    double slope = 0.01;
    std::string name = {};
};

struct EluOptions {
    double alpha = 1;
    std::string name = {};
};

struct GeluOptions {
    bool approximate = false;  // the form with a tanh
    std::string name = {};
};

struct PreluOptions {
    bool shared = false;  // one slope for all channels, as PyTorch has it by default
    double init = 0.25;
    std::string name = {};
};

struct MaxoutOptions {
    int pieces = 2;   // the number of affine maps
    Size kernel = 1;  // of a map; zeros around it keep its size
    Init init = Init::he();
    std::string name = {};
};

struct RbfOptions {
    Init init = Init::uniform(1);  // of the centres
    std::string name = {};
};

struct BatchNormOptions {
    double epsilon = 1e-5;
    double momentum = 0.1;  // weighs the new value in the running statistics
    bool unbiased = true;   // running variance of n - 1
    std::string name = {};
};

struct DropoutOptions {
    double rate = 0.5;  // the share that is dropped; the rest is scaled by 1 / (1 - rate)
    std::string name = {};
};

struct GroupNormOptions {
    double epsilon = 1e-5;
    std::string name = {};
};

struct LayerNormOptions {
    double epsilon = 1e-5;
    std::string name = {};
};

struct LocalResponseNormOptions {
    int size = 5;  // channels of the window around each; of an even one more lie before it
    double alpha = 1e-4;
    double beta = 0.75;
    double k = 2;
    bool average = false;  // alpha times the mean of the squares: PyTorch and Caffe, where k is 1
    std::string name = {};
};

struct GaussianNoiseOptions {
    double deviation = 0.1;
    std::string name = {};
};

struct HighwayOptions {
    Size kernel = 1;   // of the convolution that makes the gate of a map
    double bias = -2;  // the gate starts nearly closed
    std::string name = {};
};

// The index that stands for none; of an edge list, kNoEdge.
inline constexpr int64_t kNoIndex = INT64_MIN;
inline constexpr int64_t kNoEdge = -1;

struct EmbeddingOptions {
    int64_t padding_index = kNoIndex;  // the index of no word: zeros, and no gradient
    Init init = Init::normal(1);       // of the table
    std::string name = {};
};

struct IndexOptions {
    int row = 0;                       // of an index with rows, such as an edge list
    int64_t padding_index = kNoIndex;  // the index of no column
    std::string name = {};
};

// What is made of several vertices.
enum class Neighbors { sum, mean, max };
struct NeighborPoolOptions {
    Neighbors mode = Neighbors::mean;
    std::string name = {};
};

struct GraphPoolOptions {
    Neighbors mode = Neighbors::mean;
    std::string name = {};
};

struct GraphConvOptions {
    bool normalize = true;   // by the degrees of both ends of an edge
    bool self_loops = true;  // each vertex is a neighbour of its own
    bool bias = true;
    Init init = Init::glorot();
    Init bias_init = Init::zeros();
    Activation activation = Activation();
    std::string name = {};
};

struct StochasticDepthOptions {
    double rate = 0.2;  // the share of samples whose layer is left out
    std::string name = {};
};

struct SqueezeExcitationOptions {
    int ratio = 16;                        // channels for each unit of the squeezed layer
    int units = 0;                         // of the squeezed layer; 0: by the ratio, at least 1
    Activation activation = Activation();  // of the squeezed layer; none: relu
    Activation gate = Activation();        // none: sigmoid
    std::string name = {};
};

// Layers

// Layers take maps (C, H, W), and in the same way lines (C, L) and volumes (C, D, H, W), what Keras
// and PyTorch call 1D and 3D.

// Cross-correlation of a map (C, H, W) with `filters` filters, and a bias for each: (filters, H',
// W'). With k = dilation * (kernel - 1) + 1, H' = floor((H + padding - k) / stride) + 1; the cells
// that are left over on the right and below are read by no position, or refused with `strict`.
Tensor conv(const Tensor& x, int filters, const ConvOptions& options = {},
            Place where = Place::current());
// The convolution of each channel by itself: (C, H, W) to (C * multiplier, H', W'), the results of
// a channel one after another.
Tensor depthwise_conv(const Tensor& x, const DepthwiseConvOptions& options = {},
                      Place where = Place::current());
// The transposed convolution, which goes the way of a convolution's gradient: every cell of (C, H,
// W) adds its value times a filter to (filters, H', W'), `stride` further on for the next one, with
// H' = stride * (H - 1) + dilation * (kernel - 1) + 1 - padding + output_padding. `padding` is what
// the matching convolution from (filters, H', W') to (C, H, W) pads, hence what is cut off here;
// with `same`, H' = stride * H.
Tensor conv_transpose(const Tensor& x, int filters, const ConvTransposeOptions& options = {},
                      Place where = Place::current());
// A convolution whose filters are others at each position, as Keras's LocallyConnected2D: (C, H, W)
// to (filters, H', W'), with weights (filters, KH * KW * C, H', W') in the order p, q, c of a
// patch, H' * W' times those of a convolution.
Tensor locally_connected(const Tensor& x, int filters, const LocallyConnectedOptions& options = {},
                         Place where = Place::current());
// A convolution of a map or a line each tap of which reads at an offset of its own, between cells
// bilinear, zeros outside. `offsets` are (2 * offset_groups * KH * KW, H', W'), down and right for
// each tap in turn, in cells, as torchvision's deform_conv2d takes them; of a line one for each
// tap.
Tensor deform_conv(const Tensor& x, const Tensor& offsets, int filters,
                   const DeformConvOptions& options = {}, Place where = Place::current());
// And what each tap reads times a factor of its own: `mask` is (offset_groups * KH * KW, H', W').
Tensor deform_conv(const Tensor& x, const Tensor& offsets, const Tensor& mask, int filters,
                   const DeformConvOptions& options = {}, Place where = Place::current());
// The same with offsets that are learnt, from zero on: by a convolution of the same kernel,
// NAME.offsets, or as parameters of each tap, NAME.offsets (2 * KH * KW). `modulated` also learns
// the mask so, NAME.mask, as a sigmoid from 1/2 on.
Tensor deform_conv(const Tensor& x, int filters, const DeformConvOptions& options = {},
                   Place where = Place::current());
// (F) to (units): a weighted sum of all features, and a bias, for each unit.
Tensor dense(const Tensor& x, int units, const DenseOptions& options = {},
             Place where = Place::current());

// A window with a NaN gives a NaN, and so does one whose cells do not add up: with infinities of
// both signs.
Tensor max_pool(const Tensor& x, const PoolOptions& options = {}, Place where = Place::current());
// The same, and where in its window each value was found, for max_unpool.
struct IndexedPool {
    Tensor value, index;
};
IndexedPool max_pool_with_indices(const Tensor& x, const PoolOptions& options = {},
                                  Place where = Place::current());
// The map that was pooled, with each value of x where the largest cell of its window was, and zeros
// elsewhere; where windows overlap, values that meet are added. x has the shape of the pooled map.
Tensor max_unpool(const Tensor& x, const IndexedPool& pooled, const LayerOptions& options = {},
                  Place where = Place::current());
// Padding is not counted; a window that overhangs divides by its cells inside.
Tensor average_pool(const Tensor& x, const PoolOptions& options = {},
                    Place where = Place::current());
// (C, H, W) to (C): the mean of each map.
Tensor global_average_pool(const Tensor& x, const LayerOptions& options = {},
                           Place where = Place::current());

// (C, H, W) to (C): the largest cell of each map.
Tensor global_max_pool(const Tensor& x, const LayerOptions& options = {},
                       Place where = Place::current());
// LeNet-5's trainable subsampling: for each map the sum of each window times a weight, which starts
// as 1 / cells of a window, plus a bias. An activation usually follows.
Tensor subsample(const Tensor& x, const SubsampleOptions& options = {},
                 Place where = Place::current());

Tensor relu(const Tensor& x, const LayerOptions& options = {}, Place where = Place::current());
// min(max(x, 0), 6)
Tensor relu6(const Tensor& x, const LayerOptions& options = {}, Place where = Place::current());
Tensor leaky_relu(const Tensor& x, const LeakyReluOptions& options = {},
                  Place where = Place::current());
Tensor tanh(const Tensor& x, const LayerOptions& options = {}, Place where = Place::current());
Tensor sigmoid(const Tensor& x, const LayerOptions& options = {}, Place where = Place::current());
// 1.7159 tanh(2 x / 3), LeNet-5's: close to the identity for x = -1 and 1.
Tensor lecun_tanh(const Tensor& x, const LayerOptions& options = {},
                  Place where = Place::current());
// x where x > 0, alpha * (e^x - 1) elsewhere
Tensor elu(const Tensor& x, const EluOptions& options = {}, Place where = Place::current());
// x * sigmoid(x), also called swish
Tensor silu(const Tensor& x, const LayerOptions& options = {}, Place where = Place::current());
// relu6(x + 3) / 6, and x times that
Tensor hard_sigmoid(const Tensor& x, const LayerOptions& options = {},
                    Place where = Place::current());
Tensor hard_swish(const Tensor& x, const LayerOptions& options = {},
                  Place where = Place::current());
// x * tanh(log(1 + e^x))
Tensor mish(const Tensor& x, const LayerOptions& options = {}, Place where = Place::current());
// log(1 + e^x)
Tensor softplus(const Tensor& x, const LayerOptions& options = {}, Place where = Place::current());
// x times the share of the standard normal distribution below x
Tensor gelu(const Tensor& x, const GeluOptions& options = {}, Place where = Place::current());
// x where x > 0, slope * x elsewhere, with a trained slope for each channel, or one.
Tensor prelu(const Tensor& x, const PreluOptions& options = {}, Place where = Place::current());
// The largest of some affine maps: dense layers of (F), to (units), or convolutions of (C, H, W),
// to (units, H, W).
Tensor maxout(const Tensor& x, int units, const MaxoutOptions& options = {},
              Place where = Place::current());
// (F) to (units): the squared distance of the features from a trained centre for each unit,
// LeNet-5's output units. Sums of squares and a product are combined, so the error is 1e-6 of these
// sums.
Tensor rbf(const Tensor& x, int units, const RbfOptions& options = {},
           Place where = Place::current());

// Over the features of a sample, or over the channels at each position of a map: probabilities that
// sum to 1, or their logarithms. classify() takes scores, not these.
Tensor softmax(const Tensor& x, const LayerOptions& options = {}, Place where = Place::current());
Tensor log_softmax(const Tensor& x, const LayerOptions& options = {},
                   Place where = Place::current());

// Over some axes, 0 being the channels or the features, 1 the height, 2 the width; these get extent
// 1, so the result can be combined with x again: x * sigmoid(mean(x, {1, 2})).
Tensor sum(const Tensor& x, const std::vector<int64_t>& axes, const LayerOptions& options = {},
           Place where = Place::current());
Tensor mean(const Tensor& x, const std::vector<int64_t>& axes, const LayerOptions& options = {},
            Place where = Place::current());

// Element by element; both of one shape, or with an extent of 1, which is repeated; one may also be
// a number (), or have one value for each channel (C).
Tensor add(const Tensor& a, const Tensor& b, const LayerOptions& options = {},
           Place where = Place::current());
Tensor subtract(const Tensor& a, const Tensor& b, const LayerOptions& options = {},
                Place where = Place::current());
Tensor multiply(const Tensor& a, const Tensor& b, const LayerOptions& options = {},
                Place where = Place::current());
Tensor divide(const Tensor& a, const Tensor& b, const LayerOptions& options = {},
              Place where = Place::current());
// Where both are equal, each gets half of the gradient.
Tensor maximum(const Tensor& a, const Tensor& b, const LayerOptions& options = {},
               Place where = Place::current());
Tensor minimum(const Tensor& a, const Tensor& b, const LayerOptions& options = {},
               Place where = Place::current());
// factor * x
Tensor scale(const Tensor& x, double factor, const LayerOptions& options = {},
             Place where = Place::current());
// x + term
Tensor shift(const Tensor& x, double term, const LayerOptions& options = {},
             Place where = Place::current());
// numerator / x
Tensor reciprocal(const Tensor& x, double numerator = 1, const LayerOptions& options = {},
                  Place where = Place::current());
// min(max(x, low), high); the derivative is 0 at and behind the ends.
Tensor clip(const Tensor& x, double low, double high, const LayerOptions& options = {},
            Place where = Place::current());
// What is no number is as in C: the logarithm or the root of a negative number, say. The
// exponential ends at the largest number. Derivatives are those of PyTorch: that of the root at 0
// is no number.
Tensor exp(const Tensor& x, const LayerOptions& options = {}, Place where = Place::current());
Tensor log(const Tensor& x, const LayerOptions& options = {}, Place where = Place::current());
Tensor sqrt(const Tensor& x, const LayerOptions& options = {}, Place where = Place::current());
Tensor abs(const Tensor& x, const LayerOptions& options = {}, Place where = Place::current());
Tensor pow(const Tensor& x, double exponent, const LayerOptions& options = {},
           Place where = Place::current());

// Along an axis, 0 being the channels or the features; all other extents are equal.
Tensor concatenate(const std::vector<Tensor>& parts, const AxisOptions& options = {},
                   Place where = Place::current());
// (C, H, W) to (C * H * W), channels first in the order of features: c * H * W + y * W + x.
Tensor flatten(const Tensor& x, const LayerOptions& options = {}, Place where = Place::current());
// The same values in the same order, in another shape. One extent may be -1: what is left for it.
Tensor reshape(const Tensor& x, const std::vector<int64_t>& shape, const LayerOptions& options = {},
               Place where = Place::current());

// Cells around a map: `padding` on all sides, {vertical, horizontal} or {top, bottom, left, right}.
// A mirror shows no cell twice, so `reflect` needs more cells than are padded, `symmetric` as many.
Tensor pad(const Tensor& x, const Padding& padding, const PadOptions& options = {},
           Place where = Place::current());
// The map without so many cells of its sides, given as those of pad().
Tensor crop(const Tensor& x, const Padding& cells, const LayerOptions& options = {},
            Place where = Place::current());
// Cells `begin`, begin + step, … before `end` of an axis; numbers below 0 count from its end, as in
// NumPy.
Tensor slice(const Tensor& x, const SliceOptions& options, Place where = Place::current());
// `parts` equal parts along an axis, or parts of these many cells each, which are all there are.
std::vector<Tensor> split(const Tensor& x, int parts, const AxisOptions& options = {},
                          Place where = Place::current());
std::vector<Tensor> split(const Tensor& x, const std::vector<int64_t>& cells,
                          const AxisOptions& options = {}, Place where = Place::current());
// Axis a of the result is axis order[a] of x: {0, 2, 1} exchanges height and width.
Tensor transpose(const Tensor& x, const std::vector<int64_t>& order,
                 const LayerOptions& options = {}, Place where = Place::current());
// These axes in reverse: {2} mirrors a map left to right.
Tensor flip(const Tensor& x, const std::vector<int64_t>& axes, const LayerOptions& options = {},
            Place where = Place::current());
// Channel g * (C / groups) + i becomes channel i * groups + g, so that a grouped convolution behind
// it reads channels of every group (ShuffleNet).
Tensor channel_shuffle(const Tensor& x, int groups, const LayerOptions& options = {},
                       Place where = Place::current());
// (C * factor^2, H, W) to (C, H * factor, W * factor): the channels c * factor^2 + i * factor + j
// become the cells in row i and column j of a square, and the other way round (space to depth). Of
// a line `factor` channels are one, of a volume factor^3.
Tensor pixel_shuffle(const Tensor& x, int factor, const LayerOptions& options = {},
                     Place where = Place::current());
Tensor pixel_unshuffle(const Tensor& x, int factor, const LayerOptions& options = {},
                       Place where = Place::current());
// A map `factor` times as high and wide, or of another `size`, smaller ones too. Cells look at the
// place of their centre: `nearest` copies the cell there, `bilinear` weighs those on both sides of
// it along each axis, as PyTorch does without align_corners and Keras always does.
Tensor upsample(const Tensor& x, const UpsampleOptions& options = {},
                Place where = Place::current());

// For each channel: (x - mean) / sqrt(variance + epsilon) * gamma + beta, with the statistics of
// the batch in training and running ones in inference.
Tensor batch_norm(const Tensor& x, const BatchNormOptions& options = {},
                  Place where = Place::current());
// For each sample: (x - mean) / sqrt(variance + epsilon) * gamma + beta, with the statistics of the
// positions and channels of a group, C / groups channels side by side; gamma and beta for each
// channel. In training and in inference alike.
Tensor group_norm(const Tensor& x, int groups, const GroupNormOptions& options = {},
                  Place where = Place::current());
// The same over the positions of each channel by itself.
Tensor instance_norm(const Tensor& x, const GroupNormOptions& options = {},
                     Place where = Place::current());
// The same over all values of a sample. gamma and beta are of a channel, where PyTorch has one of
// each for every value of a map.
Tensor layer_norm(const Tensor& x, const LayerNormOptions& options = {},
                  Place where = Place::current());
// x / (k + alpha * S)^beta with S the sum of the squares of `size` neighbouring channels: AlexNet's
// local response normalisation.
Tensor local_response_norm(const Tensor& x, const LocalResponseNormOptions& options = {},
                           Place where = Place::current());
// Nothing in inference. spatial_dropout drops whole channels; gaussian_noise adds normal numbers.
Tensor dropout(const Tensor& x, const DropoutOptions& options = {}, Place where = Place::current());
Tensor spatial_dropout(const Tensor& x, const DropoutOptions& options = {},
                       Place where = Place::current());
Tensor gaussian_noise(const Tensor& x, const GaussianNoiseOptions& options = {},
                      Place where = Place::current());

// Indices and graphs: an index is an input of Model::indices.

// (L) to (width, L): for each index the vector of that word in a trained table, `NAME.w` of shape
// (width, vocabulary), the transpose of PyTorch's and Keras's. Its gradient is summed over the
// words that occur alone. Vectors learnt elsewhere come in a file of weights, and
// m.freeze("NAME.w") keeps them. An index beyond the vocabulary is refused when the program runs.
Tensor embedding(const Tensor& index, int vocabulary, int width,
                 const EmbeddingOptions& options = {}, Place where = Place::current());
// (C, V) to (C, L): column index[l] of x for each l; zeros for the padding index.
Tensor gather(const Tensor& x, const Tensor& index, const IndexOptions& options = {},
              Place where = Place::current());
// (C, L) to (C, columns): the sum of the values whose index is the column's, in their order; those
// of the padding index go nowhere.
Tensor scatter_sum(const Tensor& values, const Tensor& index, int columns,
                   const IndexOptions& options = {}, Place where = Place::current());

// The same with the largest of them, and zeros where there is none. The gradient goes to the first
// of equal values.
Tensor scatter_max(const Tensor& values, const Tensor& index, int columns,
                   const IndexOptions& options = {}, Place where = Place::current());

// A graph is a tensor (C, V), the features of each vertex, with an edge list (2, E), an index whose
// row 0 is where each edge begins and row 1 where it ends (PyTorch Geometric's edge_index). V and E
// are the most that a sample has: what is left of the list is -1, and a vertex without edges is
// nobody's neighbour. An edge without direction stands there twice, once each way.

// (C, V) to (C, V): the sum, the mean or the largest of the neighbours from which an edge comes;
// zeros where there are none.
Tensor neighbor_pool(const Tensor& x, const Tensor& edges, const NeighborPoolOptions& options = {},
                     Place where = Place::current());
// (C, V) to (filters, V): with the weights W (filters, C) and the edges and self-loops A,
//     y = D^-1/2 A D^-1/2 (W x) + b,  D the number of edges that end at a vertex, at least 1
// (Kipf and Welling, Semi-supervised Classification with Graph Convolutional Networks, 2017,
// equation 2). Without `normalize`, y = A (W x) + b.
Tensor graph_conv(const Tensor& x, const Tensor& edges, int filters,
                  const GraphConvOptions& options = {}, Place where = Place::current());
// (C, V) to (C): the sum, the mean or the largest of all vertices.
Tensor graph_pool(const Tensor& x, const GraphPoolOptions& options = {},
                  Place where = Place::current());
// (C, V) to (C, graphs): the same of each graph of a sample. `graph_of`, indices (V), says which
// one a vertex belongs to, and -1 that it belongs to none, as what is left of V (PyTorch
// Geometric's batch). Zeros for a graph without vertices.
Tensor graph_pool(const Tensor& x, const Tensor& graph_of, int graphs,
                  const GraphPoolOptions& options = {}, Place where = Place::current());

// Layers made of others

// gate * layer + (1 - gate) * x, where the gate is a sigmoid layer of x: dense, or a convolution.
// `layer` has the shape of x.
Tensor highway(const Tensor& x, const Tensor& layer, const HighwayOptions& options = {},
               Place where = Place::current());
// A layer that is left out of a share of the samples, in front of a residual sum: x + its result.
// The others are scaled by 1 / (1 - rate); nothing in inference.
Tensor stochastic_depth(const Tensor& layer, const StochasticDepthOptions& options = {},
                        Place where = Place::current());
// Each channel of a map times a gate that two dense layers make of the means of all channels:
// NAME.squeeze and NAME.excite.
Tensor squeeze_excitation(const Tensor& x, const SqueezeExcitationOptions& options = {},
                          Place where = Place::current());

// An operand of + - * /, a tensor or a number, with the place of the expression: operators take no
// default arguments of their own. x / 3 is x times 1 / 3.
struct Operand {
    Operand(const Tensor& t, Place w = Place::current()) : tensor(&t), where(w) {}
    Operand(double n, Place w = Place::current()) : number(n), where(w) {}
    const Tensor* tensor = nullptr;  // null: the number
    double number = 0;
    Place where;
};
Tensor operator+(const Operand& a, const Operand& b);
Tensor operator-(const Operand& a, const Operand& b);
Tensor operator*(const Operand& a, const Operand& b);
Tensor operator/(const Operand& a, const Operand& b);
Tensor operator-(const Operand& x);

class Model {
  public:
    // `name` becomes the prefix of libraries and programs: a letter, then letters, digits, '_' and
    // '-'.
    explicit Model(const std::string& name, Place where = Place::current());
    Model(const Model&) = delete;
    Model& operator=(const Model&) = delete;

    // A tensor that each sample brings: {features}, {channels, height, width}, {channels, length}
    // or {channels, depth, height, width}. The first input is the picture (or whatever is
    // classified).
    Tensor input(const std::string& name, const std::vector<int64_t>& shape,
                 Place where = Place::current());

    // Whole numbers that each sample brings, (length) or (rows, length): words of a text, ends of
    // edges. The layers that read them say how many there are to choose from; the library and the
    // programs refuse a call with others.
    Tensor indices(const std::string& name, const std::vector<int64_t>& shape,
                   Place where = Place::current());

    // A trained tensor of the model's own: a number {}, one value for each channel {C}, or a map
    // {C, H, W}, a line {C, L} or a volume {C, D, H, W}, any extent of it 1 where the value is to
    // be repeated: `x * m.parameter("gain", {})`. Its name is that of its weights in freeze() and
    // no_decay(). The weights of a map are one row of numbers, c * H * W + y * W + x.
    Tensor parameter(const std::string& name, const std::vector<int64_t>& shape,
                     const Init& init = Init::zeros(), Place where = Place::current());

    // Softmax cross-entropy of scores (K) with a class index, its mean over the samples; also the
    // outputs "scores" and "probabilities", and "correct", the right answers of a step. With
    // several classifiers all but one have a name; "the" accuracy, loss of validation and class of
    // a picture are those of the one without a name, else of the first in the model, and the
    // programs show the accuracy of each by its name.
    // Of scores (K, H, W) each pixel is classified, with a map (1, H, W) of class indices: a mean
    // over the pixels that count, whose number is "counted"; the accuracy is correct / counted. So
    // is each position of a line (K, L) or a volume (K, D, H, W).
    void classify(const Tensor& scores, const ClassifyOptions& options = {},
                  Place where = Place::current());
    // Softmax cross-entropy of scores, (K) or those of each position, with a distribution, which a
    // program refuses where it does not sum to 1; also the outputs "scores" and "probabilities".
    void cross_entropy(const Tensor& scores, const CrossEntropyOptions& options = {},
                       Place where = Place::current());
    // Cross-entropy of the sigmoid of each score with its target: takes scores (logits) of any
    // shape; the output "prediction" is their sigmoid.
    void binary_cross_entropy(const Tensor& scores, const BinaryCrossEntropyOptions& options = {},
                              Place where = Place::current());
    // The mean of max(0, 1 - target * score), squared if so; also the output "prediction".
    void hinge(const Tensor& scores, const HingeOptions& options = {},
               Place where = Place::current());
    // The hinge loss of several classes: the sum over the others of max(0, margin - score of the
    // label + their score), squared if so, divided by their number and the label's class; also the
    // outputs "scores" and "correct".
    void multi_margin(const Tensor& scores, const MultiMarginOptions& options = {},
                      Place where = Place::current());
    // The mean of (prediction - target)^2 over features and samples; also the output "prediction",
    // as of the three losses below.
    void mean_squared_error(const Tensor& prediction, const MeanSquaredErrorOptions& options = {},
                            Place where = Place::current());
    // The mean of |prediction - target|.
    void mean_absolute_error(const Tensor& prediction, const MeanAbsoluteErrorOptions& options = {},
                             Place where = Place::current());
    // The mean of d^2 / 2 where |d| = |prediction - target| is at most delta, else of
    // delta * (|d| - delta / 2).
    void huber(const Tensor& prediction, const HuberOptions& options = {},
               Place where = Place::current());
    // huber divided by beta: of box regression. A beta of 0 is mean_absolute_error.
    void smooth_l1(const Tensor& prediction, const SmoothL1Options& options = {},
                   Place where = Place::current());
    // Any other loss: the mean of `value` over everything. A model that has no losses but these, of
    // its own values, learns from rows alone: the program that trains it reads no labels.
    void loss(const Tensor& value, const LossOptions& options = {}, Place where = Place::current());

    // Hands a tensor out of the inference library under this name. A model with outputs and without
    // a loss is for inference alone: no training library is built.
    void output(const std::string& name, const Tensor& value, Place where = Place::current());

    void optimizer(const Optimizer& optimizer, Place where = Place::current());
    // Names of the classes, by index.
    void classes(const std::vector<std::string>& names, Place where = Place::current());
    // The picture's channels become (pixel / 255 - mean) / deviation.
    void normalize(const std::vector<double>& mean, const std::vector<double>& deviation,
                   Place where = Place::current());
    // What happens to each picture that is trained on, in each epoch anew; those of validation,
    // test and inference stay as they are.
    void augment(const std::vector<AugmentPiece>& pieces, const AugmentationOptions& options = {},
                 Place where = Place::current());
    // Keeps the weights of all layers that match as they are: '*' stands for any text ("conv*",
    // "conv1.w"). A batch norm whose gamma and beta are both frozen normalises by its running
    // statistics in training too, and these stay as they are; dropout goes on dropping.
    void freeze(const std::string& pattern, Place where = Place::current());
    // Exempts all weights that match from weight decay ("*.b"), and from an L1 penalty.
    void no_decay(const std::string& pattern, Place where = Place::current());
    // The learning rate of all weights that match is `factor` times that of the schedule; of
    // several patterns that match one, the last call's holds.
    void learning_rate(const std::string& pattern, double factor, Place where = Place::current());

  private:
    friend struct internal::Access;
    std::shared_ptr<internal::ModelState> state_;
};

// Prints the model's mistakes and returns 1; without any, does what the command line says (build,
// show, summary, train) and returns the exit code: 0 done, 1 failed, 2 wrong usage.
int compile(const Model& model, int argc, char** argv);

}  // namespace emulsion

#include "dsl/signal.h"
#include "dsl/unsupervised.h"
