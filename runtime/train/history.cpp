// See history.h.
#include "runtime/train/history.h"

#include <sys/stat.h>

#include <algorithm>
#include <limits>

#include "runtime/abi/instance.h"
#include "runtime/data/checkpoint.h"
#include "runtime/data/safetensors.h"
#include "runtime/program/format.h"
#include "runtime/program/memory.h"
#include "runtime/support/path.h"
#include "runtime/support/text.h"
#include "runtime/train/best.h"
#include "runtime/train/reporter.h"
#include "runtime/train/run.h"
#include "runtime/train/run_data.h"
#include "runtime/train/run_log.h"
#include "runtime/train/text_plot.h"

namespace emulsion {

namespace {

constexpr int kPlotWidth = 60, kPlotHeight = 8;

// Loss and accuracy of training and validation over the epochs.
std::string plots_of(const std::vector<EpochRecord>& records) {
    constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
    PlotSeries losses[] = {{"training", '*', {}}, {"validation", 'o', {}}};
    PlotSeries accuracies[] = {{"training", '*', {}}, {"validation", 'o', {}}};
    for (const EpochRecord& record : records) {
        losses[0].values.push_back(record.metrics.loss());
        losses[1].values.push_back(metric_value(record, "loss").value_or(kNone));
        accuracies[0].values.push_back(record.metrics.accuracy().value_or(kNone));
        accuracies[1].values.push_back(metric_value(record, "accuracy").value_or(kNone));
    }
    return plot_text("loss", losses, kPlotWidth, kPlotHeight) +
           plot_text("accuracy", accuracies, kPlotWidth, kPlotHeight);
}

// "best epoch 3: validation loss 0.2431", or nothing where the run looks for none.
std::string best_text(const RunState& state) {
    const std::string& metric = state.settings.best;
    const EpochRecord* best = metric.empty() ? nullptr : find_best(state.history, metric);
    if (best == nullptr) return "";
    return concat("best epoch ", best->epoch, ": validation ", metric, " ",
                  fixed(metric_value(*best, metric).value_or(0.0), 4), "\n");
}

// The weights of the run, which are those of this program's network; empty where there are none.
std::string weights_of(const std::string& folder, const emulsion_info& info) {
    const std::string path = join_path(folder, kWeightsName);
    struct stat status;
    if (stat(path.c_str(), &status) != 0) return "";
    const SafetensorsHeader header = read_safetensors(ByteSource(path, "weights file"));
    const std::string* signature = header.find_metadata("signature");
    if (signature != nullptr && *signature == info.signature) return path;
    throw RuntimeError(one_line(path), concat("is of another network than ", info.network),
                       "give --report to the program that has trained the run");
}

// Tells a page what is known of the run.
void report_run(const TrainOptions& options, const RunState& state,
                const std::vector<EpochRecord>& records, const emulsion_train_library& library,
                const NetworkDescription& network) {
    const std::string& folder = options.history;
    if (state.history.empty()) {
        throw RuntimeError(one_line(folder), "has no finished epoch to report",
                           "give it to --report once one has been trained");
    }
    const emulsion_info& info = *library.info();
    const std::string weights = weights_of(folder, info);
    const Device processor;
    const emulsion_sizes sizes = query_sizes(library, emulsion_cpu_count(), processor);
    RunFacts facts{&info, &network, &state.settings, &sizes};
    const EpochRecord& first = state.history.front();
    const auto batch = static_cast<uint64_t>(state.settings.batch);
    facts.train_pictures = static_cast<uint64_t>(first.metrics.samples);
    facts.steps_per_epoch = (facts.train_pictures + batch - 1) / batch;
    if (first.validation)
        facts.validation_pictures = static_cast<uint64_t>(first.validation->metrics.samples);
    facts.holds_out =
        validation_kind(state.settings.validation, "--history") == ValidationKind::kShare;
    facts.threads = 0;
    facts.device = &processor;
    facts.class_names = class_names(info);
    if (facts.class_names.empty()) facts.class_names = state.data_facts.classes;
    const LoggedEnd end = read_logged_end(folder);
    if (end.test) facts.test_pictures = static_cast<uint64_t>(end.test->metrics.samples);

    const auto page = make_page_reporter(options.report);
    page->settings(facts);
    for (const EpochRecord& record : records) {
        const auto step = record.epoch * static_cast<int64_t>(facts.steps_per_epoch);
        page->epoch(record, std::min(step, static_cast<int64_t>(state.step)));
    }
    if (!weights.empty()) page->weights(weights, static_cast<int64_t>(state.step));
    if (end.times) page->measured(*end.times, 0);
    if (end.test) page->test(*end.test, 0);
    page->mistakes(end.mistakes, 0);
    page->end();
}

}  // namespace

void print_history(const TrainOptions& options, const emulsion_train_library& library,
                   const NetworkDescription& network) {
    if (options.csv && options.json)
        throw UsageError("--csv", "cannot be combined with --json", "give one of the two");
    const std::string& folder = options.history;
    if (!has_checkpoint(folder)) {
        throw RuntimeError(one_line(folder), "holds no checkpoint",
                           "give the folder of --checkpoint");
    }
    const std::string path = join_path(folder, kCheckpointName);
    const RunState state = from_position(load_position(path), path);
    Console console(/*quiet=*/false, TerminalStyle{});
    const bool has_validation = !state.settings.validation.empty();
    const auto reporter = options.csv ? make_csv_reporter(console)
                          : options.json
                              ? make_json_reporter(console)
                              : make_text_reporter(console, has_validation, state.settings.top);
    std::vector<EpochRecord> records = state.history;
    if (state.part) records.push_back(*state.part);
    add_logged_times(folder, &records);
    for (const EpochRecord& record : records) {
        const int64_t batch = state.settings.batch;
        const int64_t batches = (record.metrics.samples + batch - 1) / batch;
        const bool is_part = state.part && &record == &records.back();
        reporter->epoch(record,
                        is_part ? static_cast<int64_t>(state.step) : record.epoch * batches);
    }
    if (!options.csv && !options.json) console.results(plots_of(records) + best_text(state));
    if (!options.report.empty()) report_run(options, state, records, library, network);
    if (console.broken()) throw *console.broken();
}

}  // namespace emulsion
