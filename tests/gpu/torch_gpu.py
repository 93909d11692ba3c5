"""Speed of PyTorch on the first GPU of CUDA, in f32: prints lines of tests/bench/peers/README.md.

Usage: python torch_gpu.py NET train|infer BATCH eager|eager_cl|compile|graphs tf32_off|tf32_on

Networks and work are those of tests/bench/peers, and what a step of Emulsion does on a device: samples come from the
host in each step, from pinned memory and on a stream of its own while the step before runs (in inference of one picture
in front of it, as each is waited for); in inference the scores go back; nothing else is waited for but the end of a
window. `eager` has maps channels first, the others channels last; `compile` is torch.compile (in inference with frozen
weights), `graphs` replays one CUDA graph.
"""
import sys
from pathlib import Path

import torch
import torch._inductor.config
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench/peers"))
import measure
import nets

WARM_UP = 3  # steps before a graph is captured


class Feed:
    """Two places on the GPU that the samples of steps are copied to in turn, while the step before runs if `ahead`."""

    def __init__(self, tensors, ahead):
        self.ahead = ahead
        self.host = [tensor.pin_memory() for tensor in tensors]
        self.slots = [[tensor.cuda() for tensor in tensors] for _ in range(2)]
        self.side = torch.cuda.Stream()
        self.copied = [torch.cuda.Event() for _ in range(2)]
        self.read = [torch.cuda.Event() for _ in range(2)]
        self.turn = 0
        torch.cuda.synchronize()

    def next(self):
        """The samples of the next step; the other place is filled again once the step before has read it."""
        if not self.ahead:
            for slot, host in zip(self.slots[0], self.host):
                slot.copy_(host, non_blocking=True)
            return self.slots[0]
        main = torch.cuda.current_stream()
        self.read[self.turn].record(main)
        before, self.turn = self.turn, 1 - self.turn
        main.wait_event(self.copied[self.turn])
        with torch.cuda.stream(self.side):
            self.side.wait_event(self.read[before])
            for slot, host in zip(self.slots[before], self.host):
                slot.copy_(host, non_blocking=True)
            self.copied[before].record(self.side)
        return self.slots[self.turn]


def captured(work, examples):
    """A function of samples that copies them to where one CUDA graph of work(*examples) reads, and replays it."""
    static = [tensor.clone() for tensor in examples]
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            work(*static)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = work(*static)

    def replay(*samples):
        for place, tensor in zip(static, samples):
            place.copy_(tensor)
        graph.replay()
        return result

    return replay


def training(net, model):
    """A function of images and labels: one step, without the wait for it."""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.001, momentum=0.9)

    def work(x, y):
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return work


def main():
    name, mode, batch, variant, tf32 = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5]
    if mode not in ("train", "infer") or variant not in ("eager", "eager_cl", "compile", "graphs") or \
            tf32 not in ("tf32_off", "tf32_on"):
        sys.exit(__doc__.split("\n\n")[1])
    if not torch.cuda.is_available():
        sys.exit(f"PyTorch {torch.__version__} finds no GPU")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32 == "tf32_on"
    torch.backends.cudnn.benchmark = True

    net = nets.build(name).cuda()
    x, y = nets.batch_of(name, batch)
    if variant != "eager":
        net, x = net.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    is_training = mode == "train"
    net.train(is_training)
    model = net
    if variant == "compile":
        torch._inductor.config.freezing = not is_training
        model = torch.compile(net)

    is_latency = not is_training and batch == 1
    feed = Feed([x, y] if is_training else [x], ahead=not is_latency)
    with torch.set_grad_enabled(is_training):
        work = training(net, model) if is_training else model
        if variant == "graphs":
            work = captured(work, feed.next())
        scores = None if is_training else work(*feed.next()).cpu().pin_memory()

        def step():
            result = work(*feed.next())
            if scores is not None:
                scores.copy_(result, non_blocking=True)
            return result

        def one():
            step()
            torch.cuda.synchronize()

        labels = dict(peer=f"torch_{variant}_{tf32}", version=torch.__version__, net=name, mode=mode, threads=0)
        if is_latency:
            measure.latency(measure.latencies(one), batch, **labels)
        else:
            measure.throughput(measure.repeat(step, finish=torch.cuda.synchronize), batch, **labels)
        if not torch.isfinite(step()).all():
            sys.exit("its result is not finite")


main()
