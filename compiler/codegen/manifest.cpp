// Texts of a library: JSON manifest, C header, description for its programs.
#include "compiler/codegen/manifest.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "compiler/codegen/layer_rows.h"
#include "compiler/graph/text.h"
#include "compiler/ops/sources.h"
#include "compiler/support/hash.h"
#include "runtime/abi/device.h"

extern "C" const unsigned char emulsion_abi_header[];
extern "C" const unsigned long emulsion_abi_header_size;

namespace emulsion {

namespace {

using Json = nlohmann::ordered_json;

// Collects fields as JSON.
class JsonFields : public Fields {
  public:
    explicit JsonFields(Json& json) : json_(json) {}
    void field(std::string_view name, bool& value) override { json_[std::string(name)] = value; }
    void field(std::string_view name, int64_t& value) override { json_[std::string(name)] = value; }
    void field(std::string_view name, double& value) override { json_[std::string(name)] = value; }
    void field(std::string_view name, std::string& value) override {
        json_[std::string(name)] = value;
    }
    void field(std::string_view name, std::vector<int64_t>& value) override {
        json_[std::string(name)] = value;
    }
    void field(std::string_view name, std::vector<double>& value) override {
        json_[std::string(name)] = value;
    }

  private:
    Json& json_;
};

template <class Spec>
Json spec_json(Spec spec) {
    Json json{{"kind", spec.kind}};
    JsonFields fields(json);
    visit_printed(spec, fields);
    return json;
}

Json augmentation_json(Augmentation augmentation) {
    Json json = Json::object();
    JsonFields fields(json);
    std::string fill(fill_name(augmentation.fill));
    visit_augmentation(augmentation, fill, fields);
    json["pieces"] = Json::array();
    for (AugmentPiece& piece : augmentation.pieces) {
        Json numbers{{"kind", piece.kind}};
        JsonFields piece_fields(numbers);
        visit_piece(piece, piece_fields);
        json["pieces"].push_back(std::move(numbers));
    }
    return json;
}

int64_t parameter_count(const Network& network) {
    int64_t count = 0;
    for (int i = 0; i < static_cast<int>(network.graph.nodes().size()); i++) {
        if (network.graph.op_as<Parameter>(i) != nullptr)
            count += element_count(network.graph.node(i).types[0]);
    }
    return count;
}

int64_t multiply_adds(const Graph& graph) {
    int64_t count = 0;
    for (int i = 0; i < static_cast<int>(graph.nodes().size()); i++)
        count += multiply_adds(graph, i);
    return count;
}

// Of the host's memory.
Json bytes_json(const Plan& plan, const VariantPlan& variant, const VariantKernels& kernels,
                int threads) {
    VariantBytes slabs = bytes_of(variant, kernels);
    const auto buffers = static_cast<int32_t>(variant.buffers.size());
    if (variant.isa.is_device()) {
        return Json{{"threads", 1},
                    {"parameters", plan.parameter_bytes},
                    {"gradients", 0},
                    {"state", plan.state_bytes},
                    {"prepared", 0},
                    {"workspace", 0},
                    {"instance", emulsion_instance_bytes(buffers, 1)}};
    }
    auto unsigned_of = [](int64_t value) { return static_cast<uint64_t>(value); };
    return Json{{"threads", threads},
                {"parameters", plan.parameter_bytes},
                {"gradients", plan.gradient_bytes},
                {"state", plan.state_bytes},
                {"prepared", variant.prepared_bytes},
                {"workspace", emulsion_workspace_bytes(unsigned_of(variant.activation_bytes),
                                                       unsigned_of(slabs.slab0),
                                                       unsigned_of(slabs.slab), threads)},
                {"instance", emulsion_instance_bytes(buffers, threads)}};
}

constexpr std::array kClasses = {"parameters", "gradients", "state",
                                 "prepared",   "workspace", "instance"};

Json device_json(const Plan& plan, const VariantPlan& variant) {
    const std::array<int64_t, EMULSION_CLASSES> bytes = device_bytes(plan, variant);
    Json json;
    for (size_t i = 0; i < EMULSION_INSTANCE; i++) json[kClasses[i]] = bytes[i];
    return json;
}

Json tensor_json(const Plan& plan, const PlannedTensor& tensor) {
    Json json{{"name", tensor.name},
              {"class", to_string(tensor.memory)},
              {"type", to_string(tensor.type)},
              {"offset", tensor.offset},
              {"bytes", tensor.bytes},
              {"trained", tensor.trained}};
    if (tensor.trained && !plan.update_at_once) json["gradient_offset"] = tensor.gradient_offset;
    return json;
}

Json variant_json(const Plan& plan, const VariantPlan& variant, const VariantKernels& kernels) {
    VariantBytes slabs = bytes_of(variant, kernels);
    Json json{{"name", variant.isa.name},
              {"activations", variant.activation_bytes},
              {"largest_live_set", variant.largest_live_bytes},
              {"slab_of_caller", slabs.slab0},
              {"slab_of_worker", slabs.slab}};
    json["bytes"] = bytes_json(plan, variant, kernels, std::max(1, plan.threads));
    if (variant.isa.is_device()) {
        json["device_bytes"] = device_json(plan, variant);
        json["smaller_batches"] = Json::array();
    }
    for (const BatchMemory& row : variant.smaller)
        json["smaller_batches"].push_back(
            {{"batch", row.batch}, {"device_bytes", row.bytes}, {"largest_class", row.largest}});
    for (const BatchPlan& batch : variant.batches) {
        Json calls = Json::array();
        for (const PlannedCall& call : batch.calls) {
            const PlannedKernel& kernel = variant.kernels[static_cast<size_t>(call.kernel)];
            calls.push_back({{"stage", to_string(call.stage)},
                             {"name", call.name},
                             {"recipe", kernel.recipe},
                             {"tiling", to_string(kernel.tiling)},
                             {"fusion", call.reason}});
            if (!kernel.record.empty()) calls.back()["record"] = kernel.record;
        }
        json["batches"].push_back({{"batch", batch.batch}, {"kernels", calls}});
    }
    return json;
}

// What the plan was made for.
Json machine_json(const Machine& machine) {
    return {{"l2_kib", machine.l2_bytes >> 10},
            {"fma_gflops", machine.fma_gflops},
            {"bandwidth_gbs", machine.bandwidth_gbs}};
}

Json port_json(const PlannedPort& port) {
    return {{"name", port.name}, {"type", to_string(port.type)}};
}

}  // namespace

VariantBytes bytes_of(const VariantPlan& variant, const VariantKernels& kernels) {
    EMU_CHECK(variant.kernels.size() == kernels.size(), "a variant's kernels are not all compiled");
    VariantBytes bytes;
    for (const CompiledKernel& kernel : kernels) {
        bytes.slab0 = std::max(bytes.slab0, kernel.slab0_bytes);
        bytes.slab = std::max(bytes.slab, kernel.slab_bytes);
    }
    EMU_CHECK(!variant.isa.is_device() || bytes.slab0 == 0, "a kernel of {} wants {} bytes of slab",
              variant.isa.name, bytes.slab0);
    return bytes;
}

std::array<int64_t, EMULSION_CLASSES> device_bytes(const Plan& plan, const VariantPlan& variant) {
    std::array<int64_t, EMULSION_CLASSES> bytes{};
    bytes[EMULSION_PARAMETERS] = plan.parameter_bytes;
    bytes[EMULSION_GRADIENTS] = plan.gradient_bytes;
    bytes[EMULSION_STATE] = plan.state_bytes;
    bytes[EMULSION_PREPARED] = variant.prepared_bytes;
    const auto slot = [](int64_t size, bool batched, int batch) {
        return static_cast<int64_t>(
            emulsion_slot_bytes(static_cast<uint64_t>(size), batched, batch));
    };
    int64_t set = plan.training ? slot(sizeof(emulsion_device_record), false, 1) : 0;
    for (const std::vector<PlannedPort>* ports : {&plan.inputs, &plan.outputs}) {
        for (const PlannedPort& port : *ports) {
            set +=
                slot(memory_bytes(port.type, 1), port.type.batched, variant.batches.back().batch);
        }
    }
    bytes[EMULSION_WORKSPACE] =
        slot(variant.activation_bytes, false, 1) + EMULSION_DEVICE_MARKS * set;
    return bytes;
}

std::string network_signature(const Network& network) { return hash_text(print(network.graph)); }

std::string optimizer_line(const Network& network) {
    auto line = [](const Json& json) {
        std::string text = json["kind"];
        for (const auto& [name, value] : json.items()) {
            if (name != "kind") text += fmt::format(" {}={}", name, value.dump());
        }
        return text;
    };
    std::string text = line(spec_json(network.optimizer));
    if (!network.rates.empty()) text += " rates=" + hash_text(Json(network.rates).dump());
    return text + " schedule=" + line(spec_json(network.schedule));
}

std::string manifest_text(const std::string& name, const Network& network, const Plan& plan,
                          const std::vector<VariantKernels>& kernels) {
    Json json{{"library", name},
              {"version", EMULSION_VERSION},
              {"network", network.name},
              {"signature", network_signature(network)},
              {"mode", plan.training ? "training" : "inference"},
              {"batch", plan.variants.back().batches.back().batch},
              {"threads", plan.threads},
              {"machine", machine_json(plan.machine)},
              {"parameters", parameter_count(network)},
              {"multiply_adds", multiply_adds(network.graph)},
              {"classes", network.classes}};
    if (plan.training) {
        json["optimizer"] = spec_json(network.optimizer);
        json["schedule"] = spec_json(network.schedule);
        if (!network.rates.empty()) json["rates"] = network.rates;
        if (!network.augmentation.empty())
            json["augmentation"] = augmentation_json(network.augmentation);
        json["update"] = plan.update_at_once ? "at-once" : "apart";
    }
    for (const PlannedPort& port : plan.inputs) json["inputs"].push_back(port_json(port));
    for (const PlannedPort& port : plan.outputs) json["outputs"].push_back(port_json(port));
    for (const PlannedTensor& tensor : plan.tensors)
        json["tensors"].push_back(tensor_json(plan, tensor));
    for (const NodeChoice& choice : plan.choices) {
        if (choice.record.empty()) continue;
        json["choices"].push_back({{"node", choice.name},
                                   {"batch", choice.batch},
                                   {"choice", choice.word},
                                   {"record", choice.record}});
    }
    for (size_t i = 0; i < plan.variants.size(); i++) {
        json["variants"].push_back(variant_json(plan, plan.variants[i], kernels[i]));
    }
    return json.dump(1) + "\n";
}

namespace {

std::string upper_case(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(), [](char c) {
        return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    });
    return text;
}

std::string port_lines(const std::vector<PlannedPort>& ports, const char* what) {
    std::string text;
    for (size_t i = 0; i < ports.size(); i++) {
        text += fmt::format(" * {} {}: {} {}\n", what, i, ports[i].name, to_string(ports[i].type));
    }
    return text;
}

// Bytes of one thread, and of each thread more.
using Line = std::pair<int64_t, int64_t>;

// C for the largest of the lines at `threads`: those that another is never below are left out.
std::string largest_of(const std::vector<Line>& lines) {
    std::vector<Line> kept;
    for (const Line& line : lines) {
        const auto covers = [&](const Line& other) {
            return other.first >= line.first && other.second >= line.second;
        };
        if (std::any_of(kept.begin(), kept.end(), covers)) continue;
        std::erase_if(kept, [&](const Line& other) {
            return line.first >= other.first && line.second >= other.second;
        });
        kept.push_back(line);
    }
    const auto value = [](const Line& line) {
        return fmt::format(
            "(UINT64_C({}) + ((uint64_t)((threads) < 1 ? {} : (threads)) - 1) * UINT64_C({}))",
            line.first, EMULSION_MAX_THREADS, line.second);
    };
    std::string text = value(kept[0]);
    for (size_t i = 1; i < kept.size(); i++)
        text = fmt::format("({0} > {1} ? {0} : {1})", text, value(kept[i]));
    return text;
}

// The macros that state the bytes of each class, in 64 bits whatever the program's `unsigned` is.
std::string byte_macros(const std::string& upper, const Plan& plan,
                        const std::vector<VariantKernels>& kernels) {
    std::map<std::string, std::vector<Line>> lines;
    for (size_t i = 0; i < plan.variants.size(); i++) {
        const Json one = bytes_json(plan, plan.variants[i], kernels[i], 1);
        const Json two = bytes_json(plan, plan.variants[i], kernels[i], 2);
        for (const auto& [name, value] : one.items()) {
            const auto bytes = value.get<int64_t>();
            lines[name].emplace_back(bytes, two[name].get<int64_t>() - bytes);
        }
    }
    std::string text =
        "/* Bytes of each class of memory; workspace and instance for `threads` threads.\n"
        " * 0 threads, all CPUs for the functions, are as many as there can be. */\n";
    for (const char* what : {"parameters", "gradients", "state", "prepared"}) {
        text += fmt::format("#define {}_{}_BYTES UINT64_C({})\n", upper, upper_case(what),
                            std::max_element(lines[what].begin(), lines[what].end())->first);
    }
    for (const char* what : {"workspace", "instance"}) {
        text += fmt::format("#define {}_{}_BYTES(threads) {}\n", upper, upper_case(what),
                            largest_of(lines[what]));
    }
    return text;
}

// A line for each kind of devices: what bind allocates there.
std::string device_lines(const Plan& plan) {
    std::string text;
    for (const VariantPlan& variant : plan.variants) {
        if (!variant.isa.is_device()) continue;
        text += fmt::format("/* Bytes of a device of {}:", variant.isa.name);
        const std::array<int64_t, EMULSION_CLASSES> bytes = device_bytes(plan, variant);
        for (size_t i = 0; i < EMULSION_INSTANCE; i++)
            text += fmt::format("{} {} {}", i == 0 ? "" : ",", kClasses[i], bytes[i]);
        text += ". */\n";
    }
    return text;
}

}  // namespace

std::string header_text(const std::string& name, const Network& network, const Plan& plan,
                        const std::vector<VariantKernels>& kernels) {
    std::string upper = upper_case(name);
    std::string text(reinterpret_cast<const char*>(emulsion_abi_header), emulsion_abi_header_size);
    text += fmt::format("/* {}: {} of the network '{}', at most {} samples a call.\n", name,
                        plan.training ? "training" : "inference", network.name,
                        plan.variants.back().batches.back().batch);
    text += port_lines(plan.inputs, "input") + port_lines(plan.outputs, "output");
    text += fmt::format(
        " * In a type, n is the number of samples; shapes are C, H, W; memory is [n][H][W][C]. "
        "*/\n");
    text += fmt::format(
        "#ifndef {0}_H\n#define {0}_H\n#ifdef __cplusplus\nextern \"C\" {{\n#endif\n\n", upper);
    text += fmt::format("#define {}_BATCH {}\n", upper, plan.variants.back().batches.back().batch);
    text += fmt::format("#define {}_SIGNATURE \"{}\"\n", upper, network_signature(network));
    text += byte_macros(upper, plan, kernels) + device_lines(plan);
    text += fmt::format(
        "\nconst emulsion_info* {0}_info(void);\nint {0}_sizes(int threads, emulsion_sizes* "
        "sizes);\n"
        "int {0}_device(int index, emulsion_device_description* description);\n"
        "int {0}_speed(int index, emulsion_device_speed* speed);\n"
        "int {0}_bind(void* instance, const emulsion_memory* memory, const emulsion_options* "
        "options);\n",
        name);
    if (plan.training) {
        text += fmt::format(
            "int {0}_init(uint64_t seed, const emulsion_memory* memory);\n"
            "int {0}_upload(void* instance, int memory_class);\n"
            "int {0}_download(void* instance, int memory_class);\n",
            name);
        if (!plan.update_at_once) {
            text += fmt::format(
                "int {0}_forward_backward(void* instance, const emulsion_call* call);\n"
                "int {0}_update(void* instance, float learning_rate);\n",
                name);
        }
        text += fmt::format(
            "int {0}_step(void* instance, const emulsion_call* call, float learning_rate);\n",
            name);
    } else {
        text += fmt::format(
            "int {0}_prepare(void* instance);\n"
            "int {0}_run(void* instance, const emulsion_call* call);\n",
            name);
    }
    text += fmt::format(
        "int {0}_wait(void* instance);\nconst char* {0}_error(const void* instance);\nint "
        "{0}_unbind(void* instance);\n\n",
        name);
    return text + "#ifdef __cplusplus\n}\n#endif\n#endif\n";
}

std::string description_text(const Network& network, const Plan* train, const Plan& infer) {
    std::vector<int> infer_batches;
    for (const BatchPlan& batch : infer.variants.back().batches)
        infer_batches.push_back(batch.batch);
    Json normalization;
    if (!network.normalization.empty()) {
        normalization = {{"mean", network.normalization.mean},
                         {"deviation", network.normalization.deviation}};
    }
    Json schedule = spec_json(network.schedule);  // by the names that the trainer has for them
    if (schedule.contains("every")) schedule["step_size"] = schedule["every"];
    Json json{{"version", EMULSION_VERSION},
              {"network", network.name},
              {"signature", network_signature(network)},
              {"infer_batches", infer_batches},
              {"input", {{"shape", infer.inputs[0].type.shape}, {"normalization", normalization}}},
              {"classes", network.classes},
              {"optimizer", spec_json(network.optimizer)},
              {"schedule", schedule},
              {"threads", infer.threads},
              {"parameters", parameter_count(network)},
              {"multiply_adds", multiply_adds(network.graph)},
              {"defaults", {{"epochs", 5}}}};
    if (train == nullptr) return json.dump();
    json["batch"] = train->variants.back().batches.back().batch;
    if (!network.augmentation.empty())
        json["augmentation"] = augmentation_json(network.augmentation);
    for (const LayerRow& row : layer_rows(network)) {
        json["layers"].push_back({{"name", row.name},
                                  {"op", row.op},
                                  {"inputs", row.inputs},
                                  {"output", row.output.shape},
                                  {"parameters", row.parameters},
                                  {"multiply_adds", row.multiply_adds},
                                  {"bytes", row.bytes}});
    }
    return json.dump();
}

}  // namespace emulsion
