// See descriptor.h.
#include "runtime/support/descriptor.h"

#include <poll.h>

#include <cerrno>

namespace emulsion {

int write_all(int descriptor, std::string_view text) {
    while (!text.empty()) {
        const ssize_t count = write(descriptor, text.data(), text.size());
        const int code = count < 0 ? errno : EIO;  // none written is no progress
        if (count > 0) {
            text.remove_prefix(static_cast<size_t>(count));
        } else if (code == EAGAIN || code == EWOULDBLOCK) {
            pollfd stream{descriptor, POLLOUT, 0};
            poll(&stream, 1, -1);
        } else if (code != EINTR) {
            return code;
        }
    }
    return 0;
}

}  // namespace emulsion
