// See saliency.h.
#include "runtime/infer/saliency.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <string_view>

#include "runtime/infer/outputs.h"
#include "runtime/infer/reading.h"
#include "runtime/infer/sheet.h"
#include "runtime/infer/unit_gradients.h"
#include "runtime/program/format.h"
#include "runtime/support/path.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr int kLeastTile = 32;      // pixels of a part on a sheet
constexpr int kLeastPicture = 224;  // of one picture
constexpr int kStrongest = 4;       // parts of a channel

// A picture, and one unit of the network that looks at it.
struct Look {
    std::string path;
    Unit unit;
};

// Calls `visit` for each with its place, the picture that the network reads, and the gradient
// [H][W][C].
void look_at(UnitGradients& gradients, const Normalizer& normalizer, const PictureRule& rule,
             std::span<const Look> looks,
             const std::function<void(size_t, const Picture&, std::span<const float>)>& visit) {
    const PictureShape& shape = gradients.shape();
    const auto batch = static_cast<size_t>(gradients.batch());
    const AlignedBlock block = allocate_aligned(batch * shape.elements() * sizeof(float));
    auto* images = static_cast<float*>(block.get());
    for (size_t begin = 0; begin < looks.size(); begin += batch) {
        std::vector<Picture> pictures;
        std::vector<Unit> units;
        for (const Look& look : looks.subspan(begin, std::min(batch, looks.size() - begin))) {
            pictures.push_back(read_picture(look.path, shape, rule));
            normalizer.apply(pictures.back().pixels.data(),
                             shape.elements() / static_cast<uint64_t>(shape.channels),
                             images + units.size() * shape.elements());
            units.push_back(look.unit);
        }
        gradients.run(images, units);
        for (size_t i = 0; i < units.size(); i++)
            visit(begin + i, pictures[i], gradients.gradient(static_cast<int>(i)));
    }
}

float largest_size(std::span<const float> values) {
    float largest = 0.0f;
    for (const float value : values)
        largest = std::isfinite(value) ? std::max(largest, std::fabs(value)) : INFINITY;
    return largest;
}

// Each value by its share of the largest size, 0 in the middle of the greys.
Picture show_signs(std::span<const float> values, const PictureShape& shape) {
    const float largest = largest_size(values);
    Picture picture{shape, {}};
    for (const float value : values) {
        const float share = largest > 0.0f ? value / largest : 0.0f;
        picture.pixels.push_back(static_cast<uint8_t>(std::lround(127.5f + 127.5f * share)));
    }
    return picture;
}

// Of each pixel the largest size over its channels, the largest one white.
Picture show_sizes(std::span<const float> values, const PictureShape& shape) {
    const float largest = largest_size(values);
    const auto channels = static_cast<size_t>(shape.channels);
    Picture picture{{1, shape.height, shape.width}, {}};
    for (size_t i = 0; i < values.size(); i += channels) {
        const float size = largest_size(values.subspan(i, channels));
        const float share = largest > 0.0f ? size / largest : 0.0f;
        picture.pixels.push_back(static_cast<uint8_t>(std::lround(255.0f * share)));
    }
    return picture;
}

// The scores before their softmax, where the network hands them out.
int find_raw_scores(const emulsion_info& info) {
    const int best = find_score_output(info).index;
    const std::string_view name = info.outputs[best].name;
    constexpr std::string_view kEnding = "probabilities";
    if (!name.ends_with(kEnding)) return best;
    const std::string raw = concat(name.substr(0, name.size() - kEnding.size()), "scores");
    for (int i = 0; i < info.output_count; i++)
        if (raw == info.outputs[i].name) return i;
    return best;
}

}  // namespace

int write_saliency(InferenceSession& session, const InferOptions& options,
                   const emulsion_infer_library* saliency) {
    const LookOptions& look = options.view.look;
    const int output = find_raw_scores(session.info());
    const Trained trained = load_trained(session, options);
    UnitGradients gradients(saliency, session, options, "--saliency", look.backward);
    make_folder(look.saliency);
    std::vector<Look> looks;
    std::vector<float> scores;
    Outcome outcome;
    run_files(session, options, trained.request, options.pictures, options.list, &outcome,
              [&](const std::string& path, int sample) {
                  const auto all = session.scores(sample);
                  const auto best = std::max_element(all.begin(), all.end());
                  looks.push_back({path, {output, static_cast<size_t>(best - all.begin())}});
                  scores.push_back(*best);
              });
    uint64_t pictures = 0;
    look_at(gradients, {session.shape().channels, session.info()}, *trained.request.rule, looks,
            [&](size_t i, const Picture& picture, std::span<const float> gradient) {
                const float largest = largest_size(gradient);
                if (!std::isfinite(largest) || !std::isfinite(scores[i])) {
                    outcome.not_finite++;
                    return;
                }
                const bool has_signs = look.backward != kBackwardRules[0];
                const Picture shown = has_signs ? show_signs(gradient, picture.shape)
                                                : show_sizes(gradient, picture.shape);
                const int side = std::max(picture.shape.height, picture.shape.width);
                const std::string file =
                    join_path(look.saliency, picture_file_name(pictures++, stem_of(looks[i].path)));
                write_png(file, enlarge(shown, enlargement(side, kLeastPicture)));
                print_results(concat(
                    one_line(file), ": ",
                    one_line(class_name(trained.classes, static_cast<int>(looks[i].unit.place))),
                    " ", fixed(scores[i], 4), ", gradient up to ", fixed(largest, 4), "\n"));
            });
    return conclude(options, outcome);
}

// The strongest parts

namespace {

// A unit that a picture excites more than others of its channel.
struct Excited {
    float value = 0.0f;
    Look look;
};

// Of each channel of an output those with the greatest values above 0, the greatest first, at most
// one of a picture; of equal ones the first picture's.
class StrongestUnits {
  public:
    StrongestUnits(const emulsion_port& port, int output, size_t count)
        : output_(output), count_(count), channels_(static_cast<size_t>(port.shape[0])) {}

    // values: [H][W][C]
    void add(const std::string& path, std::span<const float> values) {
        for (size_t channel = 0; channel < channels_.size(); channel++) {
            size_t place = channel;
            for (size_t i = channel; i < values.size(); i += channels_.size())
                if (values[i] > values[place]) place = i;
            if (!(values[place] > 0.0f)) continue;
            std::vector<Excited>& best = channels_[channel];
            const auto after = std::find_if(best.begin(), best.end(), [&](const Excited& each) {
                return each.value < values[place];
            });
            best.insert(after, {values[place], {path, {output_, place}}});
            if (best.size() > count_) best.pop_back();
        }
    }
    size_t channels() const { return channels_.size(); }
    std::span<const Excited> of(size_t channel) const { return channels_[channel]; }

  private:
    int output_;
    size_t count_;
    std::vector<std::vector<Excited>> channels_;
};

struct Rectangle {
    int top = 0, left = 0, height = 0, width = 0;
};

// The smallest one outside which the values [H][W][C] are 0.
Rectangle find_support(std::span<const float> values, const PictureShape& shape) {
    int top = shape.height, left = shape.width, bottom = 0, right = 0;
    for (size_t i = 0; i < values.size(); i++) {
        if (values[i] == 0.0f) continue;
        const auto pixel = static_cast<int>(i / static_cast<size_t>(shape.channels));
        top = std::min(top, pixel / shape.width);
        bottom = std::max(bottom, pixel / shape.width + 1);
        left = std::min(left, pixel % shape.width);
        right = std::max(right, pixel % shape.width + 1);
    }
    return bottom == 0 ? Rectangle{} : Rectangle{top, left, bottom - top, right - left};
}

// `values` is [H][W][C].
template <class Value>
std::vector<Value> cut(std::span<const Value> values, const PictureShape& shape,
                       const Rectangle& part) {
    std::vector<Value> result;
    for (int y = part.top; y < part.top + part.height; y++) {
        const auto begin = static_cast<size_t>((y * shape.width + part.left) * shape.channels);
        const auto row = values.subspan(begin, static_cast<size_t>(part.width * shape.channels));
        result.insert(result.end(), row.begin(), row.end());
    }
    return result;
}

// Puts the small picture into the middle of a square of the large one.
void put(const Picture& small, int top, int left, int side, Picture* large) {
    const PictureShape& shape = small.shape;
    top += (side - shape.height) / 2;
    left += (side - shape.width) / 2;
    const auto row = static_cast<ptrdiff_t>(shape.width) * shape.channels;
    for (int y = 0; y < shape.height; y++) {
        const ptrdiff_t to = (static_cast<ptrdiff_t>(top + y) * large->shape.width + left);
        std::copy_n(small.pixels.begin() + y * row, row,
                    large->pixels.begin() + to * shape.channels);
    }
}

// A part of a picture, and what its unit sees of it.
struct Seen {
    Picture picture, gradient;
};

// The sheet of an output.
Picture draw_strongest(UnitGradients& gradients, const Normalizer& normalizer,
                       const PictureRule& rule, const StrongestUnits& units, size_t count) {
    std::vector<Look> looks;
    for (size_t channel = 0; channel < units.channels(); channel++)
        for (const Excited& each : units.of(channel)) looks.push_back(each.look);
    std::vector<Seen> parts(looks.size());
    int side = 1;
    look_at(gradients, normalizer, rule, looks,
            [&](size_t i, const Picture& picture, std::span<const float> gradient) {
                const PictureShape& shape = picture.shape;
                const Rectangle part = find_support(gradient, shape);
                const PictureShape small{shape.channels, part.height, part.width};
                const std::span<const uint8_t> pixels = picture.pixels;
                parts[i] = {{small, cut(pixels, shape, part)},
                            show_signs(cut(gradient, shape, part), small)};
                side = std::max({side, part.height, part.width});
            });
    std::vector<Picture> tiles;
    const int channels = gradients.shape().channels;
    const auto* next = parts.data();
    for (size_t channel = 0; channel < units.channels(); channel++) {
        Picture tile{{channels, 2 * side, static_cast<int>(count) * side}, {}};
        tile.pixels.assign(tile.shape.elements(), 0);
        for (size_t i = 0; i < units.of(channel).size(); i++, next++) {
            const int left = static_cast<int>(i) * side;
            put(next->picture, 0, left, side, &tile);
            put(next->gradient, side, left, side, &tile);
        }
        tiles.push_back(enlarge(tile, enlargement(side, kLeastTile)));
    }
    return make_sheet(tiles);
}

}  // namespace

int write_strongest(InferenceSession& session, const InferOptions& options,
                    const emulsion_infer_library* saliency) {
    const emulsion_info& info = session.info();
    const LookOptions& look = options.view.look;
    const auto count = static_cast<size_t>(options.top.value_or(kStrongest));
    const std::vector<int> maps = find_maps(info, options.outputs, "--strongest");
    const Trained trained = load_trained(session, options);
    UnitGradients gradients(saliency, session, options, "--strongest", look.backward);
    make_folder(look.strongest);
    std::vector<StrongestUnits> units;
    for (const int map : maps) units.emplace_back(info.outputs[map], map, count);
    Outcome outcome;
    run_files(session, options, trained.request, options.pictures, options.list, &outcome,
              [&](const std::string& path, int sample) {
                  for (size_t i = 0; i < maps.size(); i++)
                      units[i].add(path, session.output(maps[i], sample));
              });
    for (size_t i = 0; i < maps.size(); i++) {
        const Picture sheet = draw_strongest(gradients, {session.shape().channels, info},
                                             *trained.request.rule, units[i], count);
        const char* name = info.outputs[maps[i]].name;
        const std::string file = join_path(look.strongest, picture_file_name(i, name));
        write_png(file, sheet);
        print_results(concat(one_line(file), ": ", units[i].channels(), " channels of ", name,
                             ", the strongest ", count, " of each\n"));
    }
    return conclude(options, outcome);
}

}  // namespace emulsion
