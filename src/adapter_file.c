/* adapter_file.c - a PEFT directory: which of its tensors belong to which part of a model. */
#include "adapter_file.h"

#include "adapter_config.h"
#include "adapter_experts.h"
#include "adapter_names.h"
#include "adapter_uses.h"
#include "base/file.h"
#include "forward.h"
#include "load/directory.h"
#include "load/safetensors.h"

#include <stdio.h>
#include <string.h>

static const char CONFIG[] = "adapter_config.json";
static const char TENSORS[] = "adapter_model.safetensors", OLD_TENSORS[] = "adapter_model.bin";
static const char PREFIX[] = "base_model.model.";

enum { CHUNK = 256 };                     /* elements that are compared at a time */

bb_status bb_adapter_fail(bamba_error *err, bb_status code, const bb_tensor *t, const char *message)
{
    return bb_fail(err, code, "%s: '%.*s': %s", t->file, bb_name_width(t->name), t->name, message);
}

void bb_adapter_floats(const bb_kernels *k, const bb_tensor *t, size_t at, size_t n, float *to)
{
    bb_recode_elements(bb_format_of(k, t->dtype), t->data, at, n, to);
}

/* Element [i, x] of a map's part of the tensor A; [y, i] of that of the tensor B. */
static size_t place_in_A(const bb_adapted *m, int i, int x)
{
    return ((size_t)m->part.index * (size_t)m->rank + (size_t)i) * m->A->dim[1] + (size_t)x;
}

static size_t parts_of(const bb_adapted *m) { return m->part.n ? (size_t)m->part.n : 1; }

static size_t place_in_B(const bb_adapted *m, int y, int i)
{
    return ((size_t)y * (size_t)m->rank + (size_t)i) * parts_of(m) + (size_t)m->part.index;
}

/* n elements: number `at` and each step-th one behind it. */
static void take_every(const bb_kernels *k, const bb_tensor *t, size_t at, size_t step, int n,
                       float *to)
{
    if (step == 1) bb_adapter_floats(k, t, at, (size_t)n, to);
    for (int i = 0; step > 1 && i < n; i++)
        bb_adapter_floats(k, t, at + (size_t)i * step, 1, to + i);
}

void bb_adapted_A(const bb_kernels *k, const bb_adapted *m, int i, int first, int n, float *to)
{
    if (!m->is_turned) take_every(k, m->A, place_in_A(m, i, first), 1, n, to);
    else take_every(k, m->B, place_in_B(m, first, i), m->B->dim[1], n, to);
}

void bb_adapted_B(const bb_kernels *k, const bb_adapted *m, int r, int first, int n, float *to)
{
    const int row = m->part.row + r;

    if (!m->is_turned) take_every(k, m->B, place_in_B(m, row, first), parts_of(m), n, to);
    else take_every(k, m->A, place_in_A(m, first, row), m->A->dim[1], n, to);
}

bool bb_adapter_are_equal(const bb_kernels *k, const bb_tensor *a, const bb_tensor *b)
{
    float x[CHUNK], y[CHUNK];

    if (!b || a->n_elements != b->n_elements || b->dtype >= BB_N_FLOATS) return false;
    for (size_t i = 0; i < a->n_elements; i += CHUNK) {
        const size_t n = a->n_elements - i < CHUNK ? a->n_elements - i : CHUNK;
        bb_adapter_floats(k, a, i, n, x);
        bb_adapter_floats(k, b, i, n, y);
        for (size_t j = 0; j < n; j++)
            if (!(x[j] == y[j])) return false;
    }
    return true;
}

bool bb_adapter_is_base(const bamba_model *m, const bb_tensor *t, const char *name)
{
    if (!m->checkpoint) return false;
    return bb_adapter_are_equal(&m->kernels, t, bb_find_tensor(m->graph, m->checkpoint, name));
}

/* -------------------------------------------------------------- one tensor --------------- */

typedef enum part_kind { A, B, B_BIAS, EMBED_A, EMBED_B, BASE_WEIGHT, BASE_BIAS, WEIGHT, BIAS,
                         OTHER } part_kind;

/* Endings of names; of those that end one another the longer ones first. */
static const struct { const char *end; part_kind kind; } endings[] = {
    { ".lora_A.weight", A }, { ".lora_B.weight", B }, { ".lora_B.bias", B_BIAS },
    { ".lora_embedding_A", EMBED_A }, { ".lora_embedding_B", EMBED_B },
    { ".base_layer.weight", BASE_WEIGHT }, { ".base_layer.bias", BASE_BIAS },
    { ".weight", WEIGHT }, { ".bias", BIAS },
};

static part_kind kind_of(const char *name, size_t *n_path)
{
    const size_t n = strlen(name);

    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const size_t m = strlen(endings[i].end);
        if (n <= m || strcmp(name + n - m, endings[i].end) != 0) continue;
        *n_path = n - m;
        return endings[i].kind;
    }
    *n_path = n;
    return OTHER;
}

typedef struct reading {
    bb_adapter_file         *f;
    const bb_adapter_config *config;
    const bb_graph          *g;
    const bb_adapter_names  *names;
} reading;

static int rows_of(const bb_graph *g, size_t map)
{
    return map < (size_t)g->n_linears ? g->linear[map].rows : g->n_rows;
}

static int cols_of(const bb_graph *g, size_t map)
{
    return map < (size_t)g->n_linears ? g->linear[map].cols : g->d_model;
}

/* Matrices of the stack that a map's tensor is; 0: it is none. */
static size_t n_stack_of(const bb_graph *g, size_t map)
{
    return map < (size_t)g->n_linears ? (size_t)g->linear[map].n_stack : 0;
}

bb_status bb_adapter_expect(const bb_tensor *t, int n_dims, const size_t *dim, bamba_error *err)
{
    if (t->n_dims == n_dims && memcmp(t->dim, dim, (size_t)n_dims * sizeof *dim) == 0)
        return BAMBA_OK;
    return bb_fail(err, BAMBA_ERR_FORMAT, "%s: '%.*s': expected %s, found %s", t->file,
                   bb_name_width(t->name), t->name, bb_shape_show(t->dtype, n_dims, dim).s,
                   bb_shape_show(t->dtype, t->n_dims, t->dim).s);
}

static bb_status expect_shape(const bb_tensor *t, int n_dims, int rows, int cols, bamba_error *err)
{
    return bb_adapter_expect(t, n_dims, (const size_t[]){ (size_t)rows, (size_t)cols }, err);
}

/* The rank of A or B as it is stored. */
static int rank_of(const bb_tensor *t, part_kind k)
{
    const size_t rank = t->n_dims == 2 ? t->dim[k == A ? 0 : 1] : 0;
    return rank >= 1 && rank <= BB_MOST_RANK ? (int)rank : 1;
}

bb_status bb_adapter_set(const bb_tensor **place, const bb_tensor *t, bamba_error *err)
{
    if (*place)
        return bb_fail(err, BAMBA_ERR_FORMAT, "%s: '%.*s' is for the same module as '%.*s'",
                       t->file, bb_name_width(t->name), t->name, bb_name_width((*place)->name),
                       (*place)->name);
    *place = t;
    return BAMBA_OK;
}

/* One of the low-rank matrices of a module. */
static bb_status take_matrix(const reading *r, const bb_tensor *t, part_kind k, const char *path,
                             size_t map, bamba_error *err)
{
    const bool       is_embed = map == (size_t)r->g->n_linears;
    const bool       for_embed = k == EMBED_A || k == EMBED_B;
    const int        rows = rows_of(r->g, map), cols = cols_of(r->g, map);
    char             parameter[BB_MOST_PARAMETER];
    bb_adapter_terms terms;
    bb_status        status = BAMBA_OK;

    snprintf(parameter, sizeof parameter, "%s.weight", path);
    if (is_embed != for_embed)
        return bb_adapter_fail(err, BAMBA_ERR_FORMAT, t, is_embed
                               ? "expected 'lora_embedding_A' and 'lora_embedding_B' for the "
                                 "embedding"
                               : "expected 'lora_A.weight' and 'lora_B.weight' for a linear layer");
    if (bb_adapter_config_has_parameter(r->config, parameter))
        BB_TRY(bb_adapter_config_parameter(r->config, parameter, &terms, err));
    else BB_TRY(bb_adapter_config_terms(r->config, path, map + 1 == (size_t)r->g->n_linears,
                                        &terms, err));
    if (terms.has_other_rank && (k == A || k == B)) terms.rank = rank_of(t, k);
    bb_adapted *m = &r->f->map[map];
    if (k != B_BIAS) m->rank = terms.rank;
    m->scale = (float)terms.scale;
    if (k == A) BB_TRY(expect_shape(t, 2, terms.rank, cols, err));
    if (k == B) BB_TRY(expect_shape(t, 2, rows, terms.rank, err));
    if (k == EMBED_A) BB_TRY(expect_shape(t, 2, terms.rank, rows, err));
    if (k == EMBED_B) BB_TRY(expect_shape(t, 2, cols, terms.rank, err));
    if (k == B_BIAS) BB_TRY(expect_shape(t, 1, rows, 0, err));
    if (k == B_BIAS && !bb_adapter_config_has_bias(r->config))
        return bb_adapter_fail(err, BAMBA_ERR_FORMAT, t, "adapter_config.json: 'lora_bias': "
                               "expected true, since this tensor is there");
    status = bb_adapter_set(k == B_BIAS ? &m->B_bias : k == A || k == EMBED_A ? &m->A : &m->B, t,
                            err);
done:
    return status;
}

/* A tensor in place of one of the model's. */
static bb_status take_replacement(const reading *r, const bb_tensor *t, part_kind k,
                                  const char *path, size_t map, bamba_error *err)
{
    const size_t n = (size_t)r->g->n_linears;
    const bool   is_saved = bb_adapter_config_saves(r->config, path);
    bb_status    status = BAMBA_OK;

    if ((k == WEIGHT || k == OTHER) && !is_saved && map != n - 1 && map != n)
        return bb_adapter_fail(err, BAMBA_ERR_FORMAT, t, "adapter_config.json: 'modules_to_save' "
                               "does not name its module");
    if (map > n) {
        r->f->replaced[r->f->n_replaced++] = (bb_replaced){ t, t->name + strlen(PREFIX) };
        return BAMBA_OK;
    }
    if (k == BIAS || k == BASE_BIAS) {
        BB_TRY(expect_shape(t, 1, rows_of(r->g, map), 0, err));
        return bb_adapter_set(&r->f->map[map].bias, t, err);
    }
    const size_t dim[] = { n_stack_of(r->g, map), (size_t)rows_of(r->g, map),
                           (size_t)cols_of(r->g, map) };
    BB_TRY(bb_adapter_expect(t, dim[0] ? 3 : 2, dim[0] ? dim : dim + 1, err));
    r->f->map[map].is_base = k == BASE_WEIGHT || !is_saved;
    status = bb_adapter_set(&r->f->map[map].weight, t, err);
done:
    return status;
}

static bb_status refuse_other(const bb_tensor *t, bamba_error *err)
{
    if (strstr(t->name, "lora_magnitude_vector"))
        return bb_adapter_fail(err, BAMBA_ERR_UNSUPPORTED, t, "DoRA is not supported");
    if (strstr(t->name, "trainable_tokens"))
        return bb_adapter_fail(err, BAMBA_ERR_UNSUPPORTED, t,
                               "training of single tokens is not supported");
    return bb_adapter_fail(err, BAMBA_ERR_FORMAT, t, "expected a tensor of a LoRA adapter, such as "
                           "'base_model.model.….lora_A.weight'");
}

/* One number that is none would spoil all that the model computes, and all that a merge writes. */
static bb_status check_finite(const bb_kernels *k, const bb_tensor *t, bamba_error *err)
{
    float v[CHUNK];

    for (size_t i = 0; i < t->n_elements; i += CHUNK) {
        const size_t n = t->n_elements - i < CHUNK ? t->n_elements - i : CHUNK;
        bb_adapter_floats(k, t, i, n, v);
        if (!bb_is_finite(n, v))
            return bb_adapter_fail(err, BAMBA_ERR_FORMAT, t,
                                   "expected finite numbers, found NaN or infinity");
    }
    return BAMBA_OK;
}

static bb_status take(const reading *r, const bb_tensor *t, bamba_error *err)
{
    size_t     n_path;
    char       path[BB_MOST_PATH];
    const part_kind k = kind_of(t->name, &n_path);
    const size_t n_prefix = sizeof PREFIX - 1;

    if (strncmp(t->name, PREFIX, n_prefix) != 0 || n_path <= n_prefix
        || n_path - n_prefix >= sizeof path)
        return refuse_other(t, err);
    if (t->dtype >= BB_N_FLOATS)
        return bb_fail(err, BAMBA_ERR_UNSUPPORTED, "%s: '%.*s': expected F32, BF16 or F16, "
                       "found %s", t->file, bb_name_width(t->name), t->name,
                       bb_type_name(t->dtype));
    snprintf(path, sizeof path, "%.*s", (int)(n_path - n_prefix), t->name + n_prefix);
    const size_t map = bb_adapter_names_find(r->names, path);
    if (k == OTHER && strstr(t->name, "lora")) return refuse_other(t, err);
    if (k == OTHER || k >= BASE_WEIGHT) return take_replacement(r, t, k, path, map, err);
    if (map > (size_t)r->g->n_linears || n_stack_of(r->g, map) > 0)
        return bb_adapter_take_part(r->f, r->config, r->g, t, k == A ? 'A' : k == B ? 'B' : 0, path,
                                    err);
    return take_matrix(r, t, k, path, map, err);
}

/* Each A has its B, of the same rank. */
static bb_status check_pairs(const bb_adapter_file *f, bamba_error *err)
{
    for (size_t i = 0; i < f->n_maps; i++) {
        const bb_adapted *m = &f->map[i];
        const bb_tensor  *alone = !m->A && m->B ? m->B : !m->B && m->A ? m->A : NULL;
        if (!m->A && m->B_bias) alone = m->B_bias;
        if (m->A && m->B && m->A->dim[0] != m->B->dim[1])
            return bb_adapter_fail(err, BAMBA_ERR_FORMAT, m->B, "the tensor 'lora_A' beside it has "
                                   "another rank");
        if (alone)
            return bb_adapter_fail(err, BAMBA_ERR_FORMAT, alone,
                                   m->A ? "the tensor 'lora_B' beside it is missing"
                                        : "the tensor 'lora_A' beside it is missing");
    }
    return BAMBA_OK;
}

/* -------------------------------------------------------------- modules_to_save ---------- */

/* Whether the file has a tensor in place of the model's, of a module that modules_to_save calls
   `name`. */
static bool is_saved(const bb_adapter_file *f, const char *name)
{
    for (size_t i = 0; i < f->tensors->n; i++) {
        const char     *tensor = f->tensors->tensor[i].name;
        size_t          n_path;
        const part_kind k = kind_of(tensor, &n_path);
        if (k >= WEIGHT && bb_adapter_is_within(tensor, name)) return true;
    }
    return false;
}

static bool has_module(const bamba_model *model, const char *name)
{
    size_t           n = 0;
    const bb_tensor *t = model->checkpoint ? bb_checkpoint_tensors(model->checkpoint, &n) : NULL;

    if (bb_adapter_is_head(model->graph, name) || bb_adapter_is_embedding(model->graph, name))
        return true;
    for (size_t i = 0; i < n; i++)
        if (bb_adapter_is_within(t[i].name, name)) return true;
    return false;
}

/* PEFT writes tensors for each module that modules_to_save names, of a tied pair for both; names of
   modules that the model does not have it lets stand. */
static bb_status check_saved(const reading *r, const bamba_model *model, bamba_error *err)
{
    const char *name;

    for (size_t i = 0; (name = bb_adapter_config_saved(r->config, i)); i++)
        if (!is_saved(r->f, name) && has_module(model, name))
            return bb_fail(err, BAMBA_ERR_FORMAT, "%s: 'modules_to_save': expected tensors of "
                           "'%.100s' in %s, found none", CONFIG, name, TENSORS);
    return BAMBA_OK;
}

/* -------------------------------------------------------------- embedding and head ------- */

/* What has been trained of a map's matrix, or was another one than the model's all along. */
static const bb_tensor *own_of(const bamba_model *model, const bb_adapted *m, const char *name)
{
    return m->weight && m->is_base && bb_adapter_is_base(model, m->weight, name) ? NULL : m->weight;
}

/* Of a tied pair a matrix that training has not parted from the other one stands for both. */
static void settle_own(bb_adapter_file *f, const bamba_model *model)
{
    const bb_graph   *g = model->graph;
    const bb_adapted *head = &f->map[f->n_maps - 2], *embed = &f->map[f->n_maps - 1];
    const bool        is_tied = !g->head_name[0];

    f->own_embed = own_of(model, embed, g->embed_name);
    f->own_head = own_of(model, head, is_tied ? g->embed_name : g->head_name);
    if (!is_tied) return;
    if (!head->weight && f->own_embed && embed->is_base) f->own_head = f->own_embed;
    if (!embed->weight && f->own_head && head->is_base) f->own_embed = f->own_head;
}

/* -------------------------------------------------------------- open --------------------- */

static bb_status open_tensors(bb_adapter_file *f, const char *dir, bamba_error *err)
{
    bb_status    status = BAMBA_OK;
    bb_path_kind kind = BB_PATH_NONE, old = BB_PATH_NONE;
    char        *path = bb_path_join(&f->a, dir, TENSORS);
    char        *old_path = bb_path_join(&f->a, dir, OLD_TENSORS);

    if (!path || !old_path) {
        status = bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", dir);
        goto done;
    }
    BB_TRY(bb_path_find(path, &kind, err));
    BB_TRY(bb_path_find(old_path, &old, err));
    if (kind == BB_PATH_NONE && old != BB_PATH_NONE)
        status = bb_fail(err, BAMBA_ERR_UNSUPPORTED, "%s: a pickle, which is not read: load the "
                         "adapter with PEFT and save it again, which writes %s", old_path, TENSORS);
    else status = bb_safetensors_open(&f->tensors, &f->a, path, err);
done:
    bb_release(&f->a, path);
    bb_release(&f->a, old_path);
    return status;
}

static bb_status read_tensors(bb_adapter_file *f, const bb_adapter_config *config,
                              const bamba_model *model, const bb_log *log, bamba_error *err)
{
    const bb_graph   *g = model->graph;
    bb_adapter_names *names = NULL;
    bb_status         status = BAMBA_OK;

    f->n_maps = (size_t)g->n_linears + 1;
    f->map = bb_new(&f->a, f->n_maps, sizeof *f->map);
    f->replaced = bb_new(&f->a, f->tensors->n + 1, sizeof *f->replaced);
    if (!f->map || !f->replaced)
        return bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", f->tensors->file);
    if (f->tensors->n == 0)
        return bb_fail(err, BAMBA_ERR_FORMAT, "%s: expected tensors, found none", f->tensors->file);
    BB_TRY(bb_adapter_names_open(&names, &f->a, g, err));
    const reading r = { f, config, g, names };
    for (size_t i = 0; i < f->tensors->n; i++) BB_TRY(take(&r, &f->tensors->tensor[i], err));
    bb_adapter_settle_parts(f, config);
    BB_TRY(check_pairs(f, err));
    BB_TRY(check_saved(&r, model, err));
    BB_TRY(bb_adapter_settle_uses(f, config, g, log, err));
    for (size_t i = 0; i < f->tensors->n; i++)
        BB_TRY(check_finite(&model->kernels, &f->tensors->tensor[i], err));
done:
    bb_adapter_names_close(names);
    return status;
}

bb_status bb_adapter_file_open(bb_adapter_file **out, const bb_allocator *a,
                               const bamba_model *model, const char *dir, const bb_log *log,
                               bamba_error *err)
{
    bb_status          status = BAMBA_OK;
    bb_adapter_config *config = NULL;
    bb_adapter_file   *f = bb_new(a, 1, sizeof *f);
    char              *path = bb_path_join(a, dir, CONFIG);

    *out = NULL;
    if (f) f->a = *a;
    if (!f || !path) {
        status = bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", dir);
        goto done;
    }
    BB_TRY(bb_directory_check(a, dir, CONFIG, err));
    BB_TRY(bb_adapter_config_open(&config, a, path, log, err));
    BB_TRY(open_tensors(f, dir, err));
    BB_TRY(read_tensors(f, config, model, log, err));
    settle_own(f, model);
    *out = f;
    f = NULL;
done:
    bb_adapter_config_close(config);
    bb_adapter_file_close(f);
    bb_release(a, path);
    return status;
}

void bb_adapter_file_close(bb_adapter_file *f)
{
    if (!f) return;
    const bb_allocator a = f->a;
    bb_container_close(f->tensors);
    bb_release(&a, f->map);
    bb_release(&a, f->replaced);
    bb_release(&a, f);
}
