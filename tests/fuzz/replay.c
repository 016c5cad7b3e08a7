/* replay.c - a main() that gives files, and the files of directories, to a fuzz target. */
#include "target.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static size_t replay_file(const char *path)
{
    static uint8_t bytes[1 << 20];
    FILE          *file = fopen(path, "rb");

    if (!file) return 0;
    const size_t n = fread(bytes, 1, sizeof bytes, file);
    const bool   whole = feof(file) && !ferror(file);
    fclose(file);
    if (!whole) return 0;                 /* a directory, or too large */

    /* Exact, so that a read beyond it is seen. */
    uint8_t *copy = malloc(n ? n : 1);
    for (size_t i = 0; i < n; i++) copy[i] = bytes[i];
    LLVMFuzzerTestOneInput(copy, n);
    free(copy);
    return 1;
}

int main(int argc, char **argv)
{
    size_t n = 0;

    for (int i = 1; i < argc; i++) {
        DIR           *dir = opendir(argv[i]);
        struct dirent *entry;
        char           path[4096];

        if (!dir) n += replay_file(argv[i]);
        while (dir && (entry = readdir(dir))) {
            snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
            n += replay_file(path);
        }
        if (dir) closedir(dir);
    }
    printf("%zu inputs\n", n);
    return n > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
