// The command line of the inference program.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/abi/program.h"
#include "runtime/data/idx.h"
#include "runtime/program/command_line.h"
#include "runtime/program/device.h"

namespace emulsion {

struct InferOptions {
    std::string program;                // as typed, for messages
    std::vector<std::string> pictures;  // PNG and JPEG files
    std::string weights;
    std::string data;             // name of a data set, or folder
    std::optional<Part> part;     // of --data; test
    std::string idx, labels;      // one IDX file each
    std::optional<int64_t> take;  // the first pictures only
    std::string write_pictures;   // folder
    int threads = 1;
    int variant = 0;  // as in emulsion_options
    Device device;
    std::optional<int> top;  // 3
    bool json = false, benchmark = false, stays_awake = false;
    std::string profile;  // file, kPrintProfile, or empty: none
    std::string trace;    // file, or empty: none

    bool has_profile() const { return !profile.empty(); }
    bool has_trace() const { return !trace.empty(); }
    bool measures() const { return benchmark || has_profile() || has_trace(); }
    bool has_set() const { return !data.empty() || !idx.empty(); }
};

// Throws UsageError, and RuntimeError where the device asked for is not there; kShown: help,
// version or devices were printed and the program ends with 0.
CommandLineResult parse_infer_options(int argc, const char* const* argv,
                                      const emulsion_infer_library& library, InferOptions* options);

}  // namespace emulsion
