#!/usr/bin/env python3
"""Writes the first pictures of Fashion-MNIST's test set as PNG files, named after what they show.

Usage: pictures.py FOLDER [COUNT]. Needs nothing but Python; the data is Debian's package dataset-fashion-mnist.
"""
import gzip
import struct
import sys
import zlib
from pathlib import Path

DATA = Path("/usr/share/datasets/fashion-mnist")
CLASSES = ["t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot"]


def png(width, height, pixels):
    """The bytes of a grey PNG file; pixels are row by row, one byte each."""
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"".join(b"\0" + pixels[y * width:(y + 1) * width] for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)  # 8 bits, grey, not interlaced
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def main():
    folder, count = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 10
    pictures = gzip.open(DATA / "t10k-images-idx3-ubyte.gz").read()
    labels = gzip.open(DATA / "t10k-labels-idx1-ubyte.gz").read()[8:]
    _, total, height, width = struct.unpack(">IIII", pictures[:16])
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(min(count, total)):
        pixels = pictures[16 + i * width * height:16 + (i + 1) * width * height]
        path = folder / f"{i:02}-{CLASSES[labels[i]]}.png"
        path.write_bytes(png(width, height, pixels))
        print(path)


main()
