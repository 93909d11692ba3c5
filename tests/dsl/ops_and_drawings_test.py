"""`emulsion ops`, layers that `emulsion show` draws, and what is said of commands and options that do not exist."""
import json
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml
from pathlib import Path

from tuning import EMULSION, check, faults

NET = """network tiny
graph tiny {
  %x = input() : f32[n,1,5,7]
  %conv1.w = parameter() {init="he", fan_in=9} : f32[1,1,3,3]
  %conv1 = conv2d(%x, %conv1.w) {stride=[2,2], dilation=[1,1], padding=[1,1,1,1]} : f32[n,1,3,4]
  %relu1 = relu(%conv1) : f32[n,1,3,4]
  output "y" %relu1
}
"""


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "net.emu").write_text(NET)

        def run(*words):
            return subprocess.run([str(EMULSION), *words], cwd=folder, text=True, capture_output=True, timeout=300)

        def refused(code, error, *words):
            result = run(*words)
            what = " ".join(words)
            check(result.returncode == code, f"{what} ends with {result.returncode}")
            check(result.stdout == "" and result.stderr == f"emulsion: {error}\n", f"{what}: {result.stdout}{result.stderr}")

        # The table and one op
        table, rows = run("ops"), json.loads(run("ops", "--json").stdout)
        lines = table.stdout.splitlines()
        check(table.returncode == 0 and lines[0].split() == ["op", "gradient", "recipes", "test", "documentation"], table.stdout)
        check(len(rows) > 100 and len(lines) == len(rows) + 2 and lines[-1] == f"{len(rows)} ops", "rows of the table")
        check(all(line.split()[0] == row["op"] for line, row in zip(lines[1:], rows)), "the two forms differ")
        page = run("ops", "clip").stdout
        for part in ("clip\n", "min(max(x, low), high)", "attributes  {low=", "gradient    yes", "header      compiler/ops/extremes.h"):
            check(part in page, f"ops clip lacks {part!r}: {page}")
        check("min(max(x, low), high)" in json.loads(run("ops", "clip", "--json").stdout)["text"], "ops clip --json")
        refused(1, "error[unknown_op]: there is no op 'Conv2D'\n  fix: 'Conv2D' is called 'conv2d' here", "ops", "Conv2D")

        # Drawings
        words = ["show", "conv", "--size", "5x7", "--kernel", "3", "--stride", "2", "--padding", "1"]
        drawn = run(*words, "--svg", "conv.svg")
        check(drawn.returncode == 0, drawn.stderr)
        of_model = run("show", "net.emu", "--layer", "conv1", "--svg", "model.svg")
        check(of_model.stdout == drawn.stdout.replace("conv:", "conv1:"), f"{of_model.stdout}{of_model.stderr}")
        check(of_model.stdout.startswith("conv1: filter 3x3, stride 2x2, padding 1 1 1 1 of zeros; 5x7 to 3x4\n"), of_model.stdout)
        classes = [node.get("class") for node in xml.parse(folder / "conv.svg").iter() if node.tag.endswith("rect")]
        counts = {name: classes.count(name) for name in set(classes)}
        check(counts == {"cell": 35, "padding": 28, "tap": 9, "result": 12, "made": 1}, f"cells of conv.svg: {counts}")
        for layer, part in (("conv_transpose", "filter 3x3, stride 1x1, padding 2 2 2 2 of zeros; 5x5 to 7x7"),
                            ("max_pool", "window 2x2, stride 2x2; 5x5 to 2x2"), ("average_pool", "5x5 to 2x2")):
            check(part in run("show", layer).stdout, f"show {layer}")
        check("5x5 to 3x3" in run("show", "conv", "--stride=2", "--padding=same").stdout, "show conv --padding=same")
        refused(1, "error[window]: conv2d 'conv': the 7x7 filter is larger than its input 5x5\n"
                   "  fix: use a filter of at most 5x5, or pad the input to at least 7x7", "show", "conv", "--kernel", "7")
        refused(2, "error[usage]: --size describes a layer, but 'net.emu' is a model\n  fix: name one of its layers with "
                   "--layer, or write conv, conv_transpose, max_pool or average_pool in place of the file",
                "show", "net.emu", "--size", "5")
        refused(2, "error[usage]: max_pool has no option --kernel\n  fix: leave it out", "show", "max_pool", "--kernel", "2")
        refused(2, "error[usage]: --layer names a layer of a model, but 'conv' is a layer\n  fix: name a model file, or leave "
                   "--layer out", "show", "conv", "--layer", "conv1")
        refused(2, "error[usage]: --svg draws a layer, and none is named\n  fix: add --layer=NAME", "show", "net.emu", "--svg=a.svg")
        refused(2, "error[usage]: a layer is drawn, so there is no stage to print\n  fix: leave --emit or the layer out",
                "show", "net.emu", "--layer=conv1", "--emit=plan")
        for size in ("five", "5x", "-1", "9999", "5x5x5"):
            refused(1, f"error[usage]: --size is '{size}', which is no size\n  fix: write a number from 0 to 4096, or two: rows x "
                       "columns, as in 5x7", "show", "conv", f"--size={size}")

        # Commands and options by other names
        refused(2, "error[usage]: 'compile' is no command\n  fix: 'compile' is called 'build' here", "compile", "net.emu")
        refused(2, "error[usage]: 'sumary' is no command\n  fix: the closest is 'summary'", "sumary", "net.emu")
        refused(2, "error[usage]: 'net.emu' is no command\n  fix: choose one of build, show, summary, train, tune, sweep, records, ops, "
                   "machine",
                "net.emu")
        refused(2, "error[usage]: The following arguments were not expected: 8 --batch-size\n"
                   "  fix: '--batch-size' is called '--batch' here", "build", "net.emu", "-o", "out", "--batch-size", "8")
        refused(2, "error[usage]: The following argument was not expected: --treads=2\n"
                   "  fix: the closest is '--threads'", "build", "net.emu", "--treads=2")
        refused(2, "error[usage]: The following argument was not expected: --qqq\n  fix: see emulsion --help",
                "build", "net.emu", "--qqq")
    return 1 if faults else 0


sys.exit(main())
