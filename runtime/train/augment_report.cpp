// See augment_report.h.
#include "runtime/train/augment_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "runtime/program/format.h"
#include "runtime/support/error.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr int kMostRows = 8, kMostColumns = 9;
constexpr int kGap = 2;            // pixels of white
constexpr int kLeastSide = 64;     // of a picture that is drawn larger
constexpr int kMostPixels = 4096;  // along a side of the sheet, unless one picture has more

int fitting(int side, int most) { return std::clamp(kMostPixels / (side + kGap), 1, most); }

// Each pixel becomes factor x factor pixels of the sheet, from row `top` and column `left` on.
void paste(const Picture& picture, int factor, int top, int left, Picture* sheet) {
    const int channels = picture.shape.channels;
    for (int y = 0; y < picture.shape.height * factor; y++) {
        for (int x = 0; x < picture.shape.width * factor; x++) {
            const int from = (y / factor * picture.shape.width + x / factor) * channels;
            const int to = ((top + y) * sheet->shape.width + left + x) * channels;
            std::copy_n(picture.pixels.begin() + from, channels, sheet->pixels.begin() + to);
        }
    }
}

}  // namespace

Picture contact_sheet(const Source& source, std::span<const uint32_t> samples,
                      const Augmenter& augmenter) {
    const PictureShape& shape = source.shape;
    if (shape.channels != 1 && shape.channels != 3) {
        throw RuntimeError(one_line(source.source),
                           concat("its pictures have ", shape.channels, " channels"),
                           "pictures of 1 or 3 channels can be drawn");
    }
    const int factor = std::max(1, (kLeastSide + shape.height - 1) / shape.height);
    const int height = shape.height * factor + kGap, width = shape.width * factor + kGap;
    const int rows = std::min(fitting(height, kMostRows), static_cast<int>(samples.size()));
    const int columns = std::max(2, fitting(width, kMostColumns));
    Picture sheet{{shape.channels, rows * height + kGap, columns * width + kGap}, {}};
    sheet.pixels.assign(sheet.shape.elements(), 255);
    AugmentMemory memory;
    for (int row = 0; row < rows; row++) {
        const uint32_t index = samples[static_cast<size_t>(row)];
        const Picture picture = source.picture_at(index);
        paste(picture, factor, row * height + kGap, kGap, &sheet);
        for (int column = 1; column < columns; column++) {
            const auto epoch = static_cast<uint64_t>(column - 1);
            paste(augmenter.make_picture(picture, epoch, index, &memory), factor,
                  row * height + kGap, column * width + kGap, &sheet);
        }
    }
    return sheet;
}

std::vector<NamedAugmentation> ablations_of(const Augmentation& augmentation) {
    constexpr size_t kProbability = 0;
    std::vector<NamedAugmentation> all{{"none", {}}};
    for (size_t kept = 0; kept < augmentation.pieces.size(); kept++) {
        Augmentation one = augmentation;
        for (size_t i = 0; i < one.pieces.size(); i++) {
            if (i != kept) one.pieces[i].values[kProbability] = 0;
        }
        all.push_back({to_text(augmentation.pieces[kept]), std::move(one)});
    }
    if (augmentation.pieces.size() > 1) all.push_back({"all", augmentation});
    return all;
}

namespace {

std::string number_or_nothing(const std::optional<double>& value) {
    return value ? concat(*value) : "";
}

std::string signed_points(double difference) {
    const std::string text = fixed(100.0 * difference, 2);
    return difference >= 0 ? "+" + text : text;
}

}  // namespace

std::string ablation_text(std::span<const AblationRow> rows) {
    std::vector<std::vector<std::string>> table{
        {"augmentation", "valid. loss", "valid. acc", "points"}};
    for (const AblationRow& row : rows) {
        const bool is_compared = row.accuracy && rows.front().accuracy;
        table.push_back(
            {row.name, row.loss ? fixed(*row.loss, 4) : "-",
             row.accuracy ? format_percent(*row.accuracy, 2) : "-",
             is_compared ? signed_points(*row.accuracy - *rows.front().accuracy) : "-"});
    }
    return format_table(table, {Align::kLeft, Align::kRight, Align::kRight, Align::kRight});
}

std::string ablation_csv(std::span<const AblationRow> rows) {
    std::string text = "augmentation,loss,accuracy\n";
    for (const AblationRow& row : rows) {
        text += concat(csv_cell(row.name), ",", number_or_nothing(row.loss), ",",
                       number_or_nothing(row.accuracy), "\n");
    }
    return text;
}

std::string ablation_json(std::span<const AblationRow> rows) {
    std::string text;
    for (const AblationRow& row : rows) {
        nlohmann::ordered_json json{{"event", "ablation"}, {"augmentation", row.name}};
        if (row.loss) json["loss"] = *row.loss;
        if (row.accuracy) json["accuracy"] = *row.accuracy;
        text += json.dump() + "\n";
    }
    return text;
}

}  // namespace emulsion
