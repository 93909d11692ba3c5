// See tune_live.h.
#include "dsl/tune_live.h"

#include <fmt/ranges.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "dsl/tune_words.h"

namespace emulsion {

namespace {

constexpr size_t kMostKernels = 12;  // in the table

struct Size {
    size_t rows = 24, columns = 80;
};

Size terminal_size() {
    winsize size{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row < 2 || size.ws_col < 2)
        return {};
    return {size.ws_row, size.ws_col};
}

class LiveReport : public TuneReport {
  public:
    explicit LiveReport(std::unique_ptr<TuneReport> lines) : lines_(std::move(lines)) {}
    ~LiveReport() override { erase(); }  // where an error ends the run
    LiveReport(const LiveReport&) = delete;
    LiveReport& operator=(const LiveReport&) = delete;

    void note(const std::string& sentence) override {
        above([&] { lines_->note(sentence); });
    }
    void begin(const std::string& network, const Isa& isa, const TuneOptions& options,
               size_t kernels, const Spent& spent) override {
        options_ = options;
        spent_ = spent;
        begin_ = Clock::now();
        above([&] { lines_->begin(network, isa, options, kernels, spent); });
    }
    void take_up(const TunedKernel& kernel) override {
        last_.clear();
        show(kernel);
        if (!kernel.fault.empty()) {
            above([&] { lines_->take_up(kernel); });
        } else {
            draw();
        }
    }
    void trial(const TunedKernel& kernel, const Candidate& candidate, const Trial& trial) override {
        spent_.trials++;
        if (trial.times.pairs.empty()) failures_[to_string(trial.outcome)]++;
        last_ = fmt::format("{}: {}", to_string(trial.outcome), to_string(candidate));
        if (!trial.times.pairs.empty())
            last_ = fmt::format("{} ({} against {}, {} of {} pairs won{})", last_,
                                time_text(trial.times.candidate_seconds() * 1e6),
                                time_text(trial.times.current_seconds() * 1e6), trial.times.wins(),
                                trial.times.pairs.size(),
                                trial.times.contended ? ", beside other work" : "");
        show(kernel);
        draw();
    }
    void confirmation(const TunedKernel& kernel, const Confirmation& confirmation) override {
        show(kernel);
        if (confirmation.is_accepted) {
            above([&] { lines_->confirmation(kernel, confirmation); });
        } else {
            last_ = confirmation.is_contended ? "a winner could not be measured beside other work"
                                              : "a winner did not win again";
            draw();
        }
    }
    void step_timed(bool training, double us, bool is_contended) override {
        above([&] { lines_->step_timed(training, us, is_contended); });
    }
    void step_compared(bool training, const PairedTimes& times) override {
        above([&] { lines_->step_compared(training, times); });
    }
    void step_check(const TunedKernel& kernel, const Confirmation& check) override {
        show(kernel);
        if (check.is_accepted) {
            draw();
        } else {
            above([&] { lines_->step_check(kernel, check); });
        }
    }
    void choice_tried(const TunedChoice& choice, const Trial& trial) override {
        last_ = fmt::format("{}: {} instead of {} of {}", to_string(trial.outcome), choice.other,
                            choice.own, choice.name);
        draw();
    }
    void choice_confirmed(const TunedChoice& choice, const Confirmation& confirmation) override {
        above([&] { lines_->choice_confirmed(choice, confirmation); });
    }
    void choice_checked(const TunedChoice& choice, const Confirmation& check) override {
        above([&] { lines_->choice_checked(choice, check); });
    }
    void end(TuneEnd why, const std::vector<TunedKernel>& kernels, const Spent& spent) override {
        erase();
        lines_->end(why, kernels, spent);
    }
    void interrupted(const std::vector<TunedKernel>& kernels, const Spent& spent) override {
        erase();
        lines_->interrupted(kernels, spent);
    }

  private:
    using Clock = std::chrono::steady_clock;

    void show(const TunedKernel& kernel) {
        now_ = kernel.name;
        kernels_.insert_or_assign(kernel.name, kernel);
    }

    // What lasts: it takes the view's place, which goes on beneath.
    template <class Print>
    void above(const Print& print) {
        erase();
        print();
        draw();
    }

    // The cursor stands in the line beneath the view. A line that is longer than the terminal has
    // become since takes several of its rows.
    void erase() {
        const size_t columns = terminal_size().columns;
        size_t rows = 0;
        for (const size_t width : drawn_)
            rows += std::max<size_t>(1, (width + columns - 1) / columns);
        if (rows > 0) fmt::print("\r\x1b[{}A\x1b[J", rows);
        std::fflush(stdout);
        drawn_.clear();
    }

    void draw() {
        const Size size = terminal_size();
        std::vector<std::string> lines = head();
        const std::vector<std::string> rows = table();
        lines.insert(lines.end(), rows.begin(), rows.end());
        erase();
        for (std::string& line : lines) {
            if (drawn_.size() + 2 > size.rows) break;  // the cursor's line is one, too
            line.resize(std::min(line.size(), size.columns - 1));
            fmt::print("{}\n", line);
            drawn_.push_back(line.size());
        }
        std::fflush(stdout);
    }

    std::vector<TunedKernel> by_share() const {
        std::vector<TunedKernel> list;
        for (const auto& [name, kernel] : kernels_) list.push_back(kernel);
        std::stable_sort(list.begin(), list.end(), [](const TunedKernel& a, const TunedKernel& b) {
            return a.share > b.share;
        });
        return list;
    }

    std::vector<std::string> head() const {
        const std::vector<TunedKernel> kernels = by_share();
        const double minutes =
            std::chrono::duration<double>(Clock::now() - begin_).count() / 60 + spent_.seconds / 60;
        std::string budget = fmt::format("{:.1f} minutes", minutes);
        if (options_.minutes > 0)
            budget += fmt::format(", {:.1f} left", std::max(0.0, options_.minutes - minutes));
        budget += fmt::format("; {} trials", spent_.trials);
        if (options_.trials > 0) budget += fmt::format(" of {}", options_.trials);
        std::vector<std::string> failures;
        for (const auto& [word, count] : failures_)
            failures.push_back(fmt::format("{} {}", count, word));
        if (!failures.empty()) budget += fmt::format("; failed: {}", fmt::join(failures, ", "));
        std::vector<std::string> lines = {"", budget};
        if (!kernels.empty()) lines.push_back(gains_text(kernels));
        const auto found = kernels_.find(now_);
        if (found == kernels_.end()) return lines;
        const TunedKernel& now = found->second;
        lines.push_back(fmt::format("{}, {:.1f} % of a step", now.name, 100 * now.share));
        lines.push_back("  default: " + now.own);
        lines.push_back(now.best.empty() ? "  best:    the default"
                                         : fmt::format("  best:    {} ({:.3f}x, {})", now.best,
                                                       gain_of(now), time_text(now.best_us)));
        lines.push_back("  last:    " + last_);
        return lines;
    }

    std::vector<std::string> table() const {
        std::vector<std::string> lines = {"", "    share  trials  failed   gain  kernel"};
        std::vector<TunedKernel> kernels = by_share();
        kernels.resize(std::min(kernels.size(), kMostKernels));
        for (const TunedKernel& kernel : kernels) {
            lines.push_back(fmt::format(
                "{} {:5.1f} %  {:6}  {:6}  {:>5}  {}", kernel.name == now_ ? ">" : " ",
                100 * kernel.share, kernel.trials, kernel.failures,
                kernel.best.empty() ? "" : fmt::format("{:.3f}", gain_of(kernel)), kernel.name));
        }
        return lines;
    }

    std::unique_ptr<TuneReport> lines_;
    TuneOptions options_;
    Spent spent_;
    Clock::time_point begin_ = Clock::now();
    std::map<std::string, TunedKernel> kernels_;  // that were visited
    std::map<std::string, int> failures_;         // of this run, by outcome
    std::string now_, last_;                      // kernel, and what became of its last candidate
    std::vector<size_t> drawn_;                   // widths of the view's lines
};

}  // namespace

bool shows_live() {
    const char* name = std::getenv("TERM");
    return isatty(STDOUT_FILENO) == 1 && name != nullptr && std::string_view(name) != "dumb";
}

std::unique_ptr<TuneReport> make_live_report(std::unique_ptr<TuneReport> lines) {
    return std::make_unique<LiveReport>(std::move(lines));
}

}  // namespace emulsion
