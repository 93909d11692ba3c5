// See journal.h.
#include "schedules/tune/journal.h"

#include <fmt/format.h>
#include <unistd.h>

#include <fstream>

namespace emulsion {

namespace {

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

void Journal::make_durable() {
    if (!database_->is_in_transaction()) database_->execute("PRAGMA synchronous = FULL");
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
        list.push_back({internal::candidate_in(rows, 0),
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
        list.push_back({internal::candidate_in(rows, 0), rows.number(3), rows.number(4),
                        rows.number(5), rows.integer(6) != 0, rows.integer(7) != 0});
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

}  // namespace emulsion
