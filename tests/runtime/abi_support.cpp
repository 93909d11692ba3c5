// The library made by hand: its tables, and the kernels that stand in for Halide's.
#include "tests/runtime/abi_support.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace emulsion::testing {
namespace {

template <typename T>
T* host(emulsion_instance* instance, Buffer buffer) {
    return static_cast<T*>(instance->descriptors[buffer].host);
}

// One sample's dot product, through scratch on the worker's slab.
int dot_task(void* user_context, int n, std::uint8_t* closure) {
    auto* instance = *reinterpret_cast<emulsion_instance**>(closure);
    auto* scratch = static_cast<float*>(halide_malloc(user_context, kWidth * sizeof(float)));
    const float* x = host<float>(instance, kX) + n * kWidth;
    const float* w = host<float>(instance, kW);
    for (int c = 0; c < kWidth; c++) scratch[c] = x[c] * w[c];
    float sum = 0;
    for (int c = 0; c < kWidth; c++) sum += scratch[c];
    host<float>(instance, kY)[n] = sum;
    halide_free(user_context, scratch);
    return 0;
}

int forward(emulsion_instance* instance) {
    halide_do_par_for(instance->workers, dot_task, 0, instance->samples,
                      reinterpret_cast<std::uint8_t*>(&instance));
    float sum = 0;
    for (int n = 0; n < instance->samples; n++) sum += host<float>(instance, kY)[n];
    *host<float>(instance, kLoss) = sum / static_cast<float>(instance->samples);
    return 0;
}

int gradient_task(void*, int c, std::uint8_t* closure) {
    auto* instance = *reinterpret_cast<emulsion_instance**>(closure);
    float sum = 0;
    for (int n = 0; n < instance->samples; n++) sum += host<float>(instance, kX)[n * kWidth + c];
    host<float>(instance, kGradient)[c] = sum / static_cast<float>(instance->samples);
    return 0;
}

int backward(emulsion_instance* instance) {
    return halide_do_par_for(instance->workers, gradient_task, 0, kWidth,
                             reinterpret_cast<std::uint8_t*>(&instance));
}

int update(emulsion_instance* instance) {
    for (int c = 0; c < kWidth; c++) {
        host<float>(instance, kW)[c] -=
            instance->learning_rate * host<float>(instance, kGradient)[c];
    }
    return 0;
}

int prepare(emulsion_instance*) { return 0; }

emulsion_port make_port(const char* name, int rank, int batched, std::uint64_t bytes) {
    emulsion_port port = {};
    port.name = name;
    port.rank = rank;
    port.batched = batched;
    port.shape[0] = kWidth;
    port.bytes = bytes;
    return port;
}

emulsion_buffer make_buffer(const emulsion_dimension* dimensions, int rank, int where,
                            std::uint64_t offset) {
    emulsion_buffer buffer = {};
    buffer.dimensions = dimensions;
    buffer.offset = offset;
    buffer.type = 2 | 32 << 8 | 1 << 16;
    buffer.rank = static_cast<std::int16_t>(rank);
    buffer.where = static_cast<std::int16_t>(where);
    return buffer;
}

}  // namespace

FakeLibrary::FakeLibrary()
    : matrix{{0, kWidth, 1, 0}, {0, kBatch, kWidth, 0}},
      vector{{0, kWidth, 1, 0}},
      list{{0, kBatch, 1, 0}},
      buffers{make_buffer(matrix, 2, EMULSION_INPUT, 0),
              make_buffer(vector, 1, EMULSION_PARAMETERS, 0),
              make_buffer(vector, 1, EMULSION_GRADIENTS, 0),
              make_buffer(list, 1, EMULSION_OUTPUT, 0),
              make_buffer(list, 0, EMULSION_OUTPUT, 1),
              make_buffer(list, 1, EMULSION_WORKSPACE, 64)},
      inputs{{kX, 0}},
      outputs{{kY, 0}, {kLoss, 1}},
      forward{testing::forward},
      backward{testing::backward},
      update{testing::update},
      prepare{testing::prepare},
      plan{kBatch, 1, 2, 0, inputs, outputs, {forward, 1, 0}, {backward, 1, 1}},
      variants{},
      input_ports{make_port("x", 1, 1, kWidth * sizeof(float))},
      output_ports{make_port("y", 0, 1, sizeof(float)), make_port("loss", 0, 0, sizeof(float))},
      tensors{},
      variant_names{"x86-64", "avx2", "avx512"},
      kernel_names{"forward", "backward", "update", "prepare"},
      initializer{0, EMULSION_NORMAL, 0.5f, 0},
      info{},
      library{} {
    variants[0].buffer_count = 6;
    variants[0].buffers = buffers;
    variants[0].activation_bytes = 100;
    variants[0].slab0_bytes = emulsion_slab_bytes_of(kWidth * sizeof(float));
    variants[0].slab_bytes = variants[0].slab0_bytes;
    variants[0].plan_count = 1;
    variants[0].plans = &plan;
    variants[0].prepare = {prepare, 1, 3};
    variants[0].update = {update, 1, 2};
    tensors[0].name = "w";
    tensors[0].rank = 1;
    tensors[0].trained = 1;
    tensors[0].shape[0] = kWidth;
    tensors[0].bytes = kWidth * sizeof(float);
    info.abi_version = EMULSION_ABI_VERSION;
    info.batch = kBatch;
    info.input_count = 1;
    info.output_count = 2;
    info.tensor_count = 1;
    info.inputs = input_ports;
    info.outputs = output_ports;
    info.tensors = tensors;
    info.variants = variant_names;
    info.variant_count = 1;
    info.kernels = kernel_names;
    info.kernel_count = 4;
    library.info = &info;
    library.variants = variants;
    library.variant_count = 1;
    library.loss_output = 1;
    library.bytes[EMULSION_PARAMETERS] = kWidth * sizeof(float);
    library.bytes[EMULSION_GRADIENTS] = kWidth * sizeof(float);
    library.bytes[EMULSION_STATE] = 64;
    library.initializers = &initializer;
    library.initializer_count = 1;
    library.training = 1;
}

Block::Block(std::size_t size, std::size_t shift)
    : memory(std::aligned_alloc(64, (size + shift + 127) / 64 * 64), std::free),
      start(static_cast<char*>(memory.get()) + shift),
      bytes(size) {
    std::memset(memory.get(), 0xa5, (size + shift + 127) / 64 * 64);
}

FakeNetwork::FakeNetwork(FakeLibrary& fake, int threads, const emulsion_options* options)
    : memory{},
      status(0),
      fake_(&fake),
      threads_(threads),
      x_(kBatch * kWidth * sizeof(float)),
      y_(kBatch * sizeof(float)),
      loss_(sizeof(float)),
      call_inputs_{x_.get()},
      call_outputs_{y_.get(), loss_.get()} {
    allocate();
    status = bind(options);
}

FakeNetwork::FakeNetwork(int threads, const emulsion_options* options)
    : FakeNetwork(*new FakeLibrary, threads, options) {
    own_.reset(fake_);
}

FakeNetwork::~FakeNetwork() {
    emulsion_library_unbind(&fake_->library, blocks_[EMULSION_INSTANCE].get());
}

void FakeNetwork::allocate() {
    emulsion_library_sizes(&fake_->library, threads_, &memory.sizes);
    for (int i = 0; i < EMULSION_CLASSES; i++) {
        blocks_.emplace_back(memory.sizes.bytes[i]);
        memory.block[i] = blocks_.back().get();
    }
    emulsion_library_init(&fake_->library, 7, &memory);
    for (int i = 0; i < kBatch * kWidth; i++) inputs()[i] = 0.1f * static_cast<float>(i % 23) - 1;
}

int FakeNetwork::bind(const emulsion_options* options) {
    emulsion_options chosen = {};
    if (options != nullptr) chosen = *options;
    if (chosen.threads == 0) chosen.threads = threads_;
    const int result =
        emulsion_library_bind(&fake_->library, blocks_[EMULSION_INSTANCE].get(), &memory, &chosen);
    if (result == EMULSION_OK) instance()->prepared = EMULSION_OK;
    return result;
}

emulsion_call FakeNetwork::make_call(int samples) {
    return {samples, 0, call_inputs_, call_outputs_};
}

int FakeNetwork::step(int samples, float learning_rate) {
    const emulsion_call call = make_call(samples);
    return emulsion_library_step(&fake_->library, instance(), &call, learning_rate);
}

int FakeNetwork::forward_backward(int samples) {
    const emulsion_call call = make_call(samples);
    return emulsion_library_forward_backward(&fake_->library, instance(), &call);
}

int FakeNetwork::update(float learning_rate) {
    return emulsion_library_update(&fake_->library, instance(), learning_rate);
}

int FakeNetwork::unbind() { return emulsion_library_unbind(&fake_->library, instance()); }

int FakeNetwork::run(int samples) {
    const emulsion_call call = make_call(samples);
    return emulsion_library_run(&fake_->library, instance(), &call);
}

const char* FakeNetwork::error() const {
    return emulsion_library_error(&fake_->library, instance());
}

emulsion_instance* FakeNetwork::instance() const {
    return static_cast<emulsion_instance*>(blocks_[EMULSION_INSTANCE].get());
}

float* FakeNetwork::weights() const {
    return static_cast<float*>(blocks_[EMULSION_PARAMETERS].get());
}

std::uint64_t* FakeNetwork::state() const {
    return static_cast<std::uint64_t*>(blocks_[EMULSION_STATE].get());
}

std::vector<int> list_threads() {
    constexpr unsigned long kExiting = 4;  // the kernel's PF_EXITING, set before a join returns
    std::vector<int> threads;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
        std::ifstream file(entry.path() / "stat");
        std::string text, word;
        std::getline(file, text);
        std::istringstream fields(text.substr(text.rfind(')') + 1));
        for (int i = 3; i < 9; i++) fields >> word;  // the state, and ids up to the terminal's
        unsigned long flags = 0;
        if (!(fields >> flags) || (flags & kExiting) != 0) continue;
        threads.push_back(std::stoi(entry.path().filename().string()));
    }
    return threads;
}

}  // namespace emulsion::testing
