// See records_lock.h.
#include "schedules/tune/records_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "compiler/support/interrupts.h"
#include "runtime/support/path.h"

namespace emulsion {

namespace {

constexpr useconds_t kPause = 5000;  // microseconds; whoever holds it saves one file

int open_folder(std::string file) {
    resolve_links(&file);
    return open(folder_of(file).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

}  // namespace

RecordsLock::RecordsLock(std::string file) : folder_(open_folder(std::move(file))) {
    while (flock(folder_.number, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        check_interrupts();
        usleep(kPause);
    }
}

}  // namespace emulsion
