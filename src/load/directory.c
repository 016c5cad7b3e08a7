/* directory.c - whether a path is a model directory, and what else a user may have named.
 * Source: huggingface_hub file_download.py (layout of the cache), utils/_validators.py (names). */
#include "load/directory.h"

#include "base/file.h"

#include <string.h>

static bool ends_with(const char *s, const char *end)
{
    const size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

/* Whether a path could be ORG/NAME of the hub. */
static bool is_hub_name(const char *s)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789-_.";
    const size_t org = strspn(s, allowed);

    if (org == 0 || s[org] != '/' || s[0] == '.' || s[org + 1] == '\0') return false;
    return s[org + 1 + strspn(s + org + 1, allowed)] == '\0';
}

static bb_status fail_missing(const char *dir, bamba_error *err)
{
    if (!is_hub_name(dir)) return bb_fail(err, BAMBA_ERR_IO, "%s: no such directory", dir);
    return bb_fail(err, BAMBA_ERR_IO, "%s: no such directory; a model of that name in the Hugging "
                   "Face hub is had by: hf download %s (into the hub cache; it prints the "
                   "directory)", dir, dir);
}

/* The folder models--ORG--NAME of the hub's cache, whose snapshots are model directories. */
static bb_status fail_cache(const char *dir, const char *snapshots, bamba_error *err)
{
    char        name[256];
    const char *folder = bb_path_name(dir);
    const char *org = strncmp(folder, "models--", 8) == 0 ? folder + 8 : "";
    const char *end = strstr(org, "--");

    if (bb_dir_find(snapshots, "", "", name, sizeof name))
        return bb_fail(err, BAMBA_ERR_IO, "%s: a folder of the hub cache: the model is its "
                       "snapshots/%s", dir, name);
    if (!end)
        return bb_fail(err, BAMBA_ERR_IO, "%s: a folder of the hub cache without a snapshot", dir);
    return bb_fail(err, BAMBA_ERR_IO, "%s: a folder of the hub cache without a snapshot: run "
                   "hf download %.*s/%s", dir, (int)(end - org), org, end + 2);
}

bb_status bb_directory_check(const bb_allocator *a, const char *dir, const char *file,
                             bamba_error *err)
{
    bb_status    status = BAMBA_OK;
    bb_path_kind kind;
    char         name[256];               /* the longest name that a file can have */
    char        *path = bb_path_join(a, dir, file);
    char        *snapshots = bb_path_join(a, dir, "snapshots");

    if (!path || !snapshots) {
        status = bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", dir);
        goto done;
    }
    BB_TRY(bb_path_find(dir, &kind, err));
    if (kind == BB_PATH_NONE) {
        status = fail_missing(dir, err);
    } else if (kind == BB_PATH_FILE) {
        status = bb_fail(err, BAMBA_ERR_IO, "%s: %s", dir, ends_with(dir, ".gguf")
                         ? "GGUF is not read yet; expected a directory with config.json and "
                           "model.safetensors" : "expected a directory, found a file");
    } else {
        BB_TRY(bb_path_find(path, &kind, err));
        if (kind != BB_PATH_NONE) goto done;
        BB_TRY(bb_path_find(snapshots, &kind, err));
        if (kind == BB_PATH_DIR) status = fail_cache(dir, snapshots, err);
        else if (bb_dir_find(dir, "", ".gguf", name, sizeof name))
            status = bb_fail(err, BAMBA_ERR_IO, "%s: expected %s, found %s: GGUF is not read yet",
                             dir, file, name);
        else status = bb_fail(err, BAMBA_ERR_IO, "%s: no such file", path);
    }
done:
    bb_release(a, path);
    bb_release(a, snapshots);
    return status;
}
