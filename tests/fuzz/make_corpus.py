#!/usr/bin/env python3
"""Writes the valid files that the fuzzers start from into tests/fuzz/corpus, from nothing but this text and the files
of other tests. What fuzzing has added since stays."""
import gzip
import json
import struct
import zlib
from pathlib import Path

here = Path(__file__).parent
tests = here.parent


def put(target, name, data):
    folder = here / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())


def idx(*shape):
    count = 1
    for length in shape:
        count *= length
    return struct.pack(">BBBB", 0, 0, 8, len(shape)) + struct.pack(f">{len(shape)}I", *shape) + bytes(range(count))


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(color, depth, channels, *chunks, width=5, height=3, interlace=0):
    row = b"\0" + bytes(range(1, (width * depth * channels + 7) // 8 + 1))
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlace)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunk(*c) for c in chunks)
            + chunk(b"IDAT", zlib.compress(row * height, 0)) + chunk(b"IEND", b""))


def npy(kind, shape, data, fortran=False):
    header = f"{{'descr': '{kind}', 'fortran_order': {fortran}, 'shape': ({', '.join(map(str, shape))},), }}"
    text = header.encode() + b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def safetensors(metadata, *tensors):
    header, data = {"__metadata__": metadata}, b""
    for name, shape, values in tensors:
        bytes_ = struct.pack(f"<{len(values)}f", *values)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(bytes_)]}
        data += bytes_
    text = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + data


def checkpoint():
    """Without the checksum, which the fuzzer adds; the fake network's layout is found by fuzzing."""
    def text(value):
        return struct.pack("<Q", len(value)) + value.encode()
    numbers = struct.pack("<5Q", 0, 1, 2, 3, 4)
    return (b"EMUCKPT1" + text("fake") + text("0123456789abcdef") + text("sgd learning_rate=0.05 momentum=0.9")
            + numbers + text('{"history":[]}') + struct.pack("<2Q", 64, 64) + bytes(128))


def main():
    for name, shape in (("images", (2, 3, 4)), ("labels", (7,)), ("empty", (0, 28, 28))):
        put("idx", name, idx(*shape))
    put("idx", "images.gz", gzip.compress(idx(2, 2, 2), mtime=0))
    for color, channels in ((0, 1), (2, 3), (4, 2), (6, 4)):
        for depth in (8, 16):
            put("png", f"color{color}-{depth}", png(color, depth, channels))
    put("png", "grey2", png(0, 2, 1))
    put("png", "palette", png(3, 2, 1, (b"PLTE", bytes(range(12))), (b"tRNS", b"\x00\x80")))
    put("png", "transparent", png(0, 8, 1, (b"tRNS", b"\x00\x01"), (b"gAMA", struct.pack(">I", 45455))))
    for file in (tests / "runtime/files").iterdir():
        if file.suffix == ".png":
            put("png", file.stem, file.read_bytes())
        if file.suffix == ".jpg" and file.stat().st_size < 4096 and file.read_bytes()[:2] == b"\xff\xd8":
            put("jpeg", file.stem, file.read_bytes())
        if file.suffix == ".safetensors":
            put("weights", file.stem, file.read_bytes())
    facts = {"format": "emulsion-weights-1", "network": "fake", "signature": "0123456789abcdef", "input": "[1,4,4]"}
    put("weights", "good", safetensors(facts, ("dense1.w", [3, 16], [0.5] * 48), ("dense1.b", [3], [1, 2, 3]),
                                       ("loss1.mean", [1], [0.25])))
    put("index", "words", npy("<i4", (2, 3), struct.pack("<6i", 0, 4, 2, 1, 1, 3)))
    put("index", "edges", npy("<i8", (1, 2, 2), struct.pack("<4q", 0, 299, -1, 7)))
    put("index", "bytes", npy("|u1", (2, 3), bytes(range(5)) + b"\4"))
    put("index", "columns", npy("<i4", (2, 3), bytes(24), True))
    put("index", "words.csv", "label,a,b,c\n0,1,2,3\n2,4,0,0\n")
    put("index", "edges.csv", "0,1,2,299,-1\n")
    put("target", "maps", npy("|u1", (2, 2, 3), bytes([0, 1, 2, 3, 255, 0] * 2)))
    put("target", "numbers", npy("<f4", (2, 2), struct.pack("<4f", 0.5, -1, 2, 1e9)))
    put("target", "pictures", npy("<f4", (1, 3, 1, 2), struct.pack("<6f", *range(6))))
    put("target", "rows.csv", "0.5,-1,1,2,3,4\n1e3,0,0,0,0,0\n")
    put("target", "list", "faces/1.jpg 0.1 0.2 0.3 0.4 0.5 0.6\n\"a b.png\" 1 2 3 4 5 6\n")
    put("checkpoint", "good", checkpoint())
    for file in (tests / "errors").glob("*.emu"):
        put("model", file.stem, file.read_bytes())
    for network in ("mlp", "lenet"):
        put("model", network, (tests / f"golden/{network}.graph.txt").read_bytes())
    for i, text in enumerate(("", "kw=16 tx=7", "kw=16 th=12 kb=16 tb=48 order=0", "size=-1")):
        put("tiling", str(i), text)
    lines = (tests.parent / "schedules/tuned/lenet.records").read_text().splitlines()
    for i, line in enumerate(lines[1:]):
        put("record", f"shipped{i}", "\n".join((lines[0], line, "")))
    head = "machine=TestMachine-7-3-l1.32-l2.512-l3.4096-fma.16 isa=avx2 threads=2 recipe="
    put("record", "several", f'# by hand\n{lines[0]}\n{head}matmul@1 tiling="kw=16" default_us=150 tuned_us=1e2 spread=0 lock '
        f'group=batch=4 graph x\nbroken\n\n{head}direct@2 tiling="" default_us=1 tuned_us=2 spread=0.01 group=g\r\n')
    call = {"batch": 8, "samples": 8, "warm_up": 1, "measured": 3, "seconds": 0.5,
            "kernels": [{"name": "forward conv1 direct kw=16", "seconds": 0.25}]}
    put("profile", "good", json.dumps({
        "format": "emulsion-profile", "format_version": 1, "version": "0.1.0", "network": "lenet",
        "signature": "0123456789abcdef", "mode": "training", "variant": "avx2", "threads": 1, "planned_threads": 2,
        "machine": {"peak": 1e11, "bandwidth": [{"bytes": 262144, "read": 1e10, "write": 1e10}]}, "calls": [call]}))
    put("machine", "good", json.dumps({
        "format": "emulsion-machine", "format_version": 1, "class": "TestMachine-7-3-l1.32-l2.512-l3.4096-fma.16",
        "fma_gflops": 87.5, "bandwidth_gbs": 6.2}))
    put("description", "good", json.dumps({
        "version": "0.1.0", "network": "lenet", "signature": "0123456789abcdef", "infer_batches": [1, 8],
        "threads": 2, "parameters": 100, "multiply_adds": 1000,
        "optimizer": {"kind": "sgd", "learning_rate": 0.1, "momentum": 0.9, "nesterov": True},
        "schedule": {"kind": "step", "step_size": 10, "gamma": 0.5, "final": 0.0}, "defaults": {"epochs": 3}}))


main()
