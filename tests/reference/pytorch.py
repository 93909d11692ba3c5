"""Results and gradients of layers and losses as PyTorch computes them, in double precision: the values in
tests/reference/pytorch.txt, with which tests/reference/pytorch_test.cpp compares the layers of the same names.

    PYTHON tests/reference/pytorch.py > tests/reference/pytorch.txt      # with torch 2.15
"""
import math

import torch
import torch.nn.functional as F
from stored_values import SAMPLES, Case, labels, print_layers, values


def conv(filters, channels, kernel, bias=True, mode="constant", pads=None, **options):
    def layer(case, x):
        w = case.weight("w", filters, channels, *kernel)
        b = case.weight("b", filters) if bias else None
        return F.conv2d(F.pad(x, pads, mode) if pads else x, w, b, **options)
    return layer


def conv_transpose(channels, filters, kernel, **options):
    return lambda case, x: F.conv_transpose2d(
        x, case.weight("w", channels, filters, *kernel), case.weight("b", filters * options.get("groups", 1)), **options)


def line(case, x):
    return F.conv1d(x, case.weight("w", 2, 3, 4), case.weight("b", 2), stride=2, padding=1)


def line_transpose(case, x):
    return F.conv_transpose1d(x, case.weight("w", 2, 3, 3), case.weight("b", 3), stride=2, output_padding=1)


def volume(case, x):
    return F.conv3d(x, case.weight("w", 3, 2, 2, 3, 1), case.weight("b", 3), stride=(1, 2, 1), padding=(1, 1, 0))


def embedding(case, x):
    table = case.weight("w", 3, 6)  # (width, vocabulary)
    return x + F.embedding(labels(f"{case.name}.index", (SAMPLES, 5)), table.T).transpose(1, 2)


def largest_at(x, index, columns):
    """For each column the first of the largest of the values whose index it is; 0 where there is none."""
    reaches = index[:, None] == torch.arange(columns)[:, None]  # (SAMPLES, columns, L)
    candidates = torch.where(reaches[:, None], x[:, :, None], -torch.inf)
    first = candidates.detach().argmax(3, keepdim=True)
    return torch.where(reaches.any(2)[:, None], candidates.gather(3, first)[..., 0], 0)


def scatter_max(case, x):
    index = labels(f"{case.name}.index", (SAMPLES, x.shape[2]))
    y = torch.zeros(SAMPLES, x.shape[1], 5).scatter_reduce(2, index[:, None].expand_as(x), x, "amax", include_self=False)
    assert torch.equal(y, largest_at(x, index, 5))
    return y


def scatter_max_ties(case, x):
    return largest_at(x - x.detach(), labels(f"{case.name}.index", (SAMPLES, x.shape[2])), 4)


def sampled(x, down, right):
    """What lies at (down, right), each (SAMPLES, rows, columns), of maps: between cells bilinear, zeros outside."""
    places = [2 * at / (cells - 1) - 1 for at, cells in ((right, x.shape[3]), (down, x.shape[2]))]
    return F.grid_sample(x, torch.stack(places, 3), "bilinear", "zeros", align_corners=True)


def deform(x, offsets, mask, w, b, kernel, stride, dilation, padding, groups=1, offset_groups=1):
    """Equation 1 of Zhu and others, Deformable ConvNets v2, with torchvision's order of offsets: down, then right, for each tap."""
    rows, columns = (torch.arange(offsets.shape[axis + 2]) * stride[axis] - padding[axis] for axis in (0, 1))
    offsets = offsets.unflatten(1, (offset_groups, -1, 2))
    mask = mask.unflatten(1, (offset_groups, -1))
    channels = []
    for group, part in enumerate(x.chunk(offset_groups, 1)):
        taps = []
        for tap in range(kernel[0] * kernel[1]):
            p, q = divmod(tap, kernel[1])
            down, right = offsets[:, group, tap].unbind(1)
            at = sampled(part, rows[:, None] + p * dilation[0] + down, columns + q * dilation[1] + right)
            taps.append(at * mask[:, group, tap, None])
        channels.append(torch.stack(taps, 2))
    read = torch.cat(channels, 1).flatten(1, 2)  # (SAMPLES, channels * taps, rows, columns)
    return F.conv2d(read, w.flatten(1)[:, :, None, None], b, groups=groups)


def deform_conv(filters, channels, kernel, modulated=True, groups=1, offset_groups=1, **options):
    """Offsets, and the mask, are made by convolutions of the same kind."""
    def layer(case, x):
        def made(part, count):
            return F.conv2d(x, case.weight(f"{part}.w", count, channels, *kernel), case.weight(f"{part}.b", count), **options)
        taps = offset_groups * kernel[0] * kernel[1]
        offsets = made("offsets", 2 * taps)
        mask = torch.sigmoid(made("mask", taps)) if modulated else torch.ones(SAMPLES, taps, *offsets.shape[2:])
        w, b = case.weight("w", filters, channels // groups, *kernel), case.weight("b", filters)
        return deform(x, offsets, mask, w, b, kernel, **options, groups=groups, offset_groups=offset_groups)
    return layer


def batch_norm(case, x):
    channels = x.shape[1]
    mean, variance = values(f"{case.name}.running_mean", (channels,)), case.positive("running_variance", channels)
    y = F.batch_norm(x, mean, variance, case.weight("gamma", channels), case.weight("beta", channels), training=True)
    case.print("update running_mean", mean)
    case.print("update running_variance", variance)
    return y


def transform(x, n_fft, hop, window, border="reflect", center=True):
    """(SAMPLES, 1, L) to (SAMPLES, bins, frames), complex."""
    return torch.stft(x[:, 0], n_fft, hop, len(window), window, center, border, onesided=True, return_complex=True)


def stft(length, n_fft, hop, window, **options):
    def layer(case, x):
        y = transform(x, n_fft, hop, window, **options)
        return torch.cat([y.real, y.imag], 1)
    return (1, length), layer


def spectrogram(length, power, n_fft, hop, window, **options):
    return (1, length), lambda case, x: transform(x, n_fft, hop, window, **options).abs()**power


def mel_filters(bins, bands, rate, low, high, to_mel, to_hertz, equal_area):
    """As torchaudio.functional.melscale_fbanks has them: (bins, bands)."""
    frequencies = torch.linspace(0, rate // 2, bins)
    edges = to_hertz(torch.linspace(to_mel(low), to_mel(high), bands + 2))
    widths = edges.diff()
    apart = edges[None] - frequencies[:, None]
    filters = torch.minimum(-apart[:, :-2] / widths[:-1], apart[:, 2:] / widths[1:]).clamp(min=0)
    return filters * 2 / (edges[2:] - edges[:-2]) if equal_area else filters


def htk_mel(hertz):
    return 2595 * math.log10(1 + hertz / 700)


def slaney_mel(hertz):
    return hertz * 3 / 200 if hertz < 1000 else 15 + math.log(hertz / 1000) * 27 / math.log(6.4)


def slaney_hertz(mels):
    return torch.where(mels < 15, mels * 200 / 3, 1000 * torch.exp((mels - 15) * math.log(6.4) / 27))


def mel_bands(case, x):
    filters = mel_filters(9, 4, 8000, 0, 4000, htk_mel, lambda mels: 700 * (10**(mels / 2595) - 1), False)
    return (transform(x, 16, 4, torch.hann_window(16)).abs()**2).transpose(1, 2).matmul(filters).transpose(1, 2)


def mel_bands_slaney(case, x):
    filters = mel_filters(9, 3, 8000, 300, 3800, slaney_mel, slaney_hertz, True)
    return x.transpose(1, 2).matmul(filters).transpose(1, 2)


def activation(function):
    return (3, 2, 3), lambda case, x: function(3 * x)


LAYERS = {
    # Convolution
    "conv": ((3, 5, 7), conv(4, 3, (3, 3), padding=1)),
    "conv_strided": ((2, 7, 5), conv(3, 2, (3, 2), stride=(2, 1), padding=(1, 0))),
    "conv_dilated": ((2, 7, 6), conv(3, 2, (3, 3), dilation=(2, 1), padding=(2, 1))),
    "conv_strided_dilated": ((1, 9, 8), conv(2, 1, (2, 3), stride=2, dilation=(3, 2))),
    "conv_groups": ((4, 5, 4), conv(6, 2, (3, 3), groups=2, padding=1)),
    "conv_depthwise": ((3, 6, 5), conv(6, 1, (3, 3), groups=3, stride=2, padding=1)),
    "conv_one": ((5, 3, 1), conv(3, 5, (1, 1), bias=False)),
    "conv_row": ((2, 1, 9), conv(2, 2, (1, 7), padding=(0, 3))),
    "conv_same": ((2, 5, 6), conv(2, 2, (4, 3), pads=(1, 1, 1, 2))),
    "conv_reflect": ((2, 4, 5), conv(2, 2, (3, 3), pads=(2, 1, 1, 2), mode="reflect")),
    "conv_replicate": ((2, 4, 5), conv(2, 2, (3, 3), pads=(2, 1, 1, 2), mode="replicate")),
    "conv_transpose": ((3, 3, 4), conv_transpose(3, 2, (3, 3), stride=2, padding=1, output_padding=1)),
    "conv_transpose_wide": ((2, 3, 2), conv_transpose(2, 2, (2, 4), stride=(1, 3), output_padding=(0, 2))),
    "conv_transpose_dilated": ((2, 3, 4), conv_transpose(2, 3, (3, 2), stride=2, dilation=(2, 3), padding=(1, 2))),
    "conv_transpose_groups": ((4, 3, 3), conv_transpose(4, 2, (3, 3), stride=2, padding=1, groups=2)),
    "conv_line": ((3, 9), line),
    "conv_transpose_line": ((2, 4), line_transpose),
    "conv_volume": ((2, 3, 5, 3), volume),
    "deform_conv": ((2, 4, 5), deform_conv(3, 2, (3, 3), False, stride=(1, 1), dilation=(1, 1), padding=(1, 1))),
    "deform_conv_modulated": ((3, 7, 6), deform_conv(2, 3, (3, 2), stride=(2, 1), dilation=(1, 2), padding=(0, 1))),
    "deform_conv_groups": ((4, 5, 4), deform_conv(
        4, 4, (2, 3), groups=2, offset_groups=2, stride=(1, 2), dilation=(2, 1), padding=(1, 0))),
    "embedding": ((3, 5), embedding),
    "scatter_max": ((3, 6), scatter_max),
    "scatter_max_ties": ((2, 9), scatter_max_ties),
    "dense": ((5,), lambda case, x: F.linear(x, case.weight("w", 3, 5), case.weight("b", 3))),
    # Pooling
    "max_pool": ((2, 7, 5), lambda case, x: F.max_pool2d(x, 3, 2, 1)),
    "max_pool_up": ((2, 6, 5), lambda case, x: F.max_pool2d(x, (3, 2), 2, ceil_mode=True)),
    "max_pool_volume": ((2, 4, 3, 5), lambda case, x: F.max_pool3d(x, 2)),
    "average_pool_line": ((2, 8), lambda case, x: F.avg_pool1d(x, 3, 2, 1, count_include_pad=False)),
    "average_pool": ((2, 7, 5), lambda case, x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)),
    "average_pool_counted": ((2, 7, 5), lambda case, x: F.avg_pool2d(x, 3, 2, 1)),
    "average_pool_up": ((2, 6, 5), lambda case, x: F.avg_pool2d(x, (3, 2), 2, ceil_mode=True, count_include_pad=False)),
    "global_average_pool": ((3, 3, 5), lambda case, x: F.adaptive_avg_pool2d(x, 1).flatten(1)),
    "global_max_pool": ((3, 3, 5), lambda case, x: F.adaptive_max_pool2d(x, 1).flatten(1)),
    "max_unpool": ((2, 4, 6), lambda case, x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2)),
    # Normalisation
    "batch_norm": ((3, 2, 4), batch_norm),
    "batch_norm_volume": ((2, 2, 1, 3), batch_norm),
    "batch_norm_features": ((5,), batch_norm),
    "group_norm": ((6, 2, 3), lambda case, x: F.group_norm(x, 3, case.weight("gamma", 6), case.weight("beta", 6))),
    "instance_norm": ((3, 3, 4), lambda case, x: F.instance_norm(x, None, None, case.weight("gamma", 3), case.weight("beta", 3))),
    "layer_norm": ((7,), lambda case, x: F.layer_norm(x, (7,), case.weight("gamma", 7), case.weight("beta", 7))),
    "layer_norm_map": ((3, 2, 4), lambda case, x: F.group_norm(x, 1, case.weight("gamma", 3), case.weight("beta", 3))),
    "local_response_norm": ((7, 2, 2), lambda case, x: F.local_response_norm(x, 5, 0.1, 0.75, 1)),
    "local_response_norm_even": ((6, 1, 3), lambda case, x: F.local_response_norm(x, 4, 0.3, 0.5, 2)),
    # Spectra
    "stft": stft(37, 8, 3, torch.hann_window(8)),
    "stft_odd": stft(31, 9, 4, torch.hamming_window(6), center=False),
    "stft_odd_centered": stft(12, 7, 5, torch.ones(4)),
    "spectrogram": spectrogram(21, 2, 8, 2, torch.hann_window(5), border="constant"),
    "spectrogram_magnitude": spectrogram(25, 1, 10, 3, torch.hamming_window(10)),
    "mel_bands": ((1, 29), mel_bands),
    "mel_bands_slaney": ((9, 5), mel_bands_slaney),
    # Activations
    "relu": activation(F.relu),
    "relu6": activation(lambda x: F.relu6(4 * x)),
    "leaky_relu": activation(lambda x: F.leaky_relu(x, 0.1)),
    "tanh": activation(torch.tanh),
    "sigmoid": activation(torch.sigmoid),
    "elu": activation(lambda x: F.elu(x, 0.7)),
    "silu": activation(F.silu),
    "hard_sigmoid": activation(lambda x: F.hardsigmoid(2 * x)),
    "hard_swish": activation(lambda x: F.hardswish(2 * x)),
    "mish": activation(F.mish),
    "softplus": activation(F.softplus),
    "gelu": activation(F.gelu),
    "gelu_tanh": activation(lambda x: F.gelu(x, approximate="tanh")),
    "prelu": ((3, 2, 3), lambda case, x: F.prelu(x, case.weight("slope", 3))),
    "clip": activation(lambda x: F.hardtanh(x, -0.5, 1.5)),
    "softmax": activation(lambda x: F.softmax(x, 1)),
    "log_softmax": activation(lambda x: F.log_softmax(x, 1)),
    "exp": activation(torch.exp),
    "abs": activation(torch.abs),
    "log": activation(lambda x: torch.log(x.abs() + 0.5)),
    "sqrt": activation(lambda x: torch.sqrt(x.abs() + 0.5)),
    "pow": activation(lambda x: torch.pow(x.abs() + 0.5, 1.7)),
    # Structure
    "upsample": ((2, 2, 3), lambda case, x: F.interpolate(x, scale_factor=(2, 3))),
    "upsample_nearest": ((2, 4, 3), lambda case, x: F.interpolate(x, (7, 5), mode="nearest-exact")),
    "upsample_bilinear": ((2, 2, 3), lambda case, x: F.interpolate(x, scale_factor=2, mode="bilinear")),
    "upsample_size": ((2, 4, 3), lambda case, x: F.interpolate(x, (3, 7), mode="bilinear")),
    "channel_shuffle": ((6, 2, 1), lambda case, x: F.channel_shuffle(x, 3)),
    "pixel_shuffle": ((8, 2, 3), lambda case, x: F.pixel_shuffle(x, 2)),
    "pixel_shuffle_three": ((9, 3, 1), lambda case, x: F.pixel_shuffle(x, 3)),
    "pixel_unshuffle": ((2, 4, 6), lambda case, x: F.pixel_unshuffle(x, 2)),
    "transpose": ((2, 3, 4), lambda case, x: x.permute(0, 3, 1, 2)),
    "flip": ((2, 3, 2), lambda case, x: x.flip(2, 3)),
    "pad": ((2, 3, 3), lambda case, x: F.pad(x, (0, 2, 1, 1), value=0.5)),
    "pad_reflect": ((2, 3, 3), lambda case, x: F.pad(x, (0, 2, 1, 1), "reflect")),
    "mean": ((3, 2, 4), lambda case, x: x.mean((1, 3), keepdim=True)),
    "divide": ((3, 2, 2), lambda case, x: x / (case.weight("by", 3, 1, 1) + 2)),
    "maximum": ((3, 2, 2), lambda case, x: torch.maximum(x, case.weight("with", 1, 2, 2))),
}


def targets(case, shape, part="target"):
    return values(f"{case.name}.{part}", (SAMPLES, *shape))


def classify(shape, ignored=None, weights=None, **options):
    def loss(case, x):
        label = labels(f"{case.name}.label", (SAMPLES, *shape[1:]))
        w = torch.tensor(weights) if weights else None
        return F.cross_entropy(x, label, w, ignore_index=-100 if ignored is None else ignored, **options)
    return shape, loss


def distribution(case, shape):
    shares = targets(case, shape, "share").abs() + 0.125
    return shares / shares.sum(1, keepdim=True)


def binary(case, x, **options):
    return F.binary_cross_entropy_with_logits(3 * x, (targets(case, x.shape[1:], "probability") + 1) / 2, **options)


WEIGHTS = [0.5, 2.0, 1.25, 0.75]
LOSSES = {
    "classify": classify((5,)),
    "classify_smoothed": classify((4,), label_smoothing=0.1),
    "classify_weighted": classify((4,), weights=WEIGHTS),
    "classify_weighted_smoothed": classify((4,), weights=WEIGHTS, label_smoothing=0.2),
    "classify_ignored": classify((4,), ignored=1),
    "classify_pixels": classify((4, 3, 5), weights=WEIGHTS, ignored=2),
    "classify_line": classify((4, 7)),
    "classify_volume": classify((4, 2, 3, 2), weights=WEIGHTS, ignored=2, label_smoothing=0.1),
    "cross_entropy_volume": ((3, 2, 1, 4), lambda case, x: F.cross_entropy(x, distribution(case, (3, 2, 1, 4)))),
    "cross_entropy": ((5,), lambda case, x: F.cross_entropy(x, distribution(case, (5,)))),
    "cross_entropy_smoothed": ((5,), lambda case, x: F.cross_entropy(x, distribution(case, (5,)), label_smoothing=0.3)),
    "binary_cross_entropy": ((4, 2, 2), binary),
    "binary_cross_entropy_weighted": ((5,), lambda case, x: binary(case, x, pos_weight=torch.tensor(2.5))),
    "mean_squared_error": ((3, 2, 2), lambda case, x: F.mse_loss(3 * x, targets(case, (3, 2, 2)))),
    "mean_absolute_error": ((7,), lambda case, x: F.l1_loss(3 * x, targets(case, (7,)))),
    "huber": ((7,), lambda case, x: F.huber_loss(3 * x, targets(case, (7,)), delta=0.6)),
    "smooth_l1": ((7,), lambda case, x: F.smooth_l1_loss(3 * x, targets(case, (7,)), beta=0.6)),
    "multi_margin": ((5,), lambda case, x: F.multi_margin_loss(x, labels("multi_margin.label", (SAMPLES,)), margin=0.7)),
    "multi_margin_squared": ((5,), lambda case, x: F.multi_margin_loss(
        x, labels("multi_margin_squared.label", (SAMPLES,)), p=2)),
    "hinge": ((6,), lambda case, x: F.relu(1 - targets(case, (6,), "sign").sign() * 3 * x).mean()),
}

print_layers(LAYERS)
for name, (shape, loss) in LOSSES.items():
    case = Case(name)
    case.print_loss(loss(case, case.x(shape)))
