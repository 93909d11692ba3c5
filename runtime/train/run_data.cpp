// See run_data.h.
#include "runtime/train/run_data.h"

#include <algorithm>

#include "runtime/data/synthetic.h"
#include "runtime/support/error.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

// Whether the run looks at the test part: where there is one, and where made-up pictures are asked
// for it.
bool has_test_part(const RunSettings& settings) {
    if (synthetic_count(settings.data)) return settings.validation == "test";
    return has_idx_files(find_data_folder(settings.data), Part::test);
}

}  // namespace

RunData open_run_data(const RunSettings& settings, const PictureShape& shape, int classes,
                      uint64_t limit) {
    RunData data;
    DatasetLimits limits{kAllPictures, limit};
    data.train = open_dataset(settings.data, Part::train, shape, classes, limits);
    limits.bytes -= std::min(limits.bytes, data.train.bytes());
    if (has_test_part(settings))
        data.test = open_dataset(settings.data, Part::test, shape, classes, limits);
    const bool holds_out = !settings.validation.empty() && settings.validation != "test";
    if (settings.validation == "test" && !data.has_test()) {
        throw RuntimeError("--validation", concat(quoted(settings.data), " has no test part"),
                           "give a fraction of the training part, such as --validation 0.1");
    }
    if (!holds_out) {
        data.split.train = whole_set(data.train.count());
        return data;
    }
    data.split = split_by_class(data.train.labels, classes,
                                parse_fraction(settings.validation, "--validation"), settings.seed);
    if (data.split.validation.empty() || data.split.train.empty()) {
        throw RuntimeError("--validation",
                           concat(settings.validation, " of ", data.train.count(),
                                  " pictures leaves ", data.split.train.size(), " to train on and ",
                                  data.split.validation.size(), " to validate with"),
                           "choose a fraction between 0 and 1 that leaves pictures for both");
    }
    return data;
}

std::vector<std::string> files_of_run_data(const std::string& data) {
    std::vector<std::string> files;
    if (synthetic_count(data)) return files;
    const std::string folder = find_data_folder(data);
    for (Part part : {Part::train, Part::test}) {
        if (!has_idx_files(folder, part)) continue;
        const IdxFiles found = find_idx_files(folder, part);
        files.insert(files.end(), {found.images, found.labels});
    }
    return files;
}

}  // namespace emulsion
