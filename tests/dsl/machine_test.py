"""`emulsion machine` measures once and keeps what it prints, and `--machine FILE` plans for another machine: the same file
gives the same bytes of libraries, whatever machine, folder and cache they are built with."""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tuning import EMULSION, check, faults

MODEL = """network wide
graph wide {
  %x = input() : f32[n,256,14,14]
  %w = parameter() {init="he", fan_in=256} : f32[1024,256,1,1]
  %y = conv2d(%x, %w) {stride=[1,1], dilation=[1,1], padding=[0,0,0,0]} : f32[n,1024,14,14]
  output "y" %y
}
"""
CLASS = "TestMachine-7-3-l1.48-l2.{}-l3.32768-fma.32"
OPTIONS = ["--infer-batch", "16", "--target", "avx2"]
FIX = "  fix: write one with emulsion machine --json >FILE, on the machine to plan for\n"


def file_text(l2, **changes):
    fields = {"format": "emulsion-machine", "format_version": 1, "class": CLASS.format(l2), "fma_gflops": 100,
              "bandwidth_gbs": 2.5}
    return json.dumps(fields | changes)


def run(folder, *words, cache=None):
    environment = dict(os.environ, XDG_CACHE_HOME=str(cache or folder / "cache"))
    return subprocess.run([str(EMULSION), *words], cwd=folder, env=environment, text=True, capture_output=True, timeout=300)


def good(folder, *words, **options):
    result = run(folder, *words, **options)
    check(result.returncode == 0 and result.stderr == "", f"{words} ends with {result.returncode}: {result.stderr}")
    return result.stdout


def check_command(folder):
    """What is printed is kept, in either form, until --measure."""
    first = good(folder, "machine").splitlines()
    kept = list((folder / "cache" / "emulsion" / "machines").iterdir())
    check(len(kept) == 1 and kept[0].name == f"{first[0]}.json", f"kept are {kept}")
    check(first[-1] == f"kept in {kept[0]}", f"the last line is {first[-1]}")
    fields = json.loads(kept[0].read_text())
    for line in (f"multiply-adds   {fields['fma_gflops']} GFLOP/s a core, all at work",
                 f"memory          {fields['bandwidth_gbs']} GB/s read by a core, all at work"):
        check(line in first, f"'{line}' is not printed: {first}")
    check(fields["fma_gflops"] > 0.5 and fields["bandwidth_gbs"] > 0.1 and fields["class"] == first[0], f"it is {fields}")
    check(good(folder, "machine", "--json") == kept[0].read_text(), "--json prints another file")

    fields["fma_gflops"] = 0.5
    kept[0].write_text(json.dumps(fields))
    check("multiply-adds   0.5 GFLOP/s" in good(folder, "machine"), "what is kept is measured again")
    measured = good(folder, "machine", "--measure", "--json")
    check(json.loads(measured)["fma_gflops"] > 0.5 and kept[0].read_text() == measured, f"--measure keeps {kept[0].read_text()}")

    for text, reason in (("{", f"'{kept[0]}' is no machine file: the text is no JSON from byte 2 of 1 on"),
                         (file_text(1024), f"'{kept[0]}' is of another machine")):
        kept[0].write_text(text)
        result = run(folder, "machine", "--json")
        check(result.returncode == 0 and result.stderr == f"note: {reason}: measured anew\n", f"a broken file: {result.stderr}")
        check(kept[0].read_text() == result.stdout, "a broken file is not replaced")
    (folder / "plain").write_text("")
    result = run(folder, "machine", cache=folder / "plain")
    check(result.returncode == 0 and result.stderr.startswith("note: not kept: '"), f"a cache in a file: {result.stderr}")
    check("multiply-adds" in result.stdout and "kept" not in result.stdout, f"a cache in a file: {result.stdout}")
    return kept[0]


def plan(folder, *words, **options):
    return good(folder, "show", "wide.emu", "--emit=plan", *OPTIONS, *words, **options)


def check_plans(folder, other, kept):
    """A schedule is of the second cache; nothing but the file counts."""
    small, large = (plan(folder, "--machine", name) for name in ("small.json", "large.json"))
    check("\n  machine 1024 KiB of second cache, 100 GFLOP/s a core, 20 GB/s from memory\n" in small, small)
    check("\n  machine 2048 KiB of second cache, 100 GFLOP/s a core, 20 GB/s from memory\n" in large, large)
    calls = [[line for line in text.splitlines() if " direct [" in line] for text in (small, large)]
    check(calls[0] and calls[0] != calls[1], f"the plans do not differ: {calls[0]}")
    check(plan(folder) == plan(folder, "--machine=none") == small, "a target is planned for another machine than a common one")
    check(plan(folder, "--machine", CLASS.format(2048)) == large, "a class is planned for another second cache than its file")
    check("1024 KiB of second cache, 300 GFLOP/s a core, 72 GB/s" in plan(folder, "--machine", "./rates.json"), "rates are not the file's")
    check(plan(other, "--machine", "large.json") == large, "a plan depends on the folder or the cache")
    l2 = int(json.loads(kept.read_text())["class"].split("-l2.")[1].split("-")[0]) or 1024
    check(f"\n  machine {l2} KiB of second cache, 100 GFLOP/s a core, 20 GB/s" in plan(folder, "--machine=native"),
          "native is not of this machine's second cache, or of what was measured")
    check(f"\n  machine {l2} KiB of second cache, " in plan(folder, "--machine", str(kept)), "what is kept is no file for --machine")


def check_builds(folder, other):
    """The same file, the same bytes."""
    build = ["build", "wide.emu", *OPTIONS, "-o", "out"]
    for place, words in ((folder, ["--machine", "large.json", "--depfile", "out.d"]), (other, ["--machine", "large.json"])):
        result = run(place, *build, *words)
        check(result.returncode == 0, f"build: {result.stderr}")
    products = ("wide_infer.a", "wide_infer.h", "wide_infer.json")
    large = [(folder / "out" / name).read_bytes() for name in products]
    check(large == [(other / "out" / name).read_bytes() for name in products], "the same file gives other bytes")
    check(json.loads(large[2])["machine"] == {"l2_kib": 2048, "fma_gflops": 100.0, "bandwidth_gbs": 20.0}, "the manifest's machine")
    check(" large.json" in (folder / "out.d").read_text(), "the rule of products lacks the machine's file")
    check(run(other, *build, "--machine", "small.json").returncode == 0, "build for the other machine")
    check(large[0] != (other / "out" / products[0]).read_bytes(), "another file gives the same library")


def check_refusals(folder):
    (folder / "bad.json").write_text(file_text(1024, cores=2))
    for words in (["show", "wide.emu", "--emit=plan"], ["build", "wide.emu", "-o", "none"], ["train", "wide.emu", "-o", "none"]):
        for name, problem in (("bad.json", "'bad.json' is no machine file: the file has the unknown field 'cores'"),
                              ("no.json", "'no.json': cannot open the machine file: no such file or folder")):
            result = run(folder, *words, "--machine", name)
            check(result.returncode == 1 and result.stdout == "" and result.stderr == f"emulsion: error[machine]: {problem}\n{FIX}",
                  f"{words} with {name}: {result.stdout}{result.stderr}")
    check(not (folder / "none").exists(), "a refused build leaves a folder")
    result = run(folder, "machine", "wide.emu")
    check(result.returncode == 2 and "error[usage]: The following argument was not expected: wide.emu" in result.stderr, result.stderr)
    for command in ("build", "show", "train", "sweep"):
        check("emulsion machine --json" in " ".join(good(folder, command, "--help").split()), f"{command} --help lacks --machine")
    check("--measure" in good(folder, "machine", "--help"), "machine --help")


def main():
    with tempfile.TemporaryDirectory() as name:
        folder, other = Path(name) / "a", Path(name) / "b"
        for place in (folder, other):
            place.mkdir()
            (place / "wide.emu").write_text(MODEL)
            (place / "small.json").write_text(file_text(1024))
            (place / "large.json").write_text(file_text(2048))
        (folder / "rates.json").write_text(file_text(1024, fma_gflops=300, bandwidth_gbs=9))
        kept = check_command(folder)
        check_plans(folder, other, kept)
        check_builds(folder, other)
        check_refusals(folder)
    print(f"{len(faults)} faults")
    return 1 if faults else 0


sys.exit(main())
