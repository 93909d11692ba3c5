// See path.h.
#include "runtime/support/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "runtime/support/descriptor.h"
#include "runtime/support/error.h"
#include "runtime/support/limits.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

mode_t mode_of(const std::string& path) {
    struct stat status;
    return stat(path.c_str(), &status) == 0 ? status.st_mode : 0;
}

}  // namespace

bool is_file(const std::string& path) { return S_ISREG(mode_of(path)); }

bool is_folder(const std::string& path) { return S_ISDIR(mode_of(path)); }

namespace {

// The path without links, "." and "..", as far as it exists, and the names that do not behind it;
// relative where the working folder is removed.
std::string canonical(std::string path) {
    resolve_links(&path);
    std::string rest;
    char resolved[PATH_MAX];
    while (realpath(path.c_str(), resolved) == nullptr) {
        const size_t slash = path.rfind('/', path.find_last_not_of('/'));
        const std::string name = path.substr(slash + 1, path.find('/', slash + 1) - slash - 1);
        if (name != ".") rest = "/" + name + rest;
        if (slash == std::string::npos && name == ".") return "." + rest;
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
    std::string target = path;
    int code = resolve_links(&target);
    if (code == 0 && unlink(target.c_str()) != 0) code = errno;
    if (code == 0 || code == ENOENT) return;
    throw RuntimeError(one_line(path), concat("cannot be removed: ", system_reason(code)),
                       "remove it, or choose another folder");
}

void make_folder(const std::string& path) {
    for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
        const std::string part = path.substr(0, end);
        if (!is_folder(part)) {
            int code = mkdir(part.c_str(), 0777) == 0 ? sync_folder(folder_of(part)) : errno;
            if (code != 0 && code != EEXIST) {
                throw RuntimeError(one_line(part),
                                   concat("cannot make the folder: ", system_reason(code)),
                                   system_remedy(code));
            }
        }
        if (end == std::string::npos) break;
    }
    if (!is_folder(path)) {
        throw RuntimeError(one_line(path), "expected a folder, but this is a file",
                           "choose another path, or move the file away");
    }
}

std::string folder_of(const std::string& path) {
    size_t slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

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

int sync_folder(const std::string& path) {
    const Descriptor folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder.number < 0) return errno == EACCES ? 0 : errno;
    if (fsync(folder.number) == 0 || errno == EINVAL || errno == ENOTSUP) return 0;
    return errno;
}

bool is_name_of(const std::string& path, int descriptor) {
    struct stat opened, named;
    return fstat(descriptor, &opened) == 0 && lstat(path.c_str(), &named) == 0 &&
           opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

}  // namespace emulsion
