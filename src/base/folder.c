/* folder.c - a directory of files that several processes use at once. */
#include "base/folder.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const int64_t SECOND = 1000000000;

static int64_t to_ns(struct timespec t) { return (int64_t)t.tv_sec * SECOND + t.tv_nsec; }

bb_status bb_folder_make(const char *dir, bamba_error *err)
{
    const int   saved = errno;
    struct stat st;
    bb_status   status = BAMBA_OK;

    if (mkdir(dir, 0777) != 0 && errno != EEXIST)
        status = bb_fail(err, BAMBA_ERR_IO, "%s: %s", dir, bb_file_reason(errno, "cannot be made"));
    else if (stat(dir, &st) != 0 || !S_ISDIR(st.st_mode))
        status = bb_fail(err, BAMBA_ERR_IO, "%s: expected a directory", dir);
    errno = saved;
    return status;
}

static bool ends_with(const char *name, const char *suffix)
{
    const size_t n = strlen(name), m = strlen(suffix);
    return n >= m && strcmp(name + n - m, suffix) == 0;
}

bool bb_folder_list(const char *dir, const char *suffix, bb_folder_fn *see, void *context)
{
    const int      saved = errno;
    DIR           *d = opendir(dir);
    bool           ok = d != NULL;
    struct dirent *entry;
    struct stat    st;

    while (ok && (entry = readdir(d))) {
        if (!ends_with(entry->d_name, suffix)) continue;
        if (fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
            continue;
        ok = see(context, entry->d_name, (uint64_t)st.st_size, to_ns(st.st_mtim));
    }
    if (d) closedir(d);
    errno = saved;
    return ok;
}

void bb_file_touch(const char *path)
{
    const int saved = errno;
    (void)utimensat(AT_FDCWD, path, NULL, 0);
    errno = saved;
}

void bb_file_remove(const char *path)
{
    const int saved = errno;
    (void)unlink(path);
    errno = saved;
}

int64_t bb_time_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return to_ns(now);
}

int bb_lock_try(const char *path)
{
    const int saved = errno;
    int       lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);

    if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) != 0) {
        close(lock);
        lock = -1;
    }
    errno = saved;
    return lock;
}

void bb_lock_drop(int lock)
{
    const int saved = errno;
    if (lock >= 0) close(lock);
    errno = saved;
}
