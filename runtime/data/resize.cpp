// Two passes of weighted sums over a window of each output pixel, whose weights are computed once a
// side.
#include "runtime/data/resize.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr std::pair<std::string_view, Resize> kResizes[] = {{"nearest", Resize::kNearest},
                                                            {"bilinear", Resize::kBilinear},
                                                            {"bicubic", Resize::kBicubic},
                                                            {"area", Resize::kArea}};
constexpr std::pair<std::string_view, Fit> kFits[] = {{"stretch", Fit::kStretch},
                                                      {"crop", Fit::kCrop}};
constexpr int kWeightBits = 22;
constexpr int kWorthScaling = 2;  // times the network's sides, that a JPEG keeps at least

template <typename Table>
auto find_in(const Table& table, std::string_view name) {
    using Value = std::remove_cvref_t<decltype(table[0].second)>;
    for (const auto& [known, value] : table) {
        if (known == name) return std::optional<Value>(value);
    }
    return std::optional<Value>();
}

template <typename Table, typename Value>
std::string_view name_in(const Table& table, Value wanted) {
    for (const auto& [name, value] : table) {
        if (value == wanted) return name;
    }
    return "none";
}

// One side of the picture: `from` pixels become `whole`, of which `count` from `first` on are
// wanted.
struct Side {
    int from = 0, whole = 0, first = 0, count = 0;

    double scale() const { return static_cast<double>(from) / whole; }
};

// Of one output pixel: input pixels from `begin` on, one for each weight.
struct Window {
    int begin = 0;
    std::vector<int32_t> weights;  // whole multiples of 2^-kWeightBits
};

double triangle(double x) { return std::max(0.0, 1.0 - std::fabs(x)); }

// Keys's cubic with a = -1/2.
double cubic(double x) {
    const double t = std::fabs(x);
    if (t < 1.0) return (1.5 * t - 2.5) * t * t + 1.0;
    if (t < 2.0) return ((-0.5 * t + 2.5) * t - 4.0) * t + 2.0;
    return 0.0;
}

Window nearest_window(const Side& side, int place) {
    // floor((place + 1/2) from / whole), in whole numbers.
    const int64_t pixel = (2 * int64_t{place} + 1) * side.from / (2 * int64_t{side.whole});
    return {static_cast<int>(pixel), {1 << kWeightBits}};
}

// The share of each input pixel in the area of the output pixel.
void area_weights(const Side& side, int place, int* begin, std::vector<double>* weights) {
    const double low = place * side.scale(), high = (place + 1) * side.scale();
    *begin = std::min(static_cast<int>(std::floor(low)), side.from - 1);
    const int end = std::clamp(static_cast<int>(std::ceil(high)), *begin + 1, side.from);
    for (int i = *begin; i < end; i++)
        weights->push_back(std::max(0.0, std::min<double>(high, i + 1) - std::max<double>(low, i)));
}

void filter_weights(const Side& side, int place, Resize resize, int* begin,
                    std::vector<double>* weights) {
    const bool is_cubic = resize == Resize::kBicubic;
    const double stretch = std::max(side.scale(), 1.0);
    const double reach = (is_cubic ? 2.0 : 1.0) * stretch;
    const double centre = (place + 0.5) * side.scale();
    *begin = std::max(0, static_cast<int>(std::floor(centre - reach)));
    const int end = std::min(side.from, static_cast<int>(std::ceil(centre + reach)));
    for (int i = *begin; i < end; i++) {
        const double x = (i + 0.5 - centre) / stretch;
        weights->push_back(is_cubic ? cubic(x) : triangle(x));
    }
}

Window make_window(const Side& side, int place, Resize resize) {
    if (resize == Resize::kNearest) return nearest_window(side, place);
    Window window;
    std::vector<double> weights;
    if (resize == Resize::kArea) {
        area_weights(side, place, &window.begin, &weights);
    } else {
        filter_weights(side, place, resize, &window.begin, &weights);
    }
    double sum = 0.0;
    for (double weight : weights) sum += weight;
    int32_t rest = 1 << kWeightBits;
    size_t largest = 0;
    for (size_t i = 0; i < weights.size(); i++) {
        window.weights.push_back(
            static_cast<int32_t>(std::lround(weights[i] / sum * (1 << kWeightBits))));
        rest -= window.weights[i];
        if (window.weights[i] > window.weights[largest]) largest = i;
    }
    window.weights[largest] += rest;  // what rounding has left, so that a flat picture stays flat
    return window;
}

std::vector<Window> make_windows(const Side& side, Resize resize) {
    std::vector<Window> windows;
    for (int i = 0; i < side.count; i++)
        windows.push_back(make_window(side, side.first + i, resize));
    return windows;
}

// Sums of weights times pixels fit 32 bits: the absolute weights of any filter here sum to less
// than 2 after the division by their sum, and 2 * 255 * 2^kWeightBits is below 2^31.
uint8_t round_sum(int32_t sum) {
    return static_cast<uint8_t>(
        std::clamp((sum + (1 << (kWeightBits - 1))) >> kWeightBits, 0, 255));
}

// in: [H][W][C] to [H][windows][C]
template <size_t C>
void resize_rows(const uint8_t* in, size_t height, size_t width, const std::vector<Window>& windows,
                 uint8_t* out) {
    for (size_t y = 0; y < height; y++, in += width * C) {
        for (const Window& window : windows) {
            const uint8_t* from = in + static_cast<size_t>(window.begin) * C;
            int32_t sums[C] = {};
            for (const int32_t weight : window.weights) {
                for (size_t c = 0; c < C; c++) sums[c] += weight * from[c];
                from += C;
            }
            for (size_t c = 0; c < C; c++) *out++ = round_sum(sums[c]);
        }
    }
}

// in: [H][row] to [windows][row]
std::vector<uint8_t> resize_columns(const std::vector<uint8_t>& in, size_t row,
                                    const std::vector<Window>& windows) {
    std::vector<uint8_t> out(windows.size() * row);
    std::vector<int32_t> sums(row);
    uint8_t* to = out.data();
    for (const Window& window : windows) {
        std::fill(sums.begin(), sums.end(), 0);
        const uint8_t* from = in.data() + static_cast<size_t>(window.begin) * row;
        for (const int32_t weight : window.weights) {
            for (size_t x = 0; x < row; x++) sums[x] += weight * from[x];
            from += row;
        }
        for (size_t x = 0; x < row; x++) *to++ = round_sum(sums[x]);
    }
    return out;
}

// What part of which size is wanted: all of the network's, or the middle of one that has the
// picture's proportions.
std::pair<Side, Side> find_sides(const PictureShape& from, int height, int width, Fit fit) {
    Side rows{from.height, height, 0, height}, columns{from.width, width, 0, width};
    if (fit == Fit::kStretch) return {rows, columns};
    const int64_t across = int64_t{width} * from.height, down = int64_t{height} * from.width;
    const auto rounded = [](int64_t a, int64_t b) {
        return static_cast<int>((2 * a + b) / (2 * b));
    };
    if (across >= down) {  // the width decides
        rows.whole = std::max(height, rounded(across, from.width));
        rows.first = (rows.whole - height) / 2;
    } else {
        columns.whole = std::max(width, rounded(down, from.height));
        columns.first = (columns.whole - width) / 2;
    }
    return {rows, columns};
}

}  // namespace

std::optional<Resize> find_resize(std::string_view name) { return find_in(kResizes, name); }

std::optional<Fit> find_fit(std::string_view name) { return find_in(kFits, name); }

std::string to_text(const PictureRule& rule) {
    return concat(name_in(kResizes, rule.resize), " ", name_in(kFits, rule.fit));
}

std::optional<PictureRule> parse_rule(std::string_view text) {
    const size_t blank = text.find(' ');
    if (blank == text.npos) return std::nullopt;
    const auto resize = find_resize(text.substr(0, blank));
    const auto fit = find_fit(text.substr(blank + 1));
    if (!resize || !fit) return std::nullopt;
    return PictureRule{*resize, *fit};
}

Picture resize_picture(const Picture& picture, int height, int width, const PictureRule& rule) {
    const auto [rows, columns] = find_sides(picture.shape, height, width, rule.fit);
    const auto channels = static_cast<size_t>(picture.shape.channels);
    std::vector<Window> row_windows = make_windows(rows, rule.resize);
    const std::vector<Window> column_windows = make_windows(columns, rule.resize);
    // The rows that no output pixel looks at are left out of the first pass.
    int begin = picture.shape.height, end = 0;
    for (const Window& window : row_windows) {
        begin = std::min(begin, window.begin);
        end = std::max(end, window.begin + static_cast<int>(window.weights.size()));
    }
    for (Window& window : row_windows) window.begin -= begin;
    const auto stored_width = static_cast<size_t>(picture.shape.width);
    const auto count = static_cast<size_t>(end - begin);
    const uint8_t* first =
        picture.pixels.data() + static_cast<size_t>(begin) * stored_width * channels;
    std::vector<uint8_t> narrow(count * column_windows.size() * channels);
    if (channels == 3) {
        resize_rows<3>(first, count, stored_width, column_windows, narrow.data());
    } else {
        resize_rows<1>(first, count, stored_width, column_windows, narrow.data());
    }
    Picture resized{{picture.shape.channels, height, width}, {}};
    resized.pixels = resize_columns(narrow, static_cast<size_t>(width) * channels, row_windows);
    return resized;
}

Picture fit_picture(Picture picture, const PictureShape& shape, const std::string& name,
                    const PictureRule& rule) {
    const bool has_size =
        picture.shape.height == shape.height && picture.shape.width == shape.width;
    if (has_size || rule.resize == Resize::kNone)
        return fit_picture(std::move(picture), shape, name);
    if (picture.shape.channels > shape.channels && shape.channels == 1)
        picture = convert_channels(picture, 1);
    return fit_picture(resize_picture(picture, shape.height, shape.width, rule), shape, name);
}

Picture read_picture(const std::string& path, const PictureShape& shape, const PictureRule& rule) {
    if (rule.resize == Resize::kNone) return read_picture(path, shape);
    PictureLimits limits;
    if (rule.resize != Resize::kNearest) {
        limits.least_height = kWorthScaling * shape.height;
        limits.least_width = kWorthScaling * shape.width;
    }
    return fit_picture(read_picture(path, limits), shape, path, rule);
}

}  // namespace emulsion
