// Resizing: known values, a naive reference in double precision, crops, JPEG at a part of its size.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "runtime/data/resize.h"
#include "tests/runtime/data_support.h"

namespace emulsion {
namespace {

using testing::message_of;

Picture make_row(const std::vector<uint8_t>& pixels) {
    return {{1, 1, static_cast<int>(pixels.size())}, pixels};
}

Picture make_noise(int channels, int height, int width, unsigned seed) {
    std::mt19937 random(seed);
    Picture picture{{channels, height, width}, {}};
    for (uint64_t i = 0; i < picture.shape.elements(); i++)
        picture.pixels.push_back(static_cast<uint8_t>(random() & 255));
    return picture;
}

std::vector<uint8_t> resized_row(const std::vector<uint8_t>& pixels, int width, Resize resize) {
    return resize_picture(make_row(pixels), 1, width, {resize, Fit::kStretch}).pixels;
}

using Row = std::vector<uint8_t>;

TEST(DataResize, KnownRows) {
    EXPECT_EQ(resized_row({0, 8}, 4, Resize::kBilinear), (Row{0, 2, 6, 8}));  // half-pixel centres
    EXPECT_EQ(resized_row({0, 1, 2, 3, 4, 5, 6}, 4, Resize::kNearest), (Row{0, 2, 4, 6}));
    EXPECT_EQ(resized_row({1, 2}, 5, Resize::kNearest), (Row{1, 1, 2, 2, 2}));
    EXPECT_EQ(resized_row({10, 20, 40}, 1, Resize::kNearest), (Row{20}));
    EXPECT_EQ(resized_row({30, 60, 90}, 2, Resize::kArea), (Row{40, 80}));
    EXPECT_EQ(resized_row({0, 100}, 3, Resize::kArea), (Row{0, 50, 100}));
    EXPECT_EQ(resized_row({1, 2, 3, 4}, 2, Resize::kArea), (Row{2, 4}));  // 1.5 and 3.5, rounded
    // A pixel at a quarter of the way: weights -9, 111, 29, -3 of 128 (Keys, a = -1/2).
    EXPECT_EQ(resized_row({0, 128, 0, 0, 0, 0, 0, 0}, 16, Resize::kBicubic)[3], 111);
    EXPECT_EQ(resized_row({0, 0, 128, 0, 0, 0, 0, 0}, 16, Resize::kBicubic)[3], 29);
}

// The filter of each method at a distance in input pixels, `stretch` times as wide.
double weight_of(Resize resize, double x) {
    const double t = std::fabs(x);
    if (resize == Resize::kBilinear) return t < 1 ? 1 - t : 0;
    if (t < 1) return 1.5 * t * t * t - 2.5 * t * t + 1;
    return t < 2 ? -0.5 * t * t * t + 2.5 * t * t - 4 * t + 2 : 0;
}

// One row or column by the definition, over all input pixels.
std::vector<double> reference_line(const std::vector<double>& in, int count, Resize resize) {
    const double scale = static_cast<double>(in.size()) / count, stretch = std::max(scale, 1.0);
    std::vector<double> out;
    for (int o = 0; o < count; o++) {
        double sum = 0, weights = 0;
        for (size_t i = 0; i < in.size(); i++) {
            const auto place = static_cast<double>(i);
            double weight;
            if (resize == Resize::kNearest) {
                weight = std::floor((o + 0.5) * scale) == place;
            } else if (resize == Resize::kArea) {
                weight = std::max(
                    0.0, std::min((o + 1) * scale, place + 1) - std::max(o * scale, place));
            } else {
                weight = weight_of(resize, (place + 0.5 - (o + 0.5) * scale) / stretch);
            }
            sum += weight * in[i];
            weights += weight;
        }
        out.push_back(std::clamp(sum / weights, 0.0, 255.0));
    }
    return out;
}

std::vector<double> reference(const Picture& picture, int height, int width, Resize resize) {
    const int channels = picture.shape.channels;
    const auto at = [&](int y, int x, int c) {
        const int place = (y * picture.shape.width + x) * channels + c;
        return static_cast<double>(picture.pixels[static_cast<size_t>(place)]);
    };
    std::vector<double> out(static_cast<size_t>(height * width * channels));
    for (int c = 0; c < channels; c++) {
        std::vector<std::vector<double>> rows;
        for (int y = 0; y < picture.shape.height; y++) {
            std::vector<double> row;
            for (int x = 0; x < picture.shape.width; x++) row.push_back(at(y, x, c));
            rows.push_back(reference_line(row, width, resize));
        }
        for (int x = 0; x < width; x++) {
            std::vector<double> column;
            for (const auto& row : rows) column.push_back(row[static_cast<size_t>(x)]);
            const std::vector<double> found = reference_line(column, height, resize);
            for (int y = 0; y < height; y++)
                out[static_cast<size_t>((y * width + x) * channels + c)] =
                    found[static_cast<size_t>(y)];
        }
    }
    return out;
}

TEST(DataResize, EveryMethodIsItsDefinition) {
    const int sides[][4] = {{1, 1, 3, 5},  {7, 5, 7, 5},    {5, 7, 13, 11}, {13, 11, 5, 7},
                            {31, 2, 1, 9}, {40, 37, 3, 17}, {2, 3, 29, 1},  {64, 64, 8, 8}};
    for (const auto& [height, width, to_height, to_width] : sides) {
        for (Resize resize :
             {Resize::kNearest, Resize::kBilinear, Resize::kBicubic, Resize::kArea}) {
            for (int channels : {1, 3}) {
                const Picture picture =
                    make_noise(channels, height, width, static_cast<unsigned>(height * width));
                const Picture found =
                    resize_picture(picture, to_height, to_width, {resize, Fit::kStretch});
                EXPECT_EQ(found.shape, (PictureShape{channels, to_height, to_width}));
                const std::vector<double> expected =
                    reference(picture, to_height, to_width, resize);
                ASSERT_EQ(found.pixels.size(), expected.size());
                // Two roundings to whole numbers, the first one's spread by the second pass.
                const double bound = resize == Resize::kNearest ? 0.0 : 1.2;
                for (size_t i = 0; i < expected.size(); i++) {
                    ASSERT_NEAR(found.pixels[i], expected[i], bound)
                        << height << "x" << width << " to " << to_height << "x" << to_width << " "
                        << to_text(PictureRule{resize, Fit::kStretch}) << " at " << i;
                }
            }
        }
    }
}

TEST(DataResize, AFlatPictureStaysFlat) {
    for (Resize resize : {Resize::kNearest, Resize::kBilinear, Resize::kBicubic, Resize::kArea}) {
        for (int value : {0, 1, 254, 255}) {
            const Picture flat{{1, 37, 23}, Row(37 * 23, static_cast<uint8_t>(value))};
            for (int side : {1, 5, 37, 90}) {
                EXPECT_EQ(resize_picture(flat, side, side, {resize, Fit::kCrop}).pixels,
                          Row(static_cast<size_t>(side * side), static_cast<uint8_t>(value)));
            }
        }
    }
}

// The middle of the picture of the right proportions, as if the whole had been resized.
TEST(DataResize, CropKeepsProportionsAndTakesTheMiddle) {
    const Picture wide = make_noise(3, 20, 50, 7), high = make_noise(1, 50, 20, 8);
    for (Resize resize : {Resize::kNearest, Resize::kBilinear, Resize::kBicubic, Resize::kArea}) {
        const Picture whole = resize_picture(wide, 8, 20, {resize, Fit::kStretch});
        const Picture cut = resize_picture(wide, 8, 8, {resize, Fit::kCrop});
        for (size_t y = 0; y < 8; y++) {
            for (size_t x = 0; x < 24; x++)
                EXPECT_EQ(cut.pixels[y * 24 + x], whole.pixels[y * 60 + 6 * 3 + x]);
        }
        const Picture upright = resize_picture(high, 25, 10, {resize, Fit::kStretch});
        const Picture middle = resize_picture(high, 10, 10, {resize, Fit::kCrop});
        EXPECT_EQ(middle.pixels, Row(upright.pixels.begin() + 70, upright.pixels.begin() + 170));
    }
    // A side of 1.5 rounds up; what is as wide as the network is not cut there.
    EXPECT_EQ(resize_picture(make_noise(1, 3, 2, 9), 1, 1, {Resize::kArea, Fit::kCrop}).shape,
              (PictureShape{1, 1, 1}));
}

TEST(DataResize, RulesHaveNames) {
    for (const char* text : {"nearest stretch", "bilinear crop", "bicubic stretch", "area crop"})
        EXPECT_EQ(to_text(*parse_rule(text)), text);
    for (const char* text : {"", "nearest", "stretch nearest", "nearest  crop", "none stretch"})
        EXPECT_FALSE(parse_rule(text)) << text;
}

TEST(DataResize, ThePictureOfANetworkHasItsChannelsAndSize) {
    const Picture colour = make_noise(3, 6, 6, 3), grey = make_noise(1, 6, 6, 4);
    const PictureRule rule{Resize::kBilinear, Fit::kStretch};
    EXPECT_EQ(fit_picture(colour, {1, 3, 3}, "x", rule).pixels,
              resize_picture(convert_channels(colour, 1), 3, 3, rule).pixels);
    EXPECT_EQ(fit_picture(grey, {3, 9, 3}, "x", rule).pixels,
              convert_channels(resize_picture(grey, 9, 3, rule), 3).pixels);
    EXPECT_EQ(fit_picture(colour, {3, 6, 6}, "x", rule).pixels, colour.pixels);
    EXPECT_EQ(message_of([&] { fit_picture(colour, {3, 5, 6}, "x", PictureRule{}); }),
              "x: the picture is 6 wide and 6 high; the network expects 6 wide and 5 high\n"
              "  fix: resize the picture to 6 x 5, or add --resize bilinear");
}

// A smooth picture, which JPEG keeps well.
Picture make_waves(int channels, int height, int width) {
    Picture picture{{channels, height, width}, {}};
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            for (int c = 0; c < channels; c++)
                picture.pixels.push_back(static_cast<uint8_t>(128 + 60 * std::sin(x * 0.02 + c) +
                                                              60 * std::cos(y * 0.03)));
        }
    }
    return picture;
}

TEST(DataResize, AJpegIsDecodedAtAPartOfItsSizeWhereThatSuffices) {
    const Bytes file = testing::encode_jpeg(make_waves(3, 250, 403), /*is_progressive=*/false);
    const auto shape_for = [&](int height, int width) {
        PictureLimits limits;
        limits.least_height = height, limits.least_width = width;
        return decode_picture(file, "x", limits).shape;
    };
    EXPECT_EQ(shape_for(0, 0), (PictureShape{3, 250, 403}));
    EXPECT_EQ(shape_for(126, 202), (PictureShape{3, 250, 403}));
    EXPECT_EQ(shape_for(125, 202), (PictureShape{3, 125, 202}));
    EXPECT_EQ(shape_for(64, 64), (PictureShape{3, 125, 202}));
    EXPECT_EQ(shape_for(63, 101), (PictureShape{3, 63, 101}));
    EXPECT_EQ(shape_for(1, 1), (PictureShape{3, 32, 51}));
    // Close to what resizing the whole picture gives, and one rule for whoever reads the file.
    TestFolder folder;
    testing::put_file(folder / "p.jpg", file);
    for (Resize resize : {Resize::kBilinear, Resize::kBicubic, Resize::kArea}) {
        const PictureRule rule{resize, Fit::kCrop};
        const Picture found = read_picture(folder / "p.jpg", {3, 28, 28}, rule);
        EXPECT_EQ(found.pixels, read_picture(folder / "p.jpg", {3, 28, 28}, rule).pixels);
        const Picture whole = resize_picture(decode_picture(file, "x"), 28, 28, rule);
        for (size_t i = 0; i < whole.pixels.size(); i++)
            ASSERT_NEAR(found.pixels[i], whole.pixels[i], 4) << i;
    }
    EXPECT_EQ(read_picture(folder / "p.jpg", {3, 28, 28}, {Resize::kNearest, Fit::kStretch}).pixels,
              resize_picture(decode_picture(file, "x"), 28, 28, {Resize::kNearest, Fit::kStretch})
                  .pixels);
}

}  // namespace
}  // namespace emulsion
