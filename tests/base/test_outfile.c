/* Files and directories come into being whole; what is not finished leaves nothing. */
#include "base/outfile.h"

#include "base/file.h"
#include "support/fault.h"
#include "support/tempdir.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static fault        memory;
static bb_allocator a;

static int enter(void **state)
{
    memory = (fault){ 0 };
    a = fault_allocator(&memory);
    return tempdir_enter(state);
}

static int leave(void **state)
{
    assert_int_equal(memory.n_live, 0);
    return tempdir_leave(state);
}

static bool is_there(const char *name)
{
    char           *path = tempdir_path(tempdir, name);
    struct stat     st;
    const bool      found = lstat(path, &st) == 0;

    free(path);
    return found;
}

/* Whether the test's directory has just this entry, hidden ones aside; NULL: none. */
static bool is_alone(const char *name)
{
    char first[256], next[256];

    if (!bb_dir_find(tempdir, "", "", first, sizeof first)) return !name;
    memcpy(next, first, sizeof next);
    return name && strcmp(first, name) == 0 && !bb_dir_next(tempdir, "", "", next, sizeof next);
}

static void test_file(void **state)
{
    char          *path = tempdir_path(tempdir, "x");
    bb_outfile    *f;
    size_t         n;
    unsigned char *bytes;

    (void)state;
    tempdir_write_text(tempdir, "x", "old");
    errno = 77;
    assert_int_equal(bb_outfile_create(&f, &a, path, 10, NULL), BAMBA_OK);
    assert_int_equal(bb_outfile_write(f, 7, "cd", 2, NULL), BAMBA_OK);
    assert_int_equal(bb_outfile_write(f, 1, "ab", 2, NULL), BAMBA_OK);
    assert_int_equal(bb_outfile_write(f, 10, "", 0, NULL), BAMBA_OK);
    bytes = tempdir_read(tempdir, "x", &n);
    assert_string_equal((char *)bytes, "old");
    free(bytes);
    assert_int_equal(bb_outfile_finish(f, NULL), BAMBA_OK);
    bb_outfile_close(f);
    assert_int_equal(errno, 77);
    bytes = tempdir_read(tempdir, "x", &n);
    assert_int_equal(n, 10);
    assert_memory_equal(bytes, "\0ab\0\0\0\0cd\0", 10);
    free(bytes);
    assert_true(is_alone("x"));

    assert_int_equal(bb_outfile_create(&f, &a, path, 0, NULL), BAMBA_OK);
    assert_false(is_alone("x"));
    bb_outfile_close(f);
    bb_outfile_close(NULL);
    assert_true(is_alone("x"));
    assert_int_equal(bb_outfile_put(&a, path, "new", 3, NULL), BAMBA_OK);
    bytes = tempdir_read(tempdir, "x", &n);
    assert_int_equal(n, 3);
    free(bytes);
    free(path);
}

static void test_no_file(void **state)
{
    char         *path = tempdir_path(tempdir, "none/x"), *dir = tempdir_path(tempdir, "d");
    char         *name = tempdir_path(tempdir, "x");
    struct rlimit old, limit;
    bb_outfile   *f = (bb_outfile *)&a;   /* rubbish that a failure must clear */
    bamba_error   err;

    (void)state;
    assert_int_equal(bb_outfile_create(&f, &a, path, 1, &err), BAMBA_ERR_IO);
    assert_null(f);
    assert_non_null(strstr(err.message, "none/x: no such file"));
    assert_int_equal(bb_outfile_create(&f, &a, name, UINT64_MAX, &err), BAMBA_ERR_IO);
    assert_non_null(strstr(err.message, "beyond the limit of file sizes"));
    assert_int_equal(bb_outfile_create(&f, &a, name, INT64_MAX, &err), BAMBA_ERR_IO);
    assert_non_null(strstr(err.message, "no room for"));
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    limit = (struct rlimit){ 1000, old.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    const bb_status beyond = bb_outfile_create(&f, &a, name, 1001, &err);
    const bb_status within = bb_outfile_create(&f, &a, name, 1000, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(beyond, BAMBA_ERR_IO);
    assert_int_equal(within, BAMBA_OK);
    bb_outfile_close(f);
    assert_true(is_alone(NULL));

    assert_int_equal(mkdir(dir, 0777), 0);            /* has the name already */
    assert_int_equal(bb_outfile_put(&a, dir, "x", 1, &err), BAMBA_ERR_IO);
    assert_true(is_alone("d"));
    for (size_t k = 1; k <= 5; k++) {
        memory.fail_at = memory.n_calls + k;
        memory.forever = true;
        const bb_status status = bb_outfile_put(&a, name, "x", 1, &err);
        memory.fail_at = 0;
        assert_int_equal(status, k < 5 ? BAMBA_ERR_MEMORY : BAMBA_OK);
        assert_int_equal(is_there("x"), k == 5);
    }
    free(path), free(dir), free(name);
}

/* A file's place is taken by one with its permissions, also through a link; nothing else's is. */
static void test_place(void **state)
{
    static const struct { const char *name, *words; } bad[] = {
        { "d", "d: expected a file or a new name, found a directory" },
        { "pipe", "pipe: expected a file or a new name, found a device or a pipe" },
        { "lost", "lost: no such file" },
    };
    char       *file = tempdir_path(tempdir, "x"), *link = tempdir_path(tempdir, "l");
    struct stat st;
    bamba_error err;
    size_t      n;

    (void)state;
    tempdir_write_text(tempdir, "x", "old");
    assert_int_equal(chmod(file, 0640), 0);
    assert_int_equal(symlink("x", link), 0);
    assert_int_equal(bb_outfile_put(&a, link, "new", 3, NULL), BAMBA_OK);
    assert_int_equal(lstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    unsigned char *bytes = tempdir_read(tempdir, "x", &n);
    assert_int_equal(n, 3);
    assert_memory_equal(bytes, "new", 3);
    free(bytes);

    char *dir = tempdir_path(tempdir, "d"), *pipe = tempdir_path(tempdir, "pipe");
    char *lost = tempdir_path(tempdir, "lost");
    assert_int_equal(mkdir(dir, 0777), 0);
    assert_int_equal(mkfifo(pipe, 0666), 0);
    assert_int_equal(symlink("nowhere", lost), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char *path = tempdir_path(tempdir, bad[i].name);
        assert_int_equal(bb_outfile_put(&a, path, "x", 1, &err), BAMBA_ERR_IO);
        assert_non_null(strstr(err.message, bad[i].words));
        assert_true(is_there(bad[i].name));
        free(path);
    }
    free(file), free(link), free(dir), free(pipe), free(lost);
}

static void test_directory(void **state)
{
    char      *path = tempdir_path(tempdir, "d");
    bb_outdir *d;
    struct stat st;

    (void)state;
    for (int finish = 0; finish < 2; finish++) {
        assert_int_equal(bb_outdir_create(&d, &a, path, NULL), BAMBA_OK);
        tempdir_write_text(bb_outdir_path(d), "one", "1");
        tempdir_write_text(bb_outdir_path(d), ".two", "2");
        assert_false(is_there("d"));
        if (finish) assert_int_equal(bb_outdir_finish(d, NULL), BAMBA_OK);
        bb_outdir_close(d);
        assert_true(is_alone(finish ? "d" : NULL));
    }
    const mode_t mask = umask(0);
    umask(mask);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0777 & ~mask);
    tempdir_empty(path);

    assert_int_equal(bb_outdir_create(&d, &a, path, NULL), BAMBA_OK); /* in place of an empty one */
    tempdir_write_text(bb_outdir_path(d), "one", "1");
    tempdir_write_text(path, "late", "");             /* that somebody fills meanwhile */
    bamba_error err;
    assert_int_equal(bb_outdir_finish(d, &err), BAMBA_ERR_IO);
    assert_non_null(strstr(err.message, "d: exists"));
    bb_outdir_close(d);
    bb_outdir_close(NULL);
    assert_true(is_alone("d"));
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_file, enter, leave),
        cmocka_unit_test_setup_teardown(test_no_file, enter, leave),
        cmocka_unit_test_setup_teardown(test_place, enter, leave),
        cmocka_unit_test_setup_teardown(test_directory, enter, leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
