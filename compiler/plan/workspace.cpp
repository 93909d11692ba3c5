// First the lives of all wholes, then their blocks.
#include "compiler/plan/workspace.h"

#include <algorithm>

#include "compiler/plan/in_place.h"

namespace emulsion {

namespace {

size_t at(int index) { return static_cast<size_t>(index); }

// The results that the group's kernel may write over operands, in the order of both.
std::vector<std::pair<int, int>> overwritable(const GroupedBatch& grouped, const GroupBody& body,
                                              const Recipe& recipe) {
    const Joins& joins = grouped.grouping.joins;
    std::vector<std::pair<int, int>> found;
    for (size_t r = 0; r < body.results.size(); r++) {
        if (joins.home_of(body.results[r]).pitch > 0) continue;
        const TensorType& type = grouped.graph.type(body.results[r]);
        for (size_t i = 0; i < body.operands.size(); i++) {
            const Operand& operand = body.operands[i];
            const bool is_alike =
                operand.type == type && operand.type == grouped.graph.type(operand.root);
            const Value whole = joins.home_of(operand.root).whole;
            const auto readers = std::ranges::count_if(body.operands, [&](const Operand& other) {
                return joins.home_of(other.root).whole == whole;
            });
            if (is_alike && body.group.pitch_of(i) == 0 && readers == 1 &&
                may_overwrite(body.group, recipe, r, i))
                found.emplace_back(static_cast<int>(r), static_cast<int>(i));
        }
    }
    return found;
}

}  // namespace

Workspace::Workspace(const GroupedBatch& grouped, const std::map<Value, Place>& elsewhere,
                     const std::vector<const Choice*>& choices) {
    for (size_t g = 0; g < grouped.bodies.size(); g++)
        add_group(grouped, g, elsewhere, *choices[g]);
}

int Workspace::number_of(const GroupedBatch& grouped, Value value) {
    const auto [found, is_new] = numbers_.emplace(value, static_cast<int>(numbers_.size()));
    if (is_new) {
        const Value whole = grouped.grouping.joins.home_of(value).whole;
        const auto number = static_cast<int>(wholes_.size());
        const auto [of_whole, is_new_whole] = whole_numbers_.emplace(whole, number);
        if (is_new_whole)
            wholes_.push_back({whole, memory_bytes(grouped.graph.type(whole), grouped.batch), {}});
        whole_of_.push_back(of_whole->second);
    }
    return found->second;
}

void Workspace::add_group(const GroupedBatch& grouped, size_t g,
                          const std::map<Value, Place>& elsewhere, const Choice& choice) {
    const GroupBody& body = grouped.bodies[g];
    Own own;
    Touched touched;
    for (const Operand& operand : body.operands) {
        own.operands.push_back(elsewhere.contains(operand.root) ? -1
                                                                : number_of(grouped, operand.root));
        touched.operands.push_back(own.operands.back() < 0 ? -1
                                                           : whole_of_[at(own.operands.back())]);
    }
    for (Value value : body.results) {
        own.results.push_back(elsewhere.contains(value) ? -1 : number_of(grouped, value));
        touched.results.push_back(own.results.back() < 0 ? -1 : whole_of_[at(own.results.back())]);
        if (touched.results.back() < 0) continue;
        std::vector<int>& writers = wholes_[at(touched.results.back())].writers;
        if (writers.empty() || writers.back() != static_cast<int>(g))
            writers.push_back(static_cast<int>(g));
    }
    own.over = overwritable(grouped, body, *choice.recipe);
    for (const Scratch& scratch : choice.recipe->scratch(body.group, choice.tiling))
        own.scratch.push_back(4 * scratch.elements());
    own_.push_back(std::move(own));
    touched_.push_back(std::move(touched));
}

void Workspace::live(const RunOrder& order, Lives& result) const {
    std::vector<int> current(wholes_.size(), -1), written(whole_of_.size(), -1);  // lives
    for (int run = 0; run < static_cast<int>(order.size()); run++) {
        const Own& own = own_[at(order[at(run)])];
        Run lives;
        for (int value : own.operands) {
            const int life = value < 0 ? -1 : current[at(whole_of_[at(value)])];
            if (life >= 0) result.lives[at(life)].last = run;
            lives.operands.push_back(life);
        }
        for (int value : own.results) {
            lives.results.push_back(-1);
            if (value < 0) continue;
            const int whole = whole_of_[at(value)];
            int& life = current[at(whole)];
            // What is written again begins anew; a part that is not goes on with the others.
            if (life < 0 || written[at(value)] == life) {
                life = static_cast<int>(result.lives.size());
                result.lives.push_back({whole, run, run});
            }
            result.lives[at(life)].last = run;
            written[at(value)] = life;
            lives.results.back() = life;
        }
        result.runs.push_back(std::move(lives));
    }
}

// The block of an operand that dies in this run and that result r may lie over; -1 where there is
// none. The operands of the run have their blocks, and the results before this one.
int Workspace::block_below(const Own& own, int r, int run, const Lives& result) const {
    const Run& touched = result.runs[at(run)];
    for (const auto& [over, i] : own.over) {
        const int block = touched.operands[at(i)];
        if (over != r || block < 0) continue;
        const bool is_taken = std::find(touched.results.begin(), touched.results.begin() + r,
                                        block) != touched.results.begin() + r;
        if (!is_taken && result.blocks[at(block)].last == run) return block;
    }
    return -1;
}

Workspace::Lives Workspace::lives(const RunOrder& order) const {
    Lives result;
    live(order, result);
    std::vector<int> block_of(result.lives.size(), -1);
    for (int run = 0; run < static_cast<int>(order.size()); run++) {
        const Own& own = own_[at(order[at(run)])];
        Run& touched = result.runs[at(run)];
        for (int& operand : touched.operands)
            if (operand >= 0) operand = block_of[at(operand)];
        for (int r = 0; r < static_cast<int>(touched.results.size()); r++) {
            const int life = touched.results[at(r)];
            if (life < 0) continue;
            int& block = block_of[at(life)];
            if (block < 0) {
                block = block_below(own, r, run, result);
                const int last = result.lives[at(life)].last;
                if (block < 0) {
                    block = static_cast<int>(result.blocks.size());
                    const int64_t bytes = wholes_[at(result.lives[at(life)].whole)].bytes;
                    result.blocks.push_back({bytes, run, last, 0});
                }
                result.blocks[at(block)].last = last;
            }
            touched.results[at(r)] = block;
        }
    }
    for (int run = 0; run < static_cast<int>(order.size()); run++) {
        for (int64_t bytes : own_[at(order[at(run)])].scratch) {
            result.runs[at(run)].scratch.push_back(static_cast<int>(result.blocks.size()));
            result.blocks.push_back({bytes, run, run, 0});
        }
    }
    return result;
}

}  // namespace emulsion
