// Numbers in the place of pixels: CSV, and arrays of NumPy (.npy) with those of bytes among them.
//
// CSV: a line is a label, a class index (of a network that is trained towards numbers: as many as
// it predicts), and the numbers of one row, parted by commas, in the order C, H, W of the network's
// input; a first line that does not begin with a number is a heading. .npy: versions 1 to 3, C
// order, little-endian, of type |u1 (pixels) or <f4 (numbers); the axes are [n, H, W] for one
// channel, [n, C, H, W], [n, H, W, C], or [n, C*H*W] in the order C, H, W. Labels are a .npy of
// whole numbers [n], of 1, 2, 4 or 8 bytes.
//
// Numbers are divided by a scale and take the place of pixel / 255 in the network's normalisation.
// NaN and infinity are refused with their row.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "runtime/data/open.h"
#include "runtime/data/source.h"

namespace emulsion {

// Rows of numbers in memory.
struct Table : Source {
    std::vector<float> numbers;  // [n][H][W][C], divided by the scale

    uint64_t count() const override;
    void read(uint64_t index, const Normalizer& normalizer, float* row) const override;
    bool is_in_memory() const override { return true; }
    uint64_t bytes() const override {
        return numbers.size() * sizeof(float) + (labels.size() + targets.size()) * sizeof(int32_t);
    }
    uint32_t checksum() const override;
};

std::unique_ptr<Source> read_csv(const std::string& path, const DataRequest& request);

// A .npy of what rows are trained towards: class indices [n, H, W] of whole numbers, or numbers
// [n, K], [n, C, H, W], [n, H, W, C] or, where it is one each, [n], of type <f4. In the order of
// Source::targets. Throws RuntimeError. REQUIRES: request.target is a map or numbers.
std::vector<int32_t> read_npy_targets(const std::string& path, const DataRequest& request);

// A list of pictures: a path and target.elements() numbers a line, parted by blanks.
std::unique_ptr<Source> open_number_list(const std::string& path, const DataRequest& request);

// Whether the file begins like an array of NumPy.
bool is_npy(const std::string& path);

// Without labels where `labels` is empty. An array of bytes gives a Dataset, one of numbers a
// Table.
std::unique_ptr<Source> read_npy(const std::string& images, const std::string& labels,
                                 const DataRequest& request);

}  // namespace emulsion
