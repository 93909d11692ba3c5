// The course of a tuner on a terminal.
#pragma once

#include <memory>

#include "schedules/tune/tuner.h"

namespace emulsion {

// Whether standard output is a terminal on which a view can be redrawn.
bool shows_live();

// A view that is redrawn in place: what is spent and what is left, the kernel at hand with its best
// so far, and a table of the kernels by their share of a step. What lasts is passed on to `lines`
// and stands above it: notes, records, and the table at the end, which takes its place. Nothing of
// the terminal is set, so nothing is to be restored however the run ends.
std::unique_ptr<TuneReport> make_live_report(std::unique_ptr<TuneReport> lines);

}  // namespace emulsion
