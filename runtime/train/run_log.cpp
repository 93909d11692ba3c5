// See run_log.h.
#include "runtime/train/run_log.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include "runtime/support/base64.h"
#include "runtime/support/file.h"
#include "runtime/support/limits.h"
#include "runtime/support/path.h"
#include "runtime/train/folder.h"

namespace emulsion {

namespace {

using Json = nlohmann::json;

constexpr int64_t kMostCount = int64_t{1} << 40;  // a sum of 4096 squared of them fits
constexpr size_t kMostClasses = 4096;             // of a confusion

// Calls visit(event, its name) for each line that is one; nothing where the log cannot be read.
template <typename Visit>
void for_each_event(const std::string& folder, const Visit& visit) {
    Bytes bytes;
    try {
        bytes = read_file(join_path(folder, kEventLogName), kMostLogBytes, "log");
    } catch (const RuntimeError&) {
        return;
    }
    std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    for (size_t end; (end = text.find('\n')) != text.npos; text.remove_prefix(end + 1)) {
        const Json json = Json::parse(text.substr(0, end), nullptr, /*allow_exceptions=*/false);
        if (!json.is_object() || !json.contains("event") || !json["event"].is_string()) continue;
        visit(json, json["event"].get_ref<const std::string&>());
    }
}

std::optional<double> number_in(const Json& json, const char* name) {
    const auto found = json.find(name);
    if (found == json.end() || !found->is_number()) return std::nullopt;
    const double number = found->get<double>();
    return std::isfinite(number) && number >= 0 ? std::optional(number) : std::nullopt;
}

// A whole number from 0 to `most`.
std::optional<int64_t> count_in(const Json& json, const char* name, int64_t most) {
    const auto found = json.find(name);
    if (found == json.end() || !found->is_number_integer()) return std::nullopt;
    const int64_t count = found->is_number_unsigned() && found->get<uint64_t>() > INT64_MAX
                              ? -1
                              : found->get<int64_t>();
    return count >= 0 && count <= most ? std::optional(count) : std::nullopt;
}

std::optional<std::string> text_in(const Json& json, const char* name) {
    const auto found = json.find(name);
    if (found == json.end() || !found->is_string()) return std::nullopt;
    return found->get<std::string>();
}

// A square of counts.
std::optional<Confusion> confusion_in(const Json& json) {
    const auto rows = json.find("confusion");
    if (rows == json.end() || !rows->is_array() || rows->empty() || rows->size() > kMostClasses)
        return std::nullopt;
    const int classes = static_cast<int>(rows->size());
    Confusion confusion(classes);
    for (int label = 0; label < classes; label++) {
        const Json& row = (*rows)[static_cast<size_t>(label)];
        if (!row.is_array() || row.size() != rows->size()) return std::nullopt;
        for (int found = 0; found < classes; found++) {
            const Json& count = row[static_cast<size_t>(found)];
            if (!count.is_number_unsigned() || count.get<uint64_t>() > uint64_t{kMostCount})
                return std::nullopt;
            confusion.add(label, found, count.get<int64_t>());
        }
    }
    return confusion;
}

std::optional<Evaluation> evaluation_in(const Json& json) {
    const auto samples = count_in(json, "samples", kMostCount);
    const auto accuracy = number_in(json, "accuracy"), loss = number_in(json, "loss");
    if (!samples || (accuracy && *accuracy > 1)) return std::nullopt;
    Evaluation evaluation;
    const auto all = static_cast<double>(*samples);
    evaluation.metrics.samples = *samples;
    evaluation.metrics.correct =
        accuracy ? std::optional(std::round(*accuracy * all)) : std::nullopt;
    evaluation.metrics.loss_sum = loss.value_or(0.0) * all;
    evaluation.has_loss = loss.has_value();
    evaluation.not_finite = count_in(json, "not_finite", *samples).value_or(0);
    evaluation.confusion = confusion_in(json);
    return evaluation;
}

std::optional<KernelTimes> times_in(const Json& json) {
    const auto samples = count_in(json, "samples", INT32_MAX);
    const auto seconds = number_in(json, "seconds");
    const auto kernels = json.find("kernels");
    if (!samples || !seconds || kernels == json.end() || !kernels->is_array()) return std::nullopt;
    KernelTimes times{static_cast<int>(*samples), *seconds, {}};
    for (const Json& each : *kernels) {
        const auto line = text_in(each, "kernel");
        const auto time = number_in(each, "seconds");
        if (!line || !time) return std::nullopt;
        times.kernels.emplace_back(*line, *time);
    }
    return times;
}

std::vector<ShownMistake> mistakes_in(const Json& json) {
    std::vector<ShownMistake> mistakes;
    const auto pictures = json.find("pictures");
    if (pictures == json.end() || !pictures->is_array()) return mistakes;
    for (const Json& each : *pictures) {
        const auto name = text_in(each, "picture"), png = text_in(each, "png");
        const auto label = count_in(each, "label", INT32_MAX),
                   found = count_in(each, "class", INT32_MAX);
        const auto score = number_in(each, "score");
        auto bytes = png ? from_base64(*png) : std::nullopt;
        if (!name || !label || !found || !score || !bytes) continue;
        mistakes.push_back({*name, static_cast<int>(*label), static_cast<int>(*found), *score,
                            PictureShape{}, std::move(*bytes)});
    }
    return mistakes;
}

}  // namespace

void add_logged_times(const std::string& folder, std::vector<EpochRecord>* records) {
    for_each_event(folder, [&](const Json& json, const std::string& event) {
        const auto epoch = number_in(json, "epoch"), seconds = number_in(json, "seconds"),
                   rate = number_in(json, "images_per_second");
        if (event != "epoch" || !epoch || !seconds || !rate) return;
        for (EpochRecord& record : *records) {
            if (static_cast<double>(record.epoch) != *epoch || record.seconds > 0) continue;
            record.seconds = *seconds;
            record.images_per_second = *rate;
        }
    });
}

LoggedEnd read_logged_end(const std::string& folder) {
    LoggedEnd end;
    for_each_event(folder, [&](const Json& json, const std::string& event) {
        if (event == "test") end.test = evaluation_in(json);
        if (event == "times") end.times = times_in(json);
        if (event == "mistakes") end.mistakes = mistakes_in(json);
    });
    return end;
}

}  // namespace emulsion
