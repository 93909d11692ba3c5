// See weights_keeper.h.
#include "runtime/train/weights_keeper.h"

#include <dirent.h>

#include <algorithm>
#include <memory>
#include <new>
#include <optional>
#include <string_view>
#include <utility>

#include "runtime/support/error.h"
#include "runtime/support/path.h"
#include "runtime/support/text.h"
#include "runtime/train/best.h"

namespace emulsion {

namespace {

using Need = CheckpointKeeper::Need;

constexpr std::string_view kEpochBegin = "weights-epoch-", kEpochEnd = ".safetensors";

std::string epoch_name(uint64_t epoch) { return concat(kEpochBegin, epoch, kEpochEnd); }

// The epoch of a file that epoch_name has named.
std::optional<uint64_t> epoch_of(std::string_view name) {
    if (!name.starts_with(kEpochBegin) || !name.ends_with(kEpochEnd)) return std::nullopt;
    if (name.size() <= kEpochBegin.size() + kEpochEnd.size()) return std::nullopt;
    name.remove_prefix(kEpochBegin.size());
    name.remove_suffix(kEpochEnd.size());
    return parse_unsigned(name);
}

// The epochs whose weights are in the folder. One that cannot be read has none.
std::vector<uint64_t> epochs_in(const std::string& folder) {
    const std::unique_ptr<DIR, int (*)(DIR*)> open_folder(opendir(folder.c_str()), &closedir);
    std::vector<uint64_t> epochs;
    if (!open_folder) return epochs;
    while (const dirent* entry = readdir(open_folder.get())) {
        if (const auto epoch = epoch_of(entry->d_name)) epochs.push_back(*epoch);
    }
    std::sort(epochs.begin(), epochs.end());
    return epochs;
}

Metadata facts_of(const Metrics& metrics, const EpochRecord* record) {
    Metadata facts{{"train_loss", concat(metrics.loss())}};
    if (const auto accuracy = metrics.accuracy())
        facts.emplace_back("train_accuracy", concat(*accuracy));
    for (const char* metric : {"loss", "accuracy"}) {
        const auto value = record ? metric_value(*record, metric) : std::nullopt;
        if (value) facts.emplace_back(concat("validation_", metric), concat(*value));
    }
    return facts;
}

bool is_equal(const TrainedFor& a, const TrainedFor& b) {
    return a.epoch == b.epoch && a.step == b.step && a.metrics == b.metrics;
}

}  // namespace

TrainedFor trained_for(const RunState& state) {
    const EpochRecord* record = last_record(state);
    return {state.epoch, state.step, state.data_facts,
            facts_of(record ? record->metrics : state.sums, record)};
}

TrainedFor trained_for(const RunState& state, const EpochRecord& record, uint64_t steps_per_epoch) {
    const auto epoch = static_cast<uint64_t>(record.epoch);
    return {epoch, epoch * steps_per_epoch, state.data_facts, facts_of(record.metrics, &record)};
}

TrainedFor trained_for_longest(const RunState& state) {
    const std::string number = "-1.2345678901234567e-300";
    return {UINT64_MAX,
            UINT64_MAX,
            state.data_facts,
            {{"train_loss", number},
             {"train_accuracy", number},
             {"validation_loss", number},
             {"validation_accuracy", number}}};
}

std::vector<std::string> weights_files_in(const std::string& folder) {
    std::vector<std::string> names{kWeightsName, kBestWeightsName}, files;
    for (uint64_t epoch : epochs_in(folder)) names.push_back(epoch_name(epoch));
    for (const std::string& name : names) {
        if (is_file(join_path(folder, name))) files.push_back(join_path(folder, name));
    }
    return files;
}

WeightsKeeper::WeightsKeeper(std::string folder, std::string last, const TrainingSession& session,
                             const emulsion_info& names, const RunState& state, Console& console)
    : folder_(std::move(folder)),
      last_(std::move(last)),
      session_(session),
      names_(names),
      state_(state),
      console_(console) {}

std::string WeightsKeeper::best_path() const { return join_path(folder_, kBestWeightsName); }

void WeightsKeeper::write(const std::string& path, const TrainedFor& trained) const {
    save_weights(path, session_.info(), memory(), names_, trained);
}

void WeightsKeeper::save(Need need) {
    if (folder_.empty() || state_.step == 0) return;
    const TrainedFor trained = trained_for(state_);
    if (is_equal(trained, written_)) return;
    bool are_written = true;
    const auto attempt = [&](const std::string& path, const char* consequence) {
        are_written &= write_or_warn(need, path, trained, consequence);
    };
    attempt(last_, "the former weights are kept and training goes on");
    const RunSettings& settings = state_.settings;
    const bool is_between_epochs = state_.batch == 0;
    const EpochRecord* best =
        settings.best.empty() ? nullptr : find_best(state_.history, settings.best);
    if (is_between_epochs && best != nullptr && best->epoch == static_cast<int64_t>(state_.epoch))
        attempt(best_path(), "the best weights of before are kept and training goes on");
    if (is_between_epochs && settings.keep > 0) {
        attempt(join_path(folder_, epoch_name(state_.epoch)),
                "this epoch's weights are not kept and training goes on");
        remove_old_epochs();
    }
    if (are_written) written_ = trained;
}

bool WeightsKeeper::write_or_warn(Need need, const std::string& path, const TrainedFor& trained,
                                  const char* consequence) {
    const auto refuse = [&](const RuntimeError& error) {
        if (need == Need::kMust) throw error;
        console_.warn(error, consequence);
        return false;
    };
    try {
        write(path, trained);
        return true;
    } catch (const RuntimeError& error) {
        return refuse(error);
    } catch (const std::bad_alloc&) {
        return refuse(
            RuntimeError(one_line(path), "there is no memory to write weights", "free memory"));
    }
}

// What cannot be removed stays.
void WeightsKeeper::remove_old_epochs() const {
    const auto keep = static_cast<uint64_t>(state_.settings.keep);
    for (uint64_t epoch : epochs_in(folder_)) {
        if (epoch + keep > state_.epoch) continue;
        try {
            remove_file(join_path(folder_, epoch_name(epoch)));
        } catch (const RuntimeError& error) {
            console_.warn(error, "the file stays and training goes on");
        }
    }
}

std::string WeightsKeeper::write_last(const TrainedFor& trained) {
    if (last_.empty()) return "";
    if (!is_equal(trained, written_)) write(last_, trained);
    written_ = trained;
    return last_;
}

void WeightsKeeper::restore_best(const TrainedFor& trained) {
    const ByteSource file(best_path(), "weights file");
    const SafetensorsHeader header = read_safetensors(file);
    const std::string* step = header.find_metadata("step");
    if (step == nullptr || *step != concat(trained.step)) {
        file.refuse(concat("holds the weights of step ", step ? one_line(*step) : "none",
                           ", but the best are those of step ", trained.step, " (epoch ",
                           trained.epoch, ")"),
                    "take the weights of the last epoch, or train again");
    }
    load_weights(file, session_.info(), memory(), names_);
}

}  // namespace emulsion
