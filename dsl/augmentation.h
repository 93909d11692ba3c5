// What may happen to a picture each time it is trained on, as a model file says it:
//
//     m.augment({random_flip(), random_crop(4), rotate(10), brightness(0.2), cutout(8)});
//
// Part of dsl/emulsion.h, which a model file includes. A number is drawn for each picture and each
// epoch, evenly from its range; it is a function of seed, epoch and index of the picture, so a run
// that is resumed, or has more threads, has the same pictures. Pixel values are 0 to 255, whatever
// the model normalises them to. Each piece happens with its probability, whatever the others do.
//
// Everything that moves pixels is composed, in the order that it is written in, into one map, by
// which the picture is read once (bilinearly; where it moves by whole pixels, exactly). The others
// follow, in their order; what leaves 0 to 255 is cut off once, at the end. Pictures are of the
// network's size before. Maps to train towards, such as masks, and net-train's --boxes move along.
// runtime/data/augmentation.h has each formula. `T` is torchvision's transform, `K` what Keras
// calls it.
#pragma once

#include "runtime/data/augmentation.h"

namespace emulsion {

struct AugmentOptions {
    double probability = 1;
};

struct RandomFlipOptions {
    bool vertical = false;  // upside down; else left and right change sides
    double probability = 0.5;
};
struct StretchOptions {
    double width_low = 1, width_high = 1;  // factors, above 1 larger
    double height_low = 1, height_high = 1;
    double probability = 1;
};
struct RandomCropOptions {
    int height = 0, width = 0;  // 0: the picture's; another size is scaled to the picture's
    double probability = 1;
};
struct RandomResizedCropOptions {
    double scale_low = 0.08, scale_high = 1;        // of the part's area
    double ratio_low = 0.75, ratio_high = 4.0 / 3;  // width / height
    double probability = 1;
};
struct ElasticOptions {
    double alpha = 34;  // pixels, of noise from -1 to 1
    double sigma = 4;   // pixels, of the Gaussian that smooths it
    double probability = 1;
};
struct ChannelShiftOptions {
    bool together = false;  // all channels by one number, as Keras does
    double probability = 1;
};
struct CutoutOptions {
    int count = 1;
    double value = 0;
    double probability = 1;
};

// T RandomHorizontalFlip, RandomVerticalFlip; K horizontal_flip, vertical_flip.
AugmentPiece random_flip(const RandomFlipOptions& options = {});

// By -degrees to degrees, or from low to high, counter-clockwise. T RandomRotation; K
// rotation_range.
AugmentPiece rotate(double degrees, const AugmentOptions& options = {});
AugmentPiece rotate(double low, double high, const AugmentOptions& options = {});

// By at most this share of width and height, in whole pixels. T RandomAffine's translate; K
// width_shift_range and height_shift_range below 1 (which need not be whole pixels).
AugmentPiece translate(double share, const AugmentOptions& options = {});
AugmentPiece translate(double width, double height, const AugmentOptions& options = {});

// By at most so many degrees to either side. T RandomAffine's shear; K shear_range (horizontal).
AugmentPiece shear(double degrees, const AugmentOptions& options = {});
AugmentPiece shear(double horizontal, double vertical, const AugmentOptions& options = {});

// Width and height each by a factor of its own: 1 - share to 1 + share, or as the options say. K
// zoom_range.
AugmentPiece stretch(const StretchOptions& options);
AugmentPiece stretch(double share, const AugmentOptions& options = {});

// Both by one factor, 1 - share to 1 + share or low to high, above 1 larger. T RandomAffine's
// scale.
AugmentPiece zoom(double share, const AugmentOptions& options = {});
AugmentPiece zoom(double low, double high, const AugmentOptions& options = {});

// A part of the picture with `padding` pixels around it (fill says which). T RandomCrop.
AugmentPiece random_crop(int padding, const RandomCropOptions& options = {});

// A part of random size and shape, scaled to the picture's size. T RandomResizedCrop, of the
// picture in the network's size.
AugmentPiece random_resized_crop(const RandomResizedCropOptions& options = {});

// Pixels look aside by a smooth random field: Simard and others (2003), whose values for digits are
// the defaults. T ElasticTransform, whose alpha is twice this one.
AugmentPiece elastic(const ElasticOptions& options = {});

// A factor of all values, or of the distances from the mean grey: max(0, 1 - share) to 1 + share,
// or low to high. T ColorJitter's brightness and contrast; K brightness_range (low, high).
AugmentPiece brightness(double share, const AugmentOptions& options = {});
AugmentPiece brightness(double low, double high, const AugmentOptions& options = {});
AugmentPiece contrast(double share, const AugmentOptions& options = {});
AugmentPiece contrast(double low, double high, const AugmentOptions& options = {});

// -range to range is added to each channel. K channel_shift_range.
AugmentPiece channel_shift(double range, const ChannelShiftOptions& options = {});

// A Gaussian of 0 to `sigma` pixels, or low to high. T GaussianBlur, whose kernel has a fixed size.
AugmentPiece blur(double sigma, const AugmentOptions& options = {});
AugmentPiece blur(double low, double high, const AugmentOptions& options = {});

// A factor of 1 to 1 + amount of the distance from a smoothed picture, or low to high; below 1 it
// is smoothed. T RandomAdjustSharpness, whose factor is fixed.
AugmentPiece sharpen(double amount, const AugmentOptions& options = {});
AugmentPiece sharpen(double low, double high, const AugmentOptions& options = {});

// Normal noise of this deviation is added to each value. T GaussianNoise, whose sigma is 1 / 255 of
// it.
AugmentPiece noise(double deviation, const AugmentOptions& options = {});

// A square with its middle anywhere in the picture gets one value (DeVries and Taylor, 2017). T
// RandomErasing is of random size.
AugmentPiece cutout(int size, const CutoutOptions& options = {});

// Of all pieces.
struct AugmentationOptions {
    Fill fill = Fill::constant;  // what lies outside the picture
    int fill_value = 0;          // of Fill::constant
    double untouched = 0;        // this share of the pictures stays as it is
};

}  // namespace emulsion
