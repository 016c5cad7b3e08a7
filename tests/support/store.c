/* store.c - a list of tensors that tests build, change and write as safetensors files. */
#include "support/store.h"

#include "support/tempdir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *p)
{
    if (p) return p;
    fprintf(stderr, "store: out of memory\n");
    abort();
}

static uint32_t float_bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

uint16_t store_bf16(float x)
{
    const uint32_t u = float_bits(x);
    return (uint16_t)((u + 0x7FFF + (u >> 16 & 1)) >> 16);
}

uint16_t store_f16(float x)
{
    const uint32_t u = float_bits(x);
    const uint16_t sign = (uint16_t)(u >> 16 & 0x8000);
    const int      exponent = (int)(u >> 23 & 0xFF) - 127;
    const uint32_t mantissa = (u & 0x7FFFFF) | 0x800000;

    if (exponent == 128 && (u & 0x7FFFFF)) return sign | 0x7E00;         /* NaN */
    if (exponent > 15) return sign | 0x7C00;
    if (exponent < -25) return sign;
    /* Units of the last place kept: 2^-10 of the exponent, or 2^-24 below the normal range. */
    const int      cut = exponent < -14 ? -1 - exponent : 13;
    const uint32_t kept = mantissa >> cut;
    const uint32_t rest = mantissa & ((UINT32_C(1) << cut) - 1);
    const uint32_t half = UINT32_C(1) << (cut - 1);
    const uint32_t rounded = kept + (rest > half || (rest == half && (kept & 1)));
    const uint32_t base = exponent < -14 ? 0 : (uint32_t)(exponent + 14) << 10;
    return (uint16_t)(sign | (base + rounded));
}

static size_t elem_bytes(const char *dtype)
{
    return strcmp(dtype, "F32") == 0 ? 4 : strcmp(dtype, "F64") == 0 ? 8
         : strcmp(dtype, "U8") == 0 || strcmp(dtype, "I8") == 0
         || strncmp(dtype, "F8", 2) == 0 ? 1 : 2;
}

static size_t count(int n_dims, const size_t *dim)
{
    size_t n = 1;
    for (int i = 0; i < n_dims; i++) n *= dim[i];
    return n;
}

void store_add(store *s, const char *name, const char *dtype, int n_dims, const size_t *dim,
               const float *values)
{
    if (s->n == s->capacity) {
        s->capacity = s->capacity ? 2 * s->capacity : 64;
        s->tensor = must(realloc(s->tensor, s->capacity * sizeof *s->tensor));
    }
    store_tensor *t = &s->tensor[s->n++];
    const size_t  n = count(n_dims, dim);

    memset(t, 0, sizeof *t);
    snprintf(t->name, sizeof t->name, "%s", name);
    snprintf(t->dtype, sizeof t->dtype, "%s", dtype);
    t->n_dims = n_dims;
    memcpy(t->dim, dim, (size_t)n_dims * sizeof *dim);
    t->bytes = n * elem_bytes(dtype);
    t->data = must(malloc(t->bytes + 1));
    for (size_t i = 0; i < n; i++) {
        const uint16_t half = dtype[0] == 'B' ? store_bf16(values[i]) : store_f16(values[i]);
        if (elem_bytes(dtype) == 4) memcpy(t->data + 4 * i, &values[i], 4);
        else memcpy(t->data + 2 * i, &half, 2);
    }
}

void store_add_random(store *s, const char *name, int n_dims, const size_t *dim, float scale)
{
    size_t   n = 1;
    uint32_t seed = (uint32_t)s->n + 1;

    for (int i = 0; i < n_dims; i++) n *= dim[i];
    float *values = malloc(n * sizeof *values);
    if (!values) abort();
    for (size_t i = 0; i < n; i++) {      /* a linear congruential generator's upper 24 bits */
        seed = seed * 1664525u + 1013904223u;
        values[i] = scale * ((float)(seed >> 8) / 8388608.0f - 1.0f);
    }
    store_add(s, name, "F32", n_dims, dim, values);
    free(values);
}

store_tensor *store_find(store *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->tensor[i].name, name) == 0) return &s->tensor[i];
    return NULL;
}

void store_drop(store *s, const char *name)
{
    store_tensor *t = store_find(s, name);

    if (!t) {
        fprintf(stderr, "store: no tensor %s\n", name);
        abort();
    }
    free(t->data);
    s->n--;
    memmove(t, t + 1, (size_t)(s->tensor + s->n - t) * sizeof *t);
}

void store_free(store *s)
{
    for (size_t i = 0; i < s->n; i++) free(s->tensor[i].data);
    free(s->tensor);
    *s = (store){ NULL, 0, 0 };
}

void store_reshape(store_tensor *t, const char *dtype, int n_dims, const size_t *dim)
{
    const size_t bytes = count(n_dims, dim) * elem_bytes(dtype);

    t->data = must(realloc(t->data, bytes + 1));
    if (bytes > t->bytes) memset(t->data + t->bytes, 0, bytes - t->bytes);
    t->bytes = bytes;
    snprintf(t->dtype, sizeof t->dtype, "%s", dtype);
    t->n_dims = n_dims;
    memmove(t->dim, dim, (size_t)n_dims * sizeof *dim);
}

void store_write_raw(const char *dir, const char *name, const char *header, const void *data,
                     size_t n_data)
{
    const size_t   n = strlen(header);
    unsigned char *file = must(malloc(8 + n + n_data));

    for (int i = 0; i < 8; i++) file[i] = (unsigned char)((uint64_t)n >> 8 * i);
    memcpy(file + 8, header, n);
    if (n_data) memcpy(file + 8 + n, data, n_data);
    tempdir_write(dir, name, file, 8 + n + n_data);
    free(file);
}

void store_write(const store *s, size_t first, size_t last, const char *dir, const char *name)
{
    const size_t   room = 64 + (last - first) * 512;
    char          *header = must(malloc(room));
    size_t         n = (size_t)snprintf(header, room, "{\"__metadata__\":{\"format\":\"pt\"}");
    size_t         n_data = 0;
    unsigned char *data;

    for (size_t i = first; i < last; i++) {
        const store_tensor *t = &s->tensor[i];
        n += (size_t)snprintf(header + n, room - n, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[",
                              t->name, t->dtype);
        for (int d = 0; d < t->n_dims; d++)
            n += (size_t)snprintf(header + n, room - n, "%s%zu", d ? "," : "", t->dim[d]);
        n += (size_t)snprintf(header + n, room - n, "],\"data_offsets\":[%zu,%zu]}", n_data,
                              n_data + t->bytes);
        n_data += t->bytes;
    }
    n += (size_t)snprintf(header + n, room - n, "}");
    while (n % 8) header[n++] = ' ';
    header[n] = '\0';

    data = must(malloc(n_data + 1));
    n_data = 0;
    for (size_t i = first; i < last; i++) {
        memcpy(data + n_data, s->tensor[i].data, s->tensor[i].bytes);
        n_data += s->tensor[i].bytes;
    }
    store_write_raw(dir, name, header, data, n_data);
    free(header);
    free(data);
}
