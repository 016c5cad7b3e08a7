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
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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
    bb_map      map = { (const unsigned char *)"x", 1, false };

    errno = 77;
    assert_int_equal(bb_map_open(&map, path, &err), BAMBA_ERR_IO);
    assert_int_equal(errno, 77);
    assert_non_null(strstr(err.message, words));
    assert_non_null(strstr(err.message, path));
    assert_null(map.data);
    assert_int_equal(map.size, 0);
    assert_int_equal(bb_map_open(&map, path, NULL), BAMBA_ERR_IO);
}

/* The same message whether it is opened or looked for. */
static void expect_link_refused(const char *path, const char *message)
{
    bamba_error  err;
    bb_map       map;
    bb_path_kind kind;

    errno = 77;
    assert_int_equal(bb_map_open(&map, path, &err), BAMBA_ERR_IO);
    assert_string_equal(err.message, message);
    assert_int_equal(bb_path_find(path, &kind, &err), BAMBA_ERR_IO);
    assert_string_equal(err.message, message);
    assert_int_equal(kind, BB_PATH_NONE);
    assert_int_equal(errno, 77);
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
    expect_link_refused(path, "loop: a link to loop, which leads nowhere");
    free(path);

    path = tempdir_path(dir, "dangling");
    assert_int_equal(symlink("../other/place", path), 0);
    expect_link_refused(path, "dangling: a link to ../other/place, which leads nowhere");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("../../blobs/0f", path), 0);
    expect_link_refused(path, "dangling: a link to ../../blobs/0f, which leads nowhere: "
                        "download the model again");
    free(path);

    if (geteuid() != 0) {                        /* root may read everything */
        tempdir_write(dir, "secret", "x", 1);
        path = tempdir_path(dir, "secret");
        assert_int_equal(chmod(path, 0), 0);
        expect_refused(path, "permission denied");
        free(path);
    }
}

/* -------------------------------------------------------------- no shared mappings ------- */

static int shared_errno, private_errno, memory_errno;       /* 0: works */

/* In place of the C library's, for calls from base/file.c: a file system that cannot map. */
void *mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset)
{
    const int code = fd < 0 ? memory_errno : flags & MAP_SHARED ? shared_errno : private_errno;

    if (code) {
        errno = code;
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, at, n, protection, flags, fd, offset);
}

static void test_map_fallbacks(void **state)
{
    static const struct { int shared, private, memory; bb_status status; bool is_read; } cases[] = {
        { 0, ENODEV, ENOMEM, BAMBA_OK, false },       { ENODEV, 0, ENOMEM, BAMBA_OK, false },
        { ENODEV, ENODEV, 0, BAMBA_OK, true },        { EACCES, EINVAL, 0, BAMBA_OK, true },
        { ENODEV, ENODEV, ENOMEM, BAMBA_ERR_MEMORY, false },
        { ENOMEM, 0, 0, BAMBA_ERR_MEMORY, false },
        { ENODEV, ENOMEM, 0, BAMBA_ERR_MEMORY, false },
    };
    const char   *dir = *state;
    unsigned char bytes[70000];
    bamba_error   err;
    bb_map        map;

    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)(i * 7 + i / 256);
    tempdir_write(dir, "some", bytes, sizeof bytes);
    char *path = tempdir_path(dir, "some");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        shared_errno = cases[i].shared, private_errno = cases[i].private;
        memory_errno = cases[i].memory;
        errno = 77;
        const bb_status status = bb_map_open(&map, path, &err);
        shared_errno = private_errno = memory_errno = 0;
        assert_int_equal(errno, 77);
        assert_int_equal(status, cases[i].status);
        assert_int_equal(map.is_read, cases[i].is_read);
        assert_int_equal(map.size, status == BAMBA_OK ? sizeof bytes : 0);
        if (status == BAMBA_OK) assert_memory_equal(map.data, bytes, sizeof bytes);
        else assert_non_null(strstr(err.message, path));
        bb_map_close(&map);
    }
    free(path);
}

static void test_lfs_pointer(void **state)
{
    static const char pointer[] = "version https://git-lfs.github.com/spec/v1\n"
        "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";
    const char *dir = *state;
    char       *path = tempdir_path(dir, "model.safetensors");
    bamba_error err;
    bb_map      map;

    tempdir_write_text(dir, "model.safetensors", pointer);
    assert_int_equal(bb_map_open(&map, path, &err), BAMBA_ERR_FORMAT);
    assert_non_null(strstr(err.message, "model.safetensors: a git-lfs pointer"));
    assert_non_null(strstr(err.message, "run git lfs pull"));
    assert_null(map.data);
    tempdir_write(dir, "model.safetensors", pointer, 24);     /* a text that only begins so */
    assert_int_equal(bb_map_open(&map, path, &err), BAMBA_OK);
    bb_map_close(&map);
    free(path);
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

static void expect_kind(const char *path, bb_path_kind wanted)
{
    bamba_error  err;
    bb_path_kind kind;

    assert_int_equal(bb_path_find(path, &kind, &err), BAMBA_OK);
    assert_int_equal(kind, wanted);
}

static void test_paths(void **state)
{
    const char  *dir = *state;
    bamba_error  err;
    bb_path_kind kind;

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
    expect_kind(dir, BB_PATH_DIR);
    char *path = tempdir_path(dir, "there");
    expect_kind(path, BB_PATH_NONE);
    tempdir_write(dir, "there", "", 0);
    expect_kind(path, BB_PATH_FILE);
    char *link = tempdir_path(dir, "link");
    assert_int_equal(symlink("there", link), 0);
    expect_kind(link, BB_PATH_FILE);
    assert_int_equal(unlink(link), 0);
    assert_int_equal(symlink(dir, link), 0);
    expect_kind(link, BB_PATH_DIR);
    free(link);
    free(path);
    path = tempdir_path(dir, "there/below");
    assert_int_equal(bb_path_find(path, &kind, &err), BAMBA_ERR_IO);
    assert_non_null(strstr(err.message, "there/below: a part of the path is not a directory"));
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
    tempdir_write(dir, ".hidden.gguf", "", 0);
    assert_false(bb_dir_find(dir, "", ".gguf", name, sizeof name));
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
        cmocka_unit_test_setup_teardown(test_map_fallbacks, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_lfs_pointer, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_paths, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_dir_find, make_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
