// BMP: a file header, a header of 12 bytes (OS/2) or 40 and more (Windows), a palette, rows padded
// to 4 bytes, the lowest first unless the height is negative. All numbers are little-endian.
#include <algorithm>
#include <bit>
#include <utility>

#include "runtime/data/picture_codecs.h"
#include "runtime/support/error.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr uint64_t kFileHeader = 14;
constexpr uint32_t kPlain = 0, kBitFields = 3, kAlphaBitFields = 6;  // compression

// Which bits of a pixel are one channel; its values are scaled to 8 bits.
struct Field {
    uint32_t mask = 0;

    uint32_t value(uint32_t pixel) const {
        const uint64_t most = mask >> std::countr_zero(mask);
        const uint64_t found = (pixel & mask) >> std::countr_zero(mask);
        return static_cast<uint32_t>((found * 255 * 2 + most) / (2 * most));
    }
};

class BmpReader {
  public:
    BmpReader(std::span<const uint8_t> bytes, const std::string& name)
        : bytes_(bytes), name_(name) {}

    Picture decode(const PictureLimits& limits);

  private:
    [[noreturn]] void refuse(const char* problem) const { refuse_damaged("BMP", problem, name_); }
    uint32_t number(uint64_t offset, unsigned length) const {
        if (offset + length > bytes_.size()) refuse("the file ends early");
        uint32_t value = 0;
        for (unsigned i = 0; i < length; i++) value |= uint32_t{bytes_[offset + i]} << (8 * i);
        return value;
    }
    int32_t signed_number(uint64_t offset) const { return static_cast<int32_t>(number(offset, 4)); }
    void read_header();
    void read_fields(uint32_t compression);
    void read_palette();
    void read_row(uint64_t offset, uint8_t* out) const;

    std::span<const uint8_t> bytes_;
    const std::string& name_;
    uint64_t width_ = 0, height_ = 0, header_ = 0, begin_ = 0;
    uint32_t bits_ = 0, colours_ = 0;
    bool is_top_first_ = false, is_grey_ = false, has_alpha_ = false;
    Field fields_[4];               // red, green, blue, alpha
    std::vector<uint8_t> palette_;  // [colours][3]
};

void BmpReader::read_header() {
    header_ = number(kFileHeader, 4);
    begin_ = number(10, 4);
    uint32_t compression = kPlain;
    if (header_ == 12) {
        width_ = number(18, 2), height_ = number(20, 2), bits_ = number(24, 2);
    } else if (header_ >= 40) {
        const int64_t width = signed_number(18), height = signed_number(22);
        if (width < 0) refuse("the width is negative");
        width_ = static_cast<uint64_t>(width);
        height_ = static_cast<uint64_t>(height < 0 ? -height : height);
        is_top_first_ = height < 0;
        bits_ = number(28, 2), compression = number(30, 4), colours_ = number(46, 4);
    } else {
        refuse("the header has an unknown length");
    }
    const bool has_fields = compression == kBitFields || compression == kAlphaBitFields;
    if (compression != kPlain && !(has_fields && (bits_ == 16 || bits_ == 32))) {
        throw RuntimeError(
            one_line(name_),
            concat("the BMP file is compressed in the way ", compression, ", which is not read"),
            "convert the picture to PNG");
    }
    switch (bits_) {
        case 1:
        case 4:
        case 8:
            return read_palette();
        case 16:
        case 24:
        case 32:
            return read_fields(compression);
        default:
            refuse("its pixels have neither 1, 4, 8, 16, 24 nor 32 bits");
    }
}

void BmpReader::read_fields(uint32_t compression) {
    const uint32_t five[] = {0x7c00, 0x03e0, 0x001f, 0}, eight[] = {0xff0000, 0xff00, 0xff, 0};
    for (size_t i = 0; i < 4; i++) fields_[i].mask = bits_ == 16 ? five[i] : eight[i];
    if (compression == kPlain) return;
    // Behind a header of 40 bytes, or a part of a longer one: the same place.
    const bool has_alpha_field = compression == kAlphaBitFields || header_ >= 56;
    for (uint64_t i = 0; i < (has_alpha_field ? 4 : 3); i++)
        fields_[i].mask = number(54 + 4 * i, 4);
    for (size_t i = 0; i < 3; i++) {
        if (fields_[i].mask == 0) refuse("a colour has no bits");
    }
    has_alpha_ = fields_[3].mask != 0;
}

// Three or four bytes a colour: blue, green, red. A palette of greys alone makes a grey picture.
void BmpReader::read_palette() {
    const uint64_t each = header_ == 12 ? 3 : 4;
    const uint32_t most = 1u << bits_;
    if (colours_ == 0 || colours_ > most) colours_ = most;
    is_grey_ = true;
    for (uint64_t i = 0; i < colours_; i++) {
        const uint64_t place = kFileHeader + header_ + i * each;
        for (uint64_t c = 3; c-- > 0;)
            palette_.push_back(static_cast<uint8_t>(number(place + c, 1)));
        const uint8_t* colour = palette_.data() + 3 * i;
        is_grey_ = is_grey_ && colour[0] == colour[1] && colour[1] == colour[2];
    }
}

void BmpReader::read_row(uint64_t offset, uint8_t* out) const {
    const size_t channels = is_grey_ ? 1 : has_alpha_ ? 4 : 3;
    for (uint64_t x = 0; x < width_; x++, out += channels) {
        if (bits_ >= 16) {
            const uint32_t pixel = number(offset + x * (bits_ / 8), bits_ / 8);
            for (size_t c = 0; c < channels; c++)
                out[c] = static_cast<uint8_t>(fields_[c].value(pixel));
            continue;
        }
        const uint64_t bit = x * bits_;
        const uint32_t byte = number(offset + bit / 8, 1);
        const uint32_t index = byte >> (8 - bits_ - bit % 8) & ((1u << bits_) - 1);
        if (index >= colours_) refuse("a pixel has a colour that the palette lacks");
        std::copy_n(palette_.data() + 3 * index, channels, out);
    }
}

Picture BmpReader::decode(const PictureLimits& limits) {
    read_header();
    check_size(width_, height_, name_, limits, bytes_.size(), std::max<uint64_t>(1, 8 / bits_));
    const uint64_t row_bytes = (width_ * bits_ + 31) / 32 * 4;
    const uint64_t used = (width_ * bits_ + 7) / 8;  // of a row; the last one may lack its padding
    if (begin_ + (height_ - 1) * row_bytes + used > bytes_.size()) refuse("the file ends early");
    const int channels = is_grey_ ? 1 : has_alpha_ ? 4 : 3;
    Picture picture{{channels, static_cast<int>(height_), static_cast<int>(width_)}, {}};
    picture.pixels.resize(picture.shape.elements());
    const uint64_t out_bytes = width_ * static_cast<uint64_t>(channels);
    for (uint64_t y = 0; y < height_; y++) {
        const uint64_t row = is_top_first_ ? y : height_ - 1 - y;
        read_row(begin_ + row * row_bytes, picture.pixels.data() + y * out_bytes);
    }
    return drop_alpha(std::move(picture));
}

}  // namespace

Picture decode_bmp(std::span<const uint8_t> bytes, const std::string& name,
                   const PictureLimits& limits) {
    return BmpReader(bytes, name).decode(limits);
}

}  // namespace emulsion
