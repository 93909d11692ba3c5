// PNG through libpng. Its errors arrive by longjmp, so the functions between setjmp and libpng hold
// no object with a destructor; what they need lives in PngReader.
#include <array>
#include <csetjmp>
#include <cstring>

#include <png.h>

#include "runtime/data/orientation.h"
#include "runtime/data/picture_codecs.h"
#include "runtime/support/atomic_file.h"
#include "runtime/support/error.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr uint64_t kDeflateFactor = 1032;  // bytes that one byte can inflate to
constexpr size_t kHeaderBytes = 33;        // signature and IHDR chunk

class PngReader {
  public:
    explicit PngReader(std::span<const uint8_t> bytes) : rest_(bytes) {
        png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
        info_ = png_ ? png_create_info_struct(png_) : nullptr;
    }
    ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }
    PngReader(const PngReader&) = delete;
    PngReader& operator=(const PngReader&) = delete;

    bool is_ready() const { return info_ != nullptr; }
    const char* problem() const { return problem_; }
    PictureShape shape() const {
        return {png_get_channels(png_, info_), static_cast<int>(png_get_image_height(png_, info_)),
                static_cast<int>(png_get_image_width(png_, info_))};
    }

    // Both return false after an error of libpng, described by problem().
    // As pixels, or as indices: a byte each, of grey and palettes alone.
    enum class Content { kPixels, kIndices };
    bool read_header(const PictureLimits& limits, Content content = Content::kPixels);
    bool read_pixels(png_bytep* rows);

    int orientation() {
        png_bytep exif = nullptr;
        png_uint_32 length = 0;
        if (png_get_eXIf_1(png_, info_, &length, &exif) == 0 || exif == nullptr) return 1;
        return read_orientation({exif, length});
    }

  private:
    [[noreturn]] static void on_error(png_structp png, png_const_charp message) {
        auto* self = static_cast<PngReader*>(png_get_error_ptr(png));
        std::strncpy(self->problem_, message, sizeof self->problem_ - 1);
        std::longjmp(self->jump_, 1);
    }
    static void on_warning(png_structp, png_const_charp) {}
    static void on_read(png_structp png, png_bytep out, size_t count) {
        auto* self = static_cast<PngReader*>(png_get_io_ptr(png));
        if (count > self->rest_.size()) png_error(png, "the file ends early");
        std::memcpy(out, self->rest_.data(), count);
        self->rest_ = self->rest_.subspan(count);
    }

    std::span<const uint8_t> rest_;
    png_structp png_ = nullptr;
    png_infop info_ = nullptr;
    std::jmp_buf jump_;
    char problem_[128] = {};
};

bool PngReader::read_header(const PictureLimits& limits, Content content) {
    if (setjmp(jump_) != 0) return false;
    png_set_read_fn(png_, this, on_read);
    png_set_user_limits(png_, limits.side, limits.side);
    // Texts, profiles and the like are skipped, not unpacked: all but the transparent colour and
    // the EXIF block. A chunk that is too long is refused all the same.
    png_set_chunk_malloc_max(png_, kMostPngChunk);
    png_set_chunk_cache_max(png_, kMostPngChunks);
    png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
    png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_AS_DEFAULT,
                                reinterpret_cast<png_const_bytep>("eXIf"), 1);
    png_read_info(png_, info_);
    if (content == Content::kIndices) {
        png_set_packing(png_);  // 1, 2, 4 bits to 8, as they are
    } else {
        png_set_scale_16(png_);  // round(v * 255 / 65535)
        png_set_expand(png_);    // palette to RGB, 1, 2, 4 bits to 8, transparent colour to alpha
    }
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    return true;
}

bool PngReader::read_pixels(png_bytep* rows) {
    if (setjmp(jump_) != 0) return false;
    png_read_image(png_, rows);
    png_read_end(png_, info_);
    return true;
}

uint32_t big_endian(const uint8_t* bytes) {
    return static_cast<uint32_t>(bytes[0]) << 24 | static_cast<uint32_t>(bytes[1]) << 16 |
           static_cast<uint32_t>(bytes[2]) << 8 | bytes[3];
}

// Bits of a stored pixel; 1 where the header says nothing valid, which libpng refuses later.
unsigned pixel_bits(uint8_t depth, uint8_t color_type) {
    constexpr unsigned kChannels[] = {1, 1, 3, 1, 2, 1, 4};  // by colour type
    if (color_type > 6 || depth == 0 || depth > 16) return 1;
    return depth * kChannels[color_type];
}

}  // namespace

namespace {

Picture read_png(std::span<const uint8_t> bytes, const std::string& name,
                 const PictureLimits& limits, PngReader::Content content, int* orientation) {
    if (bytes.size() < kHeaderBytes || std::memcmp(bytes.data() + 12, "IHDR", 4) != 0) {
        refuse_damaged("PNG", "no header", name);
    }
    check_size(big_endian(bytes.data() + 16), big_endian(bytes.data() + 20), name, limits,
               bytes.size(), 8 * kDeflateFactor / pixel_bits(bytes[24], bytes[25]));
    PngReader reader(bytes);
    if (!reader.is_ready()) throw std::bad_alloc();
    if (!reader.read_header(limits, content)) refuse_damaged("PNG", reader.problem(), name);
    Picture picture{reader.shape(), {}};
    picture.pixels.resize(picture.shape.elements());
    const size_t row_bytes =
        static_cast<size_t>(picture.shape.width) * static_cast<size_t>(picture.shape.channels);
    std::vector<png_bytep> rows;
    for (size_t y = 0; y < static_cast<size_t>(picture.shape.height); y++) {
        rows.push_back(picture.pixels.data() + y * row_bytes);
    }
    if (!reader.read_pixels(rows.data())) refuse_damaged("PNG", reader.problem(), name);
    *orientation = reader.orientation();
    return picture;
}

}  // namespace

Picture decode_png(std::span<const uint8_t> bytes, const std::string& name,
                   const PictureLimits& limits) {
    int orientation = 1;
    Picture picture = read_png(bytes, name, limits, PngReader::Content::kPixels, &orientation);
    return turn_upright(drop_alpha(std::move(picture)), orientation);
}

Picture decode_index_png(std::span<const uint8_t> bytes, const std::string& name) {
    constexpr uint8_t kGrey = 0, kPalette = 3;  // colour types
    constexpr std::string_view kSignature = "\x89PNG\r\n\x1a\n";
    const bool is_png = bytes.size() >= kHeaderBytes &&
                        std::memcmp(bytes.data(), kSignature.data(), kSignature.size()) == 0;
    const bool is_index = is_png && (bytes[25] == kGrey || bytes[25] == kPalette) && bytes[24] <= 8;
    if (!is_index) {
        throw RuntimeError(one_line(name),
                           is_png ? concat("the mask has ", int{bytes[24]},
                                           " bits and the colour type ", int{bytes[25]},
                                           " of PNG; a class index is a grey value or "
                                           "an index into a palette, of 8 bits or less")
                                  : std::string("the mask is no PNG file"),
                           "save masks as PNG of one channel that holds class indices");
    }
    int orientation = 1;
    Picture mask = read_png(bytes, name, {}, PngReader::Content::kIndices, &orientation);
    return turn_upright(std::move(mask), orientation);
}

Bytes encode_index_png(const Picture& indices, std::span<const std::array<uint8_t, 3>> palette) {
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    image.width = static_cast<png_uint_32>(indices.shape.width);
    image.height = static_cast<png_uint_32>(indices.shape.height);
    image.format = PNG_FORMAT_RGB_COLORMAP;
    image.colormap_entries = static_cast<png_uint_32>(palette.size());
    png_alloc_size_t size = 0;
    const auto write = [&](void* bytes) {
        return png_image_write_to_memory(&image, bytes, &size, /*convert_to_8_bit=*/0,
                                         indices.pixels.data(), /*row_stride=*/0, palette.data());
    };
    Bytes bytes;
    if (write(nullptr) != 0) bytes.resize(size);
    if (bytes.empty() || write(bytes.data()) == 0) {
        throw RuntimeError(
            "", concat("cannot write a PNG of ", to_text(indices.shape), ": ", image.message),
            "give a picture of one channel that is not empty");
    }
    bytes.resize(size);
    return bytes;
}

Bytes encode_png(const Picture& picture) {
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    image.width = static_cast<png_uint_32>(picture.shape.width);
    image.height = static_cast<png_uint_32>(picture.shape.height);
    image.format = picture.shape.channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
    png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
    Bytes bytes(size);
    if (!png_image_write_to_memory(&image, bytes.data(), &size, /*convert_to_8_bit=*/0,
                                   picture.pixels.data(), /*row_stride=*/0, nullptr)) {
        throw RuntimeError(
            "", concat("cannot write a PNG of ", to_text(picture.shape), ": ", image.message),
            "give a picture of 1 or 3 channels that is not empty");
    }
    bytes.resize(size);
    return bytes;
}

void write_png(const std::string& path, const Picture& picture) {
    write_file(path, encode_png(picture));
}

}  // namespace emulsion
