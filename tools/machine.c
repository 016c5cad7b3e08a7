/* machine.c - models and shapes that are installed on this machine. */
#include "machine.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Find the first readable file places[i]/file, relative to the directory of this program. */
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

static const char *const shape_places[] = {
    "models/shapes/", "../models/shapes/", "../../models/shapes/", "../share/bamba/models/shapes/",
    NULL
};

bool machine_find_shapes(char *dir, size_t size)
{
    return find_beside(shape_places, "", dir, size);
}

bool machine_find_shape(const char *name, char *path, size_t size)
{
    char file[PATH_MAX];

    if (strchr(name, '/') || strstr(name, ".json"))
        return snprintf(path, size, "%s", name) < (int)size && access(path, R_OK) == 0;
    if (snprintf(file, sizeof file, "%s.json", name) >= (int)sizeof file) return false;
    return find_beside(shape_places, file, path, size);
}
