// JPEG through libjpeg-turbo. As with PNG, errors arrive by longjmp and the state lives in one
// class. Warnings that mean lost pixels (a cut file, a bad code) refuse the file as well.
#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstring>

#include <jpeglib.h>

#include <jerror.h>

#include "runtime/data/orientation.h"
#include "runtime/data/picture_codecs.h"
#include "runtime/support/error.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr uint64_t kPixelsPerByte = 8 * 64;   // a block of 64 pixels takes 1 bit at least
constexpr uint64_t kArithmeticFactor = 1024;  // arithmetic coding takes less than a bit

class JpegReader {
  public:
    explicit JpegReader(const PictureLimits& limits) : limits_(limits) {
        jpeg_.err = jpeg_std_error(&errors_);
        errors_.error_exit = on_error;
        errors_.emit_message = on_message;
        jpeg_.client_data = this;
    }
    ~JpegReader() { jpeg_destroy_decompress(&jpeg_); }
    JpegReader(const JpegReader&) = delete;
    JpegReader& operator=(const JpegReader&) = delete;

    // All return false after an error of the library, described by problem().
    bool read_header(std::span<const uint8_t> bytes);
    bool choose_size();
    bool read_pixels(uint8_t* pixels);

    // Of all components.
    uint64_t blocks() const;

    const char* problem() const { return problem_; }
    const jpeg_decompress_struct& state() const { return jpeg_; }
    int orientation() const;

  private:
    [[noreturn]] void stop() {
        if (problem_[0] == '\0') errors_.format_message(common(), problem_);
        std::longjmp(jump_, 1);
    }
    j_common_ptr common() { return reinterpret_cast<j_common_ptr>(&jpeg_); }
    static JpegReader& self(j_common_ptr jpeg) {
        return *static_cast<JpegReader*>(jpeg->client_data);
    }
    [[noreturn]] static void on_error(j_common_ptr jpeg) { self(jpeg).stop(); }
    static void on_message(j_common_ptr jpeg, int level);
    static void on_progress(j_common_ptr jpeg);

    const PictureLimits& limits_;
    jpeg_decompress_struct jpeg_{};
    jpeg_error_mgr errors_{};
    jpeg_progress_mgr progress_{};
    std::jmp_buf jump_;
    char problem_[JMSG_LENGTH_MAX] = {};
};

// A negative level is a warning; these five lose no pixels.
void JpegReader::on_message(j_common_ptr jpeg, int level) {
    if (level >= 0) return;
    switch (jpeg->err->msg_code) {
        case JWRN_ADOBE_XFORM:
        case JWRN_EXTRANEOUS_DATA:
        case JWRN_JFIF_MAJOR:
        case JWRN_NOT_SEQUENTIAL:
        case JWRN_TOO_MUCH_DATA:
            return;
        default:
            self(jpeg).stop();
    }
}

void JpegReader::on_progress(j_common_ptr jpeg) {
    JpegReader& reader = self(jpeg);
    const int scans = reader.jpeg_.input_scan_number;
    const uint64_t visits = static_cast<uint64_t>(std::max(scans, 0)) * reader.blocks();
    if (scans <= kMostJpegScans && (scans <= 1 || visits <= reader.limits_.block_visits)) return;
    std::strcpy(reader.problem_, "too many scans");
    reader.stop();
}

uint64_t JpegReader::blocks() const {
    uint64_t blocks = 0;
    for (int c = 0; c < jpeg_.num_components; c++) {
        const jpeg_component_info& component = jpeg_.comp_info[c];
        blocks += static_cast<uint64_t>(component.width_in_blocks) *
                  static_cast<uint64_t>(component.height_in_blocks);
    }
    return blocks;
}

bool JpegReader::read_header(std::span<const uint8_t> bytes) {
    if (setjmp(jump_) != 0) return false;
    jpeg_create_decompress(&jpeg_);
    progress_.progress_monitor = on_progress;
    jpeg_.progress = &progress_;
    jpeg_mem_src(&jpeg_, bytes.data(), static_cast<unsigned long>(bytes.size()));
    jpeg_save_markers(&jpeg_, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(&jpeg_, TRUE);
    switch (jpeg_.jpeg_color_space) {
        case JCS_GRAYSCALE:
            jpeg_.out_color_space = JCS_GRAYSCALE;
            break;
        case JCS_CMYK:
        case JCS_YCCK:
            jpeg_.out_color_space = JCS_CMYK;
            break;
        default:
            jpeg_.out_color_space = JCS_RGB;
    }
    return true;
}

// The smallest size that the limits allow. The library then computes fewer values of each block of
// 8 x 8.
bool JpegReader::choose_size() {
    if (setjmp(jump_) != 0) return false;
    const bool is_lying = orientation() >= 5;
    const int height = is_lying ? limits_.least_width : limits_.least_height;
    const int width = is_lying ? limits_.least_height : limits_.least_width;
    for (const unsigned part : {8u, 4u, 2u, 1u}) {
        jpeg_.scale_num = 1;
        jpeg_.scale_denom = part;
        jpeg_calc_output_dimensions(&jpeg_);
        const bool is_allowed = height > 0 && width > 0 &&
                                jpeg_.output_height >= static_cast<unsigned>(height) &&
                                jpeg_.output_width >= static_cast<unsigned>(width);
        if (is_allowed) break;
    }
    return true;
}

bool JpegReader::read_pixels(uint8_t* pixels) {
    if (setjmp(jump_) != 0) return false;
    jpeg_start_decompress(&jpeg_);
    const size_t row_bytes =
        static_cast<size_t>(jpeg_.output_width) * static_cast<size_t>(jpeg_.output_components);
    while (jpeg_.output_scanline < jpeg_.output_height) {
        JSAMPROW row = pixels + jpeg_.output_scanline * row_bytes;
        jpeg_read_scanlines(&jpeg_, &row, 1);
    }
    jpeg_finish_decompress(&jpeg_);
    return true;
}

int JpegReader::orientation() const {
    for (jpeg_saved_marker_ptr marker = jpeg_.marker_list; marker; marker = marker->next) {
        if (marker->marker == JPEG_APP0 + 1 && marker->data_length > 6 &&
            std::memcmp(marker->data, "Exif\0\0", 6) == 0) {
            return read_orientation({marker->data + 6, marker->data_length - 6});
        }
    }
    return 1;
}

// [H][W][4] to [H][W][3]; Adobe's files hold 255 - ink.
void convert_cmyk(Picture& picture, bool is_inverted) {
    const uint8_t* in = picture.pixels.data();
    uint8_t* out = picture.pixels.data();
    const uint64_t pixels =
        static_cast<uint64_t>(picture.shape.height) * static_cast<uint64_t>(picture.shape.width);
    for (uint64_t i = 0; i < pixels; i++, in += 4, out += 3) {
        const unsigned flip = is_inverted ? 0 : 255;
        const unsigned light = in[3] ^ flip;
        for (int c = 0; c < 3; c++)
            out[c] = static_cast<uint8_t>(((in[c] ^ flip) * light + 127) / 255);
    }
    picture.shape.channels = 3;
    picture.pixels.resize(picture.shape.elements());
}

}  // namespace

Picture decode_jpeg(std::span<const uint8_t> bytes, const std::string& name,
                    const PictureLimits& limits) {
    JpegReader reader(limits);
    if (!reader.read_header(bytes)) refuse_damaged("JPEG", reader.problem(), name);
    const jpeg_decompress_struct& state = reader.state();
    check_size(state.image_width, state.image_height, name, limits, bytes.size(),
               kPixelsPerByte * (state.arith_code ? kArithmeticFactor : 1));
    if (!reader.choose_size()) refuse_damaged("JPEG", reader.problem(), name);
    const int channels = state.out_color_space == JCS_GRAYSCALE ? 1
                         : state.out_color_space == JCS_CMYK    ? 4
                                                                : 3;
    Picture picture{
        {channels, static_cast<int>(state.output_height), static_cast<int>(state.output_width)},
        {}};
    picture.pixels.resize(picture.shape.elements());
    const int orientation = reader.orientation();  // the library forgets markers at the end
    if (!reader.read_pixels(picture.pixels.data())) {
        refuse_damaged("JPEG", reader.problem(), name);
    }
    if (channels == 4) convert_cmyk(picture, state.saw_Adobe_marker);
    return turn_upright(std::move(picture), orientation);
}

}  // namespace emulsion
