// The options of both programs that say what data are and how they become rows.
#pragma once
#include <optional>
#include <string>

#include "runtime/data/open.h"
#include "runtime/data/resize.h"

namespace CLI {
class App;
}

namespace emulsion {

// As text, until they are read.
struct DataTexts {
    std::string resize, fit, scale, readers;
};

struct DataOptions {
    // Of --resize and --fit: where one of them is given, the other has its default.
    std::optional<PictureRule> rule;
    std::optional<double> scale;
    int readers = 1;  // threads; the CPUs this process may use
};

// What --data takes, in words.
std::string data_help();

// Adds --resize, --fit, --scale and --readers.
void add_data_options(CLI::App& app, DataTexts* texts);

// Throws UsageError.
DataOptions read_data_options(const DataTexts& texts);

}  // namespace emulsion
