// Records of several files together: merged, saved, and asked by the plan.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "compiler/recipe/choices.h"
#include "compiler/recipe/records.h"
#include "schedules/tune/record.h"

namespace emulsion {

// At most one record of each key.
class RecordSet {
  public:
    // The records of a file. Broken lines are left out and described in `faults`. Throws
    // Error[record] where the file cannot be read or is of another version. `name`, where there is
    // one, stands for the file in what is said of its records.
    static RecordSet read(const std::string& file, std::vector<Diagnostic>& faults,
                          const std::string& name = "");

    // Takes the record in: of two with one key a locked one stays, else the one that gained more
    // over the default when measured; where that is equal, the one that was there.
    void add(TunedRecord record);
    void merge(const RecordSet& other);
    // Takes the record in whatever was measured before, but for a locked one.
    void replace(TunedRecord record);
    // Takes the record in whatever there was.
    void take(TunedRecord record) { records_.insert_or_assign(record.key(), std::move(record)); }
    void remove(const std::string& key) { records_.erase(key); }

    const TunedRecord* find(const std::string& key) const;
    std::vector<TunedRecord> records() const;
    std::set<MachineClass> machines() const;
    size_t size() const { return records_.size(); }

    // The records of a file that is to be saved again: none where there is none. Throws where a
    // line is broken, which saving would remove.
    static RecordSet read_whole(const std::string& file);
    // Puts the whole text in the file's place at once. Throws RuntimeError.
    void save(const std::string& file) const;

  private:
    std::map<std::string, TunedRecord> records_;
};

// Reads the whole file, lets `change` work on what it holds, and saves that, while no other process
// does so. Returns what was saved.
RecordSet change_records(const std::string& file, const std::function<void(RecordSet&)>& change);

// What the plan asks: the records of one class of machines. A record for the asked number of
// threads is preferred, then that of the nearest number by ratio (of two, the smaller).
class MachineRecords : public RecordSource, public ChoiceSource {
  public:
    MachineRecords(const RecordSet& set, const MachineClass& machine);
    std::optional<Record> find(const Group& group, const Isa& isa, int threads) const override;
    std::optional<RecordedChoice> find(const std::string& node, Decision decision, const Isa& isa,
                                       int threads) const override;
    size_t size() const { return records_.size(); }

  private:
    const TunedRecord* nearest(const std::string& question, int threads) const;

    std::vector<TunedRecord> records_;
    std::map<std::string, std::vector<const TunedRecord*>> by_question_;
};

// Drops what this build cannot use: unknown recipes, groups and nodes that do not parse, tilings
// outside the recipe's space, choices that such a node does not have; and what is no faster than
// the default, unless locked. A record whose tiling is still legal for a later version of its
// recipe gets that version. Returns why, for each one dropped, with its file and line.
std::vector<Diagnostic> prune(RecordSet& set, const RecipeLibrary& library);

}  // namespace emulsion
