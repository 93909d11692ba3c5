// Pictures a second of the processor's time that the loader reads out of folders of picture files,
// on one thread, into batches of 64: decoded, resized and normalised, then flipped and cropped at
// random as well.
//
//     bench_loader FOLDER SIDE SECONDS     lines "WHAT RATE"; tests/bench/loader compares them
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <numeric>
#include <vector>

#include "runtime/data/augmenter.h"
#include "runtime/data/loader.h"
#include "runtime/data/open.h"
#include "runtime/program/command_line.h"

namespace emulsion {
namespace {

Augmentation flip_and_crop() {
    AugmentPiece flip = usual_piece("horizontal_flip"), crop = usual_piece("random_crop");
    flip.values[0] = 0.5;
    crop.values[1] = 4;  // pixels around it
    return {{flip, crop}, Fill::constant, 0, 0};
}

// Of whole batches, for at least so many seconds; the first is not counted.
double rate_of(const Source& source, const Augmenter* augmenter, double seconds) {
    const float mean[] = {0.5f, 0.4f, 0.3f}, deviation[] = {0.2f, 0.3f, 0.4f};
    std::vector<uint32_t> all(source.count());
    std::iota(all.begin(), all.end(), 0u);
    Loader loader(source, all, Normalizer(source.shape.channels, mean, deviation),
                  {.seed = 1, .workers = 0, .augmenter = augmenter});
    loader.next();
    const std::clock_t begin = std::clock();
    int done = 0;
    double passed = 0;
    while (passed < seconds) {
        done += loader.next().samples;
        passed = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    }
    return done / passed;
}

int run(int argc, char** argv) {
    if (argc != 4) throw UsageError("bench_loader", "needs FOLDER SIDE SECONDS", "give the three");
    const int side = static_cast<int>(parse_count("SIDE", argv[2], 1, 4096));
    const double seconds = parse_number("SECONDS", argv[3], 0.001, 3600);
    DataRequest request;
    request.shape = {3, side, side};
    request.classes = 10;
    const std::unique_ptr<Source> source = open_source(argv[1], Part::train, request);
    const Augmenter augmenter(flip_and_crop(), request.shape, 1);
    std::printf("read %.1f\n", rate_of(*source, nullptr, seconds));
    std::printf("augmented %.1f\n", rate_of(*source, &augmenter, seconds));
    return 0;
}

}  // namespace
}  // namespace emulsion

int main(int argc, char** argv) {
    return emulsion::guard_main([&] { return emulsion::run(argc, argv); });
}
