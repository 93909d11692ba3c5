// The epochs of a run as CSV (RFC 4180, lines end with a line feed), training and validation side
// by side. Numbers have a decimal point in any locale; what is not known is empty.
#pragma once
#include <cstdint>
#include <string>

#include "runtime/train/run.h"

namespace emulsion {

// "epoch,step,loss,accuracy,validation_loss,validation_accuracy,validation_top,learning_rate,seconds,
// images_per_second", and "NAME,validation_NAME" behind the accuracies for each further classifier
// that the record counts.
std::string csv_header(const EpochRecord& record);
std::string csv_row(const EpochRecord& record, int64_t step);

}  // namespace emulsion
