// What a network hands out beside the class of a picture: inner features, maps, predictions.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/program/session.h"
#include "runtime/support/atomic_file.h"

namespace emulsion {

// One output of one picture.
struct OutputValues {
    const emulsion_port* port = nullptr;
    std::span<const float> values;  // in memory's order: [K], or [H][W][C]

    // The shape {K} or {C, H, W}, empty for a number.
    std::span<const int64_t> shape() const {
        return {port->shape, static_cast<size_t>(port->rank)};
    }
    // The i-th value in the order of the shape, C, H, W.
    float at(size_t i) const;
};

// The indices of outputs by their names, or of all that can be shown (f32, one of each picture)
// where there are no names. Throws RuntimeError naming `option` where there is no such output.
std::vector<int> find_outputs(const emulsion_info& info, std::span<const std::string> names,
                              const std::string& option);

// Those of them that are maps (C, H, W). Throws RuntimeError naming `mode` where none is.
std::vector<int> find_maps(const emulsion_info& info, std::span<const std::string> names,
                           const char* mode);

// Whether all values are finite.
bool has_finite_values(std::span<const OutputValues> outputs);

// FOLDER/NAME.npy for each output: float32, [pictures, K] or [pictures, C, H, W], written as the
// pictures come; and FOLDER/pictures.txt, their names, a line each. The files take their places in
// commit(), whatever ends the program before leaves none. Throws RuntimeError.
class OutputFiles {
  public:
    OutputFiles(const std::string& folder, const emulsion_info& info, std::span<const int> outputs);
    void add(const std::string& picture, std::span<const OutputValues> outputs);
    void commit();

  private:
    std::vector<const emulsion_port*> ports_;
    std::vector<std::unique_ptr<AtomicFile>> arrays_;
    AtomicFile names_;
    uint64_t count_ = 0;
    std::vector<float> row_;
};

// The header of a .npy file of float32, [count, shape...], of kNpyHeader bytes whatever the count.
inline constexpr size_t kNpyHeader = 256;
std::string npy_header(uint64_t count, std::span<const int64_t> shape);

// "00003-ankle-boot.png": letters and digits of the text, everything else a hyphen.
std::string picture_file_name(uint64_t index, const std::string& text);

// "street" of "photos/street.jpg".
std::string stem_of(const std::string& path);

// Colours that follow each other far apart: the bits of the index, from its lowest, go to red,
// green and blue from their highest, as in the masks of PASCAL VOC. 0 is black.
std::array<uint8_t, 3> index_colour(int index);

// The class with the best score of each pixel, as a PNG with a palette: FOLDER/00003-street.png.
// `scores`: [H][W][K]. Returns the path. Throws RuntimeError.
std::string write_mask(const std::string& folder, uint64_t index, const std::string& picture,
                       std::span<const float> scores, const PictureShape& shape);

}  // namespace emulsion
