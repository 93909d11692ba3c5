#!/usr/bin/env bash
# The page of --report and the event files of --tensorboard show what the run and its files say; read by hand and, where
# there is one, by a browser.
set -uo pipefail
source "$(dirname "$0")/programs_support.sh"
build report_net.cpp --batch 16
cd "$work"
write_pictures data 5 12 150 60

train() { ./report-train --data data --json --threads 1 "$@" >>train.out 2>train.err || fault "training: $(cat train.err)"; }
options=(--checkpoint run --tensorboard events --log-every 5)
train --epochs 1 --validation 0.2 --learning-rate 0.002 "${options[@]}"
# What is trained behind the checkpoint and lost again is not in the events that count.
cp -r run kept
train --resume --epochs 4 "${options[@]}"
rm -r run
mv kept run
train --resume --epochs 3 --profile=profile.json --report page.html "${options[@]}"
[ "$(find events -name '*tfevents*' | wc -l)" = 9 ] || fault "event files: $(find events -type f)"
./report-train --history run --report again.html >history.out 2>history.err || fault "history: $(cat history.err)"
PYTHONPATH="$source_dir/tests/support:$source_dir/tests/programs" python3 "$source_dir/tests/programs/check_report.py" ||
    fault "page or event files say something else than the run"
finish
