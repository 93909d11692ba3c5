// See journal.h.
#include "schedules/tune/journal.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "runtime/support/path.h"

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

// A process by host, number and start, so that a number that is used again is another process.
std::string start_of(const std::string& pid) {
    std::ifstream file("/proc/" + pid + "/stat");
    std::string text((std::istreambuf_iterator<char>(file)), {});
    size_t place = text.rfind(')');
    if (place == std::string::npos) return "";
    for (int field = 2; field < 22 && place != std::string::npos; field++)
        place = text.find(' ', place + 1);
    if (place == std::string::npos) return "";
    return text.substr(place + 1, text.find(' ', place + 1) - place - 1);
}

std::string host() {
    char name[256] = {};
    gethostname(name, sizeof name - 1);
    return name;
}

std::string own_name() {
    const std::string pid = std::to_string(getpid());
    return fmt::format("{} {} {}", pid, start_of(pid), host());
}

// Whether the process of this name may still be at work; one of another machine may.
bool is_alive(const std::string& owner) {
    const size_t first = owner.find(' '), second = owner.find(' ', first + 1);
    if (first == std::string::npos || second == std::string::npos) return false;
    if (owner.substr(second + 1) != host()) return true;
    return start_of(owner.substr(0, first)) == owner.substr(first + 1, second - first - 1);
}

Candidate candidate_in(const Statement& row, int column) {
    return {row.text(column), row.small_integer(column + 1), parse_tiling(row.text(column + 2))};
}

// The three columns that name a candidate, in their order.
Statement& bind_candidate(Statement& statement, const Candidate& candidate) {
    return statement.bind(candidate.recipe)
        .bind(candidate.version)
        .bind(to_string(candidate.tiling));
}

}  // namespace

Journal::Journal(const std::string& file) : file_(file), owner_(own_name()) {
    try {
        open();
    } catch (const DamagedDatabase& damage) {
        salvage(damage.problem);
    }
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

void Journal::make_durable() {
    if (!database_->is_in_transaction()) database_->execute("PRAGMA synchronous = FULL");
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

Journal::~Journal() {
    try {
        if (database_)
            Statement(*database_, "DELETE FROM trials WHERE owner = ?").bind(owner_).run();
    } catch (...) {  // the next tuner finds that this one has ended
    }
}

int64_t Journal::number_of(const JournalKernel& kernel) {
    const auto bind = [&](Statement& statement) {
        statement.bind(kernel.build)
            .bind(kernel.machine)
            .bind(kernel.isa)
            .bind(kernel.threads)
            .bind(kernel.signature);
    };
    Statement insert(*database_,
                     "INSERT OR IGNORE INTO kernels (build, machine, isa, threads, signature) "
                     "VALUES (?, ?, ?, ?, ?)");
    bind(insert);
    insert.run();
    Statement find(*database_,
                   "SELECT id FROM kernels WHERE build = ? AND machine = ? AND isa = ? AND "
                   "threads = ? AND signature = ?");
    bind(find);
    EMU_CHECK(find.step(), "a kernel that was just written is not in the journal");
    return find.integer(0);
}

bool Journal::claim(int64_t kernel, const Candidate& candidate) {
    database_->execute("PRAGMA synchronous = NORMAL");  // a power cut may undo it
    Transaction transaction(*database_);
    Statement find(*database_,
                   "SELECT owner FROM trials WHERE kernel = ? AND recipe = ? AND version = ? AND "
                   "tiling = ?");
    bind_candidate(find.bind(kernel), candidate);
    if (find.step() && (find.text(0).empty() || is_alive(find.text(0)))) return false;
    Statement claimed(*database_,
                      "INSERT OR REPLACE INTO trials (kernel, recipe, version, tiling, owner) "
                      "VALUES (?, ?, ?, ?, ?)");
    bind_candidate(claimed.bind(kernel), candidate).bind(owner_).run();
    transaction.commit();
    return true;
}

void Journal::finish(int64_t kernel, const Candidate& candidate, const Trial& trial,
                     double seconds) {
    const PairedTimes& times = trial.times;
    make_durable();
    Statement update(
        *database_,
        "UPDATE trials SET owner = '', outcome = ?, note = ?, current_us = ?, "
        "candidate_us = ?, ratio = ?, pairs = ?, wins = ?, contended = ?, seconds = ? "
        "WHERE kernel = ? AND recipe = ? AND version = ? AND tiling = ? AND owner = ?");
    update.bind(to_string(trial.outcome))
        .bind(trial.note)
        .bind(times.current_seconds() * 1e6)
        .bind(times.candidate_seconds() * 1e6)
        .bind(times.ratio())
        .bind(static_cast<int64_t>(times.pairs.size()))
        .bind(times.wins())
        .bind(times.contended ? 1 : 0)
        .bind(seconds)
        .bind(kernel);
    bind_candidate(update, candidate).bind(owner_).run();
}

void Journal::insert(const char* table, int64_t kernel, const Confirmation& c, double seconds) {
    make_durable();
    Transaction transaction(*database_);
    Statement row(*database_,
                  fmt::format("INSERT INTO {} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", table));
    bind_candidate(row.bind(kernel), c.candidate)
        .bind(c.default_us)
        .bind(c.tuned_us)
        .bind(c.spread)
        .bind(c.is_contended ? 1 : 0)
        .bind(c.is_accepted ? 1 : 0)
        .run();
    add_seconds(kernel, seconds);
    transaction.commit();
}

void Journal::confirm(int64_t kernel, const Confirmation& c, double seconds) {
    insert("confirmations", kernel, c, seconds);
}

void Journal::check_in_step(int64_t kernel, const Confirmation& check, double seconds) {
    insert("step_checks", kernel, check, seconds);
}

void Journal::time_default(int64_t kernel, double us, bool is_contended, double seconds) {
    make_durable();
    Transaction transaction(*database_);
    Statement(*database_, "INSERT OR REPLACE INTO defaults VALUES (?, ?, ?)")
        .bind(kernel)
        .bind(us)
        .bind(is_contended ? 1 : 0)
        .run();
    add_seconds(kernel, seconds);
    transaction.commit();
}

void Journal::add_seconds(int64_t kernel, double seconds) {
    Statement(*database_, "UPDATE kernels SET seconds = seconds + ? WHERE id = ?")
        .bind(seconds)
        .bind(kernel)
        .run();
}

std::vector<Journal::Finished> Journal::finished(int64_t kernel) {
    Statement rows(*database_,
                   "SELECT recipe, version, tiling, outcome, candidate_us FROM trials "
                   "WHERE kernel = ? AND owner = '' ORDER BY recipe, version, tiling");
    rows.bind(kernel);
    std::vector<Finished> list;
    while (rows.step()) {
        list.push_back({candidate_in(rows, 0),
                        parse_outcome(rows.text(3)).value_or(Outcome::slower), rows.number(4)});
    }
    return list;
}

std::vector<Confirmation> Journal::rows_of(const char* table, int64_t kernel) {
    Statement rows(*database_,
                   fmt::format("SELECT recipe, version, tiling, default_us, tuned_us, spread, "
                               "accepted, contended FROM {} WHERE kernel = ? ORDER BY rowid",
                               table));
    rows.bind(kernel);
    std::vector<Confirmation> list;
    while (rows.step()) {
        list.push_back({candidate_in(rows, 0), rows.number(3), rows.number(4), rows.number(5),
                        rows.integer(6) != 0, rows.integer(7) != 0});
    }
    return list;
}

std::vector<Confirmation> Journal::confirmations(int64_t kernel) {
    return rows_of("confirmations", kernel);
}

std::vector<Confirmation> Journal::step_checks(int64_t kernel) {
    return rows_of("step_checks", kernel);
}

std::optional<double> Journal::default_us(int64_t kernel) {
    Statement row(*database_, "SELECT us FROM defaults WHERE kernel = ?");
    row.bind(kernel);
    return row.step() ? std::optional(row.number(0)) : std::nullopt;
}

Spent Journal::spent(const std::vector<int64_t>& kernels) {
    Spent spent;
    for (const int64_t kernel : kernels) {
        Statement own(*database_, "SELECT seconds FROM kernels WHERE id = ?");
        own.bind(kernel);
        if (own.step()) spent.seconds += own.number(0);
        Statement trials(*database_,
                         "SELECT count(*), total(seconds) FROM trials "
                         "WHERE kernel = ? AND owner = ''");
        trials.bind(kernel);
        if (!trials.step()) continue;
        spent.trials += trials.small_integer(0);
        spent.seconds += trials.number(1);
    }
    return spent;
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
                       "ORDER BY id, recipe, version, tiling");
        std::vector<Measured> list;
        while (rows.step()) {
            list.push_back(
                {rows.integer(0),
                 {rows.text(1), rows.text(2), rows.text(3), rows.small_integer(4), rows.text(5)},
                 candidate_in(rows, 6),
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
