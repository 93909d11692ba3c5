// See keeper.h.
#include "runtime/train/keeper.h"

#include "runtime/data/checkpoint.h"

namespace emulsion {

CheckpointKeeper::CheckpointKeeper(std::string folder, const TrainingSession& session,
                                   const RunState& state, Console& console)
    : folder_(std::move(folder)),
      session_(session),
      state_(state),
      console_(console),
      tried_at_(Clock::now()) {}

void CheckpointKeeper::save(Need need) {
    if (!is_keeping()) return;
    const RunPosition position = to_position(state_);
    if (saved_step_ == state_.step && saved_text_ == position.metrics) return;
    tried_at_ = Clock::now();
    try {
        save_checkpoint(folder_, session_.info(), session_.sizes(), session_.memory(), position,
                        obsolete_);
        obsolete_.clear();
        saved_step_ = state_.step;
        saved_text_ = position.metrics;
    } catch (const RuntimeError& error) {
        if (need == Need::kMust) throw;
        console_.warn(error, "the former checkpoint is kept and training goes on");
    }
}

double CheckpointKeeper::minutes() const {
    return std::chrono::duration<double>(Clock::now() - tried_at_).count() / 60.0;
}

}  // namespace emulsion
