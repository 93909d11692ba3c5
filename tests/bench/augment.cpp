// Pictures a second of one core: out of memory as they are, and augmented in the usual ways.
//
//     bench_augment [SECONDS]     for each measurement (0.5)
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>

#include "runtime/data/augmenter.h"
#include "runtime/data/synthetic.h"

namespace emulsion {
namespace {

AugmentPiece piece(const std::string& kind, const std::vector<double>& numbers) {
    AugmentPiece result = usual_piece(kind);
    for (size_t i = 0; i < numbers.size(); i++) result.values[i] = numbers[i];
    return result;
}

struct Case {
    const char* name;
    Augmentation augmentation;
};

std::vector<Case> cases_of() {
    const AugmentPiece flip = piece("horizontal_flip", {0.5}), crop = piece("random_crop", {1, 4});
    const AugmentPiece rotate = piece("rotate", {1, -10, 10}), zoom = piece("zoom", {1, 0.8, 1.2});
    const AugmentPiece bright = piece("brightness", {1, 0.8, 1.2}),
                       contrast = piece("contrast", {1, 0.8, 1.2});
    const auto chain = [](std::vector<AugmentPiece> pieces) {
        return Augmentation{std::move(pieces), Fill::constant, 0, 0};
    };
    return {{"flip, crop", chain({flip, crop})},
            {"flip, rotate, zoom", chain({flip, rotate, zoom})},
            {"resized crop, flip, brightness, contrast",
             chain({piece("random_resized_crop", {}), flip, bright, contrast})},
            {"blur of 1 pixel", chain({piece("blur", {1, 1, 1})})},
            {"noise", chain({piece("noise", {1, 10})})},
            {"elastic", chain({piece("elastic", {})})}};
}

// Pictures a second of the processor's time, of read(index, row): the best of three rounds.
template <class Read>
double rate_of(double seconds, uint64_t count, std::vector<float>* row, const Read& read) {
    double best = 0;
    for (int round = 0; round < 3; round++) {
        uint64_t done = 0;
        double passed = 0;
        for (const std::clock_t begin = std::clock(); passed < seconds / 3;
             passed = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC) {
            for (int i = 0; i < 16; i++) read(static_cast<uint32_t>(done++ % count), row->data());
        }
        best = std::max(best, static_cast<double>(done) / passed);
    }
    return best;
}

void measure(const PictureShape& shape, double seconds) {
    constexpr uint64_t kCount = 256;
    const Dataset data = make_synthetic(kCount, Part::train, shape, 10);
    const float mean[] = {0.5f, 0.4f, 0.3f}, deviation[] = {0.2f, 0.3f, 0.4f};
    const Normalizer normalizer(shape.channels, mean, deviation);
    std::vector<float> row(shape.elements());
    const double plain = rate_of(seconds, kCount, &row, [&](uint32_t index, float* to) {
        data.read(index, normalizer, to);
    });
    std::printf("%s: as they are %.0f pictures/s\n", to_text(shape).c_str(), plain);
    for (const Case& each : cases_of()) {
        const Augmenter augmenter(each.augmentation, shape, 1);
        AugmentMemory memory;
        const double rate = rate_of(seconds, kCount, &row, [&](uint32_t index, float* to) {
            augmenter.write_row(data.picture_at(index), 0, index, normalizer, &memory, to);
        });
        std::printf("  %-42s %9.0f pictures/s\n", each.name, rate);
    }
}

}  // namespace
}  // namespace emulsion

int main(int argc, char** argv) {
    const double seconds = argc > 1 ? std::strtod(argv[1], nullptr) : 0.5;
    for (const emulsion::PictureShape shape :
         {emulsion::PictureShape{1, 28, 28}, {3, 32, 32}, {3, 224, 224}}) {
        emulsion::measure(shape, seconds);
    }
    return 0;
}
