// The helpers of data_support.h.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>

#include <jpeglib.h>

#include "runtime/data/layout.h"
#include "runtime/support/error.h"
#include "runtime/support/path.h"
#include "tests/runtime/data_support.h"
#include "tests/support/paths.h"

namespace emulsion::testing {

std::string file_path(std::string_view name) {
    return join_path(source_path("tests/runtime/files"), name);
}

std::string message_of(const std::function<void()>& body, std::string_view folder) {
    try {
        body();
    } catch (const RuntimeError& error) {
        std::string text = error.what();
        for (size_t at; !folder.empty() && (at = text.find(folder)) != std::string::npos;) {
            text.replace(at, folder.size(), "DIR");
        }
        return text;
    }
    return "no error";
}

void put_file(const std::string& path, std::string_view content) {
    std::FILE* file = std::fopen(path.c_str(), "wb");
    ASSERT_NE(file, nullptr) << path;
    EXPECT_EQ(std::fwrite(content.data(), 1, content.size(), file), content.size());
    std::fclose(file);
}

void put_file(const std::string& path, const Bytes& content) { put_file(path, text_of(content)); }

Bytes bytes_of(std::string_view text) { return Bytes(text.begin(), text.end()); }

std::string text_of(const Bytes& bytes) { return std::string(bytes.begin(), bytes.end()); }

Bytes gzip(const Bytes& content) {
    z_stream stream{};
    deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY);
    Bytes out(deflateBound(&stream, uLong(content.size())) + 64);
    stream.next_in = const_cast<Bytef*>(content.data());
    stream.avail_in = uInt(content.size());
    stream.next_out = out.data();
    stream.avail_out = uInt(out.size());
    EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
}

Bytes encode_jpeg(const Picture& picture, bool is_progressive) {
    jpeg_compress_struct jpeg{};
    jpeg_error_mgr errors;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    unsigned char* out = nullptr;
    unsigned long size = 0;
    jpeg_mem_dest(&jpeg, &out, &size);
    jpeg.image_width = JDIMENSION(picture.shape.width);
    jpeg.image_height = JDIMENSION(picture.shape.height);
    jpeg.input_components = picture.shape.channels;
    jpeg.in_color_space = picture.shape.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 95, TRUE);
    if (is_progressive) jpeg_simple_progression(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    while (jpeg.next_scanline < jpeg.image_height) {
        const size_t row_bytes =
            static_cast<size_t>(picture.shape.width) * static_cast<size_t>(picture.shape.channels);
        JSAMPROW row = const_cast<uint8_t*>(picture.pixels.data()) + jpeg.next_scanline * row_bytes;
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    Bytes bytes(out, out + size);
    std::free(out);
    return bytes;
}

Bytes make_idx(const std::vector<uint32_t>& shape, const Bytes& values, uint8_t type) {
    Bytes bytes = {0, 0, type, static_cast<uint8_t>(shape.size())};
    for (uint32_t length : shape) {
        for (int shift = 24; shift >= 0; shift -= 8)
            bytes.push_back(static_cast<uint8_t>(length >> shift));
    }
    bytes.insert(bytes.end(), values.begin(), values.end());
    return bytes;
}

int in_child(const std::function<int()>& body) {
    std::fflush(nullptr);
    const pid_t child = fork();
    if (child == 0) {
        int code = 99;
        try {
            code = body();
        } catch (const std::exception& error) {
            std::fprintf(stderr, "%s\n", error.what());
        }
        _exit(code);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

int64_t memory_of(const std::function<void()>& body) {
    TestFolder folder;
    const int code = in_child([&] {
        rusage before, after;
        getrusage(RUSAGE_SELF, &before);
        body();
        getrusage(RUSAGE_SELF, &after);
        put_file(folder / "peak", std::to_string(after.ru_maxrss - before.ru_maxrss));
        return ::testing::Test::HasFailure() ? 1 : 0;
    });
    EXPECT_EQ(code, 0);
    return code == 0 ? std::stol(text_of(read_file(folder / "peak", 100, "number"))) : -1;
}

namespace {

emulsion_tensor make_tensor(const char* name, int memory_class, std::vector<int64_t> shape,
                            uint64_t& offset) {
    emulsion_tensor tensor{};
    tensor.name = name;
    tensor.type = EMULSION_F32;
    tensor.memory_class = memory_class;
    tensor.rank = static_cast<int32_t>(shape.size());
    tensor.trained = memory_class == EMULSION_PARAMETERS;
    std::copy(shape.begin(), shape.end(), tensor.shape);
    tensor.offset = offset;
    tensor.bytes = 4 * memory_elements(tensor);
    offset += tensor.bytes;
    return tensor;
}

constexpr uint64_t kCounterBytes = 64;  // at the start of the state: seed, step

}  // namespace

SmallNetwork::SmallNetwork(const char* signature, const char* optimizer) {
    uint64_t parameter_bytes = 0, state_bytes = kCounterBytes;
    tensors.push_back(make_tensor("conv1.w", EMULSION_PARAMETERS, {20, 3, 2, 5}, parameter_bytes));
    tensors.push_back(make_tensor("conv1.b", EMULSION_PARAMETERS, {20}, parameter_bytes));
    tensors.push_back(make_tensor("fc.w", EMULSION_PARAMETERS, {2, 24}, parameter_bytes));
    tensors.back().flattened[0] = 2;
    tensors.back().flattened[1] = 4;
    tensors.back().flattened[2] = 3;
    tensors.push_back(make_tensor("fc.b", EMULSION_PARAMETERS, {2}, parameter_bytes));
    tensors.push_back(make_tensor("bn1.mean", EMULSION_STATE, {20}, state_bytes));
    tensors.push_back(make_tensor("conv1.w.momentum", EMULSION_STATE, {20, 3, 2, 5}, state_bytes));
    sizes.bytes[EMULSION_PARAMETERS] = parameter_bytes;
    sizes.bytes[EMULSION_STATE] = state_bytes;
    parameters_.resize(parameter_bytes / 4);
    state_.resize(state_bytes / 4);
    memory.block[EMULSION_PARAMETERS] = parameters_.data();
    memory.block[EMULSION_STATE] = state_.data();
    input.name = "image";
    input.rank = 3;
    input.shape[0] = 3;
    input.shape[1] = 9;
    input.shape[2] = 8;
    info.network = "small";
    info.signature = signature;
    info.optimizer = optimizer;
    info.classes = classes.data();
    info.class_count = 2;
    info.input_count = 1;
    info.inputs = &input;
    info.tensors = tensors.data();
    info.tensor_count = static_cast<int32_t>(tensors.size());
    info.normalized = 1;
    for (int c = 0; c < 3; c++) {
        info.input_mean[c] = 0.1f * static_cast<float>(c + 1);
        info.input_deviation[c] = 0.25f;
    }
    inference = info;
    inference.tensor_count--;
}

void SmallNetwork::fill(float first) {
    std::iota(parameters_.begin(), parameters_.end(), first);
    std::iota(state_.begin() + kCounterBytes / 4, state_.end(), first + 10000.0f);
}

void SmallNetwork::fill_equal(float value) {
    std::fill(parameters_.begin(), parameters_.end(), value);
    std::fill(state_.begin() + kCounterBytes / 4, state_.end(), value);
}

std::vector<float> SmallNetwork::values() const {
    std::vector<float> values = parameters_;
    values.insert(values.end(), state_.begin() + kCounterBytes / 4, state_.end());
    return values;
}

void SmallNetwork::set_step(uint64_t step) {
    std::memcpy(reinterpret_cast<uint8_t*>(state_.data()) + 8, &step, sizeof step);
}

Bytes encode_safetensors(const Metadata& metadata, const std::vector<TensorValues>& tensors) {
    std::vector<TensorEntry> entries;
    uint64_t begin = 0;
    for (const TensorValues& tensor : tensors) {
        const uint64_t end = begin + tensor.values.size() * sizeof(float);
        entries.push_back({tensor.name, "F32", tensor.shape, begin, end});
        begin = end;
    }
    Bytes file = encode_safetensors_header(metadata, entries);
    for (const TensorValues& tensor : tensors) {
        const auto* bytes = reinterpret_cast<const uint8_t*>(tensor.values.data());
        file.insert(file.end(), bytes, bytes + tensor.values.size() * sizeof(float));
    }
    return file;
}

}  // namespace emulsion::testing
