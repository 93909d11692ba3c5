// See keeper.h.
#include "runtime/train/keeper.h"

#include <new>

#include "runtime/data/checkpoint.h"
#include "runtime/support/error.h"
#include "runtime/support/text.h"

namespace emulsion {

CheckpointKeeper::CheckpointKeeper(std::string folder, const TrainingSession& session,
                                   const RunState& state, Reporter& reporter, Console& console)
    : folder_(std::move(folder)),
      session_(session),
      state_(state),
      reporter_(reporter),
      console_(console),
      tried_at_(Clock::now()) {}

void CheckpointKeeper::save(Need need) {
    if (!is_keeping()) return;
    const auto refuse = [&](const RuntimeError& error) {
        if (need == Need::kMust) throw error;
        console_.warn(error, "the former checkpoint is kept and training goes on");
    };
    try {
        save_now();
    } catch (const RuntimeError& error) {
        refuse(error);
    } catch (const std::bad_alloc&) {
        refuse(RuntimeError(one_line(folder_), "there is no memory to write a checkpoint",
                            "free memory"));
    }
}

void CheckpointKeeper::save_now() {
    RunPosition position = to_position(state_);
    if (saved_step_ == state_.step && saved_text_ == position.metrics) return;
    tried_at_ = Clock::now();
    save_checkpoint(folder_, session_.info(), session_.sizes(), session_.memory(), position,
                    obsolete_, more_);
    obsolete_.clear();
    const bool is_other_step = saved_step_ != state_.step;
    saved_step_ = state_.step;
    saved_text_ = std::move(position.metrics);
    if (is_other_step) reporter_.checkpoint(static_cast<int64_t>(state_.step));
}

double CheckpointKeeper::minutes() const {
    return std::chrono::duration<double>(Clock::now() - tried_at_).count() / 60.0;
}

}  // namespace emulsion
