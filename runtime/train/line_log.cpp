// See line_log.h.
#include "runtime/train/line_log.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <new>

#include "runtime/support/atomic_file.h"
#include "runtime/support/error.h"
#include "runtime/support/file.h"
#include "runtime/support/limits.h"
#include "runtime/support/path.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

// A line of the file, with its end.
struct KeptLine {
    int64_t step;
    std::string_view text;
};

std::vector<KeptLine> whole_lines(std::string_view text, const LineLog::Place& place) {
    std::vector<KeptLine> lines;
    for (size_t end; (end = text.find('\n')) != text.npos; text.remove_prefix(end + 1)) {
        const std::optional<int64_t> step = place(text.substr(0, end));
        if (step) lines.push_back({*step, text.substr(0, end + 1)});
    }
    return lines;
}

std::string merged(const std::vector<KeptLine>& kept, const std::vector<PlacedLine>& missing) {
    std::string text;
    auto next = missing.begin();
    for (const KeptLine& line : kept) {
        for (; next != missing.end() && next->step < line.step; next++) text += next->text;
        append(text, line.text);
    }
    for (; next != missing.end(); next++) text += next->text;
    return text;
}

}  // namespace

void LineLog::refuse(int code) const {
    throw RuntimeError(one_line(path_), concat("cannot write the file: ", system_reason(code)),
                       system_remedy(code));
}

void LineLog::attempt(const std::function<void()>& action) {
    const char* consequence = "nothing more is added to this file, and training goes on";
    try {
        action();
    } catch (const RuntimeError& error) {
        file_.reset();
        console_.warn(error, consequence);
    } catch (const std::bad_alloc&) {
        file_.reset();
        console_.warn(RuntimeError(one_line(path_), "there is no memory to write", "free memory"),
                      consequence);
    }
}

// O_NONBLOCK: a FIFO that takes the name keeps nobody waiting.
void LineLog::open_at_end(int more_flags) {
    struct stat status{};
    if (stat(path_.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
        throw RuntimeError(one_line(path_), "cannot write the file: it is no plain file",
                           "move it away");
    }
    const int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK | more_flags;
    auto file = std::make_unique<Descriptor>(open(path_.c_str(), flags, 0666));
    if (file->number < 0 || fstat(file->number, &status) != 0) refuse(errno);
    size_ = static_cast<uint64_t>(status.st_size);
    file_ = std::move(file);
}

void LineLog::begin() {
    attempt([&] { open_at_end(O_TRUNC); });
}

void LineLog::resume(const Place& place, const Missing& missing) {
    attempt([&] {
        Bytes bytes;
        if (is_file(path_)) bytes = read_file(path_, kMostLogBytes, "log");
        const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        const std::vector<KeptLine> kept = whole_lines(text, place);
        const std::string wanted = merged(kept, missing(!kept.empty()));
        if (wanted != text) write_file(path_, wanted);
        open_at_end(0);
    });
}

void LineLog::append(std::string_view text) {
    if (!file_) return;
    attempt([&] {
        const int code = write_all(file_->number, text);
        if (code == 0) {
            size_ += text.size();
            return;
        }
        (void)!ftruncate(file_->number, static_cast<off_t>(size_));  // a part of the line
        refuse(code);
    });
}

}  // namespace emulsion
