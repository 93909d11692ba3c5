"""Writes JPEG files into ten folders of classes, FOLDER/0 … FOLDER/9, equal for equal arguments.

python jpegs.py FOLDER COUNT WIDTH HEIGHT [SPREAD], where both sides vary by the share SPREAD (0: none). Pictures are
noise of every scale, as much of each as photographs have; a file of 500 by 375 pixels takes some 60 KB.
"""
import sys
from pathlib import Path

import numpy
from PIL import Image

BASES = 64  # pictures that are drawn; others are parts of these, turned


def draw(generator, width, height):
    """RGB noise whose scales, from two pixels to the whole, weigh as much as they are long."""
    total = numpy.zeros((height, width, 3), numpy.float32)
    for level in range(1, 9):
        size = (max(2, height >> level), max(2, width >> level))
        for channel in range(3):
            noise = Image.fromarray(generator.standard_normal(size, numpy.float32))
            total[:, :, channel] += 2.0**(0.4 * level) * numpy.asarray(noise.resize((width, height), Image.BICUBIC))
    total += generator.standard_normal((height, width, 1), numpy.float32)
    return numpy.clip(128 + 48 * total / total.std(), 0, 255).astype(numpy.uint8)


def main():
    folder, (count, width, height) = Path(sys.argv[1]), map(int, sys.argv[2:5])
    spread = float(sys.argv[5]) if len(sys.argv) > 5 else 0
    generator = numpy.random.default_rng(1)
    most = int(width * (1 + spread)), int(height * (1 + spread))
    bases = [draw(generator, most[0] + 32, most[1] + 32) for _ in range(min(count, BASES))]
    for label in range(10):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
    for i in range(count):
        w, h = (round(side * (1 + spread * generator.uniform(-1, 1))) for side in (width, height))
        x, y = generator.integers(32, size=2)
        part = bases[i % len(bases)][y:y + h, x:x + w]
        picture = Image.fromarray(numpy.ascontiguousarray(part[::-1] if i // len(bases) % 2 else part))
        picture.save(folder / str(i % 10) / f"{i:06}.jpg", quality=90)


main()
