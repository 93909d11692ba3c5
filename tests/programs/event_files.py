"""Reads TensorBoard's event files without its package: TFRecord's framing and the fields of the messages by number
(event.proto, summary.proto, histogram.proto of TensorBoard)."""
import struct


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


assert crc32c(b"123456789") == 0xE3069283, "the published value of CRC-32C"


def masked(data):
    value = crc32c(data)
    return ((value >> 15 | value << 17 & 0xFFFFFFFF) + 0xA282EAD8) & 0xFFFFFFFF


def records(path):
    data = path.read_bytes()
    while data:
        (length, check), rest = struct.unpack("<QI", data[:12]), data[12:]
        assert check == masked(data[:8]), f"{path}: checksum of a length"
        assert struct.unpack("<I", rest[length:length + 4])[0] == masked(rest[:length]), f"{path}: checksum of a record"
        yield rest[:length]
        data = rest[length + 4:]


def varint(data, place):
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place


def fields(data):
    """Number and value of each field of a message."""
    place = 0
    while place < len(data):
        key, place = varint(data, place)
        kind = key & 7
        if kind == 0:
            value, place = varint(data, place)
        elif kind == 2:
            length, place = varint(data, place)
            value, place = data[place:place + length], place + length
        else:
            size = {1: 8, 5: 4}[kind]
            value, place = struct.unpack("<d" if kind == 1 else "<f", data[place:place + size])[0], place + size
        yield key >> 3, value


def doubles(data):
    return list(struct.unpack(f"<{len(data) // 8}d", data))


def value_of(data):
    """Tag and value of one entry of a summary."""
    entry = dict(fields(data))
    tag = entry[1].decode()
    if 2 in entry:
        return tag, entry[2]
    if 4 in entry:
        image = dict(fields(entry[4]))
        return tag, {"height": image[1], "width": image[2], "png": image[4]}
    histogram = dict(fields(entry[5]))
    names = {1: "min", 2: "max", 3: "num", 4: "sum"}
    found = {name: histogram.get(number, 0.0) for number, name in names.items()}
    return tag, found | {"limits": doubles(histogram[6]), "counts": doubles(histogram[7])}


def node_of(data):
    """Name, op, inputs and output shape of a node of the graph."""
    found = list(fields(data))
    texts = [(number, value.decode()) for number, value in found if number < 4]
    attribute = dict(fields(dict(found)[5]))
    assert attribute[1] == b"_output_shapes", attribute
    shape = dict(fields(dict(fields(attribute[2]))[1]))[7]
    sizes = [dict(fields(dim))[1] for _, dim in fields(shape)]
    return dict(texts)[1], dict(texts)[2], [text for number, text in texts if number == 3], sizes


def read_events(path):
    for record in records(path):
        event = {"step": 0}
        for number, value in fields(record):
            if number == 2:
                event["step"] = value
            elif number == 3:
                event["file_version"] = value.decode()
            elif number == 4:
                event["graph"] = [node_of(node) for _, node in fields(value)]
            elif number == 5:
                event["values"] = dict(value_of(entry) for _, entry in fields(value))
            elif number == 7 and dict(fields(value)).get(1) == 1:
                event["restart"] = None
        if "restart" in event:
            event["restart"] = event["step"]
        yield event
