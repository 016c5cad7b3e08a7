/* file.c - files as read-only memory. */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* strerror is not thread-safe and strerror_r has two forms; these are the errors users meet. */
static const char *reason(int code)
{
    switch (code) {
    case ENOENT:  return "no such file";
    case EACCES:  return "permission denied";
    case ENOTDIR: return "a part of the path is not a directory";
    case EISDIR:  return "is a directory";
    case EMFILE:
    case ENFILE:  return "too many open files";
    case ENOMEM:  return "out of memory";
    case ELOOP:   return "too many symbolic links";
    case ENAMETOOLONG: return "name too long";
    default:      return "cannot be read";
    }
}

bb_status bb_map_open(bb_map *map, const char *path, bamba_error *err)
{
    const int   saved = errno;            /* the library leaves errno as it was */
    bb_status   status = BAMBA_OK;
    struct stat st;
    int         fd;

    *map = (bb_map){ NULL, 0 };
    do fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        status = bb_fail(err, BAMBA_ERR_IO, "%s: %s", path, reason(errno));
        goto done;
    }
    if (fstat(fd, &st) != 0) {
        status = bb_fail(err, BAMBA_ERR_IO, "%s: %s", path, reason(errno));
        goto done;
    }
    if (!S_ISREG(st.st_mode)) {
        status = bb_fail(err, BAMBA_ERR_IO, "%s: expected a regular file, found %s", path,
                         S_ISDIR(st.st_mode) ? "a directory" : "something else");
        goto done;
    }
    if (st.st_size == 0) goto done;
    if ((uintmax_t)st.st_size > SIZE_MAX / 2) {
        status = bb_fail(err, BAMBA_ERR_IO, "%s: too large for this machine", path);
        goto done;
    }
    void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED) {
        status = bb_fail(err, errno == ENOMEM ? BAMBA_ERR_MEMORY : BAMBA_ERR_IO,
                         "%s: cannot be mapped: %s", path, reason(errno));
        goto done;
    }
    map->data = data;
    map->size = (size_t)st.st_size;
done:
    if (fd >= 0) close(fd);
    errno = saved;
    return status;
}

void bb_map_close(bb_map *map)
{
    if (map->data) munmap((void *)(uintptr_t)map->data, map->size);
    *map = (bb_map){ NULL, 0 };
}

char *bb_path_join(const bb_allocator *a, const char *dir, const char *name)
{
    const size_t n_dir = strlen(dir);
    const size_t n_name = strlen(name);
    const bool   slash = n_dir > 0 && dir[n_dir - 1] != '/';
    char        *path = bb_allocate(a, n_dir + slash + n_name + 1, 1);

    if (!path) return NULL;
    memcpy(path, dir, n_dir);
    if (slash) path[n_dir] = '/';
    memcpy(path + n_dir + slash, name, n_name + 1);
    return path;
}

bool bb_path_exists(const char *path)
{
    const int   saved = errno;
    struct stat st;
    const bool  exists = stat(path, &st) == 0;

    errno = saved;
    return exists;
}

bool bb_dir_find(const char *dir, const char *prefix, const char *suffix, char *name,
                 size_t size)
{
    const int    saved = errno;
    const size_t n_prefix = strlen(prefix);
    const size_t n_suffix = strlen(suffix);
    bool         found = false;
    DIR         *listing = opendir(dir);

    if (!listing) goto done;
    for (const struct dirent *e; (e = readdir(listing)) != NULL;) {
        const size_t n = strlen(e->d_name);
        if (n >= size || n < n_prefix + n_suffix) continue;
        if (memcmp(e->d_name, prefix, n_prefix) != 0) continue;
        if (memcmp(e->d_name + n - n_suffix, suffix, n_suffix) != 0) continue;
        if (found && strcmp(e->d_name, name) >= 0) continue;
        memcpy(name, e->d_name, n + 1);
        found = true;
    }
    closedir(listing);
done:
    errno = saved;
    return found;
}

const char *bb_path_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}
