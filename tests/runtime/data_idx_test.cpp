// IDX files and data sets: what is read, what is refused, where sets are found.
#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdlib>
#include <numeric>

#include "runtime/data/dataset.h"
#include "runtime/data/idx.h"
#include "runtime/support/limits.h"
#include "runtime/support/path.h"
#include "tests/runtime/data_support.h"

namespace emulsion {
namespace {

using testing::file_path;
using testing::gzip;
using testing::make_idx;
using testing::message_of;
using testing::put_file;

Bytes counting(size_t count) {
    Bytes values(count);
    std::iota(values.begin(), values.end(), static_cast<uint8_t>(0));
    return values;
}

constexpr uint64_t kLimit = kGibi;

// The message of reading `content` as IDX of `rank` axes.
std::string refusal(const Bytes& content, int rank = 3, uint64_t limit = kLimit) {
    TestFolder folder;
    put_file(folder / "f", content);
    return message_of([&] { read_idx(folder / "f", rank, limit); }, folder.path());
}

// Files

TEST(DataIdx, ReadsPlainAndCompressedByContent) {
    const IdxArray images = read_idx(file_path("d1-images-idx3-ubyte.gz"), 3, kLimit);
    EXPECT_EQ(images.shape, (std::vector<uint32_t>{3, 2, 3}));
    EXPECT_EQ(std::accumulate(images.values.begin(), images.values.end(), 0), 153);
    EXPECT_EQ(read_idx(file_path("d1-labels-idx1-ubyte.gz"), 1, kLimit).values, (Bytes{2, 0, 1}));
    TestFolder folder;
    const Bytes plain = make_idx({3, 2, 3}, images.values);
    put_file(folder / "plain.gz", plain);      // the name lies
    put_file(folder / "packed", gzip(plain));  // and here
    EXPECT_EQ(read_idx(folder / "plain.gz", 3, kLimit).values, images.values);
    EXPECT_EQ(read_idx(folder / "packed", 3, kLimit).values, images.values);
}

TEST(DataIdx, EmptyAndCutHeaders) {
    EXPECT_EQ(refusal({}),
              "DIR/f: the file is empty; expected an IDX file\n  fix: replace the file");
    EXPECT_EQ(refusal({0, 0, 8}),
              "DIR/f: an IDX header of 16 bytes was expected, but only 3 follow\n"
              "  fix: replace the file: it is cut");
    EXPECT_EQ(refusal({0, 0, 8, 3, 0, 0}),
              "DIR/f: an IDX header of 16 bytes was expected, but only 6 follow\n"
              "  fix: replace the file: it is cut");
    TestFolder folder;
    EXPECT_EQ(message_of([&] { read_idx(folder / "f", 3, kLimit); }, folder.path()),
              "DIR/f: cannot open the IDX file: no such file or folder\n  fix: check the path");
    EXPECT_EQ(message_of([&] { read_idx(folder.path(), 3, kLimit); }, folder.path()),
              "DIR: expected an IDX file, but this is a folder\n"
              "  fix: give the path of a file");
}

TEST(DataIdx, WrongMagic) {
    EXPECT_EQ(refusal(testing::bytes_of("hello, world")),
              "DIR/f: expected the magic number 0x00000803 (unsigned bytes, 3 axes), found "
              "0x68656c6c\n  fix: give an IDX file, plain or compressed with gzip");
    EXPECT_EQ(refusal(make_idx({2}, {0, 1})),
              "DIR/f: expected the magic number 0x00000803 (unsigned bytes, 3 axes), found "
              "0x00000801\n  fix: check whether the files of pictures and labels are exchanged");
    EXPECT_EQ(refusal(make_idx({1, 1, 1}, {0}), 1),
              "DIR/f: expected the magic number 0x00000801 (unsigned bytes, 1 axis), found "
              "0x00000803\n  fix: check whether the files of pictures and labels are exchanged");
    EXPECT_EQ(refusal(make_idx({1, 1, 1}, {0, 0, 0, 0}, 0x0d)),
              "DIR/f: expected the magic number 0x00000803 (unsigned bytes, 3 axes), found "
              "0x00000d03\n  fix: give an IDX file, plain or compressed with gzip");
}

TEST(DataIdx, LengthAndDataDisagree) {
    EXPECT_EQ(refusal(make_idx({3, 2, 3}, counting(17))),
              "DIR/f: the header says 3 x 2 x 3 = 18 bytes, but only 17 follow\n"
              "  fix: replace the file: it is cut");
    EXPECT_EQ(refusal(make_idx({3, 2, 3}, counting(19))),
              "DIR/f: the header says 3 x 2 x 3 = 18 bytes, but more follow\n"
              "  fix: replace the file: header and data disagree");
    EXPECT_EQ(refusal(gzip(make_idx({3, 2, 3}, counting(19)))),
              "DIR/f: the header says 3 x 2 x 3 = 18 bytes, but more follow\n"
              "  fix: replace the file: header and data disagree");
    EXPECT_EQ(refusal(gzip(make_idx({3, 2, 3}, counting(17)))),
              "DIR/f: the header says 3 x 2 x 3 = 18 bytes, but only 17 follow\n"
              "  fix: replace the file: it is cut");
    EXPECT_EQ(refusal(make_idx({0, 28, 28}, {})),
              "DIR/f: an axis has length 0 (0 x 28 x 28)\n  fix: replace the file");
}

TEST(DataIdx, HostileLengths) {
    EXPECT_EQ(refusal(make_idx({60000, 28, 28}, counting(84))),
              "DIR/f: the header says 60000 x 28 x 28 = 47040000 bytes, more than the file of 100 "
              "bytes can hold\n  fix: replace the file: it is cut, or its header is damaged");
    EXPECT_EQ(refusal(make_idx({0xffffffff, 0xffffffff, 0xffffffff}, counting(84))),
              "DIR/f: the header says 4294967295 x 4294967295 x 4294967295 bytes, more than the "
              "file of 100 bytes can hold\n"
              "  fix: replace the file: it is cut, or its header is damaged");
    EXPECT_EQ(refusal(make_idx({3, 2, 3}, counting(18)), 3, 17),
              "DIR/f: the header says 3 x 2 x 3 = 18 bytes; the limit is 17\n"
              "  fix: use a smaller set");
    // 4 GB in a compressed file of some kB: refused by what deflate can reach.
    EXPECT_EQ(refusal(gzip(make_idx({1000, 2000, 2000}, Bytes(1 << 20)))).substr(0, 69),
              "DIR/f: the header says 1000 x 2000 x 2000 = 4000000000 bytes, more th");
}

TEST(DataIdx, SeveralMembersAreOneFileAndNothingElseMayFollow) {
    const Bytes plain = make_idx({10, 20, 30}, counting(6000));
    Bytes file;
    for (const auto& [begin, end] : {std::pair(0, 3), {3, 3}, {3, 2000}, {2000, 6016}}) {
        const Bytes member = gzip(Bytes(plain.begin() + begin, plain.begin() + end));
        file.insert(file.end(), member.begin(), member.end());
    }
    TestFolder folder;
    put_file(folder / "f", file);
    EXPECT_EQ(read_idx(folder / "f", 3, kLimit).values, counting(6000));
    for (const char* rest : {"x", "\x1f", "\x1f\x8c", "some more"}) {
        Bytes longer = file;
        for (const char* c = rest; *c != '\0'; c++) longer.push_back(static_cast<uint8_t>(*c));
        EXPECT_EQ(refusal(longer),
                  "DIR/f: " + std::to_string(longer.size() - file.size()) +
                      " bytes follow the compressed data\n  fix: replace the file");
    }
}

TEST(DataIdx, ReadsInPartsOfAnyLength) {
    const Bytes values = counting(100 * 7 * 9);
    for (const bool is_packed : {false, true}) {
        const Bytes plain = make_idx({100, 7, 9}, values), file = is_packed ? gzip(plain) : plain;
        const ByteSource source(file, "f", "IDX file");
        IdxReader reader(source, 3);
        EXPECT_EQ(reader.elements(), values.size());
        Bytes read;
        for (size_t step = 0; read.size() < values.size(); step = step * 2 + 1) {
            Bytes part(std::min(step, values.size() - read.size()));
            reader.read(part);
            read.insert(read.end(), part.begin(), part.end());
        }
        reader.finish();
        EXPECT_EQ(read, values);
    }
}

TEST(DataIdx, CutOrDamagedCompression) {
    const Bytes packed = gzip(make_idx({10, 20, 30}, counting(6000)));
    Bytes cut(packed.begin(), packed.end() - 20);
    EXPECT_EQ(refusal(cut),
              "DIR/f: the compressed file is cut: its data end early\n  fix: replace the file");
    cut.assign(packed.begin(), packed.end() - 4);  // the length at the end is missing
    EXPECT_EQ(refusal(cut),
              "DIR/f: the compressed file is cut: its data end early\n  fix: replace the file");
    Bytes damaged = packed;
    damaged[damaged.size() - 6] ^= 1;  // the checksum
    EXPECT_EQ(refusal(damaged),
              "DIR/f: the compressed file is damaged (incorrect data check)\n"
              "  fix: replace the file");
    for (size_t size = 0; size < packed.size(); size++) {
        EXPECT_NE(refusal(Bytes(packed.begin(), packed.begin() + ptrdiff_t(size))), "no error")
            << size;
    }
}

// Names

TEST(DataIdx, FindsBothSpellingsAndParts) {
    const char* names[][2] = {{"train-images-idx3-ubyte", "train-labels-idx1-ubyte"},
                              {"train-images.idx3-ubyte", "train-labels.idx1-ubyte"},
                              {"train-images-idx3-ubyte.gz", "train-labels.idx1-ubyte.gz"},
                              {"t10k-images.idx3-ubyte", "t10k-labels-idx1-ubyte.gz"}};
    for (auto [images, labels] : names) {
        TestFolder folder;
        put_file(folder / images, std::string_view("x"));
        put_file(folder / labels, std::string_view("x"));
        const Part part = images[1] == 'r' ? Part::train : Part::test;
        const IdxFiles files = find_idx_files(folder.path(), part);
        EXPECT_EQ(files.images, folder / images);
        EXPECT_EQ(files.labels, folder / labels);
    }
}

TEST(DataIdx, MissingFilesAreListed) {
    TestFolder folder;
    EXPECT_EQ(message_of([&] { find_idx_files(folder.path(), Part::test); }, folder.path()),
              "DIR: the folder holds none of t10k-images-idx3-ubyte, t10k-images-idx3-ubyte.gz, "
              "t10k-images.idx3-ubyte, t10k-images.idx3-ubyte.gz\n"
              "  fix: give a folder with IDX files, as MNIST and Fashion-MNIST come");
    put_file(folder / "train-images-idx3-ubyte", std::string_view("x"));
    EXPECT_EQ(message_of([&] { find_idx_files(folder.path(), Part::train); }, folder.path()),
              "DIR: the folder holds none of train-labels-idx1-ubyte, train-labels-idx1-ubyte.gz, "
              "train-labels.idx1-ubyte, train-labels.idx1-ubyte.gz\n"
              "  fix: give a folder with IDX files, as MNIST and Fashion-MNIST come");
}

TEST(DataIdx, HalfAPartIsNoMissingPart) {
    TestFolder folder;
    EXPECT_FALSE(has_idx_files(folder.path(), Part::test));
    put_file(folder / "t10k-labels-idx1-ubyte", std::string_view("x"));
    EXPECT_TRUE(has_idx_files(folder.path(), Part::test));
    EXPECT_FALSE(has_idx_files(folder.path(), Part::train));
}

// Sets

// A folder with a training part of 3 pictures, 2 high and 3 wide.
void fill_folder(const TestFolder& folder, const Bytes& labels = {2, 0, 1}) {
    put_file(folder / "train-images-idx3-ubyte", make_idx({3, 2, 3}, counting(18)));
    put_file(folder / "train-labels-idx1-ubyte",
             make_idx({static_cast<uint32_t>(labels.size())}, labels));
}

TEST(DataSet, OpensAFolderAndRepeatsGreyForColour) {
    TestFolder folder;
    fill_folder(folder);
    const Dataset grey = open_dataset(folder.path(), Part::train, {1, 2, 3}, 3);
    EXPECT_EQ(grey.count(), 3u);
    EXPECT_EQ(grey.source, folder.path());
    EXPECT_EQ(grey.labels, (std::vector<int32_t>{2, 0, 1}));
    EXPECT_EQ(grey.picture(1)[0], 6);
    const Dataset color = open_dataset(folder.path(), Part::train, {3, 2, 3}, 3);
    EXPECT_EQ(color.pixels.size(), 54u);
    EXPECT_EQ(color.picture(1)[3], 7);
    EXPECT_EQ(color.picture(1)[5], 7);
}

TEST(DataSet, DisagreementsAreRefused) {
    TestFolder folder;
    fill_folder(folder, {2, 0});
    auto open = [&](const PictureShape& shape, int classes) {
        return message_of([&] { open_dataset(folder.path(), Part::train, shape, classes); },
                          folder.path());
    };
    EXPECT_EQ(
        open({1, 2, 3}, 3),
        "DIR/train-images-idx3-ubyte: the file holds 3 pictures, but "
        "'DIR/train-labels-idx1-ubyte' holds 2 labels\n  fix: give files that belong together");
    fill_folder(folder);
    EXPECT_EQ(
        open({1, 28, 20}, 3),
        "DIR/train-images-idx3-ubyte: the pictures are 3 wide and 2 high; the network expects "
        "20 wide and 28 high\n"
        "  fix: give data of the network's size, or change the input of the model");
    EXPECT_EQ(open({2, 2, 3}, 3),
              "DIR/train-images-idx3-ubyte: the pictures have 1 channel; the network expects 2\n"
              "  fix: give the model an input of 1 or 3 channels");
}

// What reading the two files in memory says.
std::string set_refusal(const Bytes& images, const Bytes& labels, uint64_t take = kAllPictures,
                        uint64_t limit = kLimit) {
    const ByteSource image_source(images, "images", "IDX file");
    const ByteSource label_source(labels, "labels", "IDX file");
    return message_of(
        [&] { read_idx_dataset(image_source, &label_source, {1, 2, 3}, 5, {take, limit}); });
}

TEST(DataSet, EverythingTheHeadersSayIsJudgedBeforeAnElementIsRead) {
    // Compressed, a few bytes could hold all that these headers say; nothing follows them.
    const Bytes zeros(1 << 22);
    const auto packed = [&](const std::vector<uint32_t>& shape) {
        Bytes file = gzip(make_idx(shape, zeros));
        file.resize(file.size() / 2);
        return file;
    };
    const Bytes labels = packed({500});
    EXPECT_EQ(
        set_refusal(packed({500, 64, 64}), labels),
        "images: the pictures are 64 wide and 64 high; the network expects 3 wide and 2 high\n"
        "  fix: give data of the network's size, or change the input of the model");
    EXPECT_EQ(set_refusal(packed({501, 2, 3}), labels),
              "images: the file holds 501 pictures, but 'labels' holds 500 labels\n"
              "  fix: give files that belong together");
    EXPECT_EQ(
        set_refusal(packed({500, 2, 3}), labels, kAllPictures, 500 * 11 - 1),
        "images: 500 pictures of 1x2x3 need more memory than 5499 bytes, what is left of three "
        "quarters of all memory\n  fix: use a smaller set, or a machine with more memory");
    // A height that is no int.
    EXPECT_EQ(set_refusal(packed({1, 0x80000002, 3}), labels).substr(0, 24),
              "images: the header says ");
    Bytes sparse = make_idx({1, 0x80000002, 3}, {});
    TestFolder folder;
    put_file(folder / "f", sparse);
    ASSERT_EQ(truncate((folder / "f").c_str(), 16 + 3 * (int64_t{1} << 31) + 6), 0);
    EXPECT_EQ(
        message_of([&] { read_idx_pictures(folder / "f", {1, 2, 3}); }, folder.path()),
        "DIR/f: the pictures are 3 wide and 2147483650 high; the network expects 3 wide and 2 "
        "high\n  fix: give data of the network's size, or change the input of the model");
}

TEST(DataSet, LabelsComeFirst) {
    const Bytes images = make_idx({6, 2, 3}, counting(36));
    Bytes cut(images.begin(), images.end() - 1);
    const Bytes wrong = make_idx({6}, {0, 1, 2, 3, 4, 5});
    EXPECT_EQ(set_refusal(gzip(cut), wrong).substr(0, 24), "labels: label 5 at index");
}

TEST(DataSet, TakesTheFirstPicturesAndReadsNoMore) {
    TestFolder folder;
    const Bytes images = make_idx({100, 2, 3}, counting(600)), labels = make_idx({100}, Bytes(100));
    put_file(folder / "images", images);
    put_file(folder / "labels", gzip(labels));
    const auto taken = [&](uint64_t count) {
        return read_idx_dataset({folder / "images", folder / "labels"}, {1, 2, 3}, 5, {count});
    };
    EXPECT_EQ(taken(1).pixels, counting(6));
    EXPECT_EQ(taken(7).pixels, counting(42));
    EXPECT_EQ(taken(7).labels.size(), 7u);
    EXPECT_EQ(taken(100).count(), 100u);
    EXPECT_EQ(taken(101).count(), 100u);
    EXPECT_EQ(read_idx_pictures(folder / "images", {1, 2, 3}, {5}).pixels, counting(30));
    EXPECT_EQ(read_idx_pictures(folder / "images", {3, 2, 3}, {5}).pixels.size(), 90u);
    EXPECT_TRUE(read_idx_pictures(folder / "images", {1, 2, 3}).labels.empty());
    // What follows is not looked at: neither damaged labels nor the data's end.
    Bytes wrong = make_idx({100}, Bytes(100, 9));
    for (size_t i = 8; i < 18; i++) wrong[i] = 0;
    EXPECT_EQ(set_refusal(images, wrong, 10), "no error");
    EXPECT_NE(set_refusal(images, wrong, 11), "no error");
    Bytes packed = gzip(images);
    packed.resize(packed.size() - 3);
    EXPECT_EQ(set_refusal(packed, labels, 10), "no error");
    EXPECT_NE(set_refusal(packed, labels), "no error");
}

TEST(DataSet, TheLimitIsAShareOfTheMemory) {
    EXPECT_GT(most_data_bytes(), 64 * kMebi);
    EXPECT_LE(most_data_bytes(), static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) *
                                     static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) / 4 * 3);
}

TEST(DataSet, LabelBeyondTheClassesIsRefused) {
    TestFolder folder;
    put_file(folder / "train-images-idx3-ubyte", make_idx({6, 2, 3}, counting(36)));
    put_file(folder / "train-labels-idx1-ubyte", make_idx({6}, {0, 1, 2, 3, 4, 5}));
    EXPECT_EQ(
        message_of([&] { open_dataset(folder.path(), Part::train, {1, 2, 3}, 5); }, folder.path()),
        "DIR/train-labels-idx1-ubyte: label 5 at index 5, but the network has 5 classes "
        "(labels 0 to 4)\n  fix: give the model at least 6 classes, or correct the label");
    EXPECT_EQ(open_dataset(folder.path(), Part::train, {1, 2, 3}, 6).labels[5], 5);
}

TEST(DataSet, FindsKnownNames) {
    TestFolder folder, system;
    unsetenv("EMULSION_DATA");
    auto find = [&](const std::string& name) {
        std::string found;
        const std::string text =
            message_of([&] { found = find_data_folder(name, system.path()); }, system.path());
        return text == "no error" ? found : text;
    };
    EXPECT_EQ(find("fashion-mnist"),
              "fashion-mnist: the data set is not on this machine; searched: ./fashion-mnist, "
              "DIR/fashion-mnist\n  fix: apt-get install dataset-fashion-mnist");
    EXPECT_EQ(find("mnist"),
              "mnist: the data set is not on this machine; searched: ./mnist\n"
              "  fix: put its IDX files into a folder and give the folder, or set EMULSION_DATA to "
              "the folder above mnist");
    EXPECT_EQ(find("nothing"),
              "nothing: there is no such folder, and no known data set of this name\n"
              "  fix: give a folder, or one of: fashion-mnist, mnist, synthetic");
    EXPECT_EQ(find(""),
              "the name of the data is empty\n  fix: give a folder, or one of: fashion-mnist, "
              "mnist, synthetic");
    EXPECT_EQ(find(file_path("d3v-grey16.png")),
              file_path("d3v-grey16.png") +
                  ": expected a folder of data, but this is a file\n"
                  "  fix: give a folder, or one of: fashion-mnist, mnist, synthetic");
    make_folder(system / "fashion-mnist");
    EXPECT_EQ(find("fashion-mnist"), system / "fashion-mnist");
    EXPECT_EQ(find(folder.path()), folder.path());
    make_folder(folder / "fashion-mnist");
    setenv("EMULSION_DATA", folder.path().c_str(), 1);
    // A path is never taken for a name.
    for (const char* path : {".", "..", "./", "/"}) EXPECT_EQ(find(path), path);
    make_folder(folder / "tests/fashion-mnist");
    EXPECT_NE(find("tests/fashion-mnist"), folder / "tests/fashion-mnist");
    EXPECT_EQ(find("fashion-mnist"), folder / "fashion-mnist");
    unsetenv("EMULSION_DATA");
}

TEST(DataSet, RealFashionMnist) {
    if (!is_folder("/usr/share/datasets/fashion-mnist")) {
        GTEST_SKIP() << "Debian's package dataset-fashion-mnist is not installed";
    }
    const Dataset train = open_dataset("fashion-mnist", Part::train, {1, 28, 28}, 10);
    EXPECT_EQ(train.count(), 60000u);
    std::vector<int> counts(10);
    for (int32_t label : train.labels) counts[static_cast<size_t>(label)]++;
    EXPECT_EQ(counts, std::vector<int>(10, 6000));
    // The mean that is known for this set: 0.2860.
    const uint64_t sum =
        std::accumulate(train.pixels.begin(), train.pixels.end(), static_cast<uint64_t>(0));
    EXPECT_NEAR(static_cast<double>(sum) / 255 / static_cast<double>(train.pixels.size()), 0.2860,
                5e-5);
    EXPECT_EQ(open_dataset("fashion-mnist", Part::test, {1, 28, 28}, 10).count(), 10000u);
}

}  // namespace
}  // namespace emulsion
