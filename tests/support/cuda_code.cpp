// See cuda_code.h.
#include "tests/support/cuda_code.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <sstream>
#include <stdexcept>

#include "compiler/plan/choice.h"
#include "tests/support/paths.h"
#include "tests/support/test_folder.h"

namespace emulsion::test {

namespace {

// The path of one of NVIDIA's tools, "" where it is missing.
std::string tool_named(const std::string& name) {
    const std::filesystem::path packages(source_path(".venv/lib"));
    std::error_code error;
    for (const auto& python : std::filesystem::directory_iterator(packages, error)) {
        const std::filesystem::path tool = python.path() / "site-packages/nvidia/cu13/bin" / name;
        if (std::filesystem::exists(tool)) return tool.string();
    }
    return "";
}

// Runs a command; throws with all that it prints where it fails.
std::string output_of(const std::string& command) {
    std::FILE* pipe = popen((command + " 2>&1").c_str(), "r");
    if (pipe == nullptr) throw std::runtime_error("popen fails: " + command);
    std::string text;
    char piece[4096];
    for (size_t n; (n = std::fread(piece, 1, sizeof piece, pipe)) > 0;) text.append(piece, n);
    if (pclose(pipe) != 0) throw std::runtime_error(command + ":\n" + text);
    return text;
}

std::vector<CudaEntry> read_statistics(const std::string& text) {
    static const std::regex entry("Compiling entry function '(\\S+)'"),
        spills("(\\d+) bytes stack frame, (\\d+) bytes spill stores, (\\d+) bytes spill loads"),
        registers("Used (\\d+) registers");
    std::vector<CudaEntry> entries;
    std::istringstream lines(text);
    std::smatch match;
    for (std::string line; std::getline(lines, line);) {
        if (std::regex_search(line, match, entry)) {
            entries.push_back({match[1].str()});
        } else if (entries.empty()) {
            continue;
        } else if (std::regex_search(line, match, spills)) {
            entries.back().stack_bytes = std::stoi(match[1].str());
            entries.back().spill_bytes = std::stoi(match[2].str()) + std::stoi(match[3].str());
        } else if (std::regex_search(line, match, registers)) {
            entries.back().registers = std::stoi(match[1].str());
        }
    }
    return entries;
}

// The instructions of an entry in order, and the places of labels and of branches to them.
struct Listing {
    std::vector<std::string> opcodes;
    std::map<std::string, size_t> labels;
    std::vector<std::pair<size_t, std::string>> branches;
};

std::map<std::string, Listing> read_listings(const std::string& text) {
    static const std::regex section("^\\.text\\.(\\S+):"), label("^\\s*(\\.L_x_\\d+):"),
        instruction("^\\s*/\\*[0-9a-f]{4,}\\*/\\s+(?:@!?U?P\\w+\\s+)?([A-Z][A-Z0-9_.]*)"),
        target("\\bBRA\\S*\\s.*`\\((\\.L_x_\\d+)\\)");
    std::map<std::string, Listing> listings;
    Listing* current = nullptr;
    std::istringstream lines(text);
    std::smatch match;
    for (std::string line; std::getline(lines, line);) {
        if (std::regex_search(line, match, section)) {
            current = &listings[match[1].str()];
        } else if (current == nullptr) {
            continue;
        } else if (std::regex_search(line, match, label)) {
            current->labels[match[1].str()] = current->opcodes.size();
        } else if (std::regex_search(line, match, instruction)) {
            const std::string opcode = match[1].str();
            if (std::regex_search(line, match, target))
                current->branches.emplace_back(current->opcodes.size(), match[1].str());
            current->opcodes.push_back(opcode);
        }
    }
    return listings;
}

void count(const Listing& listing, size_t begin, size_t end, CudaEntry& entry) {
    entry.instructions = entry.ffma = entry.loads = entry.wide_loads = 0;
    for (size_t i = begin; i < end; i++) {
        const std::string& opcode = listing.opcodes[i];
        const std::string base = opcode.substr(0, opcode.find('.'));
        entry.instructions++;
        if (base == "FFMA") entry.ffma++;
        if (base != "LDS" && base != "LDG" && base != "LDL" && base != "LD") continue;
        entry.loads++;
        if (opcode.find(".128") != std::string::npos) entry.wide_loads++;
    }
}

// Innermost: without another loop in it. A branch to itself ends an entry and is no loop.
void read_hot_loop(const Listing& listing, CudaEntry& entry) {
    std::vector<std::pair<size_t, size_t>> loops;
    for (const auto& [place, label] : listing.branches) {
        const auto found = listing.labels.find(label);
        if (found != listing.labels.end() && found->second < place)
            loops.emplace_back(found->second, place + 1);
    }
    count(listing, 0, listing.opcodes.size(), entry);
    CudaEntry best = entry;
    best.ffma = 0;
    for (const auto& loop : loops) {
        const bool is_outer = std::any_of(loops.begin(), loops.end(), [&](const auto& other) {
            return other != loop && loop.first <= other.first && other.second <= loop.second;
        });
        if (is_outer) continue;
        CudaEntry candidate = entry;
        count(listing, loop.first, loop.second, candidate);
        if (candidate.ffma > best.ffma) best = candidate;
    }
    if (best.ffma == 0) return;
    entry = best;
    entry.has_loop = true;
}

bool is_text(char c) { return (c >= ' ' && c <= '~') || c == '\n' || c == '\t'; }

}  // namespace

bool has_cuda_tools() { return !tool_named("ptxas").empty() && !tool_named("nvdisasm").empty(); }

std::vector<std::string> ptx_texts(const std::string& object) {
    std::vector<std::string> texts;
    for (size_t at = 0; (at = object.find(".version ", at)) != std::string::npos;) {
        // Bytes of another constant may stand in front of the text, which begins with a comment.
        size_t begin = at;
        while (begin > 0 && is_text(object[begin - 1])) begin--;
        begin = std::min(at, object.find("//", begin));
        const size_t end = object.find('\0', at);
        texts.push_back(object.substr(begin, end - begin));
        at = end;
    }
    return texts;
}

std::vector<CudaEntry> cuda_entries(const CompiledKernel& kernel, const std::string& architecture,
                                    bool disassemble) {
    const std::vector<std::string> texts = ptx_texts(kernel.object);
    if (texts.size() != 1) throw std::runtime_error("no single PTX in " + kernel.symbol);
    return cuda_entries(texts[0], architecture, disassemble);
}

std::vector<CudaEntry> cuda_entries(const std::string& text, const std::string& architecture,
                                    bool disassemble) {
    const TestFolder folder;
    const std::string ptx = folder.path() + "/kernel.ptx", code = folder.path() + "/kernel.cubin";
    std::ofstream(ptx) << text;
    std::vector<CudaEntry> entries = read_statistics(output_of(
        fmt::format("{} -arch={} -v {} -o {}", tool_named("ptxas"), architecture, ptx, code)));
    if (!disassemble) return entries;
    const std::map<std::string, Listing> listings =
        read_listings(output_of(tool_named("nvdisasm") + " -c " + code));
    for (CudaEntry& entry : entries) read_hot_loop(listings.at(entry.name), entry);
    return entries;
}

PlannedKernel planned_for_cuda(const Group& group, const RecipeLibrary& library, bool exact) {
    PlanOptions options;
    options.exact = exact;
    const Choice choice = cheapest_recipe(library, group, isa_cuda(), options);
    PlannedKernel kernel;
    kernel.group = group;
    kernel.recipe = choice.recipe->name();
    kernel.tiling = choice.tiling;
    kernel.scratch = choice.recipe->scratch(group, choice.tiling);
    return kernel;
}

}  // namespace emulsion::test
