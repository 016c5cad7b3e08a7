/* tempdir.c - directories that live as long as a test. */
#include "support/tempdir.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void stop(const char *what, const char *path)
{
    fprintf(stderr, "tempdir: cannot %s %s\n", what, path);
    abort();
}

char *tempdir_path(const char *dir, const char *name)
{
    const size_t n = strlen(dir) + 1 + strlen(name) + 1;
    char        *path = malloc(n);

    if (!path) stop("allocate", name);
    snprintf(path, n, "%s/%s", dir, name);
    return path;
}

char *tempdir_make(void)
{
    const char *root = getenv("TMPDIR");
    char       *dir = tempdir_path(root && *root ? root : "/tmp", "bamba-test-XXXXXX");

    if (!mkdtemp(dir)) stop("make", dir);
    return dir;
}

void tempdir_empty(const char *dir)
{
    DIR *listing = opendir(dir);

    if (!listing) stop("list", dir);
    for (const struct dirent *e; (e = readdir(listing)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        char       *path = tempdir_path(dir, e->d_name);
        struct stat st;
        if (lstat(path, &st) != 0) stop("look at", path);
        if (S_ISDIR(st.st_mode)) tempdir_remove(path);
        else {
            if (unlink(path) != 0) stop("remove", path);
            free(path);
        }
    }
    closedir(listing);
}

void tempdir_remove(char *dir)
{
    if (!dir) return;
    tempdir_empty(dir);
    if (rmdir(dir) != 0) stop("remove", dir);
    free(dir);
}

void tempdir_write(const char *dir, const char *name, const void *bytes, size_t n)
{
    char *path = tempdir_path(dir, name);
    FILE *f = fopen(path, "wb");

    if (!f || (n && fwrite(bytes, 1, n, f) != n) || fclose(f) != 0) stop("write", path);
    free(path);
}

void tempdir_write_text(const char *dir, const char *name, const char *text)
{
    tempdir_write(dir, name, text, strlen(text));
}

void tempdir_delete(const char *dir, const char *name)
{
    char *path = tempdir_path(dir, name);

    if (unlink(path) != 0) stop("remove", path);
    free(path);
}

unsigned char *tempdir_read(const char *dir, const char *name, size_t *n)
{
    char          *path = tempdir_path(dir, name);
    FILE          *f = fopen(path, "rb");
    unsigned char *bytes = NULL;
    size_t         used = 0;
    size_t         room = 0;

    if (!f) stop("read", path);
    do {
        if (used == room) {
            room = room ? 2 * room : 65536;
            bytes = realloc(bytes, room + 1);
            if (!bytes) stop("allocate for", path);
        }
        used += fread(bytes + used, 1, room - used, f);
    } while (used == room);
    if (ferror(f)) stop("read", path);
    fclose(f);
    free(path);
    bytes[used] = '\0';
    if (n) *n = used;
    return bytes;
}

char *tempdir;

int tempdir_enter(void **state)
{
    (void)state;
    tempdir = tempdir_make();
    return 0;
}

int tempdir_leave(void **state)
{
    (void)state;
    tempdir_remove(tempdir);
    tempdir = NULL;
    return 0;
}
