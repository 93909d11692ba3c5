// The reporter of --tensorboard: event files, those of training in the folder `train`, those of
// validation and test in folders of their own, so that TensorBoard draws the curves of one tag over
// each other.
//
// Each process writes files of its own. Where it goes on with a run, they begin with the step that
// comes next, so that TensorBoard drops what former files tell of it and of later ones, which are
// trained again.
#include <algorithm>
#include <chrono>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include <tensorboard.pb.h>
#include "runtime/data/layout.h"
#include "runtime/support/path.h"
#include "runtime/support/text.h"
#include "runtime/train/event_file.h"
#include "runtime/train/filters.h"
#include "runtime/train/reporter.h"

namespace emulsion {

namespace {

using tensorboard::Event;
using tensorboard::Summary;

constexpr const char *kTrain = "train", *kValidation = "validation", *kTest = "test";

double now_in_seconds() {
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch())
        .count();
}

// Where buckets end: TensorFlow's own, a tenth apart from 1e-12 on, on both sides of 0.
std::vector<double> bucket_limits() {
    std::vector<double> positive, limits;
    for (double limit = 1e-12; limit < 1e20; limit *= 1.1) positive.push_back(limit);
    for (auto limit = positive.rbegin(); limit != positive.rend(); limit++)
        limits.push_back(-*limit);
    limits.push_back(0.0);
    limits.insert(limits.end(), positive.begin(), positive.end());
    limits.push_back(std::numeric_limits<double>::max());
    return limits;
}

void fill_histogram(std::span<const float> values, tensorboard::Histogram* histogram) {
    static const std::vector<double> kLimits = bucket_limits();
    std::vector<int64_t> counts(kLimits.size());
    double sum = 0.0, squares = 0.0;
    for (float value : values) {
        const auto end = std::upper_bound(kLimits.begin(), kLimits.end() - 1, double{value});
        counts[static_cast<size_t>(end - kLimits.begin())]++;
        sum += value;
        squares += double{value} * value;
    }
    const auto [least, most] = std::ranges::minmax_element(values);
    histogram->set_min(*least);
    histogram->set_max(*most);
    histogram->set_num(static_cast<double>(values.size()));
    histogram->set_sum(sum);
    histogram->set_sum_squares(squares);
    // The buckets that hold something, with the empty one in front, which says where they begin.
    const auto holds = [](int64_t count) { return count > 0; };
    const auto first = std::ranges::find_if(counts, holds) - counts.begin();
    const auto last = counts.rend() - std::find_if(counts.rbegin(), counts.rend(), holds);
    for (auto i = std::max<std::ptrdiff_t>(0, first - 1); i < last; i++) {
        histogram->add_bucket_limit(kLimits[static_cast<size_t>(i)]);
        histogram->add_bucket(static_cast<double>(counts[static_cast<size_t>(i)]));
    }
}

void add_scalar(Summary* summary, const std::string& tag, std::optional<double> value) {
    if (!value) return;
    auto* entry = summary->add_value();
    entry->set_tag(one_line(tag));
    entry->set_simple_value(static_cast<float>(*value));
}

void add_image(Summary* summary, const std::string& tag, const PictureShape& shape,
               std::span<const uint8_t> png) {
    auto* entry = summary->add_value();
    entry->set_tag(one_line(tag));
    auto* image = entry->mutable_image();
    image->set_height(shape.height);
    image->set_width(shape.width);
    image->set_colorspace(shape.channels);
    image->set_encoded_image_string(png.data(), png.size());
}

class TensorboardReporter : public Reporter {
  public:
    TensorboardReporter(std::string folder, Console& console)
        : folder_(std::move(folder)), console_(console) {}

    void settings(const RunFacts& facts) override {
        info_ = facts.info;
        weights_ = facts.weights;
        class_names_ = facts.class_names;
        if (const RunState* state = facts.resumed) {
            // An epoch that owes its validation is told again.
            const int64_t total = facts.settings->total_steps(facts.steps_per_epoch);
            first_step_ =
                static_cast<int64_t>(state->step) + (owes_validation(*state, total) ? 0 : 1);
        }
        open(kTrain);
        if (facts.resumed == nullptr) append_graph(facts.network->layers);
    }
    void line(const ProgressState& progress) override {
        Summary summary;
        add_scalar(&summary, "running_loss", progress.loss);
        add_scalar(&summary, "running_accuracy", progress.accuracy);
        append(kTrain, summary, progress.run_step);
    }
    void epoch(const EpochRecord& record, int64_t step) override {
        Summary summary;
        add_scalar(&summary, "loss", record.metrics.loss());
        add_scalar(&summary, "accuracy", record.metrics.accuracy());
        for (const HeadCount& head : record.metrics.heads)
            add_scalar(&summary, "accuracy/" + head.name, record.metrics.share(head.correct));
        for (const NamedLoss& loss : record.metrics.losses)
            add_scalar(&summary, "loss/" + loss.name, record.metrics.share(loss.value));
        add_scalar(&summary, "learning_rate", record.learning_rate);
        if (record.seconds > 0) add_scalar(&summary, "images_per_second", record.images_per_second);
        add_weights(&summary);
        append(kTrain, summary, step);
        if (record.validation) append_evaluation(kValidation, *record.validation, step);
    }
    void test(const Evaluation& evaluation, int64_t step) override {
        append_evaluation(kTest, evaluation, step);
    }
    void mistakes(const std::vector<ShownMistake>& mistakes, int64_t step) override {
        Summary summary;
        for (size_t i = 0; i < mistakes.size(); i++) {
            const ShownMistake& each = mistakes[i];
            const std::string tag =
                concat("mistakes/", i + 1, ": ", class_name(class_names_, each.label),
                       " taken for ", class_name(class_names_, each.found));
            add_image(&summary, tag, each.shape, each.png);
        }
        append(kTest, summary, step);
    }

  private:
    // Throws RuntimeError where it cannot be made.
    EventFile* open(const char* part) {
        auto made = std::make_unique<EventFile>(join_path(folder_, part), console_);
        EventFile* file = (files_[part] = std::move(made)).get();
        Event version;
        version.set_wall_time(now_in_seconds());
        version.set_file_version("brain.Event:2");
        file->append(version.SerializeAsString());
        if (!first_step_) return file;
        Event start;
        start.set_wall_time(now_in_seconds());
        start.set_step(*first_step_);
        start.mutable_session_log()->set_status(tensorboard::SessionLog::START);
        file->append(start.SerializeAsString());
        return file;
    }

    // The file of a part; null where it cannot be made, which a warning has said.
    EventFile* file_of(const char* part) {
        const auto found = files_.find(part);
        if (found != files_.end()) return found->second.get();
        try {
            return open(part);
        } catch (const RuntimeError& error) {
            console_.warn(error, "training goes on without this file");
            files_[part] = nullptr;
            return nullptr;
        }
    }

    void append(const char* part, const Summary& summary, int64_t step) {
        if (summary.value_size() == 0) return;
        EventFile* file = file_of(part);
        if (file == nullptr) return;
        Event event;
        event.set_wall_time(now_in_seconds());
        event.set_step(step);
        *event.mutable_summary() = summary;
        file->append(event.SerializeAsString());
    }

    // The layers and what each reads; once in a run.
    void append_graph(const std::vector<LayerFacts>& layers) {
        if (layers.empty()) return;
        tensorboard::Graph graph;
        for (const LayerFacts& layer : layers) {
            auto* node = graph.add_node();
            node->set_name(one_line(layer.name));
            node->set_op(one_line(layer.op));
            for (const std::string& input : layer.inputs) node->add_input(one_line(input));
            auto* attribute = node->add_attr();
            attribute->set_key("_output_shapes");
            auto* shape = attribute->mutable_value()->mutable_list()->add_shape();
            shape->add_dim()->set_size(-1);  // samples
            for (int64_t length : layer.output) shape->add_dim()->set_size(length);
        }
        Event event;
        event.set_wall_time(now_in_seconds());
        event.set_graph_def(graph.SerializeAsString());
        file_of(kTrain)->append(event.SerializeAsString());
    }

    void append_evaluation(const char* part, const Evaluation& evaluation, int64_t step) {
        const Metrics& metrics = evaluation.metrics;
        Summary summary;
        if (evaluation.has_loss && evaluation.not_finite == 0)
            add_scalar(&summary, "loss", metrics.loss());
        add_scalar(&summary, "accuracy", metrics.accuracy());
        for (const HeadCount& head : metrics.heads)
            add_scalar(&summary, "accuracy/" + head.name, metrics.share(head.correct));
        if (evaluation.top) {
            add_scalar(&summary, concat("accuracy/top_", evaluation.top->classes),
                       metrics.share(evaluation.top->correct));
        }
        append(part, summary, step);
    }

    // A histogram of each parameter, and a picture of the first filters.
    void add_weights(Summary* summary) const {
        if (weights_ == nullptr) return;
        for (int i = 0; i < info_->tensor_count; i++) {
            const emulsion_tensor& tensor = info_->tensors[i];
            if (tensor.memory_class != EMULSION_PARAMETERS || tensor.type != EMULSION_F32) continue;
            std::vector<float> values(logical_elements(tensor));
            if (values.empty()) continue;
            unpack(tensor, tensor_memory(tensor, *weights_), values.data());
            auto* entry = summary->add_value();
            entry->set_tag(concat("weights/", tensor.name));
            fill_histogram(values, entry->mutable_histo());
        }
        const auto filters = first_filters(*info_, *weights_);
        if (!filters) return;
        const Picture picture = filters_picture(*filters);
        add_image(summary, "filters/" + filters->name, picture.shape, encode_png(picture));
    }

    const std::string folder_;
    Console& console_;
    const emulsion_info* info_ = nullptr;
    const emulsion_memory* weights_ = nullptr;
    std::vector<std::string> class_names_;
    std::optional<int64_t> first_step_;  // of a resumed run
    std::map<std::string, std::unique_ptr<EventFile>> files_;
};

}  // namespace

std::unique_ptr<Reporter> make_tensorboard_reporter(std::string folder, Console& console) {
    return std::make_unique<TensorboardReporter>(std::move(folder), console);
}

}  // namespace emulsion
