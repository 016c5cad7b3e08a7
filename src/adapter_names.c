/* adapter_names.c - which part of a model a module's path is the name of. */
#include "adapter_names.h"

#include "base/sort.h"

#include <stdio.h>
#include <string.h>

const char *bb_adapter_bare(const char *name)
{
    for (;;) {
        if (strncmp(name, "model.", 6) == 0) name += 6;
        else if (strncmp(name, "backbone.", 9) == 0) name += 9;
        else return name;
    }
}

size_t bb_adapter_module_bytes(const char *weight)
{
    const size_t n = strlen(weight), n_end = strlen(".weight");

    return n > n_end && strcmp(weight + n - n_end, ".weight") == 0 ? n - n_end : 0;
}

bool bb_adapter_is_same_name(const char *a, const char *b)
{
    return strcmp(bb_adapter_bare(a), bb_adapter_bare(b)) == 0;
}

void bb_adapter_name_parameter(const bb_linear_name *l, char *full)
{
    snprintf(full, BB_MOST_PARAMETER, "%.*s%s", l->n_prefix, l->name, l->part_of.parameter);
}

/* -------------------------------------------------------------- embedding and head ------- */

/* Whether a module's path is that of the tensor `weight`, "….weight". */
static bool is_module(const char *path, const char *weight)
{
    const char  *w = bb_adapter_bare(weight), *p = bb_adapter_bare(path);
    const size_t n = strlen(p);

    return n > 0 && bb_adapter_module_bytes(w) == n && strncmp(w, p, n) == 0;
}

/* The files may have it under another name than the module's: its alias, or that of a tied head. */
bool bb_adapter_is_embedding(const bb_graph *g, const char *path)
{
    static const char *const usual[] = { "embed_tokens.weight", "embeddings.weight",
                                         "embedding.weight" };

    if (is_module(path, g->embed_name) || is_module(path, g->embed_alias)) return true;
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (is_module(path, usual[i])) return true;
    return false;
}

bool bb_adapter_is_head(const bb_graph *g, const char *path)
{
    return is_module(path, g->head_name[0] ? g->head_name : g->head_alias);
}

/* -------------------------------------------------------------- linear maps -------------- */

typedef struct entry {
    const char *path;                     /* of the module, bare */
    size_t      map;
} entry;

struct bb_adapter_names {
    bb_allocator    a;
    const bb_graph *g;
    entry          *at;                   /* [n] by path, maps of one path by id */
    size_t          n;
    char           *text;                 /* [n_text] the paths */
    size_t          n_text;
};

static int compare(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    const int    order = strcmp(x->path, y->path);

    return order != 0 ? order : (x->map > y->map) - (x->map < y->map);
}

/* Add the module that has the tensor `weight`, or just count it while the table has no memory. */
static void add(bb_adapter_names *t, const char *weight, size_t map)
{
    const char  *path = bb_adapter_bare(weight);
    const size_t n = bb_adapter_module_bytes(path);

    if (n == 0) return;
    if (t->at) {
        char *to = t->text + t->n_text;
        memcpy(to, path, n);
        to[n] = '\0';
        t->at[t->n] = (entry){ to, map };
    }
    t->n++;
    t->n_text += n + 1;
}

/* All but the head. A parameter that is one matrix is a linear layer under its own name too. */
static void add_all(bb_adapter_names *t)
{
    char other[BB_MOST_PARAMETER];

    t->n = t->n_text = 0;
    for (int i = 0; i + 1 < t->g->n_linears; i++) {
        const bb_linear_name *l = &t->g->linear[i];
        add(t, l->name, (size_t)i);
        if (l->part_of.n != 1) continue;
        bb_adapter_name_parameter(l, other);
        add(t, other, (size_t)i);
    }
}

bb_status bb_adapter_names_open(bb_adapter_names **out, const bb_allocator *a, const bb_graph *g,
                                bamba_error *err)
{
    bb_adapter_names *t = bb_new(a, 1, sizeof *t);

    *out = t;                             /* the caller closes it on failure too */
    if (!t) return bb_fail(err, BAMBA_ERR_MEMORY, "adapter: out of memory");
    *t = (bb_adapter_names){ .a = *a, .g = g };
    add_all(t);
    t->text = bb_allocate(a, t->n_text + 1, 1);
    t->at = t->text ? bb_new(a, t->n + 1, sizeof *t->at) : NULL;
    if (!t->at) return bb_fail(err, BAMBA_ERR_MEMORY, "adapter: out of memory");
    add_all(t);
    bb_sort(t->at, t->n, sizeof *t->at, compare);
    return BAMBA_OK;
}

void bb_adapter_names_close(bb_adapter_names *t)
{
    if (!t) return;
    const bb_allocator a = t->a;
    bb_release(&a, t->at);
    bb_release(&a, t->text);
    bb_release(&a, t);
}

size_t bb_adapter_names_find(const bb_adapter_names *t, const char *path)
{
    const size_t n = (size_t)t->g->n_linears;
    const char  *bare = bb_adapter_bare(path);
    size_t       low = 0, high = t->n;    /* entries before low stand before the path */

    if (bb_adapter_is_head(t->g, path)) return n - 1;
    if (bb_adapter_is_embedding(t->g, path)) return n;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        if (strcmp(t->at[mid].path, bare) < 0) low = mid + 1;
        else high = mid;
    }
    return low < t->n && strcmp(t->at[low].path, bare) == 0 ? t->at[low].map : n + 1;
}
