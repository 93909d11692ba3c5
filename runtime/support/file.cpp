// Whole files through the system's own calls, so that every failure has its reason.
#include "runtime/support/file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "runtime/support/error.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

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
            return "choose another path";
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

}  // namespace

Bytes read_file(const std::string& path, uint64_t limit, std::string_view kind) {
    auto fail = [&](const std::string& what, const std::string& fix) {
        throw RuntimeError(one_line(path), what, fix);
    };
    // Without O_NONBLOCK, opening a pipe would wait for its other end.
    Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (file.number < 0) fail(concat("cannot open the ", kind, ": ", reason(errno)), remedy(errno));
    struct stat status;
    if (fstat(file.number, &status) != 0) fail(concat("cannot read the ", kind), remedy(errno));
    if (!S_ISREG(status.st_mode)) {
        const char* found = S_ISDIR(status.st_mode) ? "a folder" : "no plain file";
        fail(concat("expected a ", kind, ", but this is ", found), "give the path of a file");
    }
    uint64_t size = static_cast<uint64_t>(status.st_size);
    if (size > limit) {
        fail(concat("the ", kind, " has ", size, " bytes; the limit is ", limit),
             concat("give a smaller ", kind));
    }
    Bytes bytes(size);
    uint64_t done = 0;
    while (done < size) {
        ssize_t count = read(file.number, bytes.data() + done, size - done);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) fail(concat("cannot read the ", kind, ": ", reason(errno)), remedy(errno));
        if (count == 0) break;  // the file became shorter meanwhile
        done += static_cast<uint64_t>(count);
    }
    bytes.resize(done);
    return bytes;
}

bool is_file(const std::string& path) { return S_ISREG(mode_of(path)); }

bool is_folder(const std::string& path) { return S_ISDIR(mode_of(path)); }

std::string join_path(std::string_view folder, std::string_view name) {
    if (folder.empty()) return std::string(name);
    return concat(folder, folder.back() == '/' ? "" : "/", name);
}

void make_folder(const std::string& path) {
    for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
        std::string part = path.substr(0, end);
        if (!is_folder(part) && mkdir(part.c_str(), 0777) != 0 && errno != EEXIST) {
            throw RuntimeError(one_line(part), concat("cannot make the folder: ", reason(errno)),
                               remedy(errno));
        }
        if (end == std::string::npos) break;
    }
    if (!is_folder(path)) {
        throw RuntimeError(one_line(path), "expected a folder, but this is a file",
                           "choose another path, or move the file away");
    }
}

// Atomic writing

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)), temporary_(path_ + ".tmp") {
    if (is_folder(path_)) fail("write", EISDIR);
    // The file is emptied only under the lock and only while it still has its name: another
    // process may have just renamed it into place.
    descriptor_ = open(temporary_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (descriptor_ < 0) fail("write", errno);
    // A file system without locks is no reason to refuse.
    bool is_free = flock(descriptor_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
    struct stat opened, named;
    bool is_ours = is_free && fstat(descriptor_, &opened) == 0 &&
                   stat(temporary_.c_str(), &named) == 0 && opened.st_ino == named.st_ino &&
                   opened.st_dev == named.st_dev;
    if (!is_ours) {
        close(descriptor_);
        throw RuntimeError(one_line(path_), "another process is writing this file",
                           "wait for the other process, or choose another path");
    }
    if (ftruncate(descriptor_, 0) != 0) fail("write", errno);
}

AtomicFile::~AtomicFile() {
    if (descriptor_ < 0) return;
    unlink(temporary_.c_str());
    close(descriptor_);
}

void AtomicFile::fail(std::string_view action, int code) {
    if (descriptor_ >= 0) {
        unlink(temporary_.c_str());
        close(descriptor_);
        descriptor_ = -1;
    }
    throw RuntimeError(one_line(path_), concat("cannot ", action, " the file: ", reason(code)),
                       remedy(code));
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

void AtomicFile::commit() {
    if (fsync(descriptor_) != 0) fail("write", errno);
    if (rename(temporary_.c_str(), path_.c_str()) != 0) fail("put in place", errno);
    close(descriptor_);
    descriptor_ = -1;
    // The rename reaches the disk with the folder. Some file systems refuse this; the file is whole
    // either way.
    Descriptor folder{open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (folder.number >= 0) (void)fsync(folder.number);
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
