// Lines of the command `tune`. Each is written at once, so that a pipe sees them as they happen.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "dsl/tune_command.h"
#include "dsl/tune_words.h"

namespace emulsion {

namespace {

class TextReport : public TuneReport {
  public:
    explicit TextReport(const MachineSpeed& machine) : machine_(machine) {}

    void note(const std::string& sentence) override { fmt::print(stderr, "note: {}\n", sentence); }

    void begin(const std::string& network, const Isa& isa, const TuneOptions& options,
               size_t kernels, const Spent& spent) override {
        say("tuning {}: {} kernels, {}, {} threads, on {}", network, kernels, isa.name,
            options.threads, to_string(this_machine()));
        std::string budget;
        if (options.minutes > 0) budget += fmt::format("{:g} minutes", options.minutes);
        if (options.minutes > 0 && options.trials > 0) budget += " or ";
        if (options.trials > 0) budget += fmt::format("{} trials", options.trials);
        say("budget {}, of which {:.1f} minutes and {} trials are spent; records go to {}, "
            "measurements to {}",
            budget, spent.seconds / 60, spent.trials, options.records, options.journal);
    }

    void take_up(const TunedKernel& kernel) override {
        if (!kernel.fault.empty()) {
            say("{}: left as it is: {}", kernel.name, kernel.fault);
            return;
        }
        say("{}: {:.1f} % of a step; {} computes what the plain definition does", kernel.name,
            100 * kernel.share, kernel.own);
        for (const Start& start : kernel.starts)
            say("{}: begins with {} from {}: {}", kernel.name, to_string(start.candidate),
                start.origin, start.why);
    }

    void trial(const TunedKernel& kernel, const Candidate& candidate, const Trial& trial) override {
        if (trial.times.pairs.empty()) {
            std::string reason = trial.note.substr(0, trial.note.find('\n'));
            if (reason.size() > 100) reason = reason.substr(0, 100) + "…";
            say("{}: {} {}: {}", kernel.name, to_string(candidate), to_string(trial.outcome),
                reason);
            return;
        }
        say("{}: {} {}: {} against {}, {} of {} pairs won{}", kernel.name, to_string(candidate),
            to_string(trial.outcome), time_text(trial.times.candidate_seconds() * 1e6),
            time_text(trial.times.current_seconds() * 1e6), trial.times.wins(),
            trial.times.pairs.size(), trial.times.contended ? ", beside other work" : "");
    }

    void confirmation(const TunedKernel& kernel, const Confirmation& c) override {
        const std::string times = fmt::format("{} against {} of the default", time_text(c.tuned_us),
                                              time_text(c.default_us));
        if (c.is_accepted) {
            say("{}: RECORD {:.3f}x: {}: {}", kernel.name, c.default_us / c.tuned_us,
                to_string(c.candidate), times);
        } else if (c.is_contended) {
            say("{}: no record yet: {}, but other work took the processors; it is measured again "
                "by the next run",
                kernel.name, times);
        } else {
            say("{}: no record: measured again, {} takes {}", kernel.name, to_string(c.candidate),
                times);
        }
    }

    void step_timed(bool training, double us, bool is_contended) override {
        say("{} takes {} by the default schedules{}", step_words(training), time_text(us),
            is_contended ? ", beside other work" : "");
    }

    void step_compared(bool training, const PairedTimes& times) override {
        say("{} takes {} with records, {} without, {} of {} pairs won{}", step_words(training),
            time_text(times.candidate_seconds() * 1e6), time_text(times.current_seconds() * 1e6),
            times.wins(), times.pairs.size(), times.contended ? ", beside other work" : "");
    }

    void step_check(const TunedKernel& kernel, const Confirmation& c) override {
        const std::string times = fmt::format("in the step it takes {} against {} of the default",
                                              time_text(c.tuned_us), time_text(c.default_us));
        if (c.is_accepted) {
            say("{}: record stays {:.3f}x: {}: {}", kernel.name, c.default_us / c.tuned_us,
                to_string(c.candidate), times);
        } else if (c.is_contended) {
            say("{}: record not settled: {}, but other work took the processors; the next run "
                "checks it again",
                kernel.name, times);
        } else {
            say("{}: record DROPPED: {}: {}{}", kernel.name, to_string(c.candidate), times,
                kernel.best.empty() ? "" : "; " + kernel.best + " is in force again");
        }
    }

    void choice_tried(const TunedChoice& choice, const Trial& trial) override {
        if (trial.times.pairs.empty()) {
            say("{}: {}: {}", words(choice), to_string(trial.outcome), trial.note);
            return;
        }
        say("{}: {}: a step takes {} against {}, {} of {} pairs won{}", words(choice),
            to_string(trial.outcome), time_text(trial.times.candidate_seconds() * 1e6),
            time_text(trial.times.current_seconds() * 1e6), trial.times.wins(),
            trial.times.pairs.size(), trial.times.contended ? ", beside other work" : "");
    }

    void choice_confirmed(const TunedChoice& choice, const Confirmation& c) override {
        const std::string times = fmt::format("a step takes {} against {}", time_text(c.tuned_us),
                                              time_text(c.default_us));
        if (c.is_accepted) {
            say("{}: RECORD {:.3f}x: {}; the network is planned anew", words(choice),
                c.default_us / c.tuned_us, times);
        } else if (c.is_contended) {
            say("{}: no record yet: {}, but other work took the processors; it is measured again "
                "by the next run",
                words(choice), times);
        } else {
            say("{}: no record: measured again, {}", words(choice), times);
        }
    }

    void choice_checked(const TunedChoice& choice, const Confirmation& c) override {
        const std::string times = fmt::format("with the tuned kernels a step takes {} against {}",
                                              time_text(c.tuned_us), time_text(c.default_us));
        if (c.is_accepted) {
            say("{}: record stays {:.3f}x: {}", words(choice), c.default_us / c.tuned_us, times);
        } else if (c.is_contended) {
            say("{}: record not settled: {}, but other work took the processors; the next run "
                "checks it again",
                words(choice), times);
        } else {
            say("{}: record WITHDRAWN: {}; the network is planned anew", words(choice), times);
        }
    }

    void end(TuneEnd why, const std::vector<TunedKernel>& kernels, const Spent& spent) override {
        table(kernels, spent);
        say("{}", why == TuneEnd::budget ? "the budget is spent" : "nothing is left to try");
    }

    void interrupted(const std::vector<TunedKernel>& kernels, const Spent& spent) override {
        table(kernels, spent);
        say("interrupted; all that was measured is kept, and the same command goes on from here");
    }

  private:
    static std::string words(const TunedChoice& choice) {
        std::string directions;
        for (const bool training : choice.training)
            directions += training ? "training " : "inference ";
        return fmt::format("{}{}: {} instead of {}", directions, choice.name, choice.other,
                           choice.own);
    }

    template <class... T>
    static void say(fmt::format_string<T...> format, T&&... values) {
        fmt::print("{}\n", fmt::format(format, std::forward<T>(values)...));
        std::fflush(stdout);
    }

    void table(const std::vector<TunedKernel>& kernels, const Spent& spent) const {
        size_t width = 6;
        for (const TunedKernel& kernel : kernels) width = std::max(width, kernel.name.size());
        say("{:<{}}  share  trials  failed     default       tuned   gain            peak  "
            "       memory  schedule",
            "kernel", width);
        int failures = 0;
        for (const TunedKernel& kernel : kernels) {
            const bool has_record = !kernel.best.empty();
            failures += kernel.failures;
            const KernelRates before = rates_of(kernel, kernel.default_us, machine_);
            const KernelRates after = rates_of(kernel, kernel.best_us, machine_);
            say("{:<{}} {:4.1f} %  {:6}  {:6}  {:>10}  {:>10}  {:>5}  {:>14}  {:>14}  {}",
                kernel.name, width, 100 * kernel.share, kernel.trials, kernel.failures,
                has_record ? time_text(kernel.default_us) : "",
                has_record ? time_text(kernel.best_us) : "",
                has_record ? fmt::format("{:.3f}", gain_of(kernel)) : "",
                change_of(before.peak, after.peak), change_of(before.memory, after.memory),
                has_record ? kernel.best : kernel.own);
        }
        say("peak and memory: the share of {:.0f} GFLOP/s, and of the bandwidth within blocks of "
            "the tensors' size",
            machine_.peak * 1e-9);
        say("{} trials in {:.1f} minutes, {} failed; by the kernels' shares {}", spent.trials,
            spent.seconds / 60, failures, gains_text(kernels));
    }

    MachineSpeed machine_;
};

class JsonReport : public TuneReport {
  public:
    explicit JsonReport(const MachineSpeed& machine) : machine_(machine) {}

    void note(const std::string& sentence) override { say("note", {{"text", sentence}}); }

    void begin(const std::string& network, const Isa& isa, const TuneOptions& options,
               size_t kernels, const Spent& spent) override {
        say("begin", {{"network", network},
                      {"isa", isa.name},
                      {"threads", options.threads},
                      {"machine", to_string(this_machine())},
                      {"peak", machine_.peak},
                      {"kernels", kernels},
                      {"minutes", options.minutes},
                      {"trials", options.trials},
                      {"records", options.records},
                      {"journal", options.journal},
                      {"spent_seconds", spent.seconds},
                      {"spent_trials", spent.trials}});
    }
    void take_up(const TunedKernel& kernel) override {
        Json fields = to_json(kernel);
        fields["starts"] = Json::array();
        for (const Start& start : kernel.starts) {
            fields["starts"].push_back({{"recipe", start.candidate.recipe},
                                        {"tiling", to_string(start.candidate.tiling)},
                                        {"origin", start.origin},
                                        {"why", start.why}});
        }
        say("kernel", fields);
    }
    void trial(const TunedKernel& kernel, const Candidate& candidate, const Trial& trial) override {
        say("trial", {{"kernel", kernel.name},
                      {"recipe", candidate.recipe},
                      {"tiling", to_string(candidate.tiling)},
                      {"outcome", to_string(trial.outcome)},
                      {"note", trial.note},
                      {"us", trial.times.candidate_seconds() * 1e6},
                      {"current_us", trial.times.current_seconds() * 1e6},
                      {"pairs", trial.times.pairs.size()},
                      {"wins", trial.times.wins()},
                      {"contended", trial.times.contended}});
    }
    void confirmation(const TunedKernel& kernel, const Confirmation& c) override {
        say("confirmation", to_json(kernel, c));
    }
    void step_timed(bool training, double us, bool is_contended) override {
        say("step", {{"training", training}, {"default_us", us}, {"contended", is_contended}});
    }
    void step_compared(bool training, const PairedTimes& times) override {
        say("steps", {{"training", training},
                      {"default_us", times.current_seconds() * 1e6},
                      {"tuned_us", times.candidate_seconds() * 1e6},
                      {"ratio", times.ratio()},
                      {"pairs", times.pairs.size()},
                      {"wins", times.wins()},
                      {"contended", times.contended}});
    }
    void step_check(const TunedKernel& kernel, const Confirmation& c) override {
        say("step_check", to_json(kernel, c));
    }
    void choice_tried(const TunedChoice& choice, const Trial& trial) override {
        Json fields = to_json(choice);
        fields.update({{"outcome", to_string(trial.outcome)},
                       {"note", trial.note},
                       {"us", trial.times.candidate_seconds() * 1e6},
                       {"current_us", trial.times.current_seconds() * 1e6},
                       {"pairs", trial.times.pairs.size()},
                       {"wins", trial.times.wins()},
                       {"contended", trial.times.contended}});
        say("choice", fields);
    }
    void choice_confirmed(const TunedChoice& choice, const Confirmation& c) override {
        say("choice_confirmation", to_json(choice, c));
    }
    void choice_checked(const TunedChoice& choice, const Confirmation& c) override {
        say("choice_check", to_json(choice, c));
    }
    void end(TuneEnd why, const std::vector<TunedKernel>& kernels, const Spent& spent) override {
        finish(why == TuneEnd::budget ? "budget" : "nothing_left", kernels, spent);
    }
    void interrupted(const std::vector<TunedKernel>& kernels, const Spent& spent) override {
        finish("interrupted", kernels, spent);
    }

  private:
    using Json = nlohmann::ordered_json;

    // {"training": …, "inference": …}, of those that there are.
    template <class Values>
    static Json by_direction(const Values& values) {
        Json fields = Json::object();
        for (const auto& [training, value] : values)
            fields[training ? "training" : "inference"] = value;
        return fields;
    }

    Json to_json(const TunedKernel& kernel) const {
        const KernelRates before = rates_of(kernel, kernel.default_us, machine_);
        const KernelRates after = rates_of(kernel, kernel.best_us, machine_);
        return {{"kernel", kernel.name},
                {"share", kernel.share},
                {"shares", by_direction(kernel.shares)},
                {"step_us", kernel.step_us},
                {"trials", kernel.trials},
                {"failures", kernel.failures},
                {"default", kernel.own},
                {"tuned", kernel.best},
                {"default_us", kernel.default_us},
                {"tuned_us", kernel.best_us},
                {"default_peak", before.peak},
                {"tuned_peak", after.peak},
                {"default_memory", before.memory},
                {"tuned_memory", after.memory},
                {"fault", kernel.fault}};
    }

    static Json to_json(const TunedChoice& choice, const Confirmation& c) {
        Json fields = to_json(choice);
        fields.update({{"accepted", c.is_accepted},
                       {"contended", c.is_contended},
                       {"default_us", c.default_us},
                       {"tuned_us", c.tuned_us},
                       {"spread", c.spread}});
        return fields;
    }

    static Json to_json(const TunedChoice& choice) {
        return {{"name", choice.name},
                {"node", choice.node},
                {"own", choice.own},
                {"choice", choice.other},
                {"training", choice.training}};
    }

    static Json to_json(const TunedKernel& kernel, const Confirmation& c) {
        return {{"kernel", kernel.name},
                {"recipe", c.candidate.recipe},
                {"tiling", to_string(c.candidate.tiling)},
                {"accepted", c.is_accepted},
                {"contended", c.is_contended},
                {"default_us", c.default_us},
                {"tuned_us", c.tuned_us},
                {"spread", c.spread}};
    }

    void finish(const char* why, const std::vector<TunedKernel>& kernels,
                const Spent& spent) const {
        Json list = Json::array();
        for (const TunedKernel& kernel : kernels) list.push_back(to_json(kernel));
        say("end", {{"why", why},
                    {"spent_seconds", spent.seconds},
                    {"spent_trials", spent.trials},
                    {"gains", by_direction(gains_of(kernels))},
                    {"kernels", list}});
    }

    static void say(const char* event, const Json& fields) {
        Json line = {{"event", event}};
        line.update(fields);
        const auto replace = Json::error_handler_t::replace;  // of bytes that are no UTF-8
        fmt::print("{}\n", line.dump(-1, ' ', false, replace));
        std::fflush(stdout);
    }

    MachineSpeed machine_;
};

}  // namespace

std::unique_ptr<TuneReport> make_tune_report(bool as_json, const MachineSpeed& machine) {
    if (as_json) return std::make_unique<JsonReport>(machine);
    return std::make_unique<TextReport>(machine);
}

}  // namespace emulsion
