// What a tuner found, as one page of HTML that needs nothing else.
#pragma once

#include <memory>
#include <string>

#include "runtime/support/machine_speed.h"
#include "schedules/tune/tuner.h"

namespace emulsion {

// A report that passes everything on to `inner` and writes the page at the end: a row for each
// kernel, with its share of the machine's peak and bandwidth, the course of its search, the loops
// of its default and of what was chosen (not after a signal, since they take time). `library`
// outlives it. Throws RuntimeError, at once, where the file cannot be written.
std::unique_ptr<TuneReport> with_page(std::unique_ptr<TuneReport> inner, const std::string& file,
                                      const RecipeLibrary& library, const MachineSpeed& machine);

}  // namespace emulsion
