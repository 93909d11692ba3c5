// Pictures brought to the size of a network: one rule, and one code for trainer and inference
// program, so that both see the same bits.
//
// Pixels have their centres at halves: output pixel i of n, from m, looks at (i + 1/2) m / n - 1/2.
//   nearest    the pixel whose area holds that place
//   bilinear   a triangle of width 2, bicubic a cubic with a = -1/2 of width 4 (Keys, 1981); where
//              the picture gets smaller, both are stretched by m / n, so that no pixel is passed
//              over (antialiasing)
//   area       the mean of what the output pixel covers, part pixels by their share
// Weights are normalised to a sum of one, beyond the border none counts, and each of the two passes
// (rows first) rounds to 8 bits. Weights are whole multiples of 2^-22, so that sums are exact.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "runtime/data/picture.h"

namespace emulsion {

enum class Resize { kNone, kNearest, kBilinear, kBicubic, kArea };

// stretch: height and width each become the network's. crop: the picture keeps its proportions, its
// shorter side (against the network's) becomes the network's, and the middle is cut out.
enum class Fit { kStretch, kCrop };

struct PictureRule {
    Resize resize = Resize::kNone;  // kNone: another size is refused
    Fit fit = Fit::kStretch;

    bool operator==(const PictureRule&) const = default;
};

// "nearest", "bilinear", "bicubic", "area"; "stretch", "crop". Nothing for other names.
std::optional<Resize> find_resize(std::string_view name);
std::optional<Fit> find_fit(std::string_view name);
inline constexpr std::string_view kResizeNames = "nearest, bilinear, bicubic or area";
inline constexpr std::string_view kFitNames = "stretch or crop";

// "bilinear stretch", and back; nothing where the text is no rule. REQUIRES: it is not kNone.
std::string to_text(const PictureRule& rule);
std::optional<PictureRule> parse_rule(std::string_view text);

// The picture with this height and width. REQUIRES: rule.resize is not kNone; all sides are
// positive; 1 or 3 channels.
Picture resize_picture(const Picture& picture, int height, int width, const PictureRule& rule);

// The picture as a network of this shape reads it: channels converted, the size by the rule. Throws
// RuntimeError where the rule is kNone and the sizes differ, with both.
Picture fit_picture(Picture picture, const PictureShape& shape, const std::string& name,
                    const PictureRule& rule);

// A picture file so. A JPEG much larger than the network's picture is decoded at a half, a quarter
// or an eighth of its size, where both sides stay at least twice the network's (not for nearest).
Picture read_picture(const std::string& path, const PictureShape& shape, const PictureRule& rule);

}  // namespace emulsion
