// See options.h. Numbers are taken as text and read by parse_count, because CLI11 reads them in the
// locale.
#include "runtime/infer/options.h"

#include <CLI/CLI.hpp>

#include "runtime/abi/instance.h"
#include "runtime/data/synthetic.h"
#include "runtime/program/format.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

struct Numbers {
    std::string take, threads, top, variant, part, batch;
    DataTexts data;
    ViewTexts view;
    DeviceOptions device;
};

void add_options(CLI::App& app, const emulsion_info& info, InferOptions* options,
                 Numbers* numbers) {
    app.add_option("pictures", options->pictures,
                   "PNG, JPEG, BMP, PGM or PPM files to classify, and folders of them")
        ->type_name("PICTURE");
    app.add_option(
           "--list", options->list,
           "a file that names pictures to classify, a path a line, or - for standard input, "
           "whose pictures are classified as their names come")
        ->type_name("FILE|-");
    app.add_option("--weights", options->weights, "the trained weights (weights.safetensors)")
        ->type_name("FILE");
    app.add_option("--top", numbers->top, "how many classes to print for a picture (3)")
        ->type_name("K");
    app.add_flag("--json", options->json, "print one JSON object a line");
    app.add_flag("--csv", options->csv, "print a CSV line for each picture");
    app.add_option("--output", options->outputs,
                   "with --json and --csv: the values of this output of the network too, such as "
                   "inner features; with --save-outputs: these alone; may be repeated")
        ->type_name("NAME")
        ->allow_extra_args(false)
        ->take_all();
    app.add_option("--save-outputs", options->save_outputs,
                   "write what the network hands out to this folder, NAME.npy (float32, a row a "
                   "picture) and the names of the pictures to pictures.txt")
        ->type_name("FOLDER");
    app.add_option("--save-masks", options->save_masks,
                   "of a network that classifies each pixel: write the classes of each picture's "
                   "pixels to this folder, a PNG of indices with a palette")
        ->type_name("FOLDER");
    app.add_option("--batch", numbers->batch,
                   concat("pictures that run at once, at most ", info.batch, " (", info.batch, ")"))
        ->type_name("N");
    app.add_option("--threads", numbers->threads, "worker threads (all CPUs this process may use)")
        ->type_name("N");
    app.add_option("--variant", numbers->variant, "instruction set instead of the best")
        ->type_name("NAME");
    add_device_options(app, info, &numbers->device);
    const char* set = "Pictures of a data set";
    app.add_option("--data", options->data, data_help())->type_name("NAME|PATH")->group(set);
    app.add_option("--part", numbers->part, "its part: train or test (test)")
        ->type_name("PART")
        ->group(set);
    app.add_option("--idx,--images", options->idx,
                   "one file of pictures, IDX (plain or .gz) or .npy")
        ->type_name("FILE")
        ->group(set);
    app.add_option("--labels", options->labels, "the file of their labels: report the accuracy")
        ->type_name("FILE")
        ->group(set);
    app.add_option("--take", numbers->take, "the first N pictures only, each with its classes")
        ->type_name("N")
        ->group(set);
    app.add_option(
           "--write-pictures", options->write_pictures,
           "write the pictures to this folder as PNG files and end (the first 10, or --take)")
        ->type_name("FOLDER")
        ->group(set);
    add_data_options(app, &numbers->data);
    add_view_options(app, &options->view, &numbers->view);
    const char* speed = "Speed";
    app.add_flag("--benchmark", options->benchmark,
                 "measure latency, and throughput of every batch")
        ->group(speed);
    add_profile_option(app, &options->profile)->group(speed);
    add_trace_option(app, &options->trace)->group(speed);
    app.add_flag("--stay-awake", options->stays_awake,
                 "workers do not sleep between runs of a benchmark")
        ->group(speed);
}

void read_numbers(const Numbers& numbers, const emulsion_info& info, InferOptions* options) {
    options->threads =
        numbers.threads.empty()
            ? emulsion_cpu_count()
            : static_cast<int>(parse_count("--threads", numbers.threads, 1, EMULSION_MAX_THREADS));
    if (!numbers.top.empty())
        options->top = static_cast<int>(parse_count("--top", numbers.top, 1, 1000000));
    if (!numbers.take.empty()) options->take = parse_count("--take", numbers.take, 1, INT32_MAX);
    if (!numbers.batch.empty())
        options->batch = static_cast<int>(parse_count("--batch", numbers.batch, 1, info.batch));
    options->reading = read_data_options(numbers.data);
    read_view_options(numbers.view, &options->view);
    options->variant = find_variant(info, numbers.variant);
    read_option([&] { synthetic_count(options->data); });
    if (numbers.part.empty()) return;
    if (numbers.part != "train" && numbers.part != "test") {
        throw UsageError("--part", concat(quoted(numbers.part), " is no part of a data set"),
                         "choose train or test");
    }
    options->part = numbers.part == "train" ? Part::train : Part::test;
}

void refuse(const char* option, const std::string& problem, const std::string& fix) {
    throw UsageError(option, problem, fix);
}

// Of the data's options, where no data are read.
void check_unread(const Numbers& numbers, const std::string& problem, const std::string& fix) {
    if (!numbers.data.resize.empty()) refuse("--resize", problem, fix);
    if (!numbers.data.fit.empty()) refuse("--fit", problem, fix);
    if (!numbers.data.scale.empty()) refuse("--scale", problem, fix);
    if (!numbers.data.readers.empty()) refuse("--readers", problem, fix);
}

// Of the outputs and further modes, where none are shown.
void check_outputs_unread(const InferOptions& options, const std::string& problem,
                          const std::string& fix) {
    if (options.view.mode() != nullptr) refuse(options.view.mode(), problem, fix);
    if (!options.outputs.empty()) refuse("--output", problem, fix);
    if (!options.save_outputs.empty()) refuse("--save-outputs", problem, fix);
    if (!options.save_masks.empty()) refuse("--save-masks", problem, fix);
}

// Speed is measured with random pictures: what names others, or says how to show them, is refused.
void check_measurement(const InferOptions& options, const Numbers& numbers) {
    const char* measure = options.benchmark       ? "--benchmark"
                          : options.has_profile() ? "--profile"
                                                  : "--trace";
    const std::string problem =
        concat("cannot be combined with ", measure, ", which measures with random pictures");
    const std::string fix = "leave one of the two out";
    if (!options.pictures.empty()) {
        refuse("pictures", problem,
               options.has_trace()
                   ? "leave them out"
                   : "leave them out; a file for the times of --profile is named --profile=FILE");
    }
    if (!options.write_pictures.empty()) refuse("--write-pictures", problem, fix);
    if (options.take) refuse("--take", problem, fix);
    if (!options.labels.empty()) refuse("--labels", problem, fix);
    if (!options.data.empty()) refuse("--data", problem, fix);
    if (!options.idx.empty()) refuse("--idx", problem, fix);
    if (options.part) refuse("--part", problem, fix);
    if (options.top) refuse("--top", problem, fix);
    if (!options.list.empty()) refuse("--list", problem, fix);
    if (options.csv) refuse("--csv", problem, fix);
    if (options.batch) refuse("--batch", problem, fix);
    check_outputs_unread(options, problem, fix);
    check_unread(numbers, problem, fix);
    if (options.stays_awake && !options.benchmark) {
        refuse("--stay-awake", "is for --benchmark", "add --benchmark, or leave it out");
    }
}

// Pictures are written as they are; what says how to classify or show them is refused.
void check_writing(const InferOptions& options, const Numbers& numbers) {
    const char* problem = "cannot be combined with --write-pictures, which classifies nothing";
    const char* fix = "leave one of the two out";
    if (options.top) refuse("--top", problem, fix);
    if (options.json) refuse("--json", problem, fix);
    if (options.csv) refuse("--csv", problem, fix);
    if (options.batch) refuse("--batch", problem, fix);
    check_outputs_unread(options, problem, fix);
    if (!numbers.data.readers.empty()) refuse("--readers", problem, fix);
    if (!options.weights.empty()) refuse("--weights", problem, fix);
    if (!numbers.threads.empty()) refuse("--threads", problem, fix);
    if (!numbers.variant.empty()) refuse("--variant", problem, fix);
    if (numbers.device.wanted != "cpu") refuse("--device", problem, fix);
}

// What the further modes read, and show in their own way.
void check_view(const InferOptions& options) {
    const std::string mode = options.view.mode();
    const std::string problem = concat("cannot be combined with ", mode);
    const bool is_surface = mode == "--loss-surface", is_filters = mode == "--filters";
    const bool has_table = mode == "--detect" || mode == "--nearest";
    const char* fix = "leave one of the two out";
    if (!options.save_outputs.empty()) refuse("--save-outputs", problem, fix);
    if (!options.save_masks.empty()) refuse("--save-masks", problem, fix);
    const bool is_strongest = mode == "--strongest";
    if (!options.outputs.empty() && mode != "--feature-maps" && !is_strongest)
        refuse("--output", problem, fix);
    if (options.top && mode != "--nearest" && !is_strongest) refuse("--top", problem, fix);
    if (options.json && !has_table) refuse("--json", problem, fix);
    if (options.csv && !has_table) refuse("--csv", problem, fix);
    if (options.has_set() && !is_surface)
        refuse(options.data.empty() ? "--idx" : "--data", problem,
               is_filters ? fix : "name picture files and folders");
    if (options.has_files() && (is_surface || is_filters)) refuse("pictures", problem, fix);
    if (is_surface && !options.has_set())
        refuse(mode.c_str(), "needs a data set with labels", "add --data NAME");
    if (!is_surface && !is_filters && !options.has_files())
        refuse("pictures", "there is nothing to look at",
               concat(options.program, " --weights FILE ", mode, " ... PICTURE..."));
    if (options.weights.empty()) {
        refuse("--weights", "is missing",
               "give the weights.safetensors that the trainer has written");
    }
}

// Refuses combinations that leave open what is meant.
void check_combination(const InferOptions& options, const Numbers& numbers) {
    if (!options.data.empty() && !options.idx.empty()) {
        refuse("--idx", "cannot be combined with --data", "give one source of pictures");
    }
    if (options.has_set() && options.has_files()) {
        refuse(options.list.empty() ? "pictures" : "--list",
               "cannot be combined with --data or --idx", "give one source of pictures");
    }
    if (options.json && options.csv)
        refuse("--csv", "cannot be combined with --json", "give one of the two");
    if (!options.labels.empty() && options.idx.empty()) {
        refuse("--labels", "belongs to --idx",
               "add --idx FILE, or leave it out (--data has labels)");
    }
    if (!options.write_pictures.empty() && !options.has_set()) {
        refuse("--write-pictures", "needs the pictures of a data set",
               "add --data NAME or --idx FILE");
    }
    if (options.part && options.data.empty()) {
        refuse("--part", "belongs to --data", "add --data NAME, or leave it out");
    }
    if (options.take && !options.has_set()) {
        refuse("--take", "needs the pictures of a data set", "add --data NAME or --idx FILE");
    }
    if (options.measures()) return check_measurement(options, numbers);
    const bool has_view = options.view.mode() != nullptr;
    if (!options.outputs.empty() && !has_view && !options.json && !options.csv &&
        options.save_outputs.empty()) {
        refuse("--output", "has no place in the table of classes",
               "add --json, --csv or --save-outputs FOLDER");
    }
    if (options.stays_awake) {
        refuse("--stay-awake", "is for --benchmark", "add --benchmark, or leave it out");
    }
    if (!options.write_pictures.empty()) return check_writing(options, numbers);
    if (has_view) return check_view(options);
    const bool has_labels = !options.data.empty() || !options.labels.empty();
    if (options.top && !options.take && !options.csv && has_labels) {
        refuse("--top", "has no part in the accuracy of a set with labels",
               "add --take N to see the classes of its first pictures, or leave it out");
    }
    if (!options.has_set() && !options.has_files()) {
        refuse("pictures", "there is nothing to classify",
               concat(options.program, " --weights FILE PICTURE..., or --data NAME"));
    }
    if (options.weights.empty()) {
        refuse("--weights", "is missing",
               "give the weights.safetensors that the trainer has written");
    }
}

}  // namespace

CommandLineResult parse_infer_options(int argc, const char* const* argv,
                                      const emulsion_infer_library& library,
                                      InferOptions* options) {
    const emulsion_info& info = *library.info();
    options->program = program_name(argc, argv, concat(info.network, "-infer"));
    CLI::App app(concat("Classifies pictures with the network '", info.network, "'."),
                 options->program);
    Numbers numbers;
    add_options(app, info, options, &numbers);
    const std::string version =
        concat(options->program, " ", info.version, " (", info.signature, ")");
    app.set_version_flag("--version", version, "print the version and the network's signature");
    app.footer("Exit codes: 0 done, 1 failed, 2 wrong usage. Results go to standard output.");
    if (parse_command_line(app, argc, argv, version) == CommandLineResult::kShown) {
        return CommandLineResult::kShown;
    }
    if (numbers.device.lists) {
        print_results(list_devices(info, library.device, options->json));
        return CommandLineResult::kShown;
    }
    read_numbers(numbers, info, options);
    check_combination(*options, numbers);
    options->device = find_device(info, library.device, numbers.device.wanted);
    check_variant(options->device, options->variant);
    if (options->stays_awake && !options->device.is_processor())
        refuse("--stay-awake", "is for the processor", "leave it out with --device");
    return CommandLineResult::kRun;
}

}  // namespace emulsion
