// Files of the kernel cache.
#include "compiler/codegen/cache.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

#include "compiler/support/hash.h"

namespace emulsion {

namespace {

namespace fs = std::filesystem;

constexpr char kMagic[8] = {'e', 'm', 'u', 'k', 'r', 'n', 'l', '1'};

// An entry's file: magic, slab sizes, hash of sizes and object, the object.
struct Header {
    char magic[8];
    int64_t slab0_bytes, slab_bytes;
    uint64_t hash;
};

uint64_t hash_of(const CacheEntry& entry) {
    return hash_bytes(
        fmt::format("{} {} {}", entry.slab0_bytes, entry.slab_bytes, hash_text(entry.object)));
}

std::string default_folder() {
    if (const char* base = std::getenv("XDG_CACHE_HOME"); base != nullptr && base[0] == '/') {
        return std::string(base) + "/emulsion";
    }
    if (const char* home = std::getenv("HOME"); home != nullptr && home[0] == '/') {
        return std::string(home) + "/.cache/emulsion";
    }
    return "";
}

}  // namespace

KernelCache::KernelCache(std::string folder, int64_t limit_bytes)
    : folder_(folder.empty() ? default_folder() : std::move(folder)), limit_bytes_(limit_bytes) {}

std::string KernelCache::path_of(const std::string& key) const {
    return folder_ + "/" + key + ".kernel";
}

std::optional<CacheEntry> KernelCache::find(const std::string& key) const {
    if (folder_.empty()) return std::nullopt;
    std::ifstream file(path_of(key), std::ios::binary);
    Header header{};
    if (!file.read(reinterpret_cast<char*>(&header), sizeof header)) return std::nullopt;
    if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0) return std::nullopt;
    CacheEntry entry{
        header.slab0_bytes, header.slab_bytes, {std::istreambuf_iterator<char>(file), {}}};
    if (hash_of(entry) != header.hash) return std::nullopt;
    std::error_code ignored;
    fs::last_write_time(path_of(key), fs::file_time_type::clock::now(), ignored);
    return entry;
}

void KernelCache::store(const std::string& key, const CacheEntry& entry) const {
    if (folder_.empty()) return;
    std::error_code error;
    fs::create_directories(folder_, error);
    if (error) return;
    std::string temporary = fmt::format("{}.{}", path_of(key), getpid());
    {
        std::ofstream file(temporary, std::ios::binary);
        Header header{};
        std::memcpy(header.magic, kMagic, sizeof kMagic);
        header.slab0_bytes = entry.slab0_bytes;
        header.slab_bytes = entry.slab_bytes;
        header.hash = hash_of(entry);
        file.write(reinterpret_cast<const char*>(&header), sizeof header);
        file.write(entry.object.data(), static_cast<std::streamsize>(entry.object.size()));
        if (!file.flush()) {
            file.close();
            fs::remove(temporary, error);
            return;
        }
    }
    fs::rename(temporary, path_of(key), error);
    if (error) fs::remove(temporary, error);
}

void KernelCache::trim() const {
    std::error_code error;
    struct Item {
        fs::file_time_type time;
        int64_t bytes;
        fs::path path;
    };
    std::vector<Item> items;
    int64_t total = 0;
    for (const auto& file : fs::directory_iterator(folder_, error)) {
        std::error_code gone;
        auto bytes = static_cast<int64_t>(file.file_size(gone));
        auto time = file.last_write_time(gone);
        if (gone) continue;
        items.push_back({time, bytes, file.path()});
        total += bytes;
    }
    std::sort(items.begin(), items.end(),
              [](const Item& a, const Item& b) { return a.time < b.time; });
    for (const Item& item : items) {
        if (total <= limit_bytes_) break;
        fs::remove(item.path, error);
        total -= item.bytes;
    }
}

}  // namespace emulsion
