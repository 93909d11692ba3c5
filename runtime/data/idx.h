// IDX files, the format of the MNIST family: plain or compressed with gzip, told apart by content.
//
// A file is a magic number (two zero bytes, the element type, the number of axes), the length of
// each axis as a big-endian 32-bit number, and the elements. Only unsigned bytes are read. The
// header can be judged before any element is read, and the lengths are believed only as far as the
// bytes of the file bear them out. Nothing may follow the last element.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/support/file.h"

namespace emulsion {

// Parts of a data set.
enum class Part { train, test };

// Reads from the front, in parts, so that a large file costs no more memory than is asked for.
class IdxReader {
  public:
    // Reads the header of a file of `rank` axes, 1 to kMostIdxAxes; throws RuntimeError. `source`
    // must outlive the reader.
    IdxReader(const ByteSource& source, int rank);
    ~IdxReader();
    IdxReader(const IdxReader&) = delete;
    IdxReader& operator=(const IdxReader&) = delete;

    const std::vector<uint32_t>& shape() const { return shape_; }
    uint64_t elements() const { return elements_; }

    // The next elements, row-major; throws RuntimeError where the file ends before. REQUIRES: no
    // more than are left.
    void read(std::span<uint8_t> out);

    // Throws RuntimeError where anything follows, or where the compression's own checksum says that
    // the elements are not those that were written. REQUIRES: all elements are read.
    void finish();

  private:
    class Stream;

    const ByteSource& source_;
    std::unique_ptr<Stream> stream_;
    std::vector<uint32_t> shape_;
    uint64_t elements_ = 1, done_ = 0;
};

struct IdxArray {
    std::vector<uint32_t> shape;
    Bytes values;  // row-major
};

// A whole file of at most `limit_bytes` elements.
IdxArray read_idx(const std::string& path, int rank, uint64_t limit_bytes);

struct IdxFiles {
    std::string images, labels;
};

// The two files of a part in a folder: `train-images-idx3-ubyte` or `train-images.idx3-ubyte`, with
// or without `.gz` (`t10k-` for the test part), in this order. Throws RuntimeError with the names
// it looked for.
IdxFiles find_idx_files(const std::string& folder, Part part);

// Whether at least one of the two is there.
bool has_idx_files(const std::string& folder, Part part);

}  // namespace emulsion
