// See event_file.h.
#include "runtime/train/event_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>

#include "runtime/support/error.h"
#include "runtime/support/path.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr std::array<uint32_t, 256> crc_table() {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; bit++) value = value >> 1 ^ (value & 1 ? 0x82f63b78u : 0u);
        table[i] = value;
    }
    return table;
}

std::string little_endian(uint64_t value, int bytes) {
    std::string text;
    for (int i = 0; i < bytes; i++) text += static_cast<char>(value >> 8 * i & 0xff);
    return text;
}

std::string masked_checksum(std::string_view text) {
    const uint32_t crc = crc32c({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
    return little_endian(uint32_t{(crc >> 15 | crc << 17) + 0xa282ead8u}, 4);
}

std::string file_name() {
    char host[256] = {};
    (void)!gethostname(host, sizeof host - 1);
    std::string safe;
    for (const char* c = host; *c != '\0'; c++) safe += *c == '/' ? '_' : *c;
    using std::chrono::duration_cast, std::chrono::microseconds;
    const int64_t now =
        duration_cast<microseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
    const auto digits = [](int64_t number, size_t width) {
        const std::string text = concat(number);
        return std::string(width - std::min(width, text.size()), '0') + text;
    };
    return concat("events.out.tfevents.", digits(now / 1000000, 10), ".", digits(now % 1000000, 6),
                  ".", safe, ".", getpid());
}

}  // namespace

uint32_t crc32c(std::span<const uint8_t> bytes) {
    static constexpr std::array<uint32_t, 256> kTable = crc_table();
    uint32_t value = ~0u;
    for (uint8_t byte : bytes) value = value >> 8 ^ kTable[(value ^ byte) & 0xff];
    return ~value;
}

EventFile::EventFile(const std::string& folder, Console& console) : console_(console) {
    make_folder(folder);
    const std::string base = join_path(folder, file_name());
    for (int number = 0;; number++) {
        path_ = number == 0 ? base : concat(base, ".", number);
        const int flags = O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC;
        file_ = std::make_unique<Descriptor>(open(path_.c_str(), flags, 0666));
        if (file_->number >= 0) return;
        if (errno != EEXIST) {
            throw RuntimeError(one_line(path_),
                               concat("cannot write the file: ", system_reason(errno)),
                               system_remedy(errno));
        }
    }
}

void EventFile::append(std::string_view record) {
    if (!file_) return;
    const std::string length = little_endian(record.size(), 8);
    const std::string text =
        concat(length, masked_checksum(length), record, masked_checksum(record));
    const int code = write_all(file_->number, text);
    if (code == 0) {
        size_ += text.size();
        return;
    }
    (void)!ftruncate(file_->number, static_cast<off_t>(size_));  // a part of the record
    file_.reset();
    console_.warn(
        RuntimeError(one_line(path_), concat("cannot write the file: ", system_reason(code)),
                     system_remedy(code)),
        "nothing more is added to this file, and training goes on");
}

}  // namespace emulsion
