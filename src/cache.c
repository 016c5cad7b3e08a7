/* cache.c - prompts that need not be fed again: a tree of states on disk, by their tokens.
 *
 * A node is a file: the keys and values of positions first … position - 1, and the state at
 * `position`. Its parent holds the positions before. (Where attention has a window a node holds all
 * keys and values that are left at `position`, and needs its parents for their tokens alone.)
 * A file is named KEY-ID-PARENT-FIRST-POSITION: KEY of the model, its types, the session's
 * adapters, its window and, where rotary angles depend on it, its length; ID of its
 * parent and its tokens; so a listing of the directory is the tree, for any number of processes.
 * Files come whole and go whole: one that is gone, or damaged, ends a path to it.
 *
 * Nodes lie at edges of chunks (BB_EDGE), with more than BB_FEW_ROWS tokens of the prompt behind
 * them: what is fed from there on has the bits it has when the prompt is fed whole. Only what the
 * caller stores itself may end elsewhere. */
#include "cache_files.h"
#include "session_file.h"

#include "base/file.h"
#include "base/folder.h"
#include "base/options.h"
#include "fingerprint.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ID = BB_CACHE_ID, INTERVAL = 512 };
static const uint64_t MOST_BYTES = UINT64_C(4) << 30;
static const char     ROOT[] = "0000000000000000";    /* parent of nodes that begin at 0 */

typedef struct node {
    bb_cache_file file;
    int32_t      *token;                  /* [position - first] */
    bool          is_listed;              /* by the last listing */
} node;

struct bamba_cache {
    bb_allocator       alloc;
    const bamba_model *model;
    char              *dir;
    uint64_t           max_bytes;
    size_t             interval;
    bb_log             log;
    char               fingerprint[BB_HASH_TEXT];
    bool               minds_length;
    node              *node;              /* [n] those of `key`, by name */
    size_t             n, capacity;
    char               key[ID + 1];       /* of the session in hand */
};

/* -------------------------------------------------------------- names -------------------- */

static void show_id(const bb_hash *h, char out[ID + 1])
{
    unsigned char hash[BB_HASH_BYTES];
    char          text[BB_HASH_TEXT];

    bb_hash_end(h, hash);
    bb_hash_show(hash, text);
    memcpy(out, text, ID);
    out[ID] = '\0';
}

static void make_key(bamba_cache *c, const bamba_session *s)
{
    const int types[3] = { (int)c->model->kv_type, (int)c->model->state_type,
                           c->minds_length ? s->length : 0 };
    bb_hash   h;

    bb_hash_begin(&h);
    bb_hash_add_text(&h, c->fingerprint);
    if (s->n_adapters > 0) bb_hash_add_text(&h, s->adapters_name);
    bb_hash_add(&h, types, sizeof types);
    if (s->window > 0) bb_hash_add(&h, &s->window, sizeof s->window);
    if (s->window > 0) bb_hash_add(&h, &s->sink, sizeof s->sink);
    show_id(&h, c->key);
}

static void make_id(const char *parent, const int32_t *token, size_t n, char out[ID + 1])
{
    bb_hash h;

    bb_hash_begin(&h);
    bb_hash_add_text(&h, parent);
    bb_hash_add(&h, token, n * sizeof *token);
    show_id(&h, out);
}

static char *path_of(const bamba_cache *c, const char *name)
{
    return bb_path_join(&c->alloc, c->dir, name);
}

static void remove_file(const bamba_cache *c, const char *name)
{
    char *path = path_of(c, name);
    if (path) bb_file_remove(path);
    bb_release(&c->alloc, path);
}

/* -------------------------------------------------------------- the tree ----------------- */

static void drop_node(bamba_cache *c, size_t i)
{
    bb_release(&c->alloc, c->node[i].token);
    c->n--;
    memmove(c->node + i, c->node + i + 1, (c->n - i) * sizeof *c->node);
}

static void drop_all(bamba_cache *c)
{
    while (c->n > 0) drop_node(c, c->n - 1);
}

/* A node and all that go on from it: without it they cannot be reached, and may be stored again. */
static void drop_tree(bamba_cache *c, const node *t)
{
    const bb_cache_file gone = t->file;

    drop_node(c, (size_t)(t - c->node));
    for (size_t i = 0; i < c->n;) {
        const bb_cache_file *f = &c->node[i].file;
        if (f->first == gone.position && strcmp(f->parent, gone.id) == 0)
            drop_tree(c, &c->node[i]), i = 0;
        else i++;
    }
}

static int compare_names(const void *a, const void *b)
{
    const node *x = a, *y = b;
    return strcmp(x->file.name, y->file.name);
}

/* Among the first n nodes, which are sorted. */
static node *find_name(bamba_cache *c, const char *name, size_t n)
{
    node wanted;

    snprintf(wanted.file.name, sizeof wanted.file.name, "%s", name);
    return n > 0 ? bsearch(&wanted, c->node, n, sizeof wanted, compare_names) : NULL;
}

/* Add a node whose tokens are in memory behind all others; they are copied. Without memory it is
   left out. */
static void add_node(bamba_cache *c, const bb_cache_file *f, const int32_t *token)
{
    const size_t n = f->position - f->first;
    int32_t     *copy = bb_allocate(&c->alloc, n, sizeof *copy);

    if (!copy || !bb_reserve(&c->alloc, &c->node, &c->capacity, c->n + 1, sizeof *c->node)) {
        bb_release(&c->alloc, copy);
        return;
    }
    memcpy(copy, token, n * sizeof *copy);
    c->node[c->n++] = (node){ *f, copy, true };
}

/* Read the tokens of a file that another run, or another process, has written. A file that is not
   what its name says is removed. */
static void learn_node(bamba_cache *c, const bb_cache_file *f)
{
    char             *path = path_of(c, f->name);
    bb_session_reader r = { 0 };
    bamba_error       err;

    if (!path) return;
    const bb_status status = bb_session_reader_open(&r, &c->alloc, c->model, path, false, &err);
    if (status == BAMBA_OK && r.facts.first == f->first && r.facts.position == f->position
        && r.facts.known <= f->first) {
        add_node(c, f, r.tokens);
    } else if (status == BAMBA_OK || status == BAMBA_ERR_FORMAT) {
        bb_log_line(&c->log, "cache: %s is damaged, and removed", f->name);
        bb_file_remove(path);
    }
    bb_session_reader_close(&r);
    bb_release(&c->alloc, path);
}

typedef struct listing {
    bamba_cache *c;
    size_t       n_before;                /* nodes that were known */
} listing;

static bool see_file(void *context, const char *name, uint64_t bytes, int64_t time_ns)
{
    const listing *l = context;
    bamba_cache   *c = l->c;
    bb_cache_file          f;

    if (!bb_cache_file_read(name, &f) || strcmp(f.key, c->key) != 0) return true;
    f.bytes = bytes;
    f.time_ns = time_ns;
    node *known = find_name(c, name, l->n_before);
    if (known) known->is_listed = true;
    else learn_node(c, &f);
    return true;
}

static void sort_nodes(bamba_cache *c)
{
    if (c->n > 1) qsort(c->node, c->n, sizeof *c->node, compare_names);
}

/* Let the tree be what the directory has now. */
static void list_nodes(bamba_cache *c)
{
    listing l = { c, c->n };
    size_t  n = 0;

    for (size_t i = 0; i < c->n; i++) c->node[i].is_listed = false;
    (void)bb_folder_list(c->dir, BB_CACHE_SUFFIX, see_file, &l);
    for (size_t i = 0; i < c->n; i++) {
        if (c->node[i].is_listed) c->node[n++] = c->node[i];
        else bb_release(&c->alloc, c->node[i].token);
    }
    c->n = n;
    sort_nodes(c);
}

/* -------------------------------------------------------------- search ------------------- */

/* A prompt, and what is known of it. */
typedef struct search {
    const int32_t *token;                 /* [n] */
    size_t         n, end;                /* end: where a last piece of few rows begins, else n */
    const node    *best;                  /* the deepest node whose tokens begin it; NULL: none */
    size_t         shared;                /* most tokens it has in common with any path */
} search;

/* Whether what follows a node at `position` is fed as it is when the prompt is fed whole, or the
   caller stored it there. */
static bool is_usable(size_t position, const search *s)
{
    if (position % BB_EDGE != 0) return position < s->n;
    return position + BB_FEW_ROWS < s->end || (position == s->end && s->end < s->n);
}

static void search_from(const bamba_cache *c, const char *parent, size_t first, search *s)
{
    for (size_t i = 0; i < c->n; i++) {
        const node  *t = &c->node[i];
        const size_t length = t->file.position - t->file.first;
        size_t       same = 0;

        if (t->file.first != first || strcmp(t->file.parent, parent) != 0) continue;
        while (same < length && first + same < s->n && t->token[same] == s->token[first + same])
            same++;
        if (first + same > s->shared) s->shared = first + same;
        if (same < length) continue;
        if (is_usable(t->file.position, s)
            && (!s->best || s->best->file.position < t->file.position)) s->best = t;
        search_from(c, t->file.id, t->file.position, s);
    }
}

static const node *find_id(const bamba_cache *c, const char *id, size_t position)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->node[i].file.position == position && strcmp(c->node[i].file.id, id) == 0)
            return &c->node[i];
    return NULL;
}

/* -------------------------------------------------------------- loading ------------------ */

static bb_status load_node(bamba_cache *c, bamba_session *s, const node *t, bool is_last,
                           bamba_error *err)
{
    char             *path = path_of(c, t->file.name);
    bb_session_reader r = { 0 };
    bb_status         status = BAMBA_OK;

    if (!path) return bb_fail(err, BAMBA_ERR_MEMORY, "cache: out of memory");
    BB_TRY(bb_session_reader_open(&r, &c->alloc, c->model, path, true, err));
    if (memcmp(r.tokens, t->token, (t->file.position - t->file.first) * sizeof *t->token) != 0) {
        status = bb_fail(err, BAMBA_ERR_FORMAT, "%s: other tokens than before", t->file.name);
        goto done;
    }
    BB_TRY(bb_session_read(s, &r, is_last, err));
    bb_file_touch(path);
done:
    bb_session_reader_close(&r);
    bb_release(&c->alloc, path);
    return status;
}

/* The nodes from the root to t, the parents first; their depth is small, their number what the disk
   holds. *failed: the one that could not be loaded. */
static bb_status load_path(bamba_cache *c, bamba_session *s, const node *t, bool is_last,
                           const node **failed, bamba_error *err)
{
    bb_status status = BAMBA_OK;

    if (t->file.first > 0) {
        const node *parent = find_id(c, t->file.parent, t->file.first);
        if (!parent) {
            *failed = t;
            return bb_fail(err, BAMBA_ERR_IO, "cache: %s: its parent is gone", t->file.name);
        }
        BB_TRY(load_path(c, s, parent, false, failed, err));
    }
    status = load_node(c, s, t, is_last, err);
    if (status != BAMBA_OK) *failed = t;
done:
    return status;
}

/* Put the longest stored beginning of the prompt into the session; *at: the node it stands at. A
   file that is gone or damaged is passed over, and the next best taken. */
static bb_status load_best(bamba_cache *c, bamba_session *s, search *p, char at[ID + 1])
{
    memcpy(at, ROOT, sizeof ROOT);
    for (;;) {
        const node *failed = NULL;
        bamba_error err;

        *p = (search){ .token = p->token, .n = p->n, .end = p->end };
        search_from(c, ROOT, 0, p);
        if (!p->best) return BAMBA_OK;
        const bb_status status = load_path(c, s, p->best, true, &failed, &err);
        if (status == BAMBA_OK) {
            memcpy(at, p->best->file.id, ID + 1);
            return BAMBA_OK;
        }
        bamba_session_reset(s);
        if (status == BAMBA_ERR_MEMORY || status == BAMBA_ERR_FULL) return BAMBA_OK;
        if (status == BAMBA_ERR_FORMAT) {
            bb_log_line(&c->log, "cache: %s is damaged, and removed", failed->file.name);
            remove_file(c, failed->file.name);
        }
        drop_tree(c, failed);
    }
}

/* -------------------------------------------------------------- storing ------------------ */

/* The session's positions from `first` on, where node `at` ends, become a node: *at is that one
   then. What cannot be written is left out: the text does not depend on it. */
static void store(bamba_cache *c, const bamba_session *s, size_t first, char at[ID + 1])
{
    bb_cache_file         f = { .first = first, .position = s->position };
    const int32_t *token = bb_past_tokens(&s->past, first);
    bamba_error   err;
    int           n;

    memcpy(f.key, c->key, sizeof f.key);
    memcpy(f.parent, at, sizeof f.parent);
    make_id(at, token, s->position - first, f.id);
    memcpy(at, f.id, sizeof f.id);
    n = snprintf(f.name, sizeof f.name, "%s-%s-%s-%zu-%zu%s", f.key, f.id, f.parent, first,
                 s->position, BB_CACHE_SUFFIX);
    if (n < 0 || n >= BB_CACHE_NAME || find_name(c, f.name, c->n)) return;
    char *path = path_of(c, f.name);
    if (!path) return;
    const bb_status status = bb_session_write(s, path, first, first > 0 ? f.parent : NULL,
                                              NULL, &err);
    if (status == BAMBA_OK) {
        add_node(c, &f, token);
        sort_nodes(c);
    } else {
        bb_log_line(&c->log, "cache: not stored: %s", err.message);
    }
    bb_release(&c->alloc, path);
}

/* The next position, behind `pos`, at which a prompt gets a node: every `interval`, at the last
   edge before its end, and where it parted from what was stored. 0: none. */
static size_t next_stop(const bamba_cache *c, size_t pos, const search *s)
{
    const size_t last = s->end < s->n ? s->end
                      : s->n > BB_FEW_ROWS ? (s->n - BB_FEW_ROWS - 1) / BB_EDGE * BB_EDGE : 0;
    const size_t branch = s->shared / BB_EDGE * BB_EDGE;
    size_t       stop = (pos / c->interval + 1) * c->interval;

    if (branch > pos + BB_FEW_ROWS && branch < stop) stop = branch;
    if (stop > last) stop = last;
    return stop > pos + BB_FEW_ROWS ? stop : 0;
}

/* -------------------------------------------------------------- public ------------------- */

bamba_status bamba_cache_open(bamba_cache **out, const bamba_model *m, const char *dir,
                              const bamba_cache_options *options, bamba_error *err)
{
    bamba_cache_options o = BAMBA_CACHE_OPTIONS;
    bb_status           status = BAMBA_OK;
    bamba_cache        *c = NULL;

    if (!out || !m || !dir)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "cache: %s is NULL",
                       !out ? "out" : m ? "dir" : "model");
    *out = NULL;
    BB_TRY(bb_read_options(&o, sizeof o, sizeof o, options, "cache options", err));
    BB_TRY(bb_folder_make(dir, err));
    c = bb_new(&m->alloc, 1, sizeof *c);
    if (c) c->alloc = m->alloc, c->dir = bb_copy_text(&c->alloc, dir, strlen(dir));
    if (!c || !c->dir) {
        status = bb_fail(err, BAMBA_ERR_MEMORY, "cache: out of memory");
        goto done;
    }
    c->model = m;
    c->max_bytes = o.max_bytes ? o.max_bytes : MOST_BYTES;
    c->interval = ((o.interval ? o.interval : INTERVAL) + BB_EDGE - 1) / BB_EDGE * BB_EDGE;
    c->log = (bb_log){ o.log, o.log_context };
    bb_fingerprint(m, c->fingerprint);
    for (size_t i = 0; i < m->graph->n_mixers; i++) {
        const bb_mixer *mixer = m->graph->mixer[i];
        c->minds_length |= mixer->kind->minds_length && mixer->kind->minds_length(mixer);
    }
    *out = c;
    c = NULL;
done:
    bamba_cache_free(c);
    return status;
}

void bamba_cache_free(bamba_cache *c)
{
    if (!c) return;
    const bb_allocator a = c->alloc;
    drop_all(c);
    bb_release(&a, c->node);
    bb_release(&a, c->dir);
    bb_release(&a, c);
}

/* Take the nodes of the session's key in hand. */
static void take_key(bamba_cache *c, const bamba_session *s)
{
    char before[ID + 1];

    memcpy(before, c->key, sizeof before);
    make_key(c, s);
    if (strcmp(before, c->key) != 0) drop_all(c);
    list_nodes(c);
}

bamba_status bamba_cache_feed(bamba_cache *c, bamba_engine *e, bamba_session *s,
                              const int32_t *tokens, size_t n, const float **logits,
                              size_t *n_reused, bamba_error *err)
{
    search    p = { .token = tokens, .n = n, .end = n };
    bb_status status = BAMBA_OK;
    char      at[ID + 1];
    size_t    stop, from;

    if (n_reused) *n_reused = 0;
    if (!c || !e || !s || (!tokens && n > 0))
        return bb_fail(err, BAMBA_ERR_ARGUMENT, 
                       "cache: the cache, engine, session or tokens are NULL");
    if (s->model != c->model)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "cache: the session belongs to another model");
    if (s->position > 0)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "cache: expected an empty session, found one at "
                       "position %zu", s->position);
    if (n <= bamba_session_room(s)) {
        const size_t batch = (size_t)e->options.n_batch;
        if (n > batch && n % batch <= BB_FEW_ROWS) p.end = n - n % batch;
        take_key(c, s);
        BB_TRY(load_best(c, s, &p, at));
        from = s->position;
        if (n_reused) *n_reused = from;
        while ((stop = next_stop(c, from, &p)) > 0) {
            BB_TRY(bamba_feed(e, s, tokens + s->position, stop - s->position, NULL, err));
            store(c, s, from, at);
            from = s->position;
        }
        bb_cache_files_keep(&c->alloc, c->dir, c->max_bytes);
    }
    BB_TRY(bamba_feed(e, s, tokens + s->position, n - s->position, logits, err));
done:
    return status;
}

bamba_status bamba_cache_store(bamba_cache *c, const bamba_session *s, bamba_error *err)
{
    search p = { 0 };
    char   at[ID + 1];

    if (!c || !s) return bb_fail(err, BAMBA_ERR_ARGUMENT, "cache: the cache or session is NULL");
    if (s->model != c->model)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "cache: the session belongs to another model");
    if (s->spoilt || s->past.known > 0 || s->position == 0)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "cache: expected a session whose tokens are known");
    take_key(c, s);
    p.token = s->past.token;
    p.n = p.end = s->position;
    memcpy(at, ROOT, sizeof ROOT);
    search_from(c, ROOT, 0, &p);
    if (p.best) memcpy(at, p.best->file.id, ID + 1);
    store(c, s, p.best ? p.best->file.position : 0, at);
    bb_cache_files_keep(&c->alloc, c->dir, c->max_bytes);
    return BAMBA_OK;
}
