// What the programs read at most, in one table: a reader compares what a file says with its row
// here, and with what the network can use, before it takes memory or time for it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

namespace emulsion {

constexpr uint64_t kKibi = 1024, kMebi = kKibi * kKibi, kGibi = kMebi * kKibi;

// Files
constexpr size_t kMostNameBytes = 255;  // of a file in its folder
constexpr int kMostLinks = 40;          // that a path may lead through

// Messages
constexpr size_t kMostQuoted = 4096;  // bytes of a name

// Weights (safetensors)
constexpr uint64_t kMostHeaderBytes = 16 * kMebi;
constexpr size_t kMostTensors = 65536;
constexpr size_t kMostRank = 32;          // of a tensor
constexpr size_t kMostTensorName = 4096;  // bytes
constexpr size_t kMostMetadata = 1024;    // entries

// Checkpoints
constexpr uint64_t kMostCheckpointHead = 64 * kMebi;  // all but the two blocks of memory
constexpr uint64_t kMostLogBytes = 256 * kMebi;  // of a run's log, that a resumed run goes on with

// Data sets
constexpr int kMostIdxAxes = 4;
constexpr double kLeastScale = 1e-30, kMostScale = 1e30;  // that numbers are divided by
constexpr uint64_t kMostListFile = 1024 * kMebi;          // a list of pictures
constexpr uint64_t kMostTableLine = 64 * kMebi;           // of a CSV file
constexpr uint64_t kMostNpyHeader = 64 * kKibi;

// Bytes that a data set may take: three quarters of the memory of this machine, or of the control
// group that the process runs in.
uint64_t most_data_bytes();

// The least memory limit of the control groups named in the file `membership` (/proc/self/cgroup,
// both versions) and of those around them; UINT64_MAX: they set none. `root` is where control
// groups are mounted.
uint64_t cgroup_memory_limit(const std::string& membership, const std::string& root);

// Pictures
constexpr uint32_t kMostPictureSide = 32768;  // pixels
constexpr uint64_t kMostPicturePixels = 64 * kMebi;
constexpr uint64_t kMostPictureFile = 256 * kMebi;
constexpr uint64_t kMostPictureExtra = 16 * kMebi;  // of a file, beside its pixels
constexpr uint64_t kMostPixelBytes = 16;            // of a file, for one value of the network
constexpr uint64_t kMostPngChunk = 8 * kMebi;       // beside the pixels
constexpr uint32_t kMostPngChunks = 8;              // kept
constexpr int kMostJpegScans = 256;
constexpr uint64_t kMostJpegBlockVisits = 32 * kMebi;  // blocks of 64 values, times scans: a second

}  // namespace emulsion
