// See build_command.h.
#include "dsl/build_command.h"

#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <optional>

#include "compiler/support/process.h"
#include "dsl/build_records.h"
#include "dsl/bytes.h"
#include "dsl/depfile.h"
#include "runtime/support/atomic_file.h"
#include "runtime/support/path.h"
#include "schedules/library.h"

namespace emulsion {

namespace {

constexpr int kMostSamples = 65536;
constexpr int kMostThreads = 256;
const std::vector<std::string> kTargets = {"native", "portable", "x86-64", "avx2", "avx512"};
// In the order of their variants, whatever that of the option: `gpu` is the first that is there.
const std::vector<std::string> kDevices = {"cuda", "opencl", "vulkan"};

// What later versions do, refused by name.
const std::vector<std::string> kLaterTargets = {"aarch64"};
const std::vector<std::string> kLaterOptions = {"--processes"};

bool is_one_of(const std::vector<std::string>& words, const std::string& word) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

std::string quoted_list(const std::vector<std::string>& words) {
    return fmt::format("{}", fmt::join(words, ", "));
}

std::string known_targets() {
    return fmt::format("choose one of {}, with ,{} behind it for devices", quoted_list(kTargets),
                       fmt::join(kDevices, " or ,"));
}

void check_target(const std::string& target) {
    if (is_one_of(kLaterTargets, target))
        fail("unsupported", fmt::format("the target '{}' is not in this build", target),
             known_targets());
    if (!is_one_of(kTargets, target) && !is_one_of(kDevices, target))
        fail("usage", fmt::format("'{}' is no target", target), known_targets());
}

// "native,opencl": one target of processors, and kinds of devices.
void set_targets(BuildOptions& options, const std::string& text) {
    std::vector<std::string> processors, devices;
    for (size_t begin = 0; begin <= text.size();) {
        const size_t end = std::min(text.find(',', begin), text.size());
        const std::string target = text.substr(begin, end - begin);
        begin = end + 1;
        check_target(target);
        std::vector<std::string>& list = is_one_of(kDevices, target) ? devices : processors;
        if (is_one_of(list, target)) {
            fail("usage", fmt::format("--target '{}' names {} twice", text, target),
                 "name each once");
        }
        list.push_back(target);
    }
    if (processors.size() > 1) {
        fail("usage",
             fmt::format("--target '{}' names {} and {}, but a library is of one target of "
                         "processors",
                         text, processors[0], processors[1]),
             "choose one of them, or portable, which holds all instruction sets");
    }
    if (processors.empty()) {
        fail("usage",
             fmt::format("--target '{}' names devices alone, but a library runs on processors too",
                         text),
             fmt::format("write native,{}", text));
    }
    options.target = processors[0];
    options.devices.clear();
    for (const std::string& device : kDevices)
        if (is_one_of(devices, device)) options.devices.push_back(device);
}

bool is_at_once(const std::string& form) {
    if (form == "at-once") return true;
    if (form == "apart") return false;
    fail("usage", fmt::format("--update is '{}', but must be apart or at-once", form),
         "choose one of the two");
}

void check_count(const std::string& option, int value, int most, const std::string& least_use) {
    if (value >= 1 && value <= most) return;
    fail("usage", fmt::format("{} is {}, but {} 1 to {}", option, value, least_use, most),
         fmt::format("choose a number from 1 to {}", most));
}

}  // namespace

void add_build_options(CLI::App* app, CommandLine& line) {
    BuildOptions& options = line.options;
    const bool makes_products = app->get_name() != "show" && app->get_name() != "tune";
    if (makes_products)
        app->add_option("-o,--output", options.output, "Folder of the products")
            ->capture_default_str();
    app->add_option("--batch", options.batch, "Most samples of a training step")
        ->capture_default_str();
    app->add_option("--infer-batch", options.infer_batches,
                    "Most samples of an inference; may be repeated")
        ->capture_default_str()
        ->allow_extra_args(false)
        ->take_all();
    app->add_option("--threads", options.threads,
                    "Threads that records are selected for and bytes stated (default: 8)");
    app->add_option("--jobs", options.jobs,
                    "Compiling processes (default: the CPUs this process may use)");
    app->add_option_function<std::string>(
           "--target", [&options](const std::string& text) { set_targets(options, text); },
           fmt::format("Instruction set: {}; with variants for devices: native,{}",
                       quoted_list(kTargets), fmt::join(kDevices, ",")))
        ->default_str("native");
    app->add_flag("--exact", options.exact,
                  "Only kernels that round as the plain definition does (no Winograd)");
    app->add_option_function<std::string>(
           "--update",
           [&options](const std::string& form) { options.update_at_once = is_at_once(form); },
           "A parameter's update: apart (after all gradients, which the trainer's batches in parts "
           "and C programs may need), or at-once (right after its gradient, in less memory)")
        ->default_str(app->get_name() == "train"
                          ? "at-once; apart with --batch or --resume of the trainer"
                          : "apart");
    app->add_option(
           "--records", line.records,
           "File of tuned records, before the shipped ones; may be repeated (default: that "
           "beside the model, if there is one)")
        ->allow_extra_args(false)
        ->take_all();
    if (app->get_name() !=
        "tune") {  // which caches no kernels, runs none twice, and has its checks
        app->add_option_function<std::string>(
               "--memory-budget",
               [&options](const std::string& size) {
                   options.memory_budget = parse_bytes("--memory-budget", size);
               },
               "Most memory of a training step, such as 512MiB or 1.5GB: parameters, gradients, "
               "state, and the workspace without what each thread adds; values of the forward "
               "pass are computed again where that is what it takes")
            ->type_name("SIZE");
        app->add_flag_callback(
            "--no-cache", [&options] { options.cache = false; }, "Compile every kernel anew");
        app->add_flag("--checked", options.checked, "Keep Halide's checks in the kernels (slow)");
    }
    for (const std::string& name : kLaterOptions) {
        app->add_option_function<std::string>(name,
                                              [name](const std::string&) {
                                                  fail("unsupported",
                                                       fmt::format("{} is not in this build", name),
                                                       "leave it out");
                                              })
            ->group("");
    }
}

void add_product_options(CLI::App* app, CommandLine& line) {
    app->add_flag("--saliency", line.options.saliency,
                  "Put what pictures of single units are made of into NAME-infer too, for its "
                  "options --saliency and --strongest");
    app->add_option("--expect-name", line.expected_name, "Refuse a model of another name");
    app->add_option("--expect-purpose", line.expected_purpose,
                    "Refuse a model for something else: training, or inference alone")
        ->check(CLI::IsMember({"training", "inference"}));
    app->add_option("--depfile", line.depfile,
                    "Write the rule of make that names the products and what they depend on");
    app->add_option("--dependency", line.dependencies)->group("")->allow_extra_args(false);
}

void check_build_options(CLI::App* command, CommandLine& line) {
    BuildOptions& options = line.options;
    if (command->get_option_no_throw("--batch") == nullptr) return;
    check_count("--batch", options.batch, kMostSamples, "a training step takes");
    for (int batch : options.infer_batches)
        check_count("--infer-batch", batch, kMostSamples, "an inference takes");
    if (command->count("--threads") > 0)
        check_count("--threads", options.threads, kMostThreads, "a network runs on");
    if (command->count("--jobs") > 0)
        check_count("--jobs", options.jobs, kMostThreads, "kernels are compiled by");
    std::sort(options.infer_batches.begin(), options.infer_batches.end());
    options.infer_batches.erase(
        std::unique(options.infer_batches.begin(), options.infer_batches.end()),
        options.infer_batches.end());
}

namespace {

// The value of an option of the trainer among its words, "" where it has none of its own; nothing
// where the option is not there.
std::optional<std::string> trainer_option(const CommandLine& line, const std::string& option) {
    std::optional<std::string> value;
    for (size_t i = 0; i < line.rest.size(); i++) {
        const std::string& word = line.rest[i];
        if (word == option) value = i + 1 < line.rest.size() ? line.rest[i + 1] : "";
        if (word.starts_with(option + "=")) value = word.substr(option.size() + 1);
    }
    return value;
}

// A trainer that is to run on a device is built for it.
void add_devices_of_trainer(CommandLine& line) {
    std::string device = trainer_option(line, "--device").value_or("");
    device = device.substr(0, device.find(':'));
    if (device == "gpu" || device == "auto") line.options.devices = kDevices;
    if (is_one_of(kDevices, device)) line.options.devices = {device};
}

}  // namespace

void fit_to_trainer(CLI::App* command, CommandLine& line) {
    if (line.command != "train") return;
    if (command->count("--target") == 0) add_devices_of_trainer(line);
    const bool has_parts = trainer_option(line, "--batch") || trainer_option(line, "--resume");
    if (command->count("--update") == 0) line.options.update_at_once = !has_parts;
}

namespace {

[[noreturn]] void refuse_depfile(const std::string& depfile, const std::string& other) {
    fail("output", fmt::format("--depfile '{}' would replace {}", depfile, other),
         "give it a file of its own");
}

// What can be known before the build: a place that can be written to, and no source of the model.
void check_depfile(const CommandLine& line) {
    if (line.depfile.empty()) return;
    std::vector<std::string> sources = line.dependencies;
    if (!line.file.empty()) sources.push_back(line.file);
    for (const std::string& source : sources)
        if (do_collide(line.depfile, source)) refuse_depfile(line.depfile, source);
    // The output folder may be still to be made.
    const std::string folder = std::filesystem::absolute(line.depfile).parent_path().string();
    if (!is_folder(folder) && is_same_file(folder, line.options.output)) return;
    AtomicFile trial(line.depfile);
}

void leave_depfile(const CommandLine& line, const std::vector<std::string>& products) {
    if (line.depfile.empty()) return;
    for (const std::string& product : products)
        if (do_collide(line.depfile, product)) refuse_depfile(line.depfile, product);
    write_depfile(line.depfile, products, line.dependencies);
}

void check_expected_name(const CommandLine& line, const Network& network) {
    if (line.expected_name.empty() || line.expected_name == network.name) return;
    fail("name",
         fmt::format("the model is called '{}', but '{}' is expected", network.name,
                     line.expected_name),
         "give both one name: products are named after the model");
}

void check_expected_purpose(const CommandLine& line, const Network& network) {
    const std::string& expected = line.expected_purpose;
    if (expected == "training" && !is_trained(network)) {
        fail("loss",
             fmt::format("the model '{}' has no loss, but its training is expected", network.name),
             "add INFERENCE to emulsion_add_network (--expect-purpose inference), or end the model "
             "with classify(scores), mean_squared_error(prediction) or loss(value)");
    }
    if (expected == "inference" && is_trained(network)) {
        fail(
            "loss",
            fmt::format("the model '{}' has a loss, but inference alone is expected", network.name),
            "leave INFERENCE out of emulsion_add_network (--expect-purpose training), or the loss "
            "out of the model");
    }
}

// A network without a loss is for inference alone; whoever wants to train it is told.
void note_untrained(const CommandLine& line, const Network& network) {
    const std::string message =
        fmt::format("the model '{}' has no loss, so there is nothing to train", network.name);
    if (line.command == "train")
        fail("loss", message,
             "end it with classify(scores), mean_squared_error(prediction) or loss(value)");
    fmt::print(stderr, "note: {}: the inference library and program alone are built\n", message);
}

[[noreturn]] void become_trainer(const CommandLine& line, const Network& network) {
    std::vector<std::string> command = {
        (std::filesystem::absolute(line.options.output) / (network.name + "-train")).string()};
    if (line.options.threads > 0)
        command.insert(command.end(), {"--threads", std::to_string(line.options.threads)});
    command.insert(command.end(), line.rest.begin(), line.rest.end());
    std::fflush(nullptr);
    become_program(command);
}

}  // namespace

int run_build(const CommandLine& given, const Network& network) {
    CommandLine line = given;
    const BuildRecords records = records_of(line);
    line.options.records = records.source.get();
    line.options.choices = records.source.get();
    line.options.machine = records.machine;
    line.dependencies.insert(line.dependencies.end(), records.files.begin(), records.files.end());
    check_expected_name(line, network);
    check_expected_purpose(line, network);
    check_depfile(line);
    if (!is_trained(network)) note_untrained(line, network);
    if (!is_trained(network) && line.options.memory_budget > 0)
        fmt::print(stderr, "note: --memory-budget does nothing: it is of training steps alone\n");
    const Artifact artifact = build(network, make_library(), line.options);
    for (const std::string& note : artifact.notes) fmt::print(stderr, "note: {}\n", note);
    if (line.command == "train") become_trainer(line, network);
    for (const std::string& file : artifact.files) fmt::print("{}\n", file);
    leave_depfile(line, artifact.files);
    return 0;
}

}  // namespace emulsion
