// See folder.h.
#include "runtime/train/folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "runtime/data/checkpoint.h"
#include "runtime/support/atomic_file.h"
#include "runtime/support/descriptor.h"
#include "runtime/support/error.h"
#include "runtime/support/file.h"
#include "runtime/support/path.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr const char* kLockName = "lock";

constexpr std::string_view kHolder = "process ";  // what a lock's text begins with

std::string own_name() {
    char host[256] = "";
    gethostname(host, sizeof(host) - 1);
    return concat(kHolder, getpid(), " on ", host);
}

std::string text_of(int descriptor) {
    char text[300];
    const ssize_t count = pread(descriptor, text, sizeof(text), 0);
    return std::string(text, static_cast<size_t>(std::max<ssize_t>(count, 0)));
}

// What a trainer that was killed has left: its name, or nothing where it was killed, or met a full
// disk, before; after a power cut also a part of the name, or zeros in its place.
bool is_lock(int descriptor) {
    struct stat status;
    if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) return false;
    std::string text = text_of(descriptor);
    if (static_cast<size_t>(status.st_size) != text.size()) return false;
    text.erase(text.find_last_not_of('\0') + 1);
    return text.starts_with(kHolder) || kHolder.starts_with(text);
}

void refuse_double(const char* option, const std::string& path, const std::string& other) {
    throw RuntimeError(concat(option, " ", one_line(path)), concat("is the place of ", other),
                       concat("choose another one for ", option));
}

void check_output(const char* option, const std::string& path, uint64_t bytes,
                  const OutputPaths& paths) {
    if (path.empty()) return;
    if (!paths.folder.empty()) {
        for (const char* name : {kCheckpointName, kLockName, kEventLogName, kEpochLogName}) {
            const std::string own = join_path(paths.folder, name);
            if (do_collide(path, own)) refuse_double(option, path, "the run's " + own);
        }
    }
    if (!paths.init.empty() && do_collide(path, paths.init))
        refuse_double(option, path, "the weights of --init");
    for (const std::string& file : paths.data) {
        if (do_collide(path, file)) refuse_double(option, path, "the data set's " + file);
    }
    try {
        AtomicFile probe(path);
        probe.reserve(bytes);
    } catch (const RuntimeError& error) {
        throw RuntimeError(concat(option, " ", error.where()), error.problem(), error.fix());
    }
}

void check_pair(const char* option, const std::string& path, const char* what,
                const std::string& other) {
    if (path.empty() || other.empty() || !do_collide(other, path)) return;
    refuse_double(option, path, what);
}

// Each checkpoint but the first is written beside the former one: a disk with room for one alone
// would keep the first for ever.
void check_checkpoint_room(const OutputPaths& paths) {
    if (paths.folder.empty() || !is_folder(paths.folder)) return;
    const std::string path = join_path(paths.folder, kCheckpointName);
    const uint64_t each = paths.checkpoint_bytes;
    const uint64_t former =
        has_checkpoint(paths.folder) ? ByteSource(path, "checkpoint").size() : 0;
    AtomicFile next(path), first(concat(path, ".tmp"));
    try {
        next.reserve(each);
        first.reserve(each - std::min(each, former));
    } catch (const RuntimeError& error) {
        throw RuntimeError(one_line(path),
                           concat(error.problem(), "; a checkpoint has ", each,
                                  " bytes, and the next is written beside it"),
                           error.fix());
    }
}

}  // namespace

RunFolder::RunFolder(std::string path)
    : path_(std::move(path)), lock_(join_path(path_, kLockName)), is_new_(!is_folder(path_)) {
    make_folder(path_);
    while (!take_lock()) {
    }
    const std::string name = own_name() + "\n";
    // What it says is for people; a disk that refuses it is found out by the first checkpoint.
    if (ftruncate(descriptor_, 0) == 0) (void)!write(descriptor_, name.data(), name.size());
}

RunFolder::~RunFolder() {
    if (is_name_of(lock_, descriptor_)) unlink(lock_.c_str());
    close(descriptor_);
    if (is_new_) rmdir(path_.c_str());
}

// False where the file lost its name meanwhile: its former holder has just removed it.
bool RunFolder::take_lock() {
    // O_NONBLOCK: a FIFO of this name keeps nobody waiting.
    descriptor_ = open(lock_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    if (descriptor_ < 0) {
        const int code = errno;
        struct stat named;
        if (lstat(lock_.c_str(), &named) == 0 && !S_ISREG(named.st_mode)) refuse_foreign();
        throw RuntimeError(one_line(path_), concat("cannot be written to: ", system_reason(code)),
                           "make it writable, or choose another folder for --checkpoint");
    }
    // A file system without locks is no reason to refuse.
    if (flock(descriptor_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) refuse();
    const bool is_ours = is_name_of(lock_, descriptor_);
    if (is_ours && is_lock(descriptor_)) return true;
    close(descriptor_);
    if (is_ours) refuse_foreign();
    return false;
}

void RunFolder::refuse() const {
    std::string holder = text_of(descriptor_);
    while (!holder.empty() && holder.back() == '\n') holder.pop_back();
    close(descriptor_);
    throw RuntimeError(one_line(path_),
                       concat("another trainer works in this folder: ",
                              holder.empty() ? "it has just begun" : one_line(holder)),
                       "wait for its end, or choose another folder for --checkpoint");
}

void RunFolder::refuse_foreign() const {
    throw RuntimeError(one_line(path_),
                       concat("holds '", kLockName, "', which is no lock of a trainer"),
                       "move it away, or choose another folder for --checkpoint");
}

bool is_held(const std::string& folder) {
    const std::string lock = join_path(folder, kLockName);
    const Descriptor file(open(lock.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    return file.number >= 0 && flock(file.number, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

void check_outputs(const OutputPaths& paths) {
    check_output("--weights", paths.weights, paths.weights_bytes, paths);
    check_output("--best", paths.best, paths.weights_bytes, paths);
    check_output("--profile", paths.profile, /*bytes=*/1, paths);
    check_output("--trace", paths.trace, /*bytes=*/1, paths);
    check_output("--rate-test", paths.rate_test, /*bytes=*/1, paths);
    check_output("--report", paths.report, /*bytes=*/1, paths);
    check_output("--augment-preview", paths.preview, /*bytes=*/1, paths);
    check_output("--augment-ablation", paths.ablation, /*bytes=*/1, paths);
    check_checkpoint_room(paths);
    check_pair("--weights", paths.weights, "the best weights", paths.best);
    check_pair("--profile", paths.profile, "the best weights", paths.best);
    check_pair("--trace", paths.trace, "the best weights", paths.best);
    check_pair("--profile", paths.profile, "the weights", paths.weights);
    check_pair("--trace", paths.trace, "the weights", paths.weights);
    check_pair("--trace", paths.trace, "the profile", paths.profile);
    check_pair("--report", paths.report, "the best weights", paths.best);
    check_pair("--report", paths.report, "the weights", paths.weights);
    check_pair("--report", paths.report, "the profile", paths.profile);
    check_pair("--report", paths.report, "the trace", paths.trace);
    check_pair("--report", paths.report, "the losses of --rate-test", paths.rate_test);
}

}  // namespace emulsion
