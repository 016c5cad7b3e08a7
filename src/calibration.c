/* calibration.c - second moments of what linear maps read, while an engine feeds; to a file. */
#include "objects.h"

#include "load/safetensors_write.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct seen {
    float   *square;                      /* [cols] sums of squares. NULL: none are kept: a router,
                                             a later matrix of a stack (`first_of` has its sums), a
                                             later use of a mixer, or a layer that runs elsewhere */
    float   *product;                     /* [blocks, BB_CARRY, BB_CARRY] sums of products in blocks
                                             of columns; NULL: nobody wants them */
    uint64_t n_rows;
    int      source;                      /* the map that reads the same; its own number */
} seen;

struct bamba_calibration {
    bb_observer   observer;               /* first: the observer is the calibration */
    bb_allocator  alloc;
    bamba_engine *engine;
    bool          has_products;
    seen         *map;                    /* [n_linears of the graph] */
};

static size_t count_blocks(int cols) { return ((size_t)cols + BB_CARRY - 1) / BB_CARRY; }

/* -------------------------------------------------------------- gathering ---------------- */

/* The number of the map whose sums stand for a tensor: of a stack, its first matrix. */
static int first_of(const bamba_calibration *c, int id)
{
    return id - c->engine->model->graph->linear[id].index;
}

static void see(bb_observer *o, int id, int first, int n_cols, int n, const float *x, size_t ld)
{
    bamba_calibration *c = (struct bamba_calibration *)(void *)o;
    seen              *s = &c->map[first_of(c, id)];
    float              sum[BB_CARRY] = { 0 };
    float             *product = s->product ? s->product + (size_t)first * BB_CARRY : NULL;

    if (!s->square) return;               /* a router: it stays float32, so nothing is kept */
    if (first == 0) s->n_rows += (uint64_t)n;
    for (int t = 0; t < n; t++) {
        const float *row = x + (size_t)t * ld;
        for (int i = 0; i < n_cols; i++) sum[i] += row[i] * row[i];
        for (int i = 0; product && i < n_cols; i++)
            for (int j = 0; j < n_cols; j++) product[i * BB_CARRY + j] += row[i] * row[j];
    }
    for (int i = 0; i < n_cols; i++) s->square[first + i] += sum[i];
}

static void same(bb_observer *o, int id, int as)
{
    bamba_calibration *c = (struct bamba_calibration *)(void *)o;

    c->map[first_of(c, id)].source = first_of(c, as);
}

static bb_status allocate_sums(bamba_calibration *c, bamba_error *err)
{
    const bb_graph *g = c->engine->model->graph;

    for (int i = 0; i < g->n_linears; i++) {
        const int cols = g->linear[i].cols;           /* 0: of a layer that runs elsewhere */
        if (cols == 0 || !bb_linear_is_of_tensor(&g->linear[i])) continue;
        c->map[i].source = i;
        c->map[i].square = bb_new(&c->alloc, (size_t)cols, sizeof(float));
        if (c->has_products)
            c->map[i].product = bb_new(&c->alloc, count_blocks(cols),
                                       BB_CARRY * BB_CARRY * sizeof(float));
        if (!c->map[i].square || (c->has_products && !c->map[i].product))
            return bb_fail(err, BAMBA_ERR_MEMORY, "calibration: out of memory");
    }
    return BAMBA_OK;
}

bamba_status bamba_calibration_create(bamba_calibration **out, bamba_engine *engine, int feedback,
                                      bamba_error *err)
{
    bb_status          status = BAMBA_OK;
    bamba_calibration *c = NULL;

    if (!out || !engine)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "calibration: %s is NULL", out ? "engine" : "out");
    *out = NULL;
    if (engine->pass.observer)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "calibration: the engine has one already");
    c = bb_new(&engine->alloc, 1, sizeof *c);
    if (!c) return bb_fail(err, BAMBA_ERR_MEMORY, "calibration: out of memory");
    c->observer = (bb_observer){ see, same };
    c->alloc = engine->alloc;
    c->engine = engine;
    c->has_products = feedback != 0;
    c->map = bb_new(&c->alloc, (size_t)engine->model->graph->n_linears, sizeof *c->map);
    if (!c->map) {
        status = bb_fail(err, BAMBA_ERR_MEMORY, "calibration: out of memory");
        goto done;
    }
    BB_TRY(allocate_sums(c, err));
    engine->pass.observer = &c->observer;
    *out = c;
    c = NULL;
done:
    bamba_calibration_free(c);
    return status;
}

void bamba_calibration_free(bamba_calibration *c)
{
    if (!c) return;
    const bb_allocator a = c->alloc;
    if (c->engine->pass.observer == &c->observer) c->engine->pass.observer = NULL;
    for (int i = 0; c->map && i < c->engine->model->graph->n_linears; i++) {
        bb_release(&a, c->map[i].square);
        bb_release(&a, c->map[i].product);
    }
    bb_release(&a, c->map);
    bb_release(&a, c);
}

/* -------------------------------------------------------------- carries ------------------ */

typedef double square_matrix[BB_CARRY][BB_CARRY];

/* m = L·Lᵀ, L in its lower triangle; from a positive definite matrix. */
static void factor(square_matrix m)
{
    for (int i = 0; i < BB_CARRY; i++)
        for (int j = 0; j <= i; j++) {
            double sum = m[i][j];
            for (int k = 0; k < j; k++) sum -= m[i][k] * m[j][k];
            m[i][j] = i == j ? sqrt(sum) : sum / m[j][j];
        }
}

/* The inverse of a positive definite matrix, by its factor. */
static void invert(square_matrix m)
{
    factor(m);
    for (int j = 0; j < BB_CARRY; j++) {  /* L becomes its inverse, column by column */
        m[j][j] = 1.0 / m[j][j];
        for (int i = j + 1; i < BB_CARRY; i++) {
            double sum = 0.0;
            for (int k = j; k < i; k++) sum -= m[i][k] * m[k][j];
            m[i][j] = sum / m[i][i];
        }
    }
    for (int i = 0; i < BB_CARRY; i++)    /* L⁻ᵀ·L⁻¹, in the upper triangle and the diagonal */
        for (int j = i; j < BB_CARRY; j++) {
            double sum = 0.0;
            for (int k = j; k < BB_CARRY; k++) sum += m[k][i] * m[k][j];
            m[i][j] = sum;
        }
}

/* The carries of a block of columns, n of them, from the sums of their products. Columns that are
   not there, or were never seen, carry nothing. A hundredth of the mean square is added to each
   column's, so that there is an inverse. */
static void make_carries(int n, const float *product, square_matrix m, float *carry)
{
    double mean = 0.0;

    for (int i = 0; i < n; i++) mean += (double)product[i * BB_CARRY + i] / n;
    if (!(mean > 0.0 && isfinite(mean))) mean = 1.0, n = 0;
    for (int i = 0; i < BB_CARRY; i++)
        for (int j = 0; j < BB_CARRY; j++) {
            const double damping = i == j ? 0.01 * mean : 0.0;
            m[i][j] = i < n && j < n ? (double)product[i * BB_CARRY + j] + damping
                    : i == j ? mean : 0.0;
        }
    invert(m);
    for (int i = 0; i < BB_CARRY; i++)
        for (int j = 0; j < i; j++) m[i][j] = m[j][i];
    factor(m);                            /* its transpose is U */
    for (int i = 0; i < BB_CARRY; i++)
        for (int j = 0; j < BB_CARRY; j++)
            carry[i * BB_CARRY + j] = j > i ? (float)(m[j][i] / m[i][i]) : 0.0f;
}

/* -------------------------------------------------------------- the file ----------------- */

/* The sums of what a map reads; NULL if it has none. Those of an expert that no row has chosen are
   zeros: its inputs count alike. */
static const seen *seen_by(const bamba_calibration *c, int id)
{
    const bool  is_head = id == c->engine->model->graph->n_linears - 1;
    const seen *s = &c->map[id];

    if (s->square && s->n_rows == 0) s = &c->map[s->source];
    return s->square && (s->n_rows > 0 || !is_head) ? s : NULL;
}

static bool is_any_seen(const bamba_calibration *c)
{
    for (int id = 0; id < c->engine->model->graph->n_linears; id++)
        if (c->map[id].n_rows > 0) return true;
    return false;
}

/* Tensor number n of the file, a map's squares or carries: its name and shape. */
static void describe(const bamba_calibration *c, int id, bool is_carry, char *name, size_t size,
                     bb_tensor *t)
{
    const bb_linear_name *l = &c->engine->model->graph->linear[id];

    snprintf(name, size, "%s%s", l->name, is_carry ? BB_CARRY_ENDING : "");
    *t = (bb_tensor){ .name = name, .dtype = BB_TYPE_F32, .n_dims = is_carry ? 3 : 1 };
    t->dim[0] = is_carry ? count_blocks(l->cols) : (size_t)l->cols;
    t->dim[1] = t->dim[2] = BB_CARRY;
    t->bytes = (is_carry ? t->dim[0] * BB_CARRY * BB_CARRY : t->dim[0]) * sizeof(float);
}

static bb_status put_squares(const seen *s, int cols, const bb_safetensors_writer *w, size_t index,
                             bamba_error *err)
{
    for (int i = 0; i < cols; i += BB_CARRY) {
        float     mean[BB_CARRY];
        const int n = cols - i < BB_CARRY ? cols - i : BB_CARRY;
        for (int j = 0; j < n; j++)
            mean[j] = s->n_rows == 0 ? 1.0f : (float)((double)s->square[i + j] / (double)s->n_rows);
        const bb_status status = bb_safetensors_put(w, index, (uint64_t)i * sizeof(float), mean,
                                                    (size_t)n * sizeof(float), err);
        if (status != BAMBA_OK) return status;
    }
    return BAMBA_OK;
}

static bb_status put_carries(const seen *s, int cols, void *room, const bb_safetensors_writer *w,
                             size_t index, bamba_error *err)
{
    enum { ELEMENTS = BB_CARRY * BB_CARRY };
    double (*m)[BB_CARRY] = room;
    float   *carry = (float *)(void *)(m + BB_CARRY);

    for (size_t i = 0; i < count_blocks(cols); i++) {
        const int left = cols - (int)i * BB_CARRY;
        make_carries(left < BB_CARRY ? left : BB_CARRY, s->product + i * ELEMENTS, m, carry);
        const bb_status status = bb_safetensors_put(w, index, i * ELEMENTS * sizeof(float), carry,
                                                    ELEMENTS * sizeof(float), err);
        if (status != BAMBA_OK) return status;
    }
    return BAMBA_OK;
}

static bb_status write_file(const bamba_calibration *c, const char *path, bb_tensor *tensor,
                            char (*name)[3 * BB_MAX_NAME], void *room, bamba_error *err)
{
    const bb_graph        *g = c->engine->model->graph;
    bb_safetensors_writer *w = NULL;
    bb_status              status = BAMBA_OK;
    size_t                 n = 0;

    if (!is_any_seen(c))
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "calibration: nothing has been fed");
    for (int id = 0; id < g->n_linears; id++)
        for (int is_carry = 0; seen_by(c, id) && is_carry <= c->has_products; is_carry++, n++)
            describe(c, id, is_carry, name[n], sizeof name[n], &tensor[n]);
    BB_TRY(bb_safetensors_create(&w, &c->alloc, path, tensor, n, err));
    n = 0;
    for (int id = 0; id < g->n_linears; id++) {
        const seen *s = seen_by(c, id);
        if (s) BB_TRY(put_squares(s, g->linear[id].cols, w, n++, err));
        if (s && c->has_products) BB_TRY(put_carries(s, g->linear[id].cols, room, w, n++, err));
    }
    BB_TRY(bb_safetensors_finish(w, err));
done:
    bb_safetensors_free(w);
    return status;
}

bamba_status bamba_calibration_save(const bamba_calibration *c, const char *path, bamba_error *err)
{
    if (!c || !path)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "calibration: %s is NULL",
                       c ? "path" : "calibration");

    const size_t n = 2 * (size_t)c->engine->model->graph->n_linears;
    bb_tensor   *tensor = bb_new(&c->alloc, n, sizeof *tensor);
    char       (*name)[3 * BB_MAX_NAME] = bb_new(&c->alloc, n, sizeof *name);
    void        *room = bb_allocate(&c->alloc, BB_CARRY * BB_CARRY, sizeof(double) + sizeof(float));
    const bb_status status = tensor && name && room
                           ? write_file(c, path, tensor, name, room, err)
                           : bb_fail(err, BAMBA_ERR_MEMORY, "calibration: out of memory");
    bb_release(&c->alloc, tensor);
    bb_release(&c->alloc, name);
    bb_release(&c->alloc, room);
    return status;
}
