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

std::vector<SymbolicMemory::Held> SymbolicMemory::overlapping(const Block& block) const {
    std::vector<Held> found;
    for (const Held& held : held_) {
        if (held.first.overlaps(block)) found.push_back(held);
    }
    return found;
}

// The same with rows that are those of the block or stand beside them, where that is known.
std::optional<SymbolicMemory::Held> SymbolicMemory::in_rows_of(const Held& held,
                                                               const Block& block) const {
    Block rows = held.first;
    if (rows.pitch != block.pitch) {
        const TensorType& type = symbols_->type_of(held.second);
        const bool is_map = rows.pitch == rows.end - rows.begin && type.batched;
        if (!is_map || type.shape.empty() || type.shape[0] * bytes_of(type.element) != block.pitch)
            return std::nullopt;
        rows.pitch = rows.width = block.pitch;
    }
    const int64_t distance = rows.begin - block.begin;
    const bool is_beside = distance >= 0 ? distance + rows.width <= block.pitch
                                         : block.width - distance <= block.pitch;
    if (rows.rows() != block.rows() || !is_beside) return std::nullopt;
    return Held{rows, held.second};
}

// The symbol of these bytes of each row.
int SymbolicMemory::columns(const Held& held, int64_t begin, int64_t end) const {
    const int64_t element = bytes_of(symbols_->type_of(held.second).element);
    return symbols_->taken(held.second, begin / element, (end - begin) / element);
}

std::optional<int> SymbolicMemory::read(const Block& block) const {
    std::vector<Held> parts = overlapping(block);
    if (parts.empty()) return std::nullopt;
    Block rows = block;
    const bool is_gapless = block.pitch == block.end - block.begin;
    if (parts[0].first == block) return parts[0].second;
    if (is_gapless) rows.pitch = rows.width = parts[0].first.pitch;
    if ((rows.end - rows.begin - rows.width) % rows.pitch != 0) return std::nullopt;
    std::sort(parts.begin(), parts.end(),
              [](const Held& a, const Held& b) { return a.first.begin < b.first.begin; });
    int64_t column = 0;
    std::vector<int> found;
    for (const Held& part : parts) {
        const std::optional<Held> own = in_rows_of(part, rows);
        if (!own) return std::nullopt;
        const int64_t distance = own->first.begin - rows.begin;
        const int64_t begin = std::max<int64_t>(distance, 0);
        const int64_t end = std::min(distance + own->first.width, rows.width);
        if (begin != column) return std::nullopt;
        found.push_back(columns(*own, begin - distance, end - distance));
        column = end;
    }
    if (column != rows.width) return std::nullopt;
    return symbols_->joined(found);
}

void SymbolicMemory::forget(const Block& block) {
    const std::vector<Held> lost = overlapping(block);
    std::erase_if(held_, [&](const Held& held) { return held.first.overlaps(block); });
    for (const Held& held : lost) {
        const std::optional<Held> rows = in_rows_of(held, block);
        if (!rows || block.pitch == block.width) continue;
        const auto& [own, symbol] = *rows;
        const auto keep = [&](int64_t begin, int64_t end) {
            if (begin >= end) return;
            const int64_t first = own.begin + begin;
            held_.emplace_back(
                Block{own.memory, first, first + (own.rows() - 1) * own.pitch + end - begin,
                      own.pitch, end - begin},
                columns(*rows, begin, end));
        };
        keep(0, block.begin - own.begin);
        keep(block.begin + block.width - own.begin, own.width);
    }
}

void SymbolicMemory::forget(MemoryClass memory) {
    std::erase_if(held_, [&](const Held& held) { return held.first.memory == memory; });
}

}  // namespace emulsion
