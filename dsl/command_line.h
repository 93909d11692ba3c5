// The command line of a model program (./lenet build …) and of the program `emulsion` (emulsion
// build lenet.cpp …), which differ in the file that is named.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compiler/graph/network.h"
#include "compiler/pipeline.h"
#include "schedules/tune/tuner.h"

namespace emulsion {

// What show draws, as words of the command line.
struct ShownWindow {
    std::string layer;  // of the model
    std::string svg;    // the file that it is drawn into, or empty
    std::string size = "5", kernel = "3", window = "2", stride, padding = "valid", dilation = "1",
                output_padding = "0";
    bool round_up = false;
};

struct SweepOptions {
    std::vector<std::string> axes;  // "width=16,32"
    std::string limit_macs, limit_parameters;
    std::optional<int> random;
    uint64_t seed = 1;
};

struct CommandLine {
    // "build", "show", "summary", "train", "sweep", "tune", "records", "ops" or "machine"
    std::string command;
    std::string file;                // the model, for `emulsion`
    std::vector<std::string> given;  // the command's options, as words: "--batch=64"
    std::string stage = "graph";     // of show
    ShownWindow shown;               // of show
    std::string profile;             // of show: what the stage "roofline" reads
    BuildOptions options;
    std::string expected_name;     // of build: what the model must be called, or empty
    std::string expected_purpose;  // of build: "training", "inference" (alone), or empty
    std::string depfile;           // of build: where the rule of its products goes, or empty
    std::vector<std::string> dependencies;  // what the model was read from
    std::vector<std::string> rest;          // of train: what the trainer gets
    std::vector<std::string> records;  // files of tuned records: what a build takes, or tune writes
    bool fits = false;                 // of records model: fits its constants
    bool no_records = false;           // none but those in `records`
    TuneOptions tune;                  // of tune
    bool no_model = false;             // of tune: candidates are ranked by the recipes' constants
    std::string report;                // of tune: the page it writes, or empty
    std::string settings;              // that the model file has asked for, with their values
    SweepOptions sweep;                // of sweep
    bool json = false;
    std::string action;              // of records: "list", "show", "merge", "prune", "export"
    std::vector<std::string> files;  // of records
    std::string target_file;
    std::string op;        // of ops: the one that is described, or empty
    std::string machine;   // of a build: what it is for, build_records.h; of records export
    bool measure = false;  // of machine: anew
};

// What the arguments say, or, where they end the program (help, version, wrong usage: printed), the
// exit code.
struct ParsedCommandLine {
    std::optional<CommandLine> line;
    int exit_code = 0;
};

// `program` stands in messages; `reads_file` is true for `emulsion`.
ParsedCommandLine parse_command_line(const std::string& program, bool reads_file, int argc,
                                     char** argv);

// The arguments of a model program that say the same: "build", "--output=out", ….
std::vector<std::string> to_arguments(const CommandLine& line);

// Does what the line says and returns the exit code; `train` becomes the trainer instead. Throws
// Error.
int run_command(const CommandLine& line, const Network& network);

// Prints mistakes to stderr, and their number where there are several.
void print_mistakes(const std::vector<Diagnostic>& mistakes);

}  // namespace emulsion
