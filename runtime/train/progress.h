// The progress bar of the trainer: one line on stderr that is drawn over and over.
//
// render_progress is a pure function from numbers to the line, so that tests compare text.
// ProgressBar draws it at most ten times a second, and nothing at all where stderr is no terminal,
// where TERM is `dumb`, or when it was switched off. Colour obeys NO_COLOR.
#pragma once
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>

namespace emulsion {

// What the place that the bar is drawn to can show.
struct TerminalStyle {
    bool terminal = false;  // false: draw nothing
    bool color = false;
    bool unicode = false;
    int width = 80;  // columns
};

// Looks at the stream and the environment (TERM, NO_COLOR, LC_ALL, LC_CTYPE, LANG).
TerminalStyle detect_terminal(std::FILE* stream);

// Columns of the terminal, or `otherwise` where the stream is none.
int terminal_width(std::FILE* stream, int otherwise);

struct ProgressState {
    int64_t epoch = 0, epochs = 1;  // epoch counts from 1
    int64_t step = 0, steps = 1;    // of this epoch
    double loss = 0.0;
    std::optional<double> accuracy;
    double images_per_second = 0.0;
    double seconds_left = 0.0;  // of the whole run; negative: not known yet
    int64_t run_step = 0;       // steps done in all epochs
};

// "epoch 2/5 [====>      ]  50 %  8,412 img/s  0:31 left  loss 0.4012  accuracy 85.41 %"; what does
// not fit into the width is left out from the right.
std::string render_progress(const ProgressState& state, const TerminalStyle& style);

class ProgressBar {
  public:
    ProgressBar(std::FILE* stream, const TerminalStyle& style) : stream_(stream), style_(style) {}
    ~ProgressBar() { clear(); }
    ProgressBar(const ProgressBar&) = delete;
    ProgressBar& operator=(const ProgressBar&) = delete;

    bool is_shown() const { return style_.terminal; }
    // Draws the state in the width that the terminal has, unless the last drawing is younger than
    // a tenth of a second.
    void update(const ProgressState& state);
    // Removes the line, so that other text can be printed.
    void clear();

  private:
    std::FILE* stream_;
    TerminalStyle style_;
    bool drawn_ = false;
    std::chrono::steady_clock::time_point last_{};
};

}  // namespace emulsion
