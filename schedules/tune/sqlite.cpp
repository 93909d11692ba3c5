// See sqlite.h.
#include "schedules/tune/sqlite.h"

#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <optional>
#include <random>
#include <thread>
#include <utility>

#include "compiler/support/diagnostic.h"
#include "compiler/support/interrupts.h"

namespace emulsion {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kMostWaits = 3000;                   // of 1 to 20 ms, for others that write
constexpr std::chrono::milliseconds kGrace{1000};  // once a signal asks this process to end

bool is_interrupted() {
    try {
        check_interrupts();
        return false;
    } catch (const Interrupted&) {
        return true;
    }
}

// Waits a moment while another connection writes, each time another one, so that nobody is left
// out. Where a signal asks this process to end, what is finished has `kGrace` to get in, all waits
// together.
int wait_for_others(void*, int count) {
    if (count >= kMostWaits) return 0;
    static std::optional<Clock::time_point> last;
    if (is_interrupted()) {
        if (!last) last = Clock::now() + kGrace;
        if (Clock::now() > *last) return 0;
    } else {
        last.reset();
    }
    thread_local std::minstd_rand random(static_cast<unsigned>(getpid()));
    std::this_thread::sleep_for(std::chrono::milliseconds(1 + random() % 20));
    return 1;
}

const char* remedy_of(int code) {
    switch (code & 0xFF) {
        case SQLITE_FULL:
            return "free space on its disk, or name another file with --journal";
        case SQLITE_READONLY:
        case SQLITE_CANTOPEN:
        case SQLITE_PERM:
            return "name a file in a folder that you may write to with --journal";
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            return "end the program that holds it, or name another file with --journal";
        default:
            return "name another file with --journal";
    }
}

}  // namespace

Database::Database(const std::string& file, bool read_only) : file_(file) {
    const int mode = read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    const int code = sqlite3_open_v2(file.c_str(), &handle_, mode, nullptr);
    if (code == SQLITE_OK) {
        sqlite3_extended_result_codes(handle_, 1);
        sqlite3_busy_handler(handle_, wait_for_others, nullptr);
        return;
    }
    const std::string problem = handle_ != nullptr ? sqlite3_errmsg(handle_) : "memory ran out";
    const int system = handle_ != nullptr ? sqlite3_system_errno(handle_) : 0;
    sqlite3_close(handle_);
    handle_ = nullptr;
    emulsion::fail("journal",
                   fmt::format("the journal '{}' cannot be opened: {}", file,
                               system != 0 ? std::strerror(system) : problem),
                   remedy_of(code));
}

Database::~Database() { sqlite3_close(handle_); }

void Database::fail(int code) const {
    const std::string problem = sqlite3_errmsg(handle_);
    if ((code & 0xFF) == SQLITE_BUSY) check_interrupts();
    if ((code & 0xFF) == SQLITE_CORRUPT || (code & 0xFF) == SQLITE_NOTADB)
        throw DamagedDatabase{problem};
    emulsion::fail("journal", fmt::format("the journal '{}' cannot be used: {}", file_, problem),
                   remedy_of(code));
}

void Database::execute(const std::string& statements) {
    const int code = sqlite3_exec(handle_, statements.c_str(), nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) fail(code);
}

int64_t Database::number(const std::string& query) {
    Statement statement(*this, query);
    return statement.step() ? statement.integer(0) : 0;
}

std::string Database::text(const std::string& query) {
    Statement statement(*this, query);
    return statement.step() ? statement.text(0) : "";
}

bool Database::is_in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }

int Database::changes() const { return sqlite3_changes(handle_); }

Statement::Statement(Database& database, std::string_view text) : database_(database) {
    const int code = sqlite3_prepare_v2(database.handle_, text.data(),
                                        static_cast<int>(text.size()), &statement_, nullptr);
    if (code != SQLITE_OK) database.fail(code);
}

Statement::~Statement() { sqlite3_finalize(statement_); }

Statement& Statement::bind(std::string_view value) {
    // As with SQLITE_TRANSIENT, whose macro is a cast of the old kind.
    const auto copied = reinterpret_cast<sqlite3_destructor_type>(-1);
    const int code = sqlite3_bind_text(statement_, ++bound_, value.data(),
                                       static_cast<int>(value.size()), copied);
    if (code != SQLITE_OK) database_.fail(code);
    return *this;
}

Statement& Statement::bind(int64_t value) {
    if (const int code = sqlite3_bind_int64(statement_, ++bound_, value); code != SQLITE_OK)
        database_.fail(code);
    return *this;
}

Statement& Statement::bind(double value) {
    if (const int code = sqlite3_bind_double(statement_, ++bound_, value); code != SQLITE_OK)
        database_.fail(code);
    return *this;
}

bool Statement::step() {
    const int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code != SQLITE_DONE) database_.fail(code);
    return false;
}

std::string Statement::text(int column) const {
    const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    return bytes == nullptr ? "" : bytes;
}

int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_, column); }

int Statement::small_integer(int column) const {
    const int64_t value = integer(column);
    if (std::in_range<int>(value)) return static_cast<int>(value);
    fail("journal",
         fmt::format("the journal '{}' holds {}, which has no 32 bits, as its '{}'",
                     database_.file_, value, sqlite3_column_name(statement_, column)),
         "name another file with --journal, or remove this one");
}

double Statement::number(int column) const { return sqlite3_column_double(statement_, column); }

Transaction::Transaction(Database& database)
    : database_(database), is_open_(!database.is_in_transaction()) {
    if (is_open_) database.execute("BEGIN IMMEDIATE");
}

Transaction::~Transaction() {
    if (!is_open_) return;
    try {
        database_.execute("ROLLBACK");
    } catch (...) {  // the exception that passes says more
    }
}

void Transaction::commit() {
    if (!is_open_) return;
    database_.execute("COMMIT");
    is_open_ = false;
}

}  // namespace emulsion
