// Event files of TensorBoard: records of bytes in the framing of TFRecord.
//
// A record is the length of its data (8 bytes, little-endian), the checksum of these 8 bytes, the
// data, and the checksum of the data. A checksum is CRC-32C, turned right by 15 bits, plus
// 0xa282ead8, as 4 bytes, little-endian.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "runtime/support/descriptor.h"
#include "runtime/train/console.h"

namespace emulsion {

// CRC-32C (Castagnoli).
uint32_t crc32c(std::span<const uint8_t> bytes);

// A file that records are appended to. It is an extra: where the disk refuses one, the file ends
// with the record before, a warning says so, and the run goes on.
class EventFile {
  public:
    // A new file in the folder, which is made where needed. Its name, events.out.tfevents.SECONDS.
    // MICROSECONDS.HOST.PROCESS, orders the files of a folder by time. `console` must outlive it.
    // Throws RuntimeError where it cannot be made.
    EventFile(const std::string& folder, Console& console);

    void append(std::string_view record);

    const std::string& path() const { return path_; }

  private:
    std::string path_;
    Console& console_;
    std::unique_ptr<Descriptor> file_;  // null: given up
    uint64_t size_ = 0;                 // bytes of whole records
};

}  // namespace emulsion
