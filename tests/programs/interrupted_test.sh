#!/usr/bin/env bash
# A training run that is stopped (SIGTERM) or killed outright (SIGKILL) and then resumed, with another number of
# threads, ends with the bits of one that ran through: momentum, shuffling and the falling rate go on.
set -uo pipefail
source "$(dirname "$0")/programs_support.sh"
build networks/lenet.cpp --batch 16
cd "$work"
write_pictures data 10 28 150 40
run=(./lenet-train --data data --epochs 30 --threads 2 --json)

"${run[@]}" --checkpoint whole >whole.out 2>whole.err || fault "training: $(cat whole.err)"
for signal in TERM KILL; do
    "${run[@]}" --checkpoint $signal >$signal.out 2>$signal.err & pid=$!
    while kill -0 $pid 2>/dev/null && [ ! -s $signal/checkpoint ]; do sleep 0.01; done
    kill -$signal $pid 2>/dev/null || fault "the run ended before SIG$signal reached it"
    code=0
    wait $pid 2>/dev/null || code=$?
    [ $signal$code = TERM143 ] || [ $signal$code = KILL137 ] || fault "SIG$signal ends the trainer with $code"
    ! grep -q '"event":"weights"' $signal.out || fault "SIG$signal came too late"
    ./lenet-train --data data --checkpoint $signal --resume --threads 3 --json >$signal.out 2>$signal.err ||
        fault "resuming after SIG$signal: $(cat $signal.err)"
    same_weights whole $signal
done
finish
