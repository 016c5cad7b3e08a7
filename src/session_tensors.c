/* session_tensors.c - the tensors that a file of a session has. */
#include "session_tensors.h"

#include "base/sort.h"

#include <stdio.h>
#include <string.h>

static void set_shape(bb_session_item *i, bb_type type, const size_t *dim, int n_dims)
{
    i->t.name = i->name;
    i->t.dtype = type;
    i->t.n_dims = n_dims;
    i->t.n_elements = 1;
    for (int d = 0; d < n_dims; d++) i->t.n_elements *= i->t.dim[d] = dim[d];
    i->t.bytes = i->t.n_elements * bb_type_bits(type) / 8;
}

static void add_bytes(bb_session_tensors *l, const char *name, bb_type type, const void *data,
                      size_t n)
{
    bb_session_item *i = &l->item[l->n++];

    snprintf(i->name, sizeof i->name, "%s", name);
    set_shape(i, type, &n, 1);
    i->t.data = data;
}

/* The first block that uses the slot names it: a mixer may have several uses. */
static const bb_block *block_of(const bb_graph *g, size_t slot)
{
    for (size_t i = g->first; i < g->end; i++)
        for (int j = 0; j < g->block[i].n_uses; j++)
            if (g->block[i].use[j].slot == (int)slot) return &g->block[i];
    return NULL;
}

static void add_slot(bb_session_tensors *l, const bb_graph *g, size_t slot, size_t n_positions)
{
    const bb_mixer *m = g->slot[slot];
    const bb_block *b = m ? block_of(g, slot) : NULL;
    bb_part         part[BB_MIXER_PARTS];
    size_t          at = 0;

    if (!b) return;
    const int n = m->kind->parts(m, n_positions, part);
    for (int i = 0; i < n; i++) {
        bb_session_item *to = &l->item[l->n++];
        snprintf(to->name, sizeof to->name, "layers.%d.%s.%s", b->layer, m->kind->name,
                 part[i].name);
        set_shape(to, part[i].type, part[i].dim, part[i].dim[2] > 0 ? 3 : 2);
        to->slot = slot;
        to->at = at;
        at += to->t.bytes;
    }
    if (at > l->most) l->most = at;
}

static int compare_items(const void *a, const void *b)
{
    return strcmp(((const bb_session_item *)a)->name, ((const bb_session_item *)b)->name);
}

bool bb_session_list(bb_session_tensors *l, const bamba_session *s, size_t first, const char *text)
{
    const bb_graph *g = s->model->graph;
    const bb_past  *p = &s->past;
    const size_t    from = bb_session_first_token(first, p->known), n = s->position - from;
    const bb_session_held h = bb_session_holds(s, first);

    *l = (bb_session_tensors){ .item = bb_new(&s->alloc, 3 + BB_MIXER_PARTS * g->n_slots,
                                              sizeof *l->item) };
    if (!l->item) return false;
    add_bytes(l, "session", BB_TYPE_U8, text, strlen(text));
    add_bytes(l, "tokens", BB_TYPE_I32, n > 0 ? p->token + (from - p->known) : NULL, n);
    add_bytes(l, "fed", BB_TYPE_U8, n > 0 ? p->fed + (from - p->known) : NULL, n);
    for (size_t i = 0; i < g->n_slots; i++) add_slot(l, g, i, h.end - h.first);
    bb_sort(l->item, l->n, sizeof *l->item, compare_items);
    for (size_t i = 0; i < l->n; i++) l->item[i].t.name = l->item[i].name;    /* they have moved */
    return true;
}

void bb_session_hash_tensor(bb_hash *h, const bb_tensor *t, const void *data)
{
    bb_hash_add_text(h, t->name);
    bb_hash_add_text(h, bb_type_name(t->dtype));
    for (int i = 0; i < t->n_dims; i++) {
        const uint64_t dim = t->dim[i];
        bb_hash_add(h, &dim, sizeof dim);
    }
    bb_hash_add(h, data, t->bytes);
}
