// See sweep_command.h.
#include "dsl/sweep_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <optional>

#include "compiler/graph/network.h"
#include "compiler/support/process.h"
#include "dsl/summary.h"
#include "dsl/sweep.h"
#include "runtime/support/atomic_file.h"
#include "runtime/support/file.h"
#include "runtime/support/path.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMostTableBytes = uint64_t{64} << 20;
constexpr const char* kTable = "sweep.csv";
constexpr const char* kCommand = "sweep.txt";
constexpr const char* kModel = "net.emu";
constexpr const char* kOutput = "output.txt";

// Options of build that a candidate's build gets are all but these.
const std::vector<std::string> kOwnOptions = {"--set",    "--limit-macs", "--limit-parameters",
                                              "--random", "--seed",       "--output"};

std::string read_text_file(const std::string& path) {
    const Bytes bytes = read_file(path, kMostTableBytes, "table");
    return {bytes.begin(), bytes.end()};
}

std::vector<std::string> build_words(const CommandLine& line) {
    std::vector<std::string> words;
    for (const std::string& word : line.given) {
        const std::string name = word.substr(0, word.find('='));
        if (std::find(kOwnOptions.begin(), kOwnOptions.end(), name) == kOwnOptions.end())
            words.push_back(word);
    }
    return words;
}

class Sweep {
  public:
    explicit Sweep(const CommandLine& line) : line_(line) {
        if (fs::path(line.file).extension() == ".emu")
            fail("usage", fmt::format("'{}' has no settings to sweep over", line.file),
                 "name a model file in C++");
        for (const std::string& text : line.sweep.axes) axes_.push_back(parse_axis(text));
        if (axes_.empty())
            fail("usage", "there is nothing to sweep over",
                 "add --set NAME=VALUE,VALUE for a setting of the model file");
        for (const SweepAxis& axis : axes_) names_.push_back(axis.name);
        const std::string& macs = line.sweep.limit_macs;
        const std::string& parameters = line.sweep.limit_parameters;
        if (!macs.empty()) most_operations_ = parse_amount("--limit-macs", macs);
        if (!parameters.empty()) most_parameters_ = parse_amount("--limit-parameters", parameters);
        for (const std::string& word : line.rest) {
            for (const std::string option : {"--checkpoint", "--resume", "--weights"}) {
                if (word != option && !word.starts_with(option + "=")) continue;
                fail("usage", fmt::format("{} is given, but each candidate has its own", option),
                     "leave it out");
            }
        }
        folder_ = line.options.output;
    }

    int run() {
        make_folder(folder_);
        check_command();
        const std::string table = join_path(folder_, kTable);
        if (is_file(table)) rows_ = parse_sweep_csv(names_, read_text_file(table), table);
        const auto candidates = make_candidates(axes_, line_.sweep.random, line_.sweep.seed);
        size_t number = 0;
        for (const SweepCandidate& candidate : candidates) {
            const std::string title =
                fmt::format("{} of {}: {}", ++number, candidates.size(), text_of(candidate));
            SweepRow& row = row_of(candidate);
            if (row.is_done()) {
                fmt::print("{}: is done\n", title);
                continue;
            }
            fmt::print("{}\n", title);
            std::fflush(stdout);
            try_candidate(row);
            write_file(table, sweep_csv(names_, rows_));
        }
        fmt::print("\n{}", sweep_text(names_, rank_rows(rows_)));
        const bool has_failed = std::any_of(
            rows_.begin(), rows_.end(), [](const SweepRow& row) { return row.state == "failed"; });
        return has_failed ? 1 : 0;
    }

  private:
    std::string text_of(const SweepCandidate& values) const {
        std::vector<std::string> parts;
        for (size_t i = 0; i < values.size(); i++) parts.push_back(names_[i] + "=" + values[i]);
        return fmt::format("{}", fmt::join(parts, ","));
    }

    SweepRow& row_of(const SweepCandidate& values) {
        for (SweepRow& row : rows_) {
            if (row.values == values) return row;
        }
        rows_.emplace_back();
        rows_.back().values = values;
        return rows_.back();
    }

    // Rows of one table are trained alike.
    void check_command() const {
        std::vector<std::string> words = build_words(line_);
        words.push_back("--");
        words.insert(words.end(), line_.rest.begin(), line_.rest.end());
        const std::string command = fmt::format("{}\n", fmt::join(words, "\n"));
        const std::string path = join_path(folder_, kCommand);
        if (!is_file(path)) return write_file(path, command);
        const std::string former = read_text_file(path);
        if (former == command) return;
        const auto in_line = [](std::string text) {
            std::replace(text.begin(), text.end(), '\n', ' ');
            return quoted(text.substr(0, text.size() - 1));
        };
        fail("sweep",
             fmt::format("the table in '{}' is of a sweep with other options: {} there, {} here",
                         folder_, in_line(former), in_line(command)),
             "choose another folder with -o");
    }

    // Runs a command of this program; its output is kept in the candidate's folder.
    int run_self(std::vector<std::string> words, const std::string& output_file,
                 std::string* output) const {
        words.insert(words.begin(), "/proc/self/exe");
        const std::string self = fs::read_symlink("/proc/self/exe").string();
        words[0] = self;
        const int status = run_program(words, {.output = output, .temporary = {}});
        write_file(output_file, *output);
        return status;
    }

    // The model with the settings, as text, in a file of the candidate's.
    std::optional<Network> read_model(const SweepRow& row, const std::string& folder) const {
        std::vector<std::string> words = {"show", line_.file};
        for (size_t i = 0; i < names_.size(); i++) {
            words.push_back("--set");
            words.push_back(names_[i] + "=" + row.values[i]);
        }
        std::string output;
        const int status = run_self(words, join_path(folder, kOutput), &output);
        // Warnings of the C++ compiler may stand in front.
        const size_t begin = output.starts_with("network ") ? 0 : output.find("\nnetwork ");
        if (status != 0 || begin == std::string::npos) {
            fmt::print(stderr, "{}", output);
            return std::nullopt;
        }
        const std::string model = join_path(folder, kModel);
        write_file(model, output.substr(begin == 0 ? 0 : begin + 1));
        return read_network(model);
    }

    void try_candidate(SweepRow& row) {
        const std::string folder = join_path(folder_, text_of(row.values));
        make_folder(folder);
        row.state = "failed";
        const std::optional<Network> network = read_model(row, folder);
        if (!network) return;
        row.multiply_adds = multiply_adds(*network);
        row.parameters = parameter_count(*network);
        if (row.multiply_adds > most_operations_ || row.parameters > most_parameters_) {
            row.state = "over the limit";
            return;
        }
        const std::string run = join_path(folder, "run");
        std::vector<std::string> words = {"train", join_path(folder, kModel), "-o", folder};
        const std::vector<std::string> options = build_words(line_);
        words.insert(words.end(), options.begin(), options.end());
        words.insert(words.end(), {"--", "--checkpoint", run, "--resume=auto", "--no-progress"});
        words.insert(words.end(), line_.rest.begin(), line_.rest.end());
        std::string output;
        const std::string output_file = join_path(folder, kOutput);
        if (run_self(words, output_file, &output) != 0) {
            fmt::print(stderr, "{}", output);
            return;
        }
        take_result(join_path(run, "log.csv"), row);
    }

    static void take_result(const std::string& log, SweepRow& row) {
        if (!is_file(log)) return;
        row.state = "done";
        for (const auto& [title, cell] : last_of_log(read_text_file(log))) {
            if (title == "loss") row.loss = cell;
            if (title == "accuracy") row.accuracy = cell;
            if (title == "validation_loss") row.validation_loss = cell;
            if (title == "validation_accuracy") row.validation_accuracy = cell;
            if (title == "seconds") row.seconds = cell;
        }
    }

    const CommandLine& line_;
    std::vector<SweepAxis> axes_;
    std::vector<std::string> names_;
    int64_t most_operations_ = INT64_MAX, most_parameters_ = INT64_MAX;
    std::string folder_;
    std::vector<SweepRow> rows_;
};

}  // namespace

void add_sweep_options(CLI::App* app, CommandLine& line) {
    SweepOptions& sweep = line.sweep;
    app->add_option("--set", sweep.axes,
                    "A setting of the model file and its values: width=16,32 or depth=2..4 or "
                    "width=16..64:16; may be repeated")
        ->allow_extra_args(false)
        ->take_all();
    app->add_option("--limit-macs", sweep.limit_macs,
                    "Train none with more multiply-adds of a sample, such as 50M");
    app->add_option("--limit-parameters", sweep.limit_parameters,
                    "Train none with more parameters, such as 1M");
    app->add_option("--random", sweep.random, "So many combinations, drawn, instead of all")
        ->check(CLI::Range(1, static_cast<int>(kMostSweepCandidates)));
    app->add_option("--seed", sweep.seed, "Of the drawing")->capture_default_str();
    app->allow_extras();
}

int run_sweep(const CommandLine& line) { return Sweep(line).run(); }

}  // namespace emulsion
