/* quantized.c - a matrix as compressed-tensors and transformers' fp8 store it: codes and scales. */
#include "graph/quantized.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { DEFAULT_BLOCK = 128 };             /* rows and columns that share a scale by default */

const char *const bb_part_name[BB_N_PARTS] = {
    "weight", "weight_packed", "weight_scale", "weight_scale_inv", "weight_zero_point",
    "weight_shape", "weight_g_idx", "weight_global_scale",
    "input_scale", "input_zero_point", "input_global_scale", "output_scale", "output_zero_point",
    "activation_scale",
};

static int divide_up(int a, int b) { return (a + b - 1) / b; }

bool bb_is_quantized(const bb_parts part)
{
    for (int i = BB_PART_PACKED; i < BB_PART_NEEDED; i++)
        if (part[i]) return true;
    return part[BB_PART_WEIGHT] && (part[BB_PART_WEIGHT]->dtype == BB_TYPE_F8_E4M3
                                    || part[BB_PART_WEIGHT]->dtype == BB_TYPE_I8);
}

bool bb_is_quantized_extra(const char *name)
{
    static const char *const end[] = { ".q_scale", ".k_scale", ".v_scale", ".q_zero_point",
                                       ".k_zero_point", ".v_zero_point" };
    const size_t n = strlen(name);

    for (size_t i = 0; i < sizeof end / sizeof end[0]; i++)
        if (n > strlen(end[i]) && strcmp(name + n - strlen(end[i]), end[i]) == 0) return true;
    return false;
}

/* -------------------------------------------------------------- reporting ---------------- */

static bb_status fail_shape(const bb_tensor *t, bb_type type, int n_dims, const size_t *dim,
                            bamba_error *err)
{
    return bb_fail(err, BAMBA_ERR_FORMAT, "%s: '%.*s': expected %s, found %s", t->file,
                   bb_name_width(t->name), t->name, bb_shape_show(type, n_dims, dim).s,
                   bb_shape_show(t->dtype, t->n_dims, t->dim).s);
}

static bb_status fail_at(const bb_tensor *t, bb_status code, const char *message, bamba_error *err)
{
    return bb_fail(err, code, "%s: '%.*s': %s", t->file, bb_name_width(t->name), t->name, message);
}

static bb_status fail_missing(const char *name, const char *part, const bb_tensor *beside,
                              bamba_error *err)
{
    return bb_fail(err, BAMBA_ERR_FORMAT, "'%s.%s': expected this tensor beside '%.*s', the "
                   "checkpoint does not have it", name, part, bb_name_width(beside->name),
                   beside->name);
}

/* -------------------------------------------------------------- codes -------------------- */

static bb_status expect_dims(const bb_tensor *t, bb_type type, size_t rows, size_t cols,
                             bamba_error *err)
{
    const size_t want[] = { rows, cols };

    if (t->dtype == type && t->n_dims == 2 && t->dim[0] == rows && t->dim[1] == cols)
        return BAMBA_OK;
    return fail_shape(t, type, 2, want, err);
}

/* Elements of a tensor of whole numbers: I64 or I32. */
static int64_t read_int(const bb_tensor *t, size_t i)
{
    int64_t wide;
    int32_t narrow;

    if (t->dtype == BB_TYPE_I64) return memcpy(&wide, t->data + i * sizeof wide, sizeof wide), wide;
    memcpy(&narrow, t->data + i * sizeof narrow, sizeof narrow);
    return narrow;
}

static bb_status check_shape(const bb_tensor *t, int rows, int cols, bamba_error *err)
{
    const size_t two = 2;

    if ((t->dtype != BB_TYPE_I64 && t->dtype != BB_TYPE_I32) || t->n_dims != 1 || t->dim[0] != two)
        return fail_shape(t, BB_TYPE_I64, 1, &two, err);
    if (read_int(t, 0) == rows && read_int(t, 1) == cols) return BAMBA_OK;
    return bb_fail(err, BAMBA_ERR_FORMAT, "%s: '%.*s': expected %d, %d, found %lld, %lld", t->file,
                   bb_name_width(t->name), t->name, rows, cols, (long long)read_int(t, 0),
                   (long long)read_int(t, 1));
}

/* Words of 32 bits that n codes take. */
static size_t count_words(int n, int bits) { return ((size_t)n * (size_t)bits + 31) / 32; }

static bb_status read_packed(bb_quantized *q, const bb_parts part, const char *name, int rows,
                             int cols, const bb_scheme *scheme, bamba_error *err)
{
    const bb_tensor *t = part[BB_PART_PACKED];
    bb_status        status = BAMBA_OK;

    if (part[BB_PART_WEIGHT])
        return fail_at(t, BAMBA_ERR_FORMAT, "expected either this tensor or one named "
                       "'weight', found both", err);
    if (t->dtype == BB_TYPE_U8)
        return fail_at(t, BAMBA_ERR_UNSUPPORTED, "expected I32, found U8: nvfp4 and mxfp4 are "
                       "not read", err);
    q->bits = scheme && scheme->bits ? scheme->bits
            : t->n_dims == 2 && t->dim[1] == count_words(cols, 8) ? 8 : 4;
    BB_TRY(expect_dims(t, BB_TYPE_I32, (size_t)rows, count_words(cols, q->bits), err));
    if (!part[BB_PART_SHAPE]) return fail_missing(name, "weight_shape", t, err);
    BB_TRY(check_shape(part[BB_PART_SHAPE], rows, cols, err));
    q->format = q->bits == 8 ? BB_FORMAT_I8_SCALED : BB_FORMAT_I4_SCALED;
    q->layout.codes = t->data;
    q->layout.row_bytes = count_words(cols, q->bits) * 4;
    q->layout.flip = q->bits == 8 ? 0x80 : 0;
done:
    return status;
}

static bb_status read_bytes(bb_quantized *q, const bb_parts part, const char *name, int rows,
                            int cols, bamba_error *err)
{
    const bb_tensor *t = part[BB_PART_WEIGHT];
    bb_status        status = BAMBA_OK;

    if (!t)
        return bb_fail(err, BAMBA_ERR_FORMAT, "'%s.weight': expected this tensor, the "
                       "checkpoint does not have it", name);
    if (t->dtype != BB_TYPE_F8_E4M3 && t->dtype != BB_TYPE_I8)
        return bb_fail(err, BAMBA_ERR_UNSUPPORTED, "%s: '%.*s': expected F8_E4M3 or I8 beside "
                       "scales, found %s", t->file, bb_name_width(t->name), t->name,
                       bb_type_name(t->dtype));
    BB_TRY(expect_dims(t, t->dtype, (size_t)rows, (size_t)cols, err));
    q->bits = 8;
    q->format = t->dtype == BB_TYPE_I8 ? BB_FORMAT_I8_SCALED : BB_FORMAT_F8_SCALED;
    q->layout.codes = t->data;
    q->layout.row_bytes = (size_t)cols;
done:
    return status;
}

/* -------------------------------------------------------------- scales ------------------- */

/* Scales one below the other and side by side that a scheme asks for. */
typedef struct grid { size_t down, across; } grid;

static grid grid_of(const bb_scheme *s, int rows, int cols)
{
    const int block_rows = s->block_rows > 0 ? s->block_rows : DEFAULT_BLOCK;
    const int block_cols = s->block_cols > 0 ? s->block_cols : DEFAULT_BLOCK;

    switch (s->strategy) {
    case BB_STRATEGY_CHANNEL: return (grid){ (size_t)rows, 1 };
    case BB_STRATEGY_GROUP:   return (grid){ (size_t)rows, (size_t)divide_up(cols, s->group) };
    case BB_STRATEGY_BLOCK:   return (grid){ (size_t)divide_up(rows, block_rows),
                                             (size_t)divide_up(cols, block_cols) };
    default:                  return (grid){ 1, 1 };
    }
}

static bool is_grid(grid a, grid b) { return a.down == b.down && a.across == b.across; }

/* Whether the grid found is one that an unknown scheme may have. */
static bool is_known(const bb_scheme *s, grid found, int rows, int cols)
{
    bb_scheme blocks = *s;

    blocks.strategy = BB_STRATEGY_BLOCK;
    return is_grid(found, (grid){ 1, 1 }) || is_grid(found, grid_of(&blocks, rows, cols))
        || (found.down == (size_t)rows && found.across > 0 && found.across <= (size_t)cols
            && (size_t)cols % found.across == 0);
}

static bb_status read_grid(bb_quantized *q, const bb_scheme *s, int rows, int cols, grid found,
                           bamba_error *err)
{
    const bb_tensor *t = q->scale;
    const grid       want = grid_of(s, rows, cols);
    const size_t     dim[] = { want.down, want.across };
    bb_scaled       *l = &q->layout;

    if (s->strategy != BB_STRATEGY_ANY && !is_grid(found, want))
        return fail_shape(t, t->dtype, 2, dim, err);
    if (!is_known(s, found, rows, cols))
        return bb_fail(err, BAMBA_ERR_FORMAT, "%s: '%.*s': expected a scale for %d x %d "
                       "weights, for each row, group of columns or block, found %s", t->file,
                       bb_name_width(t->name), t->name, rows, cols,
                       bb_shape_show(t->dtype, t->n_dims, t->dim).s);
    const bool by_rows = found.down == (size_t)rows;
    l->block_rows = found.down == 1 ? rows : by_rows ? 1
                  : s->block_rows ? s->block_rows : DEFAULT_BLOCK;
    l->block_cols = found.across == 1 ? cols : by_rows ? cols / (int)found.across
                  : s->block_cols ? s->block_cols : DEFAULT_BLOCK;
    l->blocks_across = (int)found.across;
    q->n_scales = found.down * found.across;
    if (by_rows && found.across > 1 && (size_t)cols % found.across != 0)
        return fail_at(t, BAMBA_ERR_FORMAT, "columns are no whole number of groups", err);
    if (q->bits == 4 && found.across > 1 && l->block_cols % 8 != 0)
        return fail_at(t, BAMBA_ERR_UNSUPPORTED, "expected groups of a multiple of 8 columns", err);
    return BAMBA_OK;
}

static bb_status read_scale(bb_quantized *q, const bb_parts part, const char *name, int rows,
                            int cols, const bb_scheme *s, bamba_error *err)
{
    const bb_tensor *codes = part[part[BB_PART_PACKED] ? BB_PART_PACKED : BB_PART_WEIGHT];
    const bb_tensor *t = part[BB_PART_SCALE] ? part[BB_PART_SCALE] : part[BB_PART_SCALE_INV];

    if (!t) return fail_missing(name, "weight_scale", codes, err);
    if (part[BB_PART_SCALE] && part[BB_PART_SCALE_INV])
        return fail_at(t, BAMBA_ERR_FORMAT, "expected one tensor of scales, found "
                       "'weight_scale_inv' too", err);
    if (t->dtype >= BB_N_FLOATS && t->dtype != BB_TYPE_F8_E8M0)
        return bb_fail(err, BAMBA_ERR_UNSUPPORTED, "%s: '%.*s': expected F32, BF16, F16 or "
                       "F8_E8M0, found %s", t->file, bb_name_width(t->name), t->name,
                       bb_type_name(t->dtype));
    q->scale = t;
    if (t->n_dims > 2)
        return bb_fail(err, BAMBA_ERR_FORMAT, "%s: '%.*s': expected at most 2 dimensions, found %s",
                       t->file, bb_name_width(t->name), t->name,
                       bb_shape_show(t->dtype, t->n_dims, t->dim).s);
    const grid found = { t->n_dims > 0 ? t->dim[0] : 1, t->n_dims > 1 ? t->dim[1] : 1 };
    return read_grid(q, s, rows, cols, found, err);
}

/* -------------------------------------------------------------- zeros -------------------- */

/* Zeros of packed codes are packed too, one column of them after the other. */
static bool is_packed_zero(const bb_quantized *q)
{
    return q->zero->dtype == BB_TYPE_I32;
}

static bb_status read_zero(bb_quantized *q, const bb_parts part, const char *name,
                           const bb_scheme *s, bamba_error *err)
{
    const bb_tensor *t = part[BB_PART_ZERO];
    const size_t     across = (size_t)q->layout.blocks_across, down = q->n_scales / across;

    if (!t && s->has_zero)
        return fail_missing(name, "weight_zero_point", q->scale, err);
    if (!t) return BAMBA_OK;
    if (q->format == BB_FORMAT_F8_SCALED)
        return fail_at(t, BAMBA_ERR_UNSUPPORTED, "zeros beside F8_E4M3 are not read", err);
    q->zero = t;
    if (is_packed_zero(q) && part[BB_PART_PACKED])
        return expect_dims(t, BB_TYPE_I32, count_words((int)down, q->bits), across, err);
    if (t->dtype == BB_TYPE_I8 && t->n_elements == q->n_scales
        && (t->n_dims < 2 || (t->n_dims == 2 && t->dim[1] == across)))
        return BAMBA_OK;
    return fail_shape(t, BB_TYPE_I8, 2, (const size_t[]){ down, across }, err);
}

/* -------------------------------------------------------------- a module ----------------- */

static bb_status check_scheme(const bb_quantized *q, const bb_tensor *codes, const bb_scheme *s,
                              bamba_error *err)
{
    const bool is_float = q->format == BB_FORMAT_F8_SCALED;

    if (s->bits == 0 || (s->bits == q->bits && s->is_float == is_float)) return BAMBA_OK;
    return bb_fail(err, BAMBA_ERR_FORMAT, "%s: '%.*s': expected %d bits of type '%s' as "
                   "config.json says, found %s", codes->file, bb_name_width(codes->name),
                   codes->name, s->bits, s->is_float ? "float" : "int",
                   bb_shape_show(codes->dtype, codes->n_dims, codes->dim).s);
}

bb_status bb_quantized_read(bb_quantized *q, const bb_parts part, const char *name, int rows,
                            int cols, const bb_scheme *scheme, bamba_error *err)
{
    static const bb_scheme unknown = { BB_STRATEGY_ANY, 0, false, false, 0, 0, 0 };
    const bb_scheme *s = scheme ? scheme : &unknown;
    bb_status        status = BAMBA_OK;

    *q = (bb_quantized){ 0 };
    if (part[BB_PART_INDEX])
        return fail_at(part[BB_PART_INDEX], BAMBA_ERR_UNSUPPORTED, "groups of columns in the "
                       "order of activations (actorder 'group') are not read", err);
    if (part[BB_PART_GLOBAL])
        return fail_at(part[BB_PART_GLOBAL], BAMBA_ERR_UNSUPPORTED, "scales of scales (nvfp4) "
                       "are not read", err);
    if (part[BB_PART_PACKED]) BB_TRY(read_packed(q, part, name, rows, cols, s, err));
    else BB_TRY(read_bytes(q, part, name, rows, cols, err));
    BB_TRY(check_scheme(q, part[part[BB_PART_PACKED] ? BB_PART_PACKED : BB_PART_WEIGHT], s, err));
    BB_TRY(read_scale(q, part, name, rows, cols, s, err));
    BB_TRY(read_zero(q, part, name, s, err));
done:
    return status;
}

bool bb_quantized_is_plain(const bb_quantized *q, int *format)
{
    *format = q->format == BB_FORMAT_F8_SCALED ? BB_FORMAT_F8 : BB_FORMAT_I8;
    return q->format != BB_FORMAT_I4_SCALED && q->layout.flip == 0 && !q->zero
        && q->layout.blocks_across == 1;
}

/* -------------------------------------------------------------- numbers ------------------ */

static float read_scale_at(const bb_tensor *t, const bb_kernels *k, size_t i)
{
    uint16_t half;
    float    value;

    if (t->dtype == BB_TYPE_F8_E8M0)      /* a power of two; all bits: NaN */
        return t->data[i] == 0xFF ? NAN : ldexpf(1.0f, (int)t->data[i] - 127);
    if (t->dtype == BB_TYPE_F32)
        return memcpy(&value, t->data + i * sizeof value, sizeof value), value;
    memcpy(&half, t->data + i * sizeof half, sizeof half);
    k->widen[t->dtype](1, &half, &value);
    return value;
}

/* Zero number i, counted row by row. */
static float read_zero_at(const bb_quantized *q, size_t i)
{
    const size_t across = (size_t)q->layout.blocks_across;
    const size_t bit = i / across * (size_t)q->bits;
    const int    offset = 1 << (q->bits - 1);
    uint32_t     word;

    if (!is_packed_zero(q)) return (float)(int8_t)q->zero->data[i];
    memcpy(&word, q->zero->data + (bit / 32 * across + i % across) * sizeof word, sizeof word);
    return (float)((int)(word >> (bit % 32) & (2u * (unsigned)offset - 1)) - offset);
}

bb_status bb_quantized_scales(const bb_quantized *q, const bb_kernels *k, float *scale, float *zero,
                              bamba_error *err)
{
    const bb_tensor *t = q->scale;

    for (size_t i = 0; i < q->n_scales; i++) {
        scale[i] = read_scale_at(t, k, i);
        if (!isfinite(scale[i]))
            return bb_fail(err, BAMBA_ERR_FORMAT, "%s: '%.*s': expected finite numbers, "
                           "found %g at element %zu", t->file, bb_name_width(t->name), t->name,
                           (double)scale[i], i);
        if (q->zero) zero[i] = read_zero_at(q, i);
    }
    return BAMBA_OK;
}
