// What options of layers are made of: sizes, paddings, borders, and how weights start.
#pragma once

namespace emulsion {

// A number for each axis of positions of a map, all equal, `.kernel = 5`, or of a height and a
// width, `{1, 7}`, or of a depth, a height and a width, `{3, 5, 5}`.
struct Size {
    constexpr Size(int all) : d(all), h(all), w(all), count(1) {}
    constexpr Size(int height, int width) : d(1), h(height), w(width), count(2) {}
    constexpr Size(int depth, int height, int width) : d(depth), h(height), w(width), count(3) {}
    int d, h, w;
    int count;  // numbers given
};

// Zeros around a map: `valid` (none), `same` (output = ceil(input / stride), an odd one goes right,
// below and behind), cells on all sides `2`, or for each axis as those of Size, on both sides, or
// for each side: `{before, after}` of a length, `{top, bottom, left, right}`, or `{front, back,
// top, bottom, left, right}`.
struct Padding {
    constexpr Padding(int all) : Padding(all, all, all, all, all, all, 1) {}
    constexpr Padding(int vertical, int horizontal)
        : Padding(0, 0, vertical, vertical, horizontal, horizontal, 2) {}
    constexpr Padding(int depth, int vertical, int horizontal)
        : Padding(depth, depth, vertical, vertical, horizontal, horizontal, 3) {}
    constexpr Padding(int t, int b, int l, int r) : Padding(0, 0, t, b, l, r, 4) {}
    constexpr Padding(int f, int k, int t, int b, int l, int r) : Padding(f, k, t, b, l, r, 6) {}
    static constexpr Padding computed() {
        Padding padding(0);
        padding.is_same = true;
        return padding;
    }
    int front, back, top, bottom, left, right;
    int count;             // numbers given
    bool is_same = false;  // the sizes follow from input, kernel and stride

  private:
    constexpr Padding(int f, int k, int t, int b, int l, int r, int given)
        : front(f), back(k), top(t), bottom(b), left(l), right(r), count(given) {}
};
inline constexpr Padding valid = Padding(0);
inline constexpr Padding same = Padding::computed();

// What a padded cell holds. Of a row a b c:
struct Border {
    static Border zeros() { return {"constant", 0}; }
    static Border constant(double value) { return {"constant", value}; }
    static Border reflect() { return {"reflect", 0}; }      // c b | a b c | b a
    static Border symmetric() { return {"symmetric", 0}; }  // b a | a b c | c b
    static Border replicate() { return {"replicate", 0}; }  // a a | a b c | c c
    const char* kind = "";  // the layer's own: zeros for a convolution, nothing for pooling
    double value = 0;
};

// How a trained tensor starts; what PyTorch and Keras call, of m inputs and n outputs of a result,
//
//     he             kaiming_normal_   HeNormal       normal, deviation sqrt(2 / m)
//     he_uniform     kaiming_uniform_  HeUniform      uniform, bound sqrt(6 / m)
//     glorot         xavier_uniform_   GlorotUniform  uniform, bound sqrt(6 / (m + n))
//     glorot_normal  xavier_normal_    GlorotNormal   normal, deviation sqrt(2 / (m + n))
//     lecun                            LecunNormal    normal, deviation sqrt(1 / m)
//     lecun_uniform                    LecunUniform   uniform, bound sqrt(3 / m)
//
// he suits layers in front of a ReLU, glorot those in front of tanh or sigmoid, lecun those without
// activation. Normal numbers are not cut off (Keras cuts at two deviations).
struct Init {
    static Init he() { return {"he", 0}; }
    static Init he_uniform() { return {"he_uniform", 0}; }
    static Init glorot() { return {"glorot", 0}; }
    static Init glorot_normal() { return {"glorot_normal", 0}; }
    static Init lecun() { return {"lecun", 0}; }
    static Init lecun_uniform() { return {"lecun_uniform", 0}; }
    static Init zeros() { return {"zeros", 0}; }
    static Init ones() { return {"ones", 0}; }
    static Init constant(double value) { return {"constant", value}; }
    static Init normal(double deviation) { return {"normal", deviation}; }
    static Init uniform(double bound) { return {"uniform", bound}; }
    const char* kind = "he";
    double scale = 0;
};

}  // namespace emulsion
