// Rows of bytes.
#include "compiler/plan/symbolic_memory.h"

#include <algorithm>

namespace emulsion {

bool Block::overlaps(const Block& other) const {
    if (memory != other.memory || begin >= other.end || other.begin >= end) return false;
    if (pitch != other.pitch) return true;
    // Columns of the other's rows, counted from this one's first.
    const int64_t distance = ((other.begin - begin) % pitch + pitch) % pitch;
    return distance < width || distance + other.width > pitch;
}

Block block_of(const PlannedBuffer& buffer) {
    const bool is_port =
        buffer.memory == MemoryClass::input || buffer.memory == MemoryClass::output;
    if (is_port) return {buffer.memory, buffer.offset, buffer.offset + 1};
    if (buffer.pitch == 0) return {buffer.memory, buffer.offset, buffer.offset + buffer.bytes};
    const int64_t element = buffer.type.element == ElementType::u8 ? 1 : 4;
    const int64_t width = buffer.type.shape[0] * element, pitch = buffer.pitch * element;
    const int64_t rows = buffer.bytes / width;
    return {buffer.memory, buffer.offset, buffer.offset + (rows - 1) * pitch + width, pitch, width};
}

void SymbolicMemory::write(const Block& block, int symbol) {
    forget(block);
    held_.emplace_back(block, symbol);
}

std::optional<int> SymbolicMemory::read(const Block& block, Symbols& symbols) const {
    for (const auto& [other, symbol] : held_) {
        if (other == block) return symbol;
    }
    return read_parts(block, symbols);
}

std::optional<int> SymbolicMemory::read_parts(const Block& block, Symbols& symbols) const {
    std::vector<std::pair<Block, int>> parts;
    for (const auto& [other, symbol] : held_) {
        if (other.overlaps(block)) parts.emplace_back(other, symbol);
    }
    if (parts.empty()) return std::nullopt;
    std::sort(parts.begin(), parts.end(),
              [](const auto& a, const auto& b) { return a.first.begin < b.first.begin; });
    const int64_t pitch = parts[0].first.pitch, rows = parts[0].first.rows();
    const bool is_gapless = block.pitch == block.end - block.begin;
    const int64_t width = is_gapless ? pitch : block.width;
    if (is_gapless ? block.end - block.begin != pitch * rows
                   : block.pitch != pitch || block.rows() != rows)
        return std::nullopt;
    int64_t column = 0;
    std::vector<int> found;
    for (const auto& [part, symbol] : parts) {
        if (part.pitch != pitch || part.rows() != rows || part.begin != block.begin + column)
            return std::nullopt;
        column += part.width;
        found.push_back(symbol);
    }
    if (column != width) return std::nullopt;
    return symbols.joined(found);
}

void SymbolicMemory::forget(const Block& block) {
    std::erase_if(held_, [&](const auto& entry) { return entry.first.overlaps(block); });
}

void SymbolicMemory::forget(MemoryClass memory) {
    std::erase_if(held_, [&](const auto& entry) { return entry.first.memory == memory; });
}

}  // namespace emulsion
