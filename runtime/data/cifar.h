// CIFAR-10 and CIFAR-100 in their binary form: records of labels (one byte, or two: coarse and
// fine, of which the fine one counts) and 3 x 32 x 32 bytes, all of red, then green, then blue.
#pragma once
#include <string>
#include <vector>

#include "runtime/data/dataset.h"

namespace emulsion {

// The files of a part in a folder: data_batch_1.bin … and test_batch.bin, or train.bin and
// test.bin. Empty where it has none.
std::vector<std::string> find_cifar_files(const std::string& folder, Part part);

// Records of these files; which kind they are is told by their length: a file whose bytes are
// records of both kinds is CIFAR-100 where its name says train or test. Throws RuntimeError where
// a file is cut, a label is beyond the classes, or the size is not the network's and the rule does
// not resize. Class names come from batches.meta.txt or fine_label_names.txt beside the files.
Dataset read_cifar(const std::vector<std::string>& files, const PictureShape& shape, int classes,
                   const DatasetLimits& limits);

}  // namespace emulsion
