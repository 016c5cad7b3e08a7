/* test_cache.c - prompts that go on from states that earlier ones left on disk: the same logits to
 * the bit, with fewer tokens fed; damage, the budget, several processes, processes that are killed.
 *
 * Long because one model, its texts and `expect`, which feeds them, serve every test here. */
#include "bamba.h"

#include "support/running.h"
#include "support/tempdir.h"
#include "support/tiny.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { V = 96, N = 700, INTERVAL = 128 };

static char        *root;                 /* of the model, and of cache directories */
static char         dir[300];
static bamba_error  err;
static bamba_model *model;
static size_t       n_window;             /* of sessions; 0: none */
static int          n_lines;              /* that the log was told */
static char         line[300];

static void note(void *context, const char *text)
{
    (void)context;
    n_lines++;
    snprintf(line, sizeof line, "%s", text);
}

static void open_model(uint64_t seed)
{
    tiny_dims d = TINY_DIMS;

    d.seed = seed;
    d.n_context = 1024;
    tiny_write(&d, root);
    assert_int_equal(bamba_model_open(&model, root, NULL, &err), BAMBA_OK);
}

static int set_up(void **unused)
{
    (void)unused;
    root = tempdir_make();
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    tempdir_remove(root);
    return 0;
}

static int begin(void **unused)
{
    static int number;

    (void)unused;
    snprintf(dir, sizeof dir, "%s/cache%d", root, number++);
    n_lines = 0;
    n_window = 0;
    open_model(1);
    return 0;
}

static int end(void **unused)
{
    (void)unused;
    bamba_model_free(model);
    return 0;
}

/* Token t of text number `kind`; texts are the same up to `shared`. */
static int32_t token_of(int kind, int shared, int t)
{
    return t < shared ? (t * 31 + 7) % V : (t * 17 + kind * 5 + t * t) % V;
}

typedef struct run {
    float  logits[V];
    size_t reused;
} run;

static bamba_cache *open_cache(uint64_t max_bytes)
{
    bamba_cache_options o = BAMBA_CACHE_OPTIONS;
    bamba_cache        *c;

    o.max_bytes = max_bytes;
    o.interval = INTERVAL - 30;           /* rounded up */
    o.log = note;
    if (bamba_cache_open(&c, model, dir, &o, &err) != BAMBA_OK) fail_msg("%s", err.message);
    return c;
}

/* Feed a text's first n tokens, by the cache or without one. */
static run feed(bamba_cache *c, int kind, int shared, int n)
{
    bamba_engine_options o = BAMBA_ENGINE_OPTIONS;
    bamba_engine        *e;
    bamba_session       *s;
    const float         *logits;
    int32_t              token[N];
    run                  r = { .reused = 0 };

    o.n_threads = 1;
    for (int t = 0; t < n; t++) token[t] = token_of(kind, shared, t);
    assert_int_equal(bamba_engine_create(&e, model, &o, &err), BAMBA_OK);
    bamba_session_options so = BAMBA_SESSION_OPTIONS;
    so.n_window = n_window;
    assert_int_equal(bamba_session_create(&s, model, &so, &err), BAMBA_OK);
    const bamba_status status = c ? bamba_cache_feed(c, e, s, token, (size_t)n, &logits,
                                                     &r.reused, &err)
                                  : bamba_feed(e, s, token, (size_t)n, &logits, &err);
    if (status != BAMBA_OK) fail_msg("%s", err.message);
    assert_int_equal(bamba_session_position(s), n);
    memcpy(r.logits, logits, sizeof r.logits);
    bamba_session_free(s);
    bamba_engine_free(e);
    return r;
}

static void expect(bamba_cache *c, int kind, int shared, int n, size_t reused)
{
    const run fresh = feed(NULL, kind, shared, n), found = feed(c, kind, shared, n);

    if (found.reused != reused || memcmp(found.logits, fresh.logits, sizeof fresh.logits) != 0)
        print_message("text %d, shared %d, %d tokens, %zu reused\n", kind, shared, n, found.reused);
    assert_int_equal(found.reused, reused);
    assert_memory_equal(found.logits, fresh.logits, sizeof fresh.logits);
}

/* The files of a directory with that part of a name: their number, and all their bytes. */
static int count_in(const char *where, const char *part, uint64_t *bytes)
{
    DIR           *d = opendir(where);
    struct dirent *entry;
    struct stat    st;
    char           path[600];
    int            n = 0;

    *bytes = 0;
    while ((entry = readdir(d))) {
        if (!strstr(entry->d_name, part)) continue;
        snprintf(path, sizeof path, "%s/%s", where, entry->d_name);
        if (stat(path, &st) == 0) *bytes += (uint64_t)st.st_size;
        n++;
    }
    closedir(d);
    return n;
}

static int count_files(const char *part, uint64_t *bytes) { return count_in(dir, part, bytes); }

/* A stored state is used only by sessions of the window it was stored with. With a window its file
   needs none of the text before it. */
static void test_windows(void **unused)
{
    (void)unused;
    if (!running_is_exact(model)) skip();
    bamba_cache *c = open_cache(0);
    expect(c, 1, 0, 600, 0);
    n_window = 100;
    expect(c, 1, 0, 600, 0);
    expect(c, 1, 0, 700, 512);
    expect(c, 2, 450, 600, 0);
    expect(c, 3, 450, 600, 384);
    n_window = 101;
    expect(c, 1, 0, 700, 0);
    n_window = 100;
    expect(c, 1, 0, 700, 640);
    n_window = 0;
    expect(c, 1, 0, 700, 512);
    assert_int_equal(n_lines, 0);
    bamba_cache_free(c);
}

static void test_goes_on(void **unused)
{
    uint64_t bytes;

    (void)unused;
    if (!running_is_exact(model)) skip();
    bamba_cache *c = open_cache(0);
    expect(c, 1, 0, 600, 0);
    expect(c, 1, 0, 600, 512);            /* the last edge with over 32 tokens behind it is 512 */
    expect(c, 1, 0, 700, 512);            /* longer: from the same state */
    expect(c, 1, 0, 700, 640);
    expect(c, 1, 0, 300, 256);            /* shorter */
    expect(c, 1, 0, 20, 0);
    expect(c, 5, 0, 540, 0);              /* fed whole, its last 28 tokens are few: so here */
    expect(c, 5, 0, 540, 512);
    expect(c, 5, 0, 545, 512);
    bamba_cache_free(c);

    c = open_cache(0);                    /* another run */
    expect(c, 1, 0, 700, 640);
    expect(c, 2, 450, 600, 0);            /* nothing in common */
    expect(c, 3, 450, 600, 384);          /* 450 tokens in common: from 3 · 128 … */
    expect(c, 4, 450, 600, 448);          /* … and once more from where they parted */
    expect(c, 3, 450, 600, 512);
    assert_int_equal(n_lines, 0);
    assert_true(count_files(".tmp-", &bytes) == 0);
    bamba_cache_free(c);

    bamba_model_free(model);              /* another model finds nothing, and disturbs nothing */
    open_model(2);
    c = open_cache(0);
    expect(c, 1, 0, 700, 0);
    expect(c, 1, 0, 700, 640);
    bamba_cache_free(c);
    bamba_model_free(model);
    open_model(1);
    c = open_cache(0);
    expect(c, 1, 0, 700, 640);
    bamba_cache_free(c);
}

/* What the caller stores (bamba_cache_store) is found again, at whatever position it ends. */
static void test_turns(void **unused)
{
    bamba_engine  *e;
    bamba_session *s;
    int32_t        token[N];
    const float   *logits;
    size_t         reused;

    (void)unused;
    bamba_cache *c = open_cache(0);
    for (int t = 0; t < N; t++) token[t] = token_of(1, 0, t);
    assert_int_equal(bamba_engine_create(&e, model, NULL, &err), BAMBA_OK);
    assert_int_equal(bamba_session_create(&s, model, NULL, &err), BAMBA_OK);
    assert_int_equal(bamba_cache_store(c, s, &err), BAMBA_ERR_ARGUMENT);
    assert_int_equal(bamba_cache_feed(c, e, s, token, 200, &logits, NULL, &err), BAMBA_OK);
    for (int t = 200; t < 217; t++)
        assert_int_equal(bamba_feed(e, s, token + t, 1, NULL, &err), BAMBA_OK);
    assert_int_equal(bamba_cache_store(c, s, &err), BAMBA_OK);
    assert_int_equal(bamba_cache_feed(c, e, s, token, 200, &logits, NULL, &err),
                     BAMBA_ERR_ARGUMENT);
    float expected[V];
    assert_int_equal(bamba_feed(e, s, token + 217, 30, &logits, &err), BAMBA_OK);
    memcpy(expected, logits, sizeof expected);
    bamba_session_reset(s);
    assert_int_equal(bamba_cache_feed(c, e, s, token, 247, &logits, &reused, &err), BAMBA_OK);
    assert_int_equal(reused, 217);
    assert_memory_equal(logits, expected, sizeof expected);
    bamba_session_free(s);
    bamba_engine_free(e);
    bamba_cache_free(c);
}

/* Damaged and foreign files: a line, and the right logits. */
static void test_damage(void **unused)
{
    uint64_t bytes;

    (void)unused;
    if (!running_is_exact(model)) skip();
    bamba_cache *c = open_cache(0);
    expect(c, 1, 0, 600, 0);
    const int n = count_files(".state.safetensors", &bytes);
    assert_true(n >= 4);
    DIR           *d = opendir(dir);
    struct dirent *entry;
    char           path[600];
    while ((entry = readdir(d))) {        /* a byte in the middle of each, then files cut off */
        if (!strstr(entry->d_name, ".state.safetensors")) continue;
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        FILE *f = fopen(path, "r+b");
        fseek(f, 0, SEEK_END);
        const long size = ftell(f);
        fseek(f, size / 2, SEEK_SET);
        const int byte = fgetc(f);
        fseek(f, size / 2, SEEK_SET);
        fputc(byte ^ 4, f);
        fclose(f);
    }
    closedir(d);
    expect(c, 1, 0, 600, 0);
    assert_true(n_lines > 0);
    assert_non_null(strstr(line, "is damaged, and removed"));
    bamba_cache_free(c);
    c = open_cache(0);
    n_lines = 0;
    expect(c, 1, 0, 600, 512);
    snprintf(path, sizeof path, "%s/0123456789abcdef-0123456789abcdef-0000000000000000-0-64.state."
             "safetensors", dir);
    FILE *f = fopen(path, "wb");
    fputs("nothing", f);
    fclose(f);
    expect(c, 1, 0, 600, 512);            /* of another key: not looked at */
    assert_int_equal(n_lines, 0);
    bamba_cache_free(c);
}

/* What exceeds the budget goes, children first, and what is left is used. */
static void test_budget(void **unused)
{
    uint64_t bytes, all;

    (void)unused;
    if (!running_is_exact(model)) skip();
    bamba_cache *c = open_cache(0);
    expect(c, 1, 0, 700, 0);
    const int n = count_files(".state.safetensors", &all);
    bamba_cache_free(c);
    c = open_cache(all / 2);
    expect(c, 2, 0, 700, 0);
    assert_true(count_files(".state.safetensors", &bytes) < 2 * n);
    assert_true(bytes <= all / 2);
    for (int kind = 3; kind < 8; kind++) expect(c, kind, 0, 300 + 40 * kind, 0);
    count_files(".state.safetensors", &bytes);
    assert_true(bytes <= all / 2);
    bamba_cache_free(c);
}

/* A killed process may leave a temporary file: after an hour it goes, and no other file does. */
static void test_stale(void **unused)
{
    static const char *const names[] = {
        "0123456789abcdef-0123456789abcdef-0000000000000000-0-64.state.safetensors.tmp-0a1b2c",
        "mine.tmp-0a1b2c", "0123456789abcdef-0-0-0-64.state.safetensors.tmp-0a1b2c",
    };
    const struct timespec old[2] = { { .tv_nsec = UTIME_NOW }, { time(NULL) - 2 * 3600, 0 } };
    uint64_t              bytes;
    char                  path[600];

    (void)unused;
    bamba_cache *c = open_cache(0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        FILE *f = fopen(path, "wb");
        assert_non_null(f);
        fclose(f);
    }
    feed(c, 1, 0, 200);
    assert_int_equal(count_files(".tmp-", &bytes), 3);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
    }
    feed(c, 1, 0, 200);
    assert_int_equal(count_files(".tmp-", &bytes), 2);
    assert_int_equal(count_files("0123456789abcdef-0000000000000000-0-64.state.safetensors.tmp-",
                                 &bytes), 0);
    bamba_cache_free(c);
}

/* The life of a process that will be killed: states of a text, longer and longer ones, go to a
   session's file and to the cache. */
static void write_on_and_on(const char *path)
{
    enum { LONGEST = 320, EXTRAS = 1 << 20 };
    static char    extras[EXTRAS + 1];    /* make most of the time that of writing */
    bamba_engine  *e;
    bamba_session *s;
    int32_t        token[N];

    for (int t = 0; t < N; t++) token[t] = token_of(1, 0, t);
    memset(extras, ' ', EXTRAS);
    bamba_cache *c = open_cache(0);
    if (bamba_engine_create(&e, model, NULL, &err) != BAMBA_OK) _exit(1);
    if (bamba_session_create(&s, model, NULL, &err) != BAMBA_OK) _exit(1);
    for (int kind = 1;; kind++)
        for (int n = 0; n < LONGEST; n++) {
            if (n == 0) bamba_session_reset(s);
            token[n] = token_of(kind % 5, 0, n);
            if (bamba_feed(e, s, token + n, 1, NULL, &err) != BAMBA_OK) _exit(2);
            if (bamba_session_save(s, path, extras, &err) != BAMBA_OK) _exit(3);
            if (bamba_cache_store(c, s, &err) != BAMBA_OK) _exit(4);
        }
}

/* A session whose tokens were fed one by one goes on as a fresh one that is fed the same. */
static void expect_goes_on(bamba_engine *e, bamba_session *s)
{
    const int      n = (int)bamba_session_position(s);
    const int32_t *token = bamba_session_tokens(s), next = 3;
    bamba_session *fresh;
    const float   *logits;
    float          expected[V];

    assert_int_equal(bamba_session_create(&fresh, model, NULL, &err), BAMBA_OK);
    for (int t = 0; t < n; t++)
        assert_int_equal(bamba_feed(e, fresh, token + t, 1, NULL, &err), BAMBA_OK);
    assert_int_equal(bamba_feed(e, fresh, &next, 1, &logits, &err), BAMBA_OK);
    memcpy(expected, logits, sizeof expected);
    assert_int_equal(bamba_feed(e, s, &next, 1, &logits, &err), BAMBA_OK);
    assert_memory_equal(logits, expected, sizeof expected);
    bamba_session_free(fresh);
}

/* Whether the file of a session exists. If it does it must open, and go on as it should. */
static bool expect_whole(const char *path)
{
    bamba_engine  *e;
    bamba_session *s;

    if (access(path, F_OK) != 0) return false;
    assert_int_equal(bamba_engine_create(&e, model, NULL, &err), BAMBA_OK);
    if (bamba_session_open(&s, model, path, NULL, &err) != BAMBA_OK) fail_msg("%s", err.message);
    expect_goes_on(e, s);
    bamba_session_free(s);
    bamba_engine_free(e);
    return true;
}

/* The first n tokens of a text are in the cache, as they were stored. */
static void expect_stored(bamba_cache *c, int kind, int n)
{
    bamba_engine  *e;
    bamba_session *s;
    int32_t        token[N];
    size_t         reused;

    for (int t = 0; t <= n; t++) token[t] = token_of(kind, 0, t);
    assert_int_equal(bamba_engine_create(&e, model, NULL, &err), BAMBA_OK);
    assert_int_equal(bamba_session_create(&s, model, NULL, &err), BAMBA_OK);
    assert_int_equal(bamba_cache_feed(c, e, s, token, (size_t)n + 1, NULL, &reused, &err),
                     BAMBA_OK);
    assert_int_equal(reused, n);
    expect_goes_on(e, s);
    bamba_session_free(s);
    bamba_engine_free(e);
}

/* Killed at any moment, also between the parts of a file: each file that is there is whole. */
static void test_killed(void **unused)
{
    enum { KILLS = 100 };
    char     path[600];
    uint64_t bytes;
    int      result, n_whole = 0;

    (void)unused;
    if (getenv("BAMBA_TEST_EMULATED")) skip();        /* minutes */
    snprintf(path, sizeof path, "%s/session", root);
    for (int i = 0; i < KILLS; i++) {
        const struct timespec pause = { 0, (i * 7919L + 101) % 997 * 60000 };         /* to 60 ms */
        const pid_t           child = fork();
        assert_true(child >= 0);
        if (child == 0) write_on_and_on(path);
        nanosleep(&pause, NULL);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &result, 0), child);
        assert_true(WIFSIGNALED(result) && WTERMSIG(result) == SIGKILL);
        n_whole += expect_whole(path);
    }
    bamba_cache *c = open_cache(0);       /* the files of all of them */
    for (int kind = 0; kind < 5; kind++) {
        const int n = (int)feed(c, kind, 0, 400).reused;
        if (n > 0) expect_stored(c, kind, n);
    }
    assert_int_equal(n_lines, 0);         /* none is damaged */
    print_message("of %d times: %d found a session; cut short: %d sessions, %d states in the "
                  "cache\n", KILLS, n_whole, count_in(root, ".tmp-", &bytes),
                  count_files(".tmp-", &bytes));
    bamba_cache_free(c);
}

/* A process that saves a session of n tokens, or stores it in the cache, and stops before it
   begins. */
static pid_t start_writer(const char *path, int n, bool to_cache)
{
    const pid_t    child = fork();
    bamba_engine  *e;
    bamba_session *s;

    assert_true(child >= 0);
    if (child > 0) return child;
    bamba_cache *c = open_cache(0);
    if (bamba_engine_create(&e, model, NULL, &err) != BAMBA_OK) _exit(1);
    if (bamba_session_create(&s, model, NULL, &err) != BAMBA_OK) _exit(1);
    for (int t = 0; t < n; t++) {
        const int32_t token = token_of(n, 0, t);
        if (bamba_feed(e, s, &token, 1, NULL, &err) != BAMBA_OK) _exit(1);
    }
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) _exit(77);
    raise(SIGSTOP);
    const bamba_status status = to_cache ? bamba_cache_store(c, s, &err)
                                         : bamba_session_save(s, path, NULL, &err);
    _exit(status == BAMBA_OK ? 0 : 2);
}

/* Let the process of start_writer make `calls` system calls, then kill it. Its exit code if it had
   ended before, -1 if it was killed. */
static int run_writer(pid_t child, int calls)
{
    int result;

    assert_int_equal(waitpid(child, &result, 0), child);
    for (int i = 0; i < 2 * calls && WIFSTOPPED(result); i++) {      /* each stops twice */
        assert_int_equal(ptrace(PTRACE_SYSCALL, child, NULL, NULL), 0);
        assert_int_equal(waitpid(child, &result, 0), child);
    }
    if (WIFEXITED(result)) return WEXITSTATUS(result);
    kill(child, SIGKILL);
    while (waitpid(child, &result, 0) == child && !WIFSIGNALED(result) && !WIFEXITED(result))
        continue;
    return -1;
}

/* A process that is killed while it replaces a file leaves the old one or the new one: tried behind
   each of its system calls. */
static void test_killed_behind_each_call(void **unused)
{
    enum { OLD = 70, NEW = 90 };
    char     path[600];
    uint64_t bytes;
    int      code, n_killed;

    (void)unused;
    if (getenv("BAMBA_TEST_EMULATED")) skip();
    snprintf(path, sizeof path, "%s/traced", root);
    for (int to_cache = 0; to_cache < 2; to_cache++) {
        code = run_writer(start_writer(path, OLD, to_cache), INT_MAX / 2);
        if (code == 77) skip();           /* no tracing here */
        assert_int_equal(code, 0);
        n_killed = 0;
        while ((code = run_writer(start_writer(path, NEW, to_cache), n_killed)) == -1) {
            n_killed++;
            if (!to_cache) expect_whole(path);
        }
        assert_int_equal(code, 0);
        assert_true(n_killed > 8);        /* make, write, sync, rename a file, sync its directory */
    }
    assert_true(count_files(".tmp-", &bytes) > 0);
    bamba_cache *c = open_cache(0);
    expect_stored(c, OLD, OLD);
    expect_stored(c, NEW, NEW);
    assert_int_equal(n_lines, 0);         /* none is damaged */
    bamba_cache_free(c);
}

/* A directory that cannot be written: a line to the log, no error. */
static void test_no_disk(void **unused)
{
    (void)unused;
    bamba_cache *c = open_cache(0);
    assert_int_equal(rmdir(dir), 0);
    expect(c, 1, 0, 300, 0);
    expect(c, 1, 0, 300, 0);
    assert_true(n_lines > 0);
    bamba_cache_free(c);
    snprintf(dir, sizeof dir, "%s/none/cache", root);
    assert_int_equal(bamba_cache_open(&c, model, dir, NULL, &err), BAMBA_ERR_IO);
    assert_int_equal(bamba_cache_open(&c, NULL, dir, NULL, &err), BAMBA_ERR_ARGUMENT);
}

/* Four processes on one directory, with a budget that makes files come and go. */
static void test_processes(void **unused)
{
    enum { PROCESSES = 4, ROUNDS = 25, TEXTS = 6 };
    static run expected[TEXTS];
    pid_t      child[PROCESSES];
    int        result;

    (void)unused;
    if (!running_is_exact(model)) skip();
    for (int i = 0; i < TEXTS; i++) expected[i] = feed(NULL, i / 2, 200, 250 + 70 * i);
    for (int p = 0; p < PROCESSES; p++) {
        child[p] = fork();
        assert_true(child[p] >= 0);
        if (child[p] > 0) continue;
        bamba_cache *c = open_cache(150000);
        int          bad = 0;
        for (int r = 0; r < ROUNDS; r++) {
            const int i = (r * 5 + p * 3 + r * r) % TEXTS;
            const run found = feed(c, i / 2, 200, 250 + 70 * i);
            bad += memcmp(found.logits, expected[i].logits, sizeof found.logits) != 0;
        }
        bamba_cache_free(c);
        _exit(bad > 0 || n_lines > 0);
    }
    for (int p = 0; p < PROCESSES; p++) {
        assert_int_equal(waitpid(child[p], &result, 0), child[p]);
        assert_true(WIFEXITED(result));
        assert_int_equal(WEXITSTATUS(result), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_goes_on, begin, end),
        cmocka_unit_test_setup_teardown(test_windows, begin, end),
        cmocka_unit_test_setup_teardown(test_turns, begin, end),
        cmocka_unit_test_setup_teardown(test_damage, begin, end),
        cmocka_unit_test_setup_teardown(test_budget, begin, end),
        cmocka_unit_test_setup_teardown(test_stale, begin, end),
        cmocka_unit_test_setup_teardown(test_killed, begin, end),
        cmocka_unit_test_setup_teardown(test_killed_behind_each_call, begin, end),
        cmocka_unit_test_setup_teardown(test_no_disk, begin, end),
        cmocka_unit_test_setup_teardown(test_processes, begin, end),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
