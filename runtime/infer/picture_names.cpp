// See picture_names.h.
#include "runtime/infer/picture_names.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "runtime/data/picture_files.h"
#include "runtime/infer/options.h"
#include "runtime/support/error.h"
#include "runtime/support/path.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr size_t kPart = 64 * 1024;        // bytes read at once
constexpr size_t kMostLine = 1024 * 1024;  // bytes of a name

[[noreturn]] void refuse_list(const std::string& list, int code) {
    throw RuntimeError(one_line(list), concat("cannot be read: ", system_reason(code)),
                       system_remedy(code));
}

}  // namespace

PictureNames::PictureNames(std::vector<std::string> places, const std::string& list)
    : places_(std::move(places)), list_(list) {
    if (list.empty()) return;
    is_at_end_ = false;
    if (list == kStandardInput) {
        list_ = "standard input";
        descriptor_ = STDIN_FILENO;
        return;
    }
    folder_ = folder_of(list);
    descriptor_ = open(list.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor_ < 0) refuse_list(list_, errno);
}

PictureNames::~PictureNames() {
    if (descriptor_ > STDIN_FILENO) close(descriptor_);
}

void PictureNames::find_next_place() {
    const std::string& place = places_[next_place_++];
    next_found_ = 0;
    found_ = {place};
    if (!is_folder(place)) return;
    found_ = find_pictures(place).paths;
    if (!found_.empty()) return;
    throw RuntimeError(one_line(place), "the folder holds no picture",
                       "give a folder with .png, .jpg, .jpeg, .bmp, .ppm or .pgm files");
}

// More of the list; false at its end.
bool PictureNames::read_list() {
    if (text_.size() > kMostLine) {
        throw RuntimeError(one_line(list_), concat("a line has more than ", kMostLine, " bytes"),
                           "give a list with one path a line");
    }
    const size_t old = text_.size();
    text_.resize(old + kPart);
    ssize_t count;
    do {
        count = read(descriptor_, text_.data() + old, kPart);
    } while (count < 0 && errno == EINTR);
    const int code = errno;
    text_.resize(old + static_cast<size_t>(std::max<ssize_t>(count, 0)));
    if (count < 0) refuse_list(list_, code);
    return count > 0;
}

// The whole lines that are there, and at the end of the list what stands behind the last one.
void PictureNames::take_lines(size_t most, std::vector<std::string>* names) {
    size_t begin = 0;
    while (names->size() < most && begin < text_.size()) {
        const size_t end = std::min(text_.find('\n', begin), text_.size());
        if (end == text_.size() && !is_at_end_) break;
        std::string line = text_.substr(begin, end - begin);
        begin = std::min(end + 1, text_.size());
        if (line.ends_with('\r')) line.pop_back();
        if (line.empty()) continue;
        names->push_back(line[0] == '/' ? line : join_path(folder_, line));
    }
    text_.erase(0, begin);
}

std::vector<std::string> PictureNames::next(size_t most) {
    std::vector<std::string> names;
    while (names.size() < most) {
        if (next_found_ < found_.size()) {
            names.push_back(found_[next_found_++]);
        } else if (next_place_ < places_.size()) {
            find_next_place();
        } else {
            break;
        }
    }
    if (!names.empty()) return names;
    while (true) {
        take_lines(most, &names);
        if (!names.empty() || is_at_end_) return names;
        is_at_end_ = !read_list();
    }
}

}  // namespace emulsion
