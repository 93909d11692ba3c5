// Paths: what they name, and folders on the disk.
#pragma once
#include <string>
#include <string_view>

namespace emulsion {

bool is_file(const std::string& path);
bool is_folder(const std::string& path);

// Whether writing to the one path would replace what the other names: through links and other
// spellings too, and where the files or their folders do not exist yet.
bool is_same_file(const std::string& a, const std::string& b);

// "run1/" and "weights" to "run1/weights".
std::string join_path(std::string_view folder, std::string_view name);

// Where the path is a link, what it leads to is meant, and the link stays. One that does not exist
// is fine. Throws RuntimeError.
void remove_file(const std::string& path);

// Makes the folder and those above it, so that they outlast a power cut; one that exists is fine.
void make_folder(const std::string& path);

// "run1" of "run1/weights", "." of a name alone.
std::string folder_of(const std::string& path);

// Replaces the path by what its last links lead to, whether that exists or not. Returns 0 or the
// system's code.
int resolve_links(std::string* path);

// Forces the folder's names to the disk. Returns 0 or the system's code; a folder that may not be
// read, or a file system that knows no such request, is no error.
int sync_folder(const std::string& path);

// Whether the path itself, no link, is the name of the open file.
bool is_name_of(const std::string& path, int descriptor);

}  // namespace emulsion
