"""Single ops of PyTorch, eager, for tests/bench/ops, which asks line by line: python torch_ops.py THREADS CLOCK

Of the expressions in tests/bench/ops_cases.txt. `both` is the result and the gradients of all inputs and trained tensors from
a given gradient of the result, of a loss from 1; one that is the given one's memory is copied, as it is Emulsion's. `step` is
a step with an optimiser's update.
"""
import re
import statistics
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import optim

torch.manual_seed(1)
TABLE = Path(__file__).resolve().parents[1] / "ops_cases.txt"
clock = time.perf_counter if sys.argv[2] == "wall" else time.process_time
LAYOUTS = {4: torch.channels_last, 5: torch.channels_last_3d}


class Op:
    """One case in one layout. Its tensors are made when the expression is first evaluated, and taken in turn then."""

    def __init__(self, line, mode, is_last):
        _, _, batch, inputs, _, self.text = [part.strip() for part in line.split(" | ")]
        self.mode, self.is_last, self.has_layouts = mode, is_last, False
        self.made, self.next = [], 0
        self.trained, self.updates = [], None
        self.names = {name: getattr(self, name) for name in
                      ("w", "c", "positive", "label", "distribution", "copied", "optimiser")}
        self.names.update(torch=torch, F=F, optim=optim, trains=mode != "forward")
        try:
            from torchvision.ops import deform_conv2d
            self.names["deform_conv2d"] = deform_conv2d
        except ImportError:
            pass
        for text in inputs.split(","):
            self.add_input(text.strip(), int(batch))
        self.code = compile(self.text, self.text, "eval")
        self.dy = None

    def add_input(self, text, batch):
        if match := re.fullmatch(r"(\w+): indices ([\d ]+) of (\d+)", text):
            self.names[match[1]] = torch.randint(int(match[3]), (batch, *map(int, match[2].split())))
            return
        name, *shape = text.split()
        x = self.laid_out(2 * torch.rand(batch, *map(int, shape)) - 1)
        self.names[name] = self.differentiated(x) if self.mode == "both" else x

    def differentiated(self, tensor):
        if self.mode != "forward":
            tensor.requires_grad_()
            self.trained.append(tensor)
        return tensor

    def laid_out(self, tensor):
        self.has_layouts |= tensor.dim() in LAYOUTS
        return tensor.to(memory_format=LAYOUTS[tensor.dim()]) if self.is_last and tensor.dim() in LAYOUTS else tensor

    def kept(self, make):
        if self.next == len(self.made):
            self.made.append(make())
        self.next += 1
        return self.made[self.next - 1]

    # ---- What expressions call ----

    def w(self, *shape):
        scale = max(1, torch.Size(shape[1:]).numel()) ** -0.5
        return self.kept(lambda: self.differentiated(self.laid_out(torch.randn(*shape) * scale)))

    def c(self, *shape):
        return self.kept(lambda: self.laid_out(torch.randn(*shape)))

    def positive(self, *shape):
        return self.kept(lambda: self.laid_out(torch.rand(*shape)))

    def label(self, limit, *shape):
        return self.kept(lambda: torch.randint(limit, shape))

    def distribution(self, *shape):
        return self.kept(lambda: torch.rand(*shape).softmax(1))

    def copied(self, view):
        layout = LAYOUTS.get(view.dim()) if self.is_last else None
        return view.clone(memory_format=layout or torch.contiguous_format)

    def optimiser(self, loss, kind, norm=0, **options):
        if self.updates is None:
            self.updates = kind(self.trained, **options)
        self.updates.zero_grad(set_to_none=True)
        loss.backward()
        if norm:
            torch.nn.utils.clip_grad_norm_(self.trained, norm)
        self.updates.step()
        return loss

    # ---- Calls ----

    def result(self):
        self.next = 0
        return eval(self.code, self.names)

    def call(self):
        if self.mode == "forward":
            with torch.no_grad():
                return self.result()
        y = self.result()
        if self.mode == "step":
            return y
        if self.dy is None and y.dim() > 0:
            self.dy = torch.empty_like(y).uniform_(-1, 1)
        for gradient in torch.autograd.grad(y, self.trained, self.dy):
            if self.dy is not None and gradient.untyped_storage().data_ptr() == self.dy.untyped_storage().data_ptr():
                self.copied(gradient)
        return y

    def microseconds(self, seconds):
        for _ in range(2):
            self.call()
        times, end = [], time.perf_counter() + seconds
        while len(times) < 5 or time.perf_counter() < end:
            begin = clock()
            self.call()
            times.append(clock() - begin)
        return 1e6 * statistics.median(times)


LINES = {line.split(" | ")[0].strip().lstrip("*"): line for line in TABLE.read_text().splitlines()
         if line and not line.startswith("#")}
current = {}  # one case at a time has memory


def op_of(mode, name):
    """The case in its faster layout, or None where a library is missing."""
    if (mode, name) not in current:
        current.clear()
        best = None
        for is_last in (False, True):
            op = Op(LINES[name], mode, is_last)
            if is_last and not op.has_layouts:
                break
            try:
                us = op.microseconds(0.05)
            except NameError:
                break
            if best is None or us < best[0]:
                best = us, op
        current[mode, name] = best and best[1]
    return current[mode, name]


torch.set_num_threads(int(sys.argv[1]))
for line in sys.stdin:
    command, rest = line.strip().split(" ", 1)
    seconds = 0
    if command == "time":
        seconds, rest = rest.split(" ", 1)
    mode, name = rest.split(" ", 1)
    op = op_of(mode, name)
    if op is None:
        print("shape missing", flush=True)
    elif command == "shape":
        shape = op.call().shape
        print("shape", ",".join(map(str, shape[1:])), flush=True)
    else:
        print(f"time {op.microseconds(float(seconds)):.4f}", flush=True)
