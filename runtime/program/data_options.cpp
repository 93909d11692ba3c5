// See data_options.h.
#include "runtime/program/data_options.h"

#include <CLI/CLI.hpp>

#include "runtime/abi/instance.h"
#include "runtime/data/synthetic.h"
#include "runtime/program/command_line.h"
#include "runtime/support/limits.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr const char* kGroup = "Data";
constexpr int kMostReaders = 256;

}  // namespace

std::string data_help() {
    return concat(
        "a known data set (fashion-mnist, mnist); a folder of IDX files, of CIFAR's "
        "binary files, or with a folder of PNG, JPEG, BMP, PGM or PPM pictures for each "
        "class; a .csv file of labels and numbers, a .bin file as CIFAR's, or a list of "
        "pictures, a path and a label a line; a reader of your own, FILE.so[:ARGUMENT] "
        "(examples/reader.c); or synthetic[:N], N made-up pictures (",
        kSyntheticPictures, ")");
}

void add_data_options(CLI::App& app, DataTexts* texts) {
    app.add_option("--resize", texts->resize,
                   "how pictures get the network's size: nearest, bilinear, bicubic or area "
                   "(bilinear for picture files; other data must have the size)")
        ->type_name("NAME")
        ->group(kGroup);
    app.add_option("--fit", texts->fit,
                   "stretch to the network's height and width, or crop: scale the shorter side and "
                   "cut the middle out (stretch)")
        ->type_name("NAME")
        ->group(kGroup);
    app.add_option("--scale", texts->scale,
                   "numbers of .csv files and of .npy files of float32 are divided by it (1)")
        ->type_name("NUMBER")
        ->group(kGroup);
    app.add_option("--readers", texts->readers,
                   "threads that read, decode and augment pictures (all CPUs this process may "
                   "use); results "
                   "do not depend on it")
        ->type_name("N")
        ->group(kGroup);
}

DataOptions read_data_options(const DataTexts& texts) {
    DataOptions options;
    if (!texts.resize.empty() || !texts.fit.empty()) options.rule = kDefaultRule;
    if (!texts.resize.empty()) {
        const std::optional<Resize> resize = find_resize(texts.resize);
        if (!resize) {
            throw UsageError("--resize", concat(quoted(texts.resize), " is no way to resize"),
                             concat("choose ", kResizeNames));
        }
        options.rule->resize = *resize;
    }
    if (!texts.fit.empty()) {
        const std::optional<Fit> fit = find_fit(texts.fit);
        if (!fit) {
            throw UsageError("--fit", concat(quoted(texts.fit), " is no way to fit a picture"),
                             concat("choose ", kFitNames));
        }
        options.rule->fit = *fit;
    }
    if (!texts.scale.empty())
        options.scale = parse_number("--scale", texts.scale, kLeastScale, kMostScale);
    options.readers =
        texts.readers.empty()
            ? emulsion_cpu_count()
            : static_cast<int>(parse_count("--readers", texts.readers, 1, kMostReaders));
    return options;
}

}  // namespace emulsion
