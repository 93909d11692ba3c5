// What only the network's own step tells: the kernels' shares of it, and whether records that won
// by themselves win there too.
#pragma once

#include "schedules/tune/tune_run.h"

namespace emulsion {

// Times every kernel's own schedule in the step, once for each build and machine: what is in the
// journal is not timed again. What must be compiled for it takes about so many seconds at most, and
// the next call goes on. Whether it is done.
bool time_defaults(TuneRun& run, double seconds);

// Whether there are records whose candidates were not yet checked.
bool has_unchecked(TuneRun& run);
// About the time that check_records() takes: what it last took, or until then what follows from the
// first time that the step was timed.
double seconds_of_check(const TuneRun& run);

// Keeps so much of the budget for the last check, half of it at most.
void reserve(TuneRun& run, double seconds);

// The records of kernels that won, and those that decide for other instruction sets.
RecordSet tuned_records(TuneRun& run);

// The steps of two plans, in pairs.
PairedTimes whole_steps(const StepTimes& times);
// Whether the second of the pairs of steps, or of kernels within steps, are slower beyond noise.
bool is_slower(const PairedTimes& times);

// Times the network without records against itself with them. A record stays where its kernel is
// faster in the step, beyond noise, and the step is no slower; else the record before it that did
// stay is in force again, or none. Records that stayed are measured with the new ones, and go where
// their kernel is slower now. A slow step is laid to the records whose kernels are no faster
// in it, or to the one that gains least, and checked again without them, a few times. Where other
// work took the processors, nothing is decided.
void check_records(TuneRun& run);

}  // namespace emulsion
