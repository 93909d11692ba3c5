// Running forward groups again: what the forward pass lets go of is made anew when the backward
// pass first reads it, from what is still there, and stays until it was read for the last time. A
// group that runs again is the same kernel on the same operands, so nobody can tell the difference.
#pragma once

#include <vector>

#include "compiler/plan/workspace.h"

namespace emulsion {

class Reruns {
  public:
    // Of a training step; both arguments outlive this.
    Reruns(const GroupedBatch& grouped, const Workspace& workspace);

    // The wholes of the forward pass that need not be kept: they have samples, and running their
    // writers again writes nothing that lasts.
    const std::vector<int>& free_wholes() const { return free_; }
    // What is kept, by whole, where nothing runs again.
    const std::vector<bool>& everything() const { return everything_; }
    // The same where the forward pass is cut into segments that store about so many bytes for the
    // backward pass, each cut where few bytes are read beyond it: these are kept. Chen, Xu, Zhang
    // and Guestrin, "Training deep nets with sublinear memory cost", 2016.
    std::vector<bool> segments(int64_t bytes) const;

    // The groups in turn, and those that make what is not `kept` again before its first reader
    // behind the forward pass. What is kept stays until its last reader, whichever that is.
    RunOrder order(const std::vector<bool>& kept) const;

  private:
    friend class RunWriter;

    void pin_groups();
    void find_reads();
    void find_updates(const GroupedBatch& grouped);
    int64_t crossing_bytes(int group, const std::vector<bool>& kept) const;
    bool crosses(int whole, int group) const;

    const Workspace& workspace_;
    int groups_ = 0, forward_ = 0;        // the first so many are of the forward stage
    std::vector<bool> is_pinned_;         // groups that run once, by group
    std::vector<bool> is_forward_;        // by whole; as are these
    std::vector<int> last_forward_read_;  // a group, -1 where there is none
    std::vector<int> last_read_;          // behind the forward pass
    std::vector<bool> everything_;
    std::vector<int> free_;
    // Wholes that depend on a tensor which the group updates and are read behind that, by group.
    std::vector<std::vector<int>> before_update_;
};

}  // namespace emulsion
