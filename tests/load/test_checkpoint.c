/* One file or many: the same tensors; a bad index is refused with its culprit named. */
#include "load/checkpoint.h"

#include "support/fault.h"
#include "support/tempdir.h"
#include "support/tiny.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char INDEX[] = "model.safetensors.index.json";

static void expect_refused(bb_status code, const char *words, const char *more, const char *what)
{
    fault              f = { 0 };
    const bb_allocator a = fault_allocator(&f);
    bb_checkpoint     *c = NULL;
    bamba_error        err = { BAMBA_OK, "" };
    const bb_status    status = bb_checkpoint_open(&c, &a, tempdir, &err);

    if (status != code)
        fail_msg("%s: status %d, expected %d: %s", what, status, code, err.message);
    if (!strstr(err.message, words) || !strstr(err.message, more))
        fail_msg("%s: '%s', '%s' not in '%s'", what, words, more, err.message);
    assert_null(c);
    assert_int_equal(f.n_live, 0);
}

static bb_checkpoint *expect_open(const bb_allocator *a)
{
    bb_checkpoint *c = NULL;
    bamba_error    err;

    if (bb_checkpoint_open(&c, a, tempdir, &err) != BAMBA_OK) fail_msg("%s", err.message);
    assert_non_null(c);
    return c;
}

/* -------------------------------------------------------------- good --------------------- */

static void check_same_tensors(const store *s, int n_shards)
{
    fault              f = { 0 };
    const bb_allocator a = fault_allocator(&f);
    bb_checkpoint     *c = expect_open(&a);
    uint64_t           bytes = 0;

    for (size_t i = 0; i < s->n; i++) {
        const bb_tensor *t = bb_checkpoint_find(c, s->tensor[i].name);
        assert_non_null(t);
        assert_string_equal(t->name, s->tensor[i].name);
        assert_string_equal(bb_type_name(t->dtype), s->tensor[i].dtype);
        assert_int_equal(t->n_dims, s->tensor[i].n_dims);
        for (int k = 0; k < t->n_dims; k++) assert_int_equal(t->dim[k], s->tensor[i].dim[k]);
        assert_int_equal(t->bytes, s->tensor[i].bytes);
        assert_memory_equal(t->data, s->tensor[i].data, t->bytes);
        if (n_shards == 0) assert_string_equal(t->file, "model.safetensors");
        else assert_memory_equal(t->file, "model-000", 9);
        bytes += t->bytes;
    }
    assert_true(bb_checkpoint_bytes(c) == bytes);
    assert_null(bb_checkpoint_find(c, "nothing"));
    bb_checkpoint_close(c);
    assert_int_equal(f.n_live, 0);
}

static void test_single_and_sharded(void **state)
{
    static const int shards[] = { 0, 1, 2, 3, 7, 30 };
    tiny_dims        d = TINY_DIMS;
    store            s = { NULL, 0, 0 };

    (void)state;
    d.proj_bias = true;
    d.dtype = "BF16";
    tiny_tensors(&d, &s);
    assert_true(s.n > 30);
    for (size_t i = 0; i < sizeof shards / sizeof shards[0]; i++) {
        tempdir_empty(tempdir);
        tiny_write_tensors(&s, shards[i], tempdir);
        check_same_tensors(&s, shards[i]);
    }
    store_free(&s);
}

static void test_take(void **state)
{
    static const char *const names[] = { "d", "b", "a", "c" };
    const float        v[1] = { 1 };
    fault              f = { 0 };
    const bb_allocator a = fault_allocator(&f);
    store              s = { NULL, 0, 0 };

    (void)state;
    for (int i = 0; i < 4; i++) store_add(&s, names[i], "F32", 1, (const size_t[]){ 1 }, v);
    tiny_write_tensors(&s, 2, tempdir);
    store_free(&s);
    bb_checkpoint *c = expect_open(&a);

    const bb_tensor *t = NULL;
    for (char name = 'a'; name <= 'd'; name++) {                 /* the order of names */
        t = bb_checkpoint_untaken(c, t);
        assert_non_null(t);
        assert_true(t->name[0] == name && t->name[1] == '\0');
    }
    assert_null(bb_checkpoint_untaken(c, t));

    assert_non_null(bb_checkpoint_take(c, "a"));
    assert_non_null(bb_checkpoint_take(c, "c"));
    assert_non_null(bb_checkpoint_take(c, "c"));                 /* twice is allowed */
    assert_null(bb_checkpoint_take(c, "e"));
    assert_non_null(bb_checkpoint_find(c, "b"));                 /* finding is not taking */
    t = bb_checkpoint_untaken(c, NULL);
    assert_string_equal(t->name, "b");
    t = bb_checkpoint_untaken(c, t);
    assert_string_equal(t->name, "d");
    assert_null(bb_checkpoint_untaken(c, t));
    bb_checkpoint_take(c, "b");
    bb_checkpoint_take(c, "d");
    assert_null(bb_checkpoint_untaken(c, NULL));
    bb_checkpoint_close(c);
    bb_checkpoint_close(NULL);
    assert_int_equal(f.n_live, 0);
}

static void test_empty(void **state)
{
    fault              f = { 0 };
    const bb_allocator a = fault_allocator(&f);

    (void)state;
    store_write_raw(tempdir, "model.safetensors", "{}", NULL, 0);
    bb_checkpoint *c = expect_open(&a);
    assert_null(bb_checkpoint_untaken(c, NULL));
    assert_null(bb_checkpoint_take(c, "x"));
    assert_true(bb_checkpoint_bytes(c) == 0);
    bb_checkpoint_close(c);
    assert_int_equal(f.n_live, 0);
}

/* One tensor of that name with this value, in a file of its own. */
static void write_one(const char *file, const char *name, float value)
{
    store s = { NULL, 0, 0 };

    store_add(&s, name, "F32", 1, (const size_t[]){ 1 }, &value);
    store_write(&s, 0, 1, tempdir, file);
    store_free(&s);
}

static float value_of(const bb_checkpoint *c, const char *name)
{
    const bb_tensor *t = bb_checkpoint_find(c, name);
    float            v;

    assert_non_null(t);
    memcpy(&v, t->data, sizeof v);
    return v;
}

static void test_single_wins_over_index(void **state)
{
    fault              f = { 0 };
    const bb_allocator a = fault_allocator(&f);

    (void)state;
    write_one("model.safetensors", "x", 1);
    tempdir_write_text(tempdir, INDEX, "not looked at");
    bb_checkpoint *c = expect_open(&a);
    assert_true(value_of(c, "x") == 1);
    bb_checkpoint_close(c);
}

/* The map says which shard's copy counts, and what it does not name does not exist. */
static void test_map_decides(void **state)
{
    fault              f = { 0 };
    const bb_allocator a = fault_allocator(&f);
    const float        v[2] = { 10, 20 };
    store              s = { NULL, 0, 0 };

    (void)state;
    store_add(&s, "x", "F32", 1, (const size_t[]){ 1 }, &v[0]);
    store_add(&s, "extra", "F32", 1, (const size_t[]){ 1 }, &v[1]);
    store_add(&s, "y", "F32", 1, (const size_t[]){ 1 }, &v[1]);
    store_write(&s, 0, 3, tempdir, "one.safetensors");
    store_free(&s);
    write_one("two.safetensors", "x", 11);
    tempdir_write_text(tempdir, INDEX, "{\"weight_map\": {\"x\": \"two.safetensors\","
                                   " \"y\": \"one.safetensors\"}}");
    bb_checkpoint *c = expect_open(&a);
    assert_true(value_of(c, "x") == 11);
    assert_true(value_of(c, "y") == 20);
    assert_null(bb_checkpoint_find(c, "extra"));
    assert_true(bb_checkpoint_bytes(c) == 8);
    bb_checkpoint_close(c);
    assert_int_equal(f.n_live, 0);
}

/* metadata is a hint: absent, wrong or strange, the tensors are what counts. */
static void test_total_size_is_ignored(void **state)
{
    static const char *const metadata[] = { "{}", "{\"total_size\": 1}", "{\"total_size\": -1}",
                                            "{\"total_size\": \"x\"}", "null", "[]", "3.5" };
    fault              f = { 0 };
    const bb_allocator a = fault_allocator(&f);
    char               text[200];

    (void)state;
    write_one("one.safetensors", "x", 1);
    for (size_t i = 0; i < sizeof metadata / sizeof metadata[0]; i++) {
        snprintf(text, sizeof text, "{\"metadata\": %s, \"weight_map\": {\"x\": "
                 "\"one.safetensors\"}, \"more\": 1}", metadata[i]);
        tempdir_write_text(tempdir, INDEX, text);
        bb_checkpoint_close(expect_open(&a));
    }
    assert_int_equal(f.n_live, 0);
}

static void test_a_thousand_shards(void **state)
{
    enum { SHARDS = 1500 };
    fault              f = { 0 };
    const bb_allocator a = fault_allocator(&f);
    float             *v = calloc(2 * SHARDS, sizeof *v);
    store              s = { NULL, 0, 0 };

    (void)state;
    for (int i = 0; i < 2 * SHARDS; i++) {
        char name[32];
        snprintf(name, sizeof name, "t%d", i);
        v[i] = (float)i;
        store_add(&s, name, "F32", 1, (const size_t[]){ 1 }, &v[i]);
    }
    tiny_write_tensors(&s, SHARDS, tempdir);
    bb_checkpoint *c = expect_open(&a);
    assert_true(value_of(c, "t0") == 0);
    assert_true(value_of(c, "t1777") == 1777);
    assert_true(value_of(c, "t2999") == 2999);
    bb_checkpoint_close(c);
    store_free(&s);
    free(v);
    assert_int_equal(f.n_live, 0);
}

/* -------------------------------------------------------------- bad ---------------------- */

static void test_nothing_there(void **state)
{
    char *path;

    (void)state;
    expect_refused(BAMBA_ERR_IO, "model.safetensors or model.safetensors.index.json", "neither",
                   "empty directory");

    tempdir_write(tempdir, "bamba-q4.gguf", "x", 1);
    expect_refused(BAMBA_ERR_IO, "bamba-q4.gguf", "GGUF is not read yet", "GGUF");
    tempdir_write(tempdir, "pytorch_model-00001-of-00002.bin", "x", 1);
    expect_refused(BAMBA_ERR_IO, "pytorch_model-00001-of-00002.bin", "only safetensors", "bin");
    tempdir_write(tempdir, "consolidated.safetensors", "x", 1);
    expect_refused(BAMBA_ERR_IO, "consolidated.safetensors", "another name", "other name");
    tempdir_write(tempdir, "model-00001-of-00002.safetensors", "x", 1);
    expect_refused(BAMBA_ERR_IO, "model-00001-of-00002.safetensors", "index is missing",
    "shard");

    path = tempdir_path(tempdir, "model.safetensors");
    assert_int_equal(mkdir(path, 0700), 0);
    expect_refused(BAMBA_ERR_IO, "model.safetensors", "a directory", "a directory as file");
    free(path);
}

static void test_dangling_links(void **state)
{
    char *shard = tempdir_path(tempdir, "one.safetensors");
    char *index = tempdir_path(tempdir, INDEX);
    char *single = tempdir_path(tempdir, "model.safetensors");

    (void)state;
    tempdir_write_text(tempdir, INDEX, "{\"weight_map\": {\"x\": \"one.safetensors\"}}");
    assert_int_equal(symlink("../blobs/1", shard), 0);
    expect_refused(BAMBA_ERR_IO, "one.safetensors", "../blobs/1", "shard");
    assert_int_equal(unlink(index), 0);
    assert_int_equal(symlink("../blobs/2", index), 0);
    expect_refused(BAMBA_ERR_IO, INDEX, "../blobs/2", "index");
    assert_int_equal(symlink("../blobs/3", single), 0);
    expect_refused(BAMBA_ERR_IO, "model.safetensors", "../blobs/3", "the one file");
    free(shard);
    free(index);
    free(single);
}

static void test_bad_index(void **state)
{
    static const struct {
        const char *index, *words, *more;
    } bad[] = {
        { "", "JSON", INDEX }, { "{", "JSON", INDEX }, { "[]", "", INDEX },
        { "null", "weight_map", INDEX }, { "{}", "weight_map", INDEX },
        { "{\"weight_map\": null}", "weight_map", "object" },
        { "{\"weight_map\": []}", "weight_map", "object" },
        { "{\"weight_map\": \"one.safetensors\"}", "weight_map", "object" },
        { "{\"weight_map\": {}}", "weight_map", "found none" },
        { "{\"weight_map\": {\"x\": 1}}", "weight_map.x", "string" },
        { "{\"weight_map\": {\"x\": null}}", "weight_map.x", "string" },
        { "{\"weight_map\": {\"x\": [\"one.safetensors\"]}}", "weight_map.x", "string" },
        { "{\"weight_map\": {\"x\": \"\"}}", "weight_map.x", "same directory" },
        { "{\"weight_map\": {\"x\": \".\"}}", "weight_map.x", "same directory" },
        { "{\"weight_map\": {\"x\": \"..\"}}", "weight_map.x", "same directory" },
        { "{\"weight_map\": {\"x\": \"../one.safetensors\"}}", "weight_map.x", "../one" },
        { "{\"weight_map\": {\"x\": \"/etc/passwd\"}}", "weight_map.x", "/etc/passwd" },
        { "{\"weight_map\": {\"x\": \"sub/one.safetensors\"}}", "weight_map.x", "sub/one" },
        { "{\"weight_map\": {\"x\": \"..\\\\one.safetensors\"}}", "weight_map.x", "same dir" },
        { "{\"weight_map\": {\"x\": \"one.safetensors\\u0000\"}}", "weight_map.x", "same dir" },
        { "{\"weight_map\": {\"x\": \"one.safetensors\", \"x\": \"two.safetensors\"}}", "twice",
          "x" },
        { "{\"weight_map\": {\"y\": \"one.safetensors\"}}", "one.safetensors: 'y'", INDEX },
        { "{\"weight_map\": {\"x\": \"one.safetensors\", \"\": \"one.safetensors\"}}",
          "one.safetensors: ''", INDEX },
        { "{\"weight_map\": {\"x\": \"broken.safetensors\"}}", "broken.safetensors", "" },
    };

    (void)state;
    write_one("one.safetensors", "x", 1);
    tempdir_write_text(tempdir, "broken.safetensors", "nothing like it");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        tempdir_write_text(tempdir, INDEX, bad[i].index);
        expect_refused(BAMBA_ERR_FORMAT, bad[i].words, bad[i].more, bad[i].index);
    }
    tempdir_write_text(tempdir, INDEX, "{\"weight_map\": {\"x\": \"one.safetensors\","
                                   " \"y\": \"gone.safetensors\"}}");
    expect_refused(BAMBA_ERR_IO, "gone.safetensors", INDEX, "missing shard");
}

static void test_out_of_memory(void **state)
{
    const tiny_dims d = TINY_DIMS;
    store           s = { NULL, 0, 0 };

    (void)state;
    tiny_tensors(&d, &s);
    for (int n_shards = 0; n_shards <= 3; n_shards += 3) {
        tempdir_empty(tempdir);
        tiny_write_tensors(&s, n_shards, tempdir);
        for (size_t k = 1;; k++) {
            fault              f = { .fail_at = (k + 1) / 2, .forever = k % 2 };
            const bb_allocator a = fault_allocator(&f);
            bb_checkpoint     *c = NULL;
            bamba_error        err = { BAMBA_OK, "" };
            const bb_status    status = bb_checkpoint_open(&c, &a, tempdir, &err);
            bb_checkpoint_close(c);
            assert_int_equal(f.n_live, 0);
            if (f.n_refused == 0) break;
            assert_int_equal(status, BAMBA_ERR_MEMORY);
            assert_null(c);
            assert_true(err.message[0] != '\0');
        }
    }
    store_free(&s);
}

/* -------------------------------------------------------------- another format ----------- */

/* A container made by hand: three tensors of different types. */
typedef struct made {
    bb_container        base;
    const bb_allocator *a;
    bb_tensor           tensor[3];
    int                *n_closed;
} made;

static const unsigned char BYTES[] = "eighteen bytes a block";

static void close_made(bb_container *c)
{
    made *m = (made *)c;
    ++*m->n_closed;
    bb_release(m->a, m);
}

static bb_container *make_container(const bb_allocator *a, int *n_closed)
{
    made *m = bb_new(a, 1, sizeof *m);

    assert_non_null(m);
    m->tensor[0] = (bb_tensor){ .name = "a", .file = "made", .dtype = BB_TYPE_F32, .n_dims = 1,
                                .dim = { 1 }, .n_elements = 1, .bytes = 4, .data = BYTES };
    m->tensor[1] = (bb_tensor){ .name = "b", .file = "made", .dtype = (bb_type)(BB_N_TYPES - 1),
                                .n_dims = 2, .dim = { 1, 32 }, .n_elements = 32, .bytes = 18,
                                .data = BYTES + 4 };
    m->tensor[2] = (bb_tensor){ .name = "c", .file = "made", .dtype = BB_TYPE_F4, .n_dims = 0,
                                .n_elements = 1, .bytes = 0, .data = BYTES };
    m->base = (bb_container){ "made", m->tensor, 3, 5, close_made };
    m->a = a;
    m->n_closed = n_closed;
    return &m->base;
}

static void test_any_container(void **state)
{
    fault              f = { 0 };
    const bb_allocator a = fault_allocator(&f);
    int                n_closed = 0;
    bb_checkpoint     *c;

    (void)state;
    assert_int_equal(bb_checkpoint_of(&c, &a, make_container(&a, &n_closed), NULL), BAMBA_OK);
    assert_int_equal(bb_checkpoint_bytes(c), 22);
    assert_int_equal(bb_checkpoint_read_bytes(c), 5);
    const bb_tensor *t = bb_checkpoint_take(c, "b");
    assert_int_equal(t->dtype, BB_N_TYPES - 1);
    assert_int_equal(t->bytes, 18);               /* the container's word, not dtype times shape */
    assert_ptr_equal(t->data, BYTES + 4);
    t = bb_checkpoint_untaken(c, NULL);
    assert_string_equal(t->name, "a");
    t = bb_checkpoint_untaken(c, t);
    assert_string_equal(t->name, "c");
    assert_int_equal(n_closed, 0);
    bb_checkpoint_close(c);
    assert_int_equal(n_closed, 1);
    assert_int_equal(f.n_live, 0);
}

static void test_container_without_memory(void **state)
{
    (void)state;
    for (size_t k = 1; k <= 4; k++) {
        fault              f = { 0 };
        const bb_allocator a = fault_allocator(&f);
        int                n_closed = 0;
        bb_container      *file = make_container(&a, &n_closed);
        bb_checkpoint     *c;
        bamba_error        err;

        f.fail_at = f.n_calls + k;
        assert_int_equal(bb_checkpoint_of(&c, &a, file, &err), BAMBA_ERR_MEMORY);
        assert_string_equal(err.message, "made: out of memory");
        assert_null(c);
        assert_int_equal(n_closed, 1);
        assert_int_equal(f.n_live, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_single_and_sharded, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_take, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_empty, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_single_wins_over_index, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_map_decides, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_total_size_is_ignored, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_a_thousand_shards, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_nothing_there, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_dangling_links, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_bad_index, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_out_of_memory, tempdir_enter, tempdir_leave),
        cmocka_unit_test(test_any_container),
        cmocka_unit_test(test_container_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
