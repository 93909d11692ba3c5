#!/usr/bin/env python3
"""check_trace.py FILE ROW CALLS...: what a trace of a real program must hold.

ROW is the name of the kernels' row up to its end, a regular expression; CALLS are "COUNT NAME", the calls of each name
in their order, such as "20 run of 4 samples". Prints what is wrong and returns 1.
"""
import itertools
import json
import re
import sys

NANOSECOND = 1e-3


def check(path, row, expected):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    assert text.startswith('{"'), "Perfetto does not take it for a trace"
    events = json.loads(text)["traceEvents"]
    rows = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert rows[1] == "calls" and re.fullmatch(row, rows[2]), f"the rows are {rows}"
    calls = [e for e in events if e["ph"] == "X" and e["tid"] == 1]
    kernels = [e for e in events if e["ph"] == "X" and e["tid"] == 2]
    found = [f"{len(list(group))} {name}" for name, group in itertools.groupby(e["name"] for e in calls)]
    assert found == expected, f"calls are {found}"
    assert calls[0]["ts"] == 0, "the first call begins later"
    for former, event in itertools.chain(itertools.pairwise(calls), itertools.pairwise(kernels)):
        assert former["ts"] + former["dur"] <= event["ts"] + NANOSECOND, f"{event} overlaps {former}"
    for call in calls:
        end = call["ts"] + call["dur"]
        own = [e for e in kernels if call["ts"] - NANOSECOND <= e["ts"] and e["ts"] + e["dur"] <= end + NANOSECOND]
        kernels = kernels[len(own):]
        names = [e["args"]["kernel"] for e in own]
        assert own and names == sorted(names), f"kernels of {call} are {names}"
        args = call["args"]
        assert abs(sum(e["dur"] for e in own) - args["kernels_us"]) < 1e-2, f"{call}: its kernels take another time"
        assert abs(args["kernels_us"] + args["between_us"] - call["dur"]) < 1e-2, f"{call} does not add up"
        assert args["between_us"] >= 0 and all(e["dur"] > 0 for e in own), f"{call} has times below zero"
    assert not kernels, f"{len(kernels)} kernels are outside of calls"


try:
    check(sys.argv[1], sys.argv[2], sys.argv[3:])
except AssertionError as fault:
    print(f"{sys.argv[1]}: {fault}")
    sys.exit(1)
