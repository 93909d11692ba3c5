// The files that a build leaves in its folder.
#pragma once

#include <deque>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/support/atomic_file.h"

namespace emulsion {

// Makes the folder and checks that files can be made in it, and that the library named `library` in
// it, where there is one, is of this network: "res-18" and "res_18" share names. Throws
// Error[output].
void prepare_output_folder(const std::filesystem::path& folder, const std::string& library,
                           const std::string& network);

// All files are written whole, on the disk, before the first takes its place: whatever fails or
// ends the build before, the former products stay. Builds into one folder take turns.
class Products {
  public:
    // Waits for another build that writes into the folder.
    explicit Products(std::filesystem::path folder);
    ~Products();
    Products(const Products&) = delete;
    Products& operator=(const Products&) = delete;

    // Throws Error[output] where the file cannot be written.
    void add(const std::string& name, std::string_view bytes, bool executable = false);

    // The paths, in the order of add. Called once, last.
    std::vector<std::string> put_in_place();

  private:
    std::filesystem::path folder_;
    int lock_ = -1;
    std::deque<AtomicFile> files_;
    std::vector<std::string> paths_;
};

}  // namespace emulsion
