// A blank in a name stands behind a backslash, as does '#'; a dollar sign is doubled.
#include "dsl/depfile.h"

#include <string_view>

#include "runtime/support/atomic_file.h"
#include "runtime/support/file.h"

namespace emulsion {

namespace {

constexpr uint64_t kMostBytes = uint64_t{16} << 20;

std::string escaped(const std::string& name) {
    std::string text;
    for (char c : name) {
        if (c == ' ' || c == '#') text += '\\';
        if (c == '$') text += '$';
        text += c;
    }
    return text;
}

}  // namespace

std::vector<std::string> read_depfile(const std::string& path) {
    const Bytes bytes = read_file(path, kMostBytes, "list of dependencies");
    std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    text.remove_prefix(text.find(": ") + 1);
    std::vector<std::string> files;
    std::string name;
    for (size_t i = 0; i <= text.size(); i++) {
        const char c = i < text.size() ? text[i] : '\n';
        const char next = i + 1 < text.size() ? text[i + 1] : '\n';
        const bool is_escape = (c == '\\' && (next == ' ' || next == '#' || next == '\n')) ||
                               (c == '$' && next == '$');
        if (is_escape) i++;
        if (is_escape && next != '\n') {
            name += next;
        } else if (c != ' ' && c != '\n' && !is_escape) {
            name += c;
        } else if (!name.empty()) {
            files.push_back(std::move(name));
            name.clear();
        }
    }
    return files;
}

void write_depfile(const std::string& path, const std::vector<std::string>& products,
                   const std::vector<std::string>& files) {
    std::string text;
    for (const std::string& product : products) text += escaped(product) + " ";
    if (!text.empty()) text.back() = ':';
    for (const std::string& file : files) text += " \\\n  " + escaped(file);
    write_file(path, text + "\n");
}

}  // namespace emulsion
