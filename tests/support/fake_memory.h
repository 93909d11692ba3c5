// What the two halves of the library written by hand share: its network, and where its tensors
// lie (fake_memory.cpp); the functions of the library (fake_library.cpp).
#pragma once
#include "tests/support/fake_library.h"

namespace emulsion {

struct FakeInstance {
    emulsion_memory memory;  // that it computes in: the host's, or a device's
    emulsion_memory host;
    bool is_on_device;
    uint32_t uploaded;  // classes, by bit
    const char* error;
    bool is_under_way;  // a step whose outputs are to come later,
    int later_status;   // and how it ended
    float later_outputs[8], outputs_before[8];
    void* const* outputs;
    void (*profile)(void* self, int kernel, double seconds);
    void* profile_self;
};

// Everything the info structs point to.
struct Fake {
    FakeNetwork network;
    FakeHooks hooks;
    std::vector<const char*> class_names;
    std::vector<std::string> count_names, score_names;  // of the outputs
    std::vector<emulsion_tensor> train_tensors, infer_tensors;
    int64_t runs = 0;  // of the inference library
    int64_t downloads = 0;
    const void* train_parameters = nullptr;  // the block that the training library is bound to
    size_t first_velocity = 0;  // velocities lie in the order of the parameters, equally spaced
    emulsion_port train_inputs[2], infer_inputs[2];
    std::vector<emulsion_port> train_outputs, infer_outputs;
    emulsion_info train{}, infer{};
    emulsion_sizes train_sizes{}, infer_sizes{};
};

Fake& fake();

// Devices: emulsion_*_library::device of a library of these sizes, and speed, and what bind, step,
// unbind, upload and download do there.
int fake_device(int index, const emulsion_sizes& sizes, emulsion_device_description* description);
int fake_speed(int index, emulsion_device_speed* speed);
int open_fake_device(FakeInstance* instance, const emulsion_sizes& sizes, const char* device);
int check_fake_device(FakeInstance* instance);
void close_fake_device(FakeInstance* instance);
int fake_upload(void* instance, int memory_class);
int fake_wait(void* instance);
// What a device's step that has ended so returns: where its outputs are to come later they are
// taken back for what was there before it, and fake_wait brings them.
void keep_fake_outputs(FakeInstance* instance, const emulsion_call& call);
int end_fake_step(FakeInstance* instance, const emulsion_call& call, int status);
int fake_download(void* instance, int memory_class);

// Of one picture.
int elements();

// Where an output channel's weight of a flattened element lies: [O/16][elements][16].
size_t weight_at(int o, int element);

float* tensor_values(const emulsion_tensor& tensor, const emulsion_memory& memory);

}  // namespace emulsion
