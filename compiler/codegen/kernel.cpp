// Builds a Halide pipeline per kernel and compiles it in a fork of this process.
#include "compiler/codegen/kernel.h"

#include <Halide.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstring>

#include "compiler/codegen/cache.h"
#include "compiler/codegen/device/lowering.h"
#include "compiler/codegen/lowered.h"
#include "compiler/codegen/own_ops.h"
#include "compiler/recipe/kernel_context.h"
#include "compiler/support/hash.h"
#include "compiler/support/memory_file.h"
#include "compiler/support/workers.h"
#include "runtime/support/error.h"
#include "runtime/support/file.h"

namespace emulsion {

std::string build_identity_of(const std::string& library) {
    constexpr uint64_t kMostBytes = uint64_t{4} << 30;
    try {
        const Bytes code = read_file(library, kMostBytes, "library");
        return fmt::format("emulsion {} {} halide {}.{}.{}", EMULSION_VERSION,
                           hash_text({reinterpret_cast<const char*>(code.data()), code.size()}),
                           HALIDE_VERSION_MAJOR, HALIDE_VERSION_MINOR, HALIDE_VERSION_PATCH);
    } catch (const RuntimeError&) {
        return "";
    }
}

const std::string& build_identity() {
    static const std::string identity = [] {
        Dl_info info{};
        const bool is_found = dladdr(reinterpret_cast<const void*>(&build_identity), &info) != 0 &&
                              info.dli_fname != nullptr;
        return is_found ? build_identity_of(info.dli_fname) : "";
    }();
    return identity;
}

namespace {

Halide::Target target_of(const Isa& isa, bool checked) {
    std::string text = "x86-64-linux-no_runtime-user_context" + target_features(isa);
    if (!checked) text += "-no_asserts-no_bounds_query";
    return Halide::Target(text);
}

const Recipe& recipe_named(const RecipeLibrary& library, const std::string& name) {
    for (const auto& recipe : library) {
        if (recipe->name() == name) return *recipe;
    }
    fail("recipe", fmt::format("unknown recipe '{}'", name),
         "use a recipe that schedules/library.cpp lists");
}

// Compiles one output of a module.
std::string compile_output(const Halide::Module& module, Halide::OutputFileType type) {
    MemoryFile file("kernel");
    module.compile({{type, file.path()}});
    return file.read();
}

struct BuiltPipeline {
    Halide::Pipeline pipeline;
    std::vector<Halide::Argument> arguments;
};

BuiltPipeline build_pipeline(const PlannedKernel& kernel, const Isa& isa,
                             const RecipeLibrary& library) {
    const Recipe& recipe = recipe_named(library, kernel.recipe);
    if (const std::string fault = tiling_fault(recipe, kernel.group, kernel.tiling, isa);
        !fault.empty()) {
        fail("tiling",
             fmt::format("the recipe {} cannot run with the tiling '{}': {}", kernel.recipe,
                         to_string(kernel.tiling), fault),
             "leave out the record that it comes from");
    }
    KernelContext context(kernel.group, isa);
    std::vector<Halide::Func> outputs = recipe.build(context, kernel.tiling);
    context.constrain_outputs(outputs, recipe.scratch(kernel.group, kernel.tiling));
    Halide::Pipeline pipeline(outputs);
    add_device_lowering(pipeline, isa, kernel.group.batch);
    return {std::move(pipeline), context.arguments()};
}

Halide::Module build_module(const PlannedKernel& kernel, const Isa& isa,
                            const RecipeLibrary& library, bool checked, const std::string& symbol) {
    BuiltPipeline built = build_pipeline(kernel, isa, library);
    return built.pipeline.compile_to_module(built.arguments, symbol, target_of(isa, checked),
                                            Halide::LinkageType::External);
}

// The current exception in words; Halide's errors are no std::exception.
std::string describe_failure(int64_t memory_bytes) {
    try {
        throw;
    } catch (const std::bad_alloc&) {
        return fmt::format("ran out of memory: more than {} MiB", memory_bytes >> 20);
    } catch (const Halide::Error& error) {
        return error.what();
    } catch (const std::exception& error) {
        return error.what();
    } catch (...) {
        return "unknown failure";
    }
}

std::string pack(const CacheEntry& entry) {
    std::string bytes(16, '\0');
    std::memcpy(bytes.data(), &entry.slab0_bytes, 8);
    std::memcpy(bytes.data() + 8, &entry.slab_bytes, 8);
    return bytes + entry.object;
}

CacheEntry unpack(const std::string& bytes) {
    CacheEntry entry;
    std::memcpy(&entry.slab0_bytes, bytes.data(), 8);
    std::memcpy(&entry.slab_bytes, bytes.data() + 8, 8);
    entry.object = bytes.substr(16);
    return entry;
}

std::string compile_one(const PlannedKernel& kernel, const Isa& isa, const RecipeLibrary& library,
                        bool checked, const std::string& symbol) {
    Halide::Module module = build_module(kernel, isa, library, checked, symbol);
    SlabNeed need = inspect_module(module);
    return pack({need.calling_thread, need.other_workers,
                 compile_output(module, Halide::OutputFileType::object)});
}

[[noreturn]] void fail_kernel(const PlannedKernel& kernel, const Isa& isa,
                              const std::string& failure) {
    Diagnostic diagnostic;
    diagnostic.code = "kernel";
    diagnostic.message =
        fmt::format("a kernel did not compile: recipe {} for {}", kernel.recipe, isa.name);
    diagnostic.notes = {"group: " + kernel.group.signature(), "tiling: " + to_string(kernel.tiling),
                        failure};
    diagnostic.fix =
        "report this kernel; where memory or time ran out, build with fewer processes at once";
    throw Error(std::move(diagnostic));
}

}  // namespace

std::vector<KernelAttempt> try_compile_kernels(const std::vector<PlannedKernel>& kernels,
                                               const Isa& isa, const RecipeLibrary& library,
                                               const KernelOptions& options) {
    KernelCache cache;
    const bool use_cache = options.use_cache && !build_identity().empty();
    std::vector<KernelAttempt> attempts(kernels.size());
    std::vector<size_t> missing;
    std::vector<std::string> keys;
    const auto fill = [&](size_t i, CacheEntry entry) {
        CompiledKernel& kernel = attempts[i].kernel;
        kernel = {
            kernel.symbol,
            std::move(entry.object),
            entry.slab0_bytes,
            entry.slab_bytes,
            options.checked,
            recipe_named(library, kernels[i].recipe).scratch(kernels[i].group, kernels[i].tiling)};
    };
    for (size_t i = 0; i < kernels.size(); i++) {
        std::string identity = kernels[i].identity(isa);
        attempts[i].kernel.symbol = "k_" + hash_text(identity);
        keys.push_back(hash_text(identity + (options.checked ? " checked " : " ") +
                                 build_identity() + own_ops_identity(kernels[i].group)));
        std::optional<CacheEntry> entry;
        if (use_cache) entry = cache.find(keys[i]);
        if (entry) {
            fill(i, std::move(*entry));
        } else {
            missing.push_back(i);
        }
    }
    auto job = [&](size_t j) {
        size_t i = missing[j];
        return compile_one(kernels[i], isa, library, options.checked, attempts[i].kernel.symbol);
    };
    WorkerLimits limits{options.processes, options.timeout_seconds, options.memory_limit_bytes};
    auto describe = [&] { return describe_failure(limits.memory_bytes); };
    std::vector<JobResult> results = run_forked(missing.size(), job, describe, limits);
    for (size_t j = 0; j < missing.size(); j++) {
        size_t i = missing[j];
        if (!results[j].ok) {
            const std::string& failure = results[j].failure;
            attempts[i] = {{}, failure.empty() ? "it fails without a word" : failure};
            continue;
        }
        CacheEntry entry = unpack(results[j].output);
        if (use_cache) cache.store(keys[i], entry);
        fill(i, std::move(entry));
    }
    if (use_cache && !missing.empty()) cache.trim();
    return attempts;
}

std::vector<CompiledKernel> compile_kernels(const std::vector<PlannedKernel>& kernels,
                                            const Isa& isa, const RecipeLibrary& library,
                                            const KernelOptions& options) {
    std::vector<KernelAttempt> attempts = try_compile_kernels(kernels, isa, library, options);
    std::vector<CompiledKernel> compiled;
    for (size_t i = 0; i < kernels.size(); i++) {
        if (!attempts[i].failure.empty()) fail_kernel(kernels[i], isa, attempts[i].failure);
        compiled.push_back(std::move(attempts[i].kernel));
    }
    return compiled;
}

namespace {

// print_loop_nest writes to stderr only: it is pointed to a file in memory meanwhile.
std::string loop_nest(Halide::Pipeline pipeline) {
    MemoryFile file("loops");
    std::fflush(stderr);
    int saved = dup(2);
    dup2(file.descriptor(), 2);
    pipeline.print_loop_nest();
    std::fflush(stderr);
    dup2(saved, 2);
    close(saved);
    return file.read();
}

}  // namespace

std::string show_kernel(const PlannedKernel& kernel, const Isa& isa, const RecipeLibrary& library,
                        const std::string& stage) {
    auto job = [&](size_t) -> std::string {
        if (stage == "loops") return loop_nest(build_pipeline(kernel, isa, library).pipeline);
        Halide::Module module = build_module(kernel, isa, library, /*checked=*/false, "kernel");
        return compile_output(module, stage == "stmt" ? Halide::OutputFileType::stmt
                                                      : Halide::OutputFileType::assembly);
    };
    WorkerLimits limits;
    auto describe = [&] { return describe_failure(limits.memory_bytes); };
    JobResult result = run_forked(1, job, describe, limits)[0];
    if (!result.ok) fail_kernel(kernel, isa, result.failure);
    return result.output;
}

}  // namespace emulsion
