// What the trainer does in place of a run: pictures of an augmentation, and runs that compare its
// pieces; see program.h.
#include <optional>
#include <utility>

#include "runtime/program/format.h"
#include "runtime/support/atomic_file.h"
#include "runtime/support/text.h"
#include "runtime/train/augment_report.h"
#include "runtime/train/interrupt.h"
#include "runtime/train/program.h"

namespace emulsion {

void TrainProgram::draw_preview() {
    const auto samples = epoch_order(data_.split.train, state_.settings.seed, /*epoch=*/0);
    const Picture sheet = contact_sheet(*data_.train, samples, *augmenter_);
    write_png(options_.preview, sheet);
    console_.note(concat("preview written to ", one_line(options_.preview), "\n"));
}

// Runs of the same settings, seed and data: only the augmentation differs.
void TrainProgram::ablate() {
    std::vector<AblationRow> rows;
    for (const NamedAugmentation& each : ablations_of(network_.augmentation)) {
        const std::optional<Evaluation> found = train_with(each.augmentation);
        if (is_stopped()) break;
        AblationRow row{each.name, std::nullopt, std::nullopt};
        if (found && found->has_loss && found->not_finite == 0) row.loss = found->metrics.loss();
        if (found) row.accuracy = found->metrics.accuracy();
        console_.note(concat(row.name, ": ", row.loss ? concat("loss ", fixed(*row.loss, 4)) : "-",
                             row.accuracy ? ", " + format_percent(*row.accuracy, 2) : "", "\n"));
        rows.push_back(std::move(row));
    }
    if (is_stopped())
        console_.note(concat("stopped by a signal after ", rows.size(), " of the runs\n"));
    if (rows.empty()) return;
    write_file(options_.ablation, ablation_csv(rows));
    console_.results(options_.json ? ablation_json(rows) : ablation_text(rows));
    console_.note(concat("table written to ", one_line(options_.ablation), "\n"));
}

// The last validation of a whole run, of which nothing else is kept.
std::optional<Evaluation> TrainProgram::train_with(const Augmentation& augmentation) {
    const RunState begun = state_;
    begin_weights();
    begin_parameters();
    session_.bind(options_.variant);
    // The program's own loader reads ahead with augmenter_.
    std::optional<Augmenter> augmenter;
    if (!augmentation.empty())
        augmenter.emplace(augmentation, session_.shape(), state_.settings.seed);
    const Normalizer normalizer(session_.shape().channels, session_.info());
    LoaderOptions reading = loader_options();
    reading.augmenter = augmenter ? &*augmenter : nullptr;
    Loader loader(*data_.train, data_.split.train, normalizer, reading);
    Reporter silent;
    const LoopOptions options = loop_options();
    TrainingLoop(session_, loader, state_, keeper_, weights_, silent, options).run();
    const EpochRecord* last = last_record(std::as_const(state_));
    std::optional<Evaluation> result;
    if (last != nullptr) result = last->validation;
    state_ = begun;
    return result;
}

}  // namespace emulsion
