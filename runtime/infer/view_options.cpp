// See view_options.h.
#include "runtime/infer/view_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iterator>

#include "runtime/program/command_line.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr int kMostPixels = 32768;
constexpr int kMostGrid = 201;

void add_detect_options(CLI::App& app, DetectOptions* detect, ViewTexts* texts) {
    const char* group = "Detection";
    app.add_flag("--detect", detect->is_on,
                 "look for objects of the network's classes: its picture slides over each picture, "
                 "at its own size and smaller ones")
        ->group(group);
    app.add_option("--pyramid-step", texts->step, "each size is so many times smaller (1.25)")
        ->type_name("FACTOR")
        ->group(group);
    app.add_option("--stride", texts->stride,
                   "pixels from a window to the next (a quarter of the network's picture)")
        ->type_name("PIXELS")
        ->group(group);
    app.add_option("--threshold", texts->threshold, "the least score of an object (0.9)")
        ->type_name("SCORE")
        ->group(group);
    app.add_option("--overlap", texts->overlap,
                   "boxes of one class with more in common than this share of what they cover "
                   "together are one object: the best stays (0.3)")
        ->type_name("SHARE")
        ->group(group);
    app.add_option("--background", detect->background,
                   "a class that is no object, by name or number; may be repeated")
        ->type_name("CLASS")
        ->allow_extra_args(false)
        ->take_all()
        ->group(group);
    app.add_option("--draw", detect->draw, "write the pictures with their boxes to this folder")
        ->type_name("FOLDER")
        ->group(group);
}

void add_nearest_options(CLI::App& app, NearestOptions* nearest, ViewTexts* texts) {
    const char* group = "Nearest pictures";
    app.add_option("--nearest", nearest->folder,
                   "of each picture, the --top pictures under this folder whose features are the "
                   "nearest")
        ->type_name("FOLDER")
        ->group(group);
    app.add_option("--feature", nearest->feature,
                   "the output that is compared (the first vector that is neither scores nor "
                   "probabilities, else the scores)")
        ->type_name("NAME")
        ->group(group);
    app.add_option("--distance", texts->distance, "cosine or l2 (cosine)")
        ->type_name("NAME")
        ->group(group);
}

void add_look_options(CLI::App& app, LookOptions* look, ViewTexts* texts) {
    const char* group = "Pictures of the network";
    app.add_option("--filters", look->filters,
                   "write the filters of the first convolution as a PNG")
        ->type_name("FILE")
        ->group(group);
    app.add_option("--feature-maps", look->feature_maps,
                   "write the maps that the network hands out, m.output(name, map), to this "
                   "folder, a PNG for each picture and output")
        ->type_name("FOLDER")
        ->group(group);
    app.add_option("--occlusion", look->occlusion,
                   "write to this folder how much the class of each picture loses where a grey "
                   "patch covers it, a PNG each")
        ->type_name("FOLDER")
        ->group(group);
    app.add_option("--patch", texts->patch, "side of the patch (a quarter of the picture)")
        ->type_name("PIXELS")
        ->group(group);
    app.add_option("--patch-stride", texts->patch_stride,
                   "pixels from a place of the patch to the next (a quarter of the patch)")
        ->type_name("PIXELS")
        ->group(group);
    app.add_option("--saliency", look->saliency,
                   "write to this folder which pixels of each picture speak for its class: the "
                   "gradient of its score, a PNG each (of programs built with --saliency)")
        ->type_name("FOLDER")
        ->group(group);
    app.add_option("--strongest", look->strongest,
                   "write to this folder the --top parts of the pictures that excite each channel "
                   "of a map the most, and what it sees in them, a PNG for each output (of "
                   "programs built with --saliency)")
        ->type_name("FOLDER")
        ->group(group);
    app.add_option("--backward", texts->backward,
                   "how the two pass relu backwards: gradient (--saliency), guided or "
                   "deconvolution (--strongest)")
        ->type_name("NAME")
        ->group(group);
    app.add_option("--loss-surface", look->loss_surface,
                   "write the loss over a set with labels (--data), around the weights along two "
                   "random directions of the filters' lengths, as a PNG, and FILE.csv")
        ->type_name("FILE")
        ->group(group);
    app.add_option("--grid", texts->grid, "points of the surface a side, odd (21)")
        ->type_name("N")
        ->group(group);
    app.add_option("--radius", texts->radius,
                   "how far it reaches (1: as far as the weights are long)")
        ->type_name("NUMBER")
        ->group(group);
}

// An option that belongs to a mode which is not asked for.
void check_belongs(const char* option, const std::string& given, const char* mode, bool is_on) {
    if (given.empty() || is_on) return;
    throw UsageError(option, concat("belongs to ", mode),
                     concat("add ", mode, ", or leave it out"));
}

// The rule of this name, or else the usual one.
std::string read_backward(const std::string& name, bool is_saliency) {
    if (name.empty()) return std::string(kBackwardRules[is_saliency ? 0 : 2]);
    if (std::find(std::begin(kBackwardRules), std::end(kBackwardRules), name) !=
        std::end(kBackwardRules))
        return name;
    throw UsageError("--backward", concat(quoted(name), " is no rule"),
                     "choose gradient, guided or deconvolution");
}

int read_pixels(const char* option, const std::string& text) {
    return text.empty() ? 0 : static_cast<int>(parse_count(option, text, 1, kMostPixels));
}

}  // namespace

const char* ViewOptions::mode() const {
    if (detect.is_on) return "--detect";
    if (!nearest.folder.empty()) return "--nearest";
    if (!look.filters.empty()) return "--filters";
    if (!look.feature_maps.empty()) return "--feature-maps";
    if (!look.occlusion.empty()) return "--occlusion";
    if (!look.saliency.empty()) return "--saliency";
    if (!look.strongest.empty()) return "--strongest";
    if (!look.loss_surface.empty()) return "--loss-surface";
    return nullptr;
}

void add_view_options(CLI::App& app, ViewOptions* options, ViewTexts* texts) {
    add_detect_options(app, &options->detect, texts);
    add_nearest_options(app, &options->nearest, texts);
    add_look_options(app, &options->look, texts);
}

void read_view_options(const ViewTexts& texts, ViewOptions* options) {
    DetectOptions& detect = options->detect;
    NearestOptions& nearest = options->nearest;
    LookOptions& look = options->look;
    const struct {
        const char* mode;
        bool is_on;
    } modes[] = {{"--detect", detect.is_on},
                 {"--nearest", !nearest.folder.empty()},
                 {"--filters", !look.filters.empty()},
                 {"--feature-maps", !look.feature_maps.empty()},
                 {"--occlusion", !look.occlusion.empty()},
                 {"--saliency", !look.saliency.empty()},
                 {"--strongest", !look.strongest.empty()},
                 {"--loss-surface", !look.loss_surface.empty()}};
    const char* first = nullptr;
    for (const auto& [mode, is_on] : modes) {
        if (!is_on) continue;
        if (first != nullptr)
            throw UsageError(mode, concat("cannot be combined with ", first), "run them in turn");
        first = mode;
    }
    const char* background = detect.background.empty() ? "" : "given";
    check_belongs("--pyramid-step", texts.step, "--detect", detect.is_on);
    check_belongs("--stride", texts.stride, "--detect", detect.is_on);
    check_belongs("--threshold", texts.threshold, "--detect", detect.is_on);
    check_belongs("--overlap", texts.overlap, "--detect", detect.is_on);
    check_belongs("--background", background, "--detect", detect.is_on);
    check_belongs("--draw", detect.draw, "--detect", detect.is_on);
    check_belongs("--feature", nearest.feature, "--nearest", !nearest.folder.empty());
    check_belongs("--distance", texts.distance, "--nearest", !nearest.folder.empty());
    check_belongs("--patch", texts.patch, "--occlusion", !look.occlusion.empty());
    check_belongs("--patch-stride", texts.patch_stride, "--occlusion", !look.occlusion.empty());
    check_belongs("--backward", texts.backward, "--saliency or --strongest",
                  !look.saliency.empty() || !look.strongest.empty());
    check_belongs("--grid", texts.grid, "--loss-surface", !look.loss_surface.empty());
    check_belongs("--radius", texts.radius, "--loss-surface", !look.loss_surface.empty());
    if (!texts.step.empty()) detect.step = parse_number("--pyramid-step", texts.step, 1.01, 16);
    detect.stride = read_pixels("--stride", texts.stride);
    if (!texts.threshold.empty())
        detect.threshold = parse_number("--threshold", texts.threshold, -1e30, 1e30);
    if (!texts.overlap.empty()) detect.overlap = parse_number("--overlap", texts.overlap, 0, 1);
    look.patch = read_pixels("--patch", texts.patch);
    look.patch_stride = read_pixels("--patch-stride", texts.patch_stride);
    if (!texts.grid.empty())
        look.grid = static_cast<int>(parse_count("--grid", texts.grid, 3, kMostGrid)) | 1;
    if (!texts.radius.empty()) look.radius = parse_number("--radius", texts.radius, 1e-6, 1e6);
    look.backward = read_backward(texts.backward, look.strongest.empty());
    if (texts.distance.empty() || texts.distance == "cosine") return;
    if (texts.distance != "l2")
        throw UsageError("--distance", concat(quoted(texts.distance), " is no distance"),
                         "choose cosine or l2");
    nearest.distance = Distance::kL2;
}

}  // namespace emulsion
