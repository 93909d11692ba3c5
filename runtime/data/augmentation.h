// What may happen to a picture each time it is trained on, as plain data: a list of pieces, each
// with its probability and its ranges. A model names them, a `.emu` file and the description of a
// network spell them out, the trainer carries them out (augmenter.h).
//
// kinds, with what their numbers mean; ranges are drawn from evenly, unless said otherwise:
//     geometry: all of them are composed, in their order, into one map, by which the picture is
//     read once, bilinearly
//     horizontal_flip, vertical_flip
//     rotate               low, high: degrees, counter-clockwise, about the middle
//     translate            width, height: at most this share of each, in whole pixels
//     shear                horizontal, vertical: at most so many degrees
//     stretch              width_low, width_high, height_low, height_high: factors, above 1 larger
//     zoom                 low, high: one factor for both, above 1 larger
//     random_crop          padding, height, width: a part of this size (0: the picture's) of the
//                          picture with so many pixels around it, brought to the picture's size
//     random_resized_crop  scale_low, scale_high, ratio_low, ratio_high: a part of this share of
//                          the area and this width / height (drawn evenly in its logarithm),
//                          brought to the picture's size
//     elastic              alpha, sigma: each output pixel looks aside, by alpha pixels times noise
//                          of -1 to 1 smoothed with this deviation (Simard and others, 2003); it
//                          acts before all others of the map
//     values: these follow in their order, and what leaves 0 to 255 is cut off at the end, once
//     brightness           low, high: a factor of all values
//     contrast             low, high: a factor of their distance from the picture's mean grey
//     channel_shift        range: so much at most is added to each channel; together = 1: the same
//                          to all
//     blur                 low, high: a Gaussian of this deviation in pixels, cut at three of them,
//                          the border repeated
//     sharpen              low, high: this factor of the distance from a smoothed picture (1: as it
//                          is; the smoothing is [[1,1,1],[1,5,1],[1,1,1]] / 13, not at the border)
//     noise                deviation: normal noise is added to each value
//     cutout               height, width, count, value: so many rectangles, their middles anywhere,
//                          hold this value
// What lies outside the picture is as `fill` says, a row a b c continuing
//     constant   k k | a b c | k k     k is fill_value
//     nearest    a a | a b c | c c
//     reflect    b a | a b c | c b
//     wrap       b c | a b c | a b
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace emulsion {

enum class Fill { constant, nearest, reflect, wrap };

// "constant", …, and back.
std::string_view fill_name(Fill fill);
std::optional<Fill> find_fill(std::string_view name);

struct AugmentPiece {
    std::string kind;
    std::vector<double> values;  // of the kind's fields, in their order

    bool operator==(const AugmentPiece&) const = default;
};

struct Augmentation {
    std::vector<AugmentPiece> pieces;
    Fill fill = Fill::constant;
    double fill_value = 0;  // whole
    double untouched = 0;   // the share of samples that stay as they are

    bool empty() const { return pieces.empty(); }
    bool operator==(const Augmentation&) const = default;
};

// A number of a piece. The first one of every kind is its probability.
struct AugmentField {
    std::string_view name;
    double usual, lowest, highest;
    bool is_whole = false;
};

struct AugmentKind {
    std::string_view name;
    std::span<const AugmentField> fields;
};

// All kinds, in the order above.
std::span<const AugmentKind> augment_kinds();
const AugmentKind* find_augment_kind(std::string_view name);  // or null

// The piece with its usual numbers. REQUIRES: there is the kind.
AugmentPiece usual_piece(std::string_view kind);

// The piece's number of this name. REQUIRES: there is one.
double number_of(const AugmentPiece& piece, std::string_view field);

// "rotate {probability=1, low=-10, high=10}"; of all, joined by ", ", with fill and untouched share
// where they are not the usual ones. Equal texts are equal augmentations.
std::string to_text(const AugmentPiece& piece);
std::string to_text(const Augmentation& augmentation);

struct AugmentFault {
    std::string what, fix;
};

// What is wrong with it for pictures of this height and width: a number out of its range, a range
// that ends below its beginning, a crop larger than what it is cut from, a cutout larger than the
// picture.
std::optional<AugmentFault> find_fault(const Augmentation& augmentation, int64_t height,
                                       int64_t width);

}  // namespace emulsion
