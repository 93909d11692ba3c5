// The file of a journal: its tables, opening it, what is saved of a damaged one, and reading one as
// a whole.
#include <fmt/format.h>

#include <filesystem>

#include "runtime/support/path.h"
#include "schedules/tune/journal.h"

namespace emulsion {

namespace {

namespace fs = std::filesystem;

constexpr int64_t kVersion = 2;
constexpr const char* kTables = R"(
CREATE TABLE kernels (
    id INTEGER PRIMARY KEY,
    build TEXT NOT NULL, machine TEXT NOT NULL, isa TEXT NOT NULL, threads INTEGER NOT NULL,
    signature TEXT NOT NULL,
    seconds REAL NOT NULL DEFAULT 0,
    UNIQUE (build, machine, isa, threads, signature));
CREATE TABLE trials (
    kernel INTEGER NOT NULL REFERENCES kernels, recipe TEXT NOT NULL, version INTEGER NOT NULL,
    tiling TEXT NOT NULL,
    owner TEXT NOT NULL,    -- the process that measures; empty when it is done
    outcome TEXT, note TEXT,
    current_us REAL, candidate_us REAL, ratio REAL, pairs INTEGER, wins INTEGER, contended INTEGER,
    seconds REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (kernel, recipe, version, tiling)) WITHOUT ROWID;
CREATE TABLE confirmations (
    kernel INTEGER NOT NULL REFERENCES kernels, recipe TEXT NOT NULL, version INTEGER NOT NULL,
    tiling TEXT NOT NULL, default_us REAL NOT NULL, tuned_us REAL NOT NULL, spread REAL NOT NULL,
    contended INTEGER NOT NULL, accepted INTEGER NOT NULL);
)";
// Of the network's step, since version 2.
constexpr const char* kStepTables = R"(
CREATE TABLE step_checks (
    kernel INTEGER NOT NULL REFERENCES kernels, recipe TEXT NOT NULL, version INTEGER NOT NULL,
    tiling TEXT NOT NULL, default_us REAL NOT NULL, tuned_us REAL NOT NULL, spread REAL NOT NULL,
    contended INTEGER NOT NULL, accepted INTEGER NOT NULL);
CREATE TABLE defaults (
    kernel INTEGER PRIMARY KEY REFERENCES kernels, us REAL NOT NULL, contended INTEGER NOT NULL);
)";

}  // namespace

Candidate internal::candidate_in(const Statement& row, int column) {
    return {row.text(column), row.small_integer(column + 1), parse_tiling(row.text(column + 2))};
}

void Journal::open() {
    database_.emplace(file_);
    Database& database = *database_;
    Transaction transaction(database);  // which also finds out whether the file can be written
    const int64_t version = database.number("PRAGMA user_version");
    const bool is_new = version == 0 && database.number("SELECT count(*) FROM sqlite_master") == 0;
    if (is_new) database.execute(kTables);
    if (is_new || version == 1)
        database.execute(fmt::format("{} PRAGMA user_version = {}", kStepTables, kVersion));
    if (!is_new && version != 1 && version != kVersion) {
        fail("journal",
             fmt::format("the journal '{}' is of version {}, but this build writes version {}",
                         file_, version, kVersion),
             "name another file with --journal, or remove this one");
    }
    transaction.commit();
    // Readers and a writer at once; where the file system cannot, or another tuner has just opened
    // the file, the journal works without.
    try {
        database.execute("PRAGMA journal_mode = WAL");
    } catch (const Error&) {
    }
    if (!is_new && database.text("PRAGMA quick_check(1)") != "ok")
        throw DamagedDatabase{"its pages do not fit together"};
}

// From both ends, up to the damage.
void Journal::copy_table(Database& source, const std::string& table) {
    const int64_t columns =
        source.number(fmt::format("SELECT count(*) FROM pragma_table_info('{}')", table));
    if (columns == 0) return;  // the description of the table is damaged too
    std::string places = "?";
    for (int64_t i = 1; i < columns; i++) places += ", ?";
    for (const char* order : {"ASC", "DESC"}) {
        try {
            Statement rows(source, fmt::format("SELECT * FROM {} ORDER BY 1 {}", table, order));
            while (rows.step()) {
                Statement row(*database_,
                              fmt::format("INSERT OR IGNORE INTO {} VALUES ({})", table, places));
                for (int i = 0; i < columns; i++) row.bind(rows.text(i));
                row.run();
            }
        } catch (const DamagedDatabase&) {
        }
    }
}

// What can be read of the damaged file goes to a new journal.
void Journal::salvage(const std::string& problem) {
    database_.reset();
    const std::string damaged = file_ + ".damaged";
    std::error_code error;
    for (const char* part : {"", "-wal", "-shm"}) {
        fs::remove(damaged + part, error);
        fs::rename(file_ + part, damaged + part, error);
    }
    try {
        open();
        Database source(damaged);
        source.execute("PRAGMA writable_schema = ON");  // else a file that was cut is not read
        Transaction transaction(*database_);
        for (const char* table : {"kernels", "trials", "confirmations", "step_checks", "defaults"})
            copy_table(source, table);
        // Of a row that lies across the cut the last columns are zero.
        database_->execute(
            "DELETE FROM trials WHERE owner <> '' OR seconds <= 0 OR"
            " kernel NOT IN (SELECT id FROM kernels);"
            "DELETE FROM defaults WHERE us <= 0 OR kernel NOT IN (SELECT id FROM kernels)");
        for (const char* table : {"confirmations", "step_checks"}) {  // and each row once
            database_->execute(fmt::format(
                "DELETE FROM {0} WHERE tuned_us <= 0 OR kernel NOT IN (SELECT id FROM kernels) OR "
                "rowid NOT IN (SELECT min(rowid) FROM {0} GROUP BY kernel, recipe, version, "
                "tiling, default_us, tuned_us)",
                table));
        }
        transaction.commit();
    } catch (const DamagedDatabase&) {  // nothing of it can be read
    }
    const auto count = [&](const char* table) {
        return database_->number(fmt::format("SELECT count(*) FROM {}", table));
    };
    note_ = fmt::format(
        "the journal '{}' is damaged ({}): {} trials and {} confirmations of {} kernels were read "
        "from it, the rest is lost; it stays as '{}'",
        file_, problem, count("trials"), count("confirmations"), count("kernels"), damaged);
}

std::vector<Measured> read_measured(const std::string& file) {
    const auto refuse = [&](const std::string& problem) {
        fail("journal", fmt::format("'{}' is no journal: {}", file, problem),
             "name the file that tune wrote with --journal");
    };
    if (!is_file(file)) refuse("there is no such file");
    try {
        Database database(file, /*read_only=*/true);
        const int64_t version = database.number("PRAGMA user_version");
        if (version < 1 || version > kVersion)
            refuse(
                fmt::format("its version is {}, this build reads version {}", version, kVersion));
        Statement rows(database,
                       "SELECT id, build, machine, isa, threads, signature, recipe, version, "
                       "tiling, candidate_us, contended FROM trials JOIN kernels "
                       "ON trials.kernel = kernels.id WHERE owner = '' AND candidate_us > 0 "
                       "AND signature NOT LIKE 'choice %' "
                       "ORDER BY id, recipe, version, tiling");
        std::vector<Measured> list;
        while (rows.step()) {
            list.push_back(
                {rows.integer(0),
                 {rows.text(1), rows.text(2), rows.text(3), rows.small_integer(4), rows.text(5)},
                 internal::candidate_in(rows, 6),
                 rows.number(9),
                 rows.integer(10) != 0});
        }
        return list;
    } catch (const DamagedDatabase& damage) {
        refuse(damage.problem);
    }
    return {};
}

}  // namespace emulsion
