// The scheduler's own account of each thread (/proc/self/task/*/schedstat: seconds that it ran, and
// that it was ready and waited), and stolen time (/proc/stat). Where the system keeps none of them,
// nothing is lost.
#include "schedules/tune/contention.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>

namespace emulsion {

ContentionWatch::Counters ContentionWatch::read() {
    Counters counters;
    std::error_code error;
    for (std::filesystem::directory_iterator task("/proc/self/task", error), end;
         !error && task != end; task.increment(error)) {
        std::FILE* file = std::fopen((task->path() / "schedstat").c_str(), "r");
        if (file == nullptr) continue;
        double ran = 0, waited = 0;
        if (std::fscanf(file, "%lf %lf", &ran, &waited) == 2) {
            counters.ran += ran * 1e-9;
            counters.waited += waited * 1e-9;
        }
        std::fclose(file);
    }
    if (std::FILE* file = std::fopen("/proc/stat", "r")) {
        double user = 0, nice = 0, system = 0, idle = 0, wait = 0, hard = 0, soft = 0, stolen = 0;
        if (std::fscanf(file, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &user, &nice, &system, &idle,
                        &wait, &hard, &soft, &stolen) == 8) {
            counters.stolen = stolen;
            counters.all = user + nice + system + idle + wait + hard + soft + stolen;
        }
        std::fclose(file);
    }
    return counters;
}

ContentionWatch::ContentionWatch() : begin_(read()) {}

double ContentionWatch::share_lost() const {
    const Counters now = read();
    const double ran = now.ran - begin_.ran, waited = now.waited - begin_.waited;
    const double all = now.all - begin_.all;
    const double waiting = ran + waited > 0 ? waited / (ran + waited) : 0;
    const double stolen = all > 0 ? (now.stolen - begin_.stolen) / all : 0;
    return std::max(waiting, stolen);
}

}  // namespace emulsion
