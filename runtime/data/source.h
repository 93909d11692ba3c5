// What training and evaluation read: rows by their index, whatever holds them.
//
// A row is one sample as the network reads it: f32 [H][W][C]. Labels are known from the start, so
// that a set can be split and shuffled before any row is read.
//
// Threads: once a source is open, `read` and the functions that are const may be called by any
// number of threads at once. Errors: opening and reading throw RuntimeError, which names the file;
// a read that throws leaves the row undefined and the source as it was, and the same index gives
// the same row, or the same error, whenever it is read.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/data/extra_input.h"
#include "runtime/data/normalize.h"
#include "runtime/data/resize.h"
#include "runtime/data/target.h"

namespace emulsion {

struct Source {
    std::string source;           // the folder or file, for messages
    PictureShape shape;           // of one row
    int classes = 0;              // labels are 0 .. classes - 1
    std::vector<int32_t> labels;  // [n], or empty where they are not known
    // What rows are trained towards: their labels, or else maps or numbers.
    TargetForm target;
    // [n][target.elements()], where they are in memory: class indices, or the bits of numbers in
    // the order H, W, C.
    std::vector<int32_t> targets;
    // What rows hold besides, and its values where they are in memory: of each extra input
    // [n][elements()], indices or the bits of numbers.
    std::vector<ExtraInput> extras;
    std::vector<std::vector<int32_t>> extra_values;
    // [classes], where the data themselves name their classes.
    std::vector<std::string> class_names;
    // How pictures of another size become rows; nothing where none does.
    std::optional<PictureRule> rule;
    // By which the numbers of a table were divided; pixels are not.
    double scale = 1.0;
    // What a person should know of the data, one line: "found 4 pictures in 2 classes".
    std::string note;

    Source() = default;
    Source(const Source&) = default;
    Source(Source&&) = default;
    Source& operator=(const Source&) = default;
    Source& operator=(Source&&) = default;
    virtual ~Source() = default;

    virtual uint64_t count() const = 0;
    // Writes the row to `row`, shape.elements() values. REQUIRES: index < count(); the normalizer
    // has the channels of `shape`.
    virtual void read(uint64_t index, const Normalizer& normalizer, float* row) const = 0;
    // Writes what the row is trained towards, target.elements() values: its label (0 where none is
    // known), or what `targets` has of it.
    virtual void read_target(uint64_t index, int32_t* target_row) const;
    // Writes what the row holds of extras[input], as extra_values has it. REQUIRES: there is such
    // an input.
    virtual void read_extra(uint64_t index, size_t input, int32_t* values) const;
    // What results and messages call a row.
    virtual std::string name_of(uint64_t index) const;
    // Whether reading a row only copies memory, so that more than one thread gains nothing.
    virtual bool is_in_memory() const = 0;
    // Of memory, in the main.
    virtual uint64_t bytes() const = 0;
    // Tells these data from others, as --resume does: of all that is in memory, or of names and
    // sizes of the files.
    virtual uint32_t checksum() const = 0;
    // Whether rows are pictures, which picture_at gives.
    virtual bool has_pictures() const { return false; }
    // The picture of a row before it is normalised, of the network's size. Throws RuntimeError
    // where rows are numbers.
    virtual Picture picture_at(uint64_t index) const;
};

}  // namespace emulsion
