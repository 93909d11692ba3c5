// The two streams of the trainer: results on standard output, everything else on standard error,
// where the progress bar may stand too.
//
// No stream ends a run. Where standard output breaks (its disk is full, its reader has gone away)
// that is said once, the rest of the results is lost, and `broken` keeps the reason for the exit
// code. What standard error cannot take is nobody's business.
#pragma once
#include <optional>
#include <string_view>

#include "runtime/support/error.h"
#include "runtime/train/progress.h"

namespace emulsion {

class Console {
  public:
    // `quiet`: no notes. `bar`: of standard error; `terminal` false: no bar.
    Console(bool quiet, const TerminalStyle& bar) : is_quiet_(quiet), bar_(stderr, bar) {}

    void results(std::string_view text);
    void note(std::string_view text);
    // Something went wrong, and the run goes on: `consequence` says how.
    void warn(const RuntimeError& error, std::string_view consequence);
    // Prints the exception being handled, and returns the exit code it means.
    int failure() noexcept;
    void progress(const ProgressState& state) { bar_.update(state); }
    bool has_bar() const { return bar_.is_shown(); }

    const std::optional<RuntimeError>& broken() const { return broken_; }

  private:
    bool is_quiet_;
    ProgressBar bar_;
    std::optional<RuntimeError> broken_;
};

}  // namespace emulsion
