"""The live view of `emulsion tune`, seen through a terminal: it is redrawn in place, makes room for what lasts, leaves
nothing of itself, and does without where the terminal is a plain one."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

from tuning import EMULSION, MODEL, check, faults

ROWS, COLUMNS = 20, 64


class Screen:
    """What a terminal shows, what has left it at the top, and the views that were drawn whole."""

    def __init__(self):
        self.gone, self.lines, self.row, self.column, self.rest = [], [""] * ROWS, 0, 0, ""
        self.views = []

    def feed(self, text):
        text = self.rest + text
        self.rest = ""
        at = 0
        while at < len(text):
            found = re.compile(r"\x1b\[(\d*)([A-Za-z])").match(text, at)
            if text[at] == "\x1b" and not found:
                check(len(text) - at < 8, f"what is {text[at:at + 8]!r}?")
                self.rest = text[at:]
                return
            if found:
                self.control(int(found[1] or 1), found[2])
                at = found.end()
            else:
                self.put(text[at])
                at += 1

    def control(self, count, kind):
        if kind == "A":
            self.row = max(0, self.row - count)
        elif kind == "J":
            if is_view(self.text()):
                self.views.append(self.text())  # whole, since it makes room for the next
            self.lines[self.row] = self.lines[self.row][:self.column]
            self.lines[self.row + 1:] = [""] * (ROWS - self.row - 1)
        else:
            check(False, f"the terminal is told {kind}")

    def put(self, letter):
        if letter == "\r":
            self.column = 0
        elif letter == "\n":
            self.feed_line()
        else:
            if self.column == COLUMNS:
                self.column = 0
                self.feed_line()
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[:self.column] + letter + line[self.column + 1:]
            self.column += 1

    def feed_line(self):
        self.row += 1
        if self.row == ROWS:
            self.gone.append(self.lines.pop(0))
            self.lines.append("")
            self.row -= 1

    def text(self):
        return "\n".join(self.lines)

    def all(self):
        return "\n".join(self.gone + self.lines)


class Run:
    """`emulsion tune` on a terminal of its own."""

    def __init__(self, folder, name, *words, term="xterm"):
        self.screen, self.bytes = Screen(), ""
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.environ.update(TERM=term, XDG_CACHE_HOME=str(folder / "cache"))
            os.execv(EMULSION, [str(EMULSION), "tune", "tiny.emu", "--batch", "2", "--threads", "1", "--no-records",
                                "--records", f"{name}.records", "--journal", f"{name}.journal", *words])
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.modes = termios.tcgetattr(self.terminal)

    def read(self, until):
        """Follows it until `until(self)` holds, or it ends: then its status."""
        end = time.time() + 120
        while time.time() < end:
            if not select.select([self.terminal], [], [], 1)[0]:
                continue
            try:
                data = os.read(self.terminal, 65536).decode(errors="replace")
            except OSError:
                data = ""
            if data == "":
                return os.waitpid(self.pid, 0)[1]
            self.bytes += data
            self.screen.feed(data)
            if until(self):
                self.kept = termios.tcgetattr(self.terminal)
                return None
        check(False, f"nothing comes: {self.screen.text()}")
        os.kill(self.pid, signal.SIGKILL)
        return os.waitpid(self.pid, 0)[1]


def is_view(text):
    return "  last:    " in text


def has_tried(run):
    return any(re.search(r"; [3-9] trials", view) for view in run.screen.views)


def check_whole_run(folder):
    run = Run(folder, "whole", "--trials", "8")
    status = run.read(lambda _: False)
    check(status == 0, f"a run ends with {status}: {run.screen.all()}")
    check(run.screen.views, f"no view was seen: {run.bytes[:2000]}")
    last = run.screen.views[-1] if run.screen.views else ""
    check(" of 8" in last and "  default: " in last and "  best:    " in last, f"the last view: {last}")
    check(re.search(r"^(a step of training|an inference) \d\.\d{3}.* times as fast$", last, re.M), f"no gain by direction: {last}")
    check(re.search(r"^> +\d+\.\d %  +\d+  +\d+ .*(inference|training) ", last, re.M), f"no kernel at hand: {last}")
    check(all(view.count("  last:    ") == 1 for view in run.screen.views), "a view stands twice on the screen")
    check(all(len(line) < COLUMNS for line in last[last.index(" trials of 8") - 20:].splitlines()), f"a line is cut: {last}")
    end = run.screen.all()
    check(not is_view(end), f"the view is still there: {end}")
    check(end.startswith("tuning tiny: ") and "8 trials in " in end and "the budget is spent" in end, f"the end: {end}")


def check_signals(folder):
    for name, send in (("SIGTERM", lambda run: os.kill(run.pid, signal.SIGTERM)),
                       ("SIGINT", lambda run: os.write(run.terminal, b"\x03"))):
        run = Run(folder, name, "--minutes", "10")
        check(run.read(has_tried) is None, f"it ended by itself: {run.screen.all()}")
        send(run)
        status = run.read(lambda _: False)
        check(os.WIFSIGNALED(status) and os.WTERMSIG(status) == getattr(signal, name), f"{name} ends it with {status}")
        end = run.screen.all()
        check(not is_view(end) and "interrupted; all that was measured is kept" in end.replace("\n", ""), f"after {name}: {end}")
        check(run.kept == run.modes, f"{name}: the terminal's modes were changed")
        check("\x1b[?" not in run.bytes, f"{name}: the terminal is set to something")


def check_plain(folder):
    run = Run(folder, "plain", "--trials", "2", term="dumb")
    run.read(lambda _: False)
    check("\x1b" not in run.bytes and "pairs won" in run.bytes, f"a plain terminal: {run.bytes}")
    run = Run(folder, "json", "--trials", "2", "--json")
    run.read(lambda _: False)
    check("\x1b" not in run.bytes and '{"event":"trial"' in run.bytes, f"--json on a terminal: {run.bytes}")


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "tiny.cpp").write_text(MODEL)
        text = subprocess.run([EMULSION, "show", "tiny.cpp"], cwd=folder, capture_output=True, text=True, check=True).stdout
        (folder / "tiny.emu").write_text(text)
        check_whole_run(folder)
        check_signals(folder)
        check_plain(folder)
    return 1 if faults else 0


sys.exit(main())
