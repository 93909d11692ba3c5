// The file: 8 bytes of magic and the length of the head, the head, its XXH64, the two blocks of
// memory and the trainer's own, their XXH64. The head is numbers of 8 bytes (little-endian) and
// texts (length, bytes):
//
//     network  signature  optimizer  count of facts, each key and value  layout
//     epoch  batch  step  seed  metrics  parameter bytes  state bytes  bytes of the trainer's own
//
// The facts are those of origin.h. `layout` is a hash of the tensors' names, shapes and places in
// memory: blocks of memory mean something only together with it.
#include "runtime/data/checkpoint.h"

#include <algorithm>
#include <span>
#include <string_view>
#include <utility>

#include "runtime/data/checksum.h"
#include "runtime/data/origin.h"
#include "runtime/support/atomic_file.h"
#include "runtime/support/error.h"
#include "runtime/support/limits.h"
#include "runtime/support/path.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr std::string_view kMagic = "EMUCKPT3";
constexpr uint64_t kChecksumBytes = 8;
constexpr uint64_t kFrontBytes = 16;                                 // magic, length of the head
constexpr uint64_t kAroundBytes = kFrontBytes + 2 * kChecksumBytes;  // all but head and blocks
constexpr uint64_t kStepOffset = 8;   // of the step count in the state: see emulsion_class
constexpr uint64_t kChunk = 1 << 20;  // bytes read at once to be checked
constexpr emulsion_class kBlocks[] = {EMULSION_PARAMETERS, EMULSION_STATE};
constexpr const char* kOtherFix = "give another checkpoint, or train from the start";

uint64_t hash_layout(const emulsion_info& info) {
    std::string text;
    for (int i = 0; i < info.tensor_count; i++) {
        const emulsion_tensor& tensor = info.tensors[i];
        text += concat(tensor.name, " ", tensor.type, " ", tensor.memory_class, " ",
                       shape_text({tensor.shape, static_cast<size_t>(tensor.rank)}),
                       shape_text(tensor.flattened), " ", tensor.offset, " ", tensor.bytes, "\n");
    }
    return checksum_of(text);
}

// Writing

void put_number(Bytes& bytes, uint64_t value) {
    for (unsigned i = 0; i < 8; i++) bytes.push_back(static_cast<uint8_t>(value >> 8 * i));
}

void put_text(Bytes& bytes, std::string_view text) {
    put_number(bytes, text.size());
    bytes.insert(bytes.end(), text.begin(), text.end());
}

uint64_t bytes_of(const Blocks& blocks) {
    uint64_t bytes = 0;
    for (const std::span<uint8_t> block : blocks) bytes += block.size();
    return bytes;
}

Bytes encode_head(const emulsion_info& info, const emulsion_sizes& sizes,
                  const RunPosition& position, const Blocks& more) {
    Bytes head;
    put_text(head, info.network);
    put_text(head, info.signature);
    put_text(head, info.optimizer);
    const Metadata origin = describe_origin(info);
    put_number(head, origin.size());
    for (const auto& [key, value] : origin) {
        put_text(head, key);
        put_text(head, value);
    }
    put_number(head, hash_layout(info));
    put_number(head, position.epoch);
    put_number(head, position.batch);
    put_number(head, position.step);
    put_number(head, position.seed);
    put_text(head, position.metrics);
    put_number(head, sizes.bytes[EMULSION_PARAMETERS]);
    put_number(head, sizes.bytes[EMULSION_STATE]);
    put_number(head, bytes_of(more));
    return head;
}

// In the order of the file.
Blocks all_blocks(const emulsion_memory& memory, const emulsion_sizes& sizes, const Blocks& more) {
    Blocks blocks;
    for (const emulsion_class which : kBlocks)
        blocks.emplace_back(static_cast<uint8_t*>(memory.block[which]), sizes.bytes[which]);
    blocks.insert(blocks.end(), more.begin(), more.end());
    return blocks;
}

Bytes encode_checksum(const Checksum& checksum) {
    Bytes bytes;
    put_number(bytes, checksum.value());
    return bytes;
}

// Reading

// What the head says.
struct Contents {
    std::string network, signature, optimizer;
    Metadata origin;
    uint64_t layout = 0;
    RunPosition position;
    uint64_t parameter_bytes = 0, state_bytes = 0, more_bytes = 0;
    uint64_t blocks_begin = 0;  // bytes from the start of the file
};

uint64_t number_of(std::span<const uint8_t> bytes) {
    uint64_t value = 0;
    for (size_t i = 0; i < 8; i++) value |= static_cast<uint64_t>(bytes[i]) << 8 * i;
    return value;
}

uint64_t read_number(const ByteSource& input, uint64_t offset) {
    uint8_t bytes[8];
    input.read(offset, bytes);
    return number_of(bytes);
}

// Takes numbers and texts off the front of the head.
class Reader {
  public:
    Reader(std::span<const uint8_t> head, const ByteSource& input) : rest_(head), input_(input) {}

    std::span<const uint8_t> take(uint64_t count) {
        if (count > rest_.size()) {
            input_.refuse("the checkpoint is damaged: a length is too large", kOtherFix);
        }
        const std::span<const uint8_t> taken = rest_.first(count);
        rest_ = rest_.subspan(count);
        return taken;
    }
    uint64_t number() { return number_of(take(8)); }
    std::string text() {
        const std::span<const uint8_t> bytes = take(number());
        return std::string(bytes.begin(), bytes.end());
    }
    bool is_done() const { return rest_.empty(); }

  private:
    std::span<const uint8_t> rest_;
    const ByteSource& input_;
};

// The head's bytes, which are those that were written.
Bytes read_head(const ByteSource& input) {
    std::string start(std::min<uint64_t>(input.size(), kMagic.size()), '\0');
    input.read(0, {reinterpret_cast<uint8_t*>(start.data()), start.size()});
    if (start != kMagic) {
        input.refuse(concat("this is no checkpoint of Emulsion: it begins with ", quoted(start),
                            " instead of ", quoted(kMagic)),
                     kOtherFix);
    }
    if (input.size() < kAroundBytes) input.refuse("the checkpoint is cut", kOtherFix);
    const uint64_t length = read_number(input, kMagic.size());
    const uint64_t limit = std::min(kMostCheckpointHead, input.size() - kAroundBytes);
    if (length > limit) {
        input.refuse(concat("the checkpoint is cut or damaged: its head is said to have ", length,
                            " bytes, and at most ", limit, " can be there"),
                     kOtherFix);
    }
    Bytes head(length);
    input.read(kFrontBytes, head);
    Checksum checksum;
    checksum.add(head);
    if (checksum.value() != read_number(input, kFrontBytes + length)) {
        input.refuse("the checkpoint is cut or damaged: the checksum of its head does not match",
                     kOtherFix);
    }
    return head;
}

Contents parse_head(const ByteSource& input) {
    const Bytes head = read_head(input);
    Reader reader(head, input);
    Contents contents;
    contents.network = reader.text();
    contents.signature = reader.text();
    contents.optimizer = reader.text();
    uint64_t facts = reader.number();
    if (facts > kMostMetadata) {
        input.refuse(concat("the checkpoint is damaged: it has ", facts, " facts"), kOtherFix);
    }
    for (; facts > 0; facts--) {
        std::string key = reader.text();
        contents.origin.emplace_back(std::move(key), reader.text());
    }
    contents.layout = reader.number();
    contents.position.epoch = reader.number();
    contents.position.batch = reader.number();
    contents.position.step = reader.number();
    contents.position.seed = reader.number();
    contents.position.metrics = reader.text();
    contents.parameter_bytes = reader.number();
    contents.state_bytes = reader.number();
    contents.more_bytes = reader.number();
    contents.blocks_begin = kFrontBytes + head.size() + kChecksumBytes;
    if (!reader.is_done()) {
        input.refuse("the checkpoint is damaged: bytes follow its head", kOtherFix);
    }
    return contents;
}

// The file belongs to this network, with this optimiser and this layout of memory.
void check_contents(const Contents& contents, const emulsion_info& info,
                    const emulsion_sizes& sizes, const ByteSource& input) {
    if (contents.signature != info.signature) {
        input.refuse(
            concat("the checkpoint belongs to the network ", quoted(contents.network),
                   " with the signature ", one_line(contents.signature), "; this program trains ",
                   quoted(info.network), " with the signature ", info.signature),
            "give a checkpoint of this network, or train from the start");
    }
    check_origin(contents.origin, info, "checkpoint", input.name());
    if (contents.optimizer != info.optimizer) {
        input.refuse(
            concat("the checkpoint was written with the optimizer ", quoted(contents.optimizer),
                   "; this program uses ", quoted(info.optimizer)),
            "build the program with the same optimizer, or train from the start");
    }
    if (contents.layout != hash_layout(info) ||
        contents.parameter_bytes != sizes.bytes[EMULSION_PARAMETERS] ||
        contents.state_bytes != sizes.bytes[EMULSION_STATE]) {
        input.refuse(
            concat("the checkpoint holds ", contents.parameter_bytes, " bytes of parameters and ",
                   contents.state_bytes, " of state; this program expects ",
                   sizes.bytes[EMULSION_PARAMETERS], " and ", sizes.bytes[EMULSION_STATE],
                   ", or places the tensors differently"),
            "resume with the program that wrote the checkpoint, or train from the start");
    }
    const uint64_t bytes =
        contents.blocks_begin + contents.parameter_bytes + contents.state_bytes + kChecksumBytes;
    if (input.size() < bytes || input.size() - bytes != contents.more_bytes) {
        input.refuse(
            concat("the checkpoint is cut or damaged: it has ", input.size(), " bytes, where ",
                   bytes, " and ", contents.more_bytes, " more were written"),
            kOtherFix);
    }
}

// The blocks are those that were written. Returns their checksum.
uint64_t check_blocks(const ByteSource& input, const Contents& contents) {
    const uint64_t end = input.size() - kChecksumBytes;
    Bytes buffer(kChunk);
    Checksum checksum;
    for (uint64_t at = contents.blocks_begin; at < end; at += kChunk) {
        const std::span<uint8_t> part(buffer.data(), std::min(kChunk, end - at));
        input.read(at, part);
        checksum.add(part);
    }
    if (checksum.value() != read_number(input, end)) {
        input.refuse("the checkpoint is cut or damaged: its checksum does not match", kOtherFix);
    }
    const uint64_t state_begin = contents.blocks_begin + contents.parameter_bytes;
    const uint64_t step = read_number(input, state_begin + kStepOffset);
    if (step != contents.position.step) {
        input.refuse(concat("the checkpoint is damaged: it stands at step ", contents.position.step,
                            ", but its state at step ", step),
                     kOtherFix);
    }
    return checksum.value();
}

}  // namespace

void save_checkpoint(const std::string& folder, const emulsion_info& info,
                     const emulsion_sizes& sizes, const emulsion_memory& memory,
                     const RunPosition& position, std::span<const std::string> obsolete,
                     const Blocks& more) {
    make_folder(folder);
    const std::string path = join_path(folder, kCheckpointName);
    const Bytes head = encode_head(info, sizes, position, more);
    if (head.size() > kMostCheckpointHead) {
        throw RuntimeError(
            one_line(path),
            concat("the head of the checkpoint would have ", head.size(),
                   " bytes, and none with more than ", kMostCheckpointHead, " is read"),
            "begin another run");
    }
    AtomicFile file(path);
    Checksum head_checksum, checksum;
    head_checksum.add(head);
    Bytes front(kMagic.begin(), kMagic.end());
    put_number(front, head.size());
    file.write(front);
    file.write(head);
    file.write(encode_checksum(head_checksum));
    for (const std::span<uint8_t> block : all_blocks(memory, sizes, more)) {
        checksum.add(block);
        file.write(block);
    }
    file.write(encode_checksum(checksum));
    file.sync();
    for (const std::string& each : obsolete) remove_file(each);
    file.commit();
}

uint64_t checkpoint_file_bytes(const emulsion_info& info, const emulsion_sizes& sizes,
                               const RunPosition& position, const Blocks& more) {
    uint64_t bytes =
        kAroundBytes + encode_head(info, sizes, position, more).size() + bytes_of(more);
    for (const emulsion_class which : kBlocks) bytes += sizes.bytes[which];
    return bytes;
}

RunPosition load_checkpoint(const ByteSource& input, const emulsion_info& info,
                            const emulsion_sizes& sizes, const emulsion_memory& memory,
                            const MoreBlocks& more_of) {
    Contents contents = parse_head(input);
    check_contents(contents, info, sizes, input);
    const Blocks more = more_of ? more_of(contents.position) : Blocks{};
    if (bytes_of(more) != contents.more_bytes) {
        input.refuse(concat("the checkpoint is damaged: it holds ", contents.more_bytes,
                            " bytes of averaged weights, and its run has ", bytes_of(more)),
                     kOtherFix);
    }
    const uint64_t checked = check_blocks(input, contents);
    Checksum read;
    uint64_t at = contents.blocks_begin;
    for (const std::span<uint8_t> block : all_blocks(memory, sizes, more)) {
        input.read(at, block);
        read.add(block);
        at += block.size();
    }
    if (read.value() != checked) {
        input.refuse("another process changed the file while it was read", "resume again");
    }
    return std::move(contents.position);
}

RunPosition load_checkpoint(const std::string& folder, const emulsion_info& info,
                            const emulsion_sizes& sizes, const emulsion_memory& memory,
                            const MoreBlocks& more_of) {
    const std::string path = is_folder(folder) ? join_path(folder, kCheckpointName) : folder;
    return load_checkpoint(ByteSource(path, "checkpoint"), info, sizes, memory, more_of);
}

RunPosition load_position(const std::string& path) {
    return parse_head(ByteSource(path, "checkpoint")).position;
}

void check_position(const RunPosition& position, uint64_t batches, const std::string& where) {
    const auto steps = static_cast<unsigned __int128>(position.epoch) * batches + position.batch;
    if (position.batch < batches && steps == position.step) return;
    throw RuntimeError(
        one_line(where),
        concat("the checkpoint stands before batch ", position.batch, " of epoch ", position.epoch,
               " (both count from 0) after ", position.step, " steps, but an epoch has ", batches,
               batches == 1 ? " batch" : " batches"),
        kOtherFix);
}

bool has_checkpoint(const std::string& folder) {
    return is_file(join_path(folder, kCheckpointName));
}

}  // namespace emulsion
