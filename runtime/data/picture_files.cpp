// See picture_files.h.
#include "runtime/data/picture_files.h"

#include <dirent.h>
#include <sys/stat.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>
#include <utility>

#include "runtime/support/error.h"
#include "runtime/support/path.h"
#include "runtime/support/text.h"

namespace emulsion {

void PictureFiles::read(uint64_t index, const Normalizer& normalizer, float* row) const {
    const Picture picture = picture_at(index);
    const uint64_t pixels = shape.elements() / static_cast<uint64_t>(shape.channels);
    normalizer.apply(picture.pixels.data(), pixels, row);
}

uint64_t PictureFiles::bytes() const {
    uint64_t bytes = labels.size() * sizeof(int32_t);
    for (const std::string& path : paths) bytes += path.size() + sizeof(std::string);
    return bytes;
}

// Folders

namespace {

using FileId = std::pair<dev_t, ino_t>;

[[noreturn]] void refuse_system(const std::string& path, int code) {
    throw RuntimeError(one_line(path), concat("cannot be read: ", system_reason(code)),
                       system_remedy(code));
}

struct stat status_of(const std::string& path) {
    struct stat status{};
    if (stat(path.c_str(), &status) != 0) refuse_system(path, errno);
    return status;
}

// The names in a folder that are not hidden, in byte order.
std::vector<std::string> names_in(const std::string& folder) {
    struct CloseFolder {
        void operator()(DIR* opened) const { closedir(opened); }
    };
    const std::unique_ptr<DIR, CloseFolder> opened(opendir(folder.c_str()));
    if (!opened) refuse_system(folder, errno);
    std::vector<std::string> names;
    while (true) {
        errno = 0;
        const dirent* entry = readdir(opened.get());
        if (entry == nullptr) break;
        if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
    }
    if (errno != 0) refuse_system(folder, errno);
    std::sort(names.begin(), names.end());
    return names;
}

// `entered` holds the folders that are not to be entered again.
void find_in(const std::string& folder, std::set<FileId>* entered, FoundPictures* found) {
    for (const std::string& name : names_in(folder)) {
        const std::string path = join_path(folder, name);
        if (!has_picture_name(name) && !is_folder(path)) {
            if (found->skipped++ == 0) found->first_skipped = path;
            continue;
        }
        const struct stat status = status_of(path);
        if (S_ISDIR(status.st_mode)) {
            if (entered->emplace(status.st_dev, status.st_ino).second)
                find_in(path, entered, found);
            continue;
        }
        found->paths.push_back(path);
        found->sizes.push_back(static_cast<uint64_t>(status.st_size));
    }
}

FoundPictures find_beside(const std::string& folder, std::set<FileId> entered) {
    const struct stat status = status_of(folder);
    entered.emplace(status.st_dev, status.st_ino);
    FoundPictures found;
    find_in(folder, &entered, &found);
    return found;
}

}  // namespace

FoundPictures find_pictures(const std::string& folder) { return find_beside(folder, {}); }

std::vector<std::string> folders_in(const std::string& folder) {
    std::vector<std::string> names = names_in(folder);
    std::erase_if(names,
                  [&](const std::string& name) { return !is_folder(join_path(folder, name)); });
    return names;
}

// Classes

namespace {

// "'cat', 'dog', 'owl' and 7 more".
std::string list_names(const std::vector<std::string>& names) {
    constexpr size_t kShown = 8;
    std::string text;
    for (size_t i = 0; i < std::min(names.size(), kShown); i++)
        text += concat(i > 0 ? ", " : "", quoted(names[i]));
    return names.size() > kShown ? concat(text, " and ", names.size() - kShown, " more") : text;
}

void check_count(const std::vector<std::string>& found, const DataRequest& request,
                 const std::string& where) {
    if (found.size() == 1) {
        throw RuntimeError(
            one_line(where),
            concat("holds one class only, ", quoted(found[0]), ": there is nothing to tell apart"),
            "give pictures of two classes at least, each in a folder of its own");
    }
    if (found.size() == static_cast<size_t>(request.classes)) return;
    throw RuntimeError(one_line(where),
                       concat("holds ", found.size(), " classes (", list_names(found),
                              "), but the network has ", request.classes),
                       concat("give the model ", found.size(), " classes, or other data"));
}

// Names travel as text.
void check_names(const std::vector<std::string>& names, const std::string& where) {
    for (const std::string& name : names) {
        if (one_line(name) == name) continue;
        throw RuntimeError(one_line(where),
                           concat("the name of the class ", quoted(name),
                                  " is not of UTF-8 without control characters"),
                           "rename the class");
    }
}

// The label of each class that was found, names in byte order. Without names of the network it is
// the place; with them, where the network has it.
std::vector<int32_t> match_classes(const std::vector<std::string>& found,
                                   const DataRequest& request, const std::string& where) {
    const std::vector<std::string>& names = request.class_names;
    check_names(found, where);
    if (names.empty() || !request.may_lack_classes) check_count(found, request, where);
    std::vector<int32_t> labels;
    for (size_t i = 0; i < found.size(); i++) {
        const auto place = std::find(names.begin(), names.end(), found[i]);
        if (!names.empty() && place == names.end()) {
            throw RuntimeError(
                one_line(where),
                concat("holds the class ", quoted(found[i]),
                       ", which the network does not know; its classes are ", list_names(names)),
                "rename the class, or leave it out");
        }
        labels.push_back(names.empty() ? static_cast<int32_t>(i)
                                       : static_cast<int32_t>(place - names.begin()));
    }
    return labels;
}

class Sum {
  public:
    void add(std::string_view text) {
        value_ = crc32_z(value_, reinterpret_cast<const Bytef*>(text.data()), text.size());
    }
    void add(uint64_t number) { add(concat(" ", number, "\n")); }
    uint32_t value() const { return static_cast<uint32_t>(value_); }

  private:
    uLong value_ = 0;
};

std::unique_ptr<PictureFiles> make_files(const std::string& name, const DataRequest& request) {
    auto files = std::make_unique<PictureFiles>();
    files->source = name;
    files->shape = request.shape;
    files->classes = request.classes;
    files->rule = request.rule.value_or(kDefaultRule);
    return files;
}

// Without classes where there are none of them.
void end_files(PictureFiles* files, const DataRequest& request, uint64_t classes) {
    const auto plural = [](uint64_t count, const char* word, const char* words) {
        return concat(count, " ", count == 1 ? word : words);
    };
    files->note = concat("found ", plural(files->paths.size(), "picture", "pictures"));
    if (classes > 0) files->note += concat(" in ", plural(classes, "class", "classes"));
    if (request.take < files->paths.size()) {
        files->paths.resize(request.take);
        if (!files->labels.empty()) files->labels.resize(request.take);
    }
}

// Adds to the note what was passed over.
void note_skipped(PictureFiles* files, uint64_t skipped, const std::string& first) {
    if (skipped == 0) return;
    files->note += concat("; passed over ", skipped, skipped == 1 ? " file" : " files",
                          " without a picture's name, such as ", quoted(first));
}

}  // namespace

// Trees

std::unique_ptr<Source> open_tree(const std::string& folder, const DataRequest& request) {
    const std::vector<std::string> names = folders_in(folder);
    if (names.empty()) {
        throw RuntimeError(one_line(folder), "holds no folders of pictures",
                           "give a folder that holds one folder for each class");
    }
    const std::vector<int32_t> labels = match_classes(names, request, folder);
    const struct stat root = status_of(folder);
    auto files = make_files(folder, request);
    files->class_names = request.class_names.empty() ? names : request.class_names;
    Sum sum;
    uint64_t skipped = 0;
    std::string first_skipped;
    for (size_t c = 0; c < names.size(); c++) {
        const std::string path = join_path(folder, names[c]);
        const FoundPictures found =
            find_beside(path, std::set<FileId>{FileId(root.st_dev, root.st_ino)});
        if (found.paths.empty()) {
            throw RuntimeError(
                one_line(path),
                found.skipped > 0 ? concat("the folder of a class holds no picture, only files of "
                                           "other names, such as ",
                                           quoted(found.first_skipped))
                                  : "the folder of a class holds no picture",
                "put pictures (.png, .jpg, .jpeg, .bmp, .ppm, .pgm) into it, or remove it");
        }
        for (size_t i = 0; i < found.paths.size(); i++) {
            files->paths.push_back(found.paths[i]);
            files->labels.push_back(labels[c]);
            sum.add(std::string_view(found.paths[i]).substr(path.size() - names[c].size()));
            sum.add(found.sizes[i]);
        }
        if (skipped == 0) first_skipped = found.first_skipped;
        skipped += found.skipped;
    }
    files->sum = sum.value();
    end_files(files.get(), request, names.size());
    note_skipped(files.get(), skipped, first_skipped);
    return files;
}

std::unique_ptr<Source> open_pictures(const std::string& folder, const DataRequest& request) {
    const FoundPictures found = find_pictures(folder);
    if (found.paths.empty()) {
        throw RuntimeError(
            one_line(folder), "holds no pictures",
            "give a folder with pictures (.png, .jpg, .jpeg, .bmp, .ppm, .pgm) or IDX files");
    }
    auto files = make_files(folder, request);
    Sum sum;
    for (size_t i = 0; i < found.paths.size(); i++) {
        sum.add(std::string_view(found.paths[i]).substr(folder.size()));
        sum.add(found.sizes[i]);
    }
    files->paths = found.paths;
    files->sum = sum.value();
    end_files(files.get(), request, /*classes=*/0);
    note_skipped(files.get(), found.skipped, found.first_skipped);
    return files;
}

// Lists

namespace {

// Where the last `fields` words of the line begin; npos where nothing stands in front of them.
size_t begin_of_fields(std::string_view line, uint64_t fields) {
    size_t begin = line.size();
    for (uint64_t i = 0; i < fields; i++) {
        const size_t end = begin == 0 ? line.npos : line.find_last_not_of(" \t", begin - 1);
        const size_t blank = end == line.npos ? end : line.find_last_of(" \t", end);
        if (blank == line.npos) return blank;
        begin = blank + 1;
    }
    return begin;
}

}  // namespace

std::vector<ListLine> read_list(const std::string& path, uint64_t fields,
                                const std::string& example) {
    const Bytes bytes = read_file(path, kMostListFile, "list of pictures");
    std::string_view rest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    std::vector<ListLine> lines;
    const std::string fix = concat("write one picture a line, such as \"", example, "\"");
    for (uint64_t number = 1; !rest.empty(); number++) {
        const size_t end = std::min(rest.find('\n'), rest.size());
        std::string_view line = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t'))
            line.remove_suffix(1);
        if (line.empty()) continue;
        const std::string where = concat(one_line(path), ":", number);
        const size_t begin = begin_of_fields(line, fields);
        const size_t last =
            begin == line.npos || begin == 0 ? line.npos : line.find_last_not_of(" \t", begin - 1);
        if (last == line.npos) {
            throw RuntimeError(where,
                               concat("expected a path, a blank and ",
                                      fields == 1 ? "a label" : concat(fields, " values"),
                                      ", found ", quoted(line.substr(0, 80))),
                               fix);
        }
        lines.push_back(
            {std::string(line.substr(0, last + 1)), std::string(line.substr(begin)), where});
    }
    if (lines.empty()) throw RuntimeError(one_line(path), "the list names no pictures", fix);
    return lines;
}

std::string listed_path(const std::string& list, const std::string& path) {
    return path.starts_with('/') ? path : join_path(folder_of(list), path);
}

namespace {

void check_label(uint64_t label, int classes, const std::string& where) {
    if (label < static_cast<uint64_t>(classes)) return;
    throw RuntimeError(where,
                       concat("label ", label, ", but the network has ", classes,
                              " classes (labels 0 to ", classes - 1, ")"),
                       "correct the label, or give the model more classes");
}

void label_by_number(const std::string& path, const std::vector<ListLine>& lines,
                     const DataRequest& request, PictureFiles* files) {
    for (const ListLine& line : lines) {
        const uint64_t label = *parse_unsigned(line.label);
        check_label(label, request.classes, concat(one_line(path), ", ", one_line(line.path)));
        files->labels.push_back(static_cast<int32_t>(label));
    }
}

void label_by_name(const std::string& path, const std::vector<ListLine>& lines,
                   const DataRequest& request, PictureFiles* files) {
    std::set<std::string> sorted;
    for (const ListLine& line : lines) sorted.insert(line.label);
    const std::vector<std::string> names(sorted.begin(), sorted.end());
    const std::vector<int32_t> labels = match_classes(names, request, path);
    std::map<std::string, int32_t> label_of;
    for (size_t i = 0; i < names.size(); i++) label_of[names[i]] = labels[i];
    for (const ListLine& line : lines) files->labels.push_back(label_of[line.label]);
    files->class_names = request.class_names.empty() ? names : request.class_names;
}

}  // namespace

std::unique_ptr<Source> open_list(const std::string& path, const DataRequest& request) {
    const bool has_labels = request.target.kind != TargetKind::kNothing;
    const std::vector<ListLine> lines =
        has_labels ? read_list(path, 1, "cats/1.jpg cat") : read_list(path, 0, "cats/1.jpg");
    auto files = make_files(path, request);
    const bool has_numbers = std::all_of(lines.begin(), lines.end(), [](const ListLine& line) {
        return parse_unsigned(line.label).has_value();
    });
    if (has_labels && has_numbers) {
        label_by_number(path, lines, request, files.get());
    } else if (has_labels) {
        label_by_name(path, lines, request, files.get());
    }
    Sum sum;
    for (const ListLine& line : lines) {
        files->paths.push_back(listed_path(path, line.path));
        sum.add(concat(line.path, " ", line.label, "\n"));
    }
    files->sum = sum.value();
    const std::set<int32_t> classes(files->labels.begin(), files->labels.end());
    end_files(files.get(), request, classes.size());
    return files;
}

}  // namespace emulsion
