// Files of expected texts: reading, comparing, writing anew.
#include "tests/support/golden.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "compiler/graph/text.h"
#include "tests/support/paths.h"

namespace emulsion::test {

namespace {

std::string path_of(const std::string& name) {
    const char* folder = std::getenv("EMULSION_SOURCE_DIR");
    return (folder != nullptr ? folder + std::string("/tests/") : source_path("tests/")) + name;
}

void write_golden(const std::string& name, const std::string& text) {
    std::ofstream file(path_of(name), std::ios::binary);
    file << text;
    ASSERT_TRUE(file.flush()) << path_of(name) << " cannot be written";
}

struct GraphCase {
    std::string title, before, after;
};

std::vector<GraphCase> parse_cases(const std::string& text) {
    std::vector<GraphCase> cases;
    std::istringstream lines(text);
    bool is_after = false;
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("== ")) {
            cases.push_back({line.substr(3), "", ""});
            is_after = false;
        } else if (line == "-- after") {
            is_after = true;
        } else if (!cases.empty()) {
            (is_after ? cases.back().after : cases.back().before) += line + "\n";
        }
    }
    return cases;
}

}  // namespace

bool updates_golden() {
    static const bool updates = [] {
        std::ifstream file("/proc/self/cmdline",
                           std::ios::binary);  // gtest's own main keeps the arguments to itself
        for (std::string argument; std::getline(file, argument, '\0');) {
            if (argument == "--update-golden") return true;
        }
        return false;
    }();
    return updates;
}

std::string read_test_file(const std::string& name) {
    std::ifstream file(path_of(name), std::ios::binary);
    EXPECT_TRUE(file) << path_of(name) << " is missing; --update-golden writes it";
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

void expect_golden(const std::string& name, const std::string& text) {
    if (updates_golden()) return write_golden(name, text);
    EXPECT_EQ(text, read_test_file(name))
        << "tests/" << name << " differs; --update-golden writes it anew";
}

Network golden_network(const std::string& name) {
    return parse_network(read_test_file("golden/" + name + ".graph.txt"), name + ".graph.txt");
}

void expect_golden_cases(const std::string& name,
                         const std::function<std::string(const Graph&)>& after) {
    std::string head = read_test_file(name), updated;
    std::vector<GraphCase> cases = parse_cases(head);
    ASSERT_FALSE(cases.empty()) << name << " has no case";
    updated = head.substr(0, head.find("== "));
    for (const GraphCase& one : cases) {
        SCOPED_TRACE(name + ": " + one.title);
        std::string actual = after(parse_graph(one.before, name));
        if (!updates_golden()) {
            EXPECT_EQ(actual, one.after);
        }
        updated += "== " + one.title + "\n" + one.before + "-- after\n" + actual;
    }
    if (updates_golden()) write_golden(name, updated);
}

}  // namespace emulsion::test
