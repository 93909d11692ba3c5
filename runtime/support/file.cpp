// Whole files through the system's own calls, so that every failure has its reason.
#include "runtime/support/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "runtime/support/descriptor.h"
#include "runtime/support/error.h"
#include "runtime/support/text.h"

namespace emulsion {

ByteSource::ByteSource(const std::string& path, std::string_view kind) : name_(path), kind_(kind) {
    // Without O_NONBLOCK, opening a pipe would wait for its other end.
    Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
    if (file.number < 0) {
        const int code = errno;
        refuse(concat("cannot open the ", kind_, ": ", system_reason(code)), system_remedy(code));
    }
    struct stat status;
    if (fstat(file.number, &status) != 0)
        refuse(concat("cannot read the ", kind_), system_remedy(errno));
    if (!S_ISREG(status.st_mode)) {
        const char* found = S_ISDIR(status.st_mode) ? "a folder" : "no plain file";
        const bool has_vowel =
            std::string_view("aeioAEIO").find(kind_[0]) != std::string_view::npos;
        refuse(concat("expected a", has_vowel ? "n " : " ", kind_, ", but this is ", found),
               "give the path of a file");
    }
    size_ = static_cast<uint64_t>(status.st_size);
    std::swap(descriptor_, file.number);
}

ByteSource::ByteSource(std::span<const uint8_t> bytes, std::string name, std::string_view kind)
    : name_(std::move(name)), kind_(kind), bytes_(bytes), size_(bytes.size()) {}

ByteSource::~ByteSource() {
    if (descriptor_ >= 0) close(descriptor_);
}

void ByteSource::refuse(const std::string& what, const std::string& fix) const {
    throw RuntimeError(one_line(name_), what, fix);
}

void ByteSource::read(uint64_t offset, std::span<uint8_t> out) const {
    const bool is_inside = offset <= size_ && out.size() <= size_ - offset;
    if (descriptor_ < 0 && is_inside && !out.empty()) {
        memcpy(out.data(), bytes_.data() + offset, out.size());
    }
    if (descriptor_ < 0 && is_inside) return;
    while (!out.empty()) {
        const ssize_t count =
            is_inside ? pread(descriptor_, out.data(), out.size(), static_cast<off_t>(offset)) : 0;
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) {
            const int code = errno;
            refuse(concat("cannot read the ", kind_, ": ", system_reason(code)),
                   system_remedy(code));
        }
        if (count == 0) {
            refuse(concat("the ", kind_, " ends at byte ", offset, " of ", size_,
                          ": it became shorter while it was read"),
                   "let no other process write it, and try again");
        }
        offset += static_cast<uint64_t>(count);
        out = out.subspan(static_cast<size_t>(count));
    }
}

Bytes read_file(const std::string& path, uint64_t limit, std::string_view kind) {
    const ByteSource input(path, kind);
    if (input.size() > limit) {
        input.refuse(concat("the ", kind, " has ", input.size(), " bytes; the limit is ", limit),
                     concat("give a smaller ", kind));
    }
    Bytes bytes(input.size());
    input.read(0, bytes);
    return bytes;
}

}  // namespace emulsion
