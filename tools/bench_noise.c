/* bench_noise.c - what disturbed the machine.
 * Source: proc(5). */
#include "bench.h"

#include "console.h"

#include <sched.h>
#include <stdarg.h>
#include <string.h>
#include <sys/times.h>
#include <unistd.h>

int bench_scan(const char *path, const char *format, ...)
{
    char line[512];
    int n = 0;
    FILE *f = fopen(path, "r");

    while (f && n <= 0 && fgets(line, sizeof line, f)) {
        va_list values;
        va_start(values, format);
        n = vsscanf(line, format, values);
        va_end(values);
    }
    if (f) fclose(f);
    return n > 0 ? n : 0;
}

bench_noise bench_noise_now(void)
{
    bench_noise n = { .wall_s = console_now_ms() * 1e-3 };
    struct tms own;
    cpu_set_t  set;
    unsigned long long user, nice, system, irq, soft_irq;

    if (bench_scan("/proc/stat", "cpu %llu %llu %llu %*u %*u %llu %llu %llu", &user, &nice,
                   &system, &irq, &soft_irq, &n.stolen) == 6)
        n.busy = user + nice + system + irq + soft_irq;
    n.throttled = bamba_cpu_throttled();
    if (times(&own) != (clock_t)-1)
        n.own = (unsigned long long)(own.tms_utime + own.tms_stime);
    n.cores = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n;
}

/* Appends to out, behind "; " if something is there. */
__attribute__((format(printf, 3, 4)))
static void add(char *out, size_t size, const char *format, ...)
{
    const size_t used = strlen(out);
    va_list values;

    va_start(values, format);
    snprintf(out + used, size - used, "%s", used ? "; " : "");
    vsnprintf(out + strlen(out), size - strlen(out), format, values);
    va_end(values);
}

void bench_noise_explain(const bench_noise *since, int n_threads, char *out, size_t size)
{
    const bench_noise now = bench_noise_now();
    const double seconds = now.wall_s - since->wall_s;
    const double ticks = (double)sysconf(_SC_CLK_TCK) * (seconds > 0.0 ? seconds : 1e-9);
    const double own = (double)(now.own - since->own) / ticks;
    const double busy = (double)(now.busy - since->busy) / ticks;
    const double stolen = (double)(now.stolen - since->stolen) / ticks;

    out[0] = '\0';
    if (n_threads > now.cores)
        add(out, size, "%d threads on %d processors", n_threads, now.cores);
    if (now.throttled > since->throttled)
        add(out, size, "stopped by the processor quota %llu times",
            now.throttled - since->throttled);
    if (stolen > 0.05) add(out, size, "the host took %.2f processors away", stolen);
    if (busy - own > 0.25) add(out, size, "other programs used %.2f processors", busy - own);
}
