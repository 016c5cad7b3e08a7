/* session_file.c - what a session remembers, or its share of some positions, in a file.
 *
 * A file of safetensors, whose tensors are:
 *     session    U8 [n]      JSON: version, fingerprint of the model, positions, types, the extras
 *     tokens     I32 [T]     what was fed, and
 *     fed        U8 [T]      how (BB_FED_…)
 *     layers.L.KIND.PART     what the mixer KIND of layer L remembers (bb_part): window, state,
 *                            keys, values, in canonical order whatever the CPU level
 *     checksum   U8 [16]     XXH3, 128 bits, of the other tensors in the order of their names:
 *                            name, type, shape, bytes
 * With a window the arrays of keys and values hold the positions that rows to come see, filled up
 * to whole pages: the first ones for the sink, then the last ones. A file that is part of a longer
 * text, from position `first` on, has them all.
 * Nothing of a file is believed before its checksum is right. */
#include "session_file.h"

#include "fingerprint.h"
#include "rewind.h"
#include "session_tensors.h"

#include "base/json.h"
#include "base/json_text.h"
#include "base/utf8.h"
#include "load/safetensors.h"
#include "load/safetensors_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 2 };                     /* 1 where attention has no window */

/* -------------------------------------------------------------- saving ------------------- */

/* Of keys, values and states. */
static const char *type_name(bb_type type)
{
    return type == BB_TYPE_F32 ? "f32" : type == BB_TYPE_BF16 ? "bf16"
         : type == BB_TYPE_F16 ? "f16" : "q8";
}

static void print_facts(bb_printer *p, const bamba_session *s, size_t first, const char *parent,
                        const char *extras)
{
    char name[BB_HASH_TEXT];

    bb_fingerprint(s->model, name);
    bb_print(p, "{\"format\":\"bamba session\",\"version\":%d,\"model\":\"%s\",\"architecture\":",
             s->window > 0 ? VERSION : 1, name);
    bb_print_quoted(p, s->model->architecture);
    bb_print(p, ",\"first\":\"%zu\",\"position\":\"%zu\",\"known\":\"%zu\",\"rotary_length\":%d,"
             "\"kv_type\":\"%s\",\"state_type\":\"%s\"", first, s->position, s->past.known,
             s->length, type_name(s->model->kv_type), type_name(s->model->state_type));
    if (s->window > 0) bb_print(p, ",\"window\":\"%zu\",\"sink\":\"%zu\"", s->window, s->sink);
    if (s->n_adapters > 0) bb_print(p, ",\"adapters\":\"%s\"", s->adapters_name);
    if (parent) bb_print(p, ",\"parent\":\"%s\"", parent);
    if (extras) {
        bb_print(p, ",\"extras\":");
        bb_print_quoted(p, extras);
    }
    bb_print(p, "}");
}

/* To be released; NULL without memory. */
static char *make_facts(const bamba_session *s, size_t first, const char *parent,
                        const char *extras)
{
    bb_printer p = { 0 };

    print_facts(&p, s, first, parent, extras);
    p = (bb_printer){ .buffer = bb_allocate(&s->alloc, p.used + 1, 1), .size = p.used + 1 };
    if (p.buffer) print_facts(&p, s, first, parent, extras);
    return p.buffer;
}

/* A session that is being written. */
typedef struct writing {
    const bamba_session *s;
    bb_session_held h;
    void         **page;                  /* those of the positions held */
    unsigned char *memory;                /* [tensors' most] what a slot saves */
    float         *scratch;
    size_t         last;                  /* the slot in memory; SIZE_MAX: none */
} writing;

/* What a slot saves, unless it was the last. */
static const unsigned char *save_slot(writing *w, size_t slot)
{
    const bamba_session *s = w->s;
    const bb_mixer      *m = s->model->graph->slot[slot];
    const bb_pages       cache = { w->page, s->slot[slot].cache.at };

    if (w->last != slot)
        m->kind->save(m, &s->model->kernels, s->slot[slot].state[s->current], &cache, w->h.first,
                      w->h.end, w->memory, w->scratch);
    w->last = slot;
    return w->memory;
}

/* The pages that the file has, which may be fewer than the session has. */
static void find_pages(writing *w)
{
    const bb_page_table *t = &w->s->pages;
    const size_t         skip = bb_window_gone(w->s, w->s->position) - t->n_gone;

    for (size_t i = 0; t->n_pages > 0 && i < bb_graph_n_pages(w->h.end); i++)
        w->page[i] = t->page[i < t->n_fixed ? i : i + skip];
}

static bb_status write_tensors(writing *job, const bb_session_tensors *l,
                               const bb_safetensors_writer *w, bamba_error *err)
{
    bb_status     status = BAMBA_OK;
    unsigned char sum[BB_HASH_BYTES];
    bb_hash       h;

    bb_hash_begin(&h);
    for (size_t i = 0; i < l->n; i++) {
        const bb_session_item *it = &l->item[i];
        const void *data = it->t.data;
        if (!data && it->t.bytes > 0) data = save_slot(job, it->slot) + it->at;
        bb_session_hash_tensor(&h, &it->t, data);
        if (it->t.bytes > 0) BB_TRY(bb_safetensors_put(w, i, 0, data, it->t.bytes, err));
    }
    bb_hash_end(&h, sum);
    BB_TRY(bb_safetensors_put(w, l->n, 0, sum, sizeof sum, err));
done:
    return status;
}

static bb_status write_file(const bamba_session *s, size_t first, const bb_session_tensors *l,
                            const char *path, bamba_error *err)
{
    bb_status              status = BAMBA_OK;
    bb_safetensors_writer *w = NULL;
    bb_tensor             *tensor = bb_allocate(&s->alloc, l->n + 1, sizeof *tensor);
    writing                job = { .s = s, .h = bb_session_holds(s, first), .last = SIZE_MAX };

    job.page = bb_allocate(&s->alloc, bb_graph_n_pages(job.h.end) + 1, sizeof *job.page);
    job.memory = bb_allocate(&s->alloc, l->most + 1, 1);
    job.scratch = bb_allocate(&s->alloc, bb_graph_scratch_floats(s->model->graph) + 1,
                              sizeof *job.scratch);
    if (!tensor || !job.page || !job.memory || !job.scratch) {
        status = bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", path);
        goto done;
    }
    find_pages(&job);
    for (size_t i = 0; i < l->n; i++) tensor[i] = l->item[i].t;
    tensor[l->n] = (bb_tensor){ .name = "checksum", .dtype = BB_TYPE_U8, .n_dims = 1,
                                .dim = { BB_HASH_BYTES } };
    BB_TRY(bb_safetensors_create(&w, &s->alloc, path, tensor, l->n + 1, err));
    BB_TRY(write_tensors(&job, l, w, err));
    BB_TRY(bb_safetensors_finish(w, err));
done:
    bb_safetensors_free(w);
    bb_release(&s->alloc, tensor);
    bb_release(&s->alloc, job.page);
    bb_release(&s->alloc, job.memory);
    bb_release(&s->alloc, job.scratch);
    return status;
}

bb_status bb_session_write(const bamba_session *s, const char *path, size_t first,
                           const char *parent, const char *extras, bamba_error *err)
{
    bb_status status = BAMBA_OK;
    bb_session_tensors l = { 0 };
    char     *facts = make_facts(s, first, parent, extras);

    if (!facts || !bb_session_list(&l, s, first, facts)) {
        status = bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", path);
        goto done;
    }
    BB_TRY(write_file(s, first, &l, path, err));
done:
    bb_release(&s->alloc, l.item);
    bb_release(&s->alloc, facts);
    return status;
}

bamba_status bamba_session_save(const bamba_session *s, const char *path, const char *extras,
                                bamba_error *err)
{
    if (!s || !path)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "session save: %s is NULL", s ? "path" : "session");
    if (s->spoilt)
        return bb_fail(err, BAMBA_ERR_NUMBER, "session save: the session holds numbers that "
                       "are not finite since an earlier call");
    if (extras && bb_utf8_valid(extras, strlen(extras)) != strlen(extras))
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "session save: the extras are not UTF-8");
    return bb_session_write(s, path, 0, NULL, extras, err);
}

/* -------------------------------------------------------------- opening ------------------ */

/* That it is such a file, and, if `all`, its checksum. */
static bb_status check_sum(const bb_container *c, bool all, bamba_error *err)
{
    const bb_tensor *stored = bb_tensors_find(c->tensor, c->n, "checksum");
    unsigned char    sum[BB_HASH_BYTES];
    bb_hash          h;

    if (!stored || stored->dtype != BB_TYPE_U8 || stored->bytes != BB_HASH_BYTES
        || !bb_tensors_find(c->tensor, c->n, "session"))
        return bb_fail(err, BAMBA_ERR_FORMAT, "%s: expected a saved session, found other tensors",
                       c->file);
    if (!all) return BAMBA_OK;
    bb_hash_begin(&h);
    for (size_t i = 0; i < c->n; i++)
        if (&c->tensor[i] != stored) bb_session_hash_tensor(&h, &c->tensor[i], c->tensor[i].data);
    bb_hash_end(&h, sum);
    if (memcmp(sum, stored->data, sizeof sum) == 0) return BAMBA_OK;
    return bb_fail(err, BAMBA_ERR_FORMAT, "%s: damaged: its checksum is not that of its content",
                   c->file);
}

static size_t read_size(const bb_json *j, const char *key)
{
    const char *text = bb_json_text(j, key);
    char       *end;
    const unsigned long long n = strtoull(text, &end, 10);

    if (*end || n > SIZE_MAX / 2) bb_json_fail_key(j, key, BAMBA_ERR_FORMAT, "expected a number");
    return (size_t)n;
}

/* 0 if the key is not there. */
static size_t read_size_or_none(const bb_json *j, const char *key)
{
    return bb_json_get(j, key).node ? read_size(j, key) : 0;
}

static void expect_text(const bb_json *j, const char *key, const char *what, const char *expected)
{
    const char *found = bb_json_text(j, key);

    if (strcmp(found, expected) != 0)
        bb_json_fail_key(j, key, BAMBA_ERR_ARGUMENT, "the session was saved with another %s: "
                         "expected '%s', found '%.40s'", what, expected, found);
}

static void read_facts(const bb_json *j, const bamba_model *m, bb_session_facts *f)
{
    const bb_json extras = bb_json_get(j, "extras"), parent = bb_json_get(j, "parent");
    const int     version = bb_json_int(j, "version", 1, 1 << 20);
    char          name[BB_HASH_TEXT];

    if (version > VERSION)
        bb_json_fail_key(j, "version", BAMBA_ERR_UNSUPPORTED, "expected %d, found %d: written by a "
                         "newer version", VERSION, version);
    bb_fingerprint(m, name);
    expect_text(j, "architecture", "model", m->architecture);
    expect_text(j, "model", "model, or with weights of other types", name);
    expect_text(j, "kv_type", "type of keys and values", type_name(m->kv_type));
    expect_text(j, "state_type", "type of states", type_name(m->state_type));
    f->first = read_size(j, "first");
    f->position = read_size(j, "position");
    f->known = read_size(j, "known");
    f->length = bb_json_int(j, "rotary_length", 0, INT32_MAX);
    f->window = read_size_or_none(j, "window");
    f->sink = read_size_or_none(j, "sink");
    f->adapters = bb_json_text_or(j, "adapters", "");
    f->extras = extras.node ? bb_json_value_text(&extras, NULL) : NULL;
    f->parent = parent.node ? bb_json_value_text(&parent, NULL) : NULL;
    if (f->window > BB_MOST_POSITIONS || f->sink > BB_MOST_POSITIONS)
        bb_json_fail_key(j, "window", BAMBA_ERR_FORMAT, "expected at most %d", BB_MOST_POSITIONS);
    if (f->known > f->position || f->first > f->position || (f->first > 0) != (f->parent != NULL))
        bb_json_fail_key(j, "position", BAMBA_ERR_FORMAT, "expected at least first and "
                         "known, and a parent if first is not 0");
}

/* The tokens as the file has them, which must be as many as it says. */
static bb_status find_tokens(bb_session_reader *r, int n_vocab, bamba_error *err)
{
    const bb_tensor *t = bb_tensors_find(r->file->tensor, r->file->n, "tokens");
    const size_t     n = r->facts.position - bb_session_first_token(r->facts.first, r->facts.known);

    if (!t || t->dtype != BB_TYPE_I32 || t->n_elements != n || (uintptr_t)t->data % sizeof(int32_t))
        return bb_fail(err, BAMBA_ERR_FORMAT, "%s: 'tokens': expected I32 [%zu], aligned",
                       r->file->file, n);
    r->tokens = (const int32_t *)(const void *)t->data;
    for (size_t i = 0; i < n; i++)
        if (r->tokens[i] < 0 || r->tokens[i] >= n_vocab)
            return bb_fail(err, BAMBA_ERR_FORMAT, "%s: 'tokens': expected ids from 0 to %d, "
                           "found %d", r->file->file, n_vocab - 1, r->tokens[i]);
    return BAMBA_OK;
}

bb_status bb_session_reader_open(bb_session_reader *r, const bb_allocator *a, const bamba_model *m,
                                 const char *path, bool check, bamba_error *err)
{
    bb_status status = BAMBA_OK;

    *r = (bb_session_reader){ .a = *a };
    BB_TRY(bb_safetensors_open(&r->file, a, path, err));
    BB_TRY(check_sum(r->file, check, err));
    const bb_tensor *t = bb_tensors_find(r->file->tensor, r->file->n, "session");
    BB_TRY(bb_json_parse(&r->doc, a, path, (const char *)t->data, t->bytes, 0, err));
    const bb_json root = bb_json_root(r->doc);
    read_facts(&root, m, &r->facts);
    BB_TRY(bb_json_status(r->doc, err));
    BB_TRY(find_tokens(r, m->graph->n_vocab, err));
done:
    if (status != BAMBA_OK) bb_session_reader_close(r);
    return status;
}

void bb_session_reader_close(bb_session_reader *r)
{
    bb_json_close(r->doc);
    bb_container_close(r->file);
    *r = (bb_session_reader){ .a = r->a };
}

/* The tensors are just those that the session has at its position. */
static bb_status check_tensors(const bb_container *c, const bb_session_tensors *l, bamba_error *err)
{
    if (c->n != l->n + 1)
        return bb_fail(err, BAMBA_ERR_FORMAT, "%s: expected %zu tensors, found %zu", c->file,
                       l->n + 1, c->n);
    for (size_t i = 0; i < l->n; i++) {
        const bb_tensor *want = &l->item[i].t;
        const bb_tensor *found = bb_tensors_find(c->tensor, c->n, want->name);
        if (found && found->dtype == want->dtype && found->n_dims == want->n_dims
            && memcmp(found->dim, want->dim, (size_t)want->n_dims * sizeof *want->dim) == 0)
            continue;
        return bb_fail(err, BAMBA_ERR_FORMAT, "%s: '%s': expected %s, found %s", c->file,
                       want->name, bb_shape_show(want->dtype, want->n_dims, want->dim).s,
                       found ? bb_shape_show(found->dtype, found->n_dims, found->dim).s
                             : "nothing");
    }
    return BAMBA_OK;
}

/* The arrays of each slot put together again, and loaded. */
static bb_status load_slots(bamba_session *s, size_t first, const bb_container *c,
                            const bb_session_tensors *l, bool with_state, bamba_error *err)
{
    const bb_graph *g = s->model->graph;
    unsigned char  *memory = bb_allocate(&s->alloc, l->most + 1, 1);
    float          *scratch = bb_allocate(&s->alloc, bb_graph_scratch_floats(g) + 1,
                                          sizeof *scratch);
    const bb_session_held h = bb_session_holds(s, first);
    bb_status       status = BAMBA_OK;

    if (!memory || !scratch)
        status = bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", c->file);
    for (size_t slot = 0; status == BAMBA_OK && slot < g->n_slots; slot++) {
        const bb_mixer *m = g->slot[slot];
        if (!m || (!with_state && (!m->kind->page_bytes || s->window > 0))) continue;
        for (size_t i = 0; i < l->n; i++) {
            const bb_session_item *it = &l->item[i];
            if (it->t.data || it->slot != slot || it->t.bytes == 0) continue;
            memcpy(memory + it->at, bb_tensors_find(c->tensor, c->n, it->name)->data, it->t.bytes);
        }
        m->kind->load(m, &s->model->kernels, memory, h.first, h.end,
                      with_state ? s->slot[slot].state[s->current] : NULL, &s->slot[slot].cache,
                      scratch);
    }
    bb_release(&s->alloc, memory);
    bb_release(&s->alloc, scratch);
    return status;
}

/* See that the session may write the keys and values that a file has. With a window those of a
   whole path come from its last file. */
static bool write_pages(bamba_session *s, size_t first, size_t position, bool is_last)
{
    if (s->window == 0)
        return bb_pages_write(&s->pages, first / BB_KV_BLOCK, bb_graph_n_pages(position), true);
    if (!is_last) return true;
    bb_pages_begin(&s->pages, bb_window_gone(s, position));
    return bb_pages_write(&s->pages, 0, bb_graph_n_pages(bb_window_held(s, position)), false);
}

/* Room for what the file holds, and its tokens. */
static bb_status take_tokens(bamba_session *s, const bb_session_reader *r, bool is_last,
                             bamba_error *err)
{
    const bb_session_facts *f = &r->facts;
    bb_past                *p = &s->past;
    const bb_tensor        *fed = bb_tensors_find(r->file->tensor, r->file->n, "fed");

    if (f->position > s->n_context)
        return bb_fail(err, BAMBA_ERR_FULL, "%s: expected a context of at least %zu tokens, "
                       "found %zu", r->file->file, f->position, s->n_context);
    if (f->first == 0) p->known = f->known;
    const size_t from = bb_session_first_token(f->first, f->known), n = f->position - from;
    if (!fed || fed->bytes != n || p->known != f->known)
        return bb_fail(err, BAMBA_ERR_FORMAT, "%s: 'fed': expected U8 [%zu]", r->file->file, n);
    if (!bb_past_reserve(p, &s->alloc, f->position)
        || !write_pages(s, f->first, f->position, is_last))
        return bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", r->file->file);
    if (n > 0) memcpy(bb_past_tokens(p, from), r->tokens, n * sizeof *r->tokens);
    if (n > 0) memcpy(p->fed + (from - p->known), fed->data, n);
    s->position = f->position;
    s->length = f->length;
    bb_past_forget(p, f->position, true);
    return BAMBA_OK;
}

bb_status bb_session_read(bamba_session *s, const bb_session_reader *r, bool with_state,
                          bamba_error *err)
{
    bb_status status = BAMBA_OK;
    bb_session_tensors l = { 0 };

    if (strcmp(r->facts.adapters, s->adapters_name) != 0)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "%s: 'adapters': the session was saved with %s",
                       r->file->file, !r->facts.adapters[0] ? "no adapters" : s->n_adapters > 0
                       ? "other adapters, or scales" : "adapters: expected them in the options");
    if (r->facts.window != s->window || r->facts.sink != s->sink)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "%s: 'window': the session was saved with a window "
                       "of %zu and a sink of %zu (0: it sees all), expected %zu and %zu",
                       r->file->file, r->facts.window, r->facts.sink, s->window, s->sink);
    BB_TRY(take_tokens(s, r, with_state, err));
    if (!bb_session_list(&l, s, r->facts.first, "")) {
        status = bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", r->file->file);
        goto done;
    }
    for (size_t i = 0; i < l.n; i++)      /* whose length is not known beforehand */
        if (strcmp(l.item[i].name, "session") == 0)
            l.item[i].t.dim[0] = bb_tensors_find(r->file->tensor, r->file->n, "session")->dim[0];
    BB_TRY(check_tensors(r->file, &l, err));
    BB_TRY(load_slots(s, r->facts.first, r->file, &l, with_state, err));
    if (with_state) bb_rewind_begin(s);
done:
    bb_release(&s->alloc, l.item);
    return status;
}

bamba_status bamba_session_open(bamba_session **out, const bamba_model *m, const char *path,
                                const bamba_session_options *options, bamba_error *err)
{
    bb_status         status = BAMBA_OK;
    bamba_session    *s = NULL;
    bb_session_reader r = { 0 };
    bamba_session_options o = BAMBA_SESSION_OPTIONS;

    if (!out || !path)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "session: %s is NULL", out ? "path" : "out");
    *out = NULL;
    BB_TRY(bb_session_options_read(&o, options, err));
    if (m && m->block) BB_TRY(bb_session_reader_open(&r, &m->alloc, m, path, true, err));
    if (o.n_window == 0 && r.facts.window > 0) {      /* as it was */
        o.n_window = r.facts.window;
        o.n_sink = r.facts.sink > 0 ? (int)r.facts.sink : -1;
    }
    BB_TRY(bamba_session_create(&s, m, &o, err));
    if (r.facts.first > 0) {
        status = bb_fail(err, BAMBA_ERR_FORMAT, "%s: expected a whole session, found "
                         "positions from %zu on", path, r.facts.first);
        goto done;
    }
    BB_TRY(bb_session_read(s, &r, true, err));
    if (r.facts.extras
        && !(s->extras = bb_copy_text(&s->alloc, r.facts.extras, strlen(r.facts.extras)))) {
        status = bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", path);
        goto done;
    }
    *out = s;
    s = NULL;
done:
    bb_session_reader_close(&r);
    bamba_session_free(s);
    return status;
}

const char *bamba_session_extras(const bamba_session *s) { return s ? s->extras : NULL; }
