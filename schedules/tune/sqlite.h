// SQLite with errors as messages: what of the journal cannot be done, and how to mend it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace emulsion {

// Thrown where the file is damaged or no database at all; everything else is Error[journal].
struct DamagedDatabase {
    std::string problem;
};

class Database {
  public:
    // Opens or makes the file; `read_only` opens what is there.
    explicit Database(const std::string& file, bool read_only = false);
    ~Database();
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    // Runs statements without results.
    void execute(const std::string& statements);
    int64_t number(const std::string& query);  // the first column of the first row
    std::string text(const std::string& query);
    int changes() const;  // rows of the last statement
    bool is_in_transaction() const;
    [[noreturn]] void fail(int code) const;

  private:
    friend class Statement;
    std::string file_;
    sqlite3* handle_ = nullptr;
};

// A statement with parameters, bound in order.
class Statement {
  public:
    Statement(Database& database, std::string_view text);
    ~Statement();
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    Statement& bind(std::string_view value);
    Statement& bind(int64_t value);
    Statement& bind(int value) { return bind(int64_t{value}); }
    Statement& bind(double value);
    bool step();  // whether there is a row
    void run() {
        while (step()) {
        }
    }

    // Columns of the row, from 0 on.
    std::string text(int column) const;
    int64_t integer(int column) const;
    int small_integer(int column) const;  // Error[journal] where it has no 32 bits
    double number(int column) const;

  private:
    Database& database_;
    sqlite3_stmt* statement_ = nullptr;
    int bound_ = 0;
};

// BEGIN IMMEDIATE … COMMIT, or ROLLBACK where an exception passes; within another one, a part of
// that.
class Transaction {
  public:
    explicit Transaction(Database& database);
    ~Transaction();
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    void commit();

  private:
    Database& database_;
    bool is_open_;
};

}  // namespace emulsion
