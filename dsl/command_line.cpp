// Parsing is CLI11's; wrong usage is printed in the form of all other messages.
#include "dsl/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "compiler/support/closest.h"
#include "dsl/build_command.h"
#include "dsl/machine_command.h"
#include "dsl/ops_command.h"
#include "dsl/records_command.h"
#include "dsl/show_command.h"
#include "dsl/show_window.h"
#include "dsl/summary.h"
#include "dsl/sweep_command.h"
#include "dsl/tune_command.h"

namespace emulsion {

namespace {

// Their values are read by Settings, before this command line is.
void add_settings(CLI::App* command, bool reads_file, const CommandLine& line) {
    const auto check = [reads_file, &line](const std::vector<std::string>&) {
        if (!reads_file || std::filesystem::path(line.file).extension() != ".emu") return;
        fail("usage", fmt::format("--set is given, but '{}' has no settings", line.file),
             "name a model file in C++, or leave --set out");
    };
    command
        ->add_option_function<std::vector<std::string>>(
            "--set", check, "NAME=VALUE of a setting of the model file; may be repeated")
        ->allow_extra_args(false)
        ->take_all();
}

void add_machine_option(CLI::App* command, CommandLine& line) {
    command->add_option("--machine", line.machine,
                        "What plans are made for, and whose tuned records hold: native, none, a "
                        "machine class, as records name it or its beginning, or a file that "
                        "emulsion machine --json has written, NAME.json (default: native, and none "
                        "where --target is another than native)");
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
    add_product_options(build, line);
    CLI::App* show = add("show", "Print a stage of the compilation");
    add_build_options(show, line);
    add_show_options(show, line);
    add_window_options(show, /*describes=*/reads_file, line);
    CLI::App* summary = add("summary", "Print the table of layers");
    CLI::App* train =
        add("train",
            "Build, then run the trainer, which gets all options that build does not know; FILE "
            "stands before them");
    add_build_options(train, line);
    train->allow_extras();
    for (CLI::App* command : {build, show, train}) add_machine_option(command, line);
    CLI::App* tune =
        add("tune", "Find faster schedules for this machine, and write them as records");
    add_build_options(tune, line);
    add_tune_options(tune, line);
    for (CLI::App* command : {build, show, train, tune})
        command->add_flag("--no-records", line.no_records,
                          "No records but those that --records names");
    for (CLI::App* command : {build, show, summary, train, tune})
        add_settings(command, reads_file, line);
    if (!reads_file) return;
    CLI::App* sweep = add("sweep",
                          "Train the model file with many settings, and print which are the best; "
                          "the trainer gets all options that build does not know; FILE stands "
                          "before them");
    add_build_options(sweep, line);
    add_machine_option(sweep, line);
    add_sweep_options(sweep, line);
    add_records_command(app, line);
    add_ops_command(app, line);
    add_machine_command(app, line);
}

// Checks

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

// What is wrong with words that no command is, or else with options that the command has not.
Diagnostic usage_fault(const CLI::App& app, const std::string& program,
                       const std::vector<std::string>& words, const std::string& what) {
    std::vector<std::string> known;
    const std::vector<CLI::App*> given = app.get_subcommands();
    if (given.empty()) {
        for (const CLI::App* command : app.get_subcommands({}))
            known.push_back(command->get_name());
    } else {
        for (const CLI::Option* option : given[0]->get_options()) {
            for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
            for (const std::string& name : option->get_snames()) known.push_back("-" + name);
        }
    }
    for (const std::string& written : words) {
        const std::string word = written.substr(0, written.find('='));
        if (word.starts_with('-') == given.empty() || std::ranges::count(known, word) > 0) continue;
        const std::string near =
            suggest(word, {known.begin(), known.end()}, Vocabulary::commands).to_string(word);
        if (given.empty()) {
            return {"usage",
                    fmt::format("'{}' is no command", word),
                    near.empty() ? fmt::format("choose one of {}", fmt::join(known, ", ")) : near,
                    {},
                    {}};
        }
        if (!near.empty()) return {"usage", what, near, {}, {}};
    }
    return {"usage", what, fmt::format("see {} --help", program), {}, {}};
}

// Takes what stands behind "--" off the words of train and sweep: it is the trainer's.
std::vector<std::string> take_rest(std::vector<std::string>& words) {
    auto dashes = std::find(words.begin(), words.end(), "--");
    const bool has_trainer = !words.empty() && (words[0] == "train" || words[0] == "sweep");
    if (!has_trainer || dashes == words.end()) return {};
    std::vector<std::string> rest(dashes + 1, words.end());
    words.erase(dashes, words.end());
    return rest;
}

// The options of a command as they were given, each in one word.
std::vector<std::string> given_options(const CLI::App& command) {
    std::vector<std::string> words;
    for (const CLI::Option* option : command.get_options()) {
        if (option->get_lnames().empty()) continue;  // FILE
        const std::string name = "--" + option->get_lnames()[0];
        for (const std::string& value : option->results())
            words.push_back(option->get_items_expected_max() == 0 ? name : name + "=" + value);
    }
    return words;
}

}  // namespace

ParsedCommandLine parse_command_line(const std::string& program, bool reads_file, int argc,
                                     char** argv) {
    CommandLine line;
    std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
    const std::vector<std::string> rest = take_rest(words);
    const std::vector<std::string> written = words;
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
        if (line.command == "ops" || line.command == "machine") return {line, 0};
        check_build_options(command, line);
        if (line.command == "show") check_window_options(command, line);
        if (line.command == "show") check_show_options(command, line);
        if (line.command == "tune") check_tune_options(command, line);
        const bool is_drawn = line.command == "show" && is_drawn_layer(line);
        if (reads_file && line.command != "records" && !is_drawn) check_file(line.file);
        if (line.command == "sweep" && command->count("--output") == 0)
            line.options.output = "sweep";
        line.given = given_options(*command);
        line.rest = command->remaining();
        line.rest.insert(line.rest.end(), rest.begin(), rest.end());
        fit_to_trainer(command, line);
        return {line, 0};
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) return {std::nullopt, app.exit(error)};
        fmt::print(stderr, "{}: {}\n", program,
                   to_string(usage_fault(app, program, written, error.what())));
    } catch (const Error& error) {
        fmt::print(stderr, "{}: {}\n", program, error.what());
    }
    return {std::nullopt, 2};
}

std::vector<std::string> to_arguments(const CommandLine& line) {
    std::vector<std::string> words = {line.command};
    words.insert(words.end(), line.given.begin(), line.given.end());
    if (!line.depfile.empty()) {
        for (const std::string& file : line.dependencies) words.push_back("--dependency=" + file);
    }
    if (!line.rest.empty()) words.push_back("--");
    words.insert(words.end(), line.rest.begin(), line.rest.end());
    return words;
}

int run_command(const CommandLine& line, const Network& network) {
    if (line.command == "tune") return run_tune(line, network);
    if (line.command == "show") return run_show(line, network);
    if (line.command != "summary") return run_build(line, network);
    fmt::print("{}", summary(network));
    if (!line.settings.empty()) fmt::print("settings: {}\n", line.settings);
    return 0;
}

void print_mistakes(const std::vector<Diagnostic>& mistakes) {
    for (const Diagnostic& mistake : mistakes) fmt::print(stderr, "{}\n", to_string(mistake));
    if (mistakes.size() > 1) fmt::print(stderr, "{} mistakes\n", mistakes.size());
}

}  // namespace emulsion
