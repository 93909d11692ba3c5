// Whole files in and out.
//
// Reading has a limit, so that a file of unexpected size costs no memory. Writing is atomic: the
// bytes go to `PATH.tmp` in the same folder, are forced to the disk, and take the place of PATH by
// a rename. Whatever ends the process before the rename, the old file stays whole; a left-over
// `PATH.tmp` is overwritten by the next writer.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace emulsion {

using Bytes = std::vector<uint8_t>;

// The file's content. Throws RuntimeError where it cannot be read, is no plain file, or is longer
// than `limit` bytes; `kind` says what was expected ("picture", "weights file").
Bytes read_file(const std::string& path, uint64_t limit, std::string_view kind);

bool is_file(const std::string& path);
bool is_folder(const std::string& path);

// "run1/" and "weights" to "run1/weights".
std::string join_path(std::string_view folder, std::string_view name);

// Makes the folder and those above it; one that exists is fine.
void make_folder(const std::string& path);

// One file in the making. Not copyable; serves one thread. Every function throws RuntimeError with
// the system's reason (disk full, no permission), and the temporary file is gone then.
class AtomicFile {
  public:
    explicit AtomicFile(std::string path);
    ~AtomicFile();  // without commit: removes the temporary file
    AtomicFile(const AtomicFile&) = delete;
    AtomicFile& operator=(const AtomicFile&) = delete;

    void write(std::span<const uint8_t> bytes);

    // Forces the bytes to the disk and puts the file in its place. Called once, last.
    void commit();

  private:
    [[noreturn]] void fail(std::string_view action, int code);

    std::string path_, temporary_;
    int descriptor_ = -1;
};

// The whole content in one call.
void write_file(const std::string& path, std::span<const uint8_t> bytes);
void write_file(const std::string& path, std::string_view text);

}  // namespace emulsion
