// Linking with LLVM's lld and objcopy in this process, programs with the C++ compiler.
#include "compiler/codegen/link.h"

#include <fmt/format.h>
#include <lld/Common/Driver.h>
#include <llvm/ObjCopy/CommonConfig.h>
#include <llvm/ObjCopy/ConfigManager.h>
#include <llvm/ObjCopy/ObjCopy.h>
#include <llvm/Object/ArchiveWriter.h>
#include <llvm/Object/Binary.h>
#include <llvm/Object/ObjectFile.h>
#include <llvm/Support/MemoryBuffer.h>
#include <llvm/Support/raw_ostream.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "compiler/support/diagnostic.h"
#include "compiler/support/host.h"
#include "compiler/support/memory_file.h"
#include "compiler/support/process.h"
#include "compiler/support/temporary_folder.h"
#include "runtime/support/atomic_file.h"
#include "runtime/support/error.h"
#include "runtime/support/file.h"

LLD_HAS_DRIVER(elf)

namespace emulsion {

namespace {

std::string read_file(const std::string& path) {
    auto buffer =
        llvm::MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
    if (!buffer)
        fail("link", fmt::format("{} cannot be read: {}", path, buffer.getError().message()),
             "try again");
    return (*buffer)->getBuffer().str();
}

// What to do about a linker's words.
std::string remedy_of(const std::string& words, const char* otherwise) {
    for (const auto& [sign, remedy] :
         {std::pair<std::string_view, const char*>{
              "No space left on device", "free some space where temporary files go ($TMPDIR)"},
          {"Disk quota exceeded", "free some space where temporary files go ($TMPDIR)"},
          {"File size limit exceeded", "raise the limit of file sizes (ulimit -f)"},
          {"File too large", "raise the limit of file sizes (ulimit -f)"},
          {"Too many open files", "raise the limit of open files (ulimit -n)"}}) {
        if (words.find(sign) != std::string::npos) return remedy;
    }
    return otherwise;
}

void run_lld(const std::vector<std::string>& arguments) {
    std::vector<const char*> pointers;
    for (const std::string& argument : arguments) pointers.push_back(argument.c_str());
    std::string messages;
    llvm::raw_string_ostream stream(messages);
    lld::Result result =
        lld::lldMain(pointers, llvm::nulls(), stream, {{lld::Gnu, &lld::elf::link}});
    if (result.retCode != 0) {
        fail("link", fmt::format("the objects of a library cannot be linked: {}", messages),
             remedy_of(messages, "report this with the model"));
    }
}

// What a library may need, sorted: functions of libc and pthread that the C code of runtime/abi
// calls, and of libm that LLVM calls where an instruction set lacks the instruction.
constexpr auto kCLibrary = std::to_array<std::string_view>({"_GLOBAL_OFFSET_TABLE_",
                                                            "abort",
                                                            "ceilf",
                                                            "clock_gettime",
                                                            "close",
                                                            "floorf",
                                                            "fmaf",
                                                            "getpid",
                                                            "memcmp",
                                                            "memcpy",
                                                            "memmove",
                                                            "memset",
                                                            "nearbyintf",
                                                            "open",
                                                            "pthread_attr_destroy",
                                                            "pthread_attr_init",
                                                            "pthread_attr_setstacksize",
                                                            "pthread_create",
                                                            "pthread_join",
                                                            "pthread_sigmask",
                                                            "read",
                                                            "rintf",
                                                            "roundevenf",
                                                            "roundf",
                                                            "sched_getcpu",
                                                            "sigdelset",
                                                            "sigfillset",
                                                            "sigismember",
                                                            "sqrtf",
                                                            "strchr",
                                                            "strcmp",
                                                            "strlen",
                                                            "strncmp",
                                                            "strrchr",
                                                            "syscall",
                                                            "truncf"});

// What one with a variant for devices may need beside them, sorted: to load drivers, to keep what
// they make, and to put their faults in words.
constexpr auto kDrivers = std::to_array<std::string_view>(
    {"calloc", "dlerror", "dlopen", "dlsym", "free", "getenv", "pthread_mutex_lock",
     "pthread_mutex_unlock", "snprintf", "strnlen", "vsnprintf"});

bool is_allowed(const std::string& name, bool has_devices) {
    return std::binary_search(kCLibrary.begin(), kCLibrary.end(), name) ||
           (has_devices && std::binary_search(kDrivers.begin(), kDrivers.end(), name));
}

// Refuses an object that needs more than the C library.
void check_undefined(const std::string& object, bool has_devices) {
    auto file =
        llvm::object::ObjectFile::createObjectFile(llvm::MemoryBufferRef(object, "library"));
    EMU_CHECK(static_cast<bool>(file), "the linked object is not valid");
    for (const llvm::object::SymbolRef& symbol : (*file)->symbols()) {
        std::string name = llvm::cantFail(symbol.getName()).str();
        bool undefined =
            (llvm::cantFail(symbol.getFlags()) & llvm::object::SymbolRef::SF_Undefined) != 0;
        if (!undefined || name.empty() || is_allowed(name, has_devices)) continue;
        fail("link",
             fmt::format("a library would need '{}', which the C library does not have", name),
             "report this with the model");
    }
}

std::string keep_global(const std::string& object, const std::string& prefix) {
    std::unique_ptr<llvm::MemoryBuffer> buffer =
        llvm::MemoryBuffer::getMemBuffer(object, "library", false);
    llvm::Expected<std::unique_ptr<llvm::object::Binary>> binary =
        llvm::object::createBinary(buffer->getMemBufferRef());
    EMU_CHECK(static_cast<bool>(binary), "the linked object is not valid");
    llvm::objcopy::ConfigManager config;
    std::string pattern = prefix + "*";
    auto matcher = llvm::objcopy::NameOrPattern::create(
        pattern, llvm::objcopy::MatchStyle::Wildcard, [](llvm::Error error) { return error; });
    EMU_CHECK(static_cast<bool>(matcher), "'{}' is no pattern", pattern);
    EMU_CHECK(!config.Common.SymbolsToKeepGlobal.addMatcher(std::move(matcher)),
              "'{}' is no pattern", pattern);
    config.Common.StripDebug = true;
    llvm::SmallString<0> bytes;
    llvm::raw_svector_ostream stream(bytes);
    if (llvm::Error error = llvm::objcopy::executeObjcopyOnBinary(config, **binary, stream)) {
        fail("link",
             fmt::format("symbols cannot be made local: {}", llvm::toString(std::move(error))),
             "report this with the model");
    }
    return bytes.str().str();
}

}  // namespace

std::string link_relocatable(const std::vector<std::pair<std::string, std::string>>& objects,
                             const std::string& prefix, bool has_devices) {
    // lld takes its inputs by path; the files live in memory, so no name or folder reaches the
    // result.
    std::vector<std::unique_ptr<MemoryFile>> files;
    TemporaryFolder folder;
    std::string output = (folder.path() / "library.o").string();
    std::vector<std::string> arguments = {"ld.lld", "-r", "--threads=1", "-o", output};
    for (const auto& [name, bytes] : objects) {
        files.push_back(std::make_unique<MemoryFile>(name, bytes));
        arguments.push_back(files.back()->path());
    }
    run_lld(arguments);
    std::string object = read_file(output);
    check_undefined(object, has_devices);
    return keep_global(object, prefix);
}

std::string make_archive(const std::string& member, const std::string& object) {
    std::vector<llvm::NewArchiveMember> members;
    members.emplace_back(llvm::MemoryBufferRef(object, member));
    auto archive = llvm::writeArchiveToBuffer(members, llvm::SymtabWritingMode::NormalSymtab,
                                              llvm::object::Archive::K_GNU, /*Deterministic=*/true,
                                              /*Thin=*/false);
    if (!archive) fail("link", llvm::toString(archive.takeError()), "report this with the model");
    return (*archive)->getBuffer().str();
}

namespace {

void write_temporary(const std::string& path, const std::string& bytes) {
    AtomicFile file(path, {.executable = false, .durable = false});
    file.write({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
    file.commit();
}

std::vector<std::string> link_command(const TemporaryFolder& folder, const std::string& object,
                                      const std::vector<std::string>& archives) {
    std::vector<std::string> command = find_compiler();
    auto add_input = [&](const std::string& name, const std::string& bytes) {
        const std::string path = (folder.path() / name).string();
        write_temporary(path, bytes);
        command.push_back(path);
    };
    add_input("main.o", object);
    for (size_t i = 0; i < archives.size(); i++) add_input(fmt::format("{}.a", i), archives[i]);
    const std::filesystem::path libraries = library_folder();
    for (const char* name : {"libemulsion_train.a", "libemulsion_infer.a", "libemulsion_program.a",
                             "libemulsion_data.a"}) {
        command.push_back((libraries / name).string());
    }
    for (const char* flag :
         {"-static-libstdc++", "-static-libgcc", "-Wl,-Bstatic", "-lprotobuf-lite", "-lpng",
          "-ljpeg", "-lz", "-Wl,-Bdynamic", "-lpthread", "-lm", "-Wl,--gc-sections",
          "-Wl,--build-id=none", "-s"}) {
        command.emplace_back(flag);
    }
    return command;
}

}  // namespace

std::string link_program(const std::string& name, const std::string& object,
                         const std::vector<std::string>& archives) {
    TemporaryFolder folder;
    const std::string program = (folder.path() / "program").string();
    std::string words;
    try {
        std::vector<std::string> command = link_command(folder, object, archives);
        command.insert(command.end(), {"-o", program});
        if (run_program(command, {.output = &words, .temporary = folder.path()}) == 0)
            return read_file(program);
    } catch (const RuntimeError& error) {
        fail("link",
             fmt::format("the program {} cannot be linked: '{}': {}", name, error.where(),
                         error.problem()),
             error.fix());
    }
    fail("link", fmt::format("the program {} cannot be linked:\n{}", name, words),
         remedy_of(words, "install what compiler/toolchain/setup.sh installs"));
}

}  // namespace emulsion
