/* plan.c - a network described by names and dimensions, before any weight is loaded. */
#include "graph/plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void bb_plan_fail(bb_plan *p, bb_status code, const char *format, ...)
{
    char    message[200];
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

void bb_plan_begin(bb_plan *p, int d_model, int n_vocab, double epsilon)
{
    p->g->d_model = d_model;
    p->g->n_vocab = n_vocab;
    p->g->n_rows = n_vocab;
    p->g->epsilon = (float)epsilon;
}

/* Names are literals of arch/ and numbers below 10^4, so none is ever cut. */
static void join(char *out, size_t size, const char *prefix, const char *name)
{
    snprintf(out, size, "%s%s", prefix, name);
}

void bb_plan_embed(bb_plan *p, const char *name)
{
    join(p->g->embed_name, sizeof p->g->embed_name, "", name);
}

void bb_plan_embed_alias(bb_plan *p, const char *name)
{
    join(p->g->embed_alias, sizeof p->g->embed_alias, "", name);
}

void bb_plan_padded(bb_plan *p, int n_rows) { p->g->n_rows = n_rows; }

void bb_plan_leftovers(bb_plan *p, const char *const *endings) { p->g->leftovers = endings; }

void bb_plan_head(bb_plan *p, const char *norm, const char *head)
{
    join(p->g->norm_name, sizeof p->g->norm_name, "", norm);
    join(p->g->head_name, sizeof p->g->head_name, "", head ? head : "");
}

void bb_plan_layer(bb_plan *p, const char *format, int layer)
{
    const char *number = strstr(format, "%d");

    snprintf(p->prefix, sizeof p->prefix, "%.*s%d%s", (int)(number - format), format, layer,
             number + 2);
    if (layer >= p->g->n_layers) p->g->n_layers = layer + 1;
}

void bb_plan_block(bb_plan *p, const char *norm)
{
    bb_graph *g = p->g;
    void     *blocks = g->block;

    if (p->first.code != BAMBA_OK) return;
    const bool grown = bb_reserve(&g->alloc, &blocks, &g->cap_blocks, g->n_blocks + 1,
                                  sizeof *g->block);
    g->block = blocks;
    if (!grown) {
        bb_plan_fail(p, BAMBA_ERR_MEMORY, "plan: out of memory");
        return;
    }
    bb_block *b = &g->block[g->n_blocks++];
    *b = (bb_block){ .n_mixers = 0 };
    join(b->norm_name, sizeof b->norm_name, p->prefix, norm);
}

bb_mixer *bb_plan_mixer(bb_plan *p, const bb_mixer_kind *kind, size_t bytes, const char *prefix,
                        bool stateful)
{
    bb_graph *g = p->g;
    void     *slots = g->stateful;

    if (p->first.code != BAMBA_OK) return NULL;
    const bool grown = !stateful || bb_reserve(&g->alloc, &slots, &g->cap_slots, g->n_slots + 1,
                                               sizeof(bb_mixer *));
    g->stateful = slots;
    bb_mixer *m = grown ? bb_new(&g->alloc, 1, bytes) : NULL;
    if (!m) {
        bb_plan_fail(p, BAMBA_ERR_MEMORY, "plan: out of memory");
        return NULL;
    }
    bb_block *b = &g->block[g->n_blocks - 1];
    b->mixer[b->n_mixers++] = m;
    m->kind = kind;
    m->slot = -1;
    join(m->prefix, sizeof m->prefix, p->prefix, prefix);
    if (stateful) {
        m->slot = (int)g->n_slots;
        g->stateful[g->n_slots++] = m;
    }
    return m;
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
    for (size_t i = 0; i < g->n_blocks; i++)
        for (int j = 0; j < g->block[i].n_mixers; j++) bb_release(&a, g->block[i].mixer[j]);
    bb_release(&a, g->block);
    bb_release(&a, g->stateful);
    bb_release(&a, g);
}

void bb_graph_print(const bb_graph *g, bb_printer *p)
{
    bb_print(p, "embed    %s [%d, %d]\n", g->embed_name, g->n_rows, g->d_model);
    for (size_t i = 0; i < g->n_blocks; i++) {
        const bb_block *b = &g->block[i];
        for (int j = 0; j < b->n_mixers; j++) {
            const bb_mixer *m = b->mixer[j];
            bb_print(p, "%-8s %s ", m->kind->name, m->prefix);
            m->kind->print(m, p);
            bb_print(p, "\n");
        }
    }
    bb_print(p, "head     %s [%d, %d]%s\n", g->head_name[0] ? g->head_name : g->embed_name,
             g->n_vocab, g->d_model, g->head_name[0] ? "" : ", tied");
}

size_t bb_graph_state_bytes(const bb_graph *g, size_t S)
{
    size_t bytes = 0;

    for (size_t i = 0; i < g->n_slots; i++)
        bytes += g->stateful[i]->kind->state_bytes(g->stateful[i], S);
    return bytes;
}
