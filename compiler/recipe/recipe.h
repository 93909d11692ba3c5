// The interface of a recipe: one fast way to run an anchor. Recipes live in schedules/; the
// compiler knows only this.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "compiler/recipe/group.h"

namespace emulsion {

class KernelContext;

// Sizes of a schedule by name, in the recipe's order: "tw=2 th=14 yb=7".
struct Tiling {
    std::vector<std::pair<std::string, int>> values;
    int at(std::string_view name) const;  // REQUIRES: present
    int at(std::string_view name, int otherwise) const;
    bool operator==(const Tiling&) const = default;
};
std::string to_string(const Tiling& tiling);
// Throws Error[tiling].
Tiling parse_tiling(std::string_view text);

// One field of a recipe's tilings and the values it may take: those listed, or all from `low` to
// `high`. A tiling names it, but for a field with a value `otherwise`, which is what holds where it
// is not named and is never written down: so a recipe may get such a field, behind its others, and
// what was legal stays legal, in the same words, and means the same.
struct TilingField {
    std::string name;
    std::vector<int> values;
    int low = 0, high = -1;
    bool order = false;                 // whether the order of a sum, hence bits, follows from it
    std::optional<int> otherwise = {};  // REQUIRES: one of the values, and no order follows
    bool contains(int value) const;
};
using TilingSpace = std::vector<TilingField>;

// The tiling with all fields of the space that have a value otherwise, and without those that have
// it, as it is written.
Tiling in_full(const TilingSpace& space, const Tiling& tiling);
Tiling in_short(const TilingSpace& space, const Tiling& tiling);

// An intermediate of a whole kernel: a dense array of f32 that the plan places in the workspace,
// where it lives during the call alone.
struct Scratch {
    std::string name;              // of its Func
    std::vector<int64_t> extents;  // innermost first
    int64_t elements() const;
    bool operator==(const Scratch&) const = default;
};

// Recipes are chosen for this many threads, wherever the compiler and the network run, as what is
// compiled depends on network and options alone. Of 1 to 64 threads, 8 is in the middle: recipes
// with work for 8 keep fewer busy too, and those that suit 2 leave 6 idle.
inline constexpr int kPlannedThreads = 8;

// What the cost model knows of the machine; defaults describe a common x86-64 server core. Rates
// vary from one measurement to the next: none but those that a user names are put in here.
struct Machine {
    double fma_gflops = 100;        // one core, f32, the widest ISA
    double bandwidth_gbs = 20;      // memory, all cores together
    int64_t l2_bytes = 1 << 20;     // the second cache of a core
    int64_t cache_bytes = 8 << 20;  // smaller maps stay in a cache from kernel to kernel
    int threads = kPlannedThreads;
};
// "1024 KiB of second cache, 100 GFLOP/s a core, 20 GB/s from memory": what a plan states.
std::string to_string(const Machine& machine);

class Recipe {
  public:
    virtual ~Recipe() = default;
    virtual std::string_view name() const = 0;
    virtual int version() const { return 1; }
    // Whether it makes kernels of devices; else of processors.
    virtual bool is_for_devices() const { return false; }
    // False where it rounds differently from the op's plain definition by more than the order of a
    // sum; --exact leaves such recipes out.
    virtual bool is_exact() const { return true; }
    // Where it is not: a bound, held by a test, of the largest difference to double precision over
    // the largest value of the anchor's result, for values around zero.
    virtual double relative_error(const Group&) const { return 0; }

    // Whether it runs what no other recipe does, slowly. No group is formed that would need it
    // where its parts would not.
    virtual bool is_last_resort() const { return false; }

    // Whether its kernels can sum strips of the map they make (Group::strip_sums).
    virtual bool sums_strips() const { return false; }

    // Whether its kernels can store what the prologue of operand 0 makes
    // (Group::stored_prologues): every position once, in the kernel of the anchor that reads it.
    virtual bool stores_prologue() const { return false; }

    // Whether its one result may lie where an operand does that only the epilogue reads, element by
    // element: each element is read before it is stored, and stored once.
    virtual bool writes_in_place() const { return false; }

    // Whether operands and results may be some channels of larger maps (Group::pitches): it takes
    // every address from a Func of the context, and the elements between its own are not touched.
    virtual bool takes_pitches() const { return false; }

    // Whether the recipe can run the group. No Halide here or in the next four.
    virtual bool applies(const Group& group, const Isa& isa) const = 0;
    // The fields of its tilings, in order; none where there is nothing to choose.
    virtual TilingSpace space(const Group&, const Isa&) const { return {}; }
    // Which values of the space do not go together, in words; empty where they do.
    virtual std::string clash(const Group&, const Tiling&, const Isa&) const { return {}; }
    // A ranking of legal tilings, never empty where it applies; the first is the default.
    virtual std::vector<Tiling> tilings(const Group& group, const Isa& isa) const = 0;
    // What it runs by where no record says so: the first of the ranking, which is made for the
    // default Machine, or what this one's second cache asks for. Legal, and of one order of sums on
    // all machines.
    virtual Tiling default_tiling(const Group& group, const Isa& isa, const Machine& machine) const;
    // Estimated seconds.
    virtual double cost(const Group& group, const Tiling& tiling, const Isa& isa,
                        const Machine& machine) const = 0;

    // Multiply-adds it does for group.batch samples: those of the plain definition, but for
    // algorithms that save some.
    virtual double multiply_adds(const Group& group) const {
        return static_cast<double>(group.multiply_adds());
    }

    // What the kernel keeps from one of its loops to the next. A root Func that is not named here
    // lies in the slab of the calling thread, which is never shared with other kernels' results.
    virtual std::vector<Scratch> scratch(const Group&, const Tiling&) const { return {}; }

    // Builds the algorithm with its schedule. Returns the Funcs whose components are the group's
    // results, in order, then those of its scratch. Results are over memory coordinates; those of a
    // map may be over (channel, position of all samples), or over (channel of a group, position,
    // group) with the groups bounded by the recipe. REQUIRES: the tiling is legal.
    virtual std::vector<Halide::Func> build(KernelContext& context, const Tiling& tiling) const = 0;
};

// Whether the group may run by this recipe.
bool can_run(const Recipe& recipe, const Group& group, const Isa& isa, bool exact);

// Why the recipe cannot run the group with this tiling: a field that lacks, that it does not know
// or whose value lies outside the space or needs no words, or a clash. Empty where the tiling is
// legal.
std::string tiling_fault(const Recipe& recipe, const Group& group, const Tiling& tiling,
                         const Isa& isa);

// The schedule library, in order of preference at equal cost. schedules/library.h makes one.
using RecipeLibrary = std::vector<std::unique_ptr<const Recipe>>;

}  // namespace emulsion
