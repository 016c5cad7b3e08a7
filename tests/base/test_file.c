/* Mapping, paths, looking for a file. */
#include "base/file.h"

#include "support/fault.h"
#include "support/tempdir.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int make_dir(void **state)
{
    *state = tempdir_make();
    return 0;
}

static int remove_dir(void **state)
{
    tempdir_remove(*state);
    return 0;
}

static void test_map(void **state)
{
    const char *dir = *state;
    bamba_error err;
    bb_map      map;

    tempdir_write(dir, "some", "abc\0def", 7);
    char *path = tempdir_path(dir, "some");
    errno = 77;
    assert_int_equal(bb_map_open(&map, path, &err), BAMBA_OK);
    assert_int_equal(map.size, 7);
    assert_memory_equal(map.data, "abc\0def", 7);
    bb_map_close(&map);
    assert_null(map.data);
    assert_int_equal(map.size, 0);
    bb_map_close(&map);
    free(path);

    tempdir_write(dir, "empty", "", 0);
    path = tempdir_path(dir, "empty");
    assert_int_equal(bb_map_open(&map, path, &err), BAMBA_OK);
    assert_null(map.data);
    assert_int_equal(map.size, 0);
    bb_map_close(&map);
    assert_int_equal(errno, 77);
    free(path);
}

static void expect_refused(const char *path, const char *words)
{
    bamba_error err;
    bb_map      map = { (const unsigned char *)"x", 1 };

    errno = 77;
    assert_int_equal(bb_map_open(&map, path, &err), BAMBA_ERR_IO);
    assert_int_equal(errno, 77);
    assert_non_null(strstr(err.message, words));
    assert_non_null(strstr(err.message, path));
    assert_null(map.data);
    assert_int_equal(map.size, 0);
    assert_int_equal(bb_map_open(&map, path, NULL), BAMBA_ERR_IO);
}

static void test_map_refuses(void **state)
{
    const char *dir = *state;
    char       *path = tempdir_path(dir, "missing");

    expect_refused(path, "no such file");
    free(path);
    expect_refused(dir, "a directory");

    tempdir_write(dir, "plain", "x", 1);
    path = tempdir_path(dir, "plain/below");
    expect_refused(path, "not a directory");
    free(path);

    path = tempdir_path(dir, "pipe");            /* must not wait for a writer */
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_refused(path, "expected a regular file");
    free(path);

    path = tempdir_path(dir, "loop");
    assert_int_equal(symlink("loop", path), 0);
    expect_refused(path, "symbolic links");
    free(path);

    if (geteuid() != 0) {                        /* root may read everything */
        tempdir_write(dir, "secret", "x", 1);
        path = tempdir_path(dir, "secret");
        assert_int_equal(chmod(path, 0), 0);
        expect_refused(path, "permission denied");
        free(path);
    }
}

static void expect_join(const char *dir, const char *name, const char *expected)
{
    fault              f = { 0 };
    const bb_allocator a = fault_allocator(&f);
    char              *path = bb_path_join(&a, dir, name);

    assert_string_equal(path, expected);
    bb_release(&a, path);
    f.fail_at = f.n_calls + 1;
    assert_null(bb_path_join(&a, dir, name));
    assert_int_equal(f.n_live, 0);
}

static void test_paths(void **state)
{
    const char *dir = *state;

    expect_join("a", "b", "a/b");
    expect_join("a/", "b", "a/b");
    expect_join("/", "b", "/b");
    expect_join("", "b", "b");
    expect_join("a/b c", "d", "a/b c/d");
    assert_string_equal(bb_path_name("a/b/c"), "c");
    assert_string_equal(bb_path_name("c"), "c");
    assert_string_equal(bb_path_name("/c"), "c");
    assert_string_equal(bb_path_name(""), "");

    errno = 77;
    assert_true(bb_path_exists(dir));
    char *path = tempdir_path(dir, "there");
    assert_false(bb_path_exists(path));
    tempdir_write(dir, "there", "", 0);
    assert_true(bb_path_exists(path));
    assert_int_equal(errno, 77);
    free(path);
}

static void test_dir_find(void **state)
{
    const char *dir = *state;
    char        name[16] = "unchanged";

    errno = 77;
    assert_false(bb_dir_find(dir, "", ".gguf", name, sizeof name));
    assert_false(bb_dir_find("/nonexistent", "", "", name, sizeof name));
    assert_string_equal(name, "unchanged");
    tempdir_write(dir, "b.gguf", "", 0);
    tempdir_write(dir, "a.gguf", "", 0);
    tempdir_write(dir, "a.gguf.part", "", 0);
    tempdir_write(dir, "a-name-that-is-too-long.gguf", "", 0);
    assert_true(bb_dir_find(dir, "", ".gguf", name, sizeof name));
    assert_string_equal(name, "a.gguf");
    assert_true(bb_dir_find(dir, "b", ".gguf", name, sizeof name));
    assert_string_equal(name, "b.gguf");
    assert_false(bb_dir_find(dir, "a-name", ".gguf", name, sizeof name));
    assert_false(bb_dir_find(dir, "a.gg", "gguf", name, sizeof name));    /* must not overlap */
    assert_int_equal(errno, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_map, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_map_refuses, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_paths, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_dir_find, make_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
