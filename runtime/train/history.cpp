// See history.h.
#include "runtime/train/history.h"

#include "runtime/data/checkpoint.h"
#include "runtime/support/path.h"
#include "runtime/support/text.h"
#include "runtime/train/reporter.h"
#include "runtime/train/run.h"

namespace emulsion {

void print_history(const TrainOptions& options) {
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
    for (const EpochRecord& record : state.history) {
        const int64_t batch = state.settings.batch;
        const int64_t batches = (record.metrics.samples + batch - 1) / batch;
        reporter->epoch(record, record.epoch * batches);
    }
    if (state.part) reporter->epoch(*state.part, static_cast<int64_t>(state.step));
    if (console.broken()) throw *console.broken();
}

}  // namespace emulsion
