// IDX files, the format of the MNIST family: plain or compressed with gzip, told apart by content.
//
// A file is a magic number (two zero bytes, the element type, the number of axes), the length of
// each axis as a big-endian 32-bit number, and the elements. Only unsigned bytes are read. The
// lengths are believed as far as the bytes of the file bear them out: memory is taken as data
// arrives, and nothing may follow the last element.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/support/file.h"

namespace emulsion {

// Parts of a data set.
enum class Part { train, test };

struct IdxArray {
    std::vector<uint32_t> shape;
    Bytes values;  // row-major
};

// Reads an IDX file of `rank` axes; throws RuntimeError.
IdxArray read_idx(const std::string& path, int rank, uint64_t limit_bytes = uint64_t(1) << 34);

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
