"""Pages of HTML, as text and as a browser sees them."""
import shutil
import subprocess
import tempfile
from html.parser import HTMLParser
from pathlib import Path


class Page(HTMLParser):
    """Elements in order, each with its name, attributes and text; what does not nest is in `faults`."""
    EMPTY = {"br", "circle", "img", "line", "meta", "polyline"}

    def __init__(self, text):
        super().__init__()
        self.open, self.found, self.faults = [], [], []
        self.feed(text)
        self.close()
        if self.open:
            self.faults.append(f"elements stay open: {[name for name, _ in self.open]}")

    def handle_starttag(self, name, attributes):
        element = (dict(attributes), [])
        self.found.append((name, *element))
        if name not in self.EMPTY:
            self.open.append((name, element))

    def handle_startendtag(self, name, attributes):
        self.found.append((name, dict(attributes), []))

    def handle_endtag(self, name):
        if name in self.EMPTY:
            return
        if not self.open or self.open[-1][0] != name:
            self.faults.append(f"</{name}> closes {self.open[-1:]}")
            return
        self.open.pop()

    def handle_data(self, data):
        for _, (_, text) in self.open:
            text.append(data)

    def texts(self, name):
        return ["".join(text) for found, _, text in self.found if found == name]


def seen_in_browser(path):
    """The document that headless Chromium makes of the file, as text; None where there is no Chromium."""
    browser = shutil.which("chromium")
    if not browser:
        return None
    with tempfile.TemporaryDirectory() as profile:
        return subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", "--dump-dom",
                               f"file://{Path(path).resolve()}"], text=True, capture_output=True, timeout=120).stdout
