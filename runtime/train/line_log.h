// A file of lines that a run appends to, and that a resumed run goes on with.
//
// It is an extra: where the disk refuses a line, the file ends with the line before, a warning says
// so, and the run goes on. Lines are not forced to the disk; whoever resumes mends what a kill or a
// power cut has left.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/support/descriptor.h"
#include "runtime/train/console.h"

namespace emulsion {

// A line with its end, and the step of the run that it is of.
struct PlacedLine {
    int64_t step = 0;
    std::string text;
};

class LineLog {
  public:
    // `console` must outlive the log.
    LineLog(std::string path, Console& console) : path_(std::move(path)), console_(console) {}

    // Begins the file anew.
    void begin();
    // Goes on with the file, which need not be there. Its whole lines stay for which `place` knows
    // a step. Then what `missing` gives, in the order of the steps, is put in front of the first
    // line of a later one; it is told whether any line has stayed.
    using Place = std::function<std::optional<int64_t>(std::string_view line)>;
    using Missing = std::function<std::vector<PlacedLine>(bool has_lines)>;
    void resume(const Place& place, const Missing& missing);
    // REQUIRES: begin or resume.
    void append(std::string_view text);

    bool is_empty() const { return size_ == 0; }

  private:
    void open_at_end(int more_flags);
    [[noreturn]] void refuse(int code) const;
    void attempt(const std::function<void()>& action);

    std::string path_;
    Console& console_;
    std::unique_ptr<Descriptor> file_;  // null: closed, or given up
    uint64_t size_ = 0;                 // bytes of whole lines
};

}  // namespace emulsion
