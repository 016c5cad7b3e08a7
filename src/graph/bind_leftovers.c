/* bind_leftovers.c - tensors of a checkpoint that nothing in the graph needs. */
#include "graph/binder.h"

#include <stdio.h>
#include <string.h>

static bool may_be_left_over(const bb_graph *g, const char *name)
{
    const size_t n = strlen(name);

    for (const char *const *end = g->leftovers; end && *end; end++) {
        const size_t m = strlen(*end);
        if (n >= m && strcmp(name + n - m, *end) == 0) return true;
    }
    return false;
}

/* Bytes of the prefix of the module that a tensor belongs to. */
static size_t count_prefix(const char *tensor)
{
    const char *dot = strrchr(tensor, '.');
    return dot ? (size_t)(dot + 1 - tensor) : 0;
}

/* Whether a tensor of that name belongs to a layer or to a module that the graph uses: what it
   would do there is not done. */
static bool is_used(const bb_graph *g, const char *name)
{
    const char *const own[] = { g->embed_name, g->norm_name, g->head_name, g->head_alias };

    for (int i = 0; i < 4; i++)
        if (bb_name_begins(name, own[i], count_prefix(own[i]))) return true;
    for (size_t i = 0; i < g->n_blocks; i++)
        if (bb_name_begins(name, g->block[i].prefix, strlen(g->block[i].prefix))) return true;
    for (size_t i = 0; i < g->n_mixers; i++)
        if (bb_name_begins(name, g->mixer[i]->prefix, strlen(g->mixer[i]->prefix))) return true;
    return false;
}

/* Whether a tensor belongs to a used module, by its name in the checkpoint: with the prefix of the
   base model, or without it. */
static bool is_used_as_stored(const bb_graph *g, const char *name)
{
    const size_t n = strlen(g->base), m = strlen(g->base_alias);
    char         longer[2 * BB_MAX_NAME];

    if (bb_name_begins(name, g->base_alias, m)) name += m;
    snprintf(longer, sizeof longer, "%s%s", g->base, name);
    return is_used(g, longer) || is_used(g, name)
        || (bb_name_begins(name, g->base, n) && is_used(g, name + n));
}

bb_status bb_binder_leftovers(const bb_binder *b, bamba_error *err)
{
    const bb_tensor *t = NULL;
    char             list[160] = "";
    size_t           n = 0, length = 0;
    bool             all = true;

    while ((t = bb_checkpoint_untaken(b->c, t))) {
        if (may_be_left_over(b->g, t->name) || bb_is_quantized_extra(t->name)) continue;
        if (b->options->strict || (t->n_elements > 0 && is_used_as_stored(b->g, t->name)))
            return bb_fail(err, BAMBA_ERR_FORMAT,
                           "%s: '%.*s': this tensor belongs to no part of the model that "
                           "config.json describes", t->file, bb_name_width(t->name), t->name);
        const int width = bb_name_width(t->name);
        all = all && length + (size_t)width + 5 <= sizeof list;
        if (all) length += (size_t)snprintf(list + length, sizeof list - length, "%s'%.*s'",
                                            n ? ", " : "", width, t->name);
        n++;
    }
    if (n > 0)
        bb_log_line(&b->options->log, "%zu tensor%s that the model does not need: %s%s", n,
                    n > 1 ? "s" : "", list, all ? "" : ", ...");
    return BAMBA_OK;
}
