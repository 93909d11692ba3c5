// CSV, and what tables have in common. See table.h.
#include "runtime/data/table.h"

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "runtime/data/checksum.h"
#include "runtime/data/picture_files.h"
#include "runtime/support/error.h"
#include "runtime/support/text.h"

namespace emulsion {

uint64_t Table::count() const {
    const uint64_t elements = shape.elements();
    return elements > 0 ? numbers.size() / elements : 0;
}

void Table::read(uint64_t index, const Normalizer& normalizer, float* row) const {
    const uint64_t elements = shape.elements();
    normalizer.apply(numbers.data() + index * elements,
                     elements / static_cast<uint64_t>(shape.channels), row);
}

uint32_t Table::checksum() const {
    uLong sum =
        crc32_z(0, reinterpret_cast<const Bytef*>(numbers.data()), numbers.size() * sizeof(float));
    for (const std::vector<int32_t>* each : {&labels, &targets}) {
        sum = crc32_z(sum, reinterpret_cast<const Bytef*>(each->data()),
                      each->size() * sizeof(int32_t));
    }
    return static_cast<uint32_t>(sum);
}

namespace {

constexpr uint64_t kPart = kMebi;  // read at once

// The lines of a file, one after the other, in bounded memory.
class LineReader {
  public:
    explicit LineReader(const ByteSource& file) : file_(file) {}

    // False at the end. The line lacks its end, and stays until the next call.
    bool next(std::string_view* line) {
        size_t end = text_.find('\n', begin_);
        while (end == text_.npos && place_ < file_.size()) {
            text_.erase(0, begin_);
            begin_ = 0;
            const size_t searched = text_.size();
            if (searched > kMostTableLine) {
                file_.refuse(
                    concat("line ", number_ + 1, " is longer than ", kMostTableLine, " bytes"),
                    "give a CSV file with one row a line");
            }
            const uint64_t count = std::min(kPart, file_.size() - place_);
            text_.resize(searched + count);
            file_.read(place_, {reinterpret_cast<uint8_t*>(text_.data()) + searched, count});
            place_ += count;
            end = text_.find('\n', searched);
        }
        if (begin_ == text_.size()) return false;
        end = std::min(end, text_.size());
        *line = std::string_view(text_).substr(begin_, end - begin_);
        begin_ = std::min(end + 1, text_.size());
        if (line->ends_with('\r')) line->remove_suffix(1);
        number_++;
        return true;
    }
    uint64_t number() const { return number_; }  // of the last line, from 1

  private:
    const ByteSource& file_;
    std::string text_;
    size_t begin_ = 0;  // of what is left of the text
    uint64_t place_ = 0, number_ = 0;
};

std::string_view trim(std::string_view text) {
    const size_t begin = text.find_first_not_of(" \t");
    if (begin == text.npos) return {};
    return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// Takes the field up to the next comma off the front.
std::string_view take_field(std::string_view* rest) {
    const size_t comma = std::min(rest->find(','), rest->size());
    const std::string_view field = trim(rest->substr(0, comma));
    rest->remove_prefix(std::min(comma + 1, rest->size()));
    return field;
}

// Where the i-th value in the order C, H, W stands in the order H, W, C.
uint64_t place_of(uint64_t i, const PictureShape& shape) {
    const auto channels = static_cast<uint64_t>(shape.channels);
    const uint64_t pixels = shape.elements() / channels;
    return i % pixels * channels + i / pixels;
}

class CsvReader {
  public:
    CsvReader(const std::string& path, const DataRequest& request)
        : file_(path, "CSV file"), lines_(file_), request_(request) {}

    std::unique_ptr<Source> read();

  private:
    [[noreturn]] void refuse(const std::string& what, const std::string& fix) const {
        file_.refuse(concat("line ", lines_.number(), ": ", what), fix);
    }
    void read_row(std::string_view line);
    int32_t read_label(std::string_view field) const;
    void read_targets(std::string_view* line);
    float read_number(std::string_view field, uint64_t place, double scale) const;

    const ByteSource file_;
    LineReader lines_;
    const DataRequest& request_;
    std::unique_ptr<Table> table_ = std::make_unique<Table>();
};

int32_t CsvReader::read_label(std::string_view field) const {
    const std::optional<uint64_t> label = parse_unsigned(field);
    if (label && *label < static_cast<uint64_t>(request_.classes))
        return static_cast<int32_t>(*label);
    refuse(concat("the label is ", quoted(field), "; expected a whole number from 0 to ",
                  request_.classes - 1, ", as the network has ", request_.classes, " classes"),
           "put the label in front, and give the model as many classes");
}

float CsvReader::read_number(std::string_view field, uint64_t place, double scale) const {
    const std::optional<double> number = parse_double(field);
    const double scaled = number ? *number / scale : NAN;
    if (!number || !(std::fabs(scaled) <= static_cast<double>(std::numeric_limits<float>::max()))) {
        const bool has_label = request_.target.kind == TargetKind::kLabel;
        refuse(concat("value ", place + 1, has_label ? " behind the label is " : " is ",
                      quoted(field.substr(0, 80)), "; expected a finite number"),
               "write it with a decimal point, such as 0.5");
    }
    return static_cast<float>(scaled);
}

// What the row is trained towards, the first fields, from C, H, W to H, W, C.
void CsvReader::read_targets(std::string_view* line) {
    const TargetForm& target = request_.target;
    const uint64_t elements = target.elements();
    const auto fields = static_cast<uint64_t>(std::count(line->begin(), line->end(), ',')) + 1;
    if (fields <= elements) {
        refuse(concat("holds ", fields, fields == 1 ? " value" : " values", "; expected ", elements,
                      " that are predicted, and those of the row behind them"),
               "put what the network predicts in front");
    }
    const size_t begin = table_->targets.size();
    table_->targets.resize(begin + elements);
    for (uint64_t i = 0; i < elements; i++) {
        const float number = read_number(take_field(line), i, 1.0);
        std::memcpy(&table_->targets[begin + place_of(i, target.shape)], &number, sizeof number);
    }
}

// The numbers come in the order C, H, W and go to H, W, C.
void CsvReader::read_row(std::string_view line) {
    const PictureShape& shape = request_.shape;
    const uint64_t elements = shape.elements();
    const bool has_numbers = request_.target.kind == TargetKind::kNumbers;
    const bool has_label = request_.target.kind == TargetKind::kLabel;
    if (has_numbers) read_targets(&line);
    const auto fields =
        static_cast<uint64_t>(std::count(line.begin(), line.end(), ',')) + (has_label ? 0 : 1);
    if (fields != elements) {
        const char* before = has_numbers ? "what is predicted and "
                             : has_label ? "a label and "
                                         : "";
        refuse(concat("holds ", before, fields, fields == 1 ? " value" : " values",
                      "; the network expects ", elements, " (", to_text(shape), ")"),
               "give as many values a line, or change the input of the model");
    }
    if (has_label) table_->labels.push_back(read_label(take_field(&line)));
    const size_t begin = table_->numbers.size();
    table_->numbers.resize(begin + elements);
    for (uint64_t i = 0; i < elements; i++) {
        table_->numbers[begin + place_of(i, shape)] =
            read_number(take_field(&line), i, request_.scale);
    }
}

std::unique_ptr<Source> CsvReader::read() {
    table_->source = file_.name();
    table_->shape = request_.shape;
    table_->classes = request_.classes;
    table_->scale = request_.scale;
    if (request_.target.kind == TargetKind::kNumbers) table_->target = request_.target;
    const uint64_t each = (request_.shape.elements() + request_.target.elements()) * sizeof(float);
    bool is_first = true;
    for (std::string_view line; table_->count() < request_.take && lines_.next(&line);) {
        const bool is_heading =
            is_first && !parse_double(trim(line.substr(0, std::min(line.find(','), line.size()))));
        is_first = false;
        if (trim(line).empty() || is_heading) continue;
        if (table_->count() >= request_.bytes / each) {
            file_.refuse(concat("its rows need more memory than ", request_.bytes,
                                " bytes, what is left of three quarters of all memory"),
                         "use a smaller set, or a machine with more memory");
        }
        read_row(line);
    }
    if (table_->count() == 0)
        file_.refuse("holds no rows", "give lines of a label and numbers, parted by commas");
    return std::move(table_);
}

}  // namespace

std::unique_ptr<Source> open_number_list(const std::string& path, const DataRequest& request) {
    const uint64_t elements = request.target.elements();
    std::string example = "faces/1.jpg";
    for (uint64_t i = 0; i < std::min<uint64_t>(elements, 4); i++) example += concat(" 0.", i + 1);
    if (elements > 4) example += " ...";
    auto files = std::make_unique<PictureFiles>();
    files->source = path;
    files->shape = request.shape;
    files->target = request.target;
    files->rule = request.rule.value_or(kDefaultRule);
    std::string all;
    for (const ListLine& line : read_list(path, elements, example)) {
        if (files->paths.size() == request.take) break;
        std::string_view rest = line.label;
        const size_t begin = files->targets.size();
        files->targets.resize(begin + elements);
        for (uint64_t i = 0; i < elements; i++) {
            rest = trim(rest);
            const std::string_view word = rest.substr(0, rest.find_first_of(" \t"));
            rest.remove_prefix(word.size());
            const auto number = parse_double(word);
            const float value = number ? static_cast<float>(*number) : NAN;
            if (!std::isfinite(value)) {
                throw RuntimeError(line.where,
                                   concat("value ", i + 1, " behind the path is ",
                                          quoted(word.substr(0, 80)), "; expected a finite number"),
                                   concat("write one picture a line, such as \"", example, "\""));
            }
            std::memcpy(&files->targets[begin + place_of(i, files->target.shape)], &value,
                        sizeof value);
        }
        files->paths.push_back(listed_path(path, line.path));
        all += concat(line.path, " ", line.label, "\n");
    }
    files->sum = static_cast<uint32_t>(checksum_of(all));
    const size_t count = files->paths.size();
    files->note = concat("found ", count, count == 1 ? " picture" : " pictures", " with ", elements,
                         elements == 1 ? " number each" : " numbers each");
    return files;
}

std::unique_ptr<Source> read_csv(const std::string& path, const DataRequest& request) {
    return CsvReader(path, request).read();
}

}  // namespace emulsion
