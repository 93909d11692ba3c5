// Kernels, networks and symbols for the tests of code generation.
#include "tests/codegen/codegen_support.h"

#include <gtest/gtest.h>
#include <llvm/Object/Archive.h>
#include <llvm/Object/ObjectFile.h>

#include "compiler/graph/text.h"
#include "compiler/ops/sources.h"
#include "compiler/pipeline.h"
#include "compiler/support/temporary_folder.h"
#include "schedules/library.h"
#include "tests/support/run_program.h"

namespace emulsion::test {

RecipeLibrary fake_library(FakeRecipe::Build build) {
    RecipeLibrary library;
    library.push_back(std::make_unique<FakeRecipe>(std::move(build)));
    return library;
}

PlannedKernel relu_kernel(int64_t features) {
    GraphBuilder builder("group");
    Value a = builder.add(std::make_shared<Input>(batched_type({features})), {}, "a0");
    builder.output("r0", builder.add(op_from_text("relu"), {a}, "v0"));
    PlannedKernel kernel;
    kernel.group.body = builder.build();
    kernel.group.batch = 4;
    kernel.recipe = "fake";
    kernel.tiling = Tiling{{{"size", 3}}};
    return kernel;
}

CompiledKernel compile_fake(FakeRecipe::Build build, KernelOptions options) {
    options.use_cache = false;
    return compile_kernels({relu_kernel()}, isa_baseline(), fake_library(std::move(build)),
                           options)[0];
}

std::string kernel_error(FakeRecipe::Build build, KernelOptions options) {
    try {
        compile_fake(std::move(build), options);
    } catch (const Error& error) {
        return error.what();
    }
    return "";
}

KernelWorker::KernelWorker(int64_t slab_bytes)
    : slab_(static_cast<size_t>(slab_bytes) + EMULSION_ALIGNMENT) {
    instance_.threads = 1;
    instance_.self = &instance_;
    instance_.workers = &worker_;
    worker_.instance = &instance_;
    auto start = emulsion_round_up(reinterpret_cast<uint64_t>(slab_.data()));
    worker_.slab = reinterpret_cast<char*>(start);
    worker_.slab_bytes = static_cast<uint64_t>(slab_bytes);
}

Network tiny_network(const std::string& name) {
    return parse_network("network " + name + R"(
optimizer sgd {learning_rate=0.1, momentum=0.9, weight_decay=0.01}
schedule constant
classes ["a", "b", "c"]
graph )" + name + R"( {
  %image = input() : f32[n,1,8,8]
  %conv.w = parameter() {init="he", fan_in=9} : f32[16,1,3,3]
  %conv = conv2d(%image, %conv.w) {padding=[1,1,1,1]} : f32[n,16,8,8]
  %conv.b = parameter() {decay=false} : f32[16]
  %biased = add(%conv, %conv.b) : f32[n,16,8,8]
  %y = relu(%biased) : f32[n,16,8,8]
  %pool = max_pool(%y) : f32[n,16,4,4], u8[n,16,4,4]
  %flat = flatten(%pool:0) : f32[n,256]{16,4,4}
  %dense.w = parameter() {init="he", fan_in=256} : f32[3,256]{16,4,4}
  %scores = dense(%flat, %dense.w) : f32[n,3]
  %label = input() : i32[n]
  %cross = softmax_cross_entropy(%scores, %label) : f32[n], f32[n]
  %loss = reduce(%cross:0) {mean=true} : f32[]
  %correct = reduce(%cross:1) : f32[]
  output "correct" %correct
  output "scores" %scores
  output "loss" %loss
})",
                         name + ".emu");
}

BuiltNetwork build_network(const Network& network, const BuildSettings& settings) {
    TemporaryFolder folder;
    BuildOptions options;
    options.output = (folder.path() / "out").string();
    options.batch = 5;
    options.infer_batches = {1, 3};
    options.threads = 2;
    options.jobs = settings.jobs;
    options.cache = settings.use_cache;
    options.checked = settings.checked;
    options.update_at_once = settings.update_at_once;
    options.target = "avx2";
    options.programs = false;
    Artifact artifact = build(network, make_library(), options);
    BuiltNetwork built;
    EXPECT_EQ(artifact.files.size(), 6u);
    for (auto [library, ending] :
         {std::pair{&built.train, "_train"}, std::pair{&built.infer, "_infer"}}) {
        library->name = network.name + ending;
        std::string path = options.output + "/" + library->name;
        library->archive = read_text(path + ".a");
        library->header = read_text(path + ".h");
        library->manifest = read_text(path + ".json");
    }
    return built;
}

namespace {

void add_symbols(const llvm::object::ObjectFile& object, Symbols& symbols) {
    for (const llvm::object::SymbolRef& symbol : object.symbols()) {
        std::string name = llvm::cantFail(symbol.getName()).str();
        uint32_t flags = llvm::cantFail(symbol.getFlags());
        if (flags & llvm::object::SymbolRef::SF_Undefined) {
            if (!name.empty()) symbols.undefined.push_back(name);
        } else if (flags & llvm::object::SymbolRef::SF_Global) {
            symbols.global.push_back(name);
        }
    }
}

}  // namespace

Symbols symbols_of(const std::string& bytes) {
    Symbols symbols;
    llvm::MemoryBufferRef buffer(llvm::StringRef(bytes), "object");
    if (!bytes.starts_with("!<arch>")) {
        add_symbols(*llvm::cantFail(llvm::object::ObjectFile::createObjectFile(buffer)), symbols);
        return symbols;
    }
    auto archive = llvm::cantFail(llvm::object::Archive::create(buffer));
    llvm::Error error = llvm::Error::success();
    for (const llvm::object::Archive::Child& child : archive->children(error)) {
        auto member = llvm::cantFail(child.getAsBinary());
        add_symbols(llvm::cast<llvm::object::ObjectFile>(*member), symbols);
    }
    llvm::cantFail(std::move(error));
    return symbols;
}

}  // namespace emulsion::test
