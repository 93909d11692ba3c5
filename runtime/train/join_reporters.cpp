// Several reporters as one.
#include <utility>

#include "runtime/train/reporter.h"

namespace emulsion {

namespace {

class JoinedReporters : public Reporter {
  public:
    explicit JoinedReporters(std::vector<std::unique_ptr<Reporter>> reporters)
        : reporters_(std::move(reporters)) {}

    void plan(const RunFacts& facts) override {
        for (const auto& each : reporters_) each->plan(facts);
    }
    void settings(const RunFacts& facts) override {
        for (const auto& each : reporters_) each->settings(facts);
    }
    void init(const std::string& path, const InitialWeights& initial) override {
        for (const auto& each : reporters_) each->init(path, initial);
    }
    void step(const ProgressState& progress) override {
        for (const auto& each : reporters_) each->step(progress);
    }
    void line(const ProgressState& progress) override {
        for (const auto& each : reporters_) each->line(progress);
    }
    void checkpoint(int64_t step) override {
        for (const auto& each : reporters_) each->checkpoint(step);
    }
    void epoch(const EpochRecord& record, int64_t step) override {
        for (const auto& each : reporters_) each->epoch(record, step);
    }
    void weights(const std::string& path, int64_t step) override {
        for (const auto& each : reporters_) each->weights(path, step);
    }
    void profile(const CallProfile& profile, const emulsion_info& info) override {
        for (const auto& each : reporters_) each->profile(profile, info);
    }
    void measured(const KernelTimes& times, int64_t step) override {
        for (const auto& each : reporters_) each->measured(times, step);
    }
    void test(const Evaluation& evaluation, int64_t step) override {
        for (const auto& each : reporters_) each->test(evaluation, step);
    }
    void mistakes(const std::vector<ShownMistake>& mistakes, int64_t step) override {
        for (const auto& each : reporters_) each->mistakes(mistakes, step);
    }
    void end() override {
        for (const auto& each : reporters_) each->end();
    }

  private:
    const std::vector<std::unique_ptr<Reporter>> reporters_;
};

}  // namespace

std::unique_ptr<Reporter> join_reporters(std::vector<std::unique_ptr<Reporter>> reporters) {
    return std::make_unique<JoinedReporters>(std::move(reporters));
}

}  // namespace emulsion
