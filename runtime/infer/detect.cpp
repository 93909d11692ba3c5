// See detect.h.
#include "runtime/infer/detect.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "runtime/infer/detection.h"
#include "runtime/infer/outputs.h"
#include "runtime/infer/picture_names.h"
#include "runtime/infer/reading.h"
#include "runtime/program/format.h"
#include "runtime/support/path.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

using Json = nlohmann::ordered_json;

constexpr double kThreshold = 0.9;
constexpr size_t kNamesAtOnce = 64;
constexpr int kThickness = 2;  // of a box's lines

// The class called `text`, or of this number.
int find_class(const std::string& text, std::span<const std::string> names, int classes) {
    const auto found = std::find(names.begin(), names.end(), text);
    if (found != names.end()) return static_cast<int>(found - names.begin());
    const auto number = parse_unsigned(text);
    if (number && *number < static_cast<uint64_t>(classes)) return static_cast<int>(*number);
    throw UsageError(
        "--background", concat("the network has no class ", quoted(text)),
        concat("name one of its ", classes, " classes, or a number from 0 to ", classes - 1));
}

class Detector {
  public:
    Detector(InferenceSession& session, const InferOptions& options)
        : session_(session),
          options_(options.view.detect),
          trained_(load_trained(session, options)),
          normalizer_(session.shape().channels, session.info()),
          batch_(std::min(options.batch.value_or(session.batch()), session.batch())),
          windows_(allocate_aligned(static_cast<uint64_t>(batch_) * session.shape().elements() *
                                    sizeof(float))) {
        const PictureShape& shape = session.shape();
        stride_ = options_.stride > 0 ? options_.stride
                                      : std::max(1, std::min(shape.height, shape.width) / 4);
        if (!options_.threshold && session.score_kind() != ScoreKind::kProbabilities) {
            throw UsageError("--threshold", "is missing: the network's scores are no probabilities",
                             "give the least score of an object");
        }
        threshold_ = static_cast<float>(options_.threshold.value_or(kThreshold));
        is_background_.resize(static_cast<size_t>(session.classes()), false);
        for (const std::string& text : options_.background)
            is_background_[static_cast<size_t>(
                find_class(text, trained_.classes, session.classes()))] = true;
    }

    // The boxes of a picture of any size, best first.
    std::vector<Detection> find(const Picture& picture, const std::string& name) {
        found_.clear();
        const Picture converted = convert_channels(picture, session_.shape().channels);
        const auto levels = make_pyramid(picture.shape.height, picture.shape.width,
                                         session_.shape(), options_.step, stride_);
        if (levels.empty()) {
            throw RuntimeError(one_line(name),
                               concat("the picture is ", picture.shape.width, " wide and ",
                                      picture.shape.height, " high, smaller than a window of ",
                                      session_.shape().width, " x ", session_.shape().height),
                               "give a larger picture");
        }
        PictureRule rule = *trained_.request.rule;
        if (rule.resize == Resize::kNone) rule.resize = Resize::kBilinear;
        rule.fit = Fit::kStretch;
        for (const PyramidLevel& level : levels) {
            level_ = level.height == picture.shape.height && level.width == picture.shape.width
                         ? converted
                         : resize_picture(converted, level.height, level.width, rule);
            across_ = static_cast<double>(picture.shape.width) / level.width;
            down_ = static_cast<double>(picture.shape.height) / level.height;
            for (int y : level.rows) {
                for (int x : level.columns) add_window(x, y);
            }
            run_windows();
        }
        return suppress(found_, options_.overlap);
    }

    std::string name_of(int index) const { return class_name(trained_.classes, index); }
    int64_t not_finite() const { return not_finite_; }  // windows

  private:
    struct Place {
        int x, y;
    };

    void add_window(int x, int y) {
        const PictureShape& shape = session_.shape();
        const auto channels = static_cast<size_t>(shape.channels);
        const size_t row = static_cast<size_t>(shape.width) * channels;
        float* to = static_cast<float*>(windows_.get()) + places_.size() * shape.elements();
        for (int i = 0; i < shape.height; i++, to += row) {
            const size_t begin =
                (static_cast<size_t>(y + i) * static_cast<size_t>(level_.shape.width) +
                 static_cast<size_t>(x)) *
                channels;
            normalizer_.apply(level_.pixels.data() + begin, static_cast<uint64_t>(shape.width), to);
        }
        places_.push_back({x, y});
        if (places_.size() == static_cast<size_t>(batch_)) run_windows();
    }

    void run_windows() {
        if (places_.empty()) return;
        session_.run(static_cast<const float*>(windows_.get()), static_cast<int>(places_.size()));
        for (size_t i = 0; i < places_.size(); i++) add_scores(places_[i], static_cast<int>(i));
        places_.clear();
    }

    void add_scores(const Place& place, int sample) {
        const auto scores = session_.scores(sample);
        if (!has_finite_scores(scores)) {
            not_finite_++;
            return;
        }
        const auto best = std::max_element(scores.begin(), scores.end());
        const auto index = static_cast<size_t>(best - scores.begin());
        if (*best < threshold_ || is_background_[index]) return;
        const Box box{place.x * across_, place.y * down_, session_.shape().width * across_,
                      session_.shape().height * down_};
        found_.push_back({box, static_cast<int>(index), *best});
    }

    InferenceSession& session_;
    const DetectOptions& options_;
    const Trained trained_;
    const Normalizer normalizer_;
    int batch_;
    AlignedBlock windows_;       // [batch][H][W][C]
    std::vector<Place> places_;  // of the windows so far, in the level
    int stride_ = 1;
    float threshold_ = 0.0f;
    std::vector<bool> is_background_;  // by class
    Picture level_;
    double across_ = 1.0, down_ = 1.0;  // pixels of the picture for one of the level
    std::vector<Detection> found_;
    int64_t not_finite_ = 0;
};

// Shows the boxes, one picture after the other.
class BoxResults {
  public:
    BoxResults(const Detector& detector, const InferOptions& options, ScoreKind kind)
        : detector_(detector),
          options_(options),
          score_(kind == ScoreKind::kProbabilities ? "probability" : "score") {
        if (!options.view.detect.draw.empty()) make_folder(options.view.detect.draw);
        if (options.csv)
            print_results(concat("picture,class,index,", score_, ",x,y,width,height\n"));
    }

    void add(const std::string& name, Picture picture, const std::vector<Detection>& boxes) {
        if (options_.json) {
            print_json(name, picture.shape, boxes);
        } else {
            for (const Detection& each : boxes) add_row(name, each);
        }
        if (!options_.view.detect.draw.empty()) draw(name, std::move(picture), boxes);
        pictures_++;
    }

    void end() {
        if (options_.json || options_.csv) return;
        if (rows_.empty()) return print_results("no objects\n");
        rows_.insert(rows_.begin(), {"picture", "class", score_, "x", "y", "width", "height"});
        using enum Align;
        print_results(format_table(rows_, {kLeft, kLeft, kRight, kRight, kRight, kRight, kRight}));
    }

  private:
    void print_json(const std::string& name, const PictureShape& shape,
                    const std::vector<Detection>& boxes) const {
        Json json{{"picture", name},
                  {"width", shape.width},
                  {"height", shape.height},
                  {"boxes", Json::array()}};
        for (const Detection& each : boxes) {
            json["boxes"].push_back({{"class", detector_.name_of(each.index)},
                                     {"index", each.index},
                                     {score_, each.score},
                                     {"x", each.box.x},
                                     {"y", each.box.y},
                                     {"width", each.box.width},
                                     {"height", each.box.height}});
        }
        print_results(json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
    }

    void add_row(const std::string& name, const Detection& each) {
        const Box& box = each.box;
        const std::string class_text = detector_.name_of(each.index);
        if (options_.csv) {
            return print_results(concat(csv_cell(name), ",", csv_cell(class_text), ",", each.index,
                                        ",", each.score, ",", box.x, ",", box.y, ",", box.width,
                                        ",", box.height, "\n"));
        }
        rows_.push_back({one_line(name), one_line(class_text), fixed(each.score, 4),
                         fixed(box.x, 1), fixed(box.y, 1), fixed(box.width, 1),
                         fixed(box.height, 1)});
    }

    // The best box is drawn last, over the others.
    void draw(const std::string& name, Picture picture, const std::vector<Detection>& boxes) const {
        picture = convert_channels(picture, 3);
        for (size_t i = boxes.size(); i-- > 0;)
            draw_box(boxes[i].box, kThickness, index_colour(boxes[i].index + 1), &picture);
        const std::string path =
            join_path(options_.view.detect.draw, picture_file_name(pictures_, stem_of(name)));
        write_png(path, picture);
    }

    const Detector& detector_;
    const InferOptions& options_;
    const char* score_;
    uint64_t pictures_ = 0;
    std::vector<std::vector<std::string>> rows_;
};

}  // namespace

int detect(InferenceSession& session, const InferOptions& options) {
    if (!session.has_scores()) find_score_output(session.info());  // refuses
    Detector detector(session, options);
    BoxResults results(detector, options, session.score_kind());
    PictureNames names(options.pictures, options.list);
    Outcome outcome;
    while (true) {
        const std::vector<std::string> paths = names.next(kNamesAtOnce);
        if (paths.empty()) break;
        for (const std::string& path : paths) {
            try {
                Picture picture = read_picture(path);
                const std::vector<Detection> boxes = detector.find(picture, path);
                results.add(path, std::move(picture), boxes);
            } catch (const RuntimeError& refusal) {
                print_error(refusal, stderr);
                outcome.failed++;
            }
        }
    }
    results.end();
    outcome.not_finite = detector.not_finite();
    return conclude(options, outcome);
}

}  // namespace emulsion
