/* fingerprint.c - a short name for a model. */
#include "fingerprint.h"

enum { WINDOW = 64, N_WINDOWS = 4 };

/* Windows of n bytes of data: the first, the last, others evenly between; all if it is short. */
static void add_sample(bb_hash *h, const unsigned char *data, size_t n)
{
    if (n <= WINDOW * N_WINDOWS) {
        bb_hash_add(h, data, n);
        return;
    }
    for (size_t i = 0; i < N_WINDOWS; i++)
        bb_hash_add(h, data + (n - WINDOW) / (N_WINDOWS - 1) * i, WINDOW);
}

static void add_tensor(bb_hash *h, const bb_tensor *t)
{
    bb_hash_add_text(h, t->name);
    bb_hash_add_text(h, bb_type_name(t->dtype));
    for (int i = 0; i < t->n_dims; i++) {
        const uint64_t dim = t->dim[i];
        bb_hash_add(h, &dim, sizeof dim);
    }
    add_sample(h, t->data, t->bytes);
}

/* Each mixer as it prints itself, and the names of the tensors of linear maps, but small ones. */
static void add_plan(bb_hash *h, const bb_graph *g)
{
    for (size_t i = 0; i < g->n_mixers; i++) {
        char       line[512] = "";
        bb_printer p = { .buffer = line, .size = sizeof line };
        g->mixer[i]->kind->print(g->mixer[i], &p);
        bb_hash_add_text(h, g->mixer[i]->prefix);
        bb_hash_add_text(h, line);
    }
    for (int i = 0; i < g->n_linears; i++)
        if (bb_linear_is_of_tensor(&g->linear[i])) bb_hash_add_text(h, g->linear[i].name);
}

void bb_fingerprint(const bamba_model *m, char out[BB_HASH_TEXT])
{
    unsigned char hash[BB_HASH_BYTES];
    size_t        n;
    bb_hash       h;

    bb_hash_begin(&h);
    bb_hash_add(&h, m->config_hash, sizeof m->config_hash);
    add_plan(&h, m->graph);
    bb_hash_add(&h, m->stats.params_of, sizeof m->stats.params_of);
    const bb_tensor *tensor = m->checkpoint ? bb_checkpoint_tensors(m->checkpoint, &n) : NULL;
    for (size_t i = 0; tensor && i < n; i++) add_tensor(&h, &tensor[i]);
    const bb_matrix *e = &m->graph->embed;
    if (!tensor && e->data) add_sample(&h, e->data, e->format->bytes(e->rows, e->cols));
    bb_hash_end(&h, hash);
    bb_hash_show(hash, out);
}

void bamba_model_fingerprint(const bamba_model *model, char out[BAMBA_FINGERPRINT])
{
    _Static_assert((int)BAMBA_FINGERPRINT == (int)BB_HASH_TEXT, "a fingerprint is a hash");
    out[0] = '\0';
    if (model) bb_fingerprint(model, out);
}
