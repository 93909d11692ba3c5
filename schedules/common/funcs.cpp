// Trees, copies and helpers of Funcs.
#include "schedules/common/funcs.h"

#include <algorithm>
#include <map>
#include <utility>

#include "compiler/ops/strict.h"

namespace emulsion {

using Halide::Func;

Halide::Expr tree_sum(std::vector<Halide::Expr> terms) {
    while (terms.size() > 1) {
        std::vector<Halide::Expr> next;
        for (size_t i = 0; i + 1 < terms.size(); i += 2)
            next.push_back(Strict(terms[i]) + Strict(terms[i + 1]));
        if (terms.size() % 2 == 1) next.push_back(terms.back());
        terms = std::move(next);
    }
    return terms[0];
}

Halide::Expr component(const Halide::Func& func, const std::vector<Halide::Expr>& at, size_t k) {
    if (func.outputs() == 1) return func(at);
    return func(at)[static_cast<int>(k)];
}

Func stored_copy(const Func& func, const std::string& name) {
    const std::vector<Halide::Var> vars = func.args();
    const std::vector<Halide::Expr> at(vars.begin(), vars.end());
    Func stored(name);
    if (func.outputs() == 1) {
        stored(vars) = func(at);
        return stored;
    }
    std::vector<Halide::Expr> parts;
    for (int k = 0; k < func.outputs(); k++) parts.push_back(func(at)[k]);
    stored(vars) = Halide::Tuple(parts);
    return stored;
}

std::vector<Func> helpers_of(const std::vector<Func>& outputs) {
    std::map<std::string, Halide::Internal::Function> environment;
    for (const Func& output : outputs) {
        for (const auto& [name, called] :
             Halide::Internal::find_transitive_calls(output.function())) {
            environment.emplace(name, called);
        }
    }
    std::vector<Func> helpers;
    for (const auto& [name, function] : environment) {
        const bool is_output =
            std::any_of(outputs.begin(), outputs.end(),
                        [&, &key = name](const Func& f) { return f.name() == key; });
        if (is_output) continue;
        Halide::LoopLevel level = function.schedule().compute_level();
        level.lock();  // a level can be inspected once it is locked; a later compute_at replaces it
                       // as a whole
        if (level.is_inlined()) helpers.emplace_back(function);
    }
    return helpers;
}

}  // namespace emulsion
