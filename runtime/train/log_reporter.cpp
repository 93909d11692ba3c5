// The logs in the folder of a run: log.jsonl with every event, log.csv with the epochs.
//
// They begin with the first checkpoint: a run that cannot begin leaves none, and does not touch
// those of the run before. A resumed run goes on with them: what is told of steps behind the
// checkpoint, which are trained again, is dropped, and an epoch that a kill has kept from being
// told is added from the history.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "runtime/support/path.h"
#include "runtime/support/text.h"
#include "runtime/train/epoch_csv.h"
#include "runtime/train/event_json.h"
#include "runtime/train/folder.h"
#include "runtime/train/line_log.h"
#include "runtime/train/reporter.h"

namespace emulsion {

namespace {

// Which records of a resumed run the logs hold by now, and which it tells (again) itself.
struct Resumed {
    const RunState* state;
    int64_t steps_per_epoch;
    bool tells_last;  // the record of where it stands, whose validation is due
    bool keeps_part;  // it is complete, and ended within an epoch

    int64_t step() const { return static_cast<int64_t>(state->step); }
    int64_t step_of(int64_t epoch) const { return std::min(epoch * steps_per_epoch, step()); }
    bool is_told(int64_t epoch) const {
        const auto done = static_cast<int64_t>(state->epoch);
        if (epoch == done + 1) return keeps_part && !tells_last;
        const bool is_last = epoch == done && state->batch == 0;
        return epoch <= done && !(is_last && tells_last);
    }
};

int64_t number_in(const nlohmann::json& json, const char* name, int64_t otherwise) {
    const auto found = json.find(name);
    const bool is_there = found != json.end() && found->is_number_integer();
    return is_there ? found->get<int64_t>() : otherwise;
}

// Notes that the epoch is told; false where it was. `told`: of the finished epochs, and of the part
// of one behind them.
bool take(int64_t epoch, std::vector<bool>* told) {
    const auto index = static_cast<size_t>(epoch) - 1;
    if (index >= told->size() || (*told)[index]) return false;
    (*told)[index] = true;
    return true;
}

// The place of a line of log.jsonl that a resumed run leaves where it is.
std::optional<int64_t> place_of_event(std::string_view line, const Resumed& resumed,
                                      std::vector<bool>* told) {
    const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object() || !json.contains("event")) return std::nullopt;
    const auto& event = json["event"];
    if (event == "settings") return number_in(json, "resumed_after", 0);
    const int64_t step = number_in(json, "step", -1);
    if (step < 0 || step > resumed.step()) return std::nullopt;
    if (event == "step") return step;
    if (event != "epoch") return step < resumed.step() ? std::optional(step) : std::nullopt;
    const int64_t epoch = number_in(json, "epoch", 0);
    if (epoch < 1 || !resumed.is_told(epoch)) return std::nullopt;
    return take(epoch, told) ? std::optional(step) : std::nullopt;
}

// The same of log.csv, whose lines begin with the epoch; its header is of no step.
std::optional<int64_t> place_of_row(std::string_view line, const Resumed& resumed,
                                    std::vector<bool>* told) {
    if (line.starts_with("epoch,")) return 0;
    const auto epoch = parse_unsigned(line.substr(0, line.find(',')));
    if (!epoch || *epoch < 1 || *epoch > static_cast<uint64_t>(kMostEpochs)) return std::nullopt;
    const auto number = static_cast<int64_t>(*epoch);
    if (!resumed.is_told(number)) return std::nullopt;
    return take(number, told) ? std::optional(resumed.step_of(number)) : std::nullopt;
}

class LogReporter : public Reporter {
  public:
    LogReporter(const std::string& folder, Console& console)
        : events_(join_path(folder, kEventLogName), console),
          epochs_(join_path(folder, kEpochLogName), console) {}

    void settings(const RunFacts& facts) override {
        first_ = settings_json(facts);
        if (facts.resumed == nullptr) return;
        const RunState& state = *facts.resumed;
        const int64_t total = facts.settings->total_steps(facts.steps_per_epoch);
        resumed_ = Resumed{&state, static_cast<int64_t>(facts.steps_per_epoch),
                           owes_validation(state, total),
                           state.part && static_cast<int64_t>(state.step) >= total};
    }
    void init(const std::string& path, const InitialWeights& initial) override {
        first_ += init_json(path, initial);
    }
    void line(const ProgressState& progress) override { events_.append(step_json(progress)); }
    void checkpoint(int64_t step) override {
        if (!is_open_) open();
        events_.append(checkpoint_json(step));
    }
    void epoch(const EpochRecord& record, int64_t step) override {
        events_.append(epoch_json(record, step));
        if (epochs_.is_empty()) epochs_.append(csv_header(record));
        epochs_.append(csv_row(record, step));
    }
    void weights(const std::string& path, int64_t step) override {
        events_.append(weights_json(path, step));
    }
    void measured(const KernelTimes& times, int64_t step) override {
        events_.append(times_json(times, step));
    }
    void mistakes(const std::vector<ShownMistake>& mistakes, int64_t step) override {
        events_.append(mistakes_json(mistakes, step));
    }
    void test(const Evaluation& evaluation, int64_t step) override {
        events_.append(test_json(evaluation, step));
    }

  private:
    void open() {
        is_open_ = true;
        if (!resumed_) {
            events_.begin();
            epochs_.begin();
        } else {
            resume(events_, place_of_event, epoch_json, "");
            const EpochRecord* any = last_record(*resumed_->state);
            const auto& history = resumed_->state->history;
            if (any == nullptr && !history.empty()) any = &history.back();
            resume(epochs_, place_of_row, csv_row, any ? csv_header(*any) : "");
        }
        events_.append(first_);
    }

    // `header`: the first line of a file that has none.
    template <typename PlaceOf, typename TextOf>
    void resume(LineLog& log, PlaceOf place_of, TextOf text_of, const std::string& header) {
        const Resumed& resumed = *resumed_;
        std::vector<EpochRecord> records = resumed.state->history;
        if (resumed.state->part) records.push_back(*resumed.state->part);
        std::vector<bool> told(records.size());
        const auto place = [&](std::string_view line) { return place_of(line, resumed, &told); };
        log.resume(place, [&](bool has_lines) {
            std::vector<PlacedLine> missing;
            if (!has_lines && !header.empty()) missing.push_back({0, header});
            for (size_t i = 0; i < records.size(); i++) {
                const int64_t step = resumed.step_of(records[i].epoch);
                if (!told[i] && resumed.is_told(records[i].epoch))
                    missing.push_back({step, text_of(records[i], step)});
            }
            return missing;
        });
    }

    LineLog events_, epochs_;
    std::string first_;  // of what this process adds
    std::optional<Resumed> resumed_;
    bool is_open_ = false;
};

}  // namespace

std::unique_ptr<Reporter> make_log_reporter(const std::string& folder, Console& console) {
    return std::make_unique<LogReporter>(folder, console);
}

}  // namespace emulsion
