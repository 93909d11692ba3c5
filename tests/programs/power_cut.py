"""What a power cut leaves of a folder: calls on it are noted by power_cut.c, and replayed here.

A command is run with environment(work, folder, log), where compile_library(work) was called before; then Disk(...) says
what the folder may hold, had the power been cut behind the calls that were noted.
"""
import random
import shutil
import subprocess
from pathlib import Path


def compile_library(work):
    subprocess.run(["cc", "-std=c11", "-O1", "-shared", "-fPIC", "-o", work / "power_cut.so",
                    Path(__file__).with_suffix(".c")], check=True)


def environment(work, folder, log):
    return {"LD_PRELOAD": str(work / "power_cut.so"), "POWER_CUT_FOLDER": str(folder), "POWER_CUT_LOG": str(log)}


def operations_of(log):
    return (log / "ops").read_text().splitlines() if (log / "ops").exists() else []


class Disk:
    """What a folder may hold after a power cut, from what was noted, or only the first `count` lines of it.

    `before` is what the disk held at first, bytes by name.
    """

    def __init__(self, before, log, count=None):
        self.durable = {name: ("old", name) for name in before}  # names that outlast the cut
        self.content = {("old", name): [data] for name, data in before.items()}  # what a file may hold then
        self.pending = []
        current, last = {}, 0  # by inode: the file that it is
        for line in operations_of(log)[:count]:
            action, *words = line.split()
            if action == "create":
                last += 1
                current[words[1]] = ("new", last)
                self.content["new", last] = [b""]
                self.pending.append((action, words[0], current[words[1]]))
            elif action == "write" and words[0] in current:
                self.content[current[words[0]]] += [b"", bytes(4)]  # zeros: a file system shows no stale bytes
            elif action == "sync" and words[0] in current:
                self.content[current[words[0]]] = [(log / words[1]).read_bytes()]
            elif action == "sync-folder":
                self.apply(self.pending)
                self.pending = []
            elif action in ("rename", "unlink"):
                self.pending.append((action, *words))

    def apply(self, actions):
        for action, name, *rest in actions:
            if action == "create":
                self.durable[name] = rest[0]
            elif action == "rename" and name in self.durable:
                self.durable[rest[0]] = self.durable.pop(name)
            elif action == "unlink":
                self.durable.pop(name, None)

    def states(self):
        """Every possible content: the ones that a file may have, by name. Some of the last calls reached the disk, in
        their order; content that was not forced did, or did not."""
        pending, first = self.pending, dict(self.durable)
        for reached in range(len(pending) + 1):
            self.durable = dict(first)
            self.apply(pending[:reached])
            yield {name: self.content[file] for name, file in self.durable.items()}
        self.durable = first

    def write(self, folder):
        """One of the possible contents, by chance."""
        self.apply(self.pending[:random.randint(0, len(self.pending))])
        shutil.rmtree(folder)
        folder.mkdir()
        for name, file in self.durable.items():
            (folder / name).write_bytes(random.choice(self.content[file]))
