// The reporter of CSV: a row for each epoch, under a header.
#include "runtime/train/epoch_csv.h"
#include "runtime/train/reporter.h"

namespace emulsion {

namespace {

class CsvReporter : public Reporter {
  public:
    explicit CsvReporter(Console& console) : console_(console) {}

    void epoch(const EpochRecord& record, int64_t step) override {
        if (!has_header_) console_.results(csv_header(record));
        has_header_ = true;
        console_.results(csv_row(record, step));
    }

  private:
    Console& console_;
    bool has_header_ = false;
};

}  // namespace

std::unique_ptr<Reporter> make_csv_reporter(Console& console) {
    return std::make_unique<CsvReporter>(console);
}

}  // namespace emulsion
