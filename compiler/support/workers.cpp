// A pool of forked processes that send their results through pipes.
#include "compiler/support/workers.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>

#include "compiler/support/interrupts.h"
#include "runtime/abi/instance.h"

namespace emulsion {

namespace {

using Clock = std::chrono::steady_clock;

struct Worker {
    pid_t pid = -1;
    int pipe = -1;
    size_t job = 0;
    Clock::time_point deadline;
    std::string bytes;
};

int wait_for(pid_t pid) {
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

// Whether it has; it can still be waited for.
bool has_ended(pid_t pid) {
    siginfo_t info{};
    return waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == pid;
}

// The worker and what it started: each leads a process group.
void kill_group(const Worker& worker) {
    if (kill(-worker.pid, SIGKILL) != 0) kill(worker.pid, SIGKILL);
}

// The workers that run; what is left of them at the end, because of an exception, is killed, all
// before the first is waited for.
struct Workers : std::vector<Worker> {
    ~Workers() {
        for (const Worker& worker : *this) kill_group(worker);
        for (const Worker& worker : *this) {
            wait_for(worker.pid);
            close(worker.pipe);
        }
    }
};

void write_all(int file, const std::string& bytes) {
    size_t done = 0;
    while (done < bytes.size()) {
        ssize_t written = write(file, bytes.data() + done, bytes.size() - done);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) _exit(3);
        done += static_cast<size_t>(written);
    }
}

void limit_memory(int64_t extra_bytes) {
    if (extra_bytes <= 0) return;
    long pages = 0;
    if (FILE* file = std::fopen("/proc/self/statm", "r")) {
        if (std::fscanf(file, "%ld", &pages) != 1) pages = 0;
        std::fclose(file);
    }
    rlim_t bytes = static_cast<rlim_t>(pages) * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) +
                   static_cast<rlim_t>(extra_bytes);
    rlimit limit{bytes, bytes};
    setrlimit(RLIMIT_AS, &limit);
    rlimit no_core{0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
}

// The child: first byte '+' or '-', then the output or the failure.
[[noreturn]] void run_job(int file, size_t index, const std::function<std::string(size_t)>& job,
                          const std::function<std::string()>& describe, int64_t memory_bytes) {
    limit_memory(memory_bytes);
    std::string reply;
    try {
        reply = "+" + job(index);
    } catch (...) {
        reply = "-" + describe();
    }
    write_all(file, reply);
    _exit(0);
}

Worker start(size_t index, const std::function<std::string(size_t)>& job,
             const std::function<std::string()>& describe, const WorkerLimits& limits) {
    Worker worker;
    worker.job = index;
    worker.deadline = Clock::now() +
                      std::chrono::milliseconds(static_cast<int64_t>(limits.timeout_seconds * 1e3));
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return worker;
    std::fflush(nullptr);
    worker.pid = fork_child(SIGKILL);
    if (worker.pid >= 0) setpgid(worker.pid, worker.pid);  // in both, since either may be first
    if (worker.pid == 0) {
        close(ends[0]);
        run_job(ends[1], index, job, describe, limits.memory_bytes);
    }
    close(ends[1]);
    if (worker.pid < 0) {
        close(ends[0]);
        return worker;
    }
    worker.pipe = ends[0];
    return worker;
}

JobResult result_of(const Worker& worker, int status) {
    JobResult result;
    if (WIFSIGNALED(status)) {
        result.failure =
            fmt::format("killed by signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
    } else if (WEXITSTATUS(status) != 0 || worker.bytes.empty()) {
        result.failure = fmt::format("ended with status {} and no result", WEXITSTATUS(status));
    } else if (worker.bytes[0] == '+') {
        result.ok = true;
        result.output = worker.bytes.substr(1);
    } else {
        result.failure = worker.bytes.substr(1);
    }
    return result;
}

// Reads what has arrived; true when the worker has closed its pipe.
bool drain(Worker& worker) {
    char buffer[1 << 16];
    ssize_t count = read(worker.pipe, buffer, sizeof buffer);
    if (count > 0) worker.bytes.append(buffer, static_cast<size_t>(count));
    return count == 0 || (count < 0 && errno != EINTR && errno != EAGAIN);
}

// Waits up to 100 ms for words of the workers, then lets each that ended, or whose time is over,
// end; `finish` gets it and its result.
template <class Finish>
void attend(Workers& live, const WorkerLimits& limits, const Finish& finish) {
    std::vector<pollfd> polls;
    for (const Worker& worker : live) polls.push_back({worker.pipe, POLLIN, 0});
    poll(polls.data(), polls.size(), 100);
    check_interrupts();
    for (size_t i = live.size(); i-- > 0;) {
        Worker& worker = live[i];
        const bool late = Clock::now() > worker.deadline;
        if (late) kill_group(worker);
        if (!late && (polls[i].revents == 0 || !drain(worker))) continue;
        const int status = wait_for(worker.pid);
        close(worker.pipe);
        JobResult result = result_of(worker, status);
        if (late)
            result = {false, "", fmt::format("took longer than {:.0f} s", limits.timeout_seconds)};
        finish(worker.job, std::move(result));
        live.erase(live.begin() + static_cast<std::ptrdiff_t>(i));
    }
}

constexpr const char* kNoProcess = "the system refused to start a process";

}  // namespace

std::vector<JobResult> run_forked(size_t count, const std::function<std::string(size_t)>& job,
                                  const std::function<std::string()>& describe,
                                  const WorkerLimits& limits) {
    std::vector<JobResult> results(count);
    Workers live;
    size_t processes =
        static_cast<size_t>(limits.processes > 0 ? limits.processes : emulsion_cpu_count());
    size_t next = 0;
    while (next < count || !live.empty()) {
        while (next < count && live.size() < processes) {
            Worker worker = start(next, job, describe, limits);
            if (worker.pid < 0) {
                results[next].failure = kNoProcess;
            } else {
                live.push_back(worker);
            }
            next++;
        }
        attend(live, limits, [&](size_t i, JobResult result) { results[i] = std::move(result); });
    }
    return results;
}

// ---- One job beside this process ----

struct BackgroundJob::State {
    Workers live;  // the one, until it ended
    WorkerLimits limits;
};

BackgroundJob::BackgroundJob(const std::function<std::string()>& job,
                             const std::function<std::string()>& describe,
                             const WorkerLimits& limits)
    : state_(std::make_unique<State>()) {
    state_->limits = limits;
    const auto at_request = [&](size_t) {
        const CatchInterrupts interrupts;
        return job();
    };
    const Worker worker = start(0, at_request, describe, limits);
    if (worker.pid >= 0) state_->live.push_back(worker);
}

BackgroundJob::~BackgroundJob() {
    constexpr int kGraceMs = 500;
    if (state_->live.empty()) return;
    const Worker& worker = state_->live[0];
    kill(worker.pid, SIGTERM);
    const Clock::time_point end = Clock::now() + std::chrono::milliseconds(kGraceMs);
    while (Clock::now() < end && !has_ended(worker.pid)) usleep(2000);
}

JobResult BackgroundJob::wait() {
    JobResult result{false, "", kNoProcess};
    while (!state_->live.empty())
        attend(state_->live, state_->limits,
               [&](size_t, JobResult own) { result = std::move(own); });
    return result;
}

}  // namespace emulsion
