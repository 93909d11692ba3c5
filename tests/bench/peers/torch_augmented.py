"""Trains the LeNet of tests/bench/augmented.cpp in PyTorch: the same data, batch, rates, flip and crop, made for whole
batches at once.

python torch_augmented.py FOLDER SEED EPOCHS THREADS; FOLDER holds the four files of Fashion-MNIST. Prints the seconds of the
epochs, without those of reading the data and of the test, and the accuracy of the test in percent.
"""
import gzip
import math
import sys
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

import nets

BATCH, RATE, MOMENTUM, SHIFT = 64, 0.05, 0.9, 2
folder, seed, epochs, threads = sys.argv[1], *map(int, sys.argv[2:5])
torch.set_num_threads(threads)


def idx(name, header):
    """The bytes behind the header of an IDX file."""
    with gzip.open(f"{folder}/{name}-ubyte.gz") as file:
        return torch.from_numpy(np.frombuffer(file.read(), np.uint8, offset=header).copy())


def part(name):
    """Pictures n x 1 x 28 x 28 of bytes, labels n."""
    return idx(f"{name}-images-idx3", 16).view(-1, 1, 28, 28), idx(f"{name}-labels-idx1", 8).long()


def drawn():
    """The network, with the initial weights that Emulsion's are drawn like."""
    net = nets.build("lenet").train()
    torch.manual_seed(seed)  # build() has one of its own
    for layer in net:
        if hasattr(layer, "weight"):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
    return net.to(memory_format=torch.channels_last)


def augmented(pictures):
    count, cells = len(pictures), torch.arange(28)
    flips = (torch.rand(count) < 0.5)[:, None, None, None]
    padded = F.pad(torch.where(flips, pictures.flip(3), pictures), (SHIFT,) * 4)
    rows, columns = (torch.randint(0, 2 * SHIFT + 1, (count, 1)) + cells for _ in range(2))
    return padded[torch.arange(count)[:, None, None], 0, rows[:, :, None], columns[:, None, :]][:, None]


x, y = part("train")
net = drawn()
optimizer = torch.optim.SGD(net.parameters(), lr=RATE, momentum=MOMENTUM)
steps, step = epochs * -(-len(x) // BATCH), 0
start = time.perf_counter()
for _ in range(epochs):
    order = torch.randperm(len(x))
    for i in range(0, len(x), BATCH):
        chosen = order[i:i + BATCH]
        optimizer.param_groups[0]["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * step / steps))
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(net(augmented(x[chosen]).float().div_(255)), y[chosen]).backward()
        optimizer.step()
        step += 1
seconds = time.perf_counter() - start
x, y = part("t10k")
net.eval()
with torch.no_grad():
    right = sum((net(x[i:i + 500] / 255).argmax(1) == y[i:i + 500]).sum().item() for i in range(0, len(x), 500))
print(f"{seconds:.2f} {100 * right / len(x):.2f}")
