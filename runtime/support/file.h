// Files in and out.
//
// Reading has a limit, so that a file of unexpected size costs no memory. Writing is atomic: the
// bytes go to `PATH.tmp` in the same folder, are forced to the disk, and take the place of PATH by
// a rename. Whatever ends the process before the rename, the old file stays whole; the next writer
// removes a left-over `PATH.tmp`.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace emulsion {

using Bytes = std::vector<uint8_t>;

// A plain file, or bytes in memory, read at any place. Readers take it, so that they need no copy
// of a large file and can be given bytes that are no file. Throws RuntimeError where it cannot be
// read, is no plain file, or became shorter meanwhile; `kind` says what was expected ("picture",
// "weights file"). Serves one thread.
class ByteSource {
  public:
    ByteSource(const std::string& path, std::string_view kind);
    // The bytes must outlive it; `name` is what messages call them.
    ByteSource(std::span<const uint8_t> bytes, std::string name, std::string_view kind);
    ~ByteSource();
    ByteSource(const ByteSource&) = delete;
    ByteSource& operator=(const ByteSource&) = delete;

    const std::string& name() const { return name_; }
    uint64_t size() const { return size_; }

    // Fills `out` with the bytes from `offset` on.
    void read(uint64_t offset, std::span<uint8_t> out) const;

    [[noreturn]] void refuse(const std::string& what, const std::string& fix) const;

  private:
    std::string name_, kind_;
    std::span<const uint8_t> bytes_;
    int descriptor_ = -1;
    uint64_t size_ = 0;
};

// The content of a file of at most `limit` bytes.
Bytes read_file(const std::string& path, uint64_t limit, std::string_view kind);

bool is_file(const std::string& path);
bool is_folder(const std::string& path);

// Whether writing to the one path would replace what the other names: through links and other
// spellings too, and where the files or their folders do not exist yet.
bool is_same_file(const std::string& a, const std::string& b);

// "run1/" and "weights" to "run1/weights".
std::string join_path(std::string_view folder, std::string_view name);

// One that does not exist is fine. Throws RuntimeError.
void remove_file(const std::string& path);

// Makes the folder and those above it, so that they outlast a power cut; one that exists is fine.
void make_folder(const std::string& path);

struct AtomicFileOptions {
    bool executable = false;  // whoever may read the file may run it
    bool durable = true;      // forced to the disk: without, a power cut may leave a part of it
};

// One file in the making. The path may name a plain file, whose mode (and owner, where the system
// allows it) the new one gets, or nothing yet; where it is a symbolic link, the link's target is
// meant. Folders, devices and pipes are refused. The constructor finds out all that can be known
// before the bytes are there, so making one and dropping it is a trial that leaves nothing.
//
// Not copyable; serves one thread. Every function throws RuntimeError with the system's reason
// (disk full, no permission), and the temporary file is gone then.
class AtomicFile {
  public:
    explicit AtomicFile(std::string path, const AtomicFileOptions& options = {});
    ~AtomicFile();  // without commit: removes the temporary file
    AtomicFile(const AtomicFile&) = delete;
    AtomicFile& operator=(const AtomicFile&) = delete;

    void write(std::span<const uint8_t> bytes);

    // Forces the bytes to the disk. commit() does so too: a writer of several files calls it for
    // each before the first commit, so that a full disk leaves all former files.
    void sync();

    // Forces the bytes to the disk and puts the file in its place. Called once, last.
    void commit();

  private:
    void create(unsigned mode);
    void remove_left_over();
    bool holds_name(int descriptor) const;
    void drop();
    [[noreturn]] void fail(std::string_view action, int code);
    [[noreturn]] void refuse(const std::string& what, const std::string& fix);

    std::string path_;       // as given, for messages
    std::string target_;     // what is replaced: path_ with its last links resolved
    std::string temporary_;  // beside the target
    AtomicFileOptions options_;
    int descriptor_ = -1;
};

// The whole content in one call.
void write_file(const std::string& path, std::span<const uint8_t> bytes);
void write_file(const std::string& path, std::string_view text);

}  // namespace emulsion
