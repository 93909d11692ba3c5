// Pictures: the conventions on real files, and refusals by name.
#include <gtest/gtest.h>

#include <png.h>
#include <unistd.h>
#include <zlib.h>

#include <cstring>
#include <numeric>

#include "runtime/data/orientation.h"
#include "runtime/data/picture.h"
#include "runtime/support/error.h"
#include "tests/runtime/data_support.h"
#include "tests/support/paths.h"

namespace emulsion {
namespace {

using testing::encode_jpeg;
using testing::file_path;
using testing::message_of;
using testing::put_file;

using Pixels = std::vector<uint8_t>;

Picture read_case(const char* name) { return read_picture(file_path(name)); }

// A picture of `channels` with a gradient and some texture.
Picture make_picture(int channels, int height, int width) {
    Picture picture{{channels, height, width}, {}};
    for (uint64_t i = 0; i < picture.shape.elements(); i++) {
        picture.pixels.push_back(static_cast<uint8_t>(i * 7 + i / 50));
    }
    return picture;
}

// A PNG of a header and a few bytes of data.
Bytes make_png_header(uint32_t width, uint32_t height, uint8_t depth = 8, uint8_t color_type = 0) {
    Bytes bytes = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    auto put = [&](uint32_t value) {
        for (int shift = 24; shift >= 0; shift -= 8)
            bytes.push_back(static_cast<uint8_t>(value >> shift));
    };
    put(13);
    const size_t begin = bytes.size();
    for (char c : std::string_view("IHDR")) bytes.push_back(static_cast<uint8_t>(c));
    put(width);
    put(height);
    for (uint8_t byte : {depth, color_type, static_cast<uint8_t>(0), static_cast<uint8_t>(0),
                         static_cast<uint8_t>(0)}) {
        bytes.push_back(byte);
    }
    put(static_cast<uint32_t>(crc32(0, bytes.data() + begin, uInt(bytes.size() - begin))));
    return bytes;
}

// A chunk in front of the one called `before`.
void insert_chunk(Bytes* png, const char* before, const char* type, const Bytes& content) {
    Bytes chunk(12 + content.size());
    const auto put = [&](size_t at, uint32_t value) {
        for (unsigned i = 0; i < 4; i++)
            chunk[at + i] = static_cast<uint8_t>(value >> (24 - 8 * i));
    };
    put(0, static_cast<uint32_t>(content.size()));
    std::memcpy(chunk.data() + 4, type, 4);
    std::copy(content.begin(), content.end(), chunk.begin() + 8);
    put(8 + content.size(),
        static_cast<uint32_t>(crc32(0, chunk.data() + 4, uInt(4 + content.size()))));
    const size_t place = testing::text_of(*png).find(before) - 4;
    png->insert(png->begin() + ptrdiff_t(place), chunk.begin(), chunk.end());
}

// Formats

TEST(DataPicture, SixteenBitGreyIsScaledNotCut) {
    const Picture picture = read_case("d3v-grey16.png");
    EXPECT_EQ(picture.shape, (PictureShape{1, 1, 4}));
    EXPECT_EQ(picture.pixels, (Pixels{0, 1, 128, 255}));
}

TEST(DataPicture, EverySixteenBitValueIsRounded) {
    std::vector<uint16_t> values(65536);
    std::iota(values.begin(), values.end(), static_cast<uint16_t>(0));
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    image.width = image.height = 256;
    image.format = PNG_FORMAT_LINEAR_Y;  // 16 bits
    png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
    Bytes file(size);
    ASSERT_TRUE(
        png_image_write_to_memory(&image, file.data(), &size, 0, values.data(), 0, nullptr));
    file.resize(size);
    const Picture picture = decode_picture(file, "x");
    ASSERT_EQ(picture.pixels.size(), 65536u);
    for (uint64_t v = 0; v < 65536; v++) {
        ASSERT_EQ(picture.pixels[v], (v * 255 * 2 + 65535) / (2 * 65535)) << v;
    }
}

TEST(DataPicture, PaletteGivesColoursAndTransparencyBecomesWhite) {
    const Picture picture = read_case("d4v-palette.png");
    EXPECT_EQ(picture.shape.channels, 3);
    // The colours are (255, 0, 0), (0, 255, 0), (10, 20, 30), (255, 0, 0), the alpha values 255, 0,
    // 128, 255: the second is white, the third 255 - (255 - v) * 128 / 255.
    EXPECT_EQ(picture.pixels, (Pixels{255, 0, 0, 255, 255, 255, 132, 137, 142, 255, 0, 0}));
}

TEST(DataPicture, InterlacedAndNarrowerThanAPass) {
    const Picture picture = read_case("d5v-interlaced.png");
    EXPECT_EQ(picture.shape, (PictureShape{1, 3, 5}));
    Pixels expected;
    for (int i = 0; i < 15; i++) expected.push_back(static_cast<uint8_t>(7 * i));
    EXPECT_EQ(picture.pixels, expected);
}

TEST(DataPicture, AdobeCmykIsConverted) {
    const Picture picture = read_case("d6v-cmyk-adobe.jpg");
    ASSERT_EQ(picture.shape.channels, 3);
    for (size_t i = 0; i < picture.pixels.size(); i++) {
        EXPECT_NEAR(picture.pixels[i], i % 3 == 0 ? 255 : 0, 3) << i;
    }
}

TEST(DataPicture, AdobeRgbStaysRgb) {
    const Picture picture = read_case("c221v-adobe-rgb.jpg");
    ASSERT_EQ(picture.shape, (PictureShape{3, 8, 8}));
    for (size_t i = 0; i < picture.pixels.size(); i++)
        EXPECT_NEAR(picture.pixels[i], i % 3 == 0 ? 255 : 0, 3) << i;
}

TEST(DataPicture, OrientationTurnsUpright) {
    const Picture picture = read_case("d7v-orientation6.jpg");
    ASSERT_EQ(picture.shape, (PictureShape{3, 16, 8}));  // stored 16 wide and 8 high
    for (int row : {0, 7, 8, 15}) {
        const uint8_t* pixel = picture.pixels.data() + (row * 8 + 4) * 3;
        const bool is_red = row < 8;
        EXPECT_NEAR(pixel[0], is_red ? 255 : 0, 20) << row;
        EXPECT_NEAR(pixel[2], is_red ? 0 : 255, 20) << row;
    }
}

TEST(DataPicture, EveryOrientation) {
    // Stored rows "ab" and "cd" and "ef", upright by the meaning of each flag: where the stored
    // row 0 and column 0 belong.
    const Picture stored{{1, 3, 2}, {'a', 'b', 'c', 'd', 'e', 'f'}};
    const char* expected[] = {"abcdef", "badcfe", "fedcba", "efcdab",
                              "acebdf", "ecafdb", "fdbeca", "bdface"};
    for (int orientation = 1; orientation <= 8; orientation++) {
        const Picture upright = turn_upright(stored, orientation);
        EXPECT_EQ(testing::text_of(upright.pixels), expected[orientation - 1]) << orientation;
        const bool is_turned = orientation >= 5;
        EXPECT_EQ(upright.shape, (PictureShape{1, is_turned ? 2 : 3, is_turned ? 3 : 2}));
    }
}

TEST(DataPicture, OrientationOfBothByteOrdersAndOfDamagedBlocks) {
    const Bytes big = {'M', 'M', 0, '*', 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 8, 0, 0};
    const Bytes little = {'I', 'I', '*', 0, 8, 0, 0, 0, 1, 0, 0x12,
                          1,   3,   0,   1, 0, 0, 0, 5, 0, 0, 0};
    EXPECT_EQ(read_orientation(big), 8);
    EXPECT_EQ(read_orientation(little), 5);
    for (size_t size = 0; size < big.size(); size++) {
        EXPECT_EQ(read_orientation(std::span(big).first(size)), 1) << size;
    }
    Bytes wrong = big;
    wrong[19] = 9;
    EXPECT_EQ(read_orientation(wrong), 1);
    wrong = big;
    wrong[4] = 0xff;  // the directory lies far outside
    EXPECT_EQ(read_orientation(wrong), 1);
}

TEST(DataPicture, OrientationOfPngToo) {
    const Bytes exif = {'M', 'M', 0, '*', 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0};
    const Picture stored = make_picture(1, 2, 3);
    const Bytes plain = encode_png(stored);
    for (const char* before : {"IDAT", "IEND"}) {
        Bytes file = plain;
        insert_chunk(&file, before, "eXIf", exif);
        const Picture upright = decode_picture(file, "x");
        EXPECT_EQ(upright.shape, (PictureShape{1, 3, 2})) << before;
        EXPECT_EQ(upright.pixels, turn_upright(stored, 6).pixels) << before;
    }
}

TEST(DataPicture, HiddenColoursDoNotComeThrough) {
    const Pixels expected = {227, 142, 172, 255, 255, 255};
    EXPECT_EQ(read_case("d8v-hidden-black.png").pixels, expected);
    EXPECT_EQ(read_case("d8v-hidden-red.png").pixels, expected);
}

TEST(DataPicture, ContentDecidesNotTheName) {
    EXPECT_EQ(read_case("d18v-really-png.jpg").pixels, (Pixels{10, 20, 30, 40}));
}

TEST(DataPicture, PngRoundTripAndEqualBytes) {
    for (int channels : {1, 3}) {
        for (auto [height, width] : {std::pair(1, 1), {3, 5}, {28, 28}, {65, 33}}) {
            const Picture picture = make_picture(channels, height, width);
            const Bytes bytes = encode_png(picture);
            EXPECT_EQ(bytes, encode_png(picture));
            const Picture back = decode_picture(bytes, "x");
            EXPECT_EQ(back.shape, picture.shape);
            EXPECT_EQ(back.pixels, picture.pixels);
        }
    }
}

TEST(DataPicture, JpegOfBothKinds) {
    for (bool is_progressive : {false, true}) {
        for (int channels : {1, 3}) {
            Picture picture{{channels, 40, 24}, {}};
            picture.pixels.assign(picture.shape.elements(), 100);
            const Picture back = decode_picture(encode_jpeg(picture, is_progressive), "x");
            EXPECT_EQ(back.shape, picture.shape);
            for (uint8_t value : back.pixels) EXPECT_NEAR(value, 100, 1);
        }
    }
}

// Channels and size

TEST(DataPicture, ConvertsBetweenGreyAndColour) {
    const Picture grey{{1, 1, 2}, {7, 200}};
    EXPECT_EQ(convert_channels(grey, 3).pixels, (Pixels{7, 7, 7, 200, 200, 200}));
    const Picture color{{3, 1, 4}, {255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9}};
    EXPECT_EQ(convert_channels(color, 1).pixels, (Pixels{76, 150, 29, 9}));
    EXPECT_EQ(fit_picture(grey, {3, 1, 2}, "x").pixels, (Pixels{7, 7, 7, 200, 200, 200}));
}

TEST(DataPicture, AnotherSizeIsRefusedWithBoth) {
    const Picture picture = make_picture(1, 30, 32);
    EXPECT_EQ(message_of([&] { fit_picture(picture, {1, 28, 20}, "a\nb.png"); }),
              "a\\x0ab.png: the picture is 32 wide and 30 high; the network expects 20 wide and 28 "
              "high\n  fix: resize the picture to 20 x 28, or add --resize bilinear");
    EXPECT_EQ(message_of([&] { fit_picture(picture, {2, 30, 32}, "x.png"); }),
              "x.png: the network expects 2 channels; pictures give 1 (grey) or 3 (RGB)\n"
              "  fix: give the model an input of 1 or 3 channels");
}

// Refusals

TEST(DataPicture, NoPictureIsRefused) {
    EXPECT_EQ(message_of([] { decode_picture({}, "x.png"); }),
              "x.png: the file is empty; expected a PNG, JPEG, BMP, PGM or PPM picture\n"
              "  fix: replace the file, or leave it out");
    EXPECT_EQ(
        message_of([] { decode_picture(testing::bytes_of("GIF89a\x01\x02\x03"), "x.png"); }),
        "x.png: this is none of PNG, JPEG, BMP, PGM and PPM; it begins with 'GIF89a\\x01\\x02'\n"
        "  fix: convert the picture to PNG or JPEG");
    EXPECT_FALSE(is_picture(testing::bytes_of("GIF89a")));
    EXPECT_TRUE(is_picture(encode_png(make_picture(1, 1, 1))));
}

TEST(DataPicture, CutJpegIsRefusedByName) {
    EXPECT_EQ(message_of([] { read_case("d9v-cut.jpg"); }, source_path("tests/runtime/files")),
              "DIR/d9v-cut.jpg: the JPEG file is cut or damaged (Premature end of JPEG file)\n"
              "  fix: replace the file, or leave it out");
}

TEST(DataPicture, HugeHeaderIsRefusedWithoutMemory) {
    const long peak = testing::memory_of([] {
        EXPECT_EQ(
            message_of([] { read_case("d17v-bomb.png"); }, source_path("tests/runtime/files")),
            "DIR/d17v-bomb.png: the picture has 60000 x 60000 pixels; the limit is 32768 "
            "a side and 67108864 in all\n  fix: scale the picture down");
    });
    EXPECT_LT(peak, 32 * 1024);  // KiB; its pixels are 3.6 billion
}

TEST(DataPicture, ChunksBesideThePixelsAreNotUnpacked) {
    Bytes packed(1 << 16);
    uLongf length = packed.size();
    const Bytes zeros(8'000'000);
    ASSERT_EQ(compress2(packed.data(), &length, zeros.data(), zeros.size(), 9), Z_OK);
    packed.resize(length);
    const Picture picture = make_picture(1, 28, 28);
    Bytes file = encode_png(picture);
    for (int i = 0; i < 60; i++) {
        Bytes text = testing::bytes_of("Comment"), profile = text, wide = text;
        text.resize(text.size() + 2);  // end of the keyword, method
        profile.resize(profile.size() + 2);
        wide.insert(wide.end(), {0, 1, 0, 0, 0});  // packed, no language, no translation
        for (Bytes* content : {&text, &profile, &wide})
            content->insert(content->end(), packed.begin(), packed.end());
        insert_chunk(&file, "IDAT", "zTXt", text);
        insert_chunk(&file, "IEND", "zTXt", text);
        insert_chunk(&file, "IDAT", "iTXt", wide);
        if (i == 0) insert_chunk(&file, "IDAT", "iCCP", profile);
        insert_chunk(&file, "IDAT", "prVt", packed);
    }
    const long peak = testing::memory_of(
        [&] { EXPECT_EQ(decode_picture(file, "x.png").pixels, picture.pixels); });
    EXPECT_LT(peak, 8 * 1024);
}

TEST(DataPicture, AnotherSizeThanTheNetworksIsSeenInTheHeader) {
    // There is nothing behind these headers.
    const PictureLimits limits = limits_for({1, 28, 28});
    const std::string png =
        "x: the picture is 8192 wide and 4096 high; the network expects 28 "
        "wide and 28 high\n  fix: resize the picture to 28 x 28, or add --resize bilinear";
    EXPECT_EQ(message_of([&] { decode_picture(make_png_header(8192, 4096), "x", limits); }), png);
    Bytes jpeg = encode_jpeg(make_picture(3, 40, 24), true);
    const size_t scan = testing::text_of(jpeg).find("\xff\xda");
    jpeg.resize(scan + 14);
    EXPECT_EQ(message_of([&] { decode_picture(jpeg, "x", limits); }),
              "x: the picture is 24 wide and 40 high; the network expects 28 wide and 28 high\n"
              "  fix: resize the picture to 28 x 28, or add --resize bilinear");
    // A lying picture may turn out upright.
    const Bytes lying = encode_png(make_picture(1, 20, 30));
    EXPECT_EQ(decode_picture(lying, "x", limits_for({1, 30, 20})).shape, (PictureShape{1, 20, 30}));
    EXPECT_EQ(read_picture(file_path("d7v-orientation6.jpg"), PictureShape{3, 16, 8}).shape,
              (PictureShape{3, 16, 8}));
    EXPECT_NE(
        message_of([] { read_picture(file_path("d7v-orientation6.jpg"), PictureShape{3, 8, 16}); }),
        "no error");
}

TEST(DataPicture, AFileFarLargerThanTheNetworksPicturesIsNotRead) {
    TestFolder folder;
    put_file(folder / "x.png", std::string_view(""));
    ASSERT_EQ(truncate((folder / "x.png").c_str(), 200'000'000), 0);
    EXPECT_EQ(
        message_of([&] { read_picture(folder / "x.png", PictureShape{1, 28, 28}); }, folder.path()),
        "DIR/x.png: the picture has 200000000 bytes; the limit is 16789760\n"
        "  fix: give a smaller picture");
}

TEST(DataPicture, ScansHaveABudget) {
    const Picture picture = make_picture(1, 64, 64);  // 64 blocks
    const Bytes file = encode_jpeg(picture, true);    // 6 scans of grey
    PictureLimits limits;
    limits.block_visits = 6 * 64;
    EXPECT_EQ(message_of([&] { decode_picture(file, "x", limits); }), "no error");
    limits.block_visits = 6 * 64 - 1;
    EXPECT_EQ(message_of([&] { decode_picture(file, "x", limits); }),
              "x: the JPEG file is cut or damaged (too many scans)\n"
              "  fix: replace the file, or leave it out");
    // One scan is read whatever the budget.
    EXPECT_EQ(message_of([&] { decode_picture(encode_jpeg(picture, false), "x", limits); }),
              "no error");
}

TEST(DataPicture, HeaderThatTheFileCannotHoldIsRefused) {
    const char* fix = "\n  fix: replace the file, or leave it out";
    Bytes png = make_png_header(8000, 8000);
    EXPECT_EQ(message_of([&] { decode_picture(png, "x.png"); }),
              std::string("x.png: the header says 8000 x 8000 pixels, more than 33 bytes can hold: "
                          "the file is cut or damaged") +
                  fix);
    Bytes jpeg = encode_jpeg(make_picture(1, 8, 8), false);
    for (size_t i = 0; i + 9 < jpeg.size(); i++) {
        if (jpeg[i] != 0xff || jpeg[i + 1] != 0xc0) continue;
        jpeg[i + 5] = jpeg[i + 7] = 0x1f;  // height and width of 0x1f08
        break;
    }
    const std::string size = std::to_string(jpeg.size());
    EXPECT_EQ(message_of([&] { decode_picture(jpeg, "x.jpg"); }),
              "x.jpg: the header says 7944 x 7944 pixels, more than " + size +
                  " bytes can hold: the file is cut or damaged" + fix);
    EXPECT_EQ(message_of([&] { decode_picture(make_png_header(0, 5), "x.png"); }),
              "x.png: the picture has 0 x 5 pixels\n  fix: give a picture that is not empty");
}

TEST(DataPicture, LimitsAreTheCallers) {
    const Bytes png = encode_png(make_picture(1, 4, 6));
    EXPECT_EQ(message_of([&] { decode_picture(png, "x.png", {.side = 5}); }),
              "x.png: the picture has 6 x 4 pixels; the limit is 5 a side and 67108864 in all\n"
              "  fix: scale the picture down");
    EXPECT_EQ(message_of([&] { decode_picture(png, "x.png", {.pixels = 23}); }),
              "x.png: the picture has 6 x 4 pixels; the limit is 32768 a side and 23 in all\n"
              "  fix: scale the picture down");
}

// Every file that is cut anywhere is refused; every file with a wrong byte is refused or read, and
// memory stays intact (the sanitizers see to that).
TEST(DataPicture, CutAnywhereIsRefused) {
    std::vector<Bytes> files = {encode_jpeg(make_picture(3, 20, 30), false),
                                encode_jpeg(make_picture(1, 20, 30), true),
                                encode_png(make_picture(3, 9, 7))};
    for (const char* name : {"d3v-grey16.png", "d4v-palette.png", "d5v-interlaced.png"}) {
        files.push_back(read_file(file_path(name), 1 << 20, "picture"));
    }
    for (size_t which = 0; which < files.size(); which++) {
        const Bytes& file = files[which];
        EXPECT_EQ(message_of([&] { decode_picture(file, "x"); }), "no error");
        for (size_t size = 0; size < file.size(); size++) {
            const std::span<const uint8_t> cut = std::span(file).first(size);
            EXPECT_NE(message_of([&] { decode_picture(cut, "x"); }), "no error")
                << "file " << which << " of " << file.size() << " bytes cut to " << size;
        }
    }
}

TEST(DataPicture, DamagedBytesNeverCrash) {
    for (const char* name : {"d3v-grey16.png", "d4v-palette.png", "d5v-interlaced.png",
                             "d6v-cmyk-adobe.jpg", "d7v-orientation6.jpg"}) {
        const Bytes file = read_file(file_path(name), 1 << 20, "picture");
        for (size_t i = 0; i < file.size(); i++) {
            for (uint8_t flip : Bytes{0x01, 0x80, 0xff}) {
                Bytes damaged = file;
                damaged[i] ^= flip;
                message_of([&] {
                    const Picture picture = decode_picture(damaged, "x");
                    EXPECT_EQ(picture.pixels.size(), picture.shape.elements());
                });
            }
        }
    }
}

}  // namespace
}  // namespace emulsion
