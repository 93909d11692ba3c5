// See look.h.
#include "runtime/infer/look.h"

#include <algorithm>
#include <cmath>

#include "runtime/data/layout.h"
#include "runtime/infer/outputs.h"
#include "runtime/infer/reading.h"
#include "runtime/infer/sheet.h"
#include "runtime/program/format.h"
#include "runtime/support/path.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr int kLeastTile = 32;      // pixels of a filter or map on a sheet
constexpr int kLeastPicture = 224;  // of one picture

std::vector<float> logical_values(const emulsion_tensor& tensor, const emulsion_memory& memory) {
    std::vector<float> values(logical_elements(tensor));
    unpack(tensor, tensor_memory(tensor, memory), values.data());
    return values;
}

// The first weights of shape (O, I, KH, KW) that read pictures and are more than one pixel.
const emulsion_tensor* find_filters(const emulsion_info& info) {
    for (int i = 0; i < info.tensor_count; i++) {
        const emulsion_tensor& tensor = info.tensors[i];
        const bool is_filter = tensor.memory_class == EMULSION_PARAMETERS && tensor.rank == 4;
        if (is_filter && tensor.shape[2] * tensor.shape[3] > 1) return &tensor;
    }
    return nullptr;
}

}  // namespace

int write_filters(InferenceSession& session, const InferOptions& options) {
    const emulsion_tensor* filters = find_filters(session.info());
    if (filters == nullptr) {
        throw RuntimeError("--filters", "the network has no convolution of more than one pixel",
                           "leave the option out");
    }
    load_trained(session, options);
    const std::vector<float> weights = logical_values(*filters, session.memory());
    const auto inputs = static_cast<size_t>(filters->shape[1]);
    const int height = static_cast<int>(filters->shape[2]),
              width = static_cast<int>(filters->shape[3]);
    const auto pixels = static_cast<size_t>(height) * static_cast<size_t>(width);
    const int factor = enlargement(std::max(height, width), kLeastTile);
    const size_t each = inputs == 3 ? 3 : 1;  // channels of a tile
    std::vector<Picture> tiles;
    for (size_t begin = 0; begin < weights.size(); begin += each * pixels) {
        std::vector<float> values(each * pixels);  // [KH][KW][C]
        for (size_t i = 0; i < values.size(); i++)
            values[i] = weights[begin + i % each * pixels + i / each];
        tiles.push_back(
            enlarge(scale_values(values, {static_cast<int>(each), height, width}), factor));
    }
    write_png(options.view.look.filters, make_sheet(tiles));
    print_results(concat(one_line(options.view.look.filters), ": ", filters->shape[0],
                         " filters of ", filters->name, "\n"));
    return kExitDone;
}

int write_feature_maps(InferenceSession& session, const InferOptions& options) {
    const emulsion_info& info = session.info();
    const std::vector<int> maps = find_maps(info, options.outputs, "--feature-maps");
    const std::string& folder = options.view.look.feature_maps;
    make_folder(folder);
    const Trained trained = load_trained(session, options);
    Outcome outcome;
    uint64_t pictures = 0;
    run_files(
        session, options, trained.request, options.pictures, options.list, &outcome,
        [&](const std::string& path, int sample) {
            for (const int map : maps) {
                const emulsion_port& port = info.outputs[map];
                const OutputValues output{&port, session.output(map, sample)};
                const int height = static_cast<int>(port.shape[1]),
                          width = static_cast<int>(port.shape[2]);
                const auto count = static_cast<size_t>(height) * static_cast<size_t>(width);
                const int factor = enlargement(std::max(height, width), kLeastTile);
                std::vector<Picture> tiles;
                std::vector<float> channel(count);
                for (size_t begin = 0; begin < output.values.size(); begin += count) {
                    for (size_t i = 0; i < count; i++) channel[i] = output.at(begin + i);
                    tiles.push_back(enlarge(scale_values(channel, {1, height, width}), factor));
                }
                const std::string file = join_path(
                    folder, picture_file_name(pictures, concat(stem_of(path), " ", port.name)));
                write_png(file, make_sheet(tiles));
                print_results(concat(one_line(file), "\n"));
            }
            pictures++;
        });
    return conclude(options, outcome);
}

// Occlusion

namespace {

// How much a score falls, by pixel.
struct FallMap {
    std::vector<double> sums;  // [H][W]
    std::vector<int> counts;

    double at(size_t i) const { return counts[i] > 0 ? sums[i] / counts[i] : 0.0; }
};

class Occlusion {
  public:
    Occlusion(InferenceSession& session, const LookOptions& options, int batch)
        : session_(session),
          shape_(session.shape()),
          normalizer_(shape_.channels, session.info()),
          batch_(batch),
          block_(
              allocate_aligned(static_cast<uint64_t>(batch) * shape_.elements() * sizeof(float))) {
        const int side = std::min(shape_.height, shape_.width);
        patch_ = std::min(options.patch > 0 ? options.patch : std::max(1, side / 4), side);
        stride_ = options.patch_stride > 0 ? options.patch_stride : std::max(1, patch_ / 4);
    }

    FallMap run(const Picture& picture) {
        const auto pixels = static_cast<size_t>(shape_.height) * static_cast<size_t>(shape_.width);
        FallMap map{std::vector<double>(pixels, 0.0), std::vector<int>(pixels, 0)};
        add(picture);
        const auto scores = run_batch();
        best_ = static_cast<int>(std::max_element(scores[0].begin(), scores[0].end()) -
                                 scores[0].begin());
        score_ = scores[0][static_cast<size_t>(best_)];
        std::vector<std::pair<int, int>> places;
        for (int y : places_of(shape_.height)) {
            for (int x : places_of(shape_.width)) {
                Picture covered = picture;
                cover(x, y, &covered);
                add(covered);
                places.emplace_back(x, y);
                if (count_ == batch_) take(&places, &map);
            }
        }
        take(&places, &map);
        return map;
    }
    int best() const { return best_; }
    float score() const { return score_; }

  private:
    std::vector<int> places_of(int length) const {
        std::vector<int> begins;
        for (int begin = 0; begin < length - patch_; begin += stride_) begins.push_back(begin);
        begins.push_back(length - patch_);
        return begins;
    }
    // The mean of the mean colour's bounds, 128: grey.
    void cover(int x, int y, Picture* picture) const {
        constexpr uint8_t kGrey = 128;
        for (int i = y; i < y + patch_; i++) {
            const auto begin = (static_cast<ptrdiff_t>(i) * shape_.width + x) * shape_.channels;
            std::fill_n(picture->pixels.begin() + begin,
                        static_cast<ptrdiff_t>(patch_) * shape_.channels, kGrey);
        }
    }
    void add(const Picture& picture) {
        float* to =
            static_cast<float*>(block_.get()) + static_cast<uint64_t>(count_++) * shape_.elements();
        normalizer_.apply(picture.pixels.data(),
                          shape_.elements() / static_cast<uint64_t>(shape_.channels), to);
    }
    std::vector<std::span<const float>> run_batch() {
        session_.run(static_cast<const float*>(block_.get()), count_);
        std::vector<std::span<const float>> scores;
        for (int i = 0; i < count_; i++) scores.push_back(session_.scores(i));
        count_ = 0;
        return scores;
    }
    void take(std::vector<std::pair<int, int>>* places, FallMap* map) {
        if (places->empty()) return;
        const auto scores = run_batch();
        for (size_t i = 0; i < places->size(); i++) {
            const double fall = double{score_} - double{scores[i][static_cast<size_t>(best_)]};
            const auto [x, y] = (*places)[i];
            for (int row = y; row < y + patch_; row++) {
                for (int column = x; column < x + patch_; column++) {
                    const auto pixel =
                        static_cast<size_t>(row) * static_cast<size_t>(shape_.width) +
                        static_cast<size_t>(column);
                    map->sums[pixel] += fall;
                    map->counts[pixel]++;
                }
            }
        }
        places->clear();
    }

    InferenceSession& session_;
    const PictureShape shape_;
    const Normalizer normalizer_;
    int batch_, patch_ = 1, stride_ = 1;
    AlignedBlock block_;  // [batch][H][W][C]
    int count_ = 0;       // pictures in it
    int best_ = 0;
    float score_ = 0.0f;
};

// The picture in grey, redder where the score falls and bluer where it rises, against the largest
// change.
Picture colour_falls(const Picture& picture, const FallMap& map, double largest) {
    const Picture grey = convert_channels(picture, 1);
    Picture coloured{{3, grey.shape.height, grey.shape.width}, {}};
    for (size_t i = 0; i < grey.pixels.size(); i++) {
        const double share = largest > 0.0 ? map.at(i) / largest : 0.0;
        const double base = 0.5 * grey.pixels[i] + 32.0, part = std::fabs(share);
        const auto mixed = [&](double full) {
            return static_cast<uint8_t>(std::lround(base * (1.0 - part) + full * part));
        };
        coloured.pixels.push_back(mixed(share > 0.0 ? 255.0 : 0.0));
        coloured.pixels.push_back(mixed(0.0));
        coloured.pixels.push_back(mixed(share > 0.0 ? 0.0 : 255.0));
    }
    return coloured;
}

}  // namespace

int write_occlusion(InferenceSession& session, const InferOptions& options) {
    find_score_output(session.info());  // refuses a network without
    const std::string& folder = options.view.look.occlusion;
    make_folder(folder);
    const Trained trained = load_trained(session, options);
    const int batch = std::min(options.batch.value_or(session.batch()), session.batch());
    Occlusion occlusion(session, options.view.look, batch);
    Outcome outcome;
    uint64_t pictures = 0;
    std::vector<std::string> paths;
    run_files(session, options, trained.request, options.pictures, options.list, &outcome,
              [&](const std::string& path, int) { paths.push_back(path); });
    for (const std::string& path : paths) {
        const Picture picture = read_picture(path, session.shape(), *trained.request.rule);
        const FallMap map = occlusion.run(picture);
        double largest = 0.0;
        for (size_t i = 0; i < map.sums.size(); i++)
            largest = std::max(largest, std::fabs(map.at(i)));
        if (!std::isfinite(largest) || !std::isfinite(occlusion.score())) {
            outcome.not_finite++;
            continue;
        }
        const Picture coloured = colour_falls(picture, map, largest);
        const int factor =
            enlargement(std::max(picture.shape.height, picture.shape.width), kLeastPicture);
        const std::string file = join_path(folder, picture_file_name(pictures++, stem_of(path)));
        write_png(file, enlarge(coloured, factor));
        print_results(concat(
            one_line(file), ": ", one_line(class_name(trained.classes, occlusion.best())), " ",
            fixed(occlusion.score(), 4), ", changes by up to ", fixed(largest, 4), "\n"));
    }
    return conclude(options, outcome);
}

}  // namespace emulsion
