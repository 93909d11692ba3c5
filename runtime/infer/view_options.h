// The options of the inference program's further modes: detection, nearest pictures, and pictures
// of the network.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace emulsion {

struct DetectOptions {
    bool is_on = false;
    double step = 1.25;                   // between two sizes of the picture
    int stride = 0;                       // pixels between windows; 0: a quarter of the window
    std::optional<double> threshold;      // of scores; 0.9 of probabilities
    double overlap = 0.3;                 // intersection over union of boxes that both stay
    std::vector<std::string> background;  // classes that are no objects, by name or number
    std::string draw;                     // folder
};

enum class Distance { kCosine, kL2 };

struct NearestOptions {
    std::string folder;   // whose pictures are compared; empty: off
    std::string feature;  // output; empty: the first vector that is neither score nor probability
    Distance distance = Distance::kCosine;
};

// By which rule gradients pass rectifiers: compiler/autodiff/differentiate.h.
inline constexpr std::string_view kBackwardRules[] = {"gradient", "guided", "deconvolution"};

struct LookOptions {
    std::string filters;              // PNG
    std::string feature_maps;         // folder
    std::string occlusion;            // folder
    int patch = 0, patch_stride = 0;  // pixels of the network's picture; 0: by its size
    std::string saliency, strongest;  // folders
    std::string backward;             // one of kBackwardRules, of those two
    std::string loss_surface;         // PNG
    int grid = 0;                     // points a side; 0: 21
    double radius = 1.0;
    bool has_any() const {
        return !filters.empty() || !feature_maps.empty() || !occlusion.empty() ||
               !saliency.empty() || !strongest.empty() || !loss_surface.empty();
    }
};

struct ViewOptions {
    DetectOptions detect;
    NearestOptions nearest;
    LookOptions look;

    // The option of the mode that is asked for; null where the program classifies.
    const char* mode() const;
};

// As text, until they are read.
struct ViewTexts {
    std::string step, stride, threshold, overlap, distance, patch, patch_stride, backward, grid,
        radius;
};

void add_view_options(CLI::App& app, ViewOptions* options, ViewTexts* texts);

// Throws UsageError, also where options belong to a mode that is not asked for, or two modes are.
void read_view_options(const ViewTexts& texts, ViewOptions* options);

}  // namespace emulsion
