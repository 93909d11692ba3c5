// The registry says which ops there are and which have a gradient, the schedule library which
// recipes run them, the sources where they are documented and tested.
#include "dsl/ops_command.h"

#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "compiler/graph/text.h"
#include "compiler/ops/registry.h"
#include "dsl/op_page.h"
#include "dsl/op_sample.h"
#include "schedules/library.h"

namespace emulsion {

namespace {

std::vector<std::string> words(const std::vector<std::string_view>& views) {
    return {views.begin(), views.end()};
}

OpRow row_of(std::string_view kind, const OpPages& pages, const RecipeLibrary& library) {
    OpRow row{.kind = std::string(kind)};
    if (const std::string_view why = why_no_gradient(kind); !why.empty()) {
        row.gradient = fmt::format("none: {}", why);
    } else if (find_op(kind)->has_gradient) {
        row.gradient = "yes";
    }
    const std::vector<Group> samples = samples_of_op(kind);
    row.recipes = words(recipes_for(samples, library, /*for_devices=*/false));
    row.device_recipes = words(recipes_for(samples, library, /*for_devices=*/true));
    const OpPage page = pages.of(kind);
    row.test = page.test;
    if (!page.text.empty()) row.documentation = page.header;
    return row;
}

using Cells = std::vector<std::string>;

void print_table(const std::vector<OpRow>& rows) {
    std::vector<Cells> lines = {{"op", "gradient", "recipes", "test", "documentation"}};
    for (const OpRow& row : rows) {
        lines.push_back({row.kind, row.gradient, fmt::format("{}", fmt::join(row.recipes, ", ")),
                         row.test, row.documentation});
    }
    std::vector<size_t> widths(lines[0].size());
    for (const Cells& cells : lines) {
        for (size_t i = 0; i < cells.size(); i++) widths[i] = std::max(widths[i], cells[i].size());
    }
    for (const Cells& cells : lines) {
        std::string line;
        for (size_t i = 0; i < cells.size(); i++)
            line += fmt::format("{:{}}  ", cells[i], widths[i]);
        fmt::print("{}\n", line.substr(0, line.find_last_not_of(' ') + 1));
    }
    fmt::print("{} ops\n", rows.size());
}

// null stands for what is not there.
nlohmann::json or_null(const std::string& text) {
    return text.empty() ? nlohmann::json() : nlohmann::json(text);
}

nlohmann::ordered_json json_of(const OpRow& row) {
    return {{"op", row.kind},
            {"gradient", or_null(row.gradient)},
            {"recipes", row.recipes},
            {"device_recipes", row.device_recipes},
            {"test", or_null(row.test)},
            {"documentation", or_null(row.documentation)}};
}

void print_one(const OpRow& row, const std::string& text) {
    const std::string attributes = print_attributes(*make_op(row.kind));
    fmt::print("{}\n", row.kind);
    for (size_t begin = 0; begin < text.size();) {
        const size_t end = std::min(text.find('\n', begin), text.size());
        const std::string line = text.substr(begin, end - begin);
        fmt::print("{}{}\n", line.empty() ? "" : "  ", line);
        begin = end + 1;
    }
    fmt::print("\nattributes  {}\n", attributes.empty() ? "none" : attributes);
    fmt::print("gradient    {}\n", row.gradient);
    if (!row.recipes.empty()) fmt::print("recipes     {}\n", fmt::join(row.recipes, ", "));
    if (!row.device_recipes.empty())
        fmt::print("on devices  {}\n", fmt::join(row.device_recipes, ", "));
    if (!row.test.empty()) fmt::print("test        {}\n", row.test);
    fmt::print("header      {}\n", row.documentation);
}

}  // namespace

void add_ops_command(CLI::App& app, CommandLine& line) {
    CLI::App* command = app.add_subcommand("ops", "List the ops of graphs, or describe one");
    command->add_option("OP", line.op, "An op, by its name in .emu files");
    command->add_flag("--json", line.json, "As JSON");
    command->callback([&line] { line.command = "ops"; });
}

std::vector<OpRow> op_rows() {
    const OpPages pages;
    const RecipeLibrary library = make_library();
    std::vector<OpRow> rows;
    for (std::string_view kind : op_kinds()) rows.push_back(row_of(kind, pages, library));
    return rows;
}

int run_ops(const CommandLine& line) {
    if (line.op.empty() && !line.json) {
        print_table(op_rows());
        return 0;
    }
    if (line.op.empty()) {
        nlohmann::ordered_json list = nlohmann::ordered_json::array();
        for (const OpRow& row : op_rows()) list.push_back(json_of(row));
        fmt::print("{}\n", list.dump(1));
        return 0;
    }
    if (find_op(line.op) == nullptr)
        fail("unknown_op", fmt::format("there is no op '{}'", line.op), remedy_for_op(line.op));
    const OpPages pages;
    const OpRow row = row_of(line.op, pages, make_library());
    const std::string text = pages.of(line.op).text;
    if (!line.json) {
        print_one(row, text);
        return 0;
    }
    nlohmann::ordered_json json = json_of(row);
    json["attributes"] = print_attributes(*make_op(line.op));
    json["text"] = text;
    fmt::print("{}\n", json.dump(1));
    return 0;
}

}  // namespace emulsion
