// IDX out of a plain or a compressed stream of bytes, which zlib unpacks part by part.
#include "runtime/data/idx.h"

#include <sys/stat.h>
#include <zlib.h>

#include <algorithm>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/support/error.h"
#include "runtime/support/limits.h"
#include "runtime/support/path.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr uint64_t kDeflateFactor = 1032;  // bytes that one byte can inflate to
constexpr uint64_t kChunk = kMebi;
constexpr size_t kPackedChunk = 128 * kKibi;

uint32_t big_endian(const uint8_t* bytes) {
    return static_cast<uint32_t>(bytes[0]) << 24 | static_cast<uint32_t>(bytes[1]) << 16 |
           static_cast<uint32_t>(bytes[2]) << 8 | bytes[3];
}

std::string hexadecimal(uint32_t value) {
    std::string text = "0x";
    for (int shift = 28; shift >= 0; shift -= 4) text += "0123456789abcdef"[value >> shift & 15];
    return text;
}

void check_magic(uint32_t found, int rank, const ByteSource& source) {
    const uint32_t expected = 0x00000800u + static_cast<uint32_t>(rank);
    if (found == expected) return;
    std::string what =
        concat("expected the magic number ", hexadecimal(expected), " (unsigned bytes, ", rank,
               rank == 1 ? " axis" : " axes", "), found ", hexadecimal(found));
    bool is_other_rank = found > 0x00000800u && found <= 0x000008ffu;
    source.refuse(what, is_other_rank
                            ? "check whether the files of pictures and labels are exchanged"
                            : "give an IDX file, plain or compressed with gzip");
}

// "3 x 28 x 28".
std::string product_text(const std::vector<uint32_t>& shape) {
    std::string text;
    for (uint32_t length : shape) text += concat(text.empty() ? "" : " x ", length);
    return text;
}

}  // namespace

// Bytes from the front, unpacked where the source begins like a gzip file. Such a file may have
// several members, one behind the other.
class IdxReader::Stream {
  public:
    explicit Stream(const ByteSource& source) : source_(source) {
        uint8_t start[2] = {};
        if (source.size() >= 2) source.read(0, start);
        is_packed_ = begins_member(start);
        if (is_packed_ && inflateInit2(&zlib_, 15 + 16) != Z_OK) throw std::bad_alloc();
        if (is_packed_) buffer_.resize(kPackedChunk);
    }
    ~Stream() {
        if (is_packed_) inflateEnd(&zlib_);
    }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    // The most bytes that can come out.
    unsigned __int128 most_bytes() const {
        return static_cast<unsigned __int128>(source_.size()) * (is_packed_ ? kDeflateFactor : 1);
    }

    // Fills `out` as far as there are bytes and returns how many came.
    uint64_t read(std::span<uint8_t> out) { return is_packed_ ? unpack(out) : copy(out); }

  private:
    static bool begins_member(const uint8_t* bytes) { return bytes[0] == 0x1f && bytes[1] == 0x8b; }

    uint64_t copy(std::span<uint8_t> out) {
        const uint64_t count = std::min<uint64_t>(out.size(), source_.size() - place_);
        source_.read(place_, out.first(count));
        place_ += count;
        return count;
    }
    uint64_t unpack(std::span<uint8_t> out);
    bool begin_next_member();
    bool fill();

    const ByteSource& source_;
    bool is_packed_ = false, is_at_end_ = false;
    uint64_t place_ = 0;  // in the source
    Bytes buffer_;        // packed bytes
    z_stream zlib_{};
};

// More packed bytes behind those that are left; false at the end of the source.
bool IdxReader::Stream::fill() {
    std::copy_n(zlib_.next_in, zlib_.avail_in, buffer_.data());
    const uint64_t count =
        std::min<uint64_t>(buffer_.size() - zlib_.avail_in, source_.size() - place_);
    source_.read(place_, {buffer_.data() + zlib_.avail_in, count});
    place_ += count;
    zlib_.next_in = buffer_.data();
    zlib_.avail_in += static_cast<uInt>(count);
    return count > 0;
}

// After the end of a member: whether another one follows.
bool IdxReader::Stream::begin_next_member() {
    if (zlib_.avail_in < 2) fill();
    if (zlib_.avail_in == 0) return false;
    if (zlib_.avail_in < 2 || !begins_member(zlib_.next_in)) {
        source_.refuse(
            concat(zlib_.avail_in + (source_.size() - place_), " bytes follow the compressed data"),
            "replace the file");
    }
    inflateReset(&zlib_);
    return true;
}

uint64_t IdxReader::Stream::unpack(std::span<uint8_t> out) {
    uint64_t done = 0;
    while (done < out.size() && !is_at_end_) {
        if (zlib_.avail_in == 0 && !fill()) {
            source_.refuse("the compressed file is cut: its data end early", "replace the file");
        }
        const uint64_t step = std::min(out.size() - done, kChunk);
        zlib_.next_out = out.data() + done;
        zlib_.avail_out = static_cast<uInt>(step);
        const int code = inflate(&zlib_, Z_NO_FLUSH);
        done += step - zlib_.avail_out;
        if (code == Z_MEM_ERROR) throw std::bad_alloc();
        if (code == Z_STREAM_END) {
            is_at_end_ = !begin_next_member();
        } else if (code != Z_OK && code != Z_BUF_ERROR) {
            source_.refuse(concat("the compressed file is damaged (",
                                  one_line(zlib_.msg ? zlib_.msg : "no gzip data"), ")"),
                           "replace the file");
        }
    }
    return done;
}

namespace {

// The product of the axes, refused where it is 0 or beyond what the file can hold.
uint64_t count_elements(const std::vector<uint32_t>& shape, unsigned __int128 most,
                        const ByteSource& source) {
    unsigned __int128 count = 1;  // holds the product of kMostIdxAxes lengths
    for (uint32_t length : shape) {
        count *= length;
        if (length > 0) continue;
        source.refuse(concat("an axis has length 0 (", product_text(shape), ")"),
                      "replace the file");
    }
    if (count > most) {
        const bool is_large = count > UINT64_MAX;
        source.refuse(concat("the header says ", product_text(shape),
                             is_large ? "" : concat(" = ", static_cast<uint64_t>(count)),
                             " bytes, more than the file of ", source.size(), " bytes can hold"),
                      "replace the file: it is cut, or its header is damaged");
    }
    return static_cast<uint64_t>(count);
}

}  // namespace

IdxReader::IdxReader(const ByteSource& source, int rank)
    : source_(source), stream_(std::make_unique<Stream>(source)) {
    if (source.size() == 0) {
        source.refuse("the file is empty; expected an IDX file", "replace the file");
    }
    uint8_t header[4 + 4 * kMostIdxAxes];
    const uint64_t header_bytes = 4 + 4 * static_cast<uint64_t>(rank);
    const uint64_t got = stream_->read({header, header_bytes});
    if (got >= 4) check_magic(big_endian(header), rank, source);
    if (got < header_bytes) {
        source.refuse(concat("an IDX header of ", header_bytes, " bytes was expected, but only ",
                             got, " follow"),
                      "replace the file: it is cut");
    }
    for (int axis = 0; axis < rank; axis++) shape_.push_back(big_endian(header + 4 + 4 * axis));
    elements_ = count_elements(shape_, stream_->most_bytes(), source);
}

IdxReader::~IdxReader() = default;

void IdxReader::read(std::span<uint8_t> out) {
    const uint64_t got = stream_->read(out);
    done_ += got;
    if (got == out.size()) return;
    source_.refuse(concat("the header says ", product_text(shape_), " = ", elements_,
                          " bytes, but only ", done_, " follow"),
                   "replace the file: it is cut");
}

void IdxReader::finish() {
    uint8_t extra;
    if (stream_->read({&extra, 1}) == 0) return;
    source_.refuse(concat("the header says ", product_text(shape_), " = ", elements_,
                          " bytes, but more follow"),
                   "replace the file: header and data disagree");
}

IdxArray read_idx(const std::string& path, int rank, uint64_t limit_bytes) {
    const ByteSource source(path, "IDX file");
    IdxReader reader(source, rank);
    if (reader.elements() > limit_bytes) {
        source.refuse(concat("the header says ", product_text(reader.shape()), " = ",
                             reader.elements(), " bytes; the limit is ", limit_bytes),
                      "use a smaller set");
    }
    IdxArray array{reader.shape(), Bytes(reader.elements())};
    reader.read(array.values);
    reader.finish();
    return array;
}

namespace {

constexpr const char* kImages = "images-idx3-ubyte";
constexpr const char* kLabels = "labels-idx1-ubyte";

// The names that a file of a part may have, in the order in which they are looked for.
std::vector<std::string> names_of(Part part, const std::string& kind) {
    std::vector<std::string> names;
    for (const char* separator : {"-", "."}) {
        for (const char* ending : {"", ".gz"}) {
            std::string name = concat(part == Part::train ? "train" : "t10k", "-", kind, ending);
            name.replace(name.find(kind) + kind.find('-'), 1, separator);
            names.push_back(std::move(name));
        }
    }
    return names;
}

// The first file of these names; else what bears one and is no file, such as a link into a disk
// that is not mounted: opening it says what is wrong.
std::optional<std::string> find_file(const std::string& folder,
                                     const std::vector<std::string>& names) {
    std::optional<std::string> other;
    for (const std::string& name : names) {
        std::string path = join_path(folder, name);
        if (is_file(path)) return path;
        struct stat status{};
        if (!other && lstat(path.c_str(), &status) == 0) other = std::move(path);
    }
    return other;
}

}  // namespace

IdxFiles find_idx_files(const std::string& folder, Part part) {
    IdxFiles files;
    for (auto [path, kind] :
         {std::pair(&files.images, kImages), std::pair(&files.labels, kLabels)}) {
        const std::vector<std::string> names = names_of(part, kind);
        const std::optional<std::string> found = find_file(folder, names);
        if (!found) {
            std::string searched;
            for (const std::string& name : names)
                searched += concat(searched.empty() ? "" : ", ", name);
            throw RuntimeError(one_line(folder), concat("the folder holds none of ", searched),
                               "give a folder with IDX files, as MNIST and Fashion-MNIST come");
        }
        *path = *found;
    }
    return files;
}

bool has_idx_files(const std::string& folder, Part part) {
    return find_file(folder, names_of(part, kImages)) || find_file(folder, names_of(part, kLabels));
}

}  // namespace emulsion
