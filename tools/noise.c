/* noise.c - what disturbed the machine.
 * Sources: proc(5), Linux admin-guide/cgroup-v2 (cpu.stat). */
#include "noise.h"

#include "console.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/times.h>
#include <unistd.h>

/* The first line is "cpu  user nice system idle iowait irq softirq steal", summed over all
   processors. */
static void read_stat(noise *n)
{
    unsigned long long v[8] = { 0 };
    FILE *f = fopen("/proc/stat", "r");

    if (!f) return;
    if (fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3],
               &v[4], &v[5], &v[6], &v[7]) == 8) {
        n->busy = v[0] + v[1] + v[2] + v[5] + v[6];
        n->stolen = v[7];
    }
    fclose(f);
}

static void read_throttled(noise *n)
{
    char line[128];
    FILE *f = fopen("/sys/fs/cgroup/cpu.stat", "r");

    if (!f) return;
    while (fgets(line, sizeof line, f)) {
        unsigned long long count;
        if (sscanf(line, "nr_throttled %llu", &count) == 1) n->throttled = count;
    }
    fclose(f);
}

noise noise_now(void)
{
    noise      n = { 0 };
    struct tms own;
    cpu_set_t  set;

    n.wall_s = console_now_ms() * 1e-3;
    read_stat(&n);
    read_throttled(&n);
    if (times(&own) != (clock_t)-1) n.own = (uint64_t)(own.tms_utime + own.tms_stime);
    n.cores = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n;
}

void noise_explain(const noise *since, int n_threads, char *out, size_t size)
{
    const noise  now = noise_now();
    const double ticks = (double)sysconf(_SC_CLK_TCK);
    const double seconds = now.wall_s - since->wall_s;
    const double span = seconds > 0.0 ? seconds : 1e-9;
    const double own = (double)(now.own - since->own) / ticks / span;
    const double busy = (double)(now.busy - since->busy) / ticks / span;
    const double stolen = (double)(now.stolen - since->stolen) / ticks / span;
    size_t used = 0;

    out[0] = '\0';
    if (n_threads > now.cores)
        used += (size_t)snprintf(out + used, size - used, "%d threads on %d processors; ",
                                 n_threads, now.cores);
    if (now.throttled > since->throttled && used < size)
        used += (size_t)snprintf(out + used, size - used,
                                 "stopped by the processor quota %llu times; ",
                                 (unsigned long long)(now.throttled - since->throttled));
    if (stolen > 0.05 && used < size)
        used += (size_t)snprintf(out + used, size - used,
                                 "the host took %.2f processors away; ", stolen);
    if (busy - own > 0.25 && used < size)
        used += (size_t)snprintf(out + used, size - used,
                                 "other programs used %.2f processors; ", busy - own);
    used = strlen(out);
    if (used >= 2) out[used - 2] = '\0';
}
