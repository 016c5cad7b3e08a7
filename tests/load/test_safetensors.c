/* The format's rules, one by one: what is read, and what is refused with which words. */
#include "load/safetensors.h"

#include "support/fault.h"
#include "support/store.h"
#include "support/tempdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char NAME[] = "x.safetensors";

static bb_status open_it(bb_container **f, const bb_allocator *a, bamba_error *err)
{
    char           *path = tempdir_path(tempdir, NAME);
    const bb_status status = bb_safetensors_open(f, a, path, err);

    free(path);
    return status;
}

/* Open, close, expect a failure whose message has all of the words. */
static void expect_refused(bb_status code, const char *words, const char *more,
                           const char *what)
{
    fault              f = { 0 };
    const bb_allocator a = fault_allocator(&f);
    bb_container      *file = NULL;
    bamba_error        err = { BAMBA_OK, "" };
    const bb_status    status = open_it(&file, &a, &err);

    if (status != code)
        fail_msg("%s: status %d, expected %d: %s", what, status, code, err.message);
    if (!strstr(err.message, NAME) || !strstr(err.message, words) || !strstr(err.message, more))
        fail_msg("%s: '%s', '%s' not in '%s'", what, words, more, err.message);
    assert_null(file);
    assert_int_equal(f.n_live, 0);
}

static bb_container *expect_read(const bb_allocator *a, const char *what)
{
    bb_container *file = NULL;
    bamba_error   err;

    if (open_it(&file, a, &err) != BAMBA_OK) fail_msg("%s: %s", what, err.message);
    assert_non_null(file);
    return file;
}

static const bb_tensor *find(const bb_container *file, const char *name)
{
    return bb_tensors_find(file->tensor, file->n, name);
}

/* -------------------------------------------------------------- good files --------------- */

static void test_reads(void **state)
{
    static const char header[] =
        " {\"w\": {\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[3,27],"
        "\"more\":{\"x\":[1]}},\n"
        "\"__metadata__\":{\"format\":\"pt\",\"\":\"\",\"x\":\"\\u0000\"},"
        "\"odd\":{\"shape\":[3],\"data_offsets\":[0,3],\"dtype\":\"I8\"},"
        "\"scalar\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[27,29]},"
        "\"empty\":{\"dtype\":\"F64\",\"shape\":[7,0],\"data_offsets\":[27,27]},"
        "\"four\":{\"dtype\":\"F4\",\"shape\":[3,2],\"data_offsets\":[29,32]},"
        "\"end\":{\"dtype\":\"F16\",\"shape\":[0],\"data_offsets\":[32,32]}}  \n\t\r";
    fault              f = { 0 };
    const bb_allocator a = fault_allocator(&f);
    unsigned char      data[32];

    (void)state;
    for (int i = 0; i < 32; i++) data[i] = (unsigned char)(i + 1);
    store_write_raw(tempdir, NAME, header, data, sizeof data);
    bb_container    *file = expect_read(&a, "good");
    const bb_tensor *t = file->tensor;
    static const char *const order[] = { "empty", "end", "four", "odd", "scalar", "w" };
    assert_string_equal(file->file, NAME);
    assert_int_equal(file->n, 6);
    for (size_t i = 0; i < file->n; i++) {
        assert_string_equal(t[i].name, order[i]);
        assert_string_equal(t[i].file, NAME);
    }

    t = find(file, "w");
    assert_int_equal(t->dtype, BB_TYPE_F32);
    assert_int_equal(t->n_dims, 2);
    assert_int_equal(t->dim[0], 2);
    assert_int_equal(t->dim[1], 3);
    assert_int_equal(t->n_elements, 6);
    assert_int_equal(t->bytes, 24);
    assert_memory_equal(t->data, data + 3, 24);
    t = find(file, "scalar");
    assert_int_equal(t->n_dims, 0);
    assert_int_equal(t->n_elements, 1);
    assert_memory_equal(t->data, data + 27, 2);
    t = find(file, "empty");
    assert_int_equal(t->n_elements, 0);
    assert_int_equal(t->bytes, 0);
    t = find(file, "four");
    assert_int_equal(t->n_elements, 6);
    assert_int_equal(t->bytes, 3);
    assert_memory_equal(t->data, data + 29, 3);
    assert_null(find(file, "__metadata__"));
    assert_null(find(file, "nothing"));
    bb_container_close(file);
    assert_int_equal(f.n_live, 0);
    bb_container_close(NULL);
}

static void test_reads_odd_but_legal(void **state)
{
    static const char *const header[] = {
        "{}", "{} ", "  {}", "{\"__metadata__\":null}", "{\"__metadata__\":{}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[0,9223372036854775807],\"data_offsets\":[0,0]}}",
        "{\"\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,0],\"data_offsets\":[0,0]}}",
        "{\"\xF0\x9F\x98\x80\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}",
        ("{\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}"),
    };
    fault              f = { 0 };
    const bb_allocator a = fault_allocator(&f);

    (void)state;
    for (size_t i = 0; i < sizeof header / sizeof header[0]; i++) {
        store_write_raw(tempdir, NAME, header[i], NULL, 0);
        bb_container_close(expect_read(&a, header[i]));
    }
    assert_int_equal(f.n_live, 0);
}

static void test_reads_what_store_writes(void **state)
{
    const float        v[6] = { 1, -2, 0.5f, 3, 1e-3f, 65504 };
    static const char *const types[] = { "F32", "BF16", "F16" };
    fault              f = { 0 };
    const bb_allocator a = fault_allocator(&f);
    store              s = { NULL, 0, 0 };

    (void)state;
    for (int i = 0; i < 300; i++) {
        char name[32];
        snprintf(name, sizeof name, "layers.%d.w", i);
        store_add(&s, name, types[i % 3], 2, (const size_t[]){ 3, 2 }, v);
    }
    store_write(&s, 0, s.n, tempdir, NAME);
    bb_container *file = expect_read(&a, "store");
    for (size_t i = 0; i < s.n; i++) {
        const bb_tensor *t = find(file, s.tensor[i].name);
        assert_non_null(t);
        assert_int_equal(t->bytes, s.tensor[i].bytes);
        assert_string_equal(bb_type_name(t->dtype), s.tensor[i].dtype);
        assert_memory_equal(t->data, s.tensor[i].data, t->bytes);
    }
    bb_container_close(file);
    store_free(&s);
    assert_int_equal(f.n_live, 0);
}

/* -------------------------------------------------------------- bad files ---------------- */

static void write_length(uint64_t length, const char *rest, size_t n)
{
    unsigned char file[256];

    for (int i = 0; i < 8; i++) file[i] = (unsigned char)(length >> 8 * i);
    memcpy(file + 8, rest, n);
    tempdir_write(tempdir, NAME, file, 8 + n);
}

static void test_header_length(void **state)
{
    (void)state;
    for (size_t n = 0; n < 8; n++) {
        tempdir_write(tempdir, NAME, "\2\0\0\0\0\0\0\0", n);
        expect_refused(BAMBA_ERR_FORMAT, "at least 8 bytes", "", "short file");
    }
    write_length(0, "", 0);
    expect_refused(BAMBA_ERR_FORMAT, "", "", "no header");
    write_length(0, "{}", 2);
    expect_refused(BAMBA_ERR_FORMAT, "", "", "header of 0 bytes");
    write_length(3, "{}", 2);
    expect_refused(BAMBA_ERR_FORMAT, "incomplete: 10 of at least 11 bytes", "", "one too few");
    write_length(100000001, "{}", 2);
    expect_refused(BAMBA_ERR_FORMAT, "100000000", "100000001", "above the limit");
    write_length(100000000, "{}", 2);
    expect_refused(BAMBA_ERR_FORMAT, "incomplete: 10 of at least 100000008 bytes", "",
                   "at the limit");
    write_length(UINT64_MAX, "{}", 2);
    expect_refused(BAMBA_ERR_FORMAT, "18446744073709551615", "", "all ones");
    write_length(UINT64_MAX - 7, "{}", 2);
    expect_refused(BAMBA_ERR_FORMAT, "100000000", "", "wraps when 8 is added");
    write_length(2, "{}x", 3);
    expect_refused(BAMBA_ERR_FORMAT, "bytes after the last", "", "a byte after no tensors");
}

/* header with 8 bytes of data: 'a' is F32 [2] when it is right */
#define ENTRY(dtype, shape, offsets) \
    "{\"a\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

static void test_entries(void **state)
{
    static const struct {
        const char *header, *words, *more;
    } bad[] = {
        { "[]", "object", "" }, { "null", "object", "" }, { "3", "object", "" },
        { "{", "JSON", "" }, { "{}x", "JSON", "" }, { "{\"a\":}", "JSON", "" },
        { "\x80{}", "JSON", "" }, { "{\"\xFF\":1}", "UTF-8", "" },
        { "{\"a\":1}", "'a'", "object" }, { "{\"a\":null}", "'a'", "" },
        { "{\"a\":[]}", "'a'", "object" }, { "{\"a\":\"x\"}", "'a'", "object" },
        { "{\"a\":{}}", "'a", "dtype" },
        { "{\"__metadata__\":3}", "__metadata__", "" },
        { "{\"__metadata__\":[]}", "__metadata__", "" },
        { "{\"__metadata__\":\"x\"}", "__metadata__", "" },
        { "{\"__metadata__\":{\"k\":1}}", "__metadata__", "k" },
        { "{\"__metadata__\":{\"k\":null}}", "__metadata__", "k" },
        { "{\"__metadata__\":{\"k\":{}}}", "__metadata__", "k" },
        { ENTRY("\"F33\"", "[2]", "[0,8]"), "'a.dtype'", "F33" },
        { ENTRY("\"\"", "[2]", "[0,8]"), "'a.dtype'", "" },
        { ENTRY("\"f32\"", "[2]", "[0,8]"), "'a.dtype'", "f32" },
        { ENTRY("\"F32\\u0000\"", "[2]", "[0,8]"), "'a.dtype'", "" },
        { ENTRY("32", "[2]", "[0,8]"), "'a.dtype'", "string" },
        { ENTRY("null", "[2]", "[0,8]"), "'a.dtype'", "string" },
        { ENTRY("\"F32\"", "2", "[0,8]"), "'a.shape'", "array" },
        { ENTRY("\"F32\"", "null", "[0,8]"), "'a.shape'", "array" },
        { ENTRY("\"F32\"", "{}", "[0,8]"), "'a.shape'", "array" },
        { ENTRY("\"F32\"", "\"2\"", "[0,8]"), "'a.shape'", "array" },
        { ENTRY("\"F32\"", "[-2]", "[0,8]"), "'a.shape[0]'", "-2" },
        { ENTRY("\"F32\"", "[2.0]", "[0,8]"), "'a.shape[0]'", "integer" },
        { ENTRY("\"F32\"", "[2e0]", "[0,8]"), "'a.shape[0]'", "integer" },
        { ENTRY("\"F32\"", "[1,2.5]", "[0,8]"), "'a.shape[1]'", "integer" },
        { ENTRY("\"F32\"", "[\"2\"]", "[0,8]"), "'a.shape[0]'", "integer" },
        { ENTRY("\"F32\"", "[null]", "[0,8]"), "'a.shape[0]'", "integer" },
        { ENTRY("\"F32\"", "[true]", "[0,8]"), "'a.shape[0]'", "integer" },
        { ENTRY("\"F32\"", "[[2]]", "[0,8]"), "'a.shape[0]'", "integer" },
        { ENTRY("\"F32\"", "[NaN]", "[0,8]"), "JSON", "" },
        { ENTRY("\"F32\"", "[Infinity]", "[0,8]"), "JSON", "" },
        { ENTRY("\"F32\"", "[18446744073709551616]", "[0,8]"), "64 bits", "" },
        { ENTRY("\"F32\"", "[4294967296,4294967296]", "[0,8]"), "'a.shape'", "overflow" },
        { ENTRY("\"F32\"", "[9223372036854775807,3]", "[0,8]"), "'a.shape'", "overflow" },
        { ENTRY("\"F32\"", "[9223372036854775807,2,0]", "[0,8]"), "'a'", "" },
        { ENTRY("\"F32\"", "[9223372036854775807]", "[0,8]"), "'a'", "overflow" },
        { ENTRY("\"F32\"", "[2305843009213693954]", "[0,8]"), "'a'", "overflow" },
        { ENTRY("\"F32\"", "[2]", "0"), "'a.data_offsets'", "two" },
        { ENTRY("\"F32\"", "[2]", "null"), "'a.data_offsets'", "two" },
        { ENTRY("\"F32\"", "[2]", "[]"), "'a.data_offsets'", "two" },
        { ENTRY("\"F32\"", "[2]", "[0]"), "'a.data_offsets'", "two" },
        { ENTRY("\"F32\"", "[2]", "[0,4,8]"), "'a.data_offsets'", "two" },
        { ENTRY("\"F32\"", "[2]", "[0,\"8\"]"), "'a.data_offsets[1]'", "integer" },
        { ENTRY("\"F32\"", "[2]", "[-1,7]"), "'a.data_offsets[0]'", "-1" },
        { ENTRY("\"F32\"", "[2]", "[0.0,8.0]"), "'a.data_offsets[0]'", "integer" },
        { ENTRY("\"F32\"", "[2]", "[8,0]"), "'a.data_offsets'", "begin <= end" },
        { ENTRY("\"F32\"", "[2]", "[0,9]"), "'a'", "8 bytes for F32 [2], found 9" },
        { ENTRY("\"F32\"", "[2]", "[0,9223372036854775807]"), "'a'", "found 9223372036854775807" },
        { ENTRY("\"F32\"", "[2]", "[9223372036854775799,9223372036854775807]"),
          "incomplete", " of 922337203685477" },
        { ENTRY("\"F32\"", "[3]", "[0,12]"), "incomplete: 71 of 75 bytes", "" },
        { "{\"a\":{\"dtype\":\"I8\",\"shape\":[8],\"data_offsets\":[0,8]},\"c\":{\"dtype\":\"I8\","
          "\"shape\":[90],\"data_offsets\":[10,100]},\"b\":{\"dtype\":\"I8\",\"shape\":[2],"
          "\"data_offsets\":[8,10]}}", "incomplete", " of " },
        { ENTRY("\"F32\"", "[3]", "[0,8]"), "'a'", "12 bytes for F32 [3], found 8" },
        { ENTRY("\"F32\"", "[1]", "[0,8]"), "'a'", "4 bytes for F32 [1], found 8" },
        { ENTRY("\"F16\"", "[2]", "[0,8]"), "'a'", "4 bytes for F16 [2], found 8" },
        { ENTRY("\"F32\"", "[0]", "[0,8]"), "'a'", "0 bytes for F32 [0], found 8" },
        { ENTRY("\"F4\"", "[15]", "[0,8]"), "'a'", "whole bytes" },
        { ENTRY("\"F6_E2M3\"", "[2,5]", "[0,8]"), "'a'", "whole bytes" },
        { ENTRY("\"F32\"", "[1]", "[0,4]"), "after the last", "" },
        { ENTRY("\"F32\"", "[1]", "[4,8]"), "'a'", "hole" },
        { ENTRY("\"F32\"", "[0]", "[4,4]"), "'a'", "hole" },
        { ENTRY("\"F32\"", "[0]", "[0,0]"), "after the last", "" },
        { "{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", "'a.dtype'", "" },
        { "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", "'a.shape'", "" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", "'a.data_offsets'", "" },
        { "{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
          "dtype", "twice" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
          "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", "'a'", "twice" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
          "\"\\u0061\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", "",
          "twice" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
          "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", "'b'", "overlap" },
        { "{\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
          "\"a\":{\"dtype\":\"F16\",\"shape\":[3],\"data_offsets\":[2,8]}}", "'a'", "overlap" },
        { "{\"a\":{\"dtype\":\"I8\",\"shape\":[3],\"data_offsets\":[0,3]},"
          "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", "'b'", "hole" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
          "\"b\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[4,4]}}", "'b'", "overlap" },
    };
    const unsigned char data[8] = { 0 };

    (void)state;
    store_write_raw(tempdir, NAME, ENTRY("\"F32\"", "[2]", "[0,8]"), data, sizeof data);
    fault              f = { 0 };
    const bb_allocator a = fault_allocator(&f);
    bb_container_close(expect_read(&a, "the entry all others are made from"));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        store_write_raw(tempdir, NAME, bad[i].header, data, sizeof data);
        expect_refused(BAMBA_ERR_FORMAT, bad[i].words, bad[i].more, bad[i].header);
    }
    store_write_raw(tempdir, NAME, ENTRY("\"F32\"", "[1,1,1,1,1,1,1,1,2]", "[0,8]"), data, 8);
    expect_refused(BAMBA_ERR_UNSUPPORTED, "'a.shape'", "found 9", "nine dimensions");
    store_write_raw(tempdir, NAME, "{\"a\\u0000b\":{}}", data, 8);
    expect_refused(BAMBA_ERR_FORMAT, "NUL", "", "NUL in a name");
}

/* A good file cut at every byte, and with bytes behind it. */
static void test_truncated_everywhere(void **state)
{
    const float v[4] = { 1, 2, 3, 4 };
    store       s = { NULL, 0, 0 };
    size_t      n;

    (void)state;
    store_add(&s, "first", "F32", 1, (const size_t[]){ 4 }, v);
    store_add(&s, "second", "BF16", 2, (const size_t[]){ 2, 2 }, v);
    store_write(&s, 0, s.n, tempdir, NAME);
    unsigned char *file = tempdir_read(tempdir, NAME, &n);
    for (size_t cut = 0; cut < n; cut++) {
        tempdir_write(tempdir, NAME, file, cut);
        expect_refused(BAMBA_ERR_FORMAT, NAME, "", "cut");
    }
    tempdir_write(tempdir, NAME, file, n + 1);       /* the reader put a NUL behind it */
    expect_refused(BAMBA_ERR_FORMAT, "bytes after the last", "", "one byte more");
    free(file);
    store_free(&s);
}

/* What follows a long name must still be seen, and the message stay UTF-8. */
static void test_long_names(void **state)
{
    char header[2000];
    char name[1200];

    (void)state;
    for (size_t i = 0; i + 2 < sizeof name; i += 2) memcpy(name + i, "\xC3\xA9", 3);
    snprintf(header, sizeof header,
             "{\"%s\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", name);
    store_write_raw(tempdir, NAME, header, "12345678", 8);
    expect_refused(BAMBA_ERR_FORMAT, "\xC3\xA9", "expected to begin at offset 0", "long name");
}

static void test_paths(void **state)
{
    fault              f = { 0 };
    const bb_allocator a = fault_allocator(&f);
    bb_container      *file;
    bamba_error        err;

    (void)state;
    assert_int_equal(open_it(&file, &a, &err), BAMBA_ERR_IO);
    assert_non_null(strstr(err.message, "no such file"));
    assert_int_equal(bb_safetensors_open(&file, &a, tempdir, &err), BAMBA_ERR_IO);
    assert_non_null(strstr(err.message, "a directory"));
    assert_int_equal(bb_safetensors_open(&file, &a, tempdir, NULL), BAMBA_ERR_IO);
    assert_null(file);
    assert_int_equal(f.n_live, 0);
}

static void test_out_of_memory(void **state)
{
    const float v[1] = { 1 };
    store       s = { NULL, 0, 0 };
    size_t      k = 1;

    (void)state;
    for (int i = 0; i < 20; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%d", i);
        store_add(&s, name, "F32", 1, (const size_t[]){ 1 }, v);
    }
    store_write(&s, 0, s.n, tempdir, NAME);
    store_free(&s);
    for (;; k++) {
        fault              f = { .fail_at = k, .forever = k % 2 };
        const bb_allocator a = fault_allocator(&f);
        bb_container      *file = NULL;
        bamba_error        err;
        const bb_status    status = open_it(&file, &a, &err);
        bb_container_close(file);
        assert_int_equal(f.n_live, 0);
        if (f.n_refused == 0) break;
        assert_int_equal(status, BAMBA_ERR_MEMORY);
        assert_non_null(strstr(err.message, NAME));
    }
    assert_true(k > 4);           /* object, file name, tensors, names at least */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reads, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_reads_odd_but_legal, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_reads_what_store_writes, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_header_length, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_entries, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_truncated_everywhere, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_long_names, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_paths, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_out_of_memory, tempdir_enter, tempdir_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
