// PGM and PPM: width, height and the largest value as decimal numbers between blanks and comments,
// then one blank and the values, as bytes (two above 255, the high one first) or as numbers.
#include "runtime/data/picture_codecs.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

class NetpbmReader {
  public:
    NetpbmReader(std::span<const uint8_t> bytes, const std::string& name)
        : bytes_(bytes), name_(name) {}

    Picture decode(const PictureLimits& limits);

  private:
    [[noreturn]] void refuse(const char* problem) const {
        refuse_damaged(is_colour_ ? "PPM" : "PGM", problem, name_);
    }
    static bool is_blank(uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
    static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }
    void skip_blanks();
    uint64_t number();
    uint64_t next_value();

    std::span<const uint8_t> bytes_;
    const std::string& name_;
    bool is_colour_ = false, is_text_ = false;
    uint64_t place_ = 2, most_ = 0;
};

// And comments, from # to the end of the line.
void NetpbmReader::skip_blanks() {
    for (bool is_comment = false; place_ < bytes_.size(); place_++) {
        const uint8_t c = bytes_[place_];
        if (c == '#') is_comment = true;
        if (!is_comment && !is_blank(c)) return;
        if (c == '\n' || c == '\r') is_comment = false;
    }
}

uint64_t NetpbmReader::number() {
    skip_blanks();
    const uint64_t begin = place_;
    uint64_t value = 0;
    for (; place_ < bytes_.size() && is_digit(bytes_[place_]); place_++) {
        if (place_ - begin >= 9) refuse("a number is too long");
        value = value * 10 + (bytes_[place_] - '0');
    }
    if (place_ == bytes_.size() && place_ == begin) refuse("the file ends early");
    if (place_ == begin) refuse("a number was expected");
    return value;
}

uint64_t NetpbmReader::next_value() {
    if (is_text_) return number();
    const uint64_t high = bytes_[place_++];
    return most_ > 255 ? high << 8 | bytes_[place_++] : high;
}

Picture NetpbmReader::decode(const PictureLimits& limits) {
    is_text_ = bytes_[1] < '5';
    is_colour_ = bytes_[1] == '3' || bytes_[1] == '6';
    const uint64_t width = number(), height = number();
    most_ = number();
    if (most_ == 0 || most_ > 65535) refuse("the largest value is not in 1 to 65535");
    check_size(width, height, name_, limits, bytes_.size(), 1);
    const uint64_t values = width * height * (is_colour_ ? 3 : 1);
    place_++;  // the blank behind the header
    const uint64_t each = is_text_ ? 0 : most_ > 255 ? 2 : 1;
    if (place_ + values * each > bytes_.size()) refuse("the file ends early");
    Picture picture{{is_colour_ ? 3 : 1, static_cast<int>(height), static_cast<int>(width)}, {}};
    picture.pixels.resize(values);
    for (uint8_t& pixel : picture.pixels) {
        const uint64_t value = next_value();
        if (value > most_) refuse("a value is above the largest");
        pixel = static_cast<uint8_t>((value * 255 * 2 + most_) / (2 * most_));
    }
    return picture;
}

}  // namespace

Picture decode_netpbm(std::span<const uint8_t> bytes, const std::string& name,
                      const PictureLimits& limits) {
    return NetpbmReader(bytes, name).decode(limits);
}

}  // namespace emulsion
