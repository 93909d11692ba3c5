// Pieces of augmentations: their arguments become the numbers of a kind.
#include "dsl/augmentation.h"

#include <algorithm>
#include <utility>

#include "dsl/model_state.h"

namespace emulsion {

namespace {

AugmentPiece piece(const char* kind, double probability, std::vector<double> numbers) {
    numbers.insert(numbers.begin(), probability);
    return {kind, std::move(numbers)};
}

}  // namespace

AugmentPiece random_flip(const RandomFlipOptions& options) {
    return piece(options.vertical ? "vertical_flip" : "horizontal_flip", options.probability, {});
}

AugmentPiece rotate(double degrees, const AugmentOptions& options) {
    return rotate(-degrees, degrees, options);
}

AugmentPiece rotate(double low, double high, const AugmentOptions& options) {
    return piece("rotate", options.probability, {low, high});
}

AugmentPiece translate(double share, const AugmentOptions& options) {
    return translate(share, share, options);
}

AugmentPiece translate(double width, double height, const AugmentOptions& options) {
    return piece("translate", options.probability, {width, height});
}

AugmentPiece shear(double degrees, const AugmentOptions& options) {
    return shear(degrees, 0, options);
}

AugmentPiece shear(double horizontal, double vertical, const AugmentOptions& options) {
    return piece("shear", options.probability, {horizontal, vertical});
}

AugmentPiece stretch(double share, const AugmentOptions& options) {
    return piece("stretch", options.probability, {1 - share, 1 + share, 1 - share, 1 + share});
}

AugmentPiece stretch(const StretchOptions& options) {
    return piece("stretch", options.probability,
                 {options.width_low, options.width_high, options.height_low, options.height_high});
}

AugmentPiece zoom(double share, const AugmentOptions& options) {
    return zoom(1 - share, 1 + share, options);
}

AugmentPiece zoom(double low, double high, const AugmentOptions& options) {
    return piece("zoom", options.probability, {low, high});
}

AugmentPiece random_crop(int padding, const RandomCropOptions& options) {
    return piece("random_crop", options.probability,
                 {static_cast<double>(padding), static_cast<double>(options.height),
                  static_cast<double>(options.width)});
}

AugmentPiece random_resized_crop(const RandomResizedCropOptions& options) {
    return piece("random_resized_crop", options.probability,
                 {options.scale_low, options.scale_high, options.ratio_low, options.ratio_high});
}

AugmentPiece elastic(const ElasticOptions& options) {
    return piece("elastic", options.probability, {options.alpha, options.sigma});
}

AugmentPiece brightness(double share, const AugmentOptions& options) {
    return brightness(std::max(0.0, 1 - share), 1 + share, options);
}

AugmentPiece brightness(double low, double high, const AugmentOptions& options) {
    return piece("brightness", options.probability, {low, high});
}

AugmentPiece contrast(double share, const AugmentOptions& options) {
    return contrast(std::max(0.0, 1 - share), 1 + share, options);
}

AugmentPiece contrast(double low, double high, const AugmentOptions& options) {
    return piece("contrast", options.probability, {low, high});
}

AugmentPiece channel_shift(double range, const ChannelShiftOptions& options) {
    return piece("channel_shift", options.probability, {range, options.together ? 1.0 : 0.0});
}

AugmentPiece blur(double sigma, const AugmentOptions& options) { return blur(0, sigma, options); }

AugmentPiece blur(double low, double high, const AugmentOptions& options) {
    return piece("blur", options.probability, {low, high});
}

AugmentPiece sharpen(double amount, const AugmentOptions& options) {
    return sharpen(1, 1 + amount, options);
}

AugmentPiece sharpen(double low, double high, const AugmentOptions& options) {
    return piece("sharpen", options.probability, {low, high});
}

AugmentPiece noise(double deviation, const AugmentOptions& options) {
    return piece("noise", options.probability, {deviation});
}

AugmentPiece cutout(int size, const CutoutOptions& options) {
    const auto side = static_cast<double>(size);
    return piece("cutout", options.probability,
                 {side, side, static_cast<double>(options.count), options.value});
}

void Model::augment(const std::vector<AugmentPiece>& pieces, const AugmentationOptions& options,
                    Place where) {
    const SourceLocation place = internal::location(where);
    state_->set_once("augment", state_->augmentation_where, place);
    state_->augmentation = {pieces, options.fill, static_cast<double>(options.fill_value),
                            options.untouched};
}

}  // namespace emulsion
