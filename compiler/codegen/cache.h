// The cache of compiled kernels: one file per key under $XDG_CACHE_HOME/emulsion (or
// ~/.cache/emulsion), written atomically, limited in size by removing the files unused for longest.
// A damaged or unreadable entry, or one stored under another key, counts as absent, and a cache
// that cannot be written is no error.
#pragma once

#include <optional>
#include <string>

namespace emulsion {

struct CacheEntry {
    int64_t slab0_bytes = 0;
    int64_t slab_bytes = 0;
    std::string object;
};

class KernelCache {
  public:
    // `folder` empty: the default place. The limit is in bytes.
    explicit KernelCache(std::string folder = "", int64_t limit_bytes = int64_t{512} << 20);

    std::optional<CacheEntry> find(const std::string& key) const;
    void store(const std::string& key, const CacheEntry& entry) const;
    // Removes the entries unused for longest until the limit holds.
    void trim() const;
    const std::string& folder() const { return folder_; }

  private:
    std::string path_of(const std::string& key) const;
    std::string folder_;
    int64_t limit_bytes_;
};

}  // namespace emulsion
