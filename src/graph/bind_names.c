/* bind_names.c - tensors of a checkpoint by what the graph calls them, and their shapes. */
#include "graph/binder.h"

#include <stdio.h>
#include <string.h>

void bb_binder_fail(bb_binder *b, bb_status code, const char *name, const char *message)
{
    if (b->first.code == BAMBA_OK)
        bb_fail(&b->first, code, "'%s%s': %s", b->prefix, name, message);
}

bool bb_name_begins(const char *name, const char *prefix, size_t n)
{
    return n > 0 && strncmp(name, prefix, n) == 0;
}

bool bb_tensor_has_shape(const bb_tensor *t, int n_dims, const size_t *dim)
{
    bool same = t->n_dims == n_dims;
    for (int i = 0; same && i < n_dims; i++) same = t->dim[i] == dim[i];
    return same;
}

const bb_tensor *bb_find_tensor(const bb_graph *g, const bb_checkpoint *c, const char *name)
{
    const char      *base = g->base;
    const size_t     n = strlen(base);
    const bool       is_of_base = bb_name_begins(name, base, n);
    char             longer[3 * BB_MAX_NAME];
    const bb_tensor *t = bb_checkpoint_find(c, name);

    if (!t && is_of_base) t = bb_checkpoint_find(c, name + n);
    if (!t && is_of_base && g->base_alias[0]) {
        snprintf(longer, sizeof longer, "%s%s", g->base_alias, name + n);
        t = bb_checkpoint_find(c, longer);
    }
    if (t || n == 0) return t;
    snprintf(longer, sizeof longer, "%s%s", base, name);
    return bb_checkpoint_find(c, longer);
}

static const bb_tensor *find(const bb_binder *b, const char *name)
{
    return bb_find_tensor(b->g, b->c, name);
}

const bb_tensor *bb_binder_find_matrix(const bb_binder *b, const char *name, const bb_format **f)
{
    char             longer[3 * BB_MAX_NAME];
    const bb_tensor *t = find(b, name);

    *f = NULL;
    for (int i = 0; !t && i < BB_N_FORMATS; i++) {
        const bb_format *k = &b->options->k->format[i];
        if (k->block <= 1) continue;
        snprintf(longer, sizeof longer, "%s_%s", name, k->name);
        t = find(b, longer);
        if (t) *f = k;
    }
    return t;
}

/* Whether the matrix is there as GPTQ and AWQ pack it, beside a config.json that is silent. */
static bool is_packed(const bb_binder *b, const char *name)
{
    const char *end = strrchr(name, '.');
    char        packed[2 * BB_MAX_NAME];

    if (!end || strcmp(end, ".weight") != 0) return false;
    snprintf(packed, sizeof packed, "%.*s.qweight", (int)(end - name), name);
    return find(b, packed) != NULL;
}

const bb_tensor *bb_binder_take(bb_binder *b, const char *name, const bb_format **f)
{
    char full[2 * BB_MAX_NAME];

    if (!b->c || b->first.code != BAMBA_OK) return NULL;
    snprintf(full, sizeof full, "%s%s", b->prefix, name);
    const bb_tensor *t = f ? bb_binder_find_matrix(b, full, f) : find(b, full);
    if (t) bb_checkpoint_take(b->c, t->name);
    if (b->skip) return NULL;
    if (!t && is_packed(b, full))
        bb_binder_fail(b, BAMBA_ERR_UNSUPPORTED, name, "expected this tensor, found '.qweight': "
                       "quantized checkpoints are not read");
    else if (!t)
        bb_binder_fail(b, BAMBA_ERR_FORMAT, name,
                       "expected this tensor, the checkpoint does not have it");
    return t;
}

bool bb_binder_check(bb_binder *b, const bb_tensor *t, bb_type type, int n_dims, const size_t *dim)
{
    const bool is_typed = type != BB_TYPE_NONE;

    if (!bb_tensor_has_shape(t, n_dims, dim) || (is_typed && t->dtype != type))
        bb_fail(&b->first, BAMBA_ERR_FORMAT, "%s: '%.*s': expected %s, found %s", t->file,
                bb_name_width(t->name), t->name,
                bb_shape_show(is_typed ? type : t->dtype, n_dims, dim).s,
                bb_shape_show(t->dtype, t->n_dims, t->dim).s);
    else if (!is_typed && t->dtype >= BB_N_FLOATS)
        bb_fail(&b->first, BAMBA_ERR_UNSUPPORTED, "%s: '%.*s': expected F32, BF16 or F16, found %s",
                t->file, bb_name_width(t->name), t->name, bb_type_name(t->dtype));
    return b->first.code == BAMBA_OK;
}

bool bb_binder_take_parts(bb_binder *b, const char *name, bb_parts part)
{
    char         full[2 * BB_MAX_NAME + 32];
    const size_t n = strlen(name);

    if (!b->c || b->first.code != BAMBA_OK || n < 7 || strcmp(name + n - 7, ".weight") != 0)
        return false;
    for (int i = 0; i < BB_N_PARTS; i++) {
        snprintf(full, sizeof full, "%s%.*s%s", b->prefix, (int)(n - 6), name, bb_part_name[i]);
        part[i] = find(b, full);
    }
    if (!bb_is_quantized(part)) return false;
    for (int i = 0; i < BB_N_PARTS; i++)
        if (part[i]) bb_checkpoint_take(b->c, part[i]->name);
    return true;
}

