/* hub.c - models that huggingface_hub has downloaded to this machine. */
#include "hub.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_directory(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

static bool has_file(const char *dir, const char *file)
{
    char path[PATH_MAX];
    return snprintf(path, sizeof path, "%s/%s", dir, file) < (int)sizeof path &&
           access(path, F_OK) == 0;
}

void hub_cache(char *out, size_t size)
{
    static const struct { const char *variable, *below; } places[] = {
        { "HF_HUB_CACHE", "" }, { "HUGGINGFACE_HUB_CACHE", "" }, { "HF_HOME", "/hub" },
        { "XDG_CACHE_HOME", "/huggingface/hub" }, { "HOME", "/.cache/huggingface/hub" },
    };

    *out = '\0';
    for (size_t i = 0; i < sizeof places / sizeof *places && !*out; i++) {
        const char *value = getenv(places[i].variable);
        if (value && *value) snprintf(out, size, "%s%s", value, places[i].below);
    }
}

bool hub_is_name(const char *name)
{
    const char *slash = strchr(name, '/');

    if (!slash || slash == name || !slash[1] || *name == '.') return false;
    for (const char *at = name; *at; at++)
        if (at != slash && !isalnum((unsigned char)*at) && !strchr("-_.", *at)) return false;
    return true;
}

/* Write the name of the newest directory in path; false if there is none. */
static bool find_newest(const char *path, char *name, size_t size)
{
    char each[PATH_MAX];
    struct timespec newest = { 0, 0 };
    struct stat s;
    bool found = false;
    DIR *all = opendir(path);

    for (struct dirent *e; all && (e = readdir(all));) {
        if (*e->d_name == '.' ||
            snprintf(each, sizeof each, "%s/%s", path, e->d_name) >= (int)sizeof each ||
            stat(each, &s) != 0 || !S_ISDIR(s.st_mode)) continue;
        if (found && (s.st_mtim.tv_sec < newest.tv_sec ||
                      (s.st_mtim.tv_sec == newest.tv_sec && s.st_mtim.tv_nsec <= newest.tv_nsec)))
            continue;
        newest = s.st_mtim;
        found = snprintf(name, size, "%s", e->d_name) < (int)size;
    }
    if (all) closedir(all);
    return found;
}

static bool find_snapshot(const char *folder, char *dir, size_t size)
{
    char path[PATH_MAX], name[NAME_MAX + 1] = "";

    if (snprintf(path, sizeof path, "%s/refs/main", folder) >= (int)sizeof path) return false;
    FILE *ref = fopen(path, "r");
    if (ref) {
        if (fgets(name, sizeof name, ref)) name[strcspn(name, " \t\r\n/")] = '\0';
        fclose(ref);
    }
    if (*name && snprintf(dir, size, "%s/snapshots/%s", folder, name) < (int)size &&
        is_directory(dir)) return true;
    return snprintf(path, sizeof path, "%s/snapshots", folder) < (int)sizeof path &&
           find_newest(path, name, sizeof name) &&
           snprintf(dir, size, "%s/%s", path, name) < (int)size;
}

bool hub_find(const char *name, char *dir, size_t size)
{
    char cache[PATH_MAX], folder[PATH_MAX];

    if (is_directory(name))               /* a model's own directory may have "snapshots" too */
        return !has_file(name, "config.json") && !has_file(name, "tokenizer.json") &&
               find_snapshot(name, dir, size);
    if (!hub_is_name(name)) return false;
    hub_cache(cache, sizeof cache);
    const int n = (int)(strchr(name, '/') - name);
    return snprintf(folder, sizeof folder, "%s/models--%.*s--%s", cache, n, name, name + n + 1) <
           (int)sizeof folder && find_snapshot(folder, dir, size);
}
