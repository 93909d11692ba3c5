"""Compares page.html, again.html and the event files in events/ with the run in run/; see report_test.sh."""
import base64
import html
import json
import struct
from pathlib import Path

from event_files import read_events
from pages import Page, seen_in_browser
from product_files import decode_png, read_tensor

CLASSES = ["<script>document.title = 'taken'</script>", "\"><img src=x onerror=alert(1)>", "a & b &amp; c", "it's", "Straße"]


def expect(found, wanted, what):
    assert found == wanted, f"{what}: found {found}, expected {wanted}"


def rows_of(page, table):
    """The cells of the rows of the table with this id."""
    names = [(name, attributes, "".join(text)) for name, attributes, text in page.found]
    begin = next(i for i, (name, attributes, _) in enumerate(names) if name == "table" and attributes.get("id") == table)
    rows = []
    for name, _, text in names[begin + 1:]:
        if name == "table":
            break
        if name == "tr":
            rows.append([])
        if name in ("td", "th"):
            rows[-1].append(text)
    return rows


def check_pictures(page):
    """The mistakes are pictures of the test part, and the filters are those of the weights."""
    labels = Path("data/t10k-labels-idx1-ubyte").read_bytes()[8:]
    pixels = Path("data/t10k-images-idx3-ubyte").read_bytes()[16:]
    shown = [attributes for name, attributes, _ in page.found if name == "img"]
    captions = page.texts("figcaption")[-len(shown):]
    for image, caption in zip(shown[:-1], captions):
        index = int(image["alt"].removeprefix("picture "))
        picture = decode_png(base64.b64decode(image["src"].removeprefix("data:image/png;base64,")))
        expect(picture, (12, 12, pixels[index * 144:(index + 1) * 144]), f"picture {index}")
        assert caption.startswith(CLASSES[labels[index]] + " taken for "), f"picture {index}: {caption}"
    (count, _, height, width), values = read_tensor("run/weights.safetensors", "conv1.w")
    _, across, found = decode_png(base64.b64decode(shown[-1]["src"].removeprefix("data:image/png;base64,")))
    most = max(map(abs, values))
    for i in range(count):
        top, left = i // 3 * (height + 1) + 1, i % 3 * (width + 1) + 1
        for y in range(height):
            for x in range(width):
                wanted = 127.5 + 127.5 * values[(i * height + y) * width + x] / most
                assert abs(found[(top + y) * across + left + x] - wanted) <= 0.51, f"filter {i} at {y}, {x}"
    return len(shown) - 1


def check_page(text, events, what):
    page = Page(text)
    expect(page.faults, [], what)
    assert not any(key in ("href", "onerror") for _, attributes, _ in page.found for key in attributes), f"{what}: other files"
    sources = [attributes["src"] for _, attributes, _ in page.found if "src" in attributes]
    assert sources and all(source.startswith("data:image/png;base64,") for source in sources), f"{what}: other files"
    expect([name for name, _, _ in page.found if name == "script"], [], f"{what}: scripts")
    test = [event for event in events if event["event"] == "test"][-1]
    confusion = test["confusion"]
    expect(rows_of(page, "confusion")[1:], [[str(i), *map(str, row)] for i, row in enumerate(confusion)], f"{what}: confusion")
    classes = rows_of(page, "classes")[1:]
    expect([row[1] for row in classes], CLASSES, f"{what}: classes")
    percent = [f"{100 * value:.2f} %" if value is not None else "-" for value in test["recall"]]
    expect([row[3] for row in classes], percent, f"{what}: recall")
    assert f"test accuracy {100 * test['accuracy']:.2f} % (" in "".join(page.texts("p")), f"{what}: test"
    told = {event["epoch"]: event for event in events if event["event"] == "epoch"}
    rows = rows_of(page, "epochs")[1:]
    expect([(row[0], row[1], row[3]) for row in rows],
           [(str(e), f"{told[e]['loss']:.4f}", f"{told[e]['validation']['loss']:.4f}") for e in (1, 2, 3)], f"{what}: epochs")
    wrong = sum(sum(row) - row[i] for i, row in enumerate(confusion))
    expect(check_pictures(page), min(wrong, 24), f"{what}: mistakes")
    charts = [attributes["aria-label"] for name, attributes, _ in page.found if name == "svg"]
    expect(charts, ["loss", "accuracy", "learning rate"], f"{what}: charts")
    curves = [attributes["points"] for name, attributes, _ in page.found if name == "polyline"]
    expect([len(points.split()) for points in curves[:4]], [3] * 4, f"{what}: points of curves")
    layers = rows_of(page, "layers")
    expect([row[:4] for row in layers[1:3]], [["image", "input", "1 x 12 x 12", ""], ["conv1", "conv2d", "8 x 12 x 12", "80"]],
           f"{what}: layers")
    times = json.loads(Path("profile.json").read_text())["calls"][0]["kernels"]
    shown = sum(float(row[6]) for row in layers[1:])
    assert abs(shown - 1e3 * sum(kernel["seconds"] for kernel in times)) < 0.001 * len(layers), f"{what}: times {layers}"
    assert any(float(row[6]) > 0 for row in layers[1:] if row[0] == "conv1"), f"{what}: no time of conv1"
    return page


def check_browser(text):
    """The browser sees the same tables, runs nothing, and shows the page on a telephone without scrolling sideways."""
    wrapped = Path("wrapped.html")
    wrapped.write_text(f'<iframe id="f" style="width:390px;height:800px;border:0" srcdoc="{html.escape(text, quote=True)}"></iframe>'
                       "<script>addEventListener('load', () => { const d = f.contentDocument, e = d.documentElement; document.title = "
                       "d.title + ' ' + (e.scrollWidth <= e.clientWidth) + ' ' + [...d.images].every(i => i.naturalWidth > 0); });</script>")
    seen = seen_in_browser(wrapped)
    if seen is None:
        return
    expect(Page(seen).texts("title"), ["report true true"], "title, width and pictures of the page on a telephone")
    seen = Page(seen_in_browser("page.html"))
    own = Page(text)
    for table in ("confusion", "classes", "epochs", "layers", "memory", "settings"):
        expect(rows_of(seen, table), rows_of(own, table), f"the browser's {table}")


def check_events(events):
    """Of each part, the last told value of each tag and step."""
    values, graph = {}, None
    for part in ("train", "validation", "test"):
        for file in sorted(Path("events", part).iterdir()):
            told = list(read_events(file))
            expect(told[0].get("file_version"), "brain.Event:2", f"first record of {file}")
            for event in told:
                if "restart" in event:
                    values = {key: value for key, value in values.items() if key[0] != part or key[2] < event["restart"]}
                graph = event.get("graph", graph)
                for tag, value in event.get("values", {}).items():
                    values[part, tag, event["step"]] = value
    single = lambda value: struct.unpack("<f", struct.pack("<f", value))[0]  # noqa: E731
    for event in events:
        if event["event"] == "epoch":
            for tag in ("loss", "accuracy", "learning_rate"):
                expect(values["train", tag, event["step"]], single(event[tag]), f"{tag} of step {event['step']}")
            expect(values["validation", "loss", event["step"]], single(event["validation"]["loss"]), "validation")
        if event["event"] == "step":
            expect(values["train", "running_loss", event["step"]], single(event["loss"]), "a line of progress")
    told = {event["step"] for event in events if event["event"] in ("epoch", "step")}
    expect({step for part, _, step in values if part == "train"} - told, set(), "steps that no run has")
    last = max(step for part, tag, step in values if tag == "loss" and part == "train")
    for name in ("conv1.w", "conv1.b", "dense1.w", "dense1.b"):
        shape, numbers = read_tensor("run/weights.safetensors", name)
        histogram = values["train", "weights/" + name, last]
        expect((histogram["min"], histogram["max"], histogram["num"]), (min(numbers), max(numbers), len(numbers)), name)
        counts = [sum(low <= number < high for number in numbers)
                  for low, high in zip([float("-inf"), *histogram["limits"]], histogram["limits"])]
        expect(histogram["counts"], counts, f"buckets of {name}")
        assert abs(histogram["sum"] - sum(numbers)) < 1e-9 * len(numbers), name
    any_count = 2 ** 64 - 1
    expect(graph[:4], [("image", "input", [], [any_count, 1, 12, 12]), ("conv1", "conv2d", ["image"], [any_count, 8, 12, 12]),
                       ("relu1", "relu", ["conv1"], [any_count, 8, 12, 12]),
                       ("max_pool1", "max_pool", ["relu1"], [any_count, 8, 6, 6])], "graph")
    filters = values["train", "filters/conv1.w", last]
    expect(decode_png(filters["png"])[:2], (filters["height"], filters["width"]), "filters")
    assert any(tag.startswith("mistakes/1: ") for part, tag, _ in values if part == "test"), "no mistakes"


def main():
    events = [json.loads(line) for line in open("run/log.jsonl")]
    text = Path("page.html").read_text()
    check_page(text, events, "page")
    check_page(Path("again.html").read_text(), events, "history's page")
    check_browser(text)
    check_events(events)


main()
