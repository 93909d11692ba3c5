// Files of memfd_create, reached through /proc/self/fd.
#include "compiler/support/memory_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "compiler/support/diagnostic.h"

namespace emulsion {

MemoryFile::MemoryFile(const std::string& name, const std::string& bytes)
    : file_(memfd_create(name.c_str(), MFD_CLOEXEC)) {
    EMU_CHECK(file_ >= 0, "no memory file: {}", std::strerror(errno));
    size_t done = 0;
    while (done < bytes.size()) {
        ssize_t count = write(file_, bytes.data() + done, bytes.size() - done);
        EMU_CHECK(count > 0, "a memory file cannot be written: {}", std::strerror(errno));
        done += static_cast<size_t>(count);
    }
}

MemoryFile::~MemoryFile() { close(file_); }

std::string MemoryFile::path() const { return fmt::format("/proc/self/fd/{}", file_); }

std::string MemoryFile::read() const {
    std::string bytes(static_cast<size_t>(lseek(file_, 0, SEEK_END)), '\0');
    ssize_t count = pread(file_, bytes.data(), bytes.size(), 0);
    EMU_CHECK(count == static_cast<ssize_t>(bytes.size()), "a memory file could not be read back");
    return bytes;
}

}  // namespace emulsion
