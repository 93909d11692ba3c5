// See memory.h.
#include "runtime/program/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <tuple>
#include <vector>

#include "runtime/abi/instance.h"
#include "runtime/support/error.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

// Blocks of this size and more ask for huge pages, which saves address translation in large
// activations.
constexpr uint64_t kHugePage = uint64_t(2) << 20;

void* map_block(uint64_t bytes, int memory_class) {
    void* block = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED) {
        throw RuntimeError(
            concat("memory for ", memory_class_name(memory_class)),
            concat("the system refuses ", bytes, " bytes: ", std::strerror(errno)),
            "free memory, raise the limit (ulimit -v), or build the network for a smaller batch");
    }
    if (bytes >= kHugePage) madvise(block, bytes, MADV_HUGEPAGE);
    return block;
}

const std::byte* tensor_bytes(const emulsion_tensor& tensor, const emulsion_memory& memory) {
    return static_cast<const std::byte*>(memory.block[tensor.memory_class]) + tensor.offset;
}

const emulsion_tensor* find_tensor(const emulsion_info& info, std::string_view name) {
    for (int i = 0; i < info.tensor_count; i++) {
        if (name == info.tensors[i].name) return &info.tensors[i];
    }
    return nullptr;
}

const char* remedy_of(int status) {
    switch (status) {
        case EMULSION_NO_THREADS:
            return "use fewer threads with --threads";
        case EMULSION_UNSUPPORTED_DEVICE:
            return "choose another device, or --device cpu";
        case EMULSION_DEVICE_ERROR:
            return "run it again, where a checkpoint was kept with --resume, or with --device cpu";
        default:
            return "";
    }
}

}  // namespace

void refuse_call(const emulsion_info& info, const char* action, int status, const char* text) {
    throw RuntimeError(concat(info.network, " ", action),
                       text != nullptr && *text != '\0' ? text : emulsion_status_text(status),
                       remedy_of(status));
}

emulsion_sizes used_sizes(emulsion_sizes sizes, DeviceQuery query, const Device& device) {
    if (device.is_processor()) {
        std::fill_n(sizes.device_bytes, EMULSION_CLASSES, uint64_t(0));
        return sizes;
    }
    for (int c : {EMULSION_GRADIENTS, EMULSION_PREPARED, EMULSION_WORKSPACE}) sizes.bytes[c] = 0;
    query_device_bytes(query, device, sizes.device_bytes);
    return sizes;
}

MemoryBlocks::MemoryBlocks(const emulsion_sizes& sizes, void* parameters) : borrowed_(parameters) {
    memory_.sizes = sizes;
    memory_.block[EMULSION_PARAMETERS] = parameters;
    for (int c = 0; c < EMULSION_CLASSES; c++) {
        if (memory_.block[c] != nullptr) continue;
        if (sizes.bytes[c] > 0) memory_.block[c] = map_block(sizes.bytes[c], c);
    }
}

MemoryBlocks::~MemoryBlocks() {
    for (int c = 0; c < EMULSION_CLASSES; c++) release(static_cast<emulsion_class>(c));
}

void MemoryBlocks::release(emulsion_class memory_class) {
    void*& block = memory_.block[memory_class];
    if (block != nullptr && block != borrowed_) munmap(block, memory_.sizes.bytes[memory_class]);
    block = nullptr;
}

const char* memory_class_name(int memory_class) {
    static const char* const kNames[EMULSION_CLASSES] = {"parameters", "gradients", "state",
                                                         "prepared",   "workspace", "instance"};
    return kNames[memory_class];
}

bool may_share_parameters(const emulsion_info& a, const emulsion_info& b) {
    const auto parameters_of = [](const emulsion_info& info) {
        std::vector<std::tuple<std::string_view, uint64_t, uint64_t>> places;  // offset, bytes
        for (int i = 0; i < info.tensor_count; i++) {
            const emulsion_tensor& tensor = info.tensors[i];
            if (tensor.memory_class == EMULSION_PARAMETERS)
                places.emplace_back(tensor.name, tensor.offset, tensor.bytes);
        }
        return places;
    };
    return parameters_of(a) == parameters_of(b);
}

void copy_tensors(const emulsion_info& from, const emulsion_memory& from_memory,
                  const emulsion_info& to, const emulsion_memory& to_memory) {
    for (int i = 0; i < to.tensor_count; i++) {
        const emulsion_tensor& target = to.tensors[i];
        if (to_memory.block[target.memory_class] == from_memory.block[target.memory_class])
            continue;
        const emulsion_tensor* source = find_tensor(from, target.name);
        if (source == nullptr || source->bytes != target.bytes || source->type != target.type) {
            throw RuntimeError(
                concat("tensor ", quoted(target.name)),
                concat("the inference library expects ", target.bytes,
                       " bytes, the training library has ", source ? source->bytes : 0),
                "link the two libraries of one build");
        }
        std::memcpy(static_cast<std::byte*>(to_memory.block[target.memory_class]) + target.offset,
                    tensor_bytes(*source, from_memory), target.bytes);
    }
}

const char* find_not_finite(const emulsion_info& info, const emulsion_memory& memory) {
    constexpr uint32_t kExponent = 0x7F800000u;  // all ones: infinity or NaN
    for (int i = 0; i < info.tensor_count; i++) {
        const emulsion_tensor& tensor = info.tensors[i];
        if (tensor.type != EMULSION_F32) continue;
        const std::byte* bytes = tensor_bytes(tensor, memory);
        for (uint64_t at = 0; at + 4 <= tensor.bytes; at += 4) {
            uint32_t bits;
            std::memcpy(&bits, bytes + at, 4);
            if ((bits & kExponent) == kExponent) return tensor.name;
        }
    }
    return nullptr;
}

}  // namespace emulsion
