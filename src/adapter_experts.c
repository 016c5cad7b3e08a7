/* adapter_experts.c - adapters of parameters that hold the matrices of several linear maps. */
#include "adapter_experts.h"

#include "adapter_names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_WRAPPED = 4 };                 /* parameters of a module that are adapted */

/* The parameters of one module that target_parameters names, in the order in which PEFT wraps the
   module for them. A tensor of the last stands under the module's path; one of an earlier
   parameter has one ".base_layer" more for each wrapper around its own. */
typedef struct wrapped {
    char   path[BB_MOST_PATH];            /* of the module */
    char   parameter[MOST_WRAPPED][BB_MOST_PARAMETER]; /* [n] with that path */
    int    n, n_inner;                    /* n_inner: ".base_layer" in the tensor's name */
    char   other[BB_MOST_PARAMETER];      /* one that target_parameters does not name; "" */
    int    first, end;                    /* ids among which the module's linear maps are */
} wrapped;

/* How a map lies in a parameter: a stack in the checkpoint, or what transformers makes of several
   tensors. n 0: it does not. */
static bb_part_of find_part(const bb_linear_name *l, const char *parameter)
{
    char full[BB_MOST_PARAMETER];

    if (l->n_stack > 0 && bb_adapter_is_same_name(parameter, l->name))
        return (bb_part_of){ .index = l->index, .n = l->n_stack };
    if (!l->part_of.parameter) return (bb_part_of){ 0 };
    bb_adapter_name_parameter(l, full);
    return bb_adapter_is_same_name(parameter, full) ? l->part_of : (bb_part_of){ 0 };
}

/* Add a parameter to those of the module, if it is one of them. */
static void add_parameter(wrapped *s, const bb_adapter_config *config, const char *name)
{
    const char  *p = bb_adapter_bare(name), *path = bb_adapter_bare(s->path);
    const size_t n = strlen(path);
    char         full[BB_MOST_PARAMETER];

    if (strncmp(p, path, n) != 0 || p[n] != '.' || strchr(p + n + 1, '.')) return;
    snprintf(full, sizeof full, "%s%s", s->path, p + n);
    for (int i = 0; i < s->n; i++)
        if (strcmp(s->parameter[i], full) == 0) return;
    if (!bb_adapter_config_has_parameter(config, full))
        memcpy(s->other, full, sizeof full);
    else if (s->n < MOST_WRAPPED) memcpy(s->parameter[s->n++], full, sizeof full);
}

/* Whether a module's path, bare, lies within the mixer of a linear map, or is that mixer. */
static bool is_in_mixer(const bb_linear_name *l, const char *path)
{
    const char *name = bb_adapter_bare(l->name);
    const int   n = l->n_prefix - (int)(name - l->name) - 1;      /* without the last dot */

    return n < 1 || (strncmp(name, path, (size_t)n) == 0 && (!path[n] || path[n] == '.'));
}

/* Models may have tens of thousands of linear maps; look at those of the module's mixer alone. */
static void find_ids(wrapped *s, const bb_graph *g)
{
    const char *path = bb_adapter_bare(s->path);

    s->first = g->n_linears;
    for (size_t i = 0; i < g->n_mixers; i++)
        for (int use = 0; use < g->mixer[i]->n_uses && g->mixer[i]->n_linears > 0; use++) {
            const int first = g->mixer[i]->linear + use * g->mixer[i]->n_linears;
            const int end = first + g->mixer[i]->n_linears;
            if (!is_in_mixer(&g->linear[first], path)) continue;
            s->first = first < s->first ? first : s->first;
            s->end = end > s->end ? end : s->end;
        }
}

static void find_wrapped(wrapped *s, const bb_adapter_config *config, const bb_graph *g,
                      const char *path)
{
    static const char BASE[] = ".base_layer";
    char              full[BB_MOST_PARAMETER];
    size_t            n = strlen(path);

    *s = (wrapped){ .n = 0 };
    for (; n >= sizeof BASE && strncmp(path + n - sizeof BASE + 1, BASE, sizeof BASE - 1) == 0;
         n -= sizeof BASE - 1)
        s->n_inner++;
    snprintf(s->path, sizeof s->path, "%.*s", (int)n, path);
    find_ids(s, g);
    for (int i = s->first; i < s->end; i++) {
        const bb_linear_name *l = &g->linear[i];
        if (l->index > 0 || l->part_of.index > 0) continue;           /* the first names it too */
        if (l->n_stack > 0) add_parameter(s, config, l->name);
        if (!l->part_of.parameter) continue;
        bb_adapter_name_parameter(l, full);
        add_parameter(s, config, full);
    }
}

/* The parameter whose tensor it is; NULL: an error. */
static const char *choose_parameter(const wrapped *s, const bb_tensor *t, bamba_error *err)
{
    if (s->n > s->n_inner) return s->parameter[s->n - 1 - s->n_inner];
    if (s->n == 0 && !s->other[0])
        bb_adapter_fail(err, BAMBA_ERR_FORMAT, t, "the model has no linear layer of that name");
    else if (s->n == 0)
        bb_fail(err, BAMBA_ERR_FORMAT, "adapter_config.json: 'target_parameters': expected "
                "'%.100s' among them, since %s has '%.*s'", s->other, t->file,
                bb_name_width(t->name), t->name);
    else bb_fail(err, BAMBA_ERR_FORMAT, "%s: '%.*s': expected at most %d '.base_layer' before it, "
                 "found %d: 'target_parameters' names %d of that module", t->file,
                 bb_name_width(t->name), t->name, s->n - 1, s->n_inner, s->n);
    return NULL;
}

/* Fail unless a parameter's A or B has the shape that it is to have, either way round until a
   tensor of the file has shown one. */
static bb_status expect_part(bb_adapter_file *f, const bb_graph *g, const wrapped *s,
                             const bb_tensor *t, bool is_A, const char *parameter, int rank,
                             bamba_error *err)
{
    size_t rows = 0, cols = 0, inputs = 0;

    for (int i = s->first; i < s->end; i++) {
        const bb_linear_name *l = &g->linear[i];
        const bb_part_of      part = find_part(l, parameter);
        const size_t          end = (size_t)part.row + (size_t)l->rows;
        if (part.n == 0) continue;
        rows = end > rows ? end : rows;
        cols = (size_t)l->cols;
        inputs = (size_t)rank * (size_t)part.n;
    }
    const size_t straight = is_A ? cols : rows, turned = is_A ? rows : cols;
    const size_t found = t->dim[is_A ? 1 : 0];
    const bool   has_parts = inputs > (size_t)rank;
    if (f->layout == BB_PARTS_UNKNOWN && has_parts && rows != cols && t->n_dims == 2)
        f->layout = found == straight ? BB_PARTS_STRAIGHT
                  : found == turned ? BB_PARTS_TURNED : BB_PARTS_UNKNOWN;
    const size_t other = has_parts && f->layout == BB_PARTS_TURNED ? turned : straight;
    return bb_adapter_expect(t, 2, is_A ? (const size_t[]){ inputs, other }
                                        : (const size_t[]){ other, inputs }, err);
}

bb_status bb_adapter_take_part(bb_adapter_file *f, const bb_adapter_config *config,
                               const bb_graph *g, const bb_tensor *t, char kind, const char *path,
                               bamba_error *err)
{
    bb_adapter_terms terms;
    bb_status        status = BAMBA_OK;
    wrapped          s;

    find_wrapped(&s, config, g, path);
    const char *parameter = choose_parameter(&s, t, err);
    if (!parameter) return BAMBA_ERR_FORMAT;
    if (kind != 'A' && kind != 'B')
        return bb_adapter_fail(err, BAMBA_ERR_FORMAT, t, "expected 'lora_A.weight' and "
                               "'lora_B.weight' for a parameter of experts");
    BB_TRY(bb_adapter_config_parameter(config, parameter, &terms, err));
    BB_TRY(expect_part(f, g, &s, t, kind == 'A', parameter, terms.rank, err));
    for (int i = s.first; i < s.end; i++) {
        const bb_part_of part = find_part(&g->linear[i], parameter);
        bb_adapted      *m = &f->map[i];
        if (part.n == 0) continue;
        m->rank = terms.rank;
        m->scale = (float)terms.scale;
        m->part = part;
        BB_TRY(bb_adapter_set(kind == 'A' ? &m->A : &m->B, t, err));
    }
done:
    return status;
}

/* Whether a version "0.18.2.dev0" is an earlier one; not if it is no version. */
static bool is_before(const char *version, const long *other)
{
    if (*version < '0' || *version > '9') return false;
    for (int i = 0; i < 3; i++) {
        char      *end;
        const long n = strtol(version, &end, 10);
        if (n != other[i]) return n < other[i];
        version = *end == '.' ? end + 1 : end;
    }
    return false;
}

void bb_adapter_settle_parts(bb_adapter_file *f, const bb_adapter_config *config)
{
    static const long straight[] = { 0, 19, 1 };
    const bool        is_old = is_before(bb_adapter_config_version(config), straight);
    const bool        is_turned = f->layout == BB_PARTS_TURNED
                                  || (f->layout == BB_PARTS_UNKNOWN && is_old);

    for (size_t i = 0; i < f->n_maps; i++)
        f->map[i].is_turned = is_turned && f->map[i].part.n > 1;
}
