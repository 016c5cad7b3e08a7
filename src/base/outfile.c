/* outfile.c - files and directories that come into being whole. */
#include "base/outfile.h"

#include "base/file.h"
#include "base/system.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* A path and what is made for it under another name. */
typedef struct target {
    bb_allocator a;
    char        *path, *temporary;
    char        *parent;                  /* directory that has both */
    bool         is_made, is_finished;    /* under the temporary name; under its own */
} target;

struct bb_outfile { target t; int fd; };
struct bb_outdir  { target t; };

static bb_status fail(const char *path, int code, bamba_error *err)
{
    return bb_fail(err, BAMBA_ERR_IO, "%s: %s", path, bb_file_reason(code, "cannot be written"));
}

/* -------------------------------------------------------------- temporary names ---------- */

enum { SUFFIX_DIGITS = 6, ATTEMPTS = 100 };

static void release_names(target *t)
{
    bb_release(&t->a, t->path);
    bb_release(&t->a, t->temporary);
    bb_release(&t->a, t->parent);
}

/* path [n], and room for the suffix. */
static bb_status set_names(target *t, const bb_allocator *a, const char *path, size_t n,
                           bamba_error *err)
{
    t->a = *a;
    t->path = bb_copy_text(a, path, n);
    t->temporary = bb_allocate(a, n + sizeof BB_OUTFILE_SUFFIX + SUFFIX_DIGITS, 1);
    if (t->path && t->temporary) {
        const size_t n_parent = (size_t)(bb_path_name(t->path) - t->path);
        memcpy(t->temporary, t->path, n + 1);
        t->parent = n_parent > 0 ? bb_copy_text(a, path, n_parent) : bb_copy_text(a, ".", 1);
    }
    return t->parent ? BAMBA_OK : bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", path);
}

/* Make the temporary name, with a suffix nobody else uses, by `make`, which returns a negative
   number and sets errno where it fails. */
static int make_unique(target *t, int (*make)(const char *path))
{
    char    *suffix = t->temporary + strlen(t->path);
    uint64_t x = bb_system_now_ns() ^ (uint64_t)getpid() << 32;
    int      made = -1;

    for (int i = 0; i < ATTEMPTS; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        snprintf(suffix, sizeof BB_OUTFILE_SUFFIX + SUFFIX_DIGITS, "%s%06x", BB_OUTFILE_SUFFIX,
                 (unsigned)(x >> 40) & 0xFFFFFFu);
        made = make(t->temporary);
        if (made >= 0 || errno != EEXIST) break;
    }
    t->is_made = made >= 0;
    return made;
}

static int make_file(const char *path)
{
    int fd;

    do fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    while (fd < 0 && errno == EINTR);
    return fd;
}

static int make_dir(const char *path) { return mkdir(path, 0777); }

/* What stands where a file is to be made: *is_there with its permissions in *mode, and if a link
   leads to it, its own path in real. */
static bb_status look_at(const char *path, bool *is_there, mode_t *mode, char real[PATH_MAX],
                         bamba_error *err)
{
    struct stat at, st;

    *is_there = lstat(path, &at) == 0;
    real[0] = '\0';
    if (!*is_there) return BAMBA_OK;
    if (stat(path, &st) || (S_ISLNK(at.st_mode) && !realpath(path, real)) || access(path, W_OK))
        return fail(path, errno, err);
    if (!S_ISREG(st.st_mode))
        return bb_fail(err, BAMBA_ERR_IO, "%s: expected a file or a new name, found %s", path,
                       S_ISDIR(st.st_mode) ? "a directory" : "a device or a pipe");
    *mode = st.st_mode & 07777;
    return BAMBA_OK;
}

/* -------------------------------------------------------------- syncing ------------------ */

static int sync_descriptor(int fd)
{
    int failed;

    do failed = fsync(fd);
    while (failed && errno == EINTR);
    return failed && errno != EINVAL && errno != EROFS;          /* what cannot be synced is not */
}

/* Bring the names in a directory to the disk. */
static bool sync_names(const char *dir)
{
    const int  fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool is_done = fd >= 0 && !sync_descriptor(fd);

    if (fd >= 0) close(fd);
    return is_done;
}

/* Give what is on the disk by its temporary name its own. */
static bb_status finish(target *t, bamba_error *err)
{
    if (rename(t->temporary, t->path)) return fail(t->path, errno, err);
    t->is_finished = true;
    return sync_names(t->parent) ? BAMBA_OK : fail(t->path, errno, err);
}

/* -------------------------------------------------------------- files -------------------- */

/* Have the disk keep room for all bytes; file systems that cannot do that find out while writing.
   The limit of file sizes is asked before: the system ends a process that goes beyond it. */
static int reserve(int fd, uint64_t bytes)
{
    struct rlimit limit;

    if (bytes > INT64_MAX) return EFBIG;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY
        && bytes > limit.rlim_cur) return EFBIG;
    if (bytes == 0) return 0;
    int failed;
    do failed = fallocate(fd, 0, 0, (off_t)bytes);
    while (failed && errno == EINTR);
    const int code = failed ? errno : 0;
    if (code == ENOSPC || code == EDQUOT || code == EFBIG || code == EIO) return code;
    return failed && ftruncate(fd, (off_t)bytes) ? errno : 0;
}

bb_status bb_outfile_create(bb_outfile **out, const bb_allocator *a, const char *path,
                            uint64_t bytes, bamba_error *err)
{
    const int   saved = errno;
    bb_status   status = BAMBA_OK;
    bb_outfile *f = bb_new(a, 1, sizeof *f);
    char        real[PATH_MAX];
    mode_t      mode = 0;
    bool        is_there;

    *out = NULL;
    if (!f) return bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", path);
    f->fd = -1;
    f->t.a = *a;
    BB_TRY(look_at(path, &is_there, &mode, real, err));
    if (real[0]) path = real;
    BB_TRY(set_names(&f->t, a, path, strlen(path), err));
    f->fd = make_unique(&f->t, make_file);
    if (f->fd < 0) {
        status = fail(path, errno, err);
        goto done;
    }
    if (is_there && fchmod(f->fd, mode) != 0) {
        /* A file system without permissions: it has none to keep. */
    }
    const int code = reserve(f->fd, bytes);
    if (code) {
        status = bb_fail(err, BAMBA_ERR_IO, "%s: no room for %.1f MiB: %s", path,
                         (double)bytes / 0x1p20, bb_file_reason(code, "cannot be written"));
        goto done;
    }
    *out = f;
    f = NULL;
done:
    bb_outfile_close(f);
    errno = saved;
    return status;
}

bb_status bb_outfile_write(const bb_outfile *f, uint64_t offset, const void *data, size_t n,
                           bamba_error *err)
{
    enum { MOST = 1 << 30 };              /* bytes a call can write everywhere */
    const int            saved = errno;
    const unsigned char *from = data;

    while (n > 0) {
        const ssize_t put = pwrite(f->fd, from, n < MOST ? n : MOST, (off_t)offset);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) {
            const int code = put < 0 ? errno : ENOSPC;
            errno = saved;
            return fail(f->t.path, code, err);
        }
        from += put, offset += (uint64_t)put, n -= (size_t)put;
    }
    errno = saved;
    return BAMBA_OK;
}

bb_status bb_outfile_finish(bb_outfile *f, bamba_error *err)
{
    const int saved = errno;
    const bb_status status = sync_descriptor(f->fd) ? fail(f->t.path, errno, err)
                                                    : finish(&f->t, err);
    errno = saved;
    return status;
}

void bb_outfile_close(bb_outfile *f)
{
    if (!f) return;
    const int          saved = errno;
    const bb_allocator a = f->t.a;

    if (f->fd >= 0) close(f->fd);
    if (f->t.is_made && !f->t.is_finished) unlink(f->t.temporary);
    release_names(&f->t);
    bb_release(&a, f);
    errno = saved;
}

bb_status bb_outfile_put(const bb_allocator *a, const char *path, const void *data, size_t n,
                         bamba_error *err)
{
    bb_status   status = BAMBA_OK;
    bb_outfile *f = NULL;

    BB_TRY(bb_outfile_create(&f, a, path, n, err));
    BB_TRY(bb_outfile_write(f, 0, data, n, err));
    BB_TRY(bb_outfile_finish(f, err));
done:
    bb_outfile_close(f);
    return status;
}

/* -------------------------------------------------------------- directories -------------- */

/* The next entry of a directory that is not itself or its parent; NULL at the end. */
static const char *next_entry(DIR *listing)
{
    const struct dirent *e;

    do e = readdir(listing);
    while (e && (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0));
    return e ? e->d_name : NULL;
}

/* Whether there is a place for a new directory: nothing, or an empty one. */
static bb_status check_target(const char *path, bamba_error *err)
{
    struct stat st;
    const char *name = bb_path_name(path);
    bb_status   status = BAMBA_OK;

    if (!name[0] || strcmp(name, "/") == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return bb_fail(err, BAMBA_ERR_IO, "'%s': expected the name of a directory to make", path);
    if (lstat(path, &st) != 0) return errno == ENOENT ? BAMBA_OK : fail(path, errno, err);
    if (!S_ISDIR(st.st_mode))
        return bb_fail(err, BAMBA_ERR_IO, "%s: expected a new or an empty directory, found %s",
                       path, S_ISLNK(st.st_mode) ? "a link" : "a file");
    DIR *listing = opendir(path);
    if (!listing) return fail(path, errno, err);
    const char *found = next_entry(listing);
    if (found)
        status = bb_fail(err, BAMBA_ERR_IO, "%s: expected a new or an empty directory, found "
                         "'%.80s' in it", path, found);
    closedir(listing);
    return status;
}

bb_status bb_outdir_create(bb_outdir **out, const bb_allocator *a, const char *path,
                           bamba_error *err)
{
    const int  saved = errno;
    bb_status  status = BAMBA_OK;
    size_t     n = strlen(path);
    bb_outdir *d = bb_new(a, 1, sizeof *d);

    *out = NULL;
    if (!d) return bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", path);
    while (n > 1 && path[n - 1] == '/') n--;
    BB_TRY(set_names(&d->t, a, path, n, err));
    BB_TRY(check_target(d->t.path, err));
    if (make_unique(&d->t, make_dir) < 0) {
        status = fail(d->t.path, errno, err);
        goto done;
    }
    *out = d;
    d = NULL;
done:
    bb_outdir_close(d);
    errno = saved;
    return status;
}

const char *bb_outdir_path(const bb_outdir *d) { return d->t.temporary; }

bb_status bb_outdir_finish(bb_outdir *d, bamba_error *err)
{
    const int       saved = errno;
    const bb_status status = sync_names(d->t.temporary) ? finish(&d->t, err)
                                                        : fail(d->t.path, errno, err);
    errno = saved;
    return status;
}

static void remove_dir(const char *dir)
{
    DIR *listing = opendir(dir);

    if (listing)
        for (const char *name; (name = next_entry(listing));) unlinkat(dirfd(listing), name, 0);
    if (listing) closedir(listing);
    rmdir(dir);
}

void bb_outdir_close(bb_outdir *d)
{
    if (!d) return;
    const int          saved = errno;
    const bb_allocator a = d->t.a;

    if (d->t.is_made && !d->t.is_finished) remove_dir(d->t.temporary);
    release_names(&d->t);
    bb_release(&a, d);
    errno = saved;
}
