// The reporter for people: settings on standard error, a table of epochs on standard output, whose
// columns have a fixed width, as rows appear one by one.
#include <algorithm>
#include <numeric>

#include "runtime/program/format.h"
#include "runtime/support/text.h"
#include "runtime/train/reporter.h"

namespace emulsion {

namespace {

std::string count_text(uint64_t count) { return format_thousands(static_cast<double>(count)); }

std::string data_text(const RunFacts& facts) {
    std::string text = concat(one_line(facts.settings->data_name()), ", ",
                              count_text(facts.train_pictures), " pictures to train on");
    if (facts.validation_pictures > 0) {
        text += concat(", ", count_text(facts.validation_pictures),
                       facts.holds_out ? " held out for validation" : " for validation");
    }
    if (facts.test_pictures > 0)
        text += concat(", ", count_text(facts.test_pictures), " for the test");
    return text;
}

std::string length_text(const RunFacts& facts, int64_t total) {
    const RunSettings& settings = *facts.settings;
    const uint64_t batch = static_cast<uint64_t>(settings.batch);
    const uint64_t last = (facts.train_pictures - 1) % batch + 1;
    std::string text = settings.steps > 0
                           ? concat(total, total == 1 ? " step" : " steps")
                           : concat(settings.epochs, settings.epochs == 1 ? " epoch" : " epochs",
                                    ", ", total, " steps");
    text += concat(" of ", batch, " pictures, ", facts.steps_per_epoch, " an epoch");
    if (last != batch) text += concat(", its last one of ", last);
    if (settings.part < settings.batch) text += concat("; in parts of ", settings.part);
    return text;
}

// "rmsprop, momentum 0.9; given: momentum 0.5".
std::string optimizer_text(const RunFacts& facts) {
    std::string given;
    const auto add = [&](const char* name, const std::optional<double>& value) {
        if (value) given += concat(given.empty() ? "; given: " : ", ", name, " ", *value);
    };
    add("momentum", facts.settings->momentum);
    add("weight decay", facts.settings->weight_decay);
    return facts.network->optimizer + given;
}

std::string variant_text(const RunFacts& facts) {
    if (!facts.device->is_processor()) return facts.device->interface;
    if (facts.variant > 0) return facts.info->variants[facts.variant - 1];
    const std::string names = list_variants(*facts.info);
    return facts.info->variant_count > 1 ? names + " (the best this processor runs)" : names;
}

// Nothing where nobody has asked for one.
std::string device_text(const Device& device) {
    if (!device.is_processor()) return device.text();
    return device.reason.empty() ? "" : concat("cpu, as ", device.reason);
}

// "1.9 MiB", "0.3 MiB, and 1.9 MiB of the device".
std::string memory_text(const emulsion_sizes& sizes) {
    const std::string text = format_bytes(sum_of(sizes));
    const uint64_t device = device_sum_of(sizes);
    return device > 0 ? concat(text, ", and ", format_bytes(device), " of the device") : text;
}

std::vector<std::vector<std::string>> memory_rows(const emulsion_sizes& sizes) {
    std::vector<std::vector<std::string>> rows;
    const auto add = [&](const std::string& name, uint64_t bytes) {
        rows.push_back({"", name, count_text(bytes), "bytes"});
    };
    for (int c = 0; c < EMULSION_CLASSES; c++) {
        if (sizes.bytes[c] > 0) add(memory_class_name(c), sizes.bytes[c]);
    }
    add("all", sum_of(sizes));
    for (int c = 0; c < EMULSION_CLASSES; c++) {
        const std::string name = concat(memory_class_name(c), " of the device");
        if (sizes.device_bytes[c] > 0) add(name, sizes.device_bytes[c]);
    }
    if (device_sum_of(sizes) > 0) add("all of the device", device_sum_of(sizes));
    return rows;
}

std::string accuracy_cell(const Metrics& metrics) {
    const std::optional<double> accuracy = metrics.accuracy();
    return accuracy ? format_percent(*accuracy, 2) : "-";
}

std::string head_cell(const Metrics& metrics, const std::string& name) {
    for (const HeadCount& head : metrics.heads) {
        if (head.name == name) return format_percent(metrics.share(head.correct), 2);
    }
    return "-";
}

// A column of the table of epochs, its cell in the row of one epoch.
struct Column {
    std::string title, cell;
    size_t width;
};

// Of one part of the data: loss, accuracy, the accuracy of each further classifier with a name, and
// of training each loss where there are several. Without metrics the cells are "-".
void add_part(std::vector<Column>& columns, const EpochRecord& record, const Metrics* metrics,
              const std::string& loss, const std::string& prefix) {
    const bool is_training = prefix.empty();
    columns.push_back({prefix + "loss", loss, is_training ? size_t{7} : size_t{11}});
    columns.push_back({is_training ? "accuracy" : prefix + "acc",
                       metrics ? accuracy_cell(*metrics) : "-",
                       is_training ? size_t{9} : size_t{10}});
    for (const HeadCount& head : record.metrics.heads) {
        const std::string title = prefix + one_line(head.name);
        columns.push_back({title, metrics ? head_cell(*metrics, head.name) : "-",
                           std::max(title.size(), size_t{9})});
    }
    for (size_t i = 0; is_training && i < record.metrics.losses.size(); i++) {
        const NamedLoss& each = record.metrics.losses[i];
        const std::string title = one_line(each.name) + " loss";
        columns.push_back({title, fixed(record.metrics.share(each.value), 4), title.size()});
    }
}

std::string validation_loss(const Evaluation& validation) {
    if (validation.not_finite > 0) return "not finite";
    return validation.has_loss ? fixed(validation.metrics.loss(), 4) : "-";
}

std::vector<Column> columns_of(const EpochRecord& record, bool has_validation, int top) {
    std::vector<Column> columns{{"epoch", concat(record.epoch), 5}};
    add_part(columns, record, &record.metrics, fixed(record.metrics.loss(), 4), "");
    if (has_validation) {
        const auto& validation = record.validation;
        add_part(columns, record, validation ? &validation->metrics : nullptr,
                 validation ? validation_loss(*validation) : "-", "valid. ");
        if (top > 0) {
            const bool is_counted = validation && validation->top;
            columns.push_back(
                {concat("valid. top ", top),
                 is_counted ? format_percent(validation->metrics.share(validation->top->correct), 2)
                            : "-",
                 size_t{12}});
        }
    }
    const bool is_timed = record.seconds > 0;
    columns.push_back({"rate", format_significant(record.learning_rate, 4), 9});
    columns.push_back({"img/s", is_timed ? format_thousands(record.images_per_second) : "-", 8});
    columns.push_back({"time", is_timed ? format_duration(record.seconds) : "-", 6});
    return columns;
}

std::string join_columns(const std::vector<Column>& columns, std::string Column::* text) {
    std::string line;
    for (const Column& column : columns)
        line += (line.empty() ? "" : "  ") + pad_left(column.*text, column.width);
    return line + "\n";
}

// "epoch 2/5, step 100 of 938: loss 0.4012, accuracy 85.41 %, 8,412 img/s, 0:31 left".
std::string step_text(const ProgressState& progress) {
    std::string text =
        concat("epoch ", progress.epoch, "/", progress.epochs, ", step ", progress.step, " of ",
               progress.steps, ": loss ", fixed(progress.loss, 4));
    if (progress.accuracy) text += ", accuracy " + format_percent(*progress.accuracy, 2);
    return concat(text, ", ", format_thousands(progress.images_per_second), " img/s, ",
                  format_duration(progress.seconds_left), " left\n");
}

class TextReporter : public Reporter {
  public:
    TextReporter(Console& console, bool has_validation, int top)
        : console_(console), has_validation_(has_validation), top_(top) {}

    void plan(const RunFacts& facts) override {
        console_.results(settings_text(facts, /*has_rates=*/true));
    }
    void settings(const RunFacts& facts) override {
        has_validation_ = !facts.settings->validation.empty();
        top_ = facts.settings->top;
        class_names_ = facts.class_names;
        console_.note(settings_text(facts, /*has_rates=*/false));
    }
    void init(const std::string& path, const InitialWeights& initial) override {
        console_.note(initial_text(path, initial));
    }
    void step(const ProgressState& progress) override { console_.progress(progress); }
    void line(const ProgressState& progress) override { console_.note(step_text(progress)); }
    void epoch(const EpochRecord& record, int64_t) override {
        const std::vector<Column> columns = columns_of(record, has_validation_, top_);
        console_.results((has_header_ ? "" : join_columns(columns, &Column::title)) +
                         join_columns(columns, &Column::cell));
        has_header_ = true;
    }
    void weights(const std::string& path, int64_t) override {
        console_.results(concat("weights written to ", one_line(path), "\n"));
    }
    void profile(const CallProfile& profile, const emulsion_info& info) override {
        console_.results(profile_text(profile, info));
    }
    // "test accuracy 91.32 % (9132 of 10000), loss 0.2431".
    void test(const Evaluation& evaluation, int64_t) override {
        console_.results("test " + accuracy_text(evaluation));
        if (evaluation.confusion)
            console_.results(confusion_text(*evaluation.confusion, class_names_));
    }

  private:
    Console& console_;
    bool has_validation_, has_header_ = false;
    int top_;
    std::vector<std::string> class_names_;  // from the settings on
};

}  // namespace

std::unique_ptr<Reporter> make_text_reporter(Console& console, bool has_validation, int top) {
    return std::make_unique<TextReporter>(console, has_validation, top);
}

uint64_t sum_of(const emulsion_sizes& sizes) {
    return std::accumulate(sizes.bytes, sizes.bytes + EMULSION_CLASSES, uint64_t(0));
}

uint64_t device_sum_of(const emulsion_sizes& sizes) {
    return std::accumulate(sizes.device_bytes, sizes.device_bytes + EMULSION_CLASSES, uint64_t(0));
}

std::vector<int64_t> steps_to_show(int64_t total_steps) {
    std::vector<int64_t> steps;
    for (int64_t step = 1; step <= 4; step++) steps.push_back(step);
    for (int64_t part = 1; part < 8; part++) steps.push_back(total_steps / 8 * part + 1);
    steps.push_back(total_steps);
    std::erase_if(steps, [&](int64_t step) { return step > total_steps; });
    std::sort(steps.begin(), steps.end());
    steps.erase(std::unique(steps.begin(), steps.end()), steps.end());
    return steps;
}

namespace {

// The rates through the run, unless they are all the same.
std::string drawing_of(const Schedule& schedule, int64_t total) {
    constexpr int kWidth = 60, kHeight = 8;
    const int64_t count = std::min<int64_t>(total, kWidth);
    std::vector<float> rates;
    for (int64_t i = 0; i < count; i++) {
        const int64_t step = count > 1 ? i * (total - 1) / (count - 1) : 0;
        rates.push_back(learning_rate(schedule, step, total));
    }
    const auto [lowest, highest] = std::ranges::minmax_element(rates);
    if (*lowest == *highest) return "";
    return draw_curve(rates, {kWidth, kHeight, format_significant(*highest, 4), "0"});
}

constexpr size_t kMostNamed = 6;  // tensors of a kind

// "\n  drawn anew: 'dense1.w' [10, 512], 'dense1.b' [10]", or nothing where there are none.
std::string tensors_text(const char* what, const std::vector<std::string>& tensors) {
    std::string text;
    for (size_t i = 0; i < std::min(tensors.size(), kMostNamed); i++)
        text += (i > 0 ? ", " : "") + tensors[i];
    if (tensors.size() > kMostNamed) text += concat(" and ", tensors.size() - kMostNamed, " more");
    return text.empty() ? "" : concat("  ", what, ": ", text, "\n");
}

std::vector<std::string> texts_of(const std::vector<NamedShape>& tensors) {
    std::vector<std::string> texts;
    for (const NamedShape& each : tensors)
        texts.push_back(concat(quoted(each.name), " ", shape_text(each.shape)));
    return texts;
}

}  // namespace

std::string initial_text(const std::string& path, const InitialWeights& initial) {
    const size_t all = initial.matched.size() + initial.differing.size() + initial.missing.size();
    std::string text = concat("begins with ", initial.matched.size(), " of ", all, " tensors from ",
                              one_line(path));
    if (!initial.origin.empty()) text += concat(", by the names of ", initial.origin);
    std::vector<std::string> differing;
    for (const InitialWeights::Differing& each : initial.differing) {
        differing.push_back(concat(quoted(each.own.name), " ", shape_text(each.own.shape),
                                   ", which is ", quoted(each.theirs.name), " ", each.type, " ",
                                   shape_text(each.theirs.shape), " there"));
    }
    return concat(text, "\n", tensors_text("drawn anew", differing),
                  tensors_text("drawn anew, as it is not there", texts_of(initial.missing)),
                  tensors_text("left over there", texts_of(initial.left_over)));
}

std::vector<std::vector<std::string>> settings_rows(const RunFacts& facts) {
    const RunSettings& settings = *facts.settings;
    const int64_t total = settings.total_steps(facts.steps_per_epoch);
    std::vector<std::vector<std::string>> rows{
        {"network",
         concat(facts.info->network, ", ",
                count_text(static_cast<uint64_t>(facts.network->parameters)), " parameters")},
        {"variant", variant_text(facts)},
        {"data", data_text(facts)},
        {"run", length_text(facts, total)},
        {"seed", concat(settings.seed)},
        {"threads", concat(facts.threads)},
        {"optimizer", optimizer_text(facts)},
        {"rate", describe_schedule(settings.schedule)},
    };
    if (!settings.augmentation.empty())
        rows.push_back({"augmented", one_line(settings.augmentation)});
    if (settings.ema > 0) rows.push_back({"average", concat("weights, decay ", settings.ema)});
    if (settings.patience > 0) {
        rows.push_back(
            {"patience", concat(settings.patience, settings.patience == 1 ? " epoch" : " epochs",
                                " without a better ", settings.best)});
    }
    const std::string device = device_text(*facts.device);
    if (!device.empty()) rows.insert(rows.begin() + 2, {"device", device});
    if (!facts.device->is_processor())
        std::erase_if(rows, [](const auto& row) { return row[0] == "threads"; });
    if (facts.threads == 0)
        std::erase_if(rows,
                      [](const auto& row) { return row[0] == "threads" || row[0] == "variant"; });
    return rows;
}

std::string settings_text(const RunFacts& facts, bool has_rates) {
    std::string text = format_table(settings_rows(facts), {Align::kLeft, Align::kLeft});
    if (!has_rates) return text + concat("memory     ", memory_text(*facts.sizes), "\n");
    const int64_t total = facts.settings->total_steps(facts.steps_per_epoch);
    const Schedule schedule = facts.settings->rates(facts.steps_per_epoch);
    std::vector<std::vector<std::string>> rates;
    for (int64_t step : steps_to_show(total)) {
        rates.push_back(
            {"", concat("step ", step), concat(learning_rate(schedule, step - 1, total))});
    }
    const auto columns = {Align::kLeft, Align::kLeft, Align::kRight, Align::kLeft};
    return text + format_table(rates, {Align::kLeft, Align::kLeft, Align::kLeft}) +
           drawing_of(schedule, total) + "memory\n" +
           format_table(memory_rows(*facts.sizes), columns);
}

}  // namespace emulsion
