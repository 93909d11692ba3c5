// Atomic files under one lock.
#include "compiler/codegen/products.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "compiler/support/diagnostic.h"
#include "compiler/support/host.h"
#include "compiler/support/interrupts.h"
#include "compiler/support/text_file.h"
#include "runtime/support/error.h"
#include "runtime/support/path.h"

namespace emulsion {

namespace {

constexpr uint64_t kMostManifestBytes = uint64_t{16} << 20;

// Runs the action with the runtime's errors as those of the compiler.
template <class Action>
void checked(const Action& action) {
    try {
        action();
    } catch (const RuntimeError& error) {
        fail("output", fmt::format("'{}': {}", error.where(), error.problem()), error.fix());
    }
}

}  // namespace

void prepare_output_folder(const std::filesystem::path& folder, const std::string& library,
                           const std::string& network) {
    make_output_folder(folder);
    const std::filesystem::path path = folder / (library + ".json");
    if (!is_file(path)) return;
    const std::string text = read_text_file(path, kMostManifestBytes, "manifest", "output",
                                            "name another folder with -o, or move this file away");
    const auto manifest = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!manifest.is_object() || !manifest.contains("network")) return;
    const nlohmann::json& owner = manifest["network"];
    if (owner == network) return;
    fail(
        "output",
        fmt::format("'{}' is of the network {}, and the products of '{}' would have the same names",
                    path.string(), owner.dump(), network),
        "name another folder with -o, or give one of the networks another name");
}

Products::Products(std::filesystem::path folder)
    : folder_(std::move(folder)), lock_(open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    // A file system without locks is no reason to refuse.
    while (lock_ >= 0 && flock(lock_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        check_interrupts();
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

Products::~Products() {
    if (lock_ >= 0) close(lock_);
}

void Products::add(const std::string& name, std::string_view bytes, bool executable) {
    check_interrupts();
    const std::string path = (folder_ / name).string();
    checked([&] {
        AtomicFile& file = files_.emplace_back(path, AtomicFileOptions{executable, true});
        file.write({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
        file.sync();
    });
    paths_.push_back(path);
}

std::vector<std::string> Products::put_in_place() {
    checked([&] {
        for (AtomicFile& file : files_) file.commit();
    });
    return paths_;
}

}  // namespace emulsion
