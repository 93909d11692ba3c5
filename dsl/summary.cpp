// See summary.h.
#include "dsl/summary.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace emulsion {

int64_t parameter_count(const Network& network) {
    int64_t count = 0;
    for (const LayerRow& row : layer_rows(network)) count += row.parameters;
    return count;
}

int64_t multiply_adds(const Network& network) {
    int64_t count = 0;
    for (const LayerRow& row : layer_rows(network)) count += row.multiply_adds;
    return count;
}

// Table

namespace {

std::string grouped(int64_t value) {
    std::string text = std::to_string(value);
    for (int at = static_cast<int>(text.size()) - 3; at > 0; at -= 3)
        text.insert(static_cast<size_t>(at), 1, ',');
    return text;
}

std::string kibibytes(int64_t bytes) {
    return fmt::format("{:.1f} KiB", static_cast<double>(bytes) / 1024);
}

// What `number` says of each axis: one where all agree, else "3x5"; whole numbers, or with their
// decimals.
template <class Number>
std::string of_axes(const std::vector<ReceptiveField>& field, const Number& number) {
    std::string text;
    bool is_one = true;
    for (const ReceptiveField& axis : field) {
        is_one = is_one && number(axis) == number(field[0]);
        text += fmt::format("{}{}", text.empty() ? "" : "x", number(axis));
    }
    return is_one ? fmt::to_string(number(field[0])) : text;
}

// "14 every 4 from -6": cells seen, distance to the next output's field, first cell of the first
// one.
std::string field_text(const LayerRow& row) {
    return fmt::format(
        "{} every {} from {}", of_axes(row.fields, [](const ReceptiveField& f) { return f.size; }),
        of_axes(row.fields, [](const ReceptiveField& f) { return f.jump; }),
        of_axes(row.fields, [](const ReceptiveField& f) {
            return static_cast<int64_t>(std::floor(f.offset - static_cast<double>(f.size - 1) / 2));
        }));
}

std::string shape_text(const TensorType& type) {
    return type.shape.empty() ? "1" : fmt::format("{}", fmt::join(type.shape, " x "));
}

std::vector<std::string> cells_of(const LayerRow& row) {
    return {row.name,
            row.op,
            shape_text(row.output),
            row.parameters == 0 ? "" : grouped(row.parameters),
            row.multiply_adds == 0 ? "" : grouped(row.multiply_adds),
            row.output.shape.size() > 1 && !row.fields.empty() ? field_text(row) : "",
            kibibytes(row.bytes)};
}

std::string print_table(const std::vector<std::vector<std::string>>& lines) {
    std::vector<size_t> widths(lines[0].size(), 0);
    for (const auto& line : lines) {
        for (size_t i = 0; i < line.size(); i++) widths[i] = std::max(widths[i], line[i].size());
    }
    std::string text;
    for (const auto& line : lines) {
        std::string row;
        for (size_t i = 0; i < line.size(); i++) {
            bool is_number = i == 3 || i == 4 || i == 6;
            row += is_number ? fmt::format("{:>{}}  ", line[i], widths[i])
                             : fmt::format("{:<{}}  ", line[i], widths[i]);
        }
        text += row.substr(0, row.find_last_not_of(' ') + 1) + "\n";
    }
    return text;
}

}  // namespace

std::string summary(const Network& network) {
    std::vector<std::vector<std::string>> lines = {
        {"layer", "op", "output", "parameters", "multiply-adds", "receptive field", "memory"}};
    LayerRow total;
    for (const LayerRow& row : layer_rows(network)) {
        lines.push_back(cells_of(row));
        total.parameters += row.parameters;
        total.multiply_adds += row.multiply_adds;
        total.bytes += row.bytes;
    }
    lines.push_back({"total", "", "", grouped(total.parameters), grouped(total.multiply_adds), "",
                     kibibytes(total.bytes)});
    return fmt::format("{}: layers of one sample\n", network.name) + print_table(lines);
}

}  // namespace emulsion
