// Networks of lines (C, L) and volumes (C, D, H, W), layer by layer. A layer that the DSL refuses,
// or that grows too large, is taken back.
#include <algorithm>
#include <stdexcept>

#include "dsl/emulsion.h"
#include "dsl/finish.h"
#include "dsl/layer.h"
#include "tests/support/random_choices.h"
#include "tests/support/random_network.h"

namespace emulsion::test {

namespace {

using internal::Access;

constexpr int64_t kMostElements = 2600;

class RandomAxes : RandomChoices {
  public:
    explicit RandomAxes(uint64_t seed)
        : RandomChoices(seed), axes_(seed % 2 == 0 ? 3 : 1), model_("axes") {}

    Network build() {
        x_ = model_.input("x", input_shape());
        const int layers = 2 + below(4);
        for (int i = 0; i < layers; i++) grow();
        const Tensor features = one_in(3)   ? global_average_pool(x_)
                                : one_in(2) ? global_max_pool(x_)
                                            : flatten(x_);
        if (one_in(3)) model_.output("map", x_);
        model_.classify(dense(features, of({2, 3, 5})));
        if (one_in(2)) model_.optimizer(adam());
        const FinishedModel finished = finish(model_);
        if (finished.network) return *finished.network;
        std::string text = "a random network has mistakes";
        for (const Diagnostic& mistake : finished.mistakes) text += "\n" + to_string(mistake);
        throw std::runtime_error(text);
    }

  private:
    int channels() { return of({1, 2, 3, 4, 6, 16, 17, 32}); }
    // One number for all axes, or one for each.
    Size size_of(std::initializer_list<int> choices) {
        const int first = of(choices);
        if (axes_ == 1 || !one_in(3)) return first;
        const int second = of(choices);
        return {first, second, of(choices)};
    }

    std::vector<int64_t> input_shape() {
        if (axes_ == 1) return {channels(), of({1, 2, 5, 7, 12, 16, 33})};
        return {of({1, 2, 3, 16}), of({1, 2, 4, 5}), of({1, 3, 4, 6}), of({1, 2, 5, 7})};
    }

    void attempt(const std::function<Tensor()>& layer) {
        internal::ModelState& state = Access::state(model_);
        internal::ModelState before = state;
        const Tensor y = layer();
        int64_t elements = 1;
        for (int64_t extent : y.shape()) elements *= extent;
        if (state.mistakes.size() == before.mistakes.size() && elements <= kMostElements) {
            earlier_ = x_;
            x_ = y;
        } else {
            state = std::move(before);
        }
    }

    void grow() {
        switch (below(12)) {
            case 8:
            case 9:
                return attempt([&] { return moved(); });
            case 10:
                return attempt([&] { return local(); });
            case 11:
                return attempt([&] { return composite(); });
            case 0:
                return attempt([&] { return max_pool(x_, pooling()); });
            case 1:
                return attempt([&] { return average_pool(x_, pooling()); });
            case 2:
                return attempt([&] { return transposed(); });
            case 3:
                return attempt([&] { return joined(); });
            case 4:
                return attempt([&] {
                    return one_in(2) ? batch_norm(x_, {.epsilon = 1e-2})
                                     : layer_norm(x_, {.epsilon = 1e-2});
                });
            default:
                attempt([&] { return convolved(); });
                if (one_in(2)) attempt([&] { return one_in(2) ? relu(x_) : emulsion::tanh(x_); });
        }
    }

    Padding padding() {
        if (one_in(3)) return same;
        if (axes_ == 1) return one_in(2) ? Padding(below(3)) : Padding(below(3), below(3));
        return one_in(2) ? Padding(below(2))
                         : Padding(below(2), below(3), below(3), below(2), below(2), below(3));
    }

    Tensor convolved() {
        const auto in = static_cast<int>(x_.shape()[0]);
        ConvOptions options;
        options.kernel = size_of({1, 2, 3, 3});
        options.stride = one_in(2) ? Size(1) : size_of({1, 2, 3});
        options.dilation = one_in(4) ? size_of({1, 2}) : Size(1);
        options.padding = padding();
        if (one_in(5)) options.border = of({Border::replicate(), Border::symmetric()});
        options.flip = one_in(6);
        options.untied_bias = one_in(5);
        const bool is_grouped = one_in(3) && in > 1;
        options.groups = !is_grouped ? 1 : in % 2 == 0 && one_in(2) ? 2 : in;
        const int filters = is_grouped ? in * (1 + below(2)) : channels();
        return conv(x_, filters, options);
    }

    // Values in other places.
    Tensor moved() {
        const int axis = below(axes_ + 1);
        switch (below(8)) {
            case 0:
                return pad(
                    x_, 1 + below(2),
                    {.border = of({Border::zeros(), Border::reflect(), Border::symmetric()})});
            case 1:
                return crop(x_, 1);
            case 2:
                return upsample(x_, {.factor = size_of({1, 2}),
                                     .mode = of({Interpolation::nearest, Interpolation::linear})});
            case 3:
                return one_in(2) ? pixel_shuffle(x_, 2) : pixel_unshuffle(x_, 2);
            case 4:
                return slice(x_, {.axis = axis, .begin = below(2), .step = of({1, 2})});
            case 5:
                return concatenate({x_, emulsion::tanh(x_)}, {.axis = axis});
            case 6:
                return flip(x_, {axis});
            default: {
                const IndexedPool pooled =
                    max_pool_with_indices(x_, {.window = size_of({1, 2}), .stride = 2});
                return max_unpool(pooled.value, pooled);
            }
        }
    }

    Tensor local() {
        if (axes_ == 3 || one_in(2)) {
            return locally_connected(
                x_, of({1, 3, 16}),
                {.kernel = size_of({1, 2, 3}), .stride = size_of({1, 2}), .padding = padding()});
        }
        return deform_conv(x_, channels(),
                           {.kernel = of({1, 2, 3}),
                            .stride = of({1, 1, 2}),
                            .padding = padding(),
                            .offsets = of({Offsets::per_position, Offsets::per_tap}),
                            .modulated = one_in(2)});
    }

    Tensor composite() {
        const auto in = static_cast<int>(x_.shape()[0]);
        switch (below(6)) {
            case 0:
                return squeeze_excitation(x_, {.units = 2});
            case 1:
                return highway(x_, conv(x_, in, {.padding = same, .activation = relu}));
            case 2:
                return maxout(x_, channels());
            case 3:
                return subsample(x_, {.window = size_of({1, 2})});
            case 4:
                return local_response_norm(x_, {.size = 3, .alpha = 0.5, .k = 1});
            default:
                return one_in(2) ? spatial_dropout(x_, {.rate = 0.25})
                                 : prelu(instance_norm(x_, {.epsilon = 1e-2}));
        }
    }

    Tensor transposed() {
        ConvTransposeOptions options;
        options.kernel = size_of({1, 2, 3});
        options.stride = size_of({1, 2});
        options.padding = one_in(2) ? valid : same;
        const auto in = static_cast<int>(x_.shape()[0]);
        options.groups = one_in(3) ? in : 1;
        return conv_transpose(x_, options.groups == 1 ? channels() : in, options);
    }

    PoolOptions pooling() {
        PoolOptions options;
        options.window = size_of({1, 2, 2, 3});
        if (one_in(2)) options.stride = size_of({1, 2});
        if (one_in(2)) options.padding = same;
        options.round_up = one_in(3);
        options.count_padding = one_in(3);
        return options;
    }

    Tensor joined() {
        const std::vector<int64_t> a = x_.shape(), b = earlier_.shape();
        if (a == b) return one_in(2) ? x_ + earlier_ : concatenate({x_, earlier_});
        return concatenate({x_, relu(x_)});
    }

    int axes_;
    Model model_;
    Tensor x_, earlier_;
};

}  // namespace

Network random_axes_network(uint64_t seed) { return RandomAxes(seed).build(); }

}  // namespace emulsion::test
