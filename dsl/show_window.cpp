// A described layer is written with the DSL, as a model would write it, so its sizes and what is
// wrong with them are those of a model.
#include "dsl/show_window.h"

#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>

#include "compiler/support/diagnostic.h"
#include "dsl/model_state.h"
#include "dsl/window_picture.h"
#include "runtime/support/atomic_file.h"

namespace emulsion {

namespace {

using Words = std::vector<std::string>;

constexpr int kMostCells = 4096;  // along an axis, of whatever is described

// Two numbers of 0 or more: "5" is both, "5x7" five rows and seven columns.
struct Pair {
    int rows = 0, columns = 0;
};

int number_of(std::string_view option, std::string_view word, const std::string& given) {
    int value = -1;
    const char* end = word.data() + word.size();
    const auto read = std::from_chars(word.data(), end, value);
    if (read.ec == std::errc() && read.ptr == end && value >= 0 && value <= kMostCells)
        return value;
    fail("usage", fmt::format("{} is '{}', which is no size", option, given),
         fmt::format("write a number from 0 to {}, or two: rows x columns, as in 5x7", kMostCells));
}

Pair pair_of(std::string_view option, const std::string& given) {
    const size_t cross = given.find('x');
    const int rows = number_of(option, std::string_view(given).substr(0, cross), given);
    if (cross == std::string::npos) return {rows, rows};
    return {rows, number_of(option, std::string_view(given).substr(cross + 1), given)};
}

Size size_of(std::string_view option, const std::string& given) {
    const Pair pair = pair_of(option, given);
    return Size(pair.rows, pair.columns);
}

Padding padding_of(const std::string& given) {
    if (given == "same") return same;
    if (given == "valid") return valid;
    const Pair pair = pair_of("--padding", given);
    return Padding(pair.rows, pair.columns);
}

const Words kDescribing = {"--size",    "--kernel",   "--window",         "--stride",
                           "--padding", "--dilation", "--output-padding", "--round-up"};

Tensor write_described(const Tensor& x, const CommandLine& line) {
    const ShownWindow& shown = line.shown;
    const Size stride = size_of("--stride", shown.stride.empty() ? "1" : shown.stride);
    const Size dilation = size_of("--dilation", shown.dilation);
    const Padding padding = padding_of(shown.padding);
    const Size kernel = size_of("--kernel", shown.kernel);
    if (line.file == "conv") {
        return conv(x, 1,
                    {.kernel = kernel,
                     .stride = stride,
                     .dilation = dilation,
                     .padding = padding,
                     .bias = false,
                     .name = line.file});
    }
    if (line.file == "conv_transpose") {
        return conv_transpose(x, 1,
                              {.kernel = kernel,
                               .stride = stride,
                               .dilation = dilation,
                               .padding = padding,
                               .output_padding = size_of("--output-padding", shown.output_padding),
                               .bias = false,
                               .name = line.file});
    }
    const Size window = size_of("--window", shown.window);
    const PoolOptions options = {.window = window,
                                 .stride = shown.stride.empty() ? Size(0) : stride,
                                 .padding = padding,
                                 .round_up = shown.round_up,
                                 .name = line.file};
    return line.file == "max_pool" ? max_pool(x, options) : average_pool(x, options);
}

int draw(const CommandLine& line, const WindowPicture& picture) {
    fmt::print("{}", text_of(picture));
    if (line.shown.svg.empty()) return 0;
    const std::string text = svg_of(picture);
    AtomicFile file(line.shown.svg, {.executable = false, .durable = false});
    file.write({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
    file.commit();
    return 0;
}

}  // namespace

void add_window_options(CLI::App* app, bool describes, CommandLine& line) {
    ShownWindow& shown = line.shown;
    app->add_option("--layer", shown.layer, "Draw the window of this convolution or pooling");
    app->add_option("--svg", shown.svg, "Also draw it into this file, moving");
    if (!describes) return;
    const char* group = "FILE is conv, conv_transpose, max_pool or average_pool";
    const auto add = [&](const char* name, std::string& value, const char* help) {
        app->add_option(name, value, help)->group(group);
    };
    add("--size", shown.size, "Cells of the map: 5, or rows x columns: 5x7 (default: 5)");
    add("--kernel", shown.kernel, "Of a convolution (default: 3)");
    add("--window", shown.window, "Of a pooling (default: 2)");
    add("--stride", shown.stride, "Default: 1, of a pooling the window");
    add("--padding", shown.padding, "valid, same, or cells on each side (default: valid)");
    add("--dilation", shown.dilation, "Of a convolution (default: 1)");
    add("--output-padding", shown.output_padding, "Of conv_transpose (default: 0)");
    app->add_flag("--round-up", shown.round_up, "Of a pooling: one more window that overhangs")
        ->group(group);
}

bool is_drawn_layer(const CommandLine& line) {
    for (const char* layer : {"conv", "conv_transpose", "max_pool", "average_pool"}) {
        if (line.file == layer) return true;
    }
    return false;
}

namespace {

// Which kinds of layer an option that describes one belongs to; the others all.
bool describes(const std::string& option, const std::string& layer) {
    const bool is_pool = layer.ends_with("_pool");
    if (option == "--kernel" || option == "--dilation") return !is_pool;
    if (option == "--window" || option == "--round-up") return is_pool;
    if (option == "--output-padding") return layer == "conv_transpose";
    return true;
}

bool is_given(CLI::App* command, const std::string& option) {
    return command->get_option_no_throw(option) != nullptr && command->count(option) > 0;
}

}  // namespace

void check_window_options(CLI::App* command, const CommandLine& line) {
    const bool is_drawn = is_drawn_layer(line);
    for (const std::string& option : kDescribing) {
        if (!is_given(command, option)) continue;
        if (!is_drawn)
            fail("usage",
                 fmt::format("{} describes a layer, but '{}' is a model", option, line.file),
                 "name one of its layers with --layer, or write conv, conv_transpose, max_pool or "
                 "average_pool in place of the file");
        if (!describes(option, line.file))
            fail("usage", fmt::format("{} has no option {}", line.file, option), "leave it out");
    }
    if (is_drawn && !line.shown.layer.empty())
        fail("usage",
             fmt::format("--layer names a layer of a model, but '{}' is a layer", line.file),
             "name a model file, or leave --layer out");
    if (!is_drawn && line.shown.layer.empty() && !line.shown.svg.empty())
        fail("usage", "--svg draws a layer, and none is named", "add --layer=NAME");
    if ((is_drawn || !line.shown.layer.empty()) && is_given(command, "--emit"))
        fail("usage", "a layer is drawn, so there is no stage to print",
             "leave --emit or the layer out");
}

int run_show_described(const CommandLine& line) {
    const Pair size = pair_of("--size", line.shown.size);
    Model m("drawn");
    const Tensor x = m.input("map", {1, size.rows, size.columns});
    write_described(x, line);
    internal::ModelState& state = internal::Access::state(m);
    if (!state.mistakes.empty()) {
        Diagnostic mistake = state.mistakes[0];
        mistake.where = {};
        mistake.notes.clear();
        throw Error(std::move(mistake));
    }
    return draw(line, picture_of_layer(state.builder.graph(), line.file));
}

int run_show_layer(const CommandLine& line, const Network& network) {
    return draw(line, picture_of_layer(network.graph, line.shown.layer));
}

}  // namespace emulsion
