// The network of the library written by hand: its tensors, sizes, info and description.
#include "tests/support/fake_memory.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace emulsion {

namespace {

constexpr uint64_t kHeaderBytes = 64;   // seed and step count at the head of the state
constexpr uint64_t kOtherLayout = 128;  // bytes in front of the parameters of the other
constexpr int kBlock = 16;

emulsion_tensor make_tensor(const char* name, int memory_class, std::vector<int64_t> shape,
                            uint64_t* end) {
    emulsion_tensor tensor{};
    tensor.name = name;
    tensor.type = EMULSION_F32;
    tensor.memory_class = memory_class;
    tensor.rank = static_cast<int32_t>(shape.size());
    tensor.trained = memory_class == EMULSION_PARAMETERS ? 1 : 0;
    std::copy(shape.begin(), shape.end(), tensor.shape);
    const uint64_t blocks = (static_cast<uint64_t>(shape[0]) + kBlock - 1) / kBlock;
    const uint64_t inner = shape.size() > 1 ? static_cast<uint64_t>(shape[1]) : 1;
    tensor.bytes = blocks * kBlock * inner * sizeof(float);
    tensor.offset = *end;
    tensor.gradient_offset = tensor.offset;
    if (shape.size() == 2) {
        const PictureShape& map = fake().network.shape;
        tensor.flattened[0] = map.channels, tensor.flattened[1] = map.height,
        tensor.flattened[2] = map.width;
    }
    *end += tensor.bytes;
    return tensor;
}

emulsion_port make_port(const char* name, int type, std::vector<int64_t> shape, bool is_batched) {
    emulsion_port port{};
    port.name = name;
    port.type = type;
    port.rank = static_cast<int32_t>(shape.size());
    port.batched = is_batched ? 1 : 0;
    port.bytes = 4;
    for (size_t i = 0; i < shape.size(); i++) {
        port.shape[i] = shape[i];
        port.bytes *= static_cast<uint64_t>(shape[i]);
    }
    return port;
}

// Tensors and sizes of both libraries.
void lay_out_memory() {
    Fake& f = fake();
    uint64_t parameters = 0, state = kHeaderBytes, infer_state = kHeaderBytes;
    const int64_t classes = f.network.classes, inputs = elements();
    f.train_tensors.clear();
    if (f.network.kind == FakeKind::kSoftmax) {
        f.train_tensors.push_back(
            make_tensor("dense1.w", EMULSION_PARAMETERS, {classes, inputs}, &parameters));
        f.train_tensors.push_back(
            make_tensor("dense1.b", EMULSION_PARAMETERS, {classes}, &parameters));
        f.infer_tensors = f.train_tensors;
        f.train_tensors.push_back(make_tensor("loss1.mean", EMULSION_STATE, {1}, &state));
        f.infer_tensors.push_back(make_tensor("loss1.mean", EMULSION_STATE, {1}, &infer_state));
        f.first_velocity = f.train_tensors.size();
        f.train_tensors.push_back(
            make_tensor("dense1.w.velocity", EMULSION_STATE, {classes, inputs}, &state));
        f.train_tensors.push_back(
            make_tensor("dense1.b.velocity", EMULSION_STATE, {classes}, &state));
    } else {
        f.train_tensors.push_back(make_tensor("w", EMULSION_PARAMETERS, {1}, &parameters));
        f.infer_tensors = f.train_tensors;
        f.first_velocity = f.train_tensors.size();
        f.train_tensors.push_back(make_tensor("w.velocity", EMULSION_STATE, {1}, &state));
    }
    if (f.network.has_other_layout) {
        for (emulsion_tensor& tensor : f.infer_tensors)
            if (tensor.memory_class == EMULSION_PARAMETERS) tensor.offset += kOtherLayout;
    }
    const uint64_t infer_parameters = parameters + (f.network.has_other_layout ? kOtherLayout : 0);
    f.train_sizes = {
        {parameters, parameters, state, 0, f.network.workspace_bytes, sizeof(FakeInstance)},
        1,
        0,
        {}};
    f.infer_sizes = {
        {infer_parameters, 0, infer_state, infer_parameters, 64, sizeof(FakeInstance)}, 1, 0, {}};
    if (!f.network.has_device_variant) return;
    for (emulsion_sizes* sizes : {&f.train_sizes, &f.infer_sizes}) {
        for (int c = 0; c < EMULSION_INSTANCE; c++) sizes->device_bytes[c] = sizes->bytes[c];
        sizes->device_bytes[EMULSION_WORKSPACE] += f.network.elsewhere_bytes;
    }
}

void fill_info(emulsion_info* info, int batch, const std::vector<emulsion_tensor>& tensors) {
    static const char* const kVariants[] = {"x86-64", "avx2", "opencl"};
    static const char* const kKernels[] = {"fake dense", "fake softmax"};
    Fake& f = fake();
    *info = {};
    info->abi_version = EMULSION_ABI_VERSION;
    info->batch = batch;
    info->network = f.network.name.c_str();
    info->signature = f.network.signature.c_str();
    info->version = "0.1.0";
    info->optimizer = f.network.optimizer.c_str();
    info->classes = f.class_names.empty() ? nullptr : f.class_names.data();
    info->class_count = static_cast<int32_t>(f.class_names.size());
    info->tensors = tensors.data();
    info->tensor_count = static_cast<int32_t>(tensors.size());
    info->variants = kVariants;
    info->variant_count = f.network.has_device_variant ? 3 : 2;
    info->kernels = kKernels;
    info->kernel_count = 2;
    info->normalized = f.network.is_normalized ? 1 : 0;
    std::fill_n(info->input_mean, 4, f.network.mean);
    std::fill_n(info->input_deviation, 4, f.network.deviation);
}

// A loss, for each classifier its count and its scores, and the losses it is the sum of.
void lay_out_outputs() {
    Fake& f = fake();
    std::vector<std::string> heads = f.network.heads;
    f.count_names.clear();
    for (const std::string& head : heads)
        f.count_names.push_back(head.empty() ? "correct" : head + ".correct");
    for (const std::string& loss : f.network.losses) f.count_names.push_back(loss + ".loss");
    f.score_names.clear();
    if (heads.empty()) heads = {""};
    for (const std::string& head : heads)
        f.score_names.push_back(head.empty() ? f.network.score_name
                                             : head + "." + f.network.score_name);
    f.train_outputs = {make_port("loss", EMULSION_F32, {}, false)};
    for (const std::string& name : f.count_names)
        f.train_outputs.push_back(make_port(name.c_str(), EMULSION_F32, {}, false));
    f.infer_outputs.clear();
    for (const std::string& name : f.score_names)
        f.infer_outputs.push_back(make_port(name.c_str(), EMULSION_F32, {f.network.classes}, true));
    f.train.outputs = f.train_outputs.data();
    f.train.output_count = static_cast<int32_t>(f.train_outputs.size());
    f.infer.outputs = f.infer_outputs.data();
    f.infer.output_count = static_cast<int32_t>(f.infer_outputs.size());
}

}  // namespace

Fake& fake() {
    static Fake instance;
    return instance;
}

int elements() { return static_cast<int>(fake().network.shape.elements()); }

size_t weight_at(int o, int element) {
    return (static_cast<size_t>(o / kBlock) * static_cast<size_t>(elements()) +
            static_cast<size_t>(element)) *
               kBlock +
           static_cast<size_t>(o % kBlock);
}

float* tensor_values(const emulsion_tensor& tensor, const emulsion_memory& memory) {
    return reinterpret_cast<float*>(static_cast<std::byte*>(memory.block[tensor.memory_class]) +
                                    tensor.offset);
}

void use_fake_network(const FakeNetwork& network) {
    Fake& f = fake();
    f.network = network;
    f.hooks = {};
    f.runs = f.downloads = 0;
    f.class_names.clear();
    for (const std::string& name : f.network.class_names) f.class_names.push_back(name.c_str());
    lay_out_memory();
    const PictureShape& shape = f.network.shape;
    const emulsion_port image =
        make_port("image", EMULSION_F32, {shape.channels, shape.height, shape.width}, true);
    f.train_inputs[0] = f.infer_inputs[0] = f.infer_inputs[1] = image;
    f.infer_inputs[1].name = "second";
    f.train_inputs[1] = make_port("label", EMULSION_I32, {}, true);
    f.train_inputs[1].classes = f.network.label_classes;
    fill_info(&f.train, f.network.batch, f.train_tensors);
    fill_info(&f.infer, f.network.infer_batch, f.infer_tensors);
    f.train.inputs = f.train_inputs, f.train.input_count = f.network.train_inputs;
    f.infer.inputs = f.infer_inputs, f.infer.input_count = f.network.infer_inputs;
    lay_out_outputs();
}

FakeHooks& fake_hooks() { return fake().hooks; }

std::string fake_description(const std::string& changes) {
    const FakeNetwork& network = fake().network;
    nlohmann::json json{{"version", "0.1.0"},
                        {"network", network.name},
                        {"signature", network.signature},
                        {"batch", network.batch},
                        {"infer_batches", {network.infer_batch}},
                        {"optimizer",
                         {{"kind", "sgd"},
                          {"learning_rate", 0.1},
                          {"momentum", network.momentum},
                          {"nesterov", false},
                          {"weight_decay", 0}}},
                        {"schedule", {{"kind", "cosine"}, {"final", 0.0}}},
                        {"threads", 2},
                        {"parameters", network.classes * elements() + network.classes},
                        {"multiply_adds", network.classes * elements()},
                        {"defaults", {{"epochs", 2}}}};
    json.merge_patch(nlohmann::json::parse(changes));
    return json.dump();
}

}  // namespace emulsion
