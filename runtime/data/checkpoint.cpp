// The file: 8 bytes of magic, then numbers of 8 bytes (little-endian) and texts (length, bytes),
// then the two blocks of memory, then XXH64 of all that stands before.
//
//     magic  network  signature  optimizer  layout  epoch  batch  step  seed  metrics
//     parameter bytes  state bytes  parameters  state  checksum
//
// `layout` is a hash of the tensors' names, shapes and places in memory: blocks of memory mean
// something only together with it.
#include "runtime/data/checkpoint.h"

#include <cstring>
#include <span>
#include <string_view>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "runtime/support/error.h"
#include "runtime/support/file.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr std::string_view kMagic = "EMUCKPT1";
constexpr uint64_t kFileLimit = static_cast<uint64_t>(1) << 40;
constexpr uint64_t kChecksumBytes = 8;

uint64_t hash_layout(const emulsion_info& info) {
    std::string text;
    for (int i = 0; i < info.tensor_count; i++) {
        const emulsion_tensor& tensor = info.tensors[i];
        text += concat(tensor.name, " ", tensor.type, " ", tensor.memory_class, " ",
                       shape_text({tensor.shape, static_cast<size_t>(tensor.rank)}),
                       shape_text(tensor.flattened), " ", tensor.offset, " ", tensor.bytes, "\n");
    }
    return XXH64(text.data(), text.size(), 0);
}

// "sgd" of "sgd learning_rate=0.05 momentum=0.9": what the layout of the state depends on.
std::string_view optimizer_kind(std::string_view optimizer) {
    return optimizer.substr(0, optimizer.find(' '));
}

// Writing

void put_number(Bytes& bytes, uint64_t value) {
    for (unsigned i = 0; i < 8; i++) bytes.push_back(static_cast<uint8_t>(value >> 8 * i));
}

void put_text(Bytes& bytes, std::string_view text) {
    put_number(bytes, text.size());
    bytes.insert(bytes.end(), text.begin(), text.end());
}

Bytes encode_head(const emulsion_info& info, const emulsion_sizes& sizes,
                  const RunPosition& position) {
    Bytes head(kMagic.begin(), kMagic.end());
    put_text(head, info.network);
    put_text(head, info.signature);
    put_text(head, info.optimizer);
    put_number(head, hash_layout(info));
    put_number(head, position.epoch);
    put_number(head, position.batch);
    put_number(head, position.step);
    put_number(head, position.seed);
    put_text(head, position.metrics);
    put_number(head, sizes.bytes[EMULSION_PARAMETERS]);
    put_number(head, sizes.bytes[EMULSION_STATE]);
    return head;
}

std::span<const uint8_t> block_of(const emulsion_memory& memory, const emulsion_sizes& sizes,
                                  emulsion_class which) {
    return {static_cast<const uint8_t*>(memory.block[which]), sizes.bytes[which]};
}

// Reading

// What a file holds; the blocks point into its bytes.
struct Contents {
    std::string network, signature, optimizer;
    uint64_t layout = 0;
    RunPosition position;
    std::span<const uint8_t> parameters, state;
};

class Reader {
  public:
    Reader(std::span<const uint8_t> bytes, const std::string& path) : rest_(bytes), path_(path) {}

    [[noreturn]] void refuse(std::string what) const {
        throw RuntimeError(one_line(path_), std::move(what),
                           "give another checkpoint, or train from the start");
    }
    std::span<const uint8_t> take(uint64_t count) {
        if (count > rest_.size()) refuse("the checkpoint is damaged: a length is too large");
        const std::span<const uint8_t> taken = rest_.first(count);
        rest_ = rest_.subspan(count);
        return taken;
    }
    uint64_t number() {
        uint64_t value = 0;
        const std::span<const uint8_t> bytes = take(8);
        for (size_t i = 0; i < 8; i++) value |= static_cast<uint64_t>(bytes[i]) << 8 * i;
        return value;
    }
    std::string text() {
        const std::span<const uint8_t> bytes = take(number());
        return std::string(bytes.begin(), bytes.end());
    }
    bool is_done() const { return rest_.empty(); }

  private:
    std::span<const uint8_t> rest_;
    const std::string& path_;
};

// Format and checksum.
Contents parse(std::span<const uint8_t> file, const std::string& path) {
    Reader whole(file, path);
    const std::string_view start(reinterpret_cast<const char*>(file.data()),
                                 std::min(file.size(), kMagic.size()));
    if (start != kMagic) {
        whole.refuse(concat("this is no checkpoint of Emulsion: it begins with ", quoted(start),
                            " instead of ", quoted(kMagic)));
    }
    if (file.size() < kMagic.size() + kChecksumBytes) whole.refuse("the checkpoint is cut");
    const std::span<const uint8_t> body = file.first(file.size() - kChecksumBytes);
    const uint64_t stored = Reader(file.last(kChecksumBytes), path).number();
    if (XXH64(body.data(), body.size(), 0) != stored) {
        whole.refuse("the checkpoint is cut or damaged: its checksum does not match");
    }
    Reader reader(body, path);
    reader.take(kMagic.size());
    Contents contents;
    contents.network = reader.text();
    contents.signature = reader.text();
    contents.optimizer = reader.text();
    contents.layout = reader.number();
    contents.position.epoch = reader.number();
    contents.position.batch = reader.number();
    contents.position.step = reader.number();
    contents.position.seed = reader.number();
    contents.position.metrics = reader.text();
    const uint64_t parameter_bytes = reader.number();
    const uint64_t state_bytes = reader.number();
    contents.parameters = reader.take(parameter_bytes);
    contents.state = reader.take(state_bytes);
    if (!reader.is_done()) whole.refuse("the checkpoint is damaged: bytes follow the state");
    return contents;
}

// The file belongs to this network, with this optimiser and this layout of memory.
void check_contents(const Contents& contents, const emulsion_info& info,
                    const emulsion_sizes& sizes, const std::string& path) {
    auto refuse = [&](std::string what, std::string fix) {
        throw RuntimeError(one_line(path), std::move(what), std::move(fix));
    };
    if (contents.signature != info.signature) {
        refuse(
            concat("the checkpoint belongs to the network ", quoted(contents.network),
                   " with the signature ", one_line(contents.signature), "; this program trains ",
                   quoted(info.network), " with the signature ", info.signature),
            "give a checkpoint of this network, or train from the start");
    }
    if (optimizer_kind(contents.optimizer) != optimizer_kind(info.optimizer)) {
        refuse(concat("the checkpoint was written with the optimizer ", quoted(contents.optimizer),
                      "; this program uses ", quoted(info.optimizer)),
               "build the program with the same optimizer, or train from the start");
    }
    if (contents.layout != hash_layout(info) ||
        contents.parameters.size() != sizes.bytes[EMULSION_PARAMETERS] ||
        contents.state.size() != sizes.bytes[EMULSION_STATE]) {
        refuse(concat("the checkpoint holds ", contents.parameters.size(), " bytes of parameters",
                      " and ", contents.state.size(), " of state; this program expects ",
                      sizes.bytes[EMULSION_PARAMETERS], " and ", sizes.bytes[EMULSION_STATE],
                      ", or places the tensors differently"),
               "resume with the program that wrote the checkpoint, or train from the start");
    }
}

}  // namespace

void save_checkpoint(const std::string& folder, const emulsion_info& info,
                     const emulsion_sizes& sizes, const emulsion_memory& memory,
                     const RunPosition& position) {
    make_folder(folder);
    AtomicFile file(join_path(folder, kCheckpointName));
    XXH64_state_t hash;
    XXH64_reset(&hash, 0);
    auto write = [&](std::span<const uint8_t> bytes) {
        if (bytes.empty()) return;
        XXH64_update(&hash, bytes.data(), bytes.size());
        file.write(bytes);
    };
    write(encode_head(info, sizes, position));
    write(block_of(memory, sizes, EMULSION_PARAMETERS));
    write(block_of(memory, sizes, EMULSION_STATE));
    Bytes checksum;
    put_number(checksum, XXH64_digest(&hash));
    file.write(checksum);
    file.commit();
}

RunPosition load_checkpoint(const std::string& folder, const emulsion_info& info,
                            const emulsion_sizes& sizes, const emulsion_memory& memory) {
    const std::string path = is_folder(folder) ? join_path(folder, kCheckpointName) : folder;
    const Bytes bytes = read_file(path, kFileLimit, "checkpoint");
    const Contents contents = parse(bytes, path);
    check_contents(contents, info, sizes, path);
    if (!contents.parameters.empty()) {
        std::memcpy(memory.block[EMULSION_PARAMETERS], contents.parameters.data(),
                    contents.parameters.size());
    }
    if (!contents.state.empty()) {
        std::memcpy(memory.block[EMULSION_STATE], contents.state.data(), contents.state.size());
    }
    return contents.position;
}

bool has_checkpoint(const std::string& folder) {
    return is_file(join_path(folder, kCheckpointName));
}

}  // namespace emulsion
