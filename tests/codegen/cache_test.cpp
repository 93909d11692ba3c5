// The cache of compiled kernels.
#include "compiler/codegen/cache.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "tests/codegen/codegen_support.h"
#include "tests/support/run_program.h"

namespace emulsion::test {
namespace {

namespace fs = std::filesystem;

CacheEntry entry_of(char fill, size_t bytes = 1000) { return {320, 192, std::string(bytes, fill)}; }

size_t file_count(const std::string& folder) {
    return static_cast<size_t>(
        std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST(Cache, KeepsEntries) {
    TestFolder folder;
    KernelCache cache(folder / "deep/below");
    EXPECT_FALSE(cache.find("one"));
    cache.store("one", entry_of('a'));
    cache.store("two", entry_of('b'));
    cache.store("empty", {0, 0, ""});
    auto found = cache.find("one");
    ASSERT_TRUE(found);
    EXPECT_EQ(found->object, std::string(1000, 'a'));
    EXPECT_EQ(found->slab0_bytes, 320);
    EXPECT_EQ(found->slab_bytes, 192);
    EXPECT_EQ(cache.find("two")->object[0], 'b');
    ASSERT_TRUE(cache.find("empty"));
    EXPECT_EQ(file_count(cache.folder()), 3u);  // and no temporary file
    cache.store("one", entry_of('c'));
    EXPECT_EQ(cache.find("one")->object[0], 'c');
}

// Whichever byte is damaged, the entry counts as absent; storing it again mends it.
TEST(Cache, ADamagedEntryCountsAsAbsent) {
    TestFolder folder;
    KernelCache cache(folder.path());
    cache.store("key", entry_of('a', 100));
    std::string path = fs::directory_iterator(folder.path())->path();
    const std::string good = read_text(path);
    auto write = [&](const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; };
    for (size_t i = 0; i < good.size(); i++) {
        std::string bad = good;
        bad[i] = static_cast<char>(bad[i] ^ 0x10);
        write(bad);
        EXPECT_FALSE(cache.find("key"))
            << "byte " << i << " of " << good.size() << " is not checked";
    }
    for (size_t size = 0; size < good.size(); size++) {
        write(good.substr(0, size));
        EXPECT_FALSE(cache.find("key")) << "the first " << size << " bytes count as whole";
    }
    write(good + "x");
    EXPECT_FALSE(cache.find("key"));
    cache.store("key", entry_of('b'));
    EXPECT_EQ(cache.find("key")->object[0], 'b');
}

// What is no file is not waited for.
TEST(Cache, APipeCountsAsAbsent) {
    TestFolder folder;
    KernelCache cache(folder.path());
    cache.store("key", entry_of('a'));
    const std::string path = fs::directory_iterator(folder.path())->path();
    fs::remove(path);
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    EXPECT_FALSE(cache.find("key"));
}

// An entry under another name is none: it would bring the code of another kernel.
TEST(Cache, ForeignEntriesCountAsAbsent) {
    TestFolder folder;
    KernelCache cache(folder.path());
    cache.store("one", entry_of('a'));
    cache.store("two", entry_of('b'));
    fs::copy_file(folder / "one.kernel", folder / "two.kernel",
                  fs::copy_options::overwrite_existing);
    EXPECT_FALSE(cache.find("two"));
    EXPECT_EQ(cache.find("one")->object[0], 'a');
    cache.store("two", entry_of('b'));
    EXPECT_EQ(cache.find("two")->object[0], 'b');
}

TEST(Cache, CodeThatCannotBeReadHasNoIdentity) {
    TestFolder folder;
    std::ofstream(folder / "one.so") << "code";
    std::ofstream(folder / "two.so") << "other code";
    EXPECT_NE(build_identity_of(folder / "one.so"), "");
    EXPECT_NE(build_identity_of(folder / "one.so"), build_identity_of(folder / "two.so"));
    EXPECT_EQ(build_identity_of(folder / "none.so"), "");
    EXPECT_EQ(build_identity_of(folder.path()), "");
}

TEST(Cache, AFolderThatCannotBeWrittenIsNoError) {
    TestFolder folder;
    std::ofstream(folder / "file") << "a file, where a folder should be";
    KernelCache below_a_file(folder / "file/cache");
    below_a_file.store("key", entry_of('a'));
    EXPECT_FALSE(below_a_file.find("key"));
    below_a_file.trim();
    fs::create_directory(folder / "locked");
    fs::permissions(folder / "locked", fs::perms::owner_read | fs::perms::owner_exec);
    KernelCache locked(folder / "locked");
    locked.store("key", entry_of('a'));
    if (geteuid() != 0) {
        EXPECT_FALSE(locked.find("key"));
        EXPECT_EQ(file_count(folder / "locked"), 0u);
    }
    locked.trim();
    fs::permissions(folder / "locked", fs::perms::owner_all);
}

TEST(Cache, TrimRemovesWhatWasUnusedForLongest) {
    TestFolder folder;
    KernelCache cache(folder.path(), 5000);
    auto used = fs::file_time_type::clock::now() - std::chrono::hours(1);
    for (const char* key : {"a", "b", "c", "d", "e", "f"}) {
        cache.store(key, entry_of(*key, 1000));
        fs::last_write_time(folder / (std::string(key) + ".kernel"),
                            used += std::chrono::minutes(1));
    }
    EXPECT_TRUE(cache.find("a"));  // used: now the newest
    cache.trim();
    EXPECT_EQ(file_count(folder.path()), 4u);  // an entry is a little more than its object
    EXPECT_TRUE(cache.find("a"));
    EXPECT_FALSE(cache.find("b"));
    EXPECT_FALSE(cache.find("c"));
    EXPECT_TRUE(cache.find("f"));
    KernelCache(folder.path(), 0).trim();
    EXPECT_EQ(file_count(folder.path()), 0u);
}

// Sets an environment variable for the life of the object.
class Environment {
  public:
    Environment(const char* name, const std::string& value) : name_(name) {
        if (const char* old = std::getenv(name)) old_ = old;
        setenv(name, value.c_str(), 1);
    }
    ~Environment() { old_ ? setenv(name_, old_->c_str(), 1) : unsetenv(name_); }

  private:
    const char* name_;
    std::optional<std::string> old_;
};

TEST(Cache, LiesWhereTheUserKeepsCaches) {
    Environment base("XDG_CACHE_HOME", "/somewhere");
    EXPECT_EQ(KernelCache().folder(), "/somewhere/emulsion");
    Environment relative("XDG_CACHE_HOME", "not/absolute");
    Environment home("HOME", "/home/somebody");
    EXPECT_EQ(KernelCache().folder(), "/home/somebody/.cache/emulsion");
    Environment none("HOME", "");
    KernelCache nowhere;
    EXPECT_EQ(nowhere.folder(), "");
    nowhere.store("key", entry_of('a'));
    EXPECT_FALSE(nowhere.find("key"));
    nowhere.trim();
}

// A kernel is compiled once: the second time its recipe is not asked.
TEST(Cache, KernelsComeFromIt) {
    TestFolder folder;
    Environment base("XDG_CACHE_HOME", folder.path());
    RecipeLibrary good =
        fake_library([](KernelContext& c) -> std::vector<Halide::Func> { return {c.finish()}; });
    RecipeLibrary bad =
        fake_library([](KernelContext&) -> std::vector<Halide::Func> { std::abort(); });
    std::vector<CompiledKernel> first = compile_kernels({relu_kernel()}, isa_baseline(), good, {});
    std::vector<CompiledKernel> second = compile_kernels({relu_kernel()}, isa_baseline(), bad, {});
    EXPECT_EQ(second[0].object, first[0].object);
    EXPECT_EQ(second[0].symbol, first[0].symbol);
    KernelOptions checked, uncached;
    checked.checked = true;
    uncached.use_cache = false;
    EXPECT_THROW(compile_kernels({relu_kernel()}, isa_baseline(), bad, checked), Error);
    EXPECT_THROW(compile_kernels({relu_kernel()}, isa_baseline(), bad, uncached), Error);
    EXPECT_THROW(compile_kernels({relu_kernel()}, isa_avx2(), bad, {}), Error);
    EXPECT_THROW(compile_kernels({relu_kernel(9)}, isa_baseline(), bad, {}), Error);
}

}  // namespace
}  // namespace emulsion::test
