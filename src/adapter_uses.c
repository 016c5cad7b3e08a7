/* adapter_uses.c - adapters of mixers that several layers share: what they change at each use. */
#include "adapter_uses.h"

#include "adapter_names.h"

#include <stdio.h>

/* The maps of one linear map of a shared mixer: of all uses. */
typedef struct uses {
    bb_adapted           *map;            /* of the first; the next one is `shift` behind it */
    const bb_linear_name *name;           /* likewise */
    int                   n, shift;
} uses;

/* Linear map number i of a mixer. */
static uses uses_of(const bb_adapter_file *f, const bb_graph *g, const bb_mixer *m, int i)
{
    return (uses){ f->map + m->linear + i, g->linear + m->linear + i, m->n_uses, m->n_linears };
}

static bb_adapted *map_at(const uses *u, int use) { return u->map + use * u->shift; }

static const bb_linear_name *name_at(const uses *u, int use) { return u->name + use * u->shift; }

/* -------------------------------------------------------------- settle ------------------- */

/* to = the path of the module at a use. False: its tensor's name is no module's weight. */
static bool name_module(const uses *u, int use, char *to, size_t size)
{
    const char  *name = name_at(u, use)->name;
    const size_t n = bb_adapter_module_bytes(name);

    snprintf(to, size, "%.*s", (int)n, name);
    return n > 0;
}

/* Whether PEFT would adapt a later use too. */
static bb_status is_for_later(const uses *u, const bb_adapter_config *config, bool *is,
                              bamba_error *err)
{
    bb_status status = BAMBA_OK;
    char      module[2 * BB_MAX_NAME];

    *is = false;
    for (int i = 1; i < u->n && !*is; i++)
        if (name_module(u, i, module, sizeof module))
            BB_TRY(bb_adapter_config_adapts(config, module, is, err));
done:
    return status;
}

/* Let the low-rank matrices of the first use be those of all, if the uses were one module. */
static bb_status spread_matrices(const uses *u, const bb_adapter_config *config, bool *was_one,
                                 bamba_error *err)
{
    const bb_adapted *first = u->map;
    bb_status         status = BAMBA_OK;
    bool              is_alone = first->A != NULL, is = false;

    for (int i = 1; i < u->n; i++) is_alone = is_alone && !map_at(u, i)->A;
    if (is_alone) BB_TRY(is_for_later(u, config, &is, err));
    for (int i = 1; i < u->n && is; i++) {
        bb_adapted *m = map_at(u, i);
        m->A = first->A;
        m->B = first->B;
        m->B_bias = first->B_bias;
        m->rank = first->rank;
        m->scale = first->scale;
    }
    *was_one = *was_one || is;
done:
    return status;
}

/* A weight in place of the first use's is that of later uses too that modules_to_save names, if
   the file has none for them: the uses were one module. */
static void spread_weight(const uses *u, const bb_adapter_config *config, bool *was_one)
{
    const bb_adapted *first = u->map;
    char              module[2 * BB_MAX_NAME];

    for (int i = 1; i < u->n; i++)
        if (map_at(u, i)->weight) return;
    for (int i = 1; i < u->n && first->weight; i++) {
        bb_adapted *m = map_at(u, i);
        if (!name_module(u, i, module, sizeof module) || !bb_adapter_config_saves(config, module))
            continue;
        m->weight = first->weight;
        m->is_base = first->is_base;
        *was_one = true;
    }
}

/* A bias that only some of the uses name is that of the others too. */
static void spread_bias(const uses *u)
{
    const bb_tensor *bias = NULL;

    for (int i = 0; i < u->n && !bias; i++) bias = map_at(u, i)->bias;
    for (int i = 0; i < u->n; i++)
        if (!map_at(u, i)->bias) map_at(u, i)->bias = bias;
}

/* Clear the maps of uses that do not multiply by them. A weight that PEFT has saved for such a map
   is untrained if the use that multiplies has its own; without that it would be lost. */
static bb_status clear_idle(const uses *u, bamba_error *err)
{
    const int        only = u->name->only;
    const bb_tensor *used = only > 0 && only <= u->n ? map_at(u, only - 1)->weight : NULL;

    for (int i = 0; i < u->n; i++) {
        bb_adapted *m = map_at(u, i);
        if (!name_at(u, i)->is_idle) continue;
        if (m->weight && !m->is_base && !used)
            return bb_adapter_fail(err, BAMBA_ERR_UNSUPPORTED, m->weight, "the layer of that name "
                                   "does not use this matrix: expected it under the layer that "
                                   "does");
        *m = (bb_adapted){ 0 };
    }
    return BAMBA_OK;
}

bb_status bb_adapter_settle_uses(bb_adapter_file *f, const bb_adapter_config *config,
                                 const bb_graph *g, const bb_log *log, bamba_error *err)
{
    bb_status status = BAMBA_OK;
    bool      was_one = false;

    for (size_t i = 0; i < g->n_mixers; i++)
        for (int j = 0; g->mixer[i]->n_uses > 1 && j < g->mixer[i]->n_linears; j++) {
            const uses u = uses_of(f, g, g->mixer[i], j);
            BB_TRY(spread_matrices(&u, config, &was_one, err));
            spread_weight(&u, config, &was_one);
            spread_bias(&u);
            BB_TRY(clear_idle(&u, err));
        }
    if (was_one)
        bb_log_line(log, "%s: what it says of the first layer that uses a shared block is for all: "
                    "it names no other, though adapter_config.json does", f->tensors->file);
done:
    return status;
}

/* -------------------------------------------------------------- join --------------------- */

static bool are_equal(const bb_kernels *k, const bb_tensor *a, const bb_tensor *b)
{
    return a == b || (a && bb_adapter_are_equal(k, a, b));
}

static bool change_alike(const bb_kernels *k, const bb_adapted *a, const bb_adapted *b)
{
    return (!a->A || !b->A || a->scale == b->scale) && are_equal(k, a->A, b->A)
        && are_equal(k, a->B, b->B) && are_equal(k, a->B_bias, b->B_bias)
        && are_equal(k, a->bias, b->bias) && are_equal(k, a->weight, b->weight);
}

/* A tensor that a map has; NULL: it has none. */
static const bb_tensor *any_of(const bb_adapted *m)
{
    return m->A ? m->A : m->weight ? m->weight : m->bias;
}

static bb_status join(const uses *u, const bb_kernels *k, bamba_error *err)
{
    const int   only = u->name->only > 0 ? u->name->only - 1 : 0;
    bb_adapted *first = u->map;

    if (only > 0) *first = *map_at(u, only);
    for (int i = 1; i < u->n; i++) {
        bb_adapted *m = map_at(u, i);
        if (u->name->only == 0 && !change_alike(k, first, m))
            return bb_adapter_fail(err, BAMBA_ERR_UNSUPPORTED, any_of(m) ? any_of(m)
                                   : any_of(first), "layers share the weights that this changes: "
                                   "expected the same change at each of their uses to merge it");
        *m = (bb_adapted){ 0 };
    }
    return BAMBA_OK;
}

bb_status bb_adapter_join_uses(bb_adapter_file *f, const bamba_model *model, bamba_error *err)
{
    const bb_graph *g = model->graph;
    bb_status       status = BAMBA_OK;

    for (size_t i = 0; i < g->n_mixers; i++)
        for (int j = 0; g->mixer[i]->n_uses > 1 && j < g->mixer[i]->n_linears; j++) {
            const uses u = uses_of(f, g, g->mixer[i], j);
            BB_TRY(join(&u, &model->kernels, err));
        }
done:
    return status;
}
