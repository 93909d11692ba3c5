// write, fsync and rename of this test program. They pass calls on to the system, unless a test
// asks for a fault: the process killed in the middle of a write, or a disk that is full.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/runtime/data_support.h"

namespace emulsion::testing {

Faults faults;

}  // namespace emulsion::testing

using emulsion::testing::faults;

extern "C" ssize_t write(int descriptor, const void* bytes, size_t count) {
    const bool is_file = descriptor > 2;
    if (is_file && faults.fail_after >= 0 && static_cast<int64_t>(count) > faults.fail_after) {
        if (faults.fail_after == 0) {
            errno = faults.code;
            return -1;
        }
        count = static_cast<size_t>(faults.fail_after);
    }
    if (is_file && faults.kill_after >= 0 && static_cast<int64_t>(count) >= faults.kill_after) {
        syscall(SYS_write, descriptor, bytes, static_cast<size_t>(faults.kill_after));
        raise(SIGKILL);
    }
    const ssize_t done = syscall(SYS_write, descriptor, bytes, count);
    if (is_file && done > 0 && faults.kill_after >= 0) faults.kill_after -= done;
    if (is_file && done > 0 && faults.fail_after >= 0) faults.fail_after -= done;
    return done;
}

extern "C" int fsync(int descriptor) {
    if (faults.kill_at_fsync) raise(SIGKILL);
    struct stat status{};
    if (fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode)) {
        faults.synced_folders++;
        errno = faults.folder_code;
        if (faults.folder_code != 0) return -1;
    }
    return static_cast<int>(syscall(SYS_fsync, descriptor));
}

extern "C" int rename(const char* from, const char* to) noexcept {
    if (faults.kill_before_rename) raise(SIGKILL);
    const int result =
        static_cast<int>(syscall(SYS_renameat2, -100 /* AT_FDCWD */, from, -100, to, 0));
    if (faults.kill_after_rename) raise(SIGKILL);
    return result;
}
