/* machine.c - what this machine and this installation have. */
#include "machine.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The number after `key` at the start of a line of a file; false if there is none. */
static bool read_entry(const char *path, const char *key, uint64_t *value)
{
    FILE *f = fopen(path, "r");
    char line[256];
    bool found = false;

    if (!f) return false;
    while (!found && fgets(line, sizeof line, f)) {
        char *end = line;
        if (strncmp(line, key, strlen(key)) != 0) continue;
        *value = strtoull(line + strlen(key), &end, 10);
        found = end != line + strlen(key);
    }
    fclose(f);
    return found;
}

/* What is left in one control group. Its use counts cached files, which the system gives up. */
static uint64_t free_in_group(const char *dir, const char *limit_name, const char *use_name)
{
    char path[PATH_MAX + 64];
    uint64_t limit, use, cached = 0;

    snprintf(path, sizeof path, "%s/%s", dir, limit_name);
    if (!read_entry(path, "", &limit)) return UINT64_MAX;         /* "max", or no such file */
    snprintf(path, sizeof path, "%s/%s", dir, use_name);
    if (!read_entry(path, "", &use)) return UINT64_MAX;
    snprintf(path, sizeof path, "%s/memory.stat", dir);
    uint64_t part;
    if (read_entry(path, "inactive_file ", &part)) cached += part;
    if (read_entry(path, "active_file ", &part)) cached += part;
    use = use > cached ? use - cached : 0;
    return limit > use ? limit - use : 0;
}

/* The group of this process and all above it. */
static uint64_t free_in_groups(const char *root, char *group, const char *limit_name,
                               const char *use_name)
{
    uint64_t least = UINT64_MAX;
    char dir[PATH_MAX];

    for (;;) {
        snprintf(dir, sizeof dir, "%s%s", root, group);
        const uint64_t here = free_in_group(dir, limit_name, use_name);
        if (here < least) least = here;
        char *slash = strrchr(group, '/');
        if (!slash) return least;
        *slash = '\0';
    }
}

uint64_t machine_free_memory(void)
{
    uint64_t least = UINT64_MAX, kib;
    char line[PATH_MAX];
    FILE *f = fopen("/proc/self/cgroup", "r");

    if (read_entry("/proc/meminfo", "MemAvailable:", &kib)) least = kib * 1024;
    while (f && fgets(line, sizeof line, f)) {        /* "0::/group" or "9:memory:/group" */
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group) continue;
        *group++ = '\0';
        uint64_t here = UINT64_MAX;
        if (strcmp(line, "0:") == 0)
            here = free_in_groups("/sys/fs/cgroup", group, "memory.max", "memory.current");
        else if (strcmp(controllers + 1, "memory") == 0)
            here = free_in_groups("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes",
                                  "memory.usage_in_bytes");
        if (here < least) least = here;
    }
    if (f) fclose(f);
    return least;
}

/* The first of places + file, seen from this program's directory, that can be read. */
static bool find_beside(const char *const *places, const char *file, char *path, size_t size)
{
    char self[PATH_MAX];
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    if (n <= 0) return false;
    self[n] = '\0';
    char *slash = strrchr(self, '/');
    if (!slash) return false;
    slash[1] = '\0';
    for (; *places; places++)
        if (snprintf(path, size, "%s%s%s", self, *places, file) < (int)size &&
            access(path, R_OK) == 0)
            return true;
    return false;
}

bool machine_find_model(char *dir, size_t size)
{
    static const char *const places[] = {
        "models/fable", "../models/fable", "../../models/fable", "../share/bamba/models/fable", NULL
    };
    static const char file[] = "/config.json";
    const char *named = getenv("BAMBA_MODEL");

    if (named && *named) return snprintf(dir, size, "%s", named) < (int)size;
    if (!find_beside(places, file, dir, size)) return false;
    dir[strlen(dir) - (sizeof file - 1)] = '\0';
    return true;
}

bool machine_find_shape(const char *name, char *path, size_t size)
{
    static const char *const places[] = {
        "models/shapes/", "../models/shapes/", "../../models/shapes/",
        "../share/bamba/models/shapes/", NULL
    };
    char file[PATH_MAX];

    if (strchr(name, '/') || strstr(name, ".json"))
        return snprintf(path, size, "%s", name) < (int)size && access(path, R_OK) == 0;
    if (snprintf(file, sizeof file, "%s.json", name) >= (int)sizeof file) return false;
    return find_beside(places, file, path, size);
}
