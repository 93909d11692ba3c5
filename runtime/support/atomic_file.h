// Files out, written atomically: the bytes go to `PATH.tmp` in the same folder, are forced to the
// disk, and take the place of PATH by a rename. Whatever ends the process before the rename, the
// old file stays whole; the next writer removes a left-over `PATH.tmp`.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace emulsion {

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

    // Takes room for so many bytes on the disk. The file holds it until it is written or dropped,
    // so that two can be tried together. REQUIRES: no write so far.
    void reserve(uint64_t bytes);

    void write(std::span<const uint8_t> bytes);

    // Replaces bytes that are written, from `place` on: a header that counts what follows it.
    // REQUIRES: place + bytes.size() bytes were written.
    void rewrite(uint64_t place, std::span<const uint8_t> bytes);

    // Forces the bytes to the disk. commit() does so too: a writer of several files calls it for
    // each before the first commit, so that a full disk leaves all former files.
    void sync();

    // Forces the bytes to the disk and puts the file in its place. Called once, last.
    void commit();

  private:
    void create(unsigned mode);
    void remove_left_over();
    void drop();
    [[noreturn]] void fail(std::string_view action, int code);
    [[noreturn]] void refuse(const std::string& what, const std::string& fix);

    std::string path_;       // as given, for messages
    std::string target_;     // what is replaced: path_ with its last links resolved
    std::string temporary_;  // beside the target
    AtomicFileOptions options_;
    int descriptor_ = -1;
    bool holds_room_ = false;
};

// Whether writing the one path would replace what the other names, or either's temporary file what
// the other names. Looks through links and other spellings, as is_same_file does.
bool do_collide(const std::string& a, const std::string& b);

// The whole content in one call.
void write_file(const std::string& path, std::span<const uint8_t> bytes);
void write_file(const std::string& path, std::string_view text);

}  // namespace emulsion
