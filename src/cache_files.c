/* cache_files.c - the files of a prefix cache: what their names say, and which of them may stay. */
#include "cache_files.h"

#include "base/file.h"
#include "base/folder.h"
#include "base/outfile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t STALE_NS = INT64_C(3600) * 1000000000;

bool bb_cache_file_read(const char *name, bb_cache_file *f)
{
    int n = 0;

    *f = (bb_cache_file){ .bytes = 0 };
    if (strlen(name) >= BB_CACHE_NAME
        || sscanf(name, "%16[0-9a-f]-%16[0-9a-f]-%16[0-9a-f]-%zu-%zu%n", f->key, f->id, f->parent,
                  &f->first, &f->position, &n) != 5 || strcmp(name + n, BB_CACHE_SUFFIX) != 0)
        return false;
    memcpy(f->name, name, strlen(name) + 1);
    return strlen(f->key) == BB_CACHE_ID && strlen(f->id) == BB_CACHE_ID
        && strlen(f->parent) == BB_CACHE_ID && f->first < f->position;
}

/* -------------------------------------------------------------- what stays --------------- */

typedef struct entry {
    bb_cache_file file;
    size_t        n_children;
    bool          is_gone;
} entry;

typedef struct files {
    const bb_allocator *a;
    const char         *dir;
    entry              *entry;            /* [n] of all models */
    size_t              n, capacity;
    uint64_t            bytes;
} files;

static void remove_file(const files *f, const char *name)
{
    char *path = bb_path_join(f->a, f->dir, name);

    if (path) bb_file_remove(path);
    bb_release(f->a, path);
}

/* Whether a name is a temporary one of a file that nobody writes any more: one that is being
   written is changed more often than once in STALE_NS. */
static bool is_stale(const char *name, int64_t time_ns)
{
    const char   *suffix = strstr(name, BB_OUTFILE_SUFFIX);
    const size_t  n = suffix ? (size_t)(suffix - name) : BB_CACHE_NAME;
    char          whole[BB_CACHE_NAME];
    bb_cache_file f;

    if (n >= BB_CACHE_NAME || bb_time_ns() - time_ns < STALE_NS) return false;
    memcpy(whole, name, n);
    whole[n] = '\0';
    return bb_cache_file_read(whole, &f);
}

static bool see_file(void *context, const char *name, uint64_t bytes, int64_t time_ns)
{
    files        *f = context;
    bb_cache_file it;

    if (is_stale(name, time_ns)) remove_file(f, name);
    if (!bb_cache_file_read(name, &it)) return true;
    it.bytes = bytes;
    it.time_ns = time_ns;
    f->bytes += bytes;
    if (!bb_reserve(f->a, &f->entry, &f->capacity, f->n + 1, sizeof *f->entry)) return false;
    f->entry[f->n++] = (entry){ it, 0, false };
    return true;
}

/* Tokens saved a byte, by 1 + the hours that nobody used it. */
static double worth(const bb_cache_file *f, int64_t now)
{
    const double hours = (double)(now - f->time_ns) / 3.6e12;
    return (double)(f->position - f->first) / (double)(f->bytes + 1)
        / (1.0 + (hours > 0 ? hours : 0));
}

static int compare_ids(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    const int    keys = strcmp(x->file.key, y->file.key);
    return keys != 0 ? keys : strcmp(x->file.id, y->file.id);
}

/* Among sorted entries; NULL: a root, or one that can no longer be reached. */
static entry *find_parent(const files *f, const entry *child)
{
    entry wanted;

    if (child->file.first == 0) return NULL;
    memcpy(wanted.file.key, child->file.key, sizeof wanted.file.key);
    memcpy(wanted.file.id, child->file.parent, sizeof wanted.file.id);
    return bsearch(&wanted, f->entry, f->n, sizeof wanted, compare_ids);
}

static void drop_least(files *f, uint64_t max_bytes)
{
    const int64_t now = bb_time_ns();

    qsort(f->entry, f->n, sizeof *f->entry, compare_ids);
    for (size_t i = 0; i < f->n; i++) {
        entry *parent = find_parent(f, &f->entry[i]);
        if (parent) parent->n_children++;
    }
    while (f->bytes > max_bytes) {
        entry *least = NULL;
        for (size_t i = 0; i < f->n; i++)
            if (!f->entry[i].is_gone && f->entry[i].n_children == 0
                && (!least || worth(&f->entry[i].file, now) < worth(&least->file, now)))
                least = &f->entry[i];
        if (!least) return;
        entry *parent = find_parent(f, least);
        if (parent) parent->n_children--;
        remove_file(f, least->file.name);
        f->bytes -= least->file.bytes;
        least->is_gone = true;
    }
}

void bb_cache_files_keep(const bb_allocator *a, const char *dir, uint64_t max_bytes)
{
    files     f = { .a = a, .dir = dir };
    char     *path = bb_path_join(a, dir, "lock");
    const int lock = path ? bb_lock_try(path) : -1;

    bb_release(a, path);
    if (lock < 0) return;
    if (bb_folder_list(dir, "", see_file, &f) && f.bytes > max_bytes) drop_least(&f, max_bytes);
    bb_release(a, f.entry);
    bb_lock_drop(lock);
}
