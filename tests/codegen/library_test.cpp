// Libraries as files: equal bytes, few symbols, a header that any C99 compiler takes.
#include "compiler/codegen/library.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "compiler/codegen/link.h"
#include "compiler/codegen/manifest.h"
#include "compiler/pipeline.h"
#include "compiler/support/host.h"
#include "compiler/support/process.h"
#include "compiler/support/temporary_folder.h"
#include "schedules/library.h"
#include "tests/codegen/codegen_support.h"
#include "tests/support/run_program.h"

namespace emulsion::test {
namespace {

// Built once for all tests here.
const BuiltNetwork& tiny() {
    static const BuiltNetwork built = build_network(tiny_network());
    return built;
}

TEST(Library, EqualBytesInAnyFolderWithAnyNumberOfProcesses) {
    BuiltNetwork again = build_network(tiny_network(), {.jobs = 1, .use_cache = false});
    BuiltNetwork wide = build_network(tiny_network(), {.jobs = 5, .use_cache = false});
    for (const BuiltNetwork* other : {&again, &wide}) {
        EXPECT_TRUE(other->train.archive == tiny().train.archive) << "the training archives differ";
        EXPECT_TRUE(other->infer.archive == tiny().infer.archive)
            << "the inference archives differ";
        EXPECT_EQ(other->train.header, tiny().train.header);
        EXPECT_EQ(other->infer.header, tiny().infer.header);
        EXPECT_EQ(other->train.manifest, tiny().train.manifest);
        EXPECT_EQ(other->infer.manifest, tiny().infer.manifest);
    }
    for (std::string bytes : {tiny().train.archive, tiny().infer.archive, tiny().train.manifest}) {
        // What the library itself reads, where it counts CPUs.
        if (const size_t own = bytes.find("/proc/self/cgroup"); own != std::string::npos)
            bytes.erase(own, 5);
        for (const char* trace : {"/tmp", "/proc", "/home", "/root", "/work"}) {
            EXPECT_EQ(bytes.find(trace), std::string::npos)
                << "the folder '" << trace << "' is inside";
        }
    }
}

TEST(Library, NothingIsVisibleButItsInterface) {
    for (const auto& [library, functions] :
         {std::pair{&tiny().train,
                    std::set<std::string>{"info", "sizes", "device", "speed", "init", "bind",
                                          "upload", "forward_backward", "update", "step", "wait",
                                          "download", "error", "unbind"}},
          std::pair{&tiny().infer,
                    std::set<std::string>{"info", "sizes", "device", "speed", "prepare", "bind",
                                          "run", "wait", "error", "unbind"}}}) {
        std::set<std::string> expected;
        for (const std::string& function : functions)
            expected.insert(library->name + "_" + function);
        Symbols symbols = symbols_of(library->archive);
        EXPECT_EQ(std::set<std::string>(symbols.global.begin(), symbols.global.end()), expected);
    }
}

// Updates at once: no gradients to hand out, so neither their class nor the functions around it.
TEST(Library, UpdatesAtOnceLeaveTheStepAlone) {
    BuiltLibrary train = build_network(tiny_network(), {.update_at_once = true}).train;
    Symbols symbols = symbols_of(train.archive);
    std::set<std::string> visible(symbols.global.begin(), symbols.global.end());
    EXPECT_EQ(visible, (std::set<std::string>{
                           "tiny_train_info", "tiny_train_sizes", "tiny_train_device",
                           "tiny_train_speed", "tiny_train_init", "tiny_train_bind",
                           "tiny_train_upload", "tiny_train_step", "tiny_train_wait",
                           "tiny_train_download", "tiny_train_error", "tiny_train_unbind"}));
    EXPECT_NE(train.header.find("#define TINY_TRAIN_GRADIENTS_BYTES UINT64_C(0)"),
              std::string::npos);
    EXPECT_EQ(train.header.find("tiny_train_forward_backward"), std::string::npos);
    EXPECT_EQ(train.header.find("tiny_train_update"), std::string::npos);
    EXPECT_NE(train.header.find("int tiny_train_step("), std::string::npos);
    nlohmann::json manifest = nlohmann::json::parse(train.manifest);
    EXPECT_EQ(manifest["update"], "at-once");
    EXPECT_EQ(manifest["variants"][0]["bytes"]["gradients"], 0);
    for (const auto& tensor : manifest["tensors"]) {
        EXPECT_FALSE(tensor.contains("gradient_offset")) << tensor["name"];
    }
    EXPECT_EQ(nlohmann::json::parse(tiny().train.manifest)["update"], "apart");
}

// Where a record decided, the manifest says where it stands.
TEST(Library, TheManifestNamesRecords) {
    const Network network = tiny_network();
    PlanOptions options;
    options.isas = {isa_avx2()};
    Plan plan = make_plan(inference_graph(network), make_library(), options);
    plan.variants[0].kernels[0].record = "zen5.txt:12";
    const std::vector<VariantKernels> compiled = {VariantKernels(plan.variants[0].kernels.size())};
    const nlohmann::json manifest =
        nlohmann::json::parse(manifest_text("tiny_infer", network, plan, compiled));
    const auto& calls = manifest["variants"][0]["batches"][0]["kernels"];
    ASSERT_GT(calls.size(), 1u);
    EXPECT_EQ(calls[0]["record"], "zen5.txt:12");
    EXPECT_FALSE(calls[1].contains("record"));
}

TEST(Library, NothingIsNeededButTheCLibrary) {
    // libc, libm and pthread, as far as the runtime's C code calls them.
    const std::set<std::string> allowed = {"_GLOBAL_OFFSET_TABLE_",
                                           "abort",
                                           "clock_gettime",
                                           "close",
                                           "getpid",
                                           "memcpy",
                                           "memset",
                                           "open",
                                           "pthread_attr_destroy",
                                           "pthread_attr_init",
                                           "pthread_attr_setstacksize",
                                           "pthread_create",
                                           "pthread_join",
                                           "pthread_sigmask",
                                           "read",
                                           "sched_getcpu",
                                           "sigdelset",
                                           "sigfillset",
                                           "sigismember",
                                           "strchr",
                                           "strcmp",
                                           "strlen",
                                           "strncmp",
                                           "strrchr",
                                           "syscall"};
    for (const BuiltLibrary* library : {&tiny().train, &tiny().infer}) {
        for (const std::string& name : symbols_of(library->archive).undefined) {
            EXPECT_TRUE(allowed.contains(name)) << library->name << " needs " << name;
        }
    }
}

TEST(Library, HeadersAreC99AndMeetInOneFile) {
    TemporaryFolder folder;
    for (const BuiltLibrary* library : {&tiny().train, &tiny().infer}) {
        std::ofstream(folder.path() / (library->name + ".h")) << library->header;
    }
    std::string both =
        "#include \"tiny_train.h\"\n#include \"tiny_infer.h\"\n#include \"tiny_train.h\"\n";
    std::ofstream(folder.path() / "both.c")
        << both
        << "int use(void);\nint use(void) {\n    const emulsion_info* info = tiny_train_info();\n"
        << "    return info->batch + tiny_infer_info()->batch;\n}\n";
    std::ofstream(folder.path() / "both.cpp")
        << both << "int use() { return tiny_train_info()->batch; }\n";
    for (const auto& [standard, file, language] :
         {std::tuple{"-std=c99", "both.c", "c"}, std::tuple{"-std=c11", "both.c", "c"},
          std::tuple{"-std=c++98", "both.cpp", "c++"},
          std::tuple{"-std=c++20", "both.cpp", "c++"}}) {
        std::string output;
        std::vector<std::string> command = find_compiler();
        command.insert(command.end(),
                       {"-x", language, standard, "-pedantic", "-Wall", "-Wextra", "-Wno-long-long",
                        "-Werror", "-fsyntax-only", (folder.path() / file).string()});
        EXPECT_EQ(run_program(command, {.output = &output, .temporary = {}}), 0) << standard << "\n"
                                                                                 << output;
    }
}

TEST(Library, TheManifestSaysWhatTheLibraryHolds) {
    nlohmann::json train = nlohmann::json::parse(tiny().train.manifest);
    nlohmann::json infer = nlohmann::json::parse(tiny().infer.manifest);
    EXPECT_EQ(train.at("network"), "tiny");
    EXPECT_EQ(train.at("signature"), infer.at("signature"));
    EXPECT_NE(tiny().train.header.find("tiny_train_step"), std::string::npos);
}

TEST(Library, NetworksOfOtherShapesHaveOtherSignatures) {
    Network other = tiny_network("other");
    BuiltNetwork renamed = build_network(other);
    nlohmann::json mine = nlohmann::json::parse(tiny().infer.manifest);
    EXPECT_NE(nlohmann::json::parse(renamed.infer.manifest).at("network"), mine.at("network"));
    std::vector<std::string> global = symbols_of(renamed.infer.archive).global;
    EXPECT_NE(std::find(global.begin(), global.end(), "other_infer_run"), global.end());
}

TEST(Link, ASymbolThatNobodyDefinesIsRefused) {
    // A checked-looking kernel: it calls a function that neither the library nor the C library has.
    CompiledKernel kernel = compile_fake([](KernelContext& context) -> std::vector<Halide::Func> {
        Halide::Func out("out");
        std::vector<Halide::Var> vars = context.finish().args();
        Halide::Expr value = context.finish()(vars[0], vars[1]);
        out(vars) = Halide::Internal::Call::make(Halide::Float(32), "no_such_function", {value},
                                                 Halide::Internal::Call::PureExtern);
        return {out};
    });
    try {
        link_relocatable({{"kernel", kernel.object}}, "k_");
        FAIL() << "an archive with an undefined symbol is made";
    } catch (const Error& error) {
        EXPECT_STREQ(error.what(),
                     "error[link]: a library would need 'no_such_function', which the C library "
                     "does not have\n"
                     "  fix: report this with the model");
    }
}

TEST(Link, ArchivesAreDeterministic) {
    std::string archive = make_archive("member.o", symbols_of(tiny().infer.archive).global[0]);
    EXPECT_TRUE(archive.starts_with("!<arch>\n"));
    EXPECT_EQ(make_archive("member.o", symbols_of(tiny().infer.archive).global[0]), archive);
}

}  // namespace
}  // namespace emulsion::test
