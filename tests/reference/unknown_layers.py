"""Layers from papers, as PyTorch computes them in double precision: the values in tests/reference/unknown_layers.txt, with
which tests/reference/unknown_layers_test.cpp compares what a user writes of the DSL's layers.

    PYTHON tests/reference/unknown_layers.py > tests/reference/unknown_layers.txt      # with torch 2.15
"""
import torch
import torch.nn.functional as F
from stored_values import print_layers


def conv(case, x, part, filters, kernel=1, groups=1, bias=True, **options):
    """The layer NAME.part, whose weights are NAME.part.w and NAME.part.b."""
    k = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    w = case.weight(f"{part}.w", filters, x.shape[1] // groups, *k)
    b = case.weight(f"{part}.b", filters) if bias else None
    options.setdefault("padding", (k[0] // 2, k[1] // 2))
    return F.conv2d(x, w, b, groups=groups, **options)


def dense(case, x, part, units):
    return F.linear(x, case.weight(f"{part}.w", units, x.shape[1]), case.weight(f"{part}.b", units))


def per_channel(case, part, channels):
    return case.weight(part, channels)[:, None, None]


# Attention between positions

def attended(q, k, v, factor):
    """q, k, v: samples, channels, positions."""
    shares = torch.softmax(factor * q.transpose(1, 2) @ k, 2)
    return v @ shares.transpose(1, 2)


def self_attention(case, x):
    q, k, v = (conv(case, x, part, 4).flatten(2) for part in "qkv")
    return x + attended(q, k, v, 0.5).reshape(x.shape)


def multi_head_attention(case, x):
    q, k, v = (conv(case, x, part, 4).flatten(2).chunk(2, 1) for part in "qkv")
    heads = [attended(*head, 0.7) for head in zip(q, k, v)]
    return conv(case, torch.cat(heads, 1).reshape(x.shape), "out", 4)


def non_local(case, x):
    q, k, v = (conv(case, x, part, 2).flatten(2) for part in ("theta", "phi", "g"))
    return x + conv(case, attended(q, k, v, 1).reshape(-1, 2, *x.shape[2:]), "out", 4)


def linear_attention(case, x):
    q, k, v = (conv(case, x, part, 3).flatten(2) for part in "qkv")
    context = torch.softmax(k, 2) @ v.transpose(1, 2)  # (key, value)
    return (context.transpose(1, 2) @ torch.softmax(q, 1)).reshape(-1, 3, *x.shape[2:])


def global_context(case, x):
    shares = torch.softmax(conv(case, x, "mask", 1).flatten(1), 1)
    context = torch.einsum("ncp,np->nc", x.flatten(2), shares)
    return x + dense(case, F.relu(dense(case, context, "squeeze", 2)), "excite", 4)[..., None, None]


# Attention to channels and places

def squeeze_excite(case, x):
    s = F.relu(dense(case, x.mean((2, 3)), "squeeze", 2))
    return x * torch.sigmoid(dense(case, s, "excite", 6))[..., None, None]


def scse(case, x):
    return squeeze_excite(case, x) + x * torch.sigmoid(conv(case, x, "place", 1))


def gather_excite(case, x):
    return x * torch.sigmoid(F.interpolate(F.avg_pool2d(x, 2), scale_factor=2))


def eca(case, x):
    s = x.mean((2, 3))[:, None, :, None]
    return x * torch.sigmoid(conv(case, s, "across", 1, (3, 1), bias=False).transpose(1, 2))


def cbam(case, x):
    pooled = torch.stack([x.mean((2, 3)), x.amax((2, 3))], 2)[..., None]
    s = conv(case, F.relu(conv(case, pooled, "squeeze", 2)), "excite", 4)
    x = x * torch.sigmoid(s.sum(2, keepdim=True))
    places = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
    return x * torch.sigmoid(conv(case, places, "place", 1, 3))


def coordinate_attention(case, x):
    rows, columns = x.mean(3, keepdim=True), x.mean(2, keepdim=True).transpose(2, 3)
    s = F.hardswish(conv(case, torch.cat([rows, columns], 2), "squeeze", 2))
    rows, columns = s[:, :, :x.shape[2]], s[:, :, x.shape[2]:].transpose(2, 3)
    return x * torch.sigmoid(conv(case, rows, "rows", 4)) * torch.sigmoid(conv(case, columns, "columns", 4))


def strip_pooling(case, x):
    rows = conv(case, x.mean(3, keepdim=True), "rows", 3, (3, 1))
    columns = conv(case, x.mean(2, keepdim=True), "columns", 3, (1, 3))
    return x * torch.sigmoid(conv(case, F.relu(rows + columns), "out", 3))


def simam(case, x):
    square = (x - x.mean((2, 3), keepdim=True)) ** 2
    variance = square.sum((2, 3), keepdim=True) / (x.shape[2] * x.shape[3] - 1)
    return x * torch.sigmoid(square / (4 * (variance + 1e-4)) + 0.5)


def selective_kernel(case, x):
    branches = [F.relu(conv(case, x, "near", 4, 3)), F.relu(conv(case, x, "far", 4, 3, dilation=2, padding=2))]
    s = F.relu(dense(case, sum(branches).mean((2, 3)), "squeeze", 2))
    shares = torch.softmax(torch.stack([dense(case, s, "near_share", 4), dense(case, s, "far_share", 4)], 1), 1)
    return sum(branch * shares[:, i, :, None, None] for i, branch in enumerate(branches))


def film(case, x):
    about = x.mean((2, 3))
    return (1 + dense(case, about, "gamma", 4)[..., None, None]) * x + dense(case, about, "beta", 4)[..., None, None]


# Gates and activations

def gated_conv(case, x):
    return F.elu(conv(case, x, "feature", 3, 3)) * torch.sigmoid(conv(case, x, "gate", 3, 3))


def geglu(case, x):
    a, b = dense(case, x, "in", 6).chunk(2, 1)
    return dense(case, a * F.gelu(b), "out", 5)


def frelu(case, x):
    return torch.maximum(x, conv(case, x, "funnel", 3, 3, groups=3))


# Normalisation

def normalized_channels(case, x, part):
    channels = x.shape[1]
    x = x - x.mean(1, keepdim=True)
    x = x / torch.sqrt((x * x).mean(1, keepdim=True) + 1e-6)
    return x * per_channel(case, f"{part}.gamma", channels) + per_channel(case, f"{part}.beta", channels)


def convnext(case, x):
    y = normalized_channels(case, conv(case, x, "depthwise", 4, 7, groups=4), "norm")
    y = conv(case, F.gelu(conv(case, y, "wide", 16)), "narrow", 4)
    return x + per_channel(case, "scale", 4) * y


def rms_norm(case, x):
    return F.rms_norm(x, (6,), case.weight("gamma", 6), 1e-6)


def global_response_norm(case, x):
    size = torch.sqrt((x * x).sum((2, 3), keepdim=True) + 1e-6)
    share = size / (size.mean(1, keepdim=True) + 1e-6)
    return per_channel(case, "gamma", 4) * (x * share) + per_channel(case, "beta", 4) + x


# Convolutions

def ghost_module(case, x):
    y = F.relu(conv(case, x, "primary", 3))
    return torch.cat([y, F.relu(conv(case, y, "cheap", 3, 3, groups=3))], 1)


def inverted_residual(case, x):
    y = F.relu6(conv(case, x, "expand", 6))
    y = F.relu6(conv(case, y, "depthwise", 6, 3, groups=6))
    return x + conv(case, y, "project", 3)


def aspp(case, x):
    branches = [conv(case, x, "one", 2)]
    branches += [conv(case, x, f"rate{rate}", 2, 3, dilation=rate, padding=rate) for rate in (2, 3)]
    pooled = conv(case, x.mean((2, 3), keepdim=True), "picture", 2)
    return conv(case, torch.cat([*branches, pooled.expand_as(branches[0])], 1), "out", 3)


def spatial_pyramid(case, x):
    return torch.cat([F.adaptive_max_pool2d(x, bins).flatten(1) for bins in (1, 2, 4)], 1)


def shuffle_unit(case, x):
    left, y = x.chunk(2, 1)
    y = F.relu(conv(case, y, "before", 3))
    y = F.relu(conv(case, conv(case, y, "depthwise", 3, 3, groups=3), "after", 3))
    return F.channel_shuffle(torch.cat([left, y], 1), 2)


def res2net(case, x):
    first, *others = x.chunk(3, 1)
    parts, before = [first], 0
    for i, part in enumerate(others):
        before = F.relu(conv(case, part + before, f"scale{i}", 2, 3))
        parts.append(before)
    return torch.cat(parts, 1)


def conditional_conv(case, x):
    shares = torch.sigmoid(dense(case, x.mean((2, 3)), "route", 2))
    return sum(shares[:, i, None, None, None] * conv(case, x, f"expert{i}", 3, 3) for i in range(2))


def involution(case, x):
    kernel = conv(case, x, "kernel", 9)  # one filter of 3x3 for each position
    patches = F.unfold(x, 3, padding=1).reshape(x.shape[0], x.shape[1], 9, *x.shape[2:])
    return (patches * kernel[:, None]).sum(2)


def cosine_dense(case, x):
    w = case.weight("w", 3, 5)
    return 4 * F.linear(x / torch.sqrt((x * x).sum(1, keepdim=True) + 1e-6),
                        w / torch.sqrt((w * w).sum(1, keepdim=True) + 1e-6))


print_layers({
    "self_attention": ((4, 2, 3), self_attention),
    "multi_head_attention": ((4, 2, 3), multi_head_attention),
    "non_local": ((4, 3, 2), non_local),
    "linear_attention": ((3, 2, 3), linear_attention),
    "global_context": ((4, 2, 3), global_context),
    "squeeze_excite": ((6, 2, 3), squeeze_excite),
    "scse": ((6, 2, 3), scse),
    "gather_excite": ((2, 4, 2), gather_excite),
    "eca": ((5, 2, 3), eca),
    "cbam": ((4, 3, 4), cbam),
    "coordinate_attention": ((4, 2, 3), coordinate_attention),
    "strip_pooling": ((3, 3, 4), strip_pooling),
    "simam": ((2, 3, 3), simam),
    "selective_kernel": ((3, 4, 3), selective_kernel),
    "film": ((4, 2, 3), film),
    "gated_conv": ((2, 4, 3), gated_conv),
    "glu": ((6, 2, 2), lambda case, x: F.glu(x, 1)),
    "geglu": ((5,), geglu),
    "crelu": ((3, 2, 2), lambda case, x: torch.cat([F.relu(x), F.relu(-x)], 1)),
    "frelu": ((3, 3, 4), frelu),
    "layer_norm_of_positions": ((5, 2, 3), lambda case, x: normalized_channels(case, x, "norm")),
    "rms_norm": ((6,), rms_norm),
    "global_response_norm": ((4, 3, 2), global_response_norm),
    "convnext": ((4, 4, 5), convnext),
    "ghost_module": ((4, 3, 3), ghost_module),
    "inverted_residual": ((3, 4, 3), inverted_residual),
    "spatial_pyramid": ((2, 4, 8), spatial_pyramid),
    "aspp": ((2, 5, 4), aspp),
    "shuffle_unit": ((6, 3, 3), shuffle_unit),
    "res2net": ((6, 3, 3), res2net),
    "conditional_conv": ((2, 4, 3), conditional_conv),
    "involution": ((2, 3, 4), involution),
    "cosine_dense": ((5,), cosine_dense),
})
