// Folders "emulsion-build-XXXXXX", each locked by the process that made it.
#include "compiler/support/temporary_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "compiler/support/diagnostic.h"

namespace emulsion {

namespace {

namespace fs = std::filesystem;

constexpr const char* kPrefix = "emulsion-build-";

fs::path parent_folder() {
    const char* chosen = std::getenv("TMPDIR");
    std::error_code error;
    if (chosen == nullptr || *chosen == '\0') return "/tmp";
    const fs::path absolute = fs::absolute(chosen, error);
    return error ? fs::path(chosen) : absolute;
}

[[noreturn]] void fail_folder(const fs::path& parent, int code) {
    fail("temporary",
         fmt::format("no temporary folder can be made in '{}': {}", parent.string(),
                     std::strerror(code)),
         "set TMPDIR to a folder that you may write to, on a disk with free space");
}

int open_folder(const fs::path& path) {
    return open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

void remove_if_left_over(const fs::path& path) {
    const int folder = open_folder(path);
    if (folder < 0) return;
    struct stat status{};
    const bool is_ours = fstat(folder, &status) == 0 && status.st_uid == geteuid();
    std::error_code ignored;
    if (is_ours && flock(folder, LOCK_EX | LOCK_NB) == 0) fs::remove_all(path, ignored);
    close(folder);
}

void remove_left_over(const fs::path& parent) {
    std::error_code error;
    for (fs::directory_iterator entry(parent, error), end; !error && entry != end;
         entry.increment(error)) {
        if (entry->path().filename().string().starts_with(kPrefix))
            remove_if_left_over(entry->path());
    }
}

}  // namespace

TemporaryFolder::TemporaryFolder() {
    const fs::path parent = parent_folder();
    remove_left_over(parent);
    for (;;) {
        std::string path = (parent / (std::string(kPrefix) + "XXXXXX")).string();
        if (mkdtemp(path.data()) == nullptr) fail_folder(parent, errno);
        path_ = path;
        lock_ = open_folder(path_);
        if (lock_ < 0 && errno != ENOENT) fail_folder(parent, errno);
        if (lock_ < 0) continue;
        while (flock(lock_, LOCK_EX) != 0 && errno == EINTR) {
        }
        // Between the two lines above it may have looked left over to another process.
        struct stat locked{}, named{};
        if (fstat(lock_, &locked) == 0 && stat(path_.c_str(), &named) == 0 &&
            locked.st_ino == named.st_ino)
            return;
        close(lock_);
    }
}

TemporaryFolder::~TemporaryFolder() {
    std::error_code error;
    fs::remove_all(path_, error);
    close(lock_);
}

}  // namespace emulsion
