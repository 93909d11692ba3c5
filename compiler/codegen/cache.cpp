// Files of the kernel cache.
#include "compiler/codegen/cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <span>
#include <vector>

#include "compiler/support/hash.h"
#include "runtime/support/atomic_file.h"
#include "runtime/support/error.h"
#include "runtime/support/file.h"

namespace emulsion {

namespace {

namespace fs = std::filesystem;

constexpr char kMagic[8] = {'e', 'm', 'u', 'k', 'r', 'n', 'l', '2'};

// An entry's file: magic, slab sizes, hash of key, sizes and object, the object.
struct Header {
    char magic[8];
    int64_t slab0_bytes, slab_bytes;
    uint64_t hash;
};

// The key takes part: a file under another entry's name is no entry.
uint64_t hash_of(const std::string& key, const CacheEntry& entry) {
    return hash_bytes(fmt::format("{} {} {} {}", key, entry.slab0_bytes, entry.slab_bytes,
                                  hash_text(entry.object)));
}

std::span<const uint8_t> bytes_of(const void* data, size_t size) {
    return {static_cast<const uint8_t*>(data), size};
}

// Nothing where there is no such file, or one that no entry is.
Bytes read_entry(const std::string& path) {
    constexpr uint64_t kMostBytes = uint64_t{256} << 20;
    try {
        return read_file(path, kMostBytes, "kernel");
    } catch (const RuntimeError&) {
        return {};
    }
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
    const Bytes file = read_entry(path_of(key));
    Header header{};
    if (file.size() < sizeof header) return std::nullopt;
    std::memcpy(&header, file.data(), sizeof header);
    if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0) return std::nullopt;
    CacheEntry entry{
        header.slab0_bytes, header.slab_bytes, {file.begin() + sizeof header, file.end()}};
    if (hash_of(key, entry) != header.hash) return std::nullopt;
    std::error_code ignored;
    fs::last_write_time(path_of(key), fs::file_time_type::clock::now(), ignored);
    return entry;
}

void KernelCache::store(const std::string& key, const CacheEntry& entry) const {
    if (folder_.empty()) return;
    std::error_code error;
    fs::create_directories(folder_, error);
    if (error) return;
    Header header{};
    std::memcpy(header.magic, kMagic, sizeof kMagic);
    header.slab0_bytes = entry.slab0_bytes;
    header.slab_bytes = entry.slab_bytes;
    header.hash = hash_of(key, entry);
    try {
        AtomicFile file(path_of(key), {.executable = false, .durable = false});
        file.write(bytes_of(&header, sizeof header));
        file.write(bytes_of(entry.object.data(), entry.object.size()));
        file.commit();
    } catch (const RuntimeError&) {  // a full disk, or another process that stores the same
    }
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
