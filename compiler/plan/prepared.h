// What `prepare` computes once for all batches.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "compiler/plan/grouped_batch.h"

namespace emulsion {

// Prepared weights are what any batch reads outside `prepare`; the other values of that stage are
// steps on the way to them. Equal values of different batches are one.
class PreparedWeights {
  public:
    explicit PreparedWeights(int64_t alignment) : alignment_(alignment) {}

    // Numbers the values of a batch, equal values of different batches alike. All batches are
    // defined before anything is asked.
    void define(GroupedBatch& batch);

    // The groups of `prepare` that make prepared weights which have no place yet, and the steps on
    // the way.
    std::vector<bool> needed_groups(const GroupedBatch& batch) const;

    bool is_prepared(const GroupedBatch& batch, Value value) const {
        return lasting_.contains(definition(batch, value));
    }
    // The place of a prepared value, given to it when it is first asked for.
    Place place(const GroupedBatch& batch, Value value);

    int64_t bytes() const { return bytes_; }

  private:
    // A value by what it is, whatever the graph.
    static std::pair<int, int> definition(const GroupedBatch& batch, Value value) {
        return {batch.definitions.at(value), value.output};
    }

    int64_t alignment_, bytes_ = 0;
    std::map<std::string, int> definitions_;  // by text
    std::map<std::pair<int, int>, Place> places_;
    std::set<std::pair<int, int>> lasting_;
};

}  // namespace emulsion
