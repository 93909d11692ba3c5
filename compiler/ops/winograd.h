// Convolution by Winograd's minimal filtering: Y = A^T [ (G g G^T) * (B^T d B) ] A for tiles of
// m x m outputs of an r x r filter (Lavin and Gray, "Fast Algorithms for Convolutional Neural
// Networks", 2015) over p = m + r - 1 points:
//
//     F(4x4,3x3), F(2x2,5x5)   p = 6: 0, 1, -1, 2, -2 and infinity
//     F(2x2,3x3)               p = 4: 0, 1, -1 and infinity
//
// winograd_filter(w [O,I,r,r]) {tile=m} -> u [O,I,p,p] with u = G w G^T.
// winograd_conv2d(x [n,I,H,W], u [O,I,p,p]) {tile=m, padding} -> [n,O,OH,OW], the convolution at
// stride 1 with the filter that u was made of. It rounds differently from conv2d: the error grows
// with the sum of |B^T d B| and |A^T .. A|, with 6 points some 10 times that of conv2d. Example:
// tile=4 (r=3), padding [1,1,1,1] keeps f32[n,64,56,56] and needs 36 instead of 144 products for
// 16 outputs.
#pragma once

#include "compiler/graph/op.h"

namespace emulsion {

// Whether there is a form for this tile and this filter.
bool has_winograd(int64_t tile, int64_t kernel);

// Products for each pair of channels of one sample, on a map of height x width outputs.
int64_t winograd_products(int64_t tile, int64_t kernel, int64_t height, int64_t width);

// The matrices as rows of doubles: A^T is m x p, B^T p x p, G p x r.
struct WinogradMatrices {
    std::vector<std::vector<double>> output, input, filter;
    int points() const { return static_cast<int>(input.size()); }
};
// REQUIRES: has_winograd(tile, kernel).
WinogradMatrices winograd_matrices(int tile, int kernel);

class WinogradFilter : public Op {
  public:
    std::string_view kind() const override { return "winograd_filter"; }
    void fields(Fields& f) override { f.field("tile", tile); }
    OpClass op_class() const override { return OpClass::anchor; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    bool stages(size_t) const override { return true; }
    int64_t tile = 4;
};

class WinogradConv2d : public Op {
  public:
    std::string_view kind() const override { return "winograd_conv2d"; }
    void fields(Fields& f) override {
        f.field("tile", tile);
        f.field("padding", padding);
    }
    OpClass op_class() const override { return OpClass::anchor; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    // Those of the convolution it stands for.
    int64_t multiply_adds(std::span<const TensorType> inputs) const override;
    bool stages(size_t operand) const override { return operand == 0; }
    // r, for a filter of type u.
    int64_t kernel(const TensorType& u) const { return u.shape[2] + 1 - tile; }
    int64_t tile = 4;
    std::vector<int64_t> padding = {0, 0, 0, 0};  // top, bottom, left, right
};

}  // namespace emulsion
