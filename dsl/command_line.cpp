// Parsing is CLI11's; wrong usage is printed in the form of all other messages.
#include "dsl/command_line.h"

#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "compiler/support/process.h"
#include "dsl/build_records.h"
#include "dsl/depfile.h"
#include "dsl/records_command.h"
#include "dsl/summary.h"
#include "dsl/tune_command.h"
#include "runtime/support/atomic_file.h"
#include "runtime/support/path.h"
#include "schedules/library.h"

namespace emulsion {

namespace {

constexpr int kMostSamples = 65536;
constexpr int kMostThreads = 256;
const std::vector<std::string> kStages = {"graph", "optimized", "plan", "loops",
                                          "stmt",  "llvm",      "asm",  "roofline"};
const std::vector<std::string> kTargets = {"native", "portable", "x86-64", "avx2", "avx512"};

// What later versions do, refused by name.
const std::vector<std::string> kLaterTargets = {"aarch64", "cuda", "opencl", "vulkan"};
const std::vector<std::string> kLaterOptions = {"--memory-budget", "--processes"};

std::string quoted_list(const std::vector<std::string>& words) {
    return fmt::format("{}", fmt::join(words, ", "));
}

bool contains(const std::vector<std::string>& words, const std::string& word) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

// Options

bool is_at_once(const std::string& form) {
    if (form == "at-once") return true;
    if (form == "apart") return false;
    fail("usage", fmt::format("--update is '{}', but must be apart or at-once", form),
         "choose one of the two");
}

void add_build_options(CLI::App* app, CommandLine& line) {
    BuildOptions& options = line.options;
    if (app->get_name() != "show")
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
    app->add_option("--target", options.target, "Instruction set: " + quoted_list(kTargets))
        ->capture_default_str();
    app->add_flag("--exact", options.exact,
                  "Only kernels that round as the plain definition does (no Winograd)");
    app->add_option_function<std::string>(
           "--update",
           [&options](const std::string& form) { options.update_at_once = is_at_once(form); },
           "A parameter's update: apart (after all gradients, for processes that share them), or "
           "at-once (right after its gradient, in less memory)")
        ->default_str("apart");
    app->add_option(
           "--records", line.records,
           "File of tuned records, before the shipped ones; may be repeated (default: that "
           "beside the model, if there is one)")
        ->allow_extra_args(false)
        ->take_all();
    app->add_flag_callback(
        "--no-cache", [&options] { options.cache = false; }, "Compile every kernel anew");
    app->add_flag("--checked", options.checked, "Keep Halide's checks in the kernels (slow)");
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

void add_commands(CLI::App& app, bool reads_file, CommandLine& line) {
    auto add = [&](const std::string& name, const std::string& help) {
        CLI::App* command = app.add_subcommand(name, help);
        if (reads_file)
            command->add_option("FILE", line.file, "The model: a .cpp or .emu file")->required();
        command->callback([&line, name] { line.command = name; });
        return command;
    };
    CLI::App* build = add("build", "Compile the model into libraries and programs");
    add_build_options(build, line);
    build->add_option("--expect-name", line.expected_name, "Refuse a model of another name");
    build
        ->add_option("--expect-purpose", line.expected_purpose,
                     "Refuse a model for something else: training, or inference alone")
        ->check(CLI::IsMember({"training", "inference"}));
    build->add_option("--depfile", line.depfile,
                      "Write the rule of make that names the products and what they depend on");
    build->add_option("--dependency", line.dependencies)->group("")->allow_extra_args(false);
    CLI::App* show = add("show", "Print a stage of the compilation");
    add_build_options(show, line);
    show->add_option("--emit", line.stage, "The stage: " + quoted_list(kStages))
        ->capture_default_str();
    show->add_option("--profile", line.profile,
                     "For roofline: what NET-train --profile=FILE or NET-infer --profile=FILE "
                     "has written");
    add("summary", "Print the table of layers");
    CLI::App* train =
        add("train", "Build, then run the trainer; it gets all options that build does not know");
    add_build_options(train, line);
    train->allow_extras();
    for (CLI::App* command : {build, show, train})
        command->add_option("--machine", line.machine,
                            "Whose tuned records hold: native, none, or a machine class, as "
                            "records name it or its beginning (default: native, and none where "
                            "--target is another than native)");
    CLI::App* tune =
        add("tune", "Find faster schedules for this machine, and write them as records");
    add_build_options(tune, line);
    add_tune_options(tune, line);
    for (CLI::App* command : {build, show, train, tune})
        command->add_flag("--no-records", line.no_records,
                          "No records but those that --records names");
    if (reads_file) add_records_command(app, line);
}

// Checks

void check_count(const std::string& option, int value, int most, const std::string& least_use) {
    if (value >= 1 && value <= most) return;
    fail("usage", fmt::format("{} is {}, but {} 1 to {}", option, value, least_use, most),
         fmt::format("choose a number from 1 to {}", most));
}

void check_options(CLI::App* command, CommandLine& line) {
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
    if (contains(kLaterTargets, options.target)) {
        fail("unsupported", fmt::format("the target '{}' is not in this build", options.target),
             fmt::format("choose one of {}", quoted_list(kTargets)));
    }
    if (!contains(kTargets, options.target)) {
        fail("usage", fmt::format("'{}' is no target", options.target),
             fmt::format("choose one of {}", quoted_list(kTargets)));
    }
    if (!contains(kStages, line.stage)) {
        fail("usage", fmt::format("'{}' is no stage", line.stage),
             fmt::format("choose one of {}", quoted_list(kStages)));
    }
}

// The stage "roofline" and --profile belong together; what the profile says is not said again.
void check_profile(CLI::App* command, const CommandLine& line) {
    if (line.command != "show") return;
    if (line.stage != "roofline") {
        if (line.profile.empty()) return;
        fail("usage", fmt::format("--profile belongs to the stage roofline, not to {}", line.stage),
             "add --emit=roofline, or leave --profile out");
    }
    if (line.profile.empty()) {
        fail("usage", "--emit=roofline needs a profile",
             "write one with NET-train --profile=FILE or NET-infer --profile=FILE, then add "
             "--profile=FILE");
    }
    for (const char* option : {"--batch", "--infer-batch", "--threads", "--target"}) {
        if (command->count(option) == 0) continue;
        fail("usage", fmt::format("{} stands in the profile already", option), "leave it out");
    }
}

// The stage "graph" is the model itself: nothing of a build has a part in it.
bool compiles(const CommandLine& line) { return line.command != "show" || line.stage != "graph"; }

void check_stage(CLI::App* command, const CommandLine& line) {
    if (compiles(line)) return;
    for (const char* option : {"--batch", "--infer-batch", "--threads", "--jobs", "--target",
                               "--machine", "--exact", "--update", "--no-cache", "--checked"}) {
        if (command->count(option) == 0) continue;
        fail("usage", fmt::format("{} has no part in the stage graph", option),
             "name another stage with --emit, or leave it out");
    }
}

void check_file(const std::string& file) {
    std::string extension = std::filesystem::path(file).extension().string();
    if (extension == ".onnx") {
        fail("unsupported", fmt::format("'{}' is an ONNX file, and this build reads none", file),
             "write the model as a .cpp file");
    }
    if (extension != ".cpp" && extension != ".cc" && extension != ".cxx" && extension != ".emu") {
        fail("usage", fmt::format("'{}' is no model file", file), "name a .cpp or .emu file");
    }
}

// Takes what stands behind "--" off the words of train: it is the trainer's.
std::vector<std::string> take_rest(std::vector<std::string>& words) {
    auto dashes = std::find(words.begin(), words.end(), "--");
    if (words.empty() || words[0] != "train" || dashes == words.end()) return {};
    std::vector<std::string> rest(dashes + 1, words.end());
    words.erase(dashes, words.end());
    return rest;
}

}  // namespace

ParsedCommandLine parse_command_line(const std::string& program, bool reads_file, int argc,
                                     char** argv) {
    CommandLine line;
    std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
    const std::vector<std::string> rest = take_rest(words);
    CLI::App app(reads_file ? "Compiles convolutional networks into native code"
                            : fmt::format("The model {}, and its compiler", program),
                 program);
    app.set_version_flag("--version", fmt::format("emulsion {}", EMULSION_VERSION));
    app.require_subcommand(1);
    app.failure_message(CLI::FailureMessage::simple);
    add_commands(app, reads_file, line);
    try {
        std::reverse(words.begin(), words.end());  // as CLI11 takes them
        app.parse(words);
        CLI::App* command = app.get_subcommands().at(0);
        check_options(command, line);
        check_profile(command, line);
        check_stage(command, line);
        if (line.command == "tune") check_tune_options(command, line);
        if (reads_file && line.command != "records") check_file(line.file);
        line.rest = command->remaining();
        line.rest.insert(line.rest.end(), rest.begin(), rest.end());
        return {line, 0};
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) return {std::nullopt, app.exit(error)};
        fmt::print(stderr, "{}: error[usage]: {}\n  fix: see {} --help\n", program, error.what(),
                   program);
    } catch (const Error& error) {
        fmt::print(stderr, "{}: {}\n", program, error.what());
    }
    return {std::nullopt, 2};
}

std::vector<std::string> to_arguments(const CommandLine& line) {
    std::vector<std::string> words = {line.command};
    if (line.command == "summary") return words;
    const BuildOptions& options = line.options;
    auto add = [&](const std::string& option, const std::string& value) {
        words.push_back(option);
        words.push_back(value);
    };
    if (line.command != "show") add("--output", options.output);
    if (line.profile.empty() && compiles(line)) {  // which says the same
        add("--batch", std::to_string(options.batch));
        for (int batch : options.infer_batches) add("--infer-batch", std::to_string(batch));
        if (options.threads > 0) add("--threads", std::to_string(options.threads));
        add("--target", options.target);
    }
    if (options.jobs > 0) add("--jobs", std::to_string(options.jobs));
    if (options.exact) words.push_back("--exact");
    if (options.update_at_once) words.push_back("--update=at-once");
    if (!options.cache) words.push_back("--no-cache");
    if (options.checked) words.push_back("--checked");
    for (const std::string& file : line.records) add("--records", file);
    if (line.no_records) words.push_back("--no-records");
    if (!line.machine.empty()) add("--machine", line.machine);
    if (line.command == "show") add("--emit", line.stage);
    if (line.command == "tune") {
        if (line.tune.minutes > 0) add("--minutes", fmt::format("{}", line.tune.minutes));
        if (line.tune.trials > 0) add("--trials", std::to_string(line.tune.trials));
        if (!line.tune.journal.empty()) add("--journal", line.tune.journal);
        if (!line.tune.only.empty()) add("--kernel", line.tune.only);
        if (line.tune.draws) words.push_back("--draw");
        if (!line.report.empty()) add("--report", line.report);
        add("--seed", std::to_string(line.tune.seed));
        if (line.json) words.push_back("--json");
    }
    if (!line.expected_name.empty()) add("--expect-name", line.expected_name);
    if (!line.expected_purpose.empty()) add("--expect-purpose", line.expected_purpose);
    if (!line.depfile.empty()) {
        add("--depfile", line.depfile);
        for (const std::string& file : line.dependencies) add("--dependency", file);
    }
    if (!line.profile.empty()) words.push_back("--profile=" + line.profile);
    if (!line.rest.empty()) words.push_back("--");
    words.insert(words.end(), line.rest.begin(), line.rest.end());
    return words;
}

// Commands

namespace {

std::string shown(const CommandLine& line, const Network& network) {
    if (line.command == "summary") return summary(network);
    if (line.stage == "graph") return print(network);
    const RecipeLibrary recipes = make_library();
    if (line.stage == "roofline")
        return show_roofline(network, recipes, line.profile, line.options);
    return show(network, recipes, line.stage, line.options);
}

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
        if (is_same_file(line.depfile, source)) refuse_depfile(line.depfile, source);
    // The output folder may be still to be made.
    const std::string folder = std::filesystem::absolute(line.depfile).parent_path().string();
    if (!is_folder(folder) && is_same_file(folder, line.options.output)) return;
    AtomicFile trial(line.depfile);
}

void leave_depfile(const CommandLine& line, const std::vector<std::string>& products) {
    if (line.depfile.empty()) return;
    for (const std::string& product : products)
        if (is_same_file(line.depfile, product)) refuse_depfile(line.depfile, product);
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

int run_command(const CommandLine& given, const Network& network) {
    CommandLine line = given;
    if (line.command == "tune") return run_tune(line, network);
    const bool plans = line.command != "summary" && compiles(line);
    const BuildRecords records = plans ? records_of(line) : BuildRecords();
    line.options.records = records.source.get();
    line.dependencies.insert(line.dependencies.end(), records.files.begin(), records.files.end());
    if (line.command == "summary" || line.command == "show") {
        fmt::print("{}", shown(line, network));
        return 0;
    }
    check_expected_name(line, network);
    check_expected_purpose(line, network);
    check_depfile(line);
    if (!is_trained(network)) note_untrained(line, network);
    const Artifact artifact = build(network, make_library(), line.options);
    for (const std::string& note : artifact.notes) fmt::print(stderr, "note: {}\n", note);
    if (line.command == "train") become_trainer(line, network);
    for (const std::string& file : artifact.files) fmt::print("{}\n", file);
    leave_depfile(line, artifact.files);
    return 0;
}

void print_mistakes(const std::vector<Diagnostic>& mistakes) {
    for (const Diagnostic& mistake : mistakes) fmt::print(stderr, "{}\n", to_string(mistake));
    if (mistakes.size() > 1) fmt::print(stderr, "{} mistakes\n", mistakes.size());
}

}  // namespace emulsion
