"""Reads files that programs write, by hand: weights, and pictures of one channel."""
import json
import struct
import zlib
from pathlib import Path


def read_tensor(path, name):
    """Shape and values of a tensor of a weights file."""
    data = Path(path).read_bytes()
    length = int.from_bytes(data[:8], "little")
    entry = json.loads(data[8:8 + length])[name]
    begin, end = (8 + length + offset for offset in entry["data_offsets"])
    return entry["shape"], struct.unpack(f"<{(end - begin) // 4}f", data[begin:end])


def decode_png(png):
    """Height, width and bytes of a picture of one channel."""
    place, data, header = 8, b"", None
    while place < len(png):
        length, kind = struct.unpack(">I4s", png[place:place + 8])
        body = png[place + 8:place + 8 + length]
        header = body if kind == b"IHDR" else header
        data += body if kind == b"IDAT" else b""
        place += length + 12
    width, height, depth, color = struct.unpack(">2I2B", header[:10])
    assert (depth, color) == (8, 0), f"depth {depth} and colour {color}"
    raw, above, pixels = zlib.decompress(data), bytes(width), b""
    for y in range(height):
        way, row = raw[y * (width + 1)], bytearray(raw[y * (width + 1) + 1:(y + 1) * (width + 1)])
        for x in range(width):
            a, b, c = row[x - 1] if x else 0, above[x], above[x - 1] if x else 0
            nearest = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
            row[x] = row[x] + (0, a, b, (a + b) // 2, nearest)[way] & 255
        above = bytes(row)
        pixels += above
    return height, width, pixels
