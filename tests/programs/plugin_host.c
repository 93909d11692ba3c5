/* Loads and unloads shared objects that hold two_networks.c with its networks, calls each, and
 * looks whether anything of them stays: a thread, a mapping, a handler of fork.
 *
 * Usage: plugin_host PLUGIN... */
#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kRounds = 3, kMostPlugins = 4 };

static void fail(const char* what, const char* detail) {
    fprintf(stderr, "%s: %s\n", what, detail);
    exit(1);
}

/* Whether the thread is not on its way out: one that is joined may still leave. */
static int is_running(const char* thread) {
    enum { kExiting = 4 }; /* the kernel's PF_EXITING, set before a join returns */
    char path[64], line[1024] = "";
    unsigned flags = kExiting;
    snprintf(path, sizeof path, "/proc/self/task/%.20s/stat", thread);
    FILE* file = fopen(path, "r");
    if (file == NULL) return 0; /* it has left */
    const char* name_end = fgets(line, sizeof line, file) == NULL ? NULL : strrchr(line, ')');
    if (name_end != NULL) sscanf(name_end + 1, " %*c %*d %*d %*d %*d %*d %u", &flags);
    fclose(file);
    return (flags & kExiting) == 0;
}

static int count_threads(void) {
    int count = 0;
    DIR* folder = opendir("/proc/self/task");
    if (folder == NULL) fail("/proc/self/task", "cannot be read");
    for (struct dirent* entry; (entry = readdir(folder)) != NULL;)
        count += entry->d_name[0] != '.' && is_running(entry->d_name);
    closedir(folder);
    return count;
}

static int is_mapped(const char* path) {
    char line[4096];
    int found = 0;
    FILE* maps = fopen("/proc/self/maps", "r");
    if (maps == NULL) fail("/proc/self/maps", "cannot be read");
    const char* name = strrchr(path, '/');
    while (fgets(line, sizeof line, maps) != NULL) found |= strstr(line, name) != NULL;
    fclose(maps);
    return found;
}

static void* load(const char* path) {
    void* plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (plugin == NULL) fail("dlopen", dlerror());
    if (!is_mapped(path)) fail(path, "is not mapped where it is loaded");
    return plugin;
}

/* Trains and infers with three threads, which are gone afterwards. */
static void run(void* plugin) {
    int (*entry)(int, char**);
    char program[] = "plugin", threads[] = "3";
    char* words[] = {program, threads, NULL};
    void* symbol = dlsym(plugin, "plugin_main");
    if (symbol == NULL) fail("dlsym", dlerror());
    memcpy(&entry, &symbol, sizeof entry);
    if (entry(2, words) != 0) fail("plugin_main", "has failed");
    fflush(stdout);
    if (count_threads() != 1) fail("plugin_main", "leaves threads behind");
}

static void unload(void* plugin, const char* path) {
    if (dlclose(plugin) != 0) fail("dlclose", dlerror());
    if (is_mapped(path)) fail(path, "stays mapped where it is unloaded");
}

/* A handler of fork inside an unloaded object would be called here. */
static void fork_once(void) {
    int status = 0;
    const pid_t child = fork();
    if (child == 0) _exit(0);
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        fail("fork", "fails once the plugins are unloaded");
}

int main(int argc, char** argv) {
    void* plugins[kMostPlugins];
    const int count = argc - 1;
    if (count < 1 || count > kMostPlugins) fail("usage", "plugin_host PLUGIN...");
    for (int round = 0; round < kRounds; round++) {
        for (int i = 0; i < count; i++) plugins[i] = load(argv[i + 1]);
        for (int i = 0; i < count; i++) run(plugins[i]);
        for (int i = 0; i < count; i++) unload(plugins[i], argv[i + 1]);
        fork_once();
    }
    return 0;
}
