"""Pictures of what units see: those of a program built with --saliency against loops in double precision."""
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from product_files import decode_png, read_tensor

ROOT = Path(os.environ.get("EMULSION_SOURCE_DIR", Path(__file__).resolve().parents[2]))
EMULSION = Path(os.environ.get("EMULSION_BINARY_DIR", ROOT / "build")) / "bin" / "emulsion"
HEIGHT, WIDTH = 8, 10
FACTOR = 23  # by which pictures are enlarged, to 224 pixels and more: ceil(224 / 10)
faults = []


def check(condition, text):
    if not condition:
        faults.append(text)
        print("FAULT:", text)


def run(folder, *words):
    result = subprocess.run(words, cwd=folder, text=True, capture_output=True, timeout=300)
    check(result.returncode == 0, f"{' '.join(map(str, words))} ends with {result.returncode}: {result.stderr}")
    return result.stdout


class Network:
    """The network of saliency_net.cpp, forward and backward; maps are dictionaries from (channel, row, column)."""

    def __init__(self, weights):
        def named(name):
            return read_tensor(weights, name)
        self.w1, self.b1, self.w2, self.b2, self.w3, self.b3 = (
            named(f"{layer}.{part}") for layer in ("conv1", "conv2", "dense1") for part in "wb")

    @staticmethod
    def taps(shape, height, width):
        """All (place in the weights, output, input) of a 3 x 3 convolution that keeps the size."""
        out, inner = shape[:2]
        for o in range(out):
            for i in range(inner):
                for k in range(9):
                    for r in range(height):
                        for c in range(width):
                            row, column = r + k // 3 - 1, c + k % 3 - 1
                            if 0 <= row < height and 0 <= column < width:
                                yield (o * inner + i) * 9 + k, (o, r, c), (i, row, column)

    def forward(self, pixels):
        """Of 8-bit pixels: the values before each rectifier, the winners of the pooling, and the maps."""
        image = {(0, i // WIDTH, i % WIDTH): value / 255 for i, value in enumerate(pixels)}
        a = {(o, r, c): bias for o, bias in enumerate(self.b1[1]) for r in range(HEIGHT) for c in range(WIDTH)}
        for place, to, source in self.taps(self.w1[0], HEIGHT, WIDTH):
            a[to] += self.w1[1][place] * image[source]
        winners = {(o, r, c): max(((o, 2 * r + y, 2 * c + x) for y in (0, 1) for x in (0, 1)),
                                  key=lambda place: max(a[place], 0))
                   for o in range(3) for r in range(HEIGHT // 2) for c in range(WIDTH // 2)}
        b = {(o, r, c): bias for o, bias in enumerate(self.b2[1]) for r in range(HEIGHT // 2) for c in range(WIDTH // 2)}
        for place, to, source in self.taps(self.w2[0], HEIGHT // 2, WIDTH // 2):
            b[to] += self.w2[1][place] * max(a[winners[source]], 0)
        return a, winners, b

    def scores(self, b):
        inputs = self.w3[0][1]
        return [bias + sum(self.w3[1][k * inputs + i] * max(value, 0) for i, value in enumerate(b.values()))
                for k, bias in enumerate(self.b3[1])]

    def backward(self, state, gradient, rule):
        """From the gradient of the maps to that of the image, as a list."""
        a, winners, b = state
        gradient = {place: rule(b[place], value) for place, value in gradient.items()}
        pooled = dict.fromkeys(winners, 0.0)
        for place, to, source in self.taps(self.w2[0], HEIGHT // 2, WIDTH // 2):
            pooled[source] += self.w2[1][place] * gradient[to]
        inner = dict.fromkeys(a, 0.0)
        for place, winner in winners.items():
            inner[winner] += pooled[place]
        inner = {place: rule(a[place], value) for place, value in inner.items()}
        image = {(0, r, c): 0.0 for r in range(HEIGHT) for c in range(WIDTH)}
        for place, to, source in self.taps(self.w1[0], HEIGHT, WIDTH):
            image[source] += self.w1[1][place] * inner[to]
        return list(image.values())


RULES = {"gradient": lambda x, g: g if x > 0 else 0, "guided": lambda x, g: max(g, 0) if x > 0 else 0,
         "deconvolution": lambda x, g: max(g, 0)}


def shown(values, rule):
    """As the program draws them."""
    largest = max(map(abs, values))
    return [255 * abs(value) / largest if rule == "gradient" else 127.5 + 127.5 * value / largest for value in values]


def check_saliency(folder, network, pictures, rule):
    given = [] if rule == "gradient" else ["--backward", rule]
    lines = run(folder, "out/seen-infer", "--weights", "w", "--saliency", rule, *given, *pictures).splitlines()
    check(len(lines) == len(pictures), f"{rule}: {lines}")
    for i, (name, pixels) in enumerate(pictures.items()):
        height, width, png = decode_png((folder / rule / f"0000{i}-{name[:-4]}.png").read_bytes())
        check((height, width) == (HEIGHT * FACTOR, WIDTH * FACTOR), f"{rule}: {height} x {width}")
        state = network.forward(pixels)
        scores = network.scores(state[2])
        best, inputs = scores.index(max(scores)), network.w3[0][1]
        seeds = dict(zip(state[2], network.w3[1][best * inputs:]))
        expected = shown(network.backward(state, seeds, RULES[rule]), rule)
        found = [png[r * FACTOR * width + c * FACTOR] for r in range(HEIGHT) for c in range(WIDTH)]
        aside = max(abs(a - b) for a, b in zip(found, expected))
        check(aside <= 0.51, f"{rule} of {name}: {aside} aside")
        check(f": {best} " in lines[i], f"{rule}: {lines[i]} is not of {best}")


def check_strongest(folder, network, pictures):
    """One part of each channel: that of the picture whose unit is the strongest, cut where the unit sees nothing."""
    run(folder, "out/seen-infer", "--weights", "w", "--strongest", "strong", "--output", "maps", "--top", "1", *pictures)
    height, width, png = decode_png((folder / "strong" / "00000-maps.png").read_bytes())
    states = {name: network.forward(pixels) for name, pixels in pictures.items()}
    parts = []
    for channel in range(4):
        value, place, name = max((value, place, name) for name, state in states.items()
                                 for place, value in state[2].items() if place[0] == channel)
        if value <= 0:
            parts.append(None)
            continue
        seeds = dict.fromkeys(states[name][2], 0.0)
        seeds[place] = 1.0
        gradient = network.backward(states[name], seeds, RULES["deconvolution"])
        rows = sorted({i // WIDTH for i, value in enumerate(gradient) if value})
        columns = sorted({i % WIDTH for i, value in enumerate(gradient) if value})
        cut = [r * WIDTH + c for r in range(rows[0], rows[-1] + 1) for c in range(columns[0], columns[-1] + 1)]
        parts.append((rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1, [pictures[name][i] for i in cut],
                      shown([gradient[i] for i in cut], "deconvolution")))
    side = max(max(part[:2]) for part in parts if part)
    factor = -(-32 // side)
    check(any(parts), "no channel is excited")
    across = width // (side * factor)  # tiles in a row, of two parts one above the other
    for channel, part in enumerate(parts):
        top = 2 + channel // across * (2 * side * factor + 2)
        left = 2 + channel % across * (side * factor + 2)
        for half in (0, 1):
            tile = [[png[(top + (half * side + r) * factor) * width + left + c * factor] for c in range(side)]
                    for r in range(side)]
            expected = [[0] * side for _ in range(side)]
            if part:
                above, before = (side - part[0]) // 2, (side - part[1]) // 2
                for i, value in enumerate(part[2 + half]):
                    expected[above + i // part[1]][before + i % part[1]] = value
            aside = max(abs(a - b) for row, wanted in zip(tile, expected) for a, b in zip(row, wanted))
            check(aside <= 0.51, f"channel {channel}, half {half}: {aside} aside")


def main():
    random.seed(3)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run(folder, EMULSION, "build", ROOT / "tests/programs/saliency_net.cpp", "-o", "out", "--batch", "2", "--saliency")
        run(folder, "out/seen-train", "--data", "synthetic", "--steps", "1", "--weights", "w", "--quiet")
        pictures = {}
        for file in ("a.pgm", "b.pgm", "c.pgm"):
            pictures[file] = bytes(random.randrange(256) for _ in range(HEIGHT * WIDTH))
            (folder / file).write_bytes(b"P5 10 8 255\n" + pictures[file])
        network = Network(folder / "w")
        for rule in RULES:
            check_saliency(folder, network, pictures, rule)
        check_strongest(folder, network, pictures)
    return 1 if faults else 0


sys.exit(main())
