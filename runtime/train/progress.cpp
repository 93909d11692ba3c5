// See progress.h.
#include "runtime/train/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string_view>

#include "runtime/program/format.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr auto kRedrawInterval = std::chrono::milliseconds(100);
constexpr int kMaxBar = 40;  // columns
constexpr int kMinBar = 6;

bool is_set(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr && *value != '\0';
}

bool locale_is_utf8() {
    for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
        if (!is_set(name)) continue;
        const std::string_view value = std::getenv(name);
        return value.find("UTF-8") != value.npos || value.find("utf8") != value.npos;
    }
    return false;
}

// `columns` cells, the first `share` of them filled.
std::string draw_bar(double share, int columns, const TerminalStyle& style) {
    const int filled = std::clamp(static_cast<int>(std::floor(share * columns)), 0, columns);
    std::string done, rest;
    for (int i = 0; i < filled; i++) done += style.unicode ? "━" : (i + 1 < filled ? "=" : ">");
    for (int i = filled; i < columns; i++) rest += style.unicode ? (style.color ? "━" : "─") : " ";
    if (style.color) return "\x1b[32m" + done + "\x1b[0m\x1b[2m" + rest + "\x1b[0m";
    return style.unicode ? done + rest : "[" + done + rest + "]";
}

}  // namespace

int terminal_width(std::FILE* stream, int otherwise) {
    winsize window{};
    const bool is_known = ioctl(fileno(stream), TIOCGWINSZ, &window) == 0 && window.ws_col > 0;
    return is_known ? window.ws_col : otherwise;
}

TerminalStyle detect_terminal(std::FILE* stream) {
    TerminalStyle style;
    const int descriptor = fileno(stream);
    const char* kind = std::getenv("TERM");
    style.terminal = isatty(descriptor) == 1 && kind != nullptr && std::string_view(kind) != "dumb";
    style.color = style.terminal && !is_set("NO_COLOR");
    style.unicode = locale_is_utf8();
    if (style.terminal) style.width = terminal_width(stream, style.width);
    return style;
}

std::string render_progress(const ProgressState& state, const TerminalStyle& style) {
    const double share =
        state.steps > 0 ? static_cast<double>(state.step) / static_cast<double>(state.steps) : 0.0;
    const std::string head = concat("epoch ", state.epoch, "/", state.epochs, " ");
    // The parts behind the bar, the least important last: they go first where the line is narrow.
    const std::string parts[] = {
        " " + pad_left(fixed(std::floor(100.0 * share), 0), 3) + " %",
        "  " + format_thousands(state.images_per_second) + " img/s",
        state.seconds_left < 0 ? "" : "  " + format_duration(state.seconds_left) + " left",
        "  loss " + fixed(state.loss, 4),
        state.accuracy ? "  accuracy " + format_percent(*state.accuracy, 2) : "",
    };
    const int brackets = style.unicode ? 0 : 2;
    int free = style.width - 1 - static_cast<int>(head.size()) - brackets - kMinBar;
    std::string tail;
    for (const std::string& part : parts) {
        if (static_cast<int>(part.size()) > free) break;
        tail += part;
        free -= static_cast<int>(part.size());
    }
    const int bar = std::clamp(kMinBar + free, 0, kMaxBar);
    return head + draw_bar(share, bar, style) + tail;
}

void ProgressBar::update(const ProgressState& state) {
    if (!style_.terminal) return;
    const auto now = std::chrono::steady_clock::now();
    if (drawn_ && now - last_ < kRedrawInterval) return;
    last_ = now;
    drawn_ = true;
    style_.width = terminal_width(stream_, style_.width);
    const std::string line = "\r" + render_progress(state, style_) + "\x1b[K";
    std::fwrite(line.data(), 1, line.size(), stream_);
    std::fflush(stream_);
}

void ProgressBar::clear() {
    if (!drawn_) return;
    std::fputs("\r\x1b[K", stream_);
    std::fflush(stream_);
    drawn_ = false;
}

}  // namespace emulsion
