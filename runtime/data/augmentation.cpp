// The table of kinds; names, texts and checks follow from it.
#include "runtime/data/augmentation.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr double kMostFactor = 100;
constexpr double kLeastScale = 0.01;
constexpr double kMostPadding = 4096;
constexpr double kMostSide = 32768;
constexpr double kMostDeviation = 32;  // pixels, of a Gaussian
constexpr size_t kMostPieces = 100;

constexpr AugmentField kSure{"probability", 1, 0, 1};
constexpr AugmentField kHalf{"probability", 0.5, 0, 1};

constexpr AugmentField kFlip[] = {kHalf};
constexpr AugmentField kRotate[] = {kSure, {"low", 0, -180, 180}, {"high", 0, -180, 180}};
constexpr AugmentField kTranslate[] = {kSure, {"width", 0, 0, 1}, {"height", 0, 0, 1}};
constexpr AugmentField kShear[] = {kSure, {"horizontal", 0, 0, 80}, {"vertical", 0, 0, 80}};
constexpr AugmentField kStretch[] = {kSure,
                                     {"width_low", 1, kLeastScale, kMostFactor},
                                     {"width_high", 1, kLeastScale, kMostFactor},
                                     {"height_low", 1, kLeastScale, kMostFactor},
                                     {"height_high", 1, kLeastScale, kMostFactor}};
constexpr AugmentField kZoom[] = {
    kSure, {"low", 1, kLeastScale, kMostFactor}, {"high", 1, kLeastScale, kMostFactor}};
constexpr AugmentField kCrop[] = {kSure,
                                  {"padding", 0, 0, kMostPadding, true},
                                  {"height", 0, 0, kMostSide, true},
                                  {"width", 0, 0, kMostSide, true}};
constexpr AugmentField kResizedCrop[] = {kSure,
                                         {"scale_low", 0.08, 1e-4, 1},
                                         {"scale_high", 1, 1e-4, 1},
                                         {"ratio_low", 0.75, kLeastScale, kMostFactor},
                                         {"ratio_high", 4.0 / 3.0, kLeastScale, kMostFactor}};
constexpr AugmentField kElastic[] = {
    kSure, {"alpha", 34, 0, 10000}, {"sigma", 4, 0.1, kMostDeviation}};
constexpr AugmentField kFactor[] = {kSure, {"low", 1, 0, kMostFactor}, {"high", 1, 0, kMostFactor}};
constexpr AugmentField kChannelShift[] = {kSure, {"range", 0, 0, 255}, {"together", 0, 0, 1, true}};
constexpr AugmentField kBlur[] = {
    kSure, {"low", 0, 0, kMostDeviation}, {"high", 0, 0, kMostDeviation}};
constexpr AugmentField kNoise[] = {kSure, {"deviation", 0, 0, 255}};
constexpr AugmentField kCutout[] = {kSure,
                                    {"height", 1, 1, kMostSide, true},
                                    {"width", 1, 1, kMostSide, true},
                                    {"count", 1, 1, 100, true},
                                    {"value", 0, 0, 255}};

constexpr AugmentKind kKinds[] = {{"horizontal_flip", kFlip},
                                  {"vertical_flip", kFlip},
                                  {"rotate", kRotate},
                                  {"translate", kTranslate},
                                  {"shear", kShear},
                                  {"stretch", kStretch},
                                  {"zoom", kZoom},
                                  {"random_crop", kCrop},
                                  {"random_resized_crop", kResizedCrop},
                                  {"elastic", kElastic},
                                  {"brightness", kFactor},
                                  {"contrast", kFactor},
                                  {"channel_shift", kChannelShift},
                                  {"blur", kBlur},
                                  {"sharpen", kFactor},
                                  {"noise", kNoise},
                                  {"cutout", kCutout}};

constexpr std::array<std::string_view, 4> kFills = {"constant", "nearest", "reflect", "wrap"};

std::optional<AugmentFault> check_number(std::string_view kind, const AugmentField& field,
                                         double value) {
    const std::string name = concat(kind, ": ", field.name, " is ", value);
    if (!(value >= field.lowest && value <= field.highest)) {
        return AugmentFault{
            concat(name, ", which is not between ", field.lowest, " and ", field.highest),
            concat("choose a value from ", field.lowest, " to ", field.highest)};
    }
    if (field.is_whole && value != std::floor(value))
        return AugmentFault{concat(name, ", which is no whole number"), "choose a whole number"};
    return std::nullopt;
}

// "width_low" must not be above "width_high".
std::optional<AugmentFault> check_order(const AugmentPiece& piece, const AugmentKind& kind) {
    for (size_t i = 0; i + 1 < kind.fields.size(); i++) {
        const bool is_range = kind.fields[i].name.ends_with("low");
        if (!is_range || piece.values[i] <= piece.values[i + 1]) continue;
        return AugmentFault{concat(kind.name, ": ", kind.fields[i].name, " is ", piece.values[i],
                                   ", but ", kind.fields[i + 1].name, " is ", piece.values[i + 1]),
                            "give the lower end first"};
    }
    return std::nullopt;
}

std::string size_text(double height, double width) {
    return concat(height, " high and ", width, " wide");
}

std::optional<AugmentFault> check_size(const AugmentPiece& piece, double height, double width) {
    const bool is_crop = piece.kind == "random_crop";
    if (!is_crop && piece.kind != "cutout") return std::nullopt;
    const double padding = is_crop ? number_of(piece, "padding") : 0;
    const double high = height + 2 * padding, wide = width + 2 * padding;
    const auto own_or = [&](const char* field, double usual) {
        const double own = number_of(piece, field);
        return own > 0 ? own : usual;
    };
    const double part_height = own_or("height", height), part_width = own_or("width", width);
    if (part_height <= high && part_width <= wide) return std::nullopt;
    return AugmentFault{
        concat(piece.kind, ": a part ", size_text(part_height, part_width),
               " does not fit into the picture, ", size_text(high, wide),
               padding > 0 ? " with its padding" : ""),
        is_crop ? "choose a smaller part, or more padding" : "choose a smaller one"};
}

std::optional<AugmentFault> check_piece(const AugmentPiece& piece, double height, double width) {
    const AugmentKind* kind = find_augment_kind(piece.kind);
    if (kind == nullptr || piece.values.size() != kind->fields.size())
        return AugmentFault{concat("there is no augmentation ", quoted(piece.kind)),
                            "use one that runtime/data/augmentation.h lists"};
    for (size_t i = 0; i < kind->fields.size(); i++) {
        if (auto fault = check_number(kind->name, kind->fields[i], piece.values[i])) return fault;
    }
    if (auto fault = check_order(piece, *kind)) return fault;
    return check_size(piece, height, width);
}

}  // namespace

std::string_view fill_name(Fill fill) { return kFills[static_cast<size_t>(fill)]; }

std::optional<Fill> find_fill(std::string_view name) {
    const auto found = std::find(kFills.begin(), kFills.end(), name);
    if (found == kFills.end()) return std::nullopt;
    return static_cast<Fill>(found - kFills.begin());
}

std::span<const AugmentKind> augment_kinds() { return kKinds; }

const AugmentKind* find_augment_kind(std::string_view name) {
    const auto found = std::ranges::find(kKinds, name, &AugmentKind::name);
    return found == std::end(kKinds) ? nullptr : found;
}

AugmentPiece usual_piece(std::string_view kind) {
    AugmentPiece piece{std::string(kind), {}};
    for (const AugmentField& field : find_augment_kind(kind)->fields)
        piece.values.push_back(field.usual);
    return piece;
}

double number_of(const AugmentPiece& piece, std::string_view field) {
    const auto fields = find_augment_kind(piece.kind)->fields;
    const auto found = std::ranges::find(fields, field, &AugmentField::name);
    return piece.values[static_cast<size_t>(found - fields.begin())];
}

std::string to_text(const AugmentPiece& piece) {
    std::string text = piece.kind + " {";
    const auto fields = find_augment_kind(piece.kind)->fields;
    for (size_t i = 0; i < fields.size(); i++)
        text += concat(i > 0 ? ", " : "", fields[i].name, "=", piece.values[i]);
    return text + "}";
}

std::string to_text(const Augmentation& augmentation) {
    std::string text;
    for (const AugmentPiece& piece : augmentation.pieces)
        text += concat(text.empty() ? "" : ", ", to_text(piece));
    if (augmentation.empty()) return text;
    if (augmentation.fill != Fill::constant)
        text += concat(", fill=", fill_name(augmentation.fill));
    if (augmentation.fill_value != 0) text += concat(", fill_value=", augmentation.fill_value);
    if (augmentation.untouched != 0) text += concat(", untouched=", augmentation.untouched);
    return text;
}

std::optional<AugmentFault> find_fault(const Augmentation& augmentation, int64_t height,
                                       int64_t width) {
    const AugmentField own[] = {{"untouched", 0, 0, 1}, {"fill_value", 0, 0, 255, true}};
    if (auto fault = check_number("augment", own[0], augmentation.untouched)) return fault;
    if (auto fault = check_number("augment", own[1], augmentation.fill_value)) return fault;
    if (augmentation.pieces.size() > kMostPieces) {
        return AugmentFault{concat("augment: there are ", augmentation.pieces.size(),
                                   " augmentations, more than ", kMostPieces),
                            "leave some of them out"};
    }
    for (const AugmentPiece& piece : augmentation.pieces) {
        if (auto fault =
                check_piece(piece, static_cast<double>(height), static_cast<double>(width)))
            return fault;
    }
    return std::nullopt;
}

}  // namespace emulsion
