/* What users name in place of a model directory, and what they are told. */
#include "load/directory.h"

#include "support/fault.h"
#include "support/tempdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* path must be refused with this message; "%s" in it stands for the path. NULL: accepted. */
static void expect(const char *path, const char *message)
{
    fault              f = { 0 };
    const bb_allocator a = fault_allocator(&f);
    bamba_error        err = { BAMBA_OK, "" };
    const bb_status    status = bb_directory_check(&a, path, "config.json", &err);
    const char        *mark = message ? strstr(message, "%s") : NULL;
    char               wanted[sizeof err.message];

    assert_int_equal(f.n_live, 0);
    assert_int_equal(status, message ? BAMBA_ERR_IO : BAMBA_OK);
    if (mark)
        snprintf(wanted, sizeof wanted, "%.*s%s%s", (int)(mark - message), message, path, mark + 2);
    else snprintf(wanted, sizeof wanted, "%s", message ? message : "");
    assert_string_equal(err.message, wanted);
}

static char *make_folder(const char *in, const char *name)
{
    char *path = tempdir_path(in, name);
    assert_int_equal(mkdir(path, 0700), 0);
    return path;
}

static void test_missing(void **state)
{
    static const char *const plain[] = { "nosuch", "./some/model", "../model", "a/b/c",
                                         "/a/b", "some/", "~me/model", "a b/c", "" };
    (void)state;
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        expect(plain[i], "%s: no such directory");
    expect("ibm-ai-platform/Bamba-9B-v2",
           "ibm-ai-platform/Bamba-9B-v2: no such directory; a model of that name in the "
           "Hugging Face hub is had by: hf download ibm-ai-platform/Bamba-9B-v2 (into the hub "
           "cache; it prints the directory)");
    expect("a.b/C_d.gguf", "a.b/C_d.gguf: no such directory; a model of that name in the "
           "Hugging Face hub is had by: hf download a.b/C_d.gguf (into the hub cache; it prints "
           "the directory)");
}

static void test_files(void **state)
{
    (void)state;
    tempdir_write_text(tempdir, "x.gguf", "GGUF");
    tempdir_write_text(tempdir, "x.safetensors", "x");
    char *path = tempdir_path(tempdir, "x.gguf");
    expect(path, "%s: GGUF is not read yet; expected a directory with config.json and "
           "model.safetensors");
    free(path);
    path = tempdir_path(tempdir, "x.safetensors");
    expect(path, "%s: expected a directory, found a file");
    free(path);
    expect(tempdir, "%s: expected config.json, found x.gguf: GGUF is not read yet");
    tempdir_write_text(tempdir, "config.json", "not looked at");
    expect(tempdir, NULL);
}

static void test_other_directories(void **state)
{
    char message[100] = "%s/config.json: no such file";

    (void)state;
    expect(tempdir, message);
    char *link = tempdir_path(tempdir, "link");
    assert_int_equal(symlink("nowhere", link), 0);
    expect(link, "link: a link to nowhere, which leads nowhere");
    assert_int_equal(unlink(link), 0);
    assert_int_equal(symlink(tempdir, link), 0);
    expect(link, message);
    free(link);
    link = tempdir_path(tempdir, "config.json");
    assert_int_equal(symlink("../../blobs/12", link), 0);
    expect(tempdir, "config.json: a link to ../../blobs/12, which leads nowhere: "
                    "download the model again");
    free(link);
}

/* A folder of the hub's cache, named in place of the snapshot in it. */
static void test_hub_cache(void **state)
{
    (void)state;
    char *folder = make_folder(tempdir, "models--ibm-ai-platform--Bamba-9B-v2");
    char *snapshots = make_folder(folder, "snapshots");
    expect(folder, "%s: a folder of the hub cache without a snapshot: run hf download "
           "ibm-ai-platform/Bamba-9B-v2");
    free(make_folder(snapshots, "8f2c"));
    expect(folder, "%s: a folder of the hub cache: the model is its snapshots/8f2c");
    free(snapshots);
    free(folder);
    folder = make_folder(tempdir, "renamed");
    free(make_folder(folder, "snapshots"));
    expect(folder, "%s: a folder of the hub cache without a snapshot");
    free(folder);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    for (size_t k = 1; k <= 2; k++) {
        fault              f = { .fail_at = k };
        const bb_allocator a = fault_allocator(&f);
        assert_int_equal(bb_directory_check(&a, tempdir, "config.json", NULL), BAMBA_ERR_MEMORY);
        assert_int_equal(f.n_live, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_missing),
        cmocka_unit_test_setup_teardown(test_files, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_other_directories, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_hub_cache, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_out_of_memory, tempdir_enter, tempdir_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
