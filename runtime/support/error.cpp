// The text of an error, made once when it is thrown, and the system's reasons.
#include "runtime/support/error.h"

#include <errno.h>
#include <string.h>

#include <utility>

namespace emulsion {

RuntimeError::RuntimeError(std::string where, std::string what, std::string fix)
    : where_(std::move(where)), problem_(std::move(what)), fix_(std::move(fix)) {
    text_ = where_.empty() ? problem_ : where_ + ": " + problem_;
    if (!fix_.empty()) text_ += "\n  fix: " + fix_;
}

void print_error(const RuntimeError& error, std::FILE* out) {
    std::fprintf(out, "error: %s\n", error.what());
}

std::string system_reason(int code) {
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
        case EMFILE:
        case ENFILE:
            return "too many files are open";
        default:
            return strerror(code);
    }
}

std::string system_remedy(int code) {
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
        case EMFILE:
        case ENFILE:
            return "raise the limit of open files (ulimit -n)";
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

}  // namespace emulsion
