/* chat_source.c - where a model directory keeps its chat templates and special tokens. */
#include "chat_source.h"

#include "base/file.h"

#include <stdio.h>
#include <string.h>

static const char FOLDER[] = "additional_chat_templates";

static bb_status open_json(bb_chat_source *s, const char *name, bb_json_doc **doc, bamba_error *err)
{
    char        *path = bb_path_join(&s->a, s->dir, name);
    bb_path_kind kind = BB_PATH_NONE;
    bb_status    status = BAMBA_OK;

    if (!path) return bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", name);
    BB_TRY(bb_path_find(path, &kind, err));
    if (kind == BB_PATH_FILE)
        BB_TRY(bb_json_open(doc, &s->a, path, BB_JSON_INFINITY | BB_JSON_HUGE, err));
    if (*doc) {
        const bb_json root = bb_json_root(*doc);
        if (!bb_json_is_object(&root)) bb_json_fail(&root, BAMBA_ERR_FORMAT, "expected an object");
        BB_TRY(bb_json_status(*doc, err));
    }
done:
    bb_release(&s->a, path);
    return status;
}

static bb_status look_for_files(bb_chat_source *s, bamba_error *err)
{
    char        *file = bb_path_join(&s->a, s->dir, "chat_template.jinja");
    char        *folder = bb_path_join(&s->a, s->dir, FOLDER);
    char         first[256];
    bb_path_kind kind = BB_PATH_NONE;
    bb_status    status = BAMBA_OK;

    if (!file || !folder) {
        status = bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", s->dir);
        goto done;
    }
    BB_TRY(bb_path_find(file, &kind, err));
    s->has_file = kind == BB_PATH_FILE;
    BB_TRY(bb_path_find(folder, &kind, err));
    s->has_folder = kind == BB_PATH_DIR && bb_dir_find(folder, "", ".jinja", first, sizeof first);
done:
    bb_release(&s->a, file);
    bb_release(&s->a, folder);
    return status;
}

bb_status bb_chat_source_open(bb_chat_source *s, const bb_allocator *a, const char *dir,
                              bamba_error *err)
{
    bb_status status = BAMBA_OK;

    *s = (bb_chat_source){ .a = *a, .dir = dir };
    BB_TRY(look_for_files(s, err));
    BB_TRY(open_json(s, "tokenizer_config.json", &s->config, err));
    BB_TRY(open_json(s, "special_tokens_map.json", &s->map, err));
    BB_TRY(open_json(s, "chat_template.json", &s->legacy, err));
done:
    return status;
}

void bb_chat_source_close(bb_chat_source *s)
{
    bb_json_close(s->config);
    bb_json_close(s->map);
    bb_json_close(s->legacy);
}

bb_status bb_chat_source_status(const bb_chat_source *s, bamba_error *err)
{
    const bb_json_doc *const docs[] = { s->config, s->map, s->legacy };

    for (int i = 0; i < 3; i++) {
        const bb_status status = docs[i] ? bb_json_status(docs[i], err) : BAMBA_OK;
        if (status != BAMBA_OK) return status;
    }
    return BAMBA_OK;
}

/* -------------------------------------------------------------- templates ---------------- */

static bool has_key(bb_json_doc *doc)
{
    const bb_json root = doc ? bb_json_root(doc) : (bb_json){ 0 };
    return doc && bb_json_has(&root, "chat_template");
}

/* The document whose key chat_template counts where there are no files, or NULL. */
static bb_json_doc *find_key(const bb_chat_source *s)
{
    if (has_key(s->config)) return s->config;
    return has_key(s->legacy) ? s->legacy : NULL;
}

bool bb_chat_source_has_names(bb_chat_source *s)
{
    if (s->has_file || s->has_folder) return s->has_folder;
    bb_json_doc *doc = find_key(s);
    if (!doc) return false;
    const bb_json root = bb_json_root(doc);
    const bb_json templates = bb_json_get(&root, "chat_template");
    return !bb_json_is_text(&templates);
}

static void take_text(bb_chat_text *out, const bb_json *j)
{
    out->text = bb_json_value_text(j, &out->n);
}

/* From a key: a text, a list of { name, template }, or an object of texts by name. */
static void read_key(bb_json_doc *doc, const char *name, bb_chat_text *out)
{
    const bb_json root = bb_json_root(doc);
    const bb_json templates = bb_json_get(&root, "chat_template");

    if (bb_json_is_text(&templates)) {
        if (strcmp(name, "default") == 0) take_text(out, &templates);
    } else if (bb_json_is_object(&templates)) {
        const bb_json one = bb_json_get(&templates, name);
        if (one.node) take_text(out, &one);
    } else if (!bb_json_is_array(&templates)) {
        bb_json_fail(&templates, BAMBA_ERR_FORMAT, "expected a text or a list of templates");
    }
    for (size_t i = 0; i < bb_json_length(&templates); i++) {
        const bb_json item = bb_json_at(&templates, i);
        if (strcmp(bb_json_text(&item, "name"), name) != 0) continue;
        const bb_json one = bb_json_get(&item, "template");
        take_text(out, &one);
    }
}

/* From a file of the directory, if it is there. */
static bb_status read_file(bb_chat_source *s, const char *file, bb_chat_text *out, bamba_error *err)
{
    char        *path = bb_path_join(&s->a, s->dir, file);
    bb_path_kind kind = BB_PATH_NONE;
    bb_map       map = { 0 };
    bb_status    status = BAMBA_OK;

    if (!path) return bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", file);
    BB_TRY(bb_path_find(path, &kind, err));
    if (kind == BB_PATH_FILE) {
        BB_TRY(bb_map_open(&map, path, err));
        out->copy = bb_copy_text(&s->a, (const char *)map.data, map.size);
        out->text = out->copy;
        out->n = map.size;
        if (!out->copy) status = bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", file);
    }
done:
    bb_map_close(&map);
    bb_release(&s->a, path);
    return status;
}

bb_status bb_chat_source_read(bb_chat_source *s, const char *name, bb_chat_text *out,
                              bamba_error *err)
{
    const bool is_default = strcmp(name, "default") == 0;
    bb_status  status = BAMBA_OK;

    *out = (bb_chat_text){ .text = NULL };
    if (s->has_file || s->has_folder) {
        if (s->has_folder && strlen(name) < 40 && !strchr(name, '/')) {
            snprintf(out->name, sizeof out->name, "%s/%s.jinja", FOLDER, name);
            status = read_file(s, out->name, out, err);
        }
        if (status != BAMBA_OK || out->text || !is_default) return status;
        snprintf(out->name, sizeof out->name, "chat_template.jinja");
        return read_file(s, out->name, out, err);
    }
    bb_json_doc *doc = find_key(s);
    if (!doc) return BAMBA_OK;
    snprintf(out->name, sizeof out->name,
             is_default ? "%s: chat_template" : "%s: chat_template '%.40s'",
             doc == s->config ? "tokenizer_config.json" : "chat_template.json", name);
    read_key(doc, name, out);
    return bb_chat_source_status(s, err);
}

void bb_chat_text_drop(const bb_chat_source *s, bb_chat_text *t)
{
    bb_release(&s->a, t->copy);
    *t = (bb_chat_text){ .text = NULL };
}

/* -------------------------------------------------------------- special tokens ----------- */

/* A token is its name, or an object with it. False if the key is not there. */
static bool read_token(bb_json_doc *doc, const char *key, const char **text, size_t *n)
{
    if (!doc) return false;
    const bb_json root = bb_json_root(doc);
    bb_json       token = bb_json_get(&root, key);
    if (!bb_json_is_member(&root, key)) return false;
    *text = NULL;
    if (!token.node) return true;
    const bb_json content = bb_json_is_object(&token) ? bb_json_get(&token, "content") : token;
    *text = bb_json_value_text(&content, n);
    return true;
}

const char *bb_chat_source_token(bb_chat_source *s, const char *key, size_t *n)
{
    const bb_json config = s->config ? bb_json_root(s->config) : (bb_json){ 0 };
    const bool    has_decoder = s->config && bb_json_has(&config, "added_tokens_decoder");
    const char   *text = NULL;

    /* The map counts, and more than the configuration, where that does not list the tokens. */
    if (has_decoder || !read_token(s->map, key, &text, n)) read_token(s->config, key, &text, n);
    return text;
}
