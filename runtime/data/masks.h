// Pictures with a mask each: a PNG of the same size that holds the class index of every pixel, grey
// of 8 bits or less, or the index into a palette.
//
//   FOLDER/images/NAME.jpg  FOLDER/masks/NAME.png    one name, but for the ending
//   FILE                                             a list: a picture and its mask a line
// Picture and mask become the network's size by one rule, the mask by its nearest pixels; what an
// augmentation does to the one it does to the other (Augmenter::move_target).
#pragma once
#include <memory>
#include <string>

#include "runtime/data/open.h"
#include "runtime/data/source.h"

namespace emulsion {

// Both throw RuntimeError where a picture has no mask or a mask no picture. A mask of another size
// than its picture, or with a class index that the network does not have, is refused when it is
// read. REQUIRES: request.target is a map.
std::unique_ptr<Source> open_mask_folder(const std::string& folder, const DataRequest& request);
std::unique_ptr<Source> open_mask_list(const std::string& path, const DataRequest& request);

// The class indices of a PNG, one channel of bytes. Throws RuntimeError where it is none of grey or
// palette with 8 bits or less.
Picture read_mask(const std::string& path);

}  // namespace emulsion
