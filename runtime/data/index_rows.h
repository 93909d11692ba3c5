// Rows of whole numbers in memory, for networks that read indices: words of a text, ends of edges.
//
// .npy of whole numbers, of 1 to 8 bytes: [n, L] or [n, R, L]. CSV: a label and the numbers of one
// row, as of numbers (table.h). `synthetic` makes rows up: of each class some words are more
// frequent. An index that the network does not know is refused with its row and place.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/data/open.h"
#include "runtime/data/source.h"

namespace emulsion {

struct IndexRows : Source {
    std::vector<int32_t> numbers;  // [n][L][R]

    uint64_t count() const override;
    // Writes int32_t values, bit by bit, into the floats of the row.
    void read(uint64_t index, const Normalizer& normalizer, float* row) const override;
    bool is_in_memory() const override { return true; }
    uint64_t bytes() const override { return (numbers.size() + labels.size()) * sizeof(int32_t); }
    uint32_t checksum() const override;
};

// Without rows yet. REQUIRES: request.indices has a limit.
std::unique_ptr<IndexRows> make_index_rows(const std::string& source, const DataRequest& request);

// "0 to 199, or -1 for none".
std::string to_text(const IndexRange& range);

// Adds the next number of the row. Throws RuntimeError where the network does not know it.
void add_index(IndexRows& rows, int64_t number, const IndexRange& range);

// The rows of a CSV file; `count` made-up rows.
std::unique_ptr<Source> read_index_csv(const std::string& path, const DataRequest& request);
std::unique_ptr<Source> make_synthetic_indices(uint64_t count, Part part,
                                               const DataRequest& request);

}  // namespace emulsion
