/* bench_model.c - from the name of a shape or a directory to a model that may be measured. */
#include "bench.h"

#include "console.h"
#include "machine.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int bench_find(bench_source *s, const char *name, size_t n_bytes, bool is_shape)
{
    const size_t size = sizeof s->name;

    s->is_shape = is_shape;
    if (snprintf(s->name, size, "%.*s", (int)n_bytes, name) >= (int)size ||
        (!is_shape && snprintf(s->config, size, "%s/config.json", s->name) >= (int)size))
        return console_fail("%s: the name is too long", name);
    if (!is_shape || machine_find_shape(s->name, s->config, size)) return EXIT_SUCCESS;
    return console_fail("no shape '%s': expected one of models/shapes (names there end in "
                        ".json), or a file", s->name);
}

static bamba_model_options model_options(const bench_options *o, int type, int kv_type)
{
    static char what[] = "loading";
    bamba_model_options m = BAMBA_MODEL_OPTIONS;

    m.weight_type = (bamba_type)type;
    m.kv_type = (bamba_type)kv_type;
    m.cpu = o->cpu;
    m.n_threads = o->threads.value[0];
    m.copy_weights = o->copy;
    m.progress = console_progress;
    m.progress_context = what;
    m.log = console_log;
    return m;
}

/* Bytes that the sessions of the most demanding test hold. */
static uint64_t count_sessions(const bamba_model *config, const bench_options *o)
{
    const int prompt = o->prompts.largest, generated = o->generated.largest;
    const int n = o->depths.largest + (prompt > generated ? prompt : generated);
    const int n_sessions = o->sequences.largest + (o->real_fill != 0);    /* one is copied */

    return (uint64_t)n_sessions * bamba_model_state_bytes(config, (size_t)n);
}

int bench_check(const bench_source *s, const bench_options *o, int type, int kv_type,
                bool with_sessions, uint64_t *weights)
{
    const bamba_model_options m = model_options(o, type, kv_type);
    bamba_error err = { BAMBA_OK, "" };
    bamba_model *config = NULL;
    bamba_model_info info = BAMBA_MODEL_INFO;
    char needed[32], have[32];
    const bamba_status status = bamba_model_open_config(&config, s->config, &m, &err);

    if (status != BAMBA_OK) return console_fail_library(status, &err);
    bamba_model_info_get(config, &info);
    const uint64_t sessions = with_sessions ? count_sessions(config, o) : 0;
    bamba_model_free(config);

    const uint64_t mapped = s->is_shape || o->copy ? 0 : info.mapped_bytes;
    const uint64_t all = info.mapped_bytes + info.resident_bytes;
    const uint64_t allocated = all - mapped + sessions;
    const uint64_t free_bytes = bamba_free_memory();
    if (weights) *weights = all;
    if (allocated <= free_bytes) return EXIT_SUCCESS;
    bench_bytes((double)allocated, needed, sizeof needed);
    bench_bytes((double)free_bytes, have, sizeof have);
    if (!with_sessions)
        return console_fail("out of memory: the weights of %s need %s, %s are free", s->name,
                            needed, have);
    return console_fail("out of memory: %s needs %s (weights %.0f MiB, sessions %.0f MiB), %s are "
                        "free", s->name, needed, (double)(all - mapped) / 0x1p20,
                        (double)sessions / 0x1p20, have);
}

/* Makes "hybrid-1b BF16" of "dir/hybrid-1b.json" or "dir/hybrid-1b/". */
static void name_type(bench_model *m)
{
    static const char *const types[] = { "?", "F32", "BF16", "F16" };
    const char *name = m->source->name;
    size_t end = strlen(name);

    while (end > 1 && name[end - 1] == '/') end--;
    size_t begin = end;
    while (begin > 0 && name[begin - 1] != '/') begin--;
    if (end - begin > 5 && memcmp(name + end - 5, ".json", 5) == 0) end -= 5;
    const int n = end - begin < 47 ? (int)(end - begin) : 47;
    snprintf(m->type, sizeof m->type, "%.*s %s", n, name + begin,
             types[m->info.weight_type & 3]);
}

/* Reads one file through its pages; adds its bytes, and nanoseconds if they are known. */
static void read_file(bamba_probe *probe, const char *path, bench_cost *c)
{
    struct stat st;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) return;
    const size_t n = fstat(fd, &st) == 0 && st.st_size >= 64 ? (size_t)st.st_size : 0;
    void *map = n ? mmap(NULL, n, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    close(fd);
    if (map == MAP_FAILED) return;
    bamba_probe_read(probe, map, n);      /* fills the page tables */
    const double speed = bamba_probe_read(probe, map, n);
    munmap(map, n);
    if (speed <= 0.0) return;
    c->bytes += (double)n;
    c->ns += (double)n / speed;
}

/* Gives the speed of reading the mapped files of a directory once; 0 for a shape. */
static double read_mapped(bamba_probe *probe, const bench_source *s)
{
    static const char end[] = ".safetensors";
    bench_cost all = { 0.0, 0.0, 0.0 };
    DIR *dir = s->is_shape ? NULL : opendir(s->name);

    for (struct dirent *d; dir && (d = readdir(dir));) {
        const size_t n = strlen(d->d_name);
        char path[8192];
        if (n < sizeof end || strcmp(d->d_name + n - (sizeof end - 1), end) != 0) continue;
        if (snprintf(path, sizeof path, "%s/%s", s->name, d->d_name) < (int)sizeof path)
            read_file(probe, path, &all);
    }
    if (dir) closedir(dir);
    return all.ns > 0.0 ? all.bytes / all.ns : 0.0;
}

int bench_open(bench_model *m, const bench_source *s, const bench_options *o, int type,
               int kv_type)
{
    const bamba_model_options mo = model_options(o, type, kv_type);
    const uint64_t seed = (uint64_t)o->seed;
    bamba_error err = { BAMBA_OK, "" };

    *m = (bench_model){ .options = o, .source = s, .info = BAMBA_MODEL_INFO };
    bamba_status status = s->is_shape
                              ? bamba_model_open_random(&m->model, s->config, seed, &mo, &err)
                              : bamba_model_open(&m->model, s->name, &mo, &err);
    console_progress_clear();
    if (status == BAMBA_OK) status = bamba_model_info_get(m->model, &m->info);
    if (status != BAMBA_OK) return console_fail_library(status, &err);
    name_type(m);
    return EXIT_SUCCESS;
}

static void stop(bench_model *m)
{
    bamba_engine_free(m->engine);
    bamba_probe_free(m->probe);
    m->engine = NULL;
    m->probe = NULL;
}

int bench_start(bench_model *m, int n_threads)
{
    bamba_engine_options eo = BAMBA_ENGINE_OPTIONS;
    bamba_probe_options po = BAMBA_PROBE_OPTIONS;
    bamba_error err = { BAMBA_OK, "" };

    stop(m);
    eo.n_threads = po.n_threads = n_threads;
    eo.pin = po.pin = m->options->pin;
    eo.n_batch = m->options->n_batch;
    eo.n_logits = m->options->sequences.largest;
    eo.cancel = console_cancel;
    bamba_status status = bamba_engine_create(&m->engine, m->model, &eo, &err);
    if (status == BAMBA_OK) status = bamba_probe_create(&m->probe, &po, &err);
    if (status != BAMBA_OK) return console_fail_library(status, &err);
    m->mapped_gbs = read_mapped(m->probe, m->source);
    return EXIT_SUCCESS;
}

void bench_close(bench_model *m)
{
    stop(m);
    bamba_model_free(m->model);
    m->model = NULL;
}
