// See tune_page.h.
#include "dsl/tune_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "compiler/codegen/kernel.h"
#include "dsl/tune_words.h"
#include "runtime/support/atomic_file.h"

namespace emulsion {

namespace {

constexpr size_t kMostLoops = 40;  // kernels whose loops are shown, by their share
constexpr const char* kStyle = R"(
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 90em; padding: 0 1em; }
table { border-collapse: collapse; }
th, td { padding: .25em .7em; border-bottom: 1px solid #ccc; text-align: right; }
td { white-space: nowrap; }
td:last-child { white-space: normal; }
th:first-child, td:first-child, td:last-child, th:last-child { text-align: left; }
pre { background: #f4f4f4; padding: .7em; overflow-x: auto; font-size: 12px; flex: 1; margin: 0; }
.loops { display: flex; gap: 1em; }
svg { background: #fafafa; }
)";

std::string escaped(const std::string& text) {
    std::string safe;
    for (const char c : text) {
        if (c == '&') safe += "&amp;";
        if (c == '<') safe += "&lt;";
        if (c == '>') safe += "&gt;";
        if (c == '"') safe += "&quot;";
        if (c != '&' && c != '<' && c != '>' && c != '"') safe += c;
    }
    return safe;
}

// A trial of this run: times over the default's, as the pairs of the search say; 0 where it failed.
struct Point {
    int trial = 0;
    double time = 0, best = 1;
};

// Times over the default's, upwards; the line is the best so far, a dot a candidate that was timed,
// a cross one that failed.
std::string curve(const std::vector<Point>& points) {
    constexpr double kWidth = 640, kHeight = 160, kMost = 2;
    if (points.empty()) return "<p>no trial in this run</p>\n";
    const int first = points.front().trial, last = points.back().trial;
    const auto x = [&](int trial) {
        return 10 + (kWidth - 20) * (trial - first) / std::max(1, last - first);
    };
    const auto y = [&](double time) {
        return kHeight - 10 - (kHeight - 20) * std::min(time, kMost) / kMost;
    };
    std::string svg = fmt::format(
        "<svg viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" role=\"img\" "
        "aria-label=\"search\">\n<line x1=\"0\" x2=\"{0}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\" "
        "stroke=\"#999\" stroke-dasharray=\"4\"/>\n<polyline fill=\"none\" stroke=\"#06c\" "
        "points=\"",
        kWidth, kHeight, y(1));
    for (const Point& p : points) svg += fmt::format("{:.1f},{:.1f} ", x(p.trial), y(p.best));
    svg += "\"/>\n";
    for (const Point& p : points) {
        if (p.time > 0) {
            svg += fmt::format(
                "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\"><title>trial {}: "
                "{:.3f}</title></circle>\n",
                x(p.trial), y(p.time), p.trial, p.time);
        } else {
            svg += fmt::format("<text x=\"{:.1f}\" y=\"12\" text-anchor=\"middle\">×</text>\n",
                               x(p.trial));
        }
    }
    return svg +
           fmt::format(
               "</svg>\n<p>trials {} to {}; dashed: the default's time, top: twice that</p>\n",
               first, last);
}

std::string row(const TunedKernel& kernel, const MachineSpeed& machine) {
    const bool has_record = kernel.chosen.has_value();
    const auto time = [&](double us) { return has_record ? fmt::format("{:.1f}", us) : ""; };
    const double gflop = 2e-9 * static_cast<double>(kernel.planned->group.multiply_adds());
    const auto rate = [&](double us) {
        return has_record && gflop > 0 ? fmt::format("{:.1f}", gflop / us * 1e6) : "";
    };
    const KernelRates before = rates_of(kernel, kernel.default_us, machine);
    const KernelRates after = rates_of(kernel, kernel.best_us, machine);
    const auto change = [&](double share, double tuned_share) {
        return has_record ? change_of(share, tuned_share) : "";
    };
    return fmt::format(
        "<tr><td>{}</td><td>{:.1f} %</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>"
        "<td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
        escaped(kernel.name), 100 * kernel.share, kernel.trials, kernel.failures,
        time(kernel.default_us), time(kernel.best_us), rate(kernel.default_us),
        rate(kernel.best_us), change(before.peak, after.peak), change(before.memory, after.memory),
        has_record ? fmt::format("{:.3f}", kernel.default_us / kernel.best_us) : "",
        escaped(!kernel.fault.empty() ? kernel.own + " (" + kernel.fault + ")"
                : has_record          ? kernel.best
                                      : kernel.own));
}

class PageReport : public TuneReport {
  public:
    PageReport(std::unique_ptr<TuneReport> inner, std::string file, const RecipeLibrary& library,
               const MachineSpeed& machine)
        : inner_(std::move(inner)), file_(std::move(file)), library_(library), machine_(machine) {
        AtomicFile probe(file_);  // finds out whether it can be written
    }

    void note(const std::string& sentence) override { inner_->note(sentence); }
    void begin(const std::string& network, const Isa& isa, const TuneOptions& options,
               size_t kernels, const Spent& spent) override {
        network_ = network;
        isa_ = isa;
        threads_ = options.threads;
        inner_->begin(network, isa, options, kernels, spent);
    }
    void take_up(const TunedKernel& kernel) override {
        best_[kernel.name] = kernel.chosen ? kernel.best_us / kernel.default_us : 1;
        inner_->take_up(kernel);
    }
    void trial(const TunedKernel& kernel, const Candidate& candidate, const Trial& trial) override {
        const double best = best_[kernel.name];
        const double time = trial.times.pairs.empty() ? 0 : best * trial.times.ratio();
        points_[kernel.name].push_back({kernel.trials, time, best});
        inner_->trial(kernel, candidate, trial);
    }
    void confirmation(const TunedKernel& kernel, const Confirmation& c) override {
        if (c.is_accepted) {
            double& best = best_[kernel.name];
            best = c.tuned_us / c.default_us;
            std::vector<Point>& points = points_[kernel.name];
            if (!points.empty()) points.back().best = best;
        }
        inner_->confirmation(kernel, c);
    }
    void step_timed(bool training, double us, bool is_contended) override {
        inner_->step_timed(training, us, is_contended);
    }
    void step_compared(bool training, const PairedTimes& times) override {
        inner_->step_compared(training, times);
    }
    void step_check(const TunedKernel& kernel, const Confirmation& check) override {
        inner_->step_check(kernel, check);
    }
    void choice_tried(const TunedChoice& choice, const Trial& trial) override {
        choices_ += fmt::format(
            "<li>{}: {} instead of {}: {}{}</li>\n", escaped(choice.name), choice.other, choice.own,
            to_string(trial.outcome),
            trial.times.pairs.empty()
                ? ": " + escaped(trial.note)
                : fmt::format(", a step takes {:.3f} of the time", trial.times.ratio()));
        inner_->choice_tried(choice, trial);
    }
    void choice_confirmed(const TunedChoice& choice, const Confirmation& c) override {
        if (c.is_accepted) {
            choices_ += fmt::format(
                "<li><b>{}: {} instead of {}: a record, {:.3f} times as fast"
                "</b></li>\n",
                escaped(choice.name), choice.other, choice.own, c.default_us / c.tuned_us);
        }
        inner_->choice_confirmed(choice, c);
    }
    void choice_checked(const TunedChoice& choice, const Confirmation& c) override {
        if (!c.is_accepted && !c.is_contended) {
            choices_ += fmt::format(
                "<li><b>{}: {} instead of {}: withdrawn, {:.3f} times as fast with the tuned "
                "kernels</b></li>\n",
                escaped(choice.name), choice.other, choice.own, c.default_us / c.tuned_us);
        }
        inner_->choice_checked(choice, c);
    }
    void end(TuneEnd why, const std::vector<TunedKernel>& kernels, const Spent& spent) override {
        inner_->end(why, kernels, spent);
        write(kernels, spent, /*with_loops=*/true);
    }
    void interrupted(const std::vector<TunedKernel>& kernels, const Spent& spent) override {
        inner_->interrupted(kernels, spent);
        write(kernels, spent, /*with_loops=*/false);
    }

  private:
    std::string loops_of(const TunedKernel& kernel, const Candidate& candidate,
                         const std::string& what) const {
        PlannedKernel planned = *kernel.planned;
        planned.recipe = candidate.recipe;
        planned.recipe_version = candidate.version;
        planned.tiling = candidate.tiling;
        return fmt::format("<pre>{}: {}\n\n{}</pre>\n", what, escaped(to_string(candidate)),
                           escaped(show_kernel(planned, isa_, library_, "loops")));
    }

    std::string loops(const TunedKernel& kernel) const {
        const PlannedKernel& own = *kernel.planned;
        std::string text =
            "<details><summary>loops</summary><div class=\"loops\">\n" +
            loops_of(kernel, {own.recipe, own.recipe_version, own.tiling}, "default");
        if (kernel.chosen) text += loops_of(kernel, *kernel.chosen, "chosen");
        return text + "</div></details>\n";
    }

    void write(const std::vector<TunedKernel>& kernels, const Spent& spent, bool with_loops) const {
        std::string page = fmt::format(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"/><title>tuning {0}"
            "</title><style>{1}</style></head>\n<body>\n<h1>Tuning {0}</h1>\n"
            "<p>{2}, {3} threads, on {4}; {5} trials in {6:.1f} minutes. By the kernels' shares: "
            "{7}. Peak: {8:.0f} GFLOP/s, of the plain definition's multiply-adds; memory: the "
            "bandwidth within blocks of the tensors' size.</p>\n"
            "<table>\n<thead><tr><th>kernel</th><th>share</th><th>trials</th><th>failed</th>"
            "<th>default, us</th><th>tuned, us</th><th>default, GFLOP/s</th><th>tuned, GFLOP/s</th>"
            "<th>peak</th><th>memory</th><th>gain</th><th>schedule</th></tr></thead>\n<tbody>\n",
            escaped(network_), kStyle, isa_.name, threads_, to_string(this_machine()), spent.trials,
            spent.seconds / 60, gains_text(kernels), machine_.peak * 1e-9);
        for (const TunedKernel& kernel : kernels) page += row(kernel, machine_);
        page += "</tbody>\n</table>\n";
        if (!choices_.empty()) {
            page +=
                "<h2>Choices above the kernels</h2>\n<ul id=\"choices\">\n" + choices_ + "</ul>\n";
        }
        if (!with_loops) page += "<p>The run was interrupted: no loops are shown.</p>\n";
        for (size_t i = 0; i < kernels.size(); i++) {
            const auto points = points_.find(kernels[i].name);
            page += fmt::format("<h2>{}</h2>\n", escaped(kernels[i].name));
            page += curve(points == points_.end() ? std::vector<Point>() : points->second);
            if (with_loops && i < kMostLoops) page += loops(kernels[i]);
        }
        write_file(file_, page + "</body>\n</html>\n");
    }

    std::unique_ptr<TuneReport> inner_;
    std::string file_;
    const RecipeLibrary& library_;
    MachineSpeed machine_;
    std::string network_;
    Isa isa_;
    int threads_ = 1;
    std::string choices_;                 // list items
    std::map<std::string, double> best_;  // time over the default's, by kernel
    std::map<std::string, std::vector<Point>> points_;
};

}  // namespace

std::unique_ptr<TuneReport> with_page(std::unique_ptr<TuneReport> inner, const std::string& file,
                                      const RecipeLibrary& library, const MachineSpeed& machine) {
    return std::make_unique<PageReport>(std::move(inner), file, library, machine);
}

}  // namespace emulsion
