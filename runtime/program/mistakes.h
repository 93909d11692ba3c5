// The mistakes of a network on labelled pictures: of those that it takes for another class, the
// ones that it is surest of.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "runtime/data/source.h"

namespace emulsion {

struct Mistake {
    uint32_t index = 0;  // in the source
    int label = 0, found = 0;
    float score = 0.0f;  // of the class that the picture was taken for
};

class MistakeList {
  public:
    explicit MistakeList(size_t most) : most_(most) {}

    // One picture, right or wrong; a label that is no class, and scores that are not finite, are
    // none.
    void add(uint32_t index, int32_t label, std::span<const float> scores);
    // Those kept, highest score first; of equal scores the lower index.
    std::vector<Mistake> worst() const;

  private:
    size_t most_;
    std::vector<Mistake> kept_;  // a heap, the one to be dropped next in front
};

// A mistake to be shown.
struct ShownMistake {
    std::string name;  // of the picture in its source
    int label = 0, found = 0;
    double score = 0.0;
    PictureShape shape = {};
    Bytes png = {};
};

// The pictures of the mistakes, none side longer than `side` pixels. Nothing where rows of the
// source are no pictures. Throws RuntimeError where a picture cannot be read.
std::vector<ShownMistake> show_mistakes(const Source& source, std::span<const Mistake> mistakes,
                                        int side);

// No side longer than `side`, proportions kept, the picture itself where it is small enough.
Picture shrink_picture(Picture picture, int side);

}  // namespace emulsion
