// The reporter of --report: a run as one page of HTML, which needs no other file and is written at
// the end.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include "runtime/program/format.h"
#include "runtime/support/atomic_file.h"
#include "runtime/support/text.h"
#include "runtime/train/best.h"
#include "runtime/train/filters.h"
#include "runtime/train/page.h"
#include "runtime/train/reporter.h"

namespace emulsion {

namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr int kMostMatrix = 30;                          // classes of a matrix that is shown
constexpr size_t kMostPairs = 40;                        // of classes, where it is not
constexpr int64_t kRatePoints = 200;                     // of the curve of rates
constexpr int kMistakeWidth = 112, kFiltersWidth = 480;  // pixels on the page

using Rows = std::vector<std::vector<std::string>>;

std::string thousands(int64_t value) { return format_thousands(static_cast<double>(value)); }

std::string count_cell(int64_t value) { return value > 0 ? thousands(value) : ""; }

std::string heading(const char* text) { return concat("<h2>", text, "</h2>\n"); }

struct ToldEpoch {
    EpochRecord record;
    int64_t step = 0;
};

// Curves

std::string epoch_charts(const std::vector<ToldEpoch>& epochs) {
    ChartCurve curves[4] = {
        {"training", {}, {}}, {"validation", {}, {}}, {"training", {}, {}}, {"validation", {}, {}}};
    for (const ToldEpoch& each : epochs) {
        const double values[4] = {each.record.metrics.loss(),
                                  metric_value(each.record, "loss").value_or(kNone),
                                  each.record.metrics.accuracy().value_or(kNone),
                                  metric_value(each.record, "accuracy").value_or(kNone)};
        for (size_t i = 0; i < 4; i++) {
            curves[i].x.push_back(static_cast<double>(each.record.epoch));
            curves[i].y.push_back(values[i]);
        }
    }
    const std::span<const ChartCurve> all(curves);
    return html_chart("loss", "loss", "epoch", all.subspan(0, 2)) +
           html_chart("accuracy", "accuracy", "epoch", all.subspan(2, 2));
}

// The rates of the schedule, and those that the epochs ended with, which a plateau lowers.
std::string rate_chart(const RunFacts& facts, const std::vector<ToldEpoch>& epochs) {
    const Schedule schedule = facts.settings->rates(facts.steps_per_epoch);
    const int64_t total = facts.settings->total_steps(facts.steps_per_epoch);
    ChartCurve curves[2] = {{"schedule", {}, {}}, {"end of each epoch", {}, {}}};
    const int64_t points = std::min(total, kRatePoints);
    for (int64_t i = 0; i < points; i++) {
        const double place =
            points > 1 ? static_cast<double>(i) / static_cast<double>(points - 1) : 0;
        const auto step = static_cast<int64_t>(place * static_cast<double>(total - 1));
        curves[0].x.push_back(static_cast<double>(step + 1));
        curves[0].y.push_back(learning_rate(schedule, step, total));
    }
    for (const ToldEpoch& each : epochs) {
        curves[1].x.push_back(static_cast<double>(each.step));
        curves[1].y.push_back(each.record.learning_rate);
    }
    return html_chart("rates", "learning rate", "step", curves);
}

std::string epochs_table(const std::vector<ToldEpoch>& epochs) {
    HtmlTable table{"epochs",
                    {"epoch", "loss", "accuracy", "validation loss", "validation accuracy", "rate",
                     "images/s", "time"},
                    0,
                    {}};
    const auto number = [](const std::optional<double>& value) {
        return value ? fixed(*value, 4) : "-";
    };
    const auto share = [](const std::optional<double>& value) {
        return value ? format_percent(*value, 2) : "-";
    };
    for (const auto& [record, step] : epochs) {
        const bool is_timed = record.seconds > 0;
        table.rows.push_back(
            {concat(record.epoch), fixed(record.metrics.loss(), 4),
             share(record.metrics.accuracy()), number(metric_value(record, "loss")),
             share(metric_value(record, "accuracy")), format_significant(record.learning_rate, 4),
             is_timed ? format_thousands(record.images_per_second) : "-",
             is_timed ? format_duration(record.seconds) : "-"});
    }
    return html_table(table);
}

// Classes

std::string matrix_html(const Confusion& confusion) {
    const int classes = confusion.classes();
    std::string html =
        "<p>Each row is a class, each column what its pictures are taken for.</p>\n<div "
        "class=\"scroll\"><table class=\"matrix\" id=\"confusion\">\n<tr><th></th>";
    for (int found = 0; found < classes; found++) html += concat("<th>", found, "</th>");
    html += "</tr>\n";
    for (int label = 0; label < classes; label++) {
        html += concat("<tr><th>", label, "</th>");
        for (int found = 0; found < classes; found++) {
            const int64_t count = confusion.count(label, found);
            const double all = static_cast<double>(std::max<int64_t>(1, confusion.pictures(label)));
            const double share = static_cast<double>(count) / all;
            const char* color = found == label ? "42 125 225" : "224 80 40";
            html += concat("<td style=\"background:rgb(", color, " / ", fixed(0.7 * share, 2),
                           ")\">", count, "</td>");
        }
        html += "</tr>\n";
    }
    return html + "</table></div>\n";
}

// The classes that are taken for each other most often.
std::string pairs_html(const Confusion& confusion, const std::vector<std::string>& names) {
    struct Pair {
        int64_t count;
        int label, found;
    };
    std::vector<Pair> pairs;
    for (int label = 0; label < confusion.classes(); label++) {
        for (int found = 0; found < confusion.classes(); found++) {
            const int64_t count = confusion.count(label, found);
            if (found != label && count > 0) pairs.push_back({count, label, found});
        }
    }
    std::stable_sort(pairs.begin(), pairs.end(),
                     [](const Pair& a, const Pair& b) { return a.count > b.count; });
    pairs.resize(std::min(pairs.size(), kMostPairs));
    HtmlTable table{"confusion", {"class", "taken for", "pictures"}, 2, {}};
    for (const Pair& pair : pairs) {
        table.rows.push_back(
            {class_name(names, pair.label), class_name(names, pair.found), thousands(pair.count)});
    }
    return html_table(table);
}

std::string classes_html(const Confusion& confusion, const std::vector<std::string>& names) {
    HtmlTable table{"classes", {"", "class", "pictures", "recall", "precision"}, 2, {}};
    const auto share = [](const std::optional<double>& value) {
        return value ? format_percent(*value, 2) : "-";
    };
    for (int c = 0; c < confusion.classes(); c++) {
        table.rows.push_back({concat(c), class_name(names, c), thousands(confusion.pictures(c)),
                              share(confusion.recall(c)), share(confusion.precision(c))});
    }
    return (confusion.classes() <= kMostMatrix ? matrix_html(confusion)
                                               : pairs_html(confusion, names)) +
           html_table(table);
}

std::string mistakes_html(const std::vector<ShownMistake>& mistakes,
                          const std::vector<std::string>& names) {
    std::string html = "<div class=\"pictures\" id=\"mistakes\">\n";
    for (const ShownMistake& each : mistakes) {
        html +=
            concat("<figure>", html_picture(each.png, "picture " + each.name, kMistakeWidth),
                   "<figcaption><b>", html_text(class_name(names, each.label)),
                   "</b> taken for <b>", html_text(class_name(names, each.found)), "</b> (",
                   fixed(each.score, 3), ")<br>", html_text(each.name), "</figcaption></figure>\n");
    }
    return html + "</div>\n";
}

// Layers and memory

// The layer of a kernel, whose line is "STAGE NAME …": the longest part of NAME up to a dot that is
// the name of a layer.
std::string layer_of(std::string_view line, const std::map<std::string, double>& layers) {
    line.remove_prefix(std::min(line.size(), line.find(' ') + 1));
    std::string name(line.substr(0, line.find(' ')));
    while (!layers.contains(name)) {
        const size_t dot = name.rfind('.');
        if (dot == name.npos) return "";
        name.resize(dot);
    }
    return name;
}

std::string layers_html(const std::vector<LayerFacts>& layers,
                        const std::optional<KernelTimes>& times) {
    std::map<std::string, double> seconds;  // by layer; "": of none
    for (const LayerFacts& layer : layers) seconds[layer.name] = 0.0;
    double total = 0.0;
    if (times) {
        for (const auto& [line, each] : times->kernels) {
            seconds[layer_of(line, seconds)] += each;
            total += each;
        }
    }
    HtmlTable table{
        "layers", {"layer", "op", "output", "parameters", "multiply-adds", "memory"}, 3, {}};
    if (times) table.head.insert(table.head.end(), {"time, ms", "share"});
    const auto add_time = [&](std::vector<std::string>& row, double each) {
        if (!times) return;
        row.push_back(fixed(1e3 * each, 3));
        row.push_back(format_percent(total > 0 ? each / total : 0.0, 1));
    };
    for (const LayerFacts& layer : layers) {
        std::string shape;
        for (int64_t length : layer.output) shape += concat(shape.empty() ? "" : " x ", length);
        auto& row = table.rows.emplace_back();
        row = {layer.name,
               layer.op,
               shape,
               count_cell(layer.parameters),
               count_cell(layer.multiply_adds),
               format_bytes(static_cast<uint64_t>(std::max<int64_t>(0, layer.bytes)))};
        add_time(row, seconds[layer.name]);
    }
    if (times && seconds.contains("")) {
        table.rows.push_back({"other kernels", "", "", "", "", ""});
        add_time(table.rows.back(), seconds[""]);
    }
    return html_table(table);
}

std::string memory_html(const RunFacts& facts) {
    HtmlTable classes{"memory", {"class", "bytes"}, 1, {}};
    for (int c = 0; c < EMULSION_CLASSES; c++) {
        const uint64_t bytes = facts.sizes->bytes[c], device = facts.sizes->device_bytes[c];
        const auto add = [&](const std::string& name, uint64_t count) {
            if (count > 0) classes.rows.push_back({name, thousands(static_cast<int64_t>(count))});
        };
        add(memory_class_name(c), bytes);
        add(concat(memory_class_name(c), " of the device"), device);
    }
    classes.rows.push_back({"all", thousands(static_cast<int64_t>(sum_of(*facts.sizes)))});
    HtmlTable tensors{"tensors", {"tensor", "class", "shape", "offset", "bytes"}, 3, {}};
    for (int i = 0; i < facts.info->tensor_count; i++) {
        const emulsion_tensor& tensor = facts.info->tensors[i];
        tensors.rows.push_back({tensor.name, memory_class_name(tensor.memory_class),
                                shape_text({tensor.shape, static_cast<size_t>(tensor.rank)}),
                                thousands(static_cast<int64_t>(tensor.offset)),
                                thousands(static_cast<int64_t>(tensor.bytes))});
    }
    return concat("<p>Of training with ", facts.sizes->threads,
                  facts.sizes->threads == 1 ? " thread.</p>\n" : " threads.</p>\n") +
           html_table(classes) + "<details><summary>tensors of parameters and state</summary>\n" +
           html_table(tensors) + "</details>\n";
}

class PageReporter : public Reporter {
  public:
    explicit PageReporter(std::string path) : path_(std::move(path)) {}

    void settings(const RunFacts& facts) override {
        facts_ = facts;
        rows_ = settings_rows(facts);
        if (facts.resumed == nullptr) return;
        const auto steps = static_cast<int64_t>(facts.steps_per_epoch);
        for (const EpochRecord& record : facts.resumed->history)
            epoch(record, record.epoch * steps);
        if (facts.resumed->part)
            epoch(*facts.resumed->part, static_cast<int64_t>(facts.resumed->step));
    }
    void epoch(const EpochRecord& record, int64_t step) override {
        if (!epochs_.empty() && epochs_.back().record.epoch == record.epoch) epochs_.pop_back();
        epochs_.push_back({record, step});
    }
    void weights(const std::string& path, int64_t) override { weights_ = path; }
    void measured(const KernelTimes& times, int64_t) override { times_ = times; }
    void test(const Evaluation& evaluation, int64_t) override { test_ = evaluation; }
    void mistakes(const std::vector<ShownMistake>& mistakes, int64_t) override {
        mistakes_ = mistakes;
    }
    void end() override {
        if (facts_) write_file(path_, html_page(facts_->info->network, body()));
    }

  private:
    std::string body() const {
        const RunFacts& facts = *facts_;
        std::string html = concat("<h1>", html_text(facts.info->network), "</h1>\n");
        if (test_)
            html += "<p id=\"test\">test " + html_text(shown(accuracy_text(*test_))) + "</p>\n";
        html += html_table({"settings", {}, 2, rows_});
        if (!epochs_.empty()) {
            html += heading("Curves") + "<div class=\"charts\">\n" + epoch_charts(epochs_) +
                    rate_chart(facts, epochs_) + "</div>\n" + heading("Epochs") +
                    epochs_table(epochs_);
        }
        if (const Confusion* found = confusion())
            html += heading("Classes") + classes_html(*found, facts.class_names);
        if (!mistakes_.empty())
            html += heading("Surest mistakes") + mistakes_html(mistakes_, facts.class_names);
        if (const auto filters = find_filters()) html += filters_html(*filters);
        if (!facts.network->layers.empty())
            html += heading("Layers") + layers_text() + layers_html(facts.network->layers, times_);
        return html + heading("Memory") + memory_html(facts);
    }

    // Without its line end.
    static std::string shown(std::string line) {
        line.pop_back();
        return line;
    }

    // Of the test, else of the last validation that has one.
    const Confusion* confusion() const {
        if (test_) return test_->confusion ? &*test_->confusion : nullptr;
        for (auto each = epochs_.rbegin(); each != epochs_.rend(); each++) {
            const auto& validation = each->record.validation;
            if (validation && validation->confusion) return &*validation->confusion;
        }
        return nullptr;
    }

    std::optional<Filters> find_filters() const {
        if (facts_->weights != nullptr) return first_filters(*facts_->info, *facts_->weights);
        return weights_.empty() ? std::nullopt : first_filters(weights_);
    }

    static std::string filters_html(const Filters& filters) {
        const Picture picture = filters_picture(filters);
        const int scale = std::clamp(kFiltersWidth / picture.shape.width, 1, 12);
        return heading("Filters of the first convolution") + "<figure id=\"filters\">" +
               html_picture(encode_png(picture), "filters of " + filters.name,
                            scale * picture.shape.width) +
               concat("<figcaption>", html_text(filters.name), ": ", filters.count, " of ",
                      filters.channels, " x ", filters.height, " x ", filters.width,
                      "; grey is zero</figcaption></figure>\n");
    }

    std::string layers_text() const {
        if (!times_) return "<p>Of one sample.</p>\n";
        return concat("<p>Of one sample; the times are those of a step of ", times_->samples,
                      " pictures, ", fixed(1e3 * times_->seconds, 3),
                      " ms in all: forward, backward and update.</p>\n");
    }

    const std::string path_;
    std::optional<RunFacts> facts_;
    Rows rows_;
    std::vector<ToldEpoch> epochs_;
    std::string weights_;  // file
    std::optional<KernelTimes> times_;
    std::optional<Evaluation> test_;
    std::vector<ShownMistake> mistakes_;
};

}  // namespace

std::unique_ptr<Reporter> make_page_reporter(std::string path) {
    return std::make_unique<PageReporter>(std::move(path));
}

}  // namespace emulsion
