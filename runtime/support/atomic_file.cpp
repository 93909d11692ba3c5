// See atomic_file.h.
#include "runtime/support/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "runtime/support/descriptor.h"
#include "runtime/support/error.h"
#include "runtime/support/limits.h"
#include "runtime/support/path.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr std::string_view kEnding = ".tmp";

// What stands in the way of a file, or null: all but a plain file.
const char* special_kind(mode_t mode) {
    if (S_ISREG(mode)) return nullptr;
    if (S_ISDIR(mode)) return "a folder";
    if (S_ISFIFO(mode)) return "a pipe";
    if (S_ISSOCK(mode)) return "a socket";
    return "a device";
}

// The bits that the new file gets from the old one, whose owner and group it gets where it may.
mode_t take_over_owner(int descriptor, const struct stat& old) {
    const mode_t mode = old.st_mode & 0777;
    if (fchown(descriptor, old.st_uid, old.st_gid) == 0) return mode;
    if (fchown(descriptor, static_cast<uid_t>(-1), old.st_gid) == 0) return mode;
    return mode & ~static_cast<mode_t>(S_IRWXG);  // they were another group's
}

}  // namespace

AtomicFile::AtomicFile(std::string path, const AtomicFileOptions& options)
    : path_(std::move(path)), target_(path_), options_(options) {
    struct stat old{};
    const bool exists = stat(path_.c_str(), &old) == 0;
    if (!exists && errno != ENOENT) fail("write", errno);
    if (exists && S_ISDIR(old.st_mode)) fail("write", EISDIR);
    if (exists && special_kind(old.st_mode) != nullptr) {
        refuse(concat("cannot write the file: it is ", special_kind(old.st_mode)),
               "choose the path of a plain file");
    }
    const int code = resolve_links(&target_);
    if (code != 0) fail("write", code);
    const size_t name_begin = target_.rfind('/') + 1;
    const size_t name_bytes = target_.size() - name_begin;
    if (name_bytes == 0) fail("write", path_.empty() ? ENOENT : EISDIR);
    temporary_ = concat(
        target_.substr(0, name_begin + std::min(name_bytes, kMostNameBytes - kEnding.size())),
        kEnding);
    // The old file may be private, so the new one is until it has the same mode.
    create(exists ? 0600 : options_.executable ? 0777 : 0666);
    if (!exists) return;
    mode_t mode = take_over_owner(descriptor_, old);
    if (options_.executable) mode |= (mode & 0444) >> 2;
    if (fchmod(descriptor_, mode) != 0) fail("write", errno);
}

AtomicFile::~AtomicFile() { drop(); }

// A file of our own making, locked, so that others see that it is no left-over.
void AtomicFile::create(unsigned mode) {
    constexpr int kFlags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
    while ((descriptor_ = open(temporary_.c_str(), kFlags, mode)) < 0) {
        if (errno != EEXIST) fail("write", errno);
        remove_left_over();
    }
    // A file system without locks is no reason to refuse.
    const bool is_free = flock(descriptor_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
    if (is_free && is_name_of(temporary_, descriptor_)) return;
    close(descriptor_);
    descriptor_ = -1;
    refuse("another process is writing this file",
           "wait for the other process, or choose another path");
}

// Removes what a killed process has left under the temporary name. What somebody else put there is
// neither used nor removed.
void AtomicFile::remove_left_over() {
    struct stat status;
    if (lstat(temporary_.c_str(), &status) != 0) {
        if (errno == ENOENT) return;
        fail("write", errno);
    }
    const bool is_link = S_ISLNK(status.st_mode);
    if (status.st_uid != geteuid() || (!is_link && !S_ISREG(status.st_mode))) {
        refuse(
            concat("cannot write the file: ", quoted(temporary_), " is in the way, ",
                   status.st_uid != geteuid() ? "of another user" : special_kind(status.st_mode)),
            "remove it, or choose another path");
    }
    Descriptor file{-1};
    if (!is_link) {
        file.number = open(temporary_.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (file.number < 0 && errno == ENOENT) return;
        if (file.number < 0) fail("write", errno);
        if (flock(file.number, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
            refuse("another process is writing this file",
                   "wait for the other process, or choose another path");
        }
        if (!is_name_of(temporary_, file.number)) return;  // its writer has just put it in place
    }
    if (unlink(temporary_.c_str()) != 0 && errno != ENOENT) fail("write", errno);
}

void AtomicFile::drop() {
    if (descriptor_ < 0) return;
    if (is_name_of(temporary_, descriptor_)) unlink(temporary_.c_str());
    close(descriptor_);
    descriptor_ = -1;
}

void AtomicFile::fail(std::string_view action, int code) {
    drop();
    refuse(concat("cannot ", action, " the file: ", system_reason(code)), system_remedy(code));
}

void AtomicFile::refuse(const std::string& what, const std::string& fix) {
    throw RuntimeError(one_line(path_), what, fix);
}

namespace {

// While it lives, a file that passes the size limit is EFBIG, and no signal that would end the
// process. Leaves errno.
class HoldSizeSignal {
  public:
    HoldSizeSignal() {
        sigemptyset(&size_signal_);
        sigaddset(&size_signal_, SIGXFSZ);
        pthread_sigmask(SIG_BLOCK, &size_signal_, &former_);
    }
    ~HoldSizeSignal() {
        const int code = errno;
        timespec no_wait{};
        sigtimedwait(&size_signal_, nullptr, &no_wait);  // takes the pending signal
        pthread_sigmask(SIG_SETMASK, &former_, nullptr);
        errno = code;
    }
    HoldSizeSignal(const HoldSizeSignal&) = delete;
    HoldSizeSignal& operator=(const HoldSizeSignal&) = delete;

  private:
    sigset_t size_signal_, former_;
};

}  // namespace

void AtomicFile::reserve(uint64_t bytes) {
    const HoldSizeSignal hold;
    int code = bytes > INT64_MAX ? EFBIG : EINTR;
    while (code == EINTR) code = posix_fallocate(descriptor_, 0, static_cast<off_t>(bytes));
    holds_room_ = true;
    if (code == 0 || code == EINVAL) return;  // no bytes, or a file system that takes no orders
    drop();
    refuse(concat("cannot write ", bytes, " bytes: ", system_reason(code)), system_remedy(code));
}

void AtomicFile::write(std::span<const uint8_t> bytes) {
    const HoldSizeSignal hold;
    if (holds_room_ && ftruncate(descriptor_, 0) != 0) fail("write", errno);
    holds_room_ = false;
    constexpr size_t kChunk = static_cast<size_t>(1) << 20;
    while (!bytes.empty()) {
        ssize_t count = ::write(descriptor_, bytes.data(), std::min(bytes.size(), kChunk));
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) fail("write", errno);
        bytes = bytes.subspan(static_cast<size_t>(count));
    }
}

void AtomicFile::rewrite(uint64_t place, std::span<const uint8_t> bytes) {
    while (!bytes.empty()) {
        const ssize_t count =
            pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(place));
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) fail("write", errno);
        place += static_cast<uint64_t>(count);
        bytes = bytes.subspan(static_cast<size_t>(count));
    }
}

void AtomicFile::sync() {
    if (options_.durable && fsync(descriptor_) != 0) fail("write", errno);
}

void AtomicFile::commit() {
    sync();
    if (!is_name_of(temporary_, descriptor_)) fail("put in place", ENOENT);
    if (rename(temporary_.c_str(), target_.c_str()) != 0) fail("put in place", errno);
    close(descriptor_);
    descriptor_ = -1;
    if (!options_.durable) return;
    // The rename reaches the disk with the folder.
    const int code = sync_folder(folder_of(target_));
    if (code != 0) fail("put in place", code);
}

bool do_collide(const std::string& a, const std::string& b) {
    return is_same_file(a, b) || is_same_file(concat(a, kEnding), b) ||
           is_same_file(a, concat(b, kEnding));
}

void write_file(const std::string& path, std::span<const uint8_t> bytes) {
    AtomicFile file(path);
    file.write(bytes);
    file.commit();
}

void write_file(const std::string& path, std::string_view text) {
    write_file(path, {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

}  // namespace emulsion
