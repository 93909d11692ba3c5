// See run.h.
#include "runtime/train/run.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "runtime/support/error.h"
#include "runtime/support/limits.h"
#include "runtime/support/text.h"
#include "runtime/train/best.h"
#include "runtime/train/fields.h"
#include "runtime/train/run_data.h"
#include "runtime/train/schedule_fields.h"

namespace emulsion {

namespace {

constexpr const char* kFix = "resume with the program that has written it, or train from the start";
constexpr int64_t kMostSamples = INT64_MAX / 2;

[[noreturn]] void refuse_place(const std::string& where, std::string what) {
    throw RuntimeError(one_line(where), std::move(what), kFix);
}

}  // namespace

// The fields of a checkpoint; FieldReader and FieldWriter find them by their arguments.

void list_fields(auto& fields, Is<HeadCount> auto& head) {
    fields("name", head.name);
    fields("correct", head.correct, 0.0, static_cast<double>(kMostSamples));
}

void list_fields(auto& fields, Is<NamedLoss> auto& loss) {
    fields("name", loss.name);
    fields("sum", loss.value);
}

void list_fields(auto& fields, Is<Metrics> auto& metrics) {
    fields("loss_sum", metrics.loss_sum);
    fields("correct", metrics.correct, 0.0, static_cast<double>(kMostSamples));
    fields("samples", metrics.samples, int64_t(0), kMostSamples);
    fields.list_if_any("heads", metrics.heads);
    fields.list_if_any("losses", metrics.losses);
}

void list_fields(auto& fields, Is<TopCount> auto& top) {
    fields("classes", top.classes, 1, kMostTop);
    fields("correct", top.correct, 0.0, static_cast<double>(kMostSamples));
}

// All but the confusion, which is as large as the number of classes makes it.
void list_fields(auto& fields, Is<Evaluation> auto& evaluation) {
    fields("metrics", evaluation.metrics);
    fields("has_loss", evaluation.has_loss);
    fields("not_finite", evaluation.not_finite, int64_t(0), kMostSamples);
    fields("top", evaluation.top);
    fields("mean_recall", evaluation.mean_recall, 0.0, 1.0);
    fields("mean_iou", evaluation.mean_iou, 0.0, 1.0);
}

void list_fields(auto& fields, Is<EpochRecord> auto& record) {
    fields("epoch", record.epoch, int64_t(1), kMostSteps);
    fields("metrics", record.metrics);
    fields("rate", record.learning_rate);
    fields("validation", record.validation);
}

void list_fields(auto& fields, Is<DataFacts> auto& facts) {
    fields.list_if_any("classes", facts.classes);
    fields.text_if_any("resize", facts.resize);
    fields.unless("scale", facts.scale, 1.0, kLeastScale, kMostScale);
}

void list_fields(auto& fields, Is<RunSettings> auto& settings) {
    fields("data", settings.data);
    fields.text_if_any("images", settings.images);
    fields.text_if_any("labels", settings.labels);
    fields.text_if_any("resize", settings.resize);
    fields.unless("scale", settings.scale, 1.0, kLeastScale, kMostScale);
    fields.text_if_any("split", settings.split);
    fields.text_if_any("augmentation", settings.augmentation);
    fields.unless("boxes", settings.boxes, false, false, true);
    fields("epochs", settings.epochs, int64_t(1), kMostEpochs);
    fields("steps", settings.steps, int64_t(0), kMostSteps);
    fields("batch", settings.batch, 1, INT32_MAX);
    fields("part", settings.part, 1, settings.batch);
    fields("seed", settings.seed, uint64_t(0), uint64_t(INT64_MAX));
    fields("validation", settings.validation);
    fields("best", settings.best);
    fields("patience", settings.patience, int64_t(0), kMostEpochs);
    fields("keep", settings.keep, int64_t(0), kMostEpochs);
    fields("ema", settings.ema, 0.0, kMostDecay);
    fields("top", settings.top, 0, kMostTop);
    fields("confusion", settings.confusion);
    fields("momentum", settings.momentum, 0.0, 1.0);
    fields("weight_decay", settings.weight_decay, 0.0, kMostWeightDecay);
    fields("lowest_momentum", settings.lowest_momentum, 0.0, 1.0);
    fields("highest_momentum", settings.highest_momentum, 0.0, 1.0);
    fields("schedule", settings.schedule);
}

void list_fields(auto& fields, Is<RunState> auto& state) {
    fields("settings", state.settings);
    fields("data_samples", state.data_samples, uint64_t(1), uint64_t(UINT32_MAX));
    fields("data_checksum", state.data_checksum);
    list_fields(fields, state.data_facts);
    fields("sums", state.sums);
    fields("history", state.history);
    fields("part", state.part);
}

std::vector<double> metrics_of(const std::vector<EpochRecord>& history, ScheduleMetric metric) {
    std::vector<double> values;
    for (const EpochRecord& record : history) {
        std::optional<double> value;
        if (const auto& found = record.validation) {
            if (metric == ScheduleMetric::kAccuracy) value = found->metrics.accuracy();
            if (metric == ScheduleMetric::kLoss && found->has_loss && found->not_finite == 0)
                value = found->metrics.loss();
        }
        values.push_back(value.value_or(std::numeric_limits<double>::quiet_NaN()));
    }
    return values;
}

const EpochRecord* last_record(const RunState& state) {
    if (state.part) return &*state.part;
    return state.batch == 0 && !state.history.empty() ? &state.history.back() : nullptr;
}

EpochRecord* last_record(RunState& state) {
    return const_cast<EpochRecord*>(last_record(std::as_const(state)));
}

bool owes_validation(const RunState& state, int64_t total_steps) {
    const EpochRecord* record = last_record(state);
    const bool is_at_end = static_cast<int64_t>(state.step) == total_steps;
    return !state.settings.validation.empty() && record != nullptr && !record->validation &&
           (is_at_end || !state.part);
}

namespace {

void check_same_classes(const RunState& state, const Source& source,
                        const std::vector<std::string>& found) {
    const std::vector<std::string>& stored = state.data_facts.classes;
    if (found == stored) return;
    const size_t place = static_cast<size_t>(
        std::mismatch(stored.begin(), stored.end(), found.begin(), found.end()).first -
        stored.begin());
    const auto name_in = [&](const std::vector<std::string>& names) {
        return place < names.size() ? quoted(names[place]) : std::string("none");
    };
    throw RuntimeError(one_line(source.source),
                       concat("names ", found.size(), " classes, of which class ", place, " is ",
                              name_in(found), "; the run of the checkpoint began with ",
                              stored.size(), ", of which it is ", name_in(stored)),
                       "give the data of that run, or begin a new run in another folder");
}

}  // namespace

void check_same_data(const RunState& state, const Source& source, const DataFacts& facts) {
    check_same_classes(state, source, facts.classes);
    const uint32_t checksum = source.checksum();
    if (source.count() == state.data_samples && checksum == state.data_checksum) return;
    throw RuntimeError(source.source,
                       concat("holds ", source.count(), " pictures with checksum ", checksum,
                              ", but the run of the checkpoint began with ", state.data_samples,
                              " pictures with checksum ", state.data_checksum),
                       "give the data of that run, or begin a new run in another folder");
}

void check_batch(const RunState& state, const emulsion_info& info, int largest,
                 const std::string& where) {
    const RunSettings& settings = state.settings;
    const int part = std::min(settings.batch, info.batch);
    if (part < settings.part) {
        throw RuntimeError(
            one_line(where),
            concat("its run trains with batches of ", settings.part,
                   " pictures, but this program is compiled for at most ", info.batch),
            concat("build the program with --batch ", settings.part, " to resume this run"));
    }
    if (part > settings.part) {
        throw RuntimeError(
            one_line(where),
            concat("its run computes a batch in parts of ", settings.part,
                   " pictures, but this program in parts of ", part),
            concat("build the program with --batch ", settings.part, " to resume this run"));
    }
    if (settings.batch <= largest) return;
    throw RuntimeError(
        one_line(where),
        concat("its run trains with batches of ", settings.batch, " pictures, in parts of ", part,
               ", which a device, or a program whose updates are at once, does not"),
        "resume it on a processor, with a program that was built with --update=apart");
}

void check_place(const RunState& state, uint64_t steps_per_epoch, const std::string& where) {
    check_position(to_position(state), steps_per_epoch, where);
    if (state.history.size() != state.epoch) {
        refuse_place(where,
                     concat("it stands in epoch ", state.epoch, ", counted from 0, but tells of ",
                            state.history.size(), " finished ones"));
    }
    const auto samples = static_cast<int64_t>(state.batch) * state.settings.batch;
    if (state.sums.samples != samples) {
        refuse_place(where, concat("its sums are over ", state.sums.samples,
                                   " pictures, but its epoch has trained on ", samples));
    }
    const auto& part = state.part;
    if (part && (part->epoch != static_cast<int64_t>(state.epoch) + 1 || state.batch == 0 ||
                 part->metrics.samples != samples)) {
        refuse_place(where, concat("its part of an epoch is of epoch ", part->epoch, " and ",
                                   part->metrics.samples, " pictures, but it stands in epoch ",
                                   state.epoch + 1, " after ", samples));
    }
}

void check_heads(const RunState& state, const std::vector<Head>& heads, const std::string& where) {
    if (state.sums.samples == 0) return;
    std::string own, stored;
    for (const Head& head : heads) {
        if (heads.size() > 1 && !head.name.empty()) own += concat(" ", quoted(head.name));
    }
    for (const HeadCount& head : state.sums.heads) stored += concat(" ", quoted(head.name));
    if (own == stored) return;
    const char* none = " none";
    refuse_place(where, concat("its sums are of the further classifiers",
                               stored.empty() ? none : stored.c_str(), ", but this program has",
                               own.empty() ? none : own.c_str()));
}

RunPosition to_position(const RunState& state) {
    FieldWriter fields;
    list_fields(fields, state);
    return {state.epoch, state.batch, state.step, state.settings.seed, fields.text()};
}

RunState from_position(const RunPosition& position, const std::string& where) {
    RunState state;
    const auto json = nlohmann::json::parse(position.metrics, nullptr, /*allow_exceptions=*/false);
    FieldReader fields(json, one_line(where), kFix);
    list_fields(fields, state);
    state.epoch = position.epoch;
    state.batch = position.batch;
    state.step = position.step;
    if (position.seed != state.settings.seed) {
        refuse_place(where,
                     concat("it names the seeds ", position.seed, " and ", state.settings.seed));
    }
    validation_kind(state.settings.validation, where);
    const std::string& resize = state.settings.resize;
    if (!resize.empty() && !parse_rule(resize))
        refuse_place(where, concat("it names an unknown rule to resize by, ", quoted(resize)));
    const std::string& best = state.settings.best;
    if (!best.empty() && !is_metric(best))
        refuse_place(where, concat("its best epoch is by an unknown metric ", quoted(best)));
    for (size_t i = 0; i < state.history.size(); i++) {
        if (state.history[i].epoch != static_cast<int64_t>(i) + 1)
            refuse_place(where,
                         concat("its epoch ", i + 1, " is numbered ", state.history[i].epoch));
    }
    return state;
}

}  // namespace emulsion
