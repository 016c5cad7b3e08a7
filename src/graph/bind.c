/* bind.c - plan × checkpoint → weights attached; nothing missing, nothing dropped in silence. */
#include "graph/binder.h"

#include "base/system.h"

#include <stdio.h>
#include <string.h>

/* Settle what the checkpoint calls the embedding. Of a tied pair it may hold either matrix; if it
   holds two that differ, they are not tied, as in transformers. */
static void settle_names(bb_binder *b)
{
    bb_graph        *g = b->g;
    const bb_format *f;
    const bb_tensor *embed = bb_binder_find_matrix(b, g->embed_name, &f);
    const bb_tensor *head = g->head_alias[0] ? bb_binder_find_matrix(b, g->head_alias, &f) : NULL;

    if (!embed && g->embed_alias[0] && (embed = bb_binder_find_matrix(b, g->embed_alias, &f)))
        memcpy(g->embed_name, g->embed_alias, sizeof g->embed_name);
    if (!head) return;
    if (!embed) {
        memcpy(g->twin_name, g->embed_name, sizeof g->twin_name);
        memcpy(g->embed_name, g->head_alias, sizeof g->embed_name);
    } else if (head->dtype == embed->dtype && head->bytes == embed->bytes
               && memcmp(head->data, embed->data, head->bytes) == 0) {
        bb_checkpoint_take(b->c, head->name);
    } else {
        memcpy(g->head_name, g->head_alias, sizeof g->head_name);
        bb_log_line(&b->options->log, "%s: '%.*s' differs from '%.*s', to which config.json "
                    "ties it: it is used as it is", head->file, bb_name_width(head->name),
                    head->name, bb_name_width(embed->name), embed->name);
    }
}

/* The block before number i that has bound the norm of both; NULL: none. A norm with the prefix of
   the block's own layer is its own. */
static const bb_block *find_norm(const bb_binder *b, size_t i)
{
    const bb_block *k = &b->g->block[i];

    if (b->skip || bb_name_begins(k->norm_name, k->prefix, strlen(k->prefix))) return NULL;
    for (size_t j = b->g->first; j < i; j++)
        if (strcmp(b->g->block[j].norm_name, k->norm_name) == 0) return &b->g->block[j];
    return NULL;
}

static void bind_norm(bb_binder *b, size_t i)
{
    bb_block *k = &b->g->block[i];

    const bb_block *other = find_norm(b, i);
    const int       width = b->g->d_model * (k->input == BB_INPUT_BESIDE_EMBEDDING ? 2 : 1);

    b->prefix = "";
    if (other) k->norm = other->norm;
    else if (k->norm_name[0]) bb_bind_vector(b, &k->norm, k->norm_name, width, BB_RANGE_SCALE);
}

/* Bind a mixer in the block that uses it first, or, if that is skipped, in a later one. Ids are
   those of the first use, with room behind them for all others. */
static void bind_mixer(bb_binder *b, bb_mixer *m, bool is_first)
{
    const int end = b->n_linears;

    if (is_first) m->linear = end;
    if (!b->skip) m->bound_in = b->pass;
    b->n_linears = m->linear;
    b->prefix = m->prefix;
    b->n_sliced = 0;
    m->kind->bind(m, b);
    m->n_linears = b->n_linears - m->linear;
    b->n_linears = is_first ? m->linear + m->n_uses * m->n_linears : end;
}

/* Name a mixer's linear maps for a later use of it: behind the prefix of that use's layer. */
static void name_later_use(bb_graph *g, const bb_block *k, const bb_use *u)
{
    const bb_mixer       *m = u->mixer;
    const bb_linear_name *first = &g->linear[m->linear];
    const int             shift = u->nth * m->n_linears;
    bb_linear_name       *own = &g->linear[m->linear + shift];
    char                  name[sizeof own->name];

    for (int i = 0; u->nth > 0 && i < m->n_linears; i++) {
        snprintf(name, sizeof name, "%s%s", k->prefix, first[i].name + m->n_layer);
        own[i] = first[i];
        memcpy(own[i].name, name, sizeof name);
        own[i].shift = shift;
        own[i].n_prefix += (int)strlen(k->prefix) - (int)m->n_layer;
        own[i].is_idle = first[i].only > 0 && first[i].only != u->nth + 1;
    }
}

static void bind_block(bb_binder *b, size_t i)
{
    bb_block *k = &b->g->block[i];

    b->skip = i < b->g->first || i >= b->g->end;
    bind_norm(b, i);
    for (int j = 0; j < k->n_uses; j++) {
        bb_mixer *m = k->use[j].mixer;
        if (k->use[j].nth == 0 || (m->bound_in != b->pass && !b->skip))
            bind_mixer(b, m, k->use[j].nth == 0);
        if (b->pass == BB_WALK_ATTACH) name_later_use(b->g, k, &k->use[j]);
    }
}

static void walk(bb_binder *b)
{
    bb_graph  *g = b->g;
    const bool is_tied = !g->head_name[0];

    b->n_jobs = 0;
    b->n_small = 0;
    b->n_linears = b->n_sliced = 0;
    g->most_used = 1;
    b->stats = (bb_bind_stats){ 0 };
    b->prefix = "";
    b->skip = !bb_graph_has_embed(g) && !(is_tied && bb_graph_has_head(g));
    bb_binder_matrix(b, &g->embed, NULL, BB_ROLE_EMBEDDING, g->embed_name, g->n_rows, g->d_model,
                     (bb_slice){ 0 });
    /* Unless the head reads it too, a token reads one row of it, which is nothing. */
    if (!is_tied || !bb_graph_has_head(g)) b->stats.weights_bytes = 0;
    for (size_t i = 0; i < g->n_blocks; i++) bind_block(b, i);
    b->prefix = "";
    b->skip = !bb_graph_has_head(g);
    bb_bind_vector(b, &g->norm, g->norm_name, g->d_model, BB_RANGE_SCALE);
    g->head.id = bb_binder_name_linear(b, g->head_name[0] ? g->head_name : g->embed_name, g->n_rows,
                                       g->d_model, 0);
    if (!is_tied)
        bb_binder_matrix(b, &g->head.w, &g->head.row_scale, BB_ROLE_HEAD, g->head_name, g->n_rows,
                         g->d_model, (bb_slice){ 0 });
    else g->head.w = g->embed;
    g->head.w.rows = g->n_vocab;
    bb_binder_note_format(b, g->head.id, g->head.w.format);
    b->stats.resident_bytes = b->arena.used;
    if (b->arena.overflow)
        bb_binder_fail(b, BAMBA_ERR_UNSUPPORTED, "weights", "too large for this machine");
}

/* -------------------------------------------------------------- bind --------------------- */

static bb_status first_failure(const bb_binder *b, bamba_error *err)
{
    if (b->first.code != BAMBA_OK && err) *err = b->first;
    return b->first.code;
}

bb_status bb_bind(bb_graph *g, bb_checkpoint *c, const bb_bind_options *options, void **block,
                  bb_bind_stats *stats, bamba_error *err)
{
    bb_status status = BAMBA_OK;
    bb_binder b = { .pass = c || options->random ? BB_WALK_MEASURE : BB_WALK_COUNT, .g = g, .c = c,
                    .options = options, .arena = BB_MEASURE };
    void     *memory = NULL;

    *block = NULL;
    if (c) settle_names(&b);
    walk(&b);
    *stats = b.stats;
    BB_TRY(first_failure(&b, err));
    if (options->policy_check) BB_TRY(options->policy_check(options->policy_context, err));
    if (b.pass == BB_WALK_COUNT) return BAMBA_OK;
    if (c) BB_TRY(bb_binder_leftovers(&b, err));

    BB_TRY(bb_system_check_memory("weights", b.arena.used, err));
    memory = bb_allocate(&g->alloc, b.arena.used, 1);
    bb_release(&g->alloc, g->linear);     /* of an earlier binding */
    g->n_linears = b.n_linears;
    g->linear = bb_new(&g->alloc, (size_t)b.n_linears, sizeof *g->linear);
    b.jobs = bb_new(&g->alloc, b.n_jobs + 1, sizeof *b.jobs);
    if (!memory || !b.jobs || !g->linear) {
        status = bb_fail(err, BAMBA_ERR_MEMORY, "weights: out of memory");
        goto done;
    }
    bb_advise_huge(&g->alloc, memory, b.arena.used);
    b.pass = BB_WALK_ATTACH;
    b.arena = (bb_arena){ .base = memory, .size = b.arena.used };
    walk(&b);
    BB_TRY(first_failure(&b, err));
    BB_TRY(bb_binder_make(&b, err));
    if (!options->visit && !bb_binder_report(&b, UINT64_MAX))
        status = bb_fail(err, BAMBA_ERR_CANCELLED, "cancelled while loading weights");
    if (status == BAMBA_OK) {
        *block = memory;
        memory = NULL;
    }
done:
    if (memory) bb_unguard(memory, stats->resident_bytes);
    bb_release(&g->alloc, b.jobs);
    bb_release(&g->alloc, memory);
    return status;
}
