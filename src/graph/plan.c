/* plan.c - a network described by names and dimensions, before any weight is loaded. */
#include "graph/plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void bb_plan_fail(bb_plan *p, bb_status code, const char *format, ...)
{
    char    message[sizeof p->first.message];
    va_list args;

    if (p->first.code != BAMBA_OK) return;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    bb_fail(&p->first, code, "%s", message);
}

bb_status bb_plan_status(const bb_plan *p, bamba_error *err)
{
    if (p->first.code != BAMBA_OK && err) *err = p->first;
    return p->first.code;
}

/* out [BB_MAX_NAME] = prefix + name. A name that was cut would be another tensor's. */
static void join(bb_plan *p, char *out, const char *prefix, const char *name)
{
    const int n = snprintf(out, BB_MAX_NAME, "%s%s", prefix, name);

    if (n < 0 || n >= BB_MAX_NAME)
        bb_plan_fail(p, BAMBA_ERR_UNSUPPORTED,
                     "'%.80s...': expected a name of less than %d bytes, found %d", out,
                     BB_MAX_NAME, n);
}

static void add_op(bb_plan *p, const char *name, int *number)
{
    bb_graph *g = p->g;

    for (*number = 0; *number < g->n_ops; ++*number)
        if (strcmp(g->op_name[*number], name) == 0) return;
    if (g->n_ops == BB_MAX_OPS)
        bb_plan_fail(p, BAMBA_ERR_UNSUPPORTED, "plan: expected at most %d kinds of "
                     "operation, found '%s'", BB_MAX_OPS, name);
    else g->op_name[g->n_ops++] = name;
}

void bb_plan_begin(bb_plan *p, int d_model, int n_vocab, double epsilon)
{
    static const char *const names[BB_N_GRAPH_OPS] = { "embedding", "norms", "head" };
    bb_graph *g = p->g;
    int       number;

    g->d_model = d_model;
    g->n_vocab = n_vocab;
    g->n_rows = n_vocab;
    g->epsilon = (float)epsilon;
    g->embed_scale = g->logit_scale = 1.0f;
    for (int i = 0; i < BB_N_GRAPH_OPS; i++) add_op(p, names[i], &number);
}

void bb_plan_base(bb_plan *p, const char *prefix) { join(p, p->g->base, "", prefix); }

void bb_plan_embed(bb_plan *p, const char *name) { join(p, p->g->embed_name, "", name); }

void bb_plan_base_alias(bb_plan *p, const char *prefix) { join(p, p->g->base_alias, "", prefix); }

void bb_plan_embed_alias(bb_plan *p, const char *name) { join(p, p->g->embed_alias, "", name); }

void bb_plan_padded(bb_plan *p, int n_rows) { p->g->n_rows = n_rows; }

void bb_plan_scales(bb_plan *p, double embed, double logits)
{
    p->g->embed_scale = (float)embed;
    p->g->logit_scale = (float)logits;
}

void bb_plan_head(bb_plan *p, const char *norm, const char *head)
{
    join(p, p->g->norm_name, "", norm);
    join(p, p->g->head_name, "", head ? head : "");
}

void bb_plan_tied_head(bb_plan *p, const char *name, const char *tie_key)
{
    join(p, p->g->head_alias, "", name);
    memcpy(p->g->twin_name, p->g->head_alias, sizeof p->g->twin_name);
    p->g->tie_key = tie_key;
}

void bb_plan_leftovers(bb_plan *p, const char *const *endings) { p->g->leftovers = endings; }

void bb_plan_layer(bb_plan *p, const char *format, int layer)
{
    const char *number = strstr(format, "%d");
    char        before[BB_MAX_NAME], after[BB_MAX_NAME];

    snprintf(before, sizeof before, "%.*s", (int)(number - format), format);
    snprintf(after, sizeof after, "%d%s", layer, number + 2);
    join(p, p->prefix, before, after);
    p->layer = layer;
    if (layer >= p->g->n_layers) p->g->n_layers = layer + 1;
}

/* Make an array of the graph hold one more element. array: address of the pointer to its first.
   False if there is no memory, which is remembered. */
static bool grow(bb_plan *p, void *array, size_t *capacity, size_t n, size_t elem_bytes)
{
    if (bb_reserve(&p->g->alloc, array, capacity, n + 1, elem_bytes)) return true;
    bb_plan_fail(p, BAMBA_ERR_MEMORY, "plan: out of memory");
    return false;
}

void bb_plan_block(bb_plan *p, const char *norm)
{
    bb_graph *g = p->g;

    if (p->first.code != BAMBA_OK) return;
    if (!grow(p, &g->block, &g->cap_blocks, g->n_blocks, sizeof *g->block)) return;
    bb_block *b = &g->block[g->n_blocks++];
    *b = (bb_block){ .layer = p->layer };
    g->end = g->n_blocks;
    join(p, b->prefix, p->prefix, "");
    if (norm) join(p, b->norm_name, p->prefix, norm);
}

void bb_plan_input(bb_plan *p, bb_input input)
{
    const bool is_sided = input == BB_INPUT_SIDE || input == BB_INPUT_JOINED;
    bb_graph  *g = p->g;

    if (g->n_blocks == 0) return;
    g->block[g->n_blocks - 1].input = input;
    for (size_t i = g->n_blocks - 1; is_sided && i-- > 0 && g->block[i].layer == p->layer;)
        if (g->block[i].to_side) return;
    if (is_sided)
        bb_plan_fail(p, BAMBA_ERR_UNSUPPORTED, "plan: layer %d: expected a side stream that a "
                     "block of this layer has written, found none", p->layer);
}

void bb_plan_to_side(bb_plan *p)
{
    if (p->g->n_blocks > 0) p->g->block[p->g->n_blocks - 1].to_side = true;
}

void bb_plan_norm_of(bb_plan *p, size_t block)
{
    bb_graph *g = p->g;

    if (block + 1 < g->n_blocks)
        memcpy(g->block[g->n_blocks - 1].norm_name, g->block[block].norm_name, BB_MAX_NAME);
}

bb_mixer *bb_plan_mixer(bb_plan *p, const bb_mixer_kind *kind, size_t bytes, const char *prefix)
{
    bb_graph *g = p->g;
    bb_mixer *m;

    if (p->first.code != BAMBA_OK) return NULL;
    if (!grow(p, &g->mixer, &g->cap_mixers, g->n_mixers, sizeof m)) return NULL;
    if (!(m = bb_new(&g->alloc, 1, bytes))) {
        bb_plan_fail(p, BAMBA_ERR_MEMORY, "plan: out of memory");
        return NULL;
    }
    g->mixer[g->n_mixers++] = m;
    m->kind = kind;
    join(p, m->prefix, p->prefix, prefix);
    m->n_layer = strlen(p->prefix);
    for (int i = 0; kind->op_name[i]; i++) add_op(p, kind->op_name[i], &m->op[i]);
    return m;
}

void bb_plan_use(bb_plan *p, bb_mixer *m, double alpha)
{
    bb_graph *g = p->g;

    if (!m || p->first.code != BAMBA_OK) return;
    bb_block *b = g->n_blocks ? &g->block[g->n_blocks - 1] : NULL;
    if (!b || b->n_uses == BB_MAX_USES) {
        bb_plan_fail(p, BAMBA_ERR_UNSUPPORTED, "'%s': expected a block of less than %d mixers",
                     m->prefix, BB_MAX_USES);
        return;
    }
    bb_use *u = &b->use[b->n_uses];
    *u = (bb_use){ .mixer = m, .slot = -1, .nth = m->n_uses++, .alpha = (float)alpha };
    if (m->kind->state_bytes || m->kind->page_bytes) {
        if (!grow(p, &g->slot, &g->cap_slots, g->n_slots, sizeof m)) return;
        u->slot = (int)g->n_slots;
        g->slot[g->n_slots++] = m;
    }
    b->n_uses++;
}

/* -------------------------------------------------------------- graph -------------------- */

bb_graph *bb_graph_create(const bb_allocator *a)
{
    bb_graph *g = bb_new(a, 1, sizeof *g);
    if (g) g->alloc = *a;
    return g;
}

void bb_graph_free(bb_graph *g)
{
    if (!g) return;
    const bb_allocator a = g->alloc;
    for (size_t i = 0; i < g->n_mixers; i++) bb_release(&a, g->mixer[i]);
    bb_release(&a, g->mixer);
    bb_release(&a, g->block);
    bb_release(&a, g->slot);
    bb_release(&a, g->linear);
    bb_release(&a, g);
}

static void print_use(const bb_block *b, const bb_use *u, bb_printer *p)
{
    static const char *const input[] = { "", ", beside the embedding", ", of the side",
                                         ", joined" };

    bb_print(p, "%-8s %s ", u->mixer->kind->name, u->mixer->prefix);
    u->mixer->kind->print(u->mixer, p);
    if (u->alpha != 1.0f) bb_print(p, ", times %g", (double)u->alpha);
    bb_print(p, "%s%s\n", input[b->input], b->to_side ? ", to the side" : "");
}

void bb_graph_print(const bb_graph *g, bb_printer *p)
{
    if (bb_graph_has_embed(g))
        bb_print(p, "embed    %s [%d, %d]\n", g->embed_name, g->n_rows, g->d_model);
    for (size_t i = g->first; i < g->end; i++)
        for (int j = 0; j < g->block[i].n_uses; j++)
            print_use(&g->block[i], &g->block[i].use[j], p);
    if (bb_graph_has_head(g))
        bb_print(p, "head     %s [%d, %d]%s\n", g->head_name[0] ? g->head_name : g->embed_name,
                 g->n_vocab, g->d_model, g->head_name[0] ? "" : ", tied");
}

/* A slot of a block outside the cut keeps its number but nobody's memory. */
static void forget_slots(bb_graph *g, const bb_block *b)
{
    for (int j = 0; j < b->n_uses; j++)
        if (b->use[j].slot >= 0) g->slot[b->use[j].slot] = NULL;
}

bool bb_graph_cut(bb_graph *g, int first, int end)
{
    if (first < 0 || first >= end || end > g->n_layers) return false;
    while (g->first < g->end && g->block[g->first].layer < first)
        forget_slots(g, &g->block[g->first++]);
    while (g->end > g->first && g->block[g->end - 1].layer >= end)
        forget_slots(g, &g->block[--g->end]);
    return true;
}

bool bb_graph_reads_embedding(const bb_graph *g, size_t from)
{
    for (size_t i = from; i < g->n_blocks; i++)
        if (g->block[i].input == BB_INPUT_BESIDE_EMBEDDING) return true;
    return false;
}

bool bb_graph_has_side(const bb_graph *g)
{
    for (size_t i = g->first; i < g->end; i++)
        if (g->block[i].to_side) return true;
    return false;
}

int bb_graph_input_width(const bb_graph *g)
{
    for (size_t i = g->first; i < g->end; i++)
        if (g->block[i].input == BB_INPUT_BESIDE_EMBEDDING) return 2 * g->d_model;
    return g->d_model;
}

size_t bb_graph_state_bytes(const bb_graph *g, size_t slot)
{
    const bb_mixer *m = g->slot[slot];
    return m && m->kind->state_bytes ? m->kind->state_bytes(m) : 0;
}

size_t bb_graph_page_bytes(const bb_graph *g, size_t slot)
{
    size_t at = 0;

    for (size_t i = 0; i < slot; i++) {
        const bb_mixer *m = g->slot[i];
        if (m && m->kind->page_bytes) at += bb_whole_lines(m->kind->page_bytes(m));
    }
    return at;
}

size_t bb_graph_scratch_floats(const bb_graph *g)
{
    size_t most = 0;

    for (size_t i = 0; i < g->n_slots; i++) {
        const size_t n = g->slot[i] ? g->slot[i]->kind->scratch_floats(g->slot[i]) : 0;
        if (n > most) most = n;
    }
    return most;
}

size_t bb_graph_session_bytes(const bb_graph *g, size_t n_positions)
{
    size_t bytes = bb_graph_n_pages(n_positions) * bb_graph_page_bytes(g, g->n_slots);

    for (size_t i = 0; i < g->n_slots; i++) bytes += bb_graph_state_bytes(g, i);
    return bytes;
}
