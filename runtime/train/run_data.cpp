// See run_data.h.
#include "runtime/train/run_data.h"

#include <algorithm>

#include "runtime/data/synthetic.h"
#include "runtime/support/error.h"
#include "runtime/support/path.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

// Whether the run looks at the test part: where there is one, and where made-up pictures are asked
// for it.
bool has_test_part(const RunSettings& settings, const DataRequest& request) {
    if (!settings.images.empty() || request.target.kind == TargetKind::kNothing) return false;
    if (synthetic_count(settings.data)) return settings.validation == "test";
    return has_part(settings.data, Part::test, request);
}

// What each source takes is not there for the next.
class Opener {
  public:
    Opener(const RunSettings& settings, const DataRequest& request)
        : settings_(settings), request_(request) {
        if (!settings.resize.empty()) request_.rule = parse_rule(settings.resize);
        request_.scale = settings.scale;
    }

    std::unique_ptr<Source> open_train() {
        auto source = settings_.images.empty()
                          ? open_source(settings_.data, Part::train, request_)
                          : open_source({settings_.images, settings_.labels}, request_);
        // Other parts name their classes as this one does.
        if (request_.class_names.empty()) request_.class_names = source->class_names;
        request_.may_lack_classes = true;
        return count(std::move(source));
    }
    std::unique_ptr<Source> open(const std::string& name, Part part) {
        return count(open_source(name, part, request_));
    }

  private:
    std::unique_ptr<Source> count(std::unique_ptr<Source> source) {
        request_.bytes -= std::min(request_.bytes, source->bytes());
        return source;
    }

    const RunSettings& settings_;
    DataRequest request_;
};

// Options that have no part in the data are refused, not ignored.
void check_used(const RunSettings& settings, const Source& source) {
    if (!settings.resize.empty() && !source.rule) {
        throw RuntimeError(
            "--resize", concat(quoted(settings.data_name()), " holds no pictures that are resized"),
            "leave --resize and --fit out");
    }
    if (settings.scale != source.scale) {
        throw RuntimeError("--scale",
                           concat(quoted(settings.data_name()),
                                  " holds pictures, whose values are divided by 255"),
                           "leave the option out");
    }
}

void split_shares(const RunSettings& settings, RunData* data) {
    const Fraction share = parse_fraction(settings.validation, "--validation");
    const Source& train = *data->train;
    const bool has_labels = !train.labels.empty();
    // Without classes all rows are of one.
    const std::vector<int32_t> labels =
        has_labels ? train.labels : std::vector<int32_t>(train.count(), 0);
    const int classes = has_labels ? train.classes : 1;
    data->split = settings.split == kLeadingSplit
                      ? split_leading(labels, classes, share)
                      : split_by_class(labels, classes, share, settings.seed);
    if (!data->split.validation.empty() && !data->split.train.empty()) return;
    throw RuntimeError("--validation",
                       concat(settings.validation, " of ", train.count(), " pictures leaves ",
                              data->split.train.size(), " to train on and ",
                              data->split.validation.size(), " to validate with"),
                       "choose a fraction between 0 and 1 that leaves pictures for both");
}

}  // namespace

ValidationKind validation_kind(std::string_view text, const std::string& where) {
    if (text.empty()) return ValidationKind::kNone;
    if (text == "test") return ValidationKind::kTest;
    try {
        parse_fraction(text, where);
        return ValidationKind::kShare;
    } catch (const RuntimeError&) {
        const std::string path(text);
        const bool is_path = text.find('/') != text.npos || is_folder(path) || is_file(path);
        if (!is_path && !synthetic_count(text)) throw;
        return ValidationKind::kData;
    }
}

RunData open_run_data(const RunSettings& settings, const DataRequest& request) {
    RunData data;
    Opener opener(settings, request);
    const ValidationKind kind = validation_kind(settings.validation, "--validation");
    data.train = opener.open_train();
    check_used(settings, *data.train);
    if (has_test_part(settings, request)) data.test = opener.open(settings.data, Part::test);
    if (kind == ValidationKind::kTest && !data.has_test()) {
        throw RuntimeError("--validation",
                           concat(quoted(settings.data_name()), " has no test part"),
                           "give a fraction of the training part, such as --validation 0.1");
    }
    if (kind == ValidationKind::kData) {
        const bool has_test = has_part(settings.validation, Part::test, request);
        data.validation = opener.open(settings.validation, has_test ? Part::test : Part::train);
    }
    if (kind == ValidationKind::kShare) {
        split_shares(settings, &data);
    } else {
        data.split.train = whole_set(data.train->count());
    }
    return data;
}

DataFacts facts_of(const RunData& data, const DataRequest& request) {
    DataFacts facts;
    if (request.class_names.empty()) facts.classes = data.train->class_names;
    if (data.train->rule) facts.resize = to_text(*data.train->rule);
    facts.scale = data.train->scale;
    return facts;
}

std::vector<std::string> files_of_run_data(const RunSettings& settings) {
    if (!settings.images.empty()) return {settings.images, settings.labels};
    std::vector<std::string> files;
    const auto add = [&](const std::string& name) {
        for (Part part : {Part::train, Part::test}) {
            const std::vector<std::string> found = files_of(name, part);
            files.insert(files.end(), found.begin(), found.end());
        }
    };
    add(settings.data);
    if (validation_kind(settings.validation, "--validation") == ValidationKind::kData)
        add(settings.validation);
    return files;
}

}  // namespace emulsion
