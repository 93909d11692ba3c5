// The reporter for programs: the events as lines of JSON. The settings for people appear on
// standard error as well.
#include "runtime/train/event_json.h"
#include "runtime/train/reporter.h"

namespace emulsion {

namespace {

class JsonReporter : public Reporter {
  public:
    explicit JsonReporter(Console& console) : console_(console) {}

    void plan(const RunFacts& facts) override { console_.results(settings_json(facts)); }
    void settings(const RunFacts& facts) override {
        console_.results(settings_json(facts));
        console_.note(settings_text(facts, /*has_rates=*/false));
    }
    void init(const std::string& path, const InitialWeights& initial) override {
        console_.results(init_json(path, initial));
        console_.note(initial_text(path, initial));
    }
    void step(const ProgressState& progress) override { console_.progress(progress); }
    void line(const ProgressState& progress) override { console_.results(step_json(progress)); }
    void epoch(const EpochRecord& record, int64_t step) override {
        console_.results(epoch_json(record, step));
    }
    void weights(const std::string& path, int64_t step) override {
        console_.results(weights_json(path, step));
    }
    void profile(const CallProfile& profile, const emulsion_info& info) override {
        console_.results(profile_lines(profile, info));
    }
    void test(const Evaluation& evaluation, int64_t step) override {
        console_.results(test_json(evaluation, step));
    }

  private:
    Console& console_;
};

}  // namespace

std::unique_ptr<Reporter> make_json_reporter(Console& console) {
    return std::make_unique<JsonReporter>(console);
}

}  // namespace emulsion
