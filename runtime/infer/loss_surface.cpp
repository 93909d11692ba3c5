// The loss surface of look.h.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "runtime/data/layout.h"
#include "runtime/data/random.h"
#include "runtime/data/split.h"
#include "runtime/infer/look.h"
#include "runtime/infer/reading.h"
#include "runtime/infer/sheet.h"
#include "runtime/program/format.h"
#include "runtime/support/atomic_file.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr int kGrid = 21;
constexpr int64_t kPictures = 500;
constexpr int kSide = 420;     // pixels of the picture
constexpr int kContours = 12;  // lines of equal loss
constexpr uint64_t kSeed = 1;

// A normal number for place `index` of row `row` (Box and Muller).
double normal_number(uint32_t row, uint64_t index) {
    const auto words = philox({static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32),
                               row, static_cast<uint32_t>(Stream::noise)},
                              kSeed);
    const double u = (words[0] + 1.0) / 4294967297.0, v = words[1] / 4294967296.0;
    return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v);
}

// A tensor of weights with its values as trained and two directions, in logical order.
struct Moved {
    const emulsion_tensor* tensor;
    std::vector<float> values, first, second;
};

// Each filter of the direction is as long as the network's.
std::vector<float> make_direction(const Moved& moved, uint32_t row) {
    std::vector<float> direction(moved.values.size());
    const size_t each = moved.values.size() / static_cast<size_t>(moved.tensor->shape[0]);
    for (size_t begin = 0; begin < direction.size(); begin += each) {
        double length = 0.0, drawn = 0.0;
        for (size_t i = begin; i < begin + each; i++) {
            const double number = normal_number(row, i);
            direction[i] = static_cast<float>(number);
            drawn += number * number;
            length += double{moved.values[i]} * double{moved.values[i]};
        }
        const double factor = drawn > 0.0 ? std::sqrt(length / drawn) : 0.0;
        for (size_t i = begin; i < begin + each; i++)
            direction[i] = static_cast<float>(direction[i] * factor);
    }
    return direction;
}

class Surface {
  public:
    explicit Surface(InferenceSession& session) : session_(session) {
        const emulsion_info& info = session.info();
        for (int i = 0; i < info.tensor_count; i++) {
            const emulsion_tensor& tensor = info.tensors[i];
            if (tensor.memory_class != EMULSION_PARAMETERS || tensor.rank < 2) continue;
            Moved moved{&tensor, std::vector<float>(logical_elements(tensor)), {}, {}};
            unpack(tensor, tensor_memory(tensor, session.memory()), moved.values.data());
            const auto number = static_cast<uint32_t>(2 * i);
            moved.first = make_direction(moved, number);
            moved.second = make_direction(moved, number + 1);
            moved_.push_back(std::move(moved));
        }
    }

    // Puts the weights at this place.
    void move(double a, double b) {
        std::vector<float> values;
        for (const Moved& each : moved_) {
            values.resize(each.values.size());
            for (size_t i = 0; i < values.size(); i++) {
                values[i] =
                    static_cast<float>(each.values[i] + a * each.first[i] + b * each.second[i]);
            }
            pack(*each.tensor, values.data(), tensor_memory(*each.tensor, session_.memory()));
        }
        session_.prepare();
    }

  private:
    InferenceSession& session_;
    std::vector<Moved> moved_;
};

// Between the points of the grid, along both axes.
double loss_at(const std::vector<double>& losses, int grid, double x, double y) {
    const int column = std::min(static_cast<int>(x), grid - 2),
              row = std::min(static_cast<int>(y), grid - 2);
    const double right = x - column, down = y - row;
    const auto at = [&](int i, int j) { return losses[static_cast<size_t>(i * grid + j)]; };
    return (1 - down) * ((1 - right) * at(row, column) + right * at(row, column + 1)) +
           down * ((1 - right) * at(row + 1, column) + right * at(row + 1, column + 1));
}

// Colours by the logarithm of the loss, white lines where it is the same, a cross at the weights.
Picture draw_surface(const std::vector<double>& losses, int grid) {
    std::vector<double> heights;
    for (const double loss : losses) heights.push_back(std::log(std::max(loss, 1e-12)));
    const auto [least, greatest] = std::minmax_element(heights.begin(), heights.end());
    const double range = std::max(*greatest - *least, 1e-12), base = *least;
    const auto share = [&](int x, int y) {
        const double step = (grid - 1.0) / (kSide - 1.0);
        return (loss_at(heights, grid, x * step, y * step) - base) / range;
    };
    const auto line = [&](int x, int y) { return std::floor(share(x, y) * kContours); };
    Picture picture{{3, kSide, kSide}, {}};
    for (int y = 0; y < kSide; y++) {
        for (int x = 0; x < kSide; x++) {
            const bool is_line = (x + 1 < kSide && line(x, y) != line(x + 1, y)) ||
                                 (y + 1 < kSide && line(x, y) != line(x, y + 1));
            const int across = std::abs(x - kSide / 2), down = std::abs(y - kSide / 2);
            const bool is_cross = (across <= 1 && down <= 7) || (down <= 1 && across <= 7);
            std::array<uint8_t, 3> colour = scale_colour(share(x, y));
            if (is_line) colour = {255, 255, 255};
            if (is_cross) colour = {220, 30, 30};
            picture.pixels.insert(picture.pixels.end(), colour.begin(), colour.end());
        }
    }
    return picture;
}

std::string csv_path(const std::string& path) {
    return (path.ends_with(".png") ? path.substr(0, path.size() - 4) : path) + ".csv";
}

}  // namespace

int write_loss_surface(InferenceSession& session, const InferOptions& options) {
    const LookOptions& look = options.view.look;
    Trained trained = load_trained(session, options);
    trained.request.take = static_cast<uint64_t>(options.take.value_or(kPictures));
    const auto set = open_set(options, trained.request);
    if (!has_evaluation_loss(session.info(), set->target.kind) ||
        (set->labels.empty() && set->target.kind == TargetKind::kLabel)) {
        throw RuntimeError(
            "--loss-surface", "the network or the data give no loss",
            "give a network with probabilities or predictions, and data with labels");
    }
    {
        const AtomicFile probe(look.loss_surface);
    }  // whether it can be written
    const int grid = look.grid > 0 ? look.grid : kGrid;
    Surface surface(session);
    std::vector<double> losses;
    std::string csv = "first,second,loss\n";
    EvaluateOptions evaluation;
    evaluation.readers = options.reading.readers;
    const std::vector<uint32_t> all = whole_set(set->count());
    for (int i = 0; i < grid; i++) {
        for (int j = 0; j < grid; j++) {
            const auto place = [&](int k) { return look.radius * (2.0 * k / (grid - 1) - 1.0); };
            surface.move(place(j), place(i));
            const Evaluation result = evaluate(session, *set, all, evaluation);
            const double loss = result.metrics.loss();
            losses.push_back(result.not_finite == 0 && std::isfinite(loss)
                                 ? loss
                                 : std::numeric_limits<float>::max());
            csv += concat(place(j), ",", place(i), ",", losses.back(), "\n");
        }
    }
    write_png(look.loss_surface, draw_surface(losses, grid));
    write_file(csv_path(look.loss_surface), csv);
    const double centre = losses[losses.size() / 2];
    print_results(concat(one_line(look.loss_surface), ": loss ", fixed(centre, 4),
                         " at the weights, ",
                         fixed(*std::min_element(losses.begin(), losses.end()), 4), " to ",
                         fixed(*std::max_element(losses.begin(), losses.end()), 4), " over ", grid,
                         " x ", grid, " points\n"));
    return kExitDone;
}

}  // namespace emulsion
