/* session_times.c - what sessions, their files and the prefix cache cost, on random weights.
 *
 *     session_times SHAPE.json q4|bf16 FOLDER [TOKENS]
 *
 * A session of 64 tokens is saved to FOLDER and opened from it, beside plain writing and reading of
 * as many bytes; then a prompt of TOKENS (10,000) tokens is fed through an empty cache in FOLDER,
 * fed again, and fed with another last tenth. Nothing is kept in FOLDER. */
#include "bamba_measure.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { REPEATS = 7, SAVED_TOKENS = 64 };

static bamba_error err;

static void check(bamba_status status)
{
    if (status == BAMBA_OK) return;
    fprintf(stderr, "session_times: %s\n",
            err.message[0] ? err.message : bamba_status_string(status));
    exit(1);
}

static void expect(int is_so, const char *what)
{
    if (is_so) return;
    perror(what);
    exit(1);
}

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

/* As a careful program writes a file: under another name, to the disk, then renamed. */
static double write_plainly(const char *path, const char *bytes, size_t n)
{
    char         other[1040];
    const double start = now_ms();

    snprintf(other, sizeof other, "%s.other", path);
    const int fd = open(other, O_RDWR | O_CREAT | O_TRUNC, 0666);
    expect(fd >= 0, other);
    for (size_t at = 0; at < n;) {
        const ssize_t put = write(fd, bytes + at, n - at);
        expect(put > 0, other);
        at += (size_t)put;
    }
    expect(fsync(fd) == 0, other);
    close(fd);
    expect(rename(other, path) == 0, path);
    return now_ms() - start;
}

/* Into memory that is new, as that of a session is. */
static double read_plainly(const char *path, char **bytes, size_t n)
{
    const double start = now_ms();
    const int    fd = open(path, O_RDONLY);

    *bytes = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    expect(fd >= 0 && *bytes != MAP_FAILED, path);
    for (size_t at = 0; at < n;) {
        const ssize_t got = read(fd, *bytes + at, n - at);
        expect(got > 0, path);
        at += (size_t)got;
    }
    close(fd);
    return now_ms() - start;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v)
{
    qsort(v, REPEATS, sizeof *v, compare);
    return v[REPEATS / 2];
}

static bamba_session *create_session(const bamba_model *m, size_t n_context)
{
    bamba_session_options o = BAMBA_SESSION_OPTIONS;
    bamba_session        *s;

    o.n_context = n_context;
    check(bamba_session_create(&s, m, &o, &err));
    return s;
}

static void time_file(const bamba_model *m, bamba_engine *e, const int32_t *token,
                      const char *folder)
{
    double         save[REPEATS], plain[REPEATS], open_it[REPEATS], get[REPEATS];
    char           path[1024], plain_path[1024];
    struct stat    st;
    bamba_session *s = create_session(m, 4096), *again;

    snprintf(path, sizeof path, "%s/session_times", folder);
    snprintf(plain_path, sizeof plain_path, "%s/session_times_plain", folder);
    check(bamba_feed(e, s, token, SAVED_TOKENS, NULL, &err));
    check(bamba_session_save(s, path, NULL, &err));
    expect(stat(path, &st) == 0, path);
    const size_t n = (size_t)st.st_size;
    char        *bytes, *copy;
    read_plainly(path, &bytes, n);
    for (int i = 0; i < REPEATS; i++) {
        double start = now_ms();
        check(bamba_session_save(s, path, NULL, &err));
        save[i] = now_ms() - start;
        plain[i] = write_plainly(plain_path, bytes, n);
        start = now_ms();
        check(bamba_session_open(&again, m, path, NULL, &err));
        open_it[i] = now_ms() - start;
        bamba_session_free(again);
        get[i] = read_plainly(plain_path, &copy, n);
        munmap(copy, n);
    }
    const double a = median(save), b = median(plain), c = median(open_it), d = median(get);
    printf("session file %.1f MiB: save %.1f ms, writing %.1f ms, ratio %.2f; open %.1f ms, "
           "reading %.1f ms, ratio %.2f\n", (double)n / 0x1p20, a, b, a / b, c, d, c / d);
    unlink(path);
    unlink(plain_path);
    munmap(bytes, n);
    bamba_session_free(s);
}

static double feed_by_cache(const bamba_model *m, bamba_engine *e, const char *dir,
                            const int32_t *token, size_t n, size_t *reused)
{
    bamba_session *s = create_session(m, n + 1);
    const float   *logits;
    bamba_cache   *c;
    const double   start = now_ms();

    check(bamba_cache_open(&c, m, dir, NULL, &err));
    check(bamba_cache_feed(c, e, s, token, n, &logits, reused, &err));
    const double ms = now_ms() - start;
    bamba_cache_free(c);
    bamba_session_free(s);
    return ms;
}

static void remove_all(const char *dir)
{
    DIR           *d = opendir(dir);
    struct dirent *entry;

    while (d && (entry = readdir(d))) (void)unlinkat(dirfd(d), entry->d_name, 0);
    if (d) closedir(d);
    rmdir(dir);
}

static void time_cache(const bamba_model *m, bamba_engine *e, int32_t *token, size_t n,
                       const char *folder)
{
    char   dir[1024];
    size_t reused;

    snprintf(dir, sizeof dir, "%s/session_times_cache", folder);
    remove_all(dir);
    bamba_session *s = create_session(m, n + 1);
    const double   start = now_ms();
    check(bamba_feed(e, s, token, n, NULL, &err));
    const double none = now_ms() - start;
    bamba_session_free(s);
    const double first = feed_by_cache(m, e, dir, token, n, &reused);
    printf("prompt of %zu tokens: without a cache %.0f ms, into an empty one %.0f ms\n", n,
           none, first);
    const double second = feed_by_cache(m, e, dir, token, n, &reused);
    printf("again: %zu tokens reused, %.0f ms, %.1f %% of the first\n", reused, second,
           100.0 * second / first);
    for (size_t i = n - n / 10; i < n; i++) token[i] = (token[i] + 1) % 1000;
    const double shared = feed_by_cache(m, e, dir, token, n, &reused);
    printf("another last tenth: %zu tokens reused, %.0f ms, %.1f %% of the first\n", reused, shared,
           100.0 * shared / first);
    remove_all(dir);
}

int main(int argc, char **argv)
{
    bamba_model_options o = BAMBA_MODEL_OPTIONS;
    bamba_model        *m;
    bamba_engine       *e;

    if (argc < 4) {
        fprintf(stderr, "use: session_times SHAPE.json q4|bf16 FOLDER [TOKENS]\n");
        return 2;
    }
    const size_t n = argc > 4 ? (size_t)strtoul(argv[4], NULL, 10) : 10000;
    o.weight_type = strcmp(argv[2], "q4") == 0 ? BAMBA_TYPE_Q4 : BAMBA_TYPE_BF16;
    check(bamba_model_open_random(&m, argv[1], 1, &o, &err));
    check(bamba_engine_create(&e, m, NULL, &err));
    int32_t *token = malloc((n + SAVED_TOKENS) * sizeof *token);
    expect(token != NULL, "memory");
    for (size_t i = 0; i < n + SAVED_TOKENS; i++) token[i] = (int32_t)((i * i * 31 + i * 7) % 1000);
    time_file(m, e, token, argv[3]);
    if (n > 0) time_cache(m, e, token, n, argv[3]);
    free(token);
    bamba_engine_free(e);
    bamba_model_free(m);
    return 0;
}
