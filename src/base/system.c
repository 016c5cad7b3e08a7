/* system.c - what the operating system leaves this process.
 * Sources: proc(5), Linux admin-guide/cgroup-v2 (memory.max, cpu.max), cputopology. */
#include "base/system.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* First size - 1 bytes of a small file as text; false if it cannot be read. No stdio: it would
   allocate outside the caller's allocator. */
static bool read_text(const char *path, char *text, size_t size)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    const ssize_t n = read(fd, text, size - 1);
    close(fd);
    if (n < 0) return false;
    text[n] = '\0';
    return true;
}

/* A number at the start of a small file; false for "max" and files that are not there. */
static bool read_number(const char *path, uint64_t *value)
{
    char  text[64];
    char *end;

    if (!read_text(path, text, sizeof text)) return false;
    *value = strtoull(text, &end, 10);
    return end != text;
}

uint64_t bb_system_memory(void)
{
    const int saved = errno;
    uint64_t  available = UINT64_MAX;
    uint64_t  limit, used;
    char      text[2048];

    if (read_text("/proc/meminfo", text, sizeof text)) {
        const char *line = strstr(text, "MemAvailable:");
        if (line) available = strtoull(line + strlen("MemAvailable:"), NULL, 10) * 1024;
    }
    if (read_number("/sys/fs/cgroup/memory.max", &limit)
        && read_number("/sys/fs/cgroup/memory.current", &used)) {
        const uint64_t left = limit > used ? limit - used : 0;
        if (left < available) available = left;
    }
    errno = saved;
    return available;
}

bb_status bb_system_check_memory(const char *what, uint64_t bytes, bamba_error *err)
{
    const uint64_t have = bb_system_memory();

    if (bytes <= have) return BAMBA_OK;
    return bb_fail(err, BAMBA_ERR_MEMORY, "%s: expected %llu MiB of free memory, found %llu MiB",
                   what, (unsigned long long)(bytes >> 20), (unsigned long long)(have >> 20));
}

uint64_t bb_system_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

#ifdef __linux__

/* Whether a lower-numbered sibling of this processor's core is in the mask too: then the core has
   been counted. thread_siblings_list looks like "0,4" or "0-1". */
static bool is_second_thread(int cpu, const cpu_set_t *mask)
{
    char path[96], text[256];

    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    if (!read_text(path, text, sizeof text)) return false;

    for (char *p = text; *p && *p != '\n';) {
        char *end;
        long  first = strtol(p, &end, 10);
        long  last = first;

        if (end == p) break;
        if (*end == '-') last = strtol(end + 1, &end, 10);
        for (; first <= last && first < cpu; first++)
            if (first >= 0 && first < CPU_SETSIZE && CPU_ISSET((size_t)first, mask)) return true;
        p = *end == ',' ? end + 1 : end;
    }
    return false;
}

static int cores_in_mask(const cpu_set_t *mask)
{
    int n = 0;

    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET((size_t)cpu, mask) && !is_second_thread(cpu, mask)) n++;
    return n;
}

static int allowed_cores(void)
{
    cpu_set_t mask;
    return sched_getaffinity(0, sizeof mask, &mask) == 0 ? cores_in_mask(&mask) : 1;
}

static int cores_among(const int *cpu, int n)
{
    cpu_set_t mask;

    CPU_ZERO(&mask);
    for (int i = 0; i < n; i++) CPU_SET((size_t)cpu[i], &mask);
    return cores_in_mask(&mask);
}

#else

static int allowed_cores(void) { return (int)sysconf(_SC_NPROCESSORS_ONLN); }
static int cores_among(const int *cpu, int n) { return (void)cpu, n; }

#endif

/* cpu.max holds "quota period" in microseconds, or "max period". Rounded up: 1.5 cores are two
   threads of which one rests at times. */
static int cores_in_quota(void)
{
    char  text[64];
    char *end;

    if (!read_text("/sys/fs/cgroup/cpu.max", text, sizeof text)) return 1 << 20;
    const unsigned long long quota = strtoull(text, &end, 10);
    if (end == text) return 1 << 20;
    const unsigned long long period = strtoull(end, NULL, 10);
    if (period == 0 || quota == 0) return 1 << 20;
    const unsigned long long n = (quota + period - 1) / period;
    return n > 1 << 20 ? 1 << 20 : (int)n;
}

static int within_quota(int n)
{
    const int quota = cores_in_quota();

    if (n > quota) n = quota;
    return n > 0 ? n : 1;
}

int bb_system_cores(void)
{
    const int saved = errno;
    const int n = within_quota(allowed_cores());

    errno = saved;
    return n;
}

int bb_system_cores_among(const int *cpu, int n)
{
    const int saved = errno;
    const int cores = within_quota(cores_among(cpu, n));

    errno = saved;
    return cores;
}
