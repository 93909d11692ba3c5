// IDX through zlib's gzread, which takes plain files as well.
#include "runtime/data/idx.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/support/error.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr uint64_t kDeflateFactor = 1032;  // bytes that one byte can inflate to
constexpr uint64_t kChunk = static_cast<uint64_t>(1) << 20;

[[noreturn]] void refuse(const std::string& path, std::string what, std::string fix) {
    throw RuntimeError(one_line(path), std::move(what), std::move(fix));
}

// A gzip or plain file, read from the front.
class Source {
  public:
    explicit Source(const std::string& path);
    ~Source() { gzclose(file_); }
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;

    uint64_t file_bytes() const { return file_bytes_; }
    bool is_compressed() const { return gzdirect(file_) == 0; }

    // The most bytes that can come out.
    uint64_t most_bytes() const { return file_bytes_ * (is_compressed() ? kDeflateFactor : 1); }

    // Up to `count` bytes; fewer only at the end. Refuses damaged compression.
    uint64_t read(uint8_t* out, uint64_t count);

  private:
    std::string path_;
    gzFile file_;
    uint64_t file_bytes_;
};

Source::Source(const std::string& path) : path_(path) {
    int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    if (descriptor < 0) {
        refuse(path, concat("cannot open the IDX file: ", strerror(errno)), "check the path");
    }
    if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
        close(descriptor);
        refuse(path, "expected an IDX file, but this is no plain file", "give the path of a file");
    }
    file_bytes_ = static_cast<uint64_t>(status.st_size);
    file_ = gzdopen(descriptor, "rb");
    if (file_ == nullptr) {
        close(descriptor);
        throw std::bad_alloc();
    }
    gzbuffer(file_, 1 << 17);
}

uint64_t Source::read(uint8_t* out, uint64_t count) {
    uint64_t done = 0;
    while (done < count) {
        int got = gzread(file_, out + done, unsigned(std::min(count - done, kChunk)));
        if (got > 0) done += static_cast<uint64_t>(got);
        if (got > 0) continue;
        int code = Z_OK;
        const char* message = gzerror(file_, &code);
        if (code == Z_BUF_ERROR) {
            refuse(path_, "the compressed file is cut: its data end early", "replace the file");
        }
        if (code != Z_OK && code != Z_STREAM_END) {
            const char* reason = std::strstr(message, ": ");  // after zlib's name of the file
            refuse(path_,
                   concat("the compressed file is damaged (",
                          one_line(reason ? reason + 2 : message), ")"),
                   "replace the file");
        }
        break;
    }
    return done;
}

uint32_t big_endian(const uint8_t* bytes) {
    return static_cast<uint32_t>(bytes[0]) << 24 | static_cast<uint32_t>(bytes[1]) << 16 |
           static_cast<uint32_t>(bytes[2]) << 8 | bytes[3];
}

std::string hexadecimal(uint32_t value) {
    std::string text = "0x";
    for (int shift = 28; shift >= 0; shift -= 4) text += "0123456789abcdef"[value >> shift & 15];
    return text;
}

void check_magic(uint32_t found, int rank, const std::string& path) {
    const uint32_t expected = 0x00000800u + static_cast<uint32_t>(rank);
    if (found == expected) return;
    std::string what =
        concat("expected the magic number ", hexadecimal(expected), " (unsigned bytes, ", rank,
               rank == 1 ? " axis" : " axes", "), found ", hexadecimal(found));
    bool is_other_rank = found > 0x00000800u && found <= 0x000008ffu;
    refuse(path, std::move(what),
           is_other_rank ? "check whether the files of pictures and labels are exchanged"
                         : "give an IDX file, plain or compressed with gzip");
}

// "3 x 28 x 28".
std::string product_text(const std::vector<uint32_t>& shape) {
    std::string text;
    for (uint32_t length : shape) text += concat(text.empty() ? "" : " x ", length);
    return text;
}

// The product of the axes, refused where it is 0 or beyond what the file can hold.
uint64_t count_elements(const std::vector<uint32_t>& shape, const Source& source,
                        const std::string& path, uint64_t limit) {
    uint64_t count = 1;
    for (uint32_t length : shape) {
        if (length == 0) {
            refuse(path, concat("an axis has length 0 (", product_text(shape), ")"),
                   "replace the file");
        }
        bool is_too_large = count > limit / length;
        if (is_too_large) {
            refuse(path,
                   concat("the header says ", product_text(shape), " bytes; the limit is ", limit),
                   "replace the file, or split it");
        }
        count *= length;
    }
    if (count > source.most_bytes()) {
        refuse(path,
               concat("the header says ", product_text(shape), " = ", count,
                      " bytes, more than the file of ", source.file_bytes(), " bytes can hold"),
               "replace the file: it is cut, or its header is damaged");
    }
    return count;
}

// Grows with the data, so that a false header costs address space only.
Bytes read_elements(Source& source, uint64_t count, const IdxArray& array,
                    const std::string& path) {
    Bytes values;
    values.reserve(count);
    while (values.size() < count) {
        const uint64_t done = values.size(), step = std::min(kChunk, count - done);
        values.resize(done + step);
        const uint64_t got = source.read(values.data() + done, step);
        if (got < step) {
            refuse(path,
                   concat("the header says ", product_text(array.shape), " = ", count,
                          " bytes, but only ", done + got, " follow"),
                   "replace the file: it is cut");
        }
    }
    uint8_t extra;
    if (source.read(&extra, 1) != 0) {
        refuse(path,
               concat("the header says ", product_text(array.shape), " = ", count,
                      " bytes, but more follow"),
               "replace the file: header and data disagree");
    }
    return values;
}

}  // namespace

IdxArray read_idx(const std::string& path, int rank, uint64_t limit_bytes) {
    Source source(path);
    if (source.file_bytes() == 0) {
        refuse(path, "the file is empty; expected an IDX file", "replace the file");
    }
    uint8_t header[4 + 4 * 8];
    const uint64_t header_bytes = 4 + 4 * static_cast<uint64_t>(rank);
    const uint64_t got = source.read(header, header_bytes);
    if (got >= 4) check_magic(big_endian(header), rank, path);
    if (got < header_bytes) {
        refuse(path,
               concat("an IDX header of ", header_bytes, " bytes was expected, but only ", got,
                      " follow"),
               "replace the file: it is cut");
    }
    IdxArray array;
    for (int axis = 0; axis < rank; axis++)
        array.shape.push_back(big_endian(header + 4 + 4 * axis));
    const uint64_t count = count_elements(array.shape, source, path, limit_bytes);
    try {
        array.values = read_elements(source, count, array, path);
    } catch (const std::bad_alloc&) {
        refuse(path, concat("its ", count, " bytes do not fit into memory"), "use a smaller set");
    }
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

// The first of these files that is there.
std::optional<std::string> find_file(const std::string& folder,
                                     const std::vector<std::string>& names) {
    for (const std::string& name : names) {
        if (is_file(join_path(folder, name))) return join_path(folder, name);
    }
    return std::nullopt;
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
            refuse(folder, concat("the folder holds none of ", searched),
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
