// The command line of the inference program.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/abi/program.h"
#include "runtime/data/idx.h"
#include "runtime/infer/view_options.h"
#include "runtime/program/command_line.h"
#include "runtime/program/data_options.h"
#include "runtime/program/device.h"

namespace emulsion {

inline constexpr const char* kStandardInput = "-";

struct InferOptions {
    std::string program;                // as typed, for messages
    std::vector<std::string> pictures;  // files, and folders of them
    std::string list;                   // file of paths, or kStandardInput, or empty
    std::string weights;
    std::string data;          // name of a data set, or path
    std::optional<Part> part;  // of --data; test
    std::string idx, labels;   // one file each, IDX or .npy
    DataOptions reading;
    std::optional<int> batch;              // pictures of a run; as many as the library takes
    std::optional<int64_t> take;           // the first pictures only
    std::string write_pictures;            // folder
    std::vector<std::string> outputs;      // by name, beside the class
    std::string save_outputs, save_masks;  // folders
    ViewOptions view;
    int threads = 1;
    int variant = 0;  // as in emulsion_options
    Device device;
    std::optional<int> top;  // 3
    bool json = false, csv = false, benchmark = false, stays_awake = false;
    std::string profile;  // file, kPrintProfile, or empty: none
    std::string trace;    // file, or empty: none

    bool has_profile() const { return !profile.empty(); }
    bool has_trace() const { return !trace.empty(); }
    bool measures() const { return benchmark || has_profile() || has_trace(); }
    bool has_set() const { return !data.empty() || !idx.empty(); }
    bool has_outputs() const {
        return !outputs.empty() || !save_outputs.empty() || !save_masks.empty();
    }
    bool has_files() const { return !pictures.empty() || !list.empty(); }
};

// Throws UsageError, and RuntimeError where the device asked for is not there; kShown: help,
// version or devices were printed and the program ends with 0.
CommandLineResult parse_infer_options(int argc, const char* const* argv,
                                      const emulsion_infer_library& library, InferOptions* options);

}  // namespace emulsion
