"""The row on defaults that nothing improves: where row networks shows no gain, the kernels that take time and stay as they
are, against a long random search of each in its whole space."""
from tuning import networks, support

MINUTES = 15
LEAST_SHARE = 0.02  # of a step, that a kernel takes
MOST = 1.03  # times as fast as the default: the best of the space


def is_shown(gains):
    """Whether the tuned build won all rounds but what is chance."""
    return bool(gains) and sum(gain > 1 for gain in gains) >= networks.ROUNDS - networks.MOST_CHANCE_WINS


def untuned(found, mode):
    """Kernels without a record, each with its share of a step in this direction, the largest first."""
    direction = "training" if mode == "train" else "inference"
    kernels = [(kernel["shares"].get(direction, 0), kernel["kernel"]) for kernel in found["kernels"] if not kernel["tuned"]]
    return [(name, share) for share, name in sorted(kernels, reverse=True) if share >= LEAST_SHARE]


def draw(folder, case, kernel, choices):
    """The gain of the best of random candidates that the tuner keeps, how many there were, and why it ended."""
    if choices and not (folder / "tuned.records").exists():
        (folder / "tuned.records").write_text(choices)
    end = networks.run_tuner(folder, case, MINUTES, "--kernel", kernel, "--draw", "--no-choices")
    found = next((entry for entry in end["kernels"] if entry["kernel"] == kernel), None)
    if found is None:
        raise support.Missing(f"the network has no kernel {kernel} with the choices that its tuning made")
    if found["fault"]:
        raise support.Missing(found["fault"])
    return {"gain": found["default_us"] / found["tuned_us"] if found["tuned"] else 1, "trials": found["trials"], "why": end["why"]}


def judge(row, what, share, result):
    is_whole = result["why"] == "nothing_left"
    row.say(f"{what}, {share:.1%} of a step: {result['gain']:.3f} after {result['trials']} random candidates"
            + (", and no more are found" if is_whole else ""))
    row.check(result["trials"] > 0 or is_whole, f"{what}: no candidate was tried")
    row.check(result["gain"] < MOST, f"{what}: {result['gain']:.3f} times as fast as the default is found, the bar is {MOST}")


def proof(row, minutes=10):
    for case in networks.CASES:
        found = networks.tune(row, case, minutes)
        result = networks.compare(row, case, found)
        if result is None:
            continue
        if is_shown(result["gains"]):
            row.say(f"{networks.name_of(*case)}: a gain is shown")
            continue
        choices = networks.choices_of(found["records"])
        for kernel, share in untuned(found, case[1]):
            what = f"{networks.name_of(*case)}: {kernel}"
            drawn = row.part(what, lambda folder, case=case, kernel=kernel, choices=choices: draw(folder, case, kernel, choices))
            if drawn is not None:
                judge(row, what, share, drawn)
