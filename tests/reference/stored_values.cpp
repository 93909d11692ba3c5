// See stored_values.h.
#include "tests/reference/stored_values.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <sstream>
#include <stdexcept>

#include "compiler/autodiff/training_step.h"
#include "compiler/ops/sources.h"
#include "dsl/finish.h"
#include "tests/support/golden.h"

namespace emulsion::test {

namespace {

constexpr uint32_t kClasses = 4;  // of labels

// 32 bits for a value of a tensor, as tests/reference/stored_values.py makes them.
uint32_t hashed(const std::string& name, size_t index) {
    uint32_t h = 2166136261u;
    for (const char c : name) h = (h ^ static_cast<unsigned char>(c)) * 16777619u;
    h += static_cast<uint32_t>(index) * 0x9E3779B9u;
    h = (h ^ h >> 16) * 0x85EBCA6Bu;
    h = (h ^ h >> 13) * 0xC2B2AE35u;
    return h ^ h >> 16;
}

// What the part of a tensor's name asks for: numbers from -1 to 1, unless it is one of these.
double value_of(const std::string& name, const std::string& part, ElementType element, size_t i) {
    if (element == ElementType::i32) return hashed(name, i) % kClasses;
    const double value = (hashed(name, i) >> 8) / 8388608.0 - 1;
    if (part == "dx") return 0;
    if (part == "running_variance") return 0.5 + std::fabs(value);
    if (part == "share") return 0.125 + std::fabs(value);
    if (part == "probability") return (value + 1) / 2;
    if (part == "sign") return value < 0 ? -1 : 1;
    return value;
}

// The shares of each sample, or at each position of one, come to 1.
void normalize_shares(reference::Tensor& tensor) {
    const auto classes = static_cast<size_t>(tensor.type.shape[0]);
    const size_t rows = tensor.values.size() / classes,
                 positions = rows / static_cast<size_t>(tensor.samples);
    for (size_t row = 0; row < rows; row++) {
        double* first = &tensor.values[row / positions * classes * positions + row % positions];
        double sum = 0;
        for (size_t c = 0; c < classes; c++) sum += first[c * positions];
        for (size_t c = 0; c < classes; c++) first[c * positions] /= sum;
    }
}

std::string result_name(const std::string& name, const std::string& what) {
    const size_t space = what.find(' ');  // "y", "loss", "gradient w", "update running_mean"
    if (space == std::string::npos) return "output " + (what == "loss" ? what : name + "." + what);
    return what.substr(0, space + 1) + name + "." + what.substr(space + 1);
}

void expect_values(const std::string& what, const std::vector<double>& actual,
                   const std::vector<double>& expected, double tolerance) {
    ASSERT_EQ(actual.size(), expected.size()) << what;
    double largest = 100 * tolerance;  // below it is what rounding leaves of zero
    for (const double value : expected) largest = std::max(largest, std::fabs(value));
    for (size_t i = 0; i < expected.size(); i++) {
        // !(… <= …), so that a NaN is a difference
        if (!(std::fabs(actual[i] - expected[i]) <= tolerance * largest)) {
            ADD_FAILURE() << what << " at " << i << ": " << actual[i] << ", but stored is "
                          << expected[i];
            return;
        }
    }
}

}  // namespace

std::map<std::string, StoredCase> read_stored(const std::string& file) {
    std::map<std::string, StoredCase> cases;
    std::istringstream text(read_test_file("reference/" + file));
    for (std::string line; std::getline(text, line);) {
        if (line.starts_with('#')) continue;
        std::istringstream words(line);
        std::string name, what, part;
        words >> name >> what;
        if (what == "gradient" || what == "update") {
            words >> part;
            what += " " + part;
        }
        std::vector<double>& values = cases[name][what];
        for (double value; words >> value;) values.push_back(value);
        if (!words.eof() || values.empty())
            throw std::runtime_error(file + " has a line that is none: " + line.substr(0, 60));
    }
    return cases;
}

void write_case(Model& m, const std::string& name, const WrittenCase& written) {
    // Parameters are features or maps; lines and volumes begin as maps, too.
    std::vector<int64_t> shape = written.x;
    if (shape.size() == 2) shape.insert(shape.begin() + 1, 1);
    if (shape.size() == 4) shape = {shape[0], shape[1] * shape[2], shape[3]};
    Tensor x = m.input(name + ".x", shape) + m.parameter(name + ".dx", shape);
    if (shape != written.x) x = reshape(x, written.x);
    if (written.loss) return written.loss(m, x, name);
    const Tensor y = written.layer(m, x, name);
    m.output(name + ".y", y);
    m.loss(y * m.input(name + ".r", y.shape()), {.name = name + ".weighed"});
}

reference::Sources stored_sources(const Graph& graph) {
    reference::Sources sources;
    for (int i = 0; i < static_cast<int>(graph.nodes().size()); i++) {
        const Node& node = graph.node(i);
        if (node.op->op_class() != OpClass::source || graph.op_as<Constant>(i) != nullptr) continue;
        const std::string part = node.name.substr(node.name.rfind('.') + 1);
        reference::Tensor tensor = reference::make_tensor(node.types[0], kStoredSamples);
        for (size_t at = 0; at < tensor.values.size(); at++)
            tensor.values[at] = value_of(node.name, part, node.types[0].element, at);
        if (part == "share") normalize_shares(tensor);
        sources[node.name] = tensor;
    }
    return sources;
}

void expect_stored(const std::string& name, const StoredCase& stored, const GraphResults& results,
                   double tolerance) {
    for (const auto& [what, expected] : stored) {
        const auto found = results.find(result_name(name, what));
        if (found == results.end()) {
            if (what != "y") ADD_FAILURE() << name << " has no result '" << what << "'";
            continue;
        }
        expect_values(name + " " + what, found->second.values, expected, tolerance);
    }
    const std::string prefix = "gradient " + name + ".";
    for (const auto& [what, tensor] : results) {
        if (what.starts_with(prefix) && !stored.contains("gradient " + what.substr(prefix.size())))
            ADD_FAILURE() << "'" << what << "' is not stored";
    }
}

void expect_stored_plainly(const WrittenCases& written,
                           const std::map<std::string, StoredCase>& stored) {
    constexpr double kTolerance = 6e-8;  // eight digits are stored
    for (const auto& [name, each] : written) {
        ASSERT_TRUE(stored.contains(name)) << name;
        Model m("layer");
        write_case(m, name, each);
        const FinishedModel model = finish(m);
        for (const Diagnostic& mistake : model.mistakes)
            FAIL() << name << ": " << to_string(mistake);
        const Graph step = training_step(*model.network);
        GraphResults results = results_of(step, stored_sources(step), kStoredSamples);
        const Graph& graph = model.network->graph;
        results.merge(results_of(graph, stored_sources(graph), kStoredSamples));
        expect_stored(name, stored.at(name), results, kTolerance);
    }
}

}  // namespace emulsion::test
