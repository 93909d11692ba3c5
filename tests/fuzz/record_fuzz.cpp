// Files of tuned records, and the groups that their lines name.
#include "schedules/tune/record.h"

#include "schedules/tune/choice_signature.h"
#include "schedules/tune/signature.h"
#include "tests/fuzz/fuzz_support.h"

using namespace emulsion;

namespace {

void check_group(const TunedRecord& record) {
    if (record.is_choice()) {
        choice_fault(record.signature, record.choice);
        return;
    }
    try {
        const std::string signature = parse_signature(record.signature).signature();
        fuzz::require(parse_signature(signature).signature() == signature,
                      "the printed group parses to another one");
    } catch (const Error&) {  // of another version: the record is left out where it is looked at
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string text = fuzz::text_of({data, size});
    fuzz::read([&] {
        const ReadRecords read = parse_records(text, "a.records");
        for (const Diagnostic& fault : read.faults)
            fuzz::require(fault.where.line > 0 && !fault.fix.empty(), "a fault names no line");
        const std::string printed = print_records(read.records);
        const ReadRecords again = parse_records(printed, "b.records");
        fuzz::require(again.faults.empty(), "printed records do not parse");
        fuzz::require(print_records(again.records) == printed,
                      "printed records parse to other ones");
        for (const TunedRecord& record : read.records) check_group(record);
    });
    return 0;
}
