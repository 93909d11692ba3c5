"""What the scripts of stored values share: inputs that follow from their names, and the file they write.

A file of values has a line for each tensor of a case: its name, what it is ("y", "loss", "gradient NAME" or "update NAME"), and
its values in logical order.
"""
import sys

import torch

torch.set_default_dtype(torch.float64)
SAMPLES = 2


def hashed(name, index):
    """32 bits for a value of a tensor, as tests/reference/stored_values.cpp makes them."""
    h = 2166136261
    for byte in name.encode():
        h = (h ^ byte) * 16777619 & 0xFFFFFFFF
    h = (h + index * 0x9E3779B9) & 0xFFFFFFFF
    h = (h ^ h >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    h = (h ^ h >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    return h ^ h >> 16


def values(name, shape):
    """Numbers from -1 to 1, all of which f32 holds."""
    count = torch.Size(shape).numel()
    return torch.tensor([(hashed(name, i) >> 8) / 2**23 - 1 for i in range(count)]).reshape(shape)


def labels(name, shape):
    """Class indices below 4."""
    count = torch.Size(shape).numel()
    return torch.tensor([hashed(name, i) % 4 for i in range(count)]).reshape(shape)


class Case:
    """One layer or loss: `get` makes its tensors, and counts those whose gradient is wanted."""

    def __init__(self, name):
        self.name = name
        self.tensors = {}

    def input(self, part, shape):
        return values(f"{self.name}.{part}", (SAMPLES, *shape))

    def x(self, shape):
        """The input that is differentiated: a gradient is that of a number added to all samples."""
        self.tensors["dx"] = torch.zeros(shape, requires_grad=True)
        return self.input("x", shape) + self.tensors["dx"]

    def weight(self, part, *shape):
        self.tensors[part] = values(f"{self.name}.{part}", shape).requires_grad_()
        return self.tensors[part]

    def positive(self, part, *shape):
        return 0.5 + values(f"{self.name}.{part}", shape).abs()

    def print(self, what, tensor):
        numbers = " ".join(f"{v:.8g}" for v in tensor.detach().flatten().tolist())
        print(f"{self.name} {what} {numbers}")

    def print_gradients(self, loss):
        loss.backward()
        for part, tensor in self.tensors.items():
            self.print(f"gradient {part}", tensor.grad)

    def print_layer(self, y):
        """The result, and the gradients of the mean of its product with numbers."""
        self.print("y", y)
        self.print_gradients((y * values(f"{self.name}.r", y.shape)).mean())

    def print_loss(self, loss):
        self.print("loss", loss)
        self.print_gradients(loss)


def print_layers(layers):
    """Each a name, the shape of one sample, and a function of a case and a tensor."""
    print(f"# PyTorch {torch.__version__}: {sys.argv[0].split('/')[-1]}")
    for name, (shape, layer) in layers.items():
        case = Case(name)
        case.print_layer(layer(case, case.x(shape)))
