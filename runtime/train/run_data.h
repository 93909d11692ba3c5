// The pictures of a run: the parts of the data set, and the indices of each purpose.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "runtime/data/dataset.h"
#include "runtime/data/split.h"
#include "runtime/train/settings.h"

namespace emulsion {

struct RunData {
    Dataset train, test;  // `test` is empty where the set has no such part
    Split split;          // of `train`

    bool has_test() const { return test.count() > 0; }
};

// Throws RuntimeError. The test part is optional: it may be missing, but it must be whole where one
// of its files is there; of made-up pictures it is there where the validation looks at it. Both
// parts together take `limit` bytes at most.
RunData open_run_data(const RunSettings& settings, const PictureShape& shape, int classes,
                      uint64_t limit = most_data_bytes());

// The files that open_run_data has read; none for made-up pictures.
std::vector<std::string> files_of_run_data(const std::string& data);

}  // namespace emulsion
