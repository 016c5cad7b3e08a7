/* companions.c - files of a model's directory that hold no weights, written into another one. */
#include "companions.h"

#include "base/file.h"
#include "base/json.h"
#include "base/json_text.h"
#include "base/outfile.h"

#include <string.h>

static const char CONFIG[] = "config.json";

static bb_status no_memory(const char *to, bamba_error *err)
{
    return bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", to);
}

bb_status bb_companion_put(const bb_allocator *a, const char *to, const char *name,
                           const void *data, size_t n, bamba_error *err)
{
    char *path = bb_path_join(a, to, name);

    if (!path) return no_memory(to, err);
    const bb_status status = bb_outfile_put(a, path, data, n, err);
    bb_release(a, path);
    return status;
}

/* -------------------------------------------------------------- copies ------------------- */

/* Beginnings of the names of files that belong to a model and hold no weights. */
static const char *const companions[] = {
    "LICENSE", "NOTICE", "README", "added_tokens.json", "chat_template", "generation_config.json",
    "merges", "special_tokens_map.json", "tokenizer", "vocab",
};

static bb_status copy_companion(const bb_allocator *a, const char *dir, const char *to,
                                const char *name, bamba_error *err)
{
    bb_map       map = { 0 };
    bb_path_kind kind;
    bb_status    status = BAMBA_OK;
    char        *path = bb_path_join(a, dir, name);

    if (!path) return no_memory(to, err);
    BB_TRY(bb_path_find(path, &kind, err));
    if (kind != BB_PATH_FILE) goto done;
    BB_TRY(bb_map_open(&map, path, err));
    BB_TRY(bb_companion_put(a, to, name, map.data, map.size, err));
done:
    bb_map_close(&map);
    bb_release(a, path);
    return status;
}

bb_status bb_companions_copy(const bb_allocator *a, const char *dir, const char *to,
                             bamba_error *err)
{
    bb_status status = BAMBA_OK;

    for (size_t i = 0; i < sizeof companions / sizeof *companions; i++) {
        char name[256] = "";              /* the longest name that a file can have */
        while (bb_dir_next(dir, companions[i], "", name, sizeof name))
            BB_TRY(copy_companion(a, dir, to, name, err));
    }
done:
    return status;
}

/* -------------------------------------------------------------- config.json -------------- */

/* The object `text` [n] with one change, as text to be released; NULL without memory. */
static char *change_one(const bb_allocator *a, const char *text, size_t n,
                        const bb_config_change *c, size_t *n_changed)
{
    bb_printer p = { .size = n + strlen(c->key) + (c->value ? strlen(c->value) : 0) + 16 };

    p.buffer = bb_allocate(a, p.size, 1);
    if (p.buffer) bb_print_with_member(&p, text, n, c->key, c->value);
    *n_changed = p.used;
    return p.buffer;
}

static char *change_all(const bb_allocator *a, const bb_map *map, const bb_config_change *change,
                        size_t n_changes, size_t *n)
{
    const char *text = (const char *)map->data;
    char       *changed = NULL;

    *n = map->size;
    for (size_t i = 0; i < n_changes; i++) {
        char *more = change_one(a, changed ? changed : text, *n, &change[i], n);
        bb_release(a, changed);
        if (!more) return NULL;
        changed = more;
    }
    return changed;
}

bb_status bb_companions_config(const bb_allocator *a, const char *dir, const char *to,
                               const bb_config_change *change, size_t n, bamba_error *err)
{
    bb_status    status = BAMBA_OK;
    bb_map       map = { 0 };
    bb_json_doc *doc = NULL;
    size_t       n_text = 0;
    char        *path = bb_path_join(a, dir, CONFIG), *text = NULL;

    if (!path) return no_memory(to, err);
    BB_TRY(bb_map_open(&map, path, err));
    text = change_all(a, &map, change, n, &n_text);
    if (!text) {
        status = no_memory(to, err);
        goto done;
    }
    /* The file may have changed since it was read, or spell a key with escapes. */
    BB_TRY(bb_json_parse(&doc, a, CONFIG, text, n_text, BB_JSON_INFINITY, err));
    BB_TRY(bb_companion_put(a, to, CONFIG, text, n_text, err));
done:
    bb_json_close(doc);
    bb_release(a, text);
    bb_map_close(&map);
    bb_release(a, path);
    return status;
}
