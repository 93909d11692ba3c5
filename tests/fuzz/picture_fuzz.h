// What the fuzzers of pictures share.
#pragma once

#include "runtime/data/picture.h"
#include "tests/fuzz/fuzz_support.h"

namespace emulsion::fuzz {

// Decodes, and checks that the pixels are as many as the shape says.
inline void decode(Data input) {
    constexpr PictureLimits kLimits{.side = 1 << 12, .pixels = 1 << 18, .file_bytes = 1 << 16};
    read([&] {
        const Picture picture = decode_picture(input, "picture", kLimits);
        const PictureShape& shape = picture.shape;
        require((shape.channels == 1 || shape.channels == 3) && shape.height >= 1 &&
                    shape.width >= 1 && picture.pixels.size() == shape.elements() &&
                    shape.elements() <= 3 * kLimits.pixels,
                "the picture has other pixels than its shape says");
    });
}

}  // namespace emulsion::fuzz
