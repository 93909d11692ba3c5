// Whole files through the system's own calls, so that every failure has its reason.
#include "runtime/support/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "runtime/support/error.h"
#include "runtime/support/limits.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr std::string_view kEnding = ".tmp";

// A descriptor that closes itself.
struct Descriptor {
    int number;
    ~Descriptor() {
        if (number >= 0) close(number);
    }
};

std::string reason(int code) {
    switch (code) {  // the common ones in the same words in any locale
        case ENOENT:
            return "no such file or folder";
        case EACCES:
            return "permission denied";
        case EROFS:
            return "the file system is read-only";
        case ENOSPC:
            return "the disk is full";
        case EDQUOT:
            return "the disk quota is used up";
        case EFBIG:
            return "the file would pass the system's size limit";
        case ENOTDIR:
            return "a part of the path is no folder";
        case EISDIR:
            return "it is a folder";
        case ENAMETOOLONG:
            return "the name is too long";
        case ELOOP:
            return "its symbolic links go in a circle";
        default:
            return strerror(code);
    }
}

std::string remedy(int code) {
    switch (code) {
        case EACCES:
            return "choose another place, or change the permissions of the folder";
        case EROFS:
            return "choose a place on another file system";
        case ENOSPC:
        case EDQUOT:
            return "free some space, or choose a place on another disk";
        case EFBIG:
            return "raise the limit (ulimit -f)";
        case ENOENT:
            return "check the path";
        case ENOTDIR:
        case EISDIR:
        case ELOOP:
            return "choose another path";
        case ENAMETOOLONG:
            return "choose a shorter name";
        default:
            return "check the path and the disk";
    }
}

std::string folder_of(const std::string& path) {
    size_t slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

mode_t mode_of(const std::string& path) {
    struct stat status;
    return stat(path.c_str(), &status) == 0 ? status.st_mode : 0;
}

// The path with the links of its last part resolved, whether the target exists or not; 0 or the
// system's code.
int resolve_links(std::string* path) {
    for (int links = 0; links < kMostLinks; links++) {
        struct stat status;
        if (lstat(path->c_str(), &status) != 0) return errno == ENOENT ? 0 : errno;
        if (!S_ISLNK(status.st_mode)) return 0;
        char target[PATH_MAX];
        const ssize_t length = readlink(path->c_str(), target, sizeof target);
        if (length < 0) return errno;
        const std::string text(target, static_cast<size_t>(length));
        *path = text[0] == '/' ? text : join_path(folder_of(*path), text);
    }
    return ELOOP;
}

// Forces the folder's names to the disk; 0 or the system's code. A folder that may not be read, or
// a file system that knows no such request, is no error.
int sync_folder(const std::string& path) {
    Descriptor folder{open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (folder.number < 0) return errno == EACCES ? 0 : errno;
    if (fsync(folder.number) == 0 || errno == EINVAL || errno == ENOTSUP) return 0;
    return errno;
}

}  // namespace

// Reading

ByteSource::ByteSource(const std::string& path, std::string_view kind) : name_(path), kind_(kind) {
    // Without O_NONBLOCK, opening a pipe would wait for its other end.
    Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
    if (file.number < 0) {
        const int code = errno;
        refuse(concat("cannot open the ", kind_, ": ", reason(code)), remedy(code));
    }
    struct stat status;
    if (fstat(file.number, &status) != 0) refuse(concat("cannot read the ", kind_), remedy(errno));
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
            refuse(concat("cannot read the ", kind_, ": ", reason(code)), remedy(code));
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

bool is_file(const std::string& path) { return S_ISREG(mode_of(path)); }

bool is_folder(const std::string& path) { return S_ISDIR(mode_of(path)); }

namespace {

// The path without links, "." and "..", as far as it exists, and the names that do not behind it.
std::string canonical(std::string path) {
    resolve_links(&path);
    std::string rest;
    char resolved[PATH_MAX];
    while (realpath(path.c_str(), resolved) == nullptr) {
        const size_t slash = path.rfind('/', path.find_last_not_of('/'));
        const std::string name = path.substr(slash + 1, path.find('/', slash + 1) - slash - 1);
        if (name != ".") rest = "/" + name + rest;
        path = slash == std::string::npos ? "." : path.substr(0, std::max<size_t>(slash, 1));
    }
    return resolved + rest;
}

}  // namespace

bool is_same_file(const std::string& a, const std::string& b) {
    struct stat status_a, status_b;
    if (stat(a.c_str(), &status_a) == 0 && stat(b.c_str(), &status_b) == 0) {
        return status_a.st_dev == status_b.st_dev && status_a.st_ino == status_b.st_ino;
    }
    return canonical(a) == canonical(b);
}

std::string join_path(std::string_view folder, std::string_view name) {
    if (folder.empty()) return std::string(name);
    return concat(folder, folder.back() == '/' ? "" : "/", name);
}

void remove_file(const std::string& path) {
    if (unlink(path.c_str()) == 0 || errno == ENOENT) return;
    throw RuntimeError(one_line(path), concat("cannot be removed: ", strerror(errno)),
                       "remove it, or choose another folder");
}

void make_folder(const std::string& path) {
    for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
        const std::string part = path.substr(0, end);
        if (!is_folder(part)) {
            int code = mkdir(part.c_str(), 0777) == 0 ? sync_folder(folder_of(part)) : errno;
            if (code != 0 && code != EEXIST) {
                throw RuntimeError(one_line(part), concat("cannot make the folder: ", reason(code)),
                                   remedy(code));
            }
        }
        if (end == std::string::npos) break;
    }
    if (!is_folder(path)) {
        throw RuntimeError(one_line(path), "expected a folder, but this is a file",
                           "choose another path, or move the file away");
    }
}

// Atomic writing

namespace {

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
    if (is_free && holds_name(descriptor_)) return;
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
        if (!holds_name(file.number)) return;  // its writer has just put it in place
    }
    if (unlink(temporary_.c_str()) != 0 && errno != ENOENT) fail("write", errno);
}

bool AtomicFile::holds_name(int descriptor) const {
    struct stat opened, named;
    return fstat(descriptor, &opened) == 0 && lstat(temporary_.c_str(), &named) == 0 &&
           opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

void AtomicFile::drop() {
    if (descriptor_ < 0) return;
    if (holds_name(descriptor_)) unlink(temporary_.c_str());
    close(descriptor_);
    descriptor_ = -1;
}

void AtomicFile::fail(std::string_view action, int code) {
    drop();
    refuse(concat("cannot ", action, " the file: ", reason(code)), remedy(code));
}

void AtomicFile::refuse(const std::string& what, const std::string& fix) {
    throw RuntimeError(one_line(path_), what, fix);
}

namespace {

// write(2), with EFBIG instead of the signal that would end the process.
ssize_t write_some(int descriptor, const uint8_t* bytes, size_t count) {
    sigset_t size_signal, former;
    sigemptyset(&size_signal);
    sigaddset(&size_signal, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &size_signal, &former);
    ssize_t done = ::write(descriptor, bytes, count);
    int code = errno;
    if (done < 0 && code == EFBIG) {
        timespec no_wait{};
        sigtimedwait(&size_signal, nullptr, &no_wait);  // takes the pending signal
    }
    pthread_sigmask(SIG_SETMASK, &former, nullptr);
    errno = code;
    return done;
}

}  // namespace

void AtomicFile::write(std::span<const uint8_t> bytes) {
    constexpr size_t kChunk = static_cast<size_t>(1) << 20;
    while (!bytes.empty()) {
        ssize_t count = write_some(descriptor_, bytes.data(), std::min(bytes.size(), kChunk));
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) fail("write", errno);
        bytes = bytes.subspan(static_cast<size_t>(count));
    }
}

void AtomicFile::sync() {
    if (options_.durable && fsync(descriptor_) != 0) fail("write", errno);
}

void AtomicFile::commit() {
    sync();
    if (!holds_name(descriptor_)) fail("put in place", ENOENT);
    if (rename(temporary_.c_str(), target_.c_str()) != 0) fail("put in place", errno);
    close(descriptor_);
    descriptor_ = -1;
    if (!options_.durable) return;
    // The rename reaches the disk with the folder.
    const int code = sync_folder(folder_of(target_));
    if (code != 0) fail("put in place", code);
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
