/* What a power cut leaves of one folder: a library to preload (LD_PRELOAD) that notes what the
 * process does to the folder $POWER_CUT_FOLDER, in order, in $POWER_CUT_LOG/ops, and keeps the
 * content of a file each time it is forced to the disk. `kills` reads that and rebuilds a folder
 * that a disk may hold after the cut: what was not forced is lost. With $POWER_CUT_AT the process
 * kills itself before that call, counted from 1. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int calls, snapshots;

/* The name of a path in the folder, or NULL. */
static const char* name_of(const char* path) {
    const char* folder = getenv("POWER_CUT_FOLDER");
    size_t length = folder != NULL ? strlen(folder) : 0;
    if (length == 0 || strncmp(path, folder, length) != 0 || path[length] != '/') return NULL;
    return path + length + 1;
}

/* The path that a descriptor was opened with; empty where it has none. */
static void path_of(int descriptor, char path[PATH_MAX]) {
    char link[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length > 0 ? length : 0] = '\0';
}

static unsigned long inode_of(int descriptor) {
    struct stat status;
    return fstat(descriptor, &status) == 0 ? (unsigned long)status.st_ino : 0;
}

static int open_log(const char* name, int flags) {
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", getenv("POWER_CUT_LOG"), name);
    return (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0666);
}

static void note(const char* format, ...) {
    char line[PATH_MAX];
    va_list values;
    va_start(values, format);
    int length = vsnprintf(line, sizeof(line), format, values);
    va_end(values);
    int log = open_log("ops", O_APPEND);
    if (log < 0 || syscall(SYS_write, log, line, (size_t)length) != length) abort();
    close(log);
}

/* Counts a call on the folder, and dies before the one that was asked for. */
static void count_call(void) {
    const char* at = getenv("POWER_CUT_AT");
    if (++calls == (at != NULL ? atoi(at) : 0)) raise(SIGKILL);
}

static void keep_content(int descriptor, int number) {
    char name[32], buffer[1 << 16];
    snprintf(name, sizeof(name), "%d", number);
    int copy = open_log(name, O_TRUNC);
    off_t at = 0;
    for (ssize_t got; (got = pread(descriptor, buffer, sizeof(buffer), at)) > 0; at += got) {
        if (syscall(SYS_write, copy, buffer, (size_t)got) != got) abort();
    }
    close(copy);
}

int open(const char* path, int flags, ...) {
    va_list values;
    va_start(values, flags);
    mode_t mode = (flags & O_CREAT) ? va_arg(values, mode_t) : 0;
    va_end(values);
    const char* name = (flags & O_CREAT) ? name_of(path) : NULL;
    struct stat status;
    int is_new = name != NULL && lstat(path, &status) != 0;
    if (name != NULL) count_call();
    int descriptor = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    if (is_new && descriptor >= 0) note("create %s %lu\n", name, inode_of(descriptor));
    return descriptor;
}

int open64(const char* path, int flags, ...) {
    va_list values;
    va_start(values, flags);
    mode_t mode = (flags & O_CREAT) ? va_arg(values, mode_t) : 0;
    va_end(values);
    return open(path, flags, mode);
}

ssize_t write(int descriptor, const void* bytes, size_t count) {
    char path[PATH_MAX];
    path_of(descriptor, path);
    if (name_of(path) != NULL) {
        count_call();
        note("write %lu\n", inode_of(descriptor));
    }
    return syscall(SYS_write, descriptor, bytes, count);
}

int fsync(int descriptor) {
    char path[PATH_MAX];
    path_of(descriptor, path);
    if (name_of(path) != NULL) {
        count_call();
        int result = (int)syscall(SYS_fsync, descriptor);
        keep_content(descriptor, ++snapshots);
        note("sync %lu %d\n", inode_of(descriptor), snapshots);
        return result;
    }
    const char* folder = getenv("POWER_CUT_FOLDER");
    int is_folder = folder != NULL && strcmp(path, folder) == 0;
    if (is_folder) count_call();
    int result = (int)syscall(SYS_fsync, descriptor);
    if (is_folder) note("sync-folder\n");
    return result;
}

int rename(const char* from, const char* to) {
    int is_ours = name_of(from) != NULL && name_of(to) != NULL;
    if (is_ours) count_call();
    int result = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    if (is_ours && result == 0) note("rename %s %s\n", name_of(from), name_of(to));
    return result;
}

int unlink(const char* path) {
    const char* name = name_of(path);
    if (name != NULL) count_call();
    int result = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (name != NULL && result == 0) note("unlink %s\n", name);
    return result;
}
