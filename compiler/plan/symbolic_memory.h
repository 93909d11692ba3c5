// Which symbol lies where: the memory of plan/verify_plan.cpp.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "compiler/plan/plan.h"
#include "compiler/plan/symbols.h"

namespace emulsion {

// Bytes of a memory class: rows of `width`, one each `pitch` bytes; a single row where they lie
// without gaps.
struct Block {
    MemoryClass memory;
    int64_t begin, end;
    int64_t pitch = end - begin, width = end - begin;

    int64_t rows() const { return (end - begin - width) / pitch + 1; }
    // Whether a byte may belong to both: of rows at different pitches it is not known.
    bool overlaps(const Block& other) const;
    bool operator==(const Block&) const = default;
};

Block block_of(const PlannedBuffer& buffer);

class SymbolicMemory {
  public:
    explicit SymbolicMemory(Symbols& symbols) : symbols_(&symbols) {}

    void write(const Block& block, int symbol);
    // What was written to exactly this block, or side by side to columns of its rows; else nothing.
    std::optional<int> read(const Block& block) const;
    // Of rows that go on beside the block, those columns stay.
    void forget(const Block& block);
    void forget(MemoryClass memory);

  private:
    using Held = std::pair<Block, int>;
    std::vector<Held> overlapping(const Block& block) const;
    std::optional<Held> in_rows_of(const Held& held, const Block& block) const;
    int columns(const Held& held, int64_t begin, int64_t end) const;

    Symbols* symbols_;
    std::vector<Held> held_;
};

}  // namespace emulsion
