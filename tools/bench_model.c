/* bench_model.c - from the name of a shape or a directory to a model that may be measured. */
#include "bench.h"

#include "console.h"
#include "machine.h"
#include "setup.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

const char *bench_bytes(uint64_t bytes, char *out, size_t size)
{
    const bool gib = bytes >= (uint64_t)1 << 30;
    snprintf(out, size, "%.2f %s", (double)bytes / (gib ? 0x1p30 : 0x1p20),
             gib ? "GiB" : "MiB");
    return out;
}

int bench_find_shape(bench_source *s, const char *name)
{
    s->name = name;
    s->is_shape = true;
    if (machine_find_shape(name, s->config, sizeof s->config)) return EXIT_SUCCESS;
    return console_fail("no shape '%s': expected one of models/shapes (names there end in "
                        ".json), or a file", name);
}

int bench_find_checkpoint(bench_source *s, const char *dir)
{
    s->name = dir;
    s->is_shape = false;
    if (snprintf(s->config, sizeof s->config, "%s/config.json", dir) < (int)sizeof s->config)
        return EXIT_SUCCESS;
    return console_fail("%s: the name is too long", dir);
}

/* Most memory that sessions of the tests hold. */
static uint64_t session_bytes_of(const bamba_model *config, const bench_options *o)
{
    int longest = 0, deepest = 0, most = 1;

    for (size_t i = 0; i < o->prompts.n; i++)
        if (o->prompts.value[i] > longest) longest = o->prompts.value[i];
    for (size_t i = 0; i < o->generated.n; i++)
        if (o->generated.value[i] > longest) longest = o->generated.value[i];
    for (size_t i = 0; i < o->depths.n; i++)
        if (o->depths.value[i] > deepest) deepest = o->depths.value[i];
    for (size_t i = 0; i < o->sequences.n; i++)
        if (o->sequences.value[i] > most) most = o->sequences.value[i];
    if (o->real_fill) most++;             /* the one the others are copied from */
    return (uint64_t)most * bamba_model_state_bytes(config, (size_t)deepest + (size_t)longest);
}

static bamba_model_options model_options(const bench_options *o, int type, int kv_type,
                                         int n_threads)
{
    static char what[] = "loading";
    bamba_model_options m = BAMBA_MODEL_OPTIONS;

    m.weight_type = (bamba_type)type;
    m.kv_type = (bamba_type)kv_type;
    m.cpu = o->cpu;
    m.n_threads = n_threads;
    m.copy_weights = o->copy;
    m.progress = console_progress;
    m.progress_context = what;
    m.log = console_log;
    return m;
}

int bench_check(const bench_source *s, const bench_options *o, int type, int kv_type)
{
    const bamba_model_options m = model_options(o, type, kv_type, 0);
    bamba_error err = { BAMBA_OK, "" };
    bamba_model *config = NULL;
    bamba_model_info info = BAMBA_MODEL_INFO;
    char needed[32], have[32];
    const bamba_status status = bamba_model_open_config(&config, s->config, &m, &err);

    if (status != BAMBA_OK) return console_fail_library(status, &err);
    bamba_model_info_get(config, &info);
    const uint64_t sessions = session_bytes_of(config, o);
    bamba_model_free(config);

    const bool     anonymous = s->is_shape || o->copy;
    const uint64_t weights = anonymous ? info.mapped_bytes + info.resident_bytes
                                       : info.resident_bytes;
    const uint64_t all = weights + sessions;
    const uint64_t free_bytes = bamba_free_memory();
    if (all <= free_bytes) return EXIT_SUCCESS;
    return console_fail("out of memory: %s needs %s (weights %.0f MiB, sessions %.0f MiB), %s are "
                        "free", s->name, bench_bytes(all, needed, sizeof needed),
                        (double)weights / 0x1p20, (double)sessions / 0x1p20,
                        bench_bytes(free_bytes, have, sizeof have));
}

/* "dir/hybrid-1b.json" or "dir/model/" → "hybrid-1b", "model". */
static void short_name(const bench_source *s, char *out, size_t size)
{
    size_t end = strlen(s->name);

    while (end > 1 && s->name[end - 1] == '/') end--;
    size_t begin = end;
    while (begin > 0 && s->name[begin - 1] != '/') begin--;
    if (end - begin > 5 && memcmp(s->name + end - 5, ".json", 5) == 0) end -= 5;
    snprintf(out, size, "%.*s", (int)(end - begin), s->name + begin);
}

int bench_open(bench_model *m, const bench_source *s, const bench_options *o, int type,
               int kv_type, int n_threads)
{
    static const char *const names[] = { "?", "F32", "BF16", "F16" };
    bamba_model_options options = model_options(o, type, kv_type, n_threads);
    bamba_error err = { BAMBA_OK, "" };
    bamba_status status;
    char dir[4096], name[48];

    *m = (bench_model){ .source = s, .info = BAMBA_MODEL_INFO };
    if (s->is_shape) {
        status = bamba_model_open_random(&m->model, s->config, (uint64_t)o->seed, &options,
                                         &err);
    } else {
        snprintf(dir, sizeof dir, "%s", s->name);
        status = bamba_model_open(&m->model, dir, &options, &err);
    }
    console_progress_clear();
    if (status == BAMBA_OK) status = bamba_model_info_get(m->model, &m->info);
    if (status != BAMBA_OK) return console_fail_library(status, &err);
    short_name(s, name, sizeof name);
    snprintf(m->type, sizeof m->type, "%s %s", name, names[m->info.weight_type & 3]);
    return EXIT_SUCCESS;
}

void bench_close(bench_model *m)
{
    bamba_model_free(m->model);
    m->model = NULL;
}

/* -------------------------------------------------------------- mapped pages -------------- */

/* Read one file through its pages; adds bytes and seconds. */
static void read_file(bamba_probe *probe, const char *path, double *bytes, double *ns)
{
    struct stat st;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) return;
    if (fstat(fd, &st) == 0 && st.st_size >= 64) {
        const size_t n = (size_t)st.st_size;
        void *map = mmap(NULL, n, PROT_READ, MAP_SHARED, fd, 0);
        if (map != MAP_FAILED) {
            bamba_probe_read(probe, map, n);          /* page tables */
            const double speed = bamba_probe_read(probe, map, n);
            if (speed > 0.0) {
                *bytes += (double)n;
                *ns += (double)n / speed;
            }
            munmap(map, n);
        }
    }
    close(fd);
}

double bench_read_mapped(bamba_probe *probe, const bench_source *s)
{
    static const char end[] = ".safetensors";
    double bytes = 0.0, ns = 0.0;
    DIR *dir = s->is_shape ? NULL : opendir(s->name);

    for (struct dirent *d; dir && (d = readdir(dir));) {
        const size_t n = strlen(d->d_name);
        char path[8192];
        if (n < sizeof end || strcmp(d->d_name + n - (sizeof end - 1), end) != 0) continue;
        if (snprintf(path, sizeof path, "%s/%s", s->name, d->d_name) < (int)sizeof path)
            read_file(probe, path, &bytes, &ns);
    }
    if (dir) closedir(dir);
    return ns > 0.0 ? bytes / ns : 0.0;
}
