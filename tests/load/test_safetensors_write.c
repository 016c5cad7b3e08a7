/* What is written can be read: every type, names that need escapes, each tensor at an aligned place. */
#include "load/safetensors_write.h"

#include "load/safetensors.h"
#include "support/fault.h"
#include "support/tempdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bb_tensor declare(const char *name, bb_type dtype, int n_dims, size_t d0, size_t d1)
{
    return (bb_tensor){ .name = name, .dtype = dtype, .n_dims = n_dims, .dim = { d0, d1 } };
}

/* Byte i of tensor t. */
static unsigned char value(size_t t, size_t i) { return (unsigned char)(i * 31 + t * 7 + 1); }

static void put(bb_safetensors_writer *w, size_t t, size_t n)
{
    unsigned char bytes[4096];

    assert_true(n <= sizeof bytes);
    for (size_t i = 0; i < n; i++) bytes[i] = value(t, i);
    for (size_t i = n; i-- > 0;)          /* from behind, in pieces */
        if (i % 100 == 0)
            assert_int_equal(bb_safetensors_put(w, t, i, bytes + i, n - i < 100 ? n - i : 100, NULL),
                             BAMBA_OK);
}

static void test_round_trip(void **state)
{
    static const size_t bytes[] = { 4, 0, 1280, 6, 2, 3, 576, 12, 64 };
    const bb_tensor tensor[] = {
        declare("scalar", BB_TYPE_F32, 0, 0, 0), declare("empty", BB_TYPE_F64, 2, 7, 0),
        declare("w\"\\\n\xC3\xA9", BB_TYPE_F32, 2, 32, 10), declare("h", BB_TYPE_BF16, 2, 3, 1),
        declare("a", BB_TYPE_F16, 1, 1, 0), declare("u", BB_TYPE_U8, 1, 3, 0),
        declare("x_q4", BB_TYPE_U8, 2, 1, 576), declare("z", BB_TYPE_F4, 2, 4, 6),
        declare("", BB_TYPE_I64, 1, 8, 0),
    };
    enum { N = sizeof tensor / sizeof *tensor };
    char                  *path = tempdir_path(tempdir, "x.safetensors");
    fault                  f = { 0 };
    const bb_allocator     a = fault_allocator(&f);
    bb_safetensors_writer *w;
    bb_container          *file;
    bamba_error            err;

    (void)state;
    if (bb_safetensors_create(&w, &a, path, tensor, N, &err) != BAMBA_OK) fail_msg("%s", err.message);
    for (size_t i = 0; i < N; i++) put(w, i, bytes[i]);
    assert_int_equal(bb_safetensors_finish(w, &err), BAMBA_OK);
    bb_safetensors_free(w);
    if (bb_safetensors_open(&file, &a, path, &err) != BAMBA_OK) fail_msg("%s", err.message);
    assert_int_equal(file->n, N);
    for (size_t i = 0; i < N; i++) {
        const bb_tensor *t = bb_tensors_find(file->tensor, file->n, tensor[i].name);
        assert_non_null(t);
        assert_int_equal(t->dtype, tensor[i].dtype);
        assert_int_equal(t->n_dims, tensor[i].n_dims);
        assert_memory_equal(t->dim, tensor[i].dim, (size_t)t->n_dims * sizeof *t->dim);
        assert_int_equal(t->bytes, bytes[i]);
        const size_t align = t->bytes % 64 == 0 ? 64 : t->bytes & (~t->bytes + 1);
        assert_int_equal((uintptr_t)t->data % align, 0);
        for (size_t k = 0; k < t->bytes; k++) assert_int_equal(t->data[k], value(i, k));
    }
    bb_container_close(file);
    assert_int_equal(f.n_live, 0);
    free(path);
}

static void test_nothing(void **state)
{
    char                  *path = tempdir_path(tempdir, "x.safetensors");
    fault                  f = { 0 };
    const bb_allocator     a = fault_allocator(&f);
    bb_safetensors_writer *w;
    bb_container          *file;

    (void)state;
    assert_int_equal(bb_safetensors_create(&w, &a, path, NULL, 0, NULL), BAMBA_OK);
    assert_int_equal(bb_safetensors_finish(w, NULL), BAMBA_OK);
    bb_safetensors_free(w);
    bb_safetensors_free(NULL);
    assert_int_equal(bb_safetensors_open(&file, &a, path, NULL), BAMBA_OK);
    assert_int_equal(file->n, 0);
    bb_container_close(file);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_nothing, tempdir_enter, tempdir_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
