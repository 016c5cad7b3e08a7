/* file.c - files as read-only memory. */
#include "base/file.h"

#include "base/system.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* strerror is not thread-safe and strerror_r has two forms; these are the errors users meet. */
const char *bb_file_reason(int code, const char *otherwise)
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
    case ENOSPC:
    case EDQUOT:  return "no space left";
    case EFBIG:   return "beyond the limit of file sizes";
    case EROFS:   return "a file system that cannot be written";
    case EEXIST:
    case ENOTEMPTY: return "exists";
    default:      return otherwise;
    }
}

static const char *reason(int code) { return bb_file_reason(code, "cannot be read"); }

/* The failure to follow path. The name stands without its directory: in the hub's cache the link's
   target alone fills a third of the message. */
static bb_status fail_path(const char *path, int code, bamba_error *err)
{
    char          target[128];
    const bool    is_astray = code == ENOENT || code == ELOOP;
    const ssize_t n = is_astray ? readlink(path, target, sizeof target - 1) : -1;

    if (n < 0) return bb_fail(err, BAMBA_ERR_IO, "%s: %s", path, reason(code));
    target[n] = '\0';
    return bb_fail(err, BAMBA_ERR_IO, "%s: a link to %s, which leads nowhere%s", bb_path_name(path),
                   target, strstr(target, "blobs/") ? ": download the model again" : "");
}

/* Fill data [map->size] from the file. */
static bb_status read_bytes(const bb_map *map, unsigned char *data, int fd, const char *path,
                            bamba_error *err)
{
    enum { MOST = 1 << 30 };              /* bytes a call can read everywhere */
    ssize_t got;

    for (size_t n = 0; n < map->size; n += got > 0 ? (size_t)got : 0) {
        const size_t wanted = map->size - n < MOST ? map->size - n : MOST;
        got = pread(fd, data + n, wanted, (off_t)n);
        if (got == 0)
            return bb_fail(err, BAMBA_ERR_IO, "%s: expected %zu bytes, found %zu", path, map->size,
                           n);
        if (got < 0 && errno != EINTR)
            return bb_fail(err, BAMBA_ERR_IO, "%s: %s", path, reason(errno));
    }
    return BAMBA_OK;
}

static bb_status read_file(bb_map *map, int fd, const char *path, bamba_error *err)
{
    bb_status status = bb_system_check_memory(bb_path_name(path), map->size, err);

    if (status != BAMBA_OK) return status;
    void *data = mmap(NULL, map->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED)
        return bb_fail(err, BAMBA_ERR_MEMORY, "%s: cannot be mapped, and there is no memory to "
                       "read it", path);
    bb_advise_huge_mapping(data, map->size);
    status = read_bytes(map, data, fd, path, err);
    if (status != BAMBA_OK) munmap(data, map->size);
    else map->data = data, map->is_read = true;
    return status;
}

static bb_status map_file(bb_map *map, int fd, const char *path, bamba_error *err)
{
    void *data = mmap(NULL, map->size, PROT_READ, MAP_SHARED, fd, 0);

    if (data == MAP_FAILED && errno != ENOMEM)
        data = mmap(NULL, map->size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED && errno == ENOMEM)
        return bb_fail(err, BAMBA_ERR_MEMORY, "%s: cannot be mapped: %s", path, reason(errno));
    if (data == MAP_FAILED) return read_file(map, fd, path, err);
    /* A token reads all weights once. In pages of 4 KiB looking up their addresses costs a decode
       up to a sixth of its speed. */
    bb_advise_huge_mapping(data, map->size);
    map->data = data;
    return BAMBA_OK;
}

/* Repositories of models hold large files as such pointers until git-lfs fetches them. */
static bool is_lfs_pointer(const bb_map *map)
{
    static const char first[] = "version https://git-lfs.github.com/spec/";

    return map->size >= sizeof first && map->size < 1024
        && memcmp(map->data, first, sizeof first - 1) == 0;
}

bb_status bb_map_open(bb_map *map, const char *path, bamba_error *err)
{
    const int   saved = errno;            /* the library leaves errno as it was */
    bb_status   status = BAMBA_OK;
    struct stat st;
    int         fd;

    *map = (bb_map){ 0 };
    do fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        status = fail_path(path, errno, err);
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
    map->size = (size_t)st.st_size;
    BB_TRY(map_file(map, fd, path, err));
    if (is_lfs_pointer(map))
        status = bb_fail(err, BAMBA_ERR_FORMAT, "%s: a git-lfs pointer in place of the file: run "
                         "git lfs pull", path);
done:
    if (status != BAMBA_OK) bb_map_close(map);
    if (fd >= 0) close(fd);
    errno = saved;
    return status;
}

void bb_map_close(bb_map *map)
{
    if (map->data) munmap((void *)(uintptr_t)map->data, map->size);
    *map = (bb_map){ 0 };
}

void bb_map_drop(const void *data, size_t n)
{
    const int       saved = errno;
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t begin = ((uintptr_t)data + page - 1) / page * page;
    const uintptr_t end = ((uintptr_t)data + n) / page * page;

    if (begin < end) madvise((void *)begin, end - begin, MADV_DONTNEED);
    errno = saved;
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

bb_status bb_path_find(const char *path, bb_path_kind *kind, bamba_error *err)
{
    const int   saved = errno;
    bb_status   status = BAMBA_OK;
    struct stat st;

    *kind = BB_PATH_NONE;
    if (stat(path, &st) == 0) {
        *kind = S_ISDIR(st.st_mode) ? BB_PATH_DIR : BB_PATH_FILE;
    } else {
        const int code = errno;
        if (code != ENOENT || lstat(path, &st) == 0) status = fail_path(path, code, err);
    }
    errno = saved;
    return status;
}

bool bb_dir_next(const char *dir, const char *prefix, const char *suffix, char *name,
                 size_t size)
{
    char         best[256];
    const int    saved = errno;
    const size_t n_prefix = strlen(prefix);
    const size_t n_suffix = strlen(suffix);
    bool         found = false;
    DIR         *listing = opendir(dir);

    if (!listing) goto done;
    for (const struct dirent *e; (e = readdir(listing)) != NULL;) {
        const size_t n = strlen(e->d_name);
        if (n >= size || n >= sizeof best || n < n_prefix + n_suffix || e->d_name[0] == '.')
            continue;
        if (memcmp(e->d_name, prefix, n_prefix) != 0) continue;
        if (memcmp(e->d_name + n - n_suffix, suffix, n_suffix) != 0) continue;
        if (strcmp(e->d_name, name) <= 0 || (found && strcmp(e->d_name, best) >= 0)) continue;
        memcpy(best, e->d_name, n + 1);
        found = true;
    }
    closedir(listing);
    if (found) memcpy(name, best, strlen(best) + 1);
done:
    errno = saved;
    return found;
}

bool bb_dir_find(const char *dir, const char *prefix, const char *suffix, char *name,
                 size_t size)
{
    const char first = name[0];

    name[0] = '\0';
    if (bb_dir_next(dir, prefix, suffix, name, size)) return true;
    name[0] = first;
    return false;
}

const char *bb_path_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}
