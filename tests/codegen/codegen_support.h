// Single kernels, recipes that misbehave, and small networks for the tests of code generation.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "compiler/codegen/kernel.h"
#include "compiler/codegen/library.h"
#include "compiler/recipe/kernel_context.h"
#include "compiler/recipe/recipe.h"
#include "runtime/abi/instance.h"

namespace emulsion::test {

// A recipe for any group that builds what it is told.
class FakeRecipe : public Recipe {
  public:
    using Build = std::function<std::vector<Halide::Func>(KernelContext&)>;
    explicit FakeRecipe(Build build) : build_(std::move(build)) {}
    std::string_view name() const override { return "fake"; }
    bool applies(const Group&, const Isa&) const override { return true; }
    TilingSpace space(const Group&, const Isa&) const override { return {{"size", {3}}}; }
    std::vector<Tiling> tilings(const Group&, const Isa&) const override {
        return {Tiling{{{"size", 3}}}};
    }
    double cost(const Group&, const Tiling&, const Isa&, const Machine&) const override {
        return 1;
    }
    std::vector<Halide::Func> build(KernelContext& context, const Tiling&) const override {
        return build_(context);
    }

  private:
    Build build_;
};

// A library with this recipe alone.
RecipeLibrary fake_library(FakeRecipe::Build build);

// A kernel of the fake recipe: relu of f32[n,features].
PlannedKernel relu_kernel(int64_t features = 8);

// Compiles one kernel without the cache. Throws what compile_kernels throws.
CompiledKernel compile_fake(FakeRecipe::Build build, KernelOptions options = {});
// The text of the Error that compiling it throws, or "".
std::string kernel_error(FakeRecipe::Build build, KernelOptions options = {});

// What a kernel needs as user_context: an instance with one thread and its slab.
class KernelWorker {
  public:
    explicit KernelWorker(int64_t slab_bytes);
    emulsion_worker* get() { return &worker_; }

  private:
    std::vector<char> slab_;
    emulsion_instance instance_{};
    emulsion_worker worker_{};
};

// A small classifier: convolution, pool, bias, relu, dense layer, momentum.
Network tiny_network(const std::string& name = "tiny");

// The libraries of a network, as `emulsion build` makes them, in a folder of their own.
struct BuiltLibrary {
    std::string name, archive, header, manifest;
};
struct BuiltNetwork {
    BuiltLibrary train, infer;
};
struct BuildSettings {
    int jobs = 2;
    bool use_cache = true;
    bool checked = false;
    bool update_at_once = false;
};
// Batch 5 for training, 1 and 3 for inference, AVX2.
BuiltNetwork build_network(const Network& network, const BuildSettings& settings = {});

// Symbols of the relocatable object or archive: visible ones that it defines, and those that it
// needs.
struct Symbols {
    std::vector<std::string> global, undefined;
};
Symbols symbols_of(const std::string& bytes);

}  // namespace emulsion::test
