// JSON files that users hand to the compiler, field by field: what lacks, is of another form or out
// of range is refused by name.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace emulsion {

// A file, and what messages say of it.
struct JsonFile {
    std::string path;
    std::string kind;  // what it should be: "profile"
    std::string code;  // of errors
    std::string fix;

    // The text of at most `limit` bytes. Throws Error[code] where there is none.
    nlohmann::json read(uint64_t limit) const;
    // Throws Error[code]: "'PATH' is no KIND: PROBLEM".
    [[noreturn]] void refuse(const std::string& problem) const;
};

// One object of the file, which both outlive the reader; `where` names it in messages. All
// functions throw Error[code].
class JsonReader {
  public:
    JsonReader(const JsonFile& file, const nlohmann::json& json, std::string where = "the file");

    bool has(const char* name) const;
    // Refuses all fields but these.
    void expect_no_others(std::initializer_list<std::string_view> names) const;
    // Not empty.
    std::string text(const char* name) const;
    int64_t count(const char* name, int64_t least, int64_t most) const;
    int small(const char* name, int64_t least, int64_t most) const;  // REQUIRES: both are ints
    // A positive number, or zero where `zero` is true.
    double number(const char* name, bool zero) const;
    // The objects of a list that is not empty.
    std::vector<JsonReader> list(const char* name) const;
    JsonReader object(const char* name) const;

  private:
    const nlohmann::json& find(const char* name) const;
    [[noreturn]] void wrong(const char* name, const std::string& problem) const;

    const JsonFile& file_;
    const nlohmann::json& json_;
    std::string where_;
};

}  // namespace emulsion
