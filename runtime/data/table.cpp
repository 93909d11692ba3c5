// CSV, and what tables have in common. See table.h.
#include "runtime/data/table.h"

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

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
    sum = crc32_z(sum, reinterpret_cast<const Bytef*>(labels.data()),
                  labels.size() * sizeof(int32_t));
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
    float read_number(std::string_view field, uint64_t place) const;

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

float CsvReader::read_number(std::string_view field, uint64_t place) const {
    const std::optional<double> number = parse_double(field);
    const double scaled = number ? *number / request_.scale : NAN;
    if (!number || !(std::fabs(scaled) <= static_cast<double>(std::numeric_limits<float>::max()))) {
        refuse(concat("value ", place + 1, " behind the label is ", quoted(field.substr(0, 80)),
                      "; expected a finite number"),
               "write it with a decimal point, such as 0.5");
    }
    return static_cast<float>(scaled);
}

// The numbers come in the order C, H, W and go to H, W, C.
void CsvReader::read_row(std::string_view line) {
    const PictureShape& shape = request_.shape;
    const auto channels = static_cast<uint64_t>(shape.channels);
    const uint64_t elements = shape.elements(), pixels = elements / channels;
    const auto fields = static_cast<uint64_t>(std::count(line.begin(), line.end(), ','));
    if (fields != elements) {
        refuse(concat("holds a label and ", fields, fields == 1 ? " value" : " values",
                      "; the network expects ", elements, " (", to_text(shape), ")"),
               "give as many values a line, or change the input of the model");
    }
    table_->labels.push_back(read_label(take_field(&line)));
    const size_t begin = table_->numbers.size();
    table_->numbers.resize(begin + elements);
    for (uint64_t i = 0; i < elements; i++) {
        const uint64_t place = i % pixels * channels + i / pixels;
        table_->numbers[begin + place] = read_number(take_field(&line), i);
    }
}

std::unique_ptr<Source> CsvReader::read() {
    table_->source = file_.name();
    table_->shape = request_.shape;
    table_->classes = request_.classes;
    table_->scale = request_.scale;
    const uint64_t each = request_.shape.elements() * sizeof(float) + sizeof(int32_t);
    bool is_first = true;
    for (std::string_view line; table_->labels.size() < request_.take && lines_.next(&line);) {
        const bool is_heading =
            is_first && !parse_double(trim(line.substr(0, std::min(line.find(','), line.size()))));
        is_first = false;
        if (trim(line).empty() || is_heading) continue;
        if (table_->labels.size() >= request_.bytes / each) {
            file_.refuse(concat("its rows need more memory than ", request_.bytes,
                                " bytes, what is left of three quarters of all memory"),
                         "use a smaller set, or a machine with more memory");
        }
        read_row(line);
    }
    if (table_->labels.empty())
        file_.refuse("holds no rows", "give lines of a label and numbers, parted by commas");
    return std::move(table_);
}

}  // namespace

std::unique_ptr<Source> read_csv(const std::string& path, const DataRequest& request) {
    return CsvReader(path, request).read();
}

}  // namespace emulsion
