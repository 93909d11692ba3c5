// What a random model makes of maps alone: windows, and values in other places.
#include "tests/support/random_model.h"

namespace emulsion::test {

void RandomModel::grow_map() {
    if (maps_.empty()) return;
    const Tensor x = pick(maps_);
    if (one_in(4)) return attempt(maps_, [&] { return rearranged(x); });
    switch (below(27)) {
        case 25:
        case 26:
            return attempt(maps_, [&] { return local(x); });
        case 21:
            return attempt(maps_, [&] { return composite(x); });
        case 22:
            return attempt(maps_, [&] { return neighbours(x); });
        case 23:
        case 24:
            return attempt(maps_, [&] { return bent(x); });
        case 19:
            return attempt(maps_, [&] { return over_axes(x); });
        case 20:
            return attempt(maps_, [&] { return gated(x); });
        case 0:
        case 1:
            return pool(x);
        case 2:
            return attempt(maps_, [&] { return relu(x); });
        case 3:
        case 4:
            return pointwise(maps_, x);
        case 5:
        case 6:
            return attempt(maps_, [&] { return normalized(x); });
        case 7:
        case 8:
            return join(maps_, x);
        case 9:
            return attempt(maps_, [&] { return raw(x); });
        case 10:
            return attempt(maps_, [&] { return shared(x, "conv2d", 4); });
        case 11:
            return reshape_map(x);
        case 12:
        case 13:
            return block(x);
        default:
            return convolve(x);
    }
}

// ---- Windows ----

Padding RandomModel::padding_for(Size kernel) {
    switch (below(5)) {
        case 0:
            return valid;
        case 1:
            return Padding(below(kernel.h), below(kernel.h), below(kernel.w), below(kernel.w));
        case 2:
            return Padding(below(kernel.h + 2), below(kernel.w + 2));
        default:
            return same;
    }
}

Tensor RandomModel::grouped(const Tensor& x, ConvOptions options) {
    const int c = static_cast<int>(x.shape()[0]), multiplier = of({1, 1, 1, 2, 3});
    options.groups = one_in(2) ? c : divisor_of(c);
    return conv(x, options.groups * multiplier, options);
}

void RandomModel::convolve(const Tensor& x) {
    attempt(maps_, [&] {
        ConvOptions options;
        options.kernel = is_wide_ ? Size(of({3, 3, 3, 5, 1})) : size_of({1, 1, 2, 3, 3, 4, 5, 7});
        if (one_in(is_wide_ ? 8 : 3)) options.stride = size_of({1, 2, 2, 3, 4, 5, 6});
        if (one_in(6)) options.dilation = size_of({1, 2, 3});
        const Size reach((options.kernel.h - 1) * options.dilation.h + 1,
                         (options.kernel.w - 1) * options.dilation.w + 1);
        options.padding = padding_for(reach);
        if (one_in(8)) options.border = any_border();
        options.flip = one_in(12);
        options.bias = !one_in(3);
        options.untied_bias = one_in(12);
        if (one_in(5)) return grouped(x, options);
        return conv(x, channels(), options);
    });
}

Tensor RandomModel::local(const Tensor& x) {
    const auto c = static_cast<int>(x.shape()[0]);
    const Size kernel = size_of({1, 2, 3}), stride = one_in(3) ? size_of({1, 2, 3}) : Size(1);
    switch (below(4)) {
        case 0:
            return locally_connected(x, channels(),
                                     {.kernel = kernel,
                                      .stride = stride,
                                      .padding = padding_for(kernel),
                                      .bias = one_in(2)});
        case 1: {
            std::vector<std::vector<int>> table(static_cast<size_t>(1 + below(6)));
            for (std::vector<int>& filter : table) {
                for (int channel = 0; channel < c; channel++) {
                    if (one_in(2)) filter.push_back(channel);
                }
            }
            return conv(x, static_cast<int>(table.size()),
                        {.kernel = kernel,
                         .stride = stride,
                         .padding = same,
                         .flip = one_in(4),
                         .connections = table});
        }
        default:
            return deform_conv(x, channels(),
                               {.kernel = kernel,
                                .stride = stride,
                                .padding = padding_for(kernel),
                                .offsets = of({Offsets::per_position, Offsets::per_tap}),
                                .modulated = one_in(2),
                                .offset_groups = one_in(3) ? divisor_of(c) : 1});
    }
}

void RandomModel::pool(const Tensor& x) {
    attempt(maps_, [&] {
        PoolOptions options;
        options.window = size_of({1, 2, 2, 2, 3, 3, 4, 5, 6, 8});
        if (one_in(2)) options.stride = size_of({1, 1, 2, 3, 4, 6});
        if (one_in(2)) options.padding = padding_for(options.window);
        if (one_in(8)) options.border = any_border();
        options.round_up = one_in(3);
        options.count_padding = one_in(3);
        if (one_in(8)) return subsample(x, {.window = options.window});
        return one_in(2) ? max_pool(x, options) : average_pool(x, options);
    });
}

Tensor RandomModel::transposed(const Tensor& x) {
    ConvTransposeOptions options;
    options.kernel = is_wide_ ? Size(of({2, 3, 4})) : size_of({1, 2, 3, 3, 4, 5});
    options.stride = size_of({1, 2, 2, 3});
    if (one_in(6)) options.dilation = size_of({1, 2});
    switch (below(3)) {
        case 0:
            options.padding = same;
            break;
        case 1:
            options.padding = {below(2), below(2)};
            options.output_padding = {below(options.stride.h), below(options.stride.w)};
            break;
        default:
            break;
    }
    options.bias = !one_in(3);
    const int groups = one_in(4) ? static_cast<int>(x.shape()[0]) : 1;
    options.groups = groups;
    return conv_transpose(x, groups > 1 ? groups * of({1, 2}) : channels(), options);
}

void RandomModel::block(const Tensor& x) {
    const size_t before = maps_.size();
    convolve(x);
    if (maps_.size() == before) return;
    if (one_in(2)) attempt(maps_, [&] { return normalized(maps_.back()); });
    if (!one_in(3)) pointwise(maps_, maps_.back());
    if (one_in(2)) pool(maps_.back());
}

// ---- Values in other places ----

Tensor RandomModel::rearranged(const Tensor& x) {
    switch (below(14)) {
        case 13:
            return one_in(2) ? pixel_shuffle(x, 2) : pixel_unshuffle(x, of({1, 2, 3}));
        case 12:
            return unpooled(x);
        case 0:
            return pad(x, {below(3), below(2), below(3), below(2)}, {.border = any_border()});
        case 1:
            return crop(x, {below(2), below(3), below(2), below(3)});
        case 2:
            return slice(x, {.axis = below(3), .begin = below(3), .step = of({1, 1, 2, 3})});
        case 3:
            return concatenate({x, relu(x)}, {.axis = 1 + below(2)});
        case 4:
            return transpose(
                x, one_in(2) ? std::vector<int64_t>{0, 2, 1} : std::vector<int64_t>{2, 0, 1});
        case 5:
            return channel_shuffle(x, of({2, 2, 3, 4}));
        case 6:
            return flip(x, {below(3)});
        case 7:
            return upsampled(x);
        case 8: {
            const std::vector<Tensor> halves = split(x, 2, {.axis = below(3)});
            return one_in(2) ? halves[0] - halves[1] : halves[1];
        }
        case 9:
            return deepened(x);
        default:
            return transposed(x);
    }
}

Tensor RandomModel::unpooled(const Tensor& x) {
    const Size window = size_of({1, 2, 2, 3});
    const IndexedPool pooled =
        max_pool_with_indices(x, {.window = window, .stride = size_of({1, 2, 2})});
    return max_unpool(emulsion::tanh(pooled.value), pooled);
}

Tensor RandomModel::upsampled(const Tensor& x) {
    UpsampleOptions options;
    options.mode = of({Interpolation::nearest, Interpolation::bilinear});
    if (one_in(2)) {
        options.factor = size_of({1, 2, 2, 3});
    } else {
        options.size = size_of({1, 2, 5, 7, 9});
    }
    return upsample(x, options);
}

Tensor RandomModel::deepened(const Tensor& x) {
    const std::vector<int64_t> shape = x.shape();
    const std::vector<int64_t> other = one_in(2)
                                           ? std::vector<int64_t>{shape[0], -1}
                                           : std::vector<int64_t>{shape[1], shape[0], 1, shape[2]};
    return reshape(emulsion::tanh(reshape(x, other)), shape);
}

void RandomModel::reshape_map(const Tensor& x) {
    attempt(maps_, [&] {
        const std::vector<int64_t> from = x.shape();
        const std::vector<int64_t> to = one_in(2)
                                            ? std::vector<int64_t>{from[1], from[0], from[2]}
                                            : std::vector<int64_t>{from[0] * from[1], 1, from[2]};
        return reshape(x, to);
    });
}

}  // namespace emulsion::test
