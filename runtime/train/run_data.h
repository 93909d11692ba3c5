// The pictures of a run: the parts of the data, and the indices of each purpose.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/data/open.h"
#include "runtime/data/origin.h"
#include "runtime/data/split.h"
#include "runtime/train/settings.h"

namespace emulsion {

struct RunData {
    std::unique_ptr<Source> train;
    std::unique_ptr<Source> test;        // null where the data have no such part
    std::unique_ptr<Source> validation;  // where it is data of its own
    Split split;                         // of `train`

    bool has_test() const { return test != nullptr; }
    // What validation looks at, the test part apart, and its pictures.
    const Source& validated() const { return validation ? *validation : *train; }
    std::vector<uint32_t> validated_subset() const {
        return validation ? whole_set(validation->count()) : split.validation;
    }
};

// What --validation asks for: a share of the training part, the test part, or data by name or path.
enum class ValidationKind { kNone, kTest, kShare, kData };
// Throws RuntimeError naming `where` where the text is none of these.
ValidationKind validation_kind(std::string_view text, const std::string& where);

// Throws RuntimeError. `request` says what the network needs; resizing and scale come from the
// settings. The test part is optional: it may be missing, but it must be whole where one of its
// files is there; of made-up pictures it is there where the validation looks at it. All together
// takes request.bytes at most.
RunData open_run_data(const RunSettings& settings, const DataRequest& request);

// What the data add to a network's weights. REQUIRES: data.train.
DataFacts facts_of(const RunData& data, const DataRequest& request);

// The files that open_run_data has read; none for made-up pictures.
std::vector<std::string> files_of_run_data(const RunSettings& settings);

}  // namespace emulsion
