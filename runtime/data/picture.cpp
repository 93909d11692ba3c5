// What is common to all picture formats: recognition, limits, channels, size.
#include "runtime/data/picture.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "runtime/data/picture_codecs.h"
#include "runtime/support/error.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

bool starts_with(std::span<const uint8_t> bytes, std::string_view signature) {
    return bytes.size() >= signature.size() &&
           std::memcmp(bytes.data(), signature.data(), signature.size()) == 0;
}

bool is_png(std::span<const uint8_t> bytes) { return starts_with(bytes, "\x89PNG\r\n\x1a\n"); }

bool is_jpeg(std::span<const uint8_t> bytes) { return starts_with(bytes, "\xff\xd8\xff"); }

// A file header of 14 bytes, and the length of the header that follows: 12, or 40 and above.
bool is_bmp(std::span<const uint8_t> bytes) {
    return starts_with(bytes, "BM") && bytes.size() >= 18 && bytes[15] == 0 && bytes[16] == 0 &&
           bytes[17] == 0;
}

bool is_netpbm(std::span<const uint8_t> bytes) {
    const auto is_kind = [&](uint8_t kind) { return bytes[1] == kind; };
    return starts_with(bytes, "P") && bytes.size() >= 3 &&
           (is_kind('2') || is_kind('3') || is_kind('5') || is_kind('6')) &&
           (bytes[2] == '#' || bytes[2] == ' ' || (bytes[2] >= '\t' && bytes[2] <= '\r'));
}

}  // namespace

std::string to_text(const PictureShape& shape) {
    return concat(shape.channels, "x", shape.height, "x", shape.width);
}

bool is_picture(std::span<const uint8_t> bytes) {
    return is_png(bytes) || is_jpeg(bytes) || is_bmp(bytes) || is_netpbm(bytes);
}

bool has_picture_name(std::string_view name) {
    const size_t dot = name.rfind('.');
    if (dot == name.npos || name.starts_with('.')) return false;
    std::string ending(name.substr(dot + 1));
    for (char& c : ending) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    constexpr std::string_view kEndings[] = {"png", "jpg", "jpeg", "jpe",
                                             "bmp", "pgm", "ppm",  "pnm"};
    return std::find(std::begin(kEndings), std::end(kEndings), ending) != std::end(kEndings);
}

Picture decode_picture(std::span<const uint8_t> bytes, const std::string& name,
                       const PictureLimits& limits) {
    if (is_png(bytes)) return decode_png(bytes, name, limits);
    if (is_jpeg(bytes)) return decode_jpeg(bytes, name, limits);
    if (is_bmp(bytes)) return decode_bmp(bytes, name, limits);
    if (is_netpbm(bytes)) return decode_netpbm(bytes, name, limits);
    if (bytes.empty()) {
        throw RuntimeError(one_line(name),
                           "the file is empty; expected a PNG, JPEG, BMP, PGM or PPM picture",
                           "replace the file, or leave it out");
    }
    std::string_view start(reinterpret_cast<const char*>(bytes.data()),
                           std::min<size_t>(bytes.size(), 8));
    throw RuntimeError(
        one_line(name),
        concat("this is none of PNG, JPEG, BMP, PGM and PPM; it begins with ", quoted(start)),
        "convert the picture to PNG or JPEG");
}

Picture read_picture(const std::string& path, const PictureLimits& limits) {
    return decode_picture(read_file(path, limits.file_bytes, "picture"), path, limits);
}

Picture read_picture(const std::string& path, const PictureShape& shape) {
    return fit_picture(read_picture(path, limits_for(shape)), shape, path);
}

// Limits

namespace {

[[noreturn]] void refuse_size(uint64_t width, uint64_t height, int wanted_width, int wanted_height,
                              const std::string& name) {
    throw RuntimeError(
        one_line(name),
        concat("the picture is ", width, " wide and ", height, " high; the network expects ",
               wanted_width, " wide and ", wanted_height, " high"),
        concat("resize the picture to ", wanted_width, " x ", wanted_height,
               ", or add --resize bilinear"));
}

}  // namespace

PictureLimits limits_for(const PictureShape& shape) {
    PictureLimits limits;
    limits.height = shape.height;
    limits.width = shape.width;
    limits.file_bytes =
        std::min(kMostPictureFile, kMostPictureExtra + kMostPixelBytes * shape.elements());
    return limits;
}

void check_size(uint64_t width, uint64_t height, const std::string& name,
                const PictureLimits& limits, uint64_t bytes, uint64_t pixels_per_byte) {
    if (width == 0 || height == 0) {
        throw RuntimeError(one_line(name),
                           concat("the picture has ", width, " x ", height, " pixels"),
                           "give a picture that is not empty");
    }
    if (width > limits.side || height > limits.side || width * height > limits.pixels) {
        throw RuntimeError(
            one_line(name),
            concat("the picture has ", width, " x ", height, " pixels; the limit is ", limits.side,
                   " a side and ", limits.pixels, " in all"),
            "scale the picture down");
    }
    const auto wanted_width = static_cast<uint64_t>(limits.width);
    const auto wanted_height = static_cast<uint64_t>(limits.height);
    const bool is_wanted = (width == wanted_width && height == wanted_height) ||
                           (width == wanted_height && height == wanted_width);  // lying
    if (limits.width > 0 && !is_wanted) {
        refuse_size(width, height, limits.width, limits.height, name);
    }
    if (width * height > bytes * pixels_per_byte) {
        throw RuntimeError(one_line(name),
                           concat("the header says ", width, " x ", height, " pixels, more than ",
                                  bytes, " bytes can hold: the file is cut or damaged"),
                           "replace the file, or leave it out");
    }
}

void refuse_damaged(const char* format, const char* problem, const std::string& name) {
    throw RuntimeError(one_line(name),
                       concat("the ", format, " file is cut or damaged (", one_line(problem), ")"),
                       "replace the file, or leave it out");
}

// Channels

Picture drop_alpha(Picture picture) {
    const int channels = picture.shape.channels;
    if (channels == 1 || channels == 3) return picture;
    const int kept = channels - 1;
    const uint8_t* in = picture.pixels.data();  // [H][W][kept + 1]
    uint8_t* out = picture.pixels.data();       // [H][W][kept]
    const uint8_t* end = in + picture.pixels.size();
    for (; in < end; in += channels, out += kept) {
        const unsigned alpha = in[kept];
        for (int c = 0; c < kept; c++) {
            out[c] = static_cast<uint8_t>((in[c] * alpha + 255 * (255 - alpha) + 127) / 255);
        }
    }
    picture.shape.channels = kept;
    picture.pixels.resize(picture.shape.elements());
    return picture;
}

Picture convert_channels(const Picture& picture, int channels) {
    if (picture.shape.channels == channels) return picture;
    Picture converted{picture.shape, {}};
    converted.shape.channels = channels;
    converted.pixels.resize(converted.shape.elements());
    const uint8_t* in = picture.pixels.data();
    uint8_t* out = converted.pixels.data();
    const uint64_t pixels =
        static_cast<uint64_t>(picture.shape.height) * static_cast<uint64_t>(picture.shape.width);
    for (uint64_t i = 0; i < pixels; i++) {
        if (channels == 3) {
            out[3 * i] = out[3 * i + 1] = out[3 * i + 2] = in[i];
        } else {
            out[i] = static_cast<uint8_t>(
                (299u * in[3 * i] + 587u * in[3 * i + 1] + 114u * in[3 * i + 2] + 500u) / 1000u);
        }
    }
    return converted;
}

Picture fit_picture(Picture picture, const PictureShape& shape, const std::string& name) {
    if (picture.shape.height != shape.height || picture.shape.width != shape.width) {
        refuse_size(static_cast<uint64_t>(picture.shape.width),
                    static_cast<uint64_t>(picture.shape.height), shape.width, shape.height, name);
    }
    if (shape.channels != 1 && shape.channels != 3) {
        throw RuntimeError(one_line(name),
                           concat("the network expects ", shape.channels,
                                  " channels; pictures give 1 (grey) or 3 (RGB)"),
                           "give the model an input of 1 or 3 channels");
    }
    if (picture.shape.channels == shape.channels) return picture;
    return convert_channels(picture, shape.channels);
}

}  // namespace emulsion
