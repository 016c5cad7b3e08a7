/* system.c - what the operating system leaves this process.
 * Sources: proc(5), cgroups(7), Linux admin-guide/cgroup-v2 (memory.max, memory.stat, cpu.max),
 * admin-guide/cgroup-v1/memory, scheduler/sched-bwc, admin-guide/cputopology. */
#include "base/system.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TEXT_BYTES = 8192, PATH_BYTES = 1024, MOST_PROCESSORS = 1 << 20 };

/* -------------------------------------------------------------- small files -------------- */

/* First size - 1 bytes of the file root/dir/name as text; false if it cannot be read. No stdio:
   it would allocate outside the caller's allocator. */
static bool read_text(const char *root, const char *dir, const char *name, char *text, size_t size)
{
    char    path[PATH_BYTES];
    size_t  used = 0;
    ssize_t n;

    if (snprintf(path, sizeof path, "%s%s%s", root, dir, name) >= (int)sizeof path) return false;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    while ((n = read(fd, text + used, size - 1 - used)) > 0) used += (size_t)n;
    close(fd);
    text[used] = '\0';
    return n == 0;
}

/* A number at the start of text; false for "max". */
static bool parse_number(const char *text, uint64_t *value)
{
    char *end;

    *value = strtoull(text, &end, 10);
    return end != text;
}

static bool read_number(const char *root, const char *dir, const char *name, uint64_t *value)
{
    char text[64];
    return read_text(root, dir, name, text, sizeof text) && parse_number(text, value);
}

/* The number after `key` at the start of a line, 0 if there is none. */
static uint64_t find_number(const char *text, const char *key)
{
    const size_t n = strlen(key);

    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, n) == 0) return strtoull(line + n, NULL, 10);
    }
    return 0;
}

/* -------------------------------------------------------------- control groups ----------- */

/* What is asked of one group. dir is that of the group in the file system; *least becomes
   smaller if this group limits more. Where groups are counted, not limits, it is their sum, and
   HUGE_VAL before the first. */
typedef void group_fn(const char *root, const char *dir, double *least);

/* Ask the group and all above it: a limit holds for everything below. Where a container sees only
   its own part of the hierarchy, the names in /proc do not exist, and its group is at the mount. */
static void ask_upwards(const char *root, const char *mount, const char *group, size_t n_group,
                        group_fn *ask, double *least)
{
    char dir[PATH_BYTES];

    if (snprintf(dir, sizeof dir, "%s%.*s", mount, (int)n_group, group) >= (int)sizeof dir) return;
    for (;;) {
        ask(root, dir, least);
        char *slash = strrchr(dir, '/');
        if (slash < dir + strlen(mount)) return;
        *slash = '\0';
    }
}

static bool has_word(const char *list, size_t n, const char *word)
{
    const size_t length = strlen(word);

    for (const char *end = list + n; list < end; list++) {
        const char  *comma = memchr(list, ',', (size_t)(end - list));
        const size_t part = (size_t)((comma ? comma : end) - list);
        if (part == length && memcmp(list, word, length) == 0) return true;
        list += part;
    }
    return false;
}

/* Lines of /proc/self/cgroup: "0::/group" of version 2, "9:cpu,cpuacct:/group" of version 1, whose
   controller hierarchies are mounted, or linked, by the name of each controller. */
static double ask_groups(const char *root, const char *controller, group_fn *ask_v2,
                         group_fn *ask_v1)
{
    char   text[TEXT_BYTES], mount[64];
    double least = HUGE_VAL;

    if (!read_text(root, "/proc/self", "/cgroup", text, sizeof text)) return least;
    snprintf(mount, sizeof mount, "/sys/fs/cgroup/%s", controller);
    for (const char *line = text; *line;) {
        const size_t n = strcspn(line, "\n");
        const char  *names = memchr(line, ':', n);
        const char  *group = names ? memchr(names + 1, ':', n - (size_t)(names + 1 - line)) : NULL;

        if (group) {
            const size_t n_group = n - (size_t)(group + 1 - line);
            const size_t n_names = (size_t)(group - names - 1);
            if (n_names == 0)
                ask_upwards(root, "/sys/fs/cgroup", group + 1, n_group, ask_v2, &least);
            else if (has_word(names + 1, n_names, controller))
                ask_upwards(root, mount, group + 1, n_group, ask_v1, &least);
        }
        line += n + (line[n] == '\n');
    }
    return least;
}

/* -------------------------------------------------------------- memory ------------------- */

/* What a group has left. Its use counts cached files, which the system gives up first. */
static void lower_memory(const char *root, const char *dir, const char *limit_name,
                         const char *use_name, const char *const cached[2], double *least)
{
    char     text[TEXT_BYTES];
    uint64_t limit, use, cache = 0;

    if (!read_number(root, dir, limit_name, &limit) || !read_number(root, dir, use_name, &use))
        return;
    if (read_text(root, dir, "/memory.stat", text, sizeof text))
        cache = find_number(text, cached[0]) + find_number(text, cached[1]);
    use = use > cache ? use - cache : 0;
    const double left = limit > use ? (double)(limit - use) : 0.0;
    if (left < *least) *least = left;
}

static void lower_memory_v2(const char *root, const char *dir, double *least)
{
    static const char *const cached[2] = { "inactive_file ", "active_file " };
    lower_memory(root, dir, "/memory.max", "/memory.current", cached, least);
}

static void lower_memory_v1(const char *root, const char *dir, double *least)
{
    static const char *const cached[2] = { "total_inactive_file ", "total_active_file " };
    lower_memory(root, dir, "/memory.limit_in_bytes", "/memory.usage_in_bytes", cached, least);
}

uint64_t bb_system_memory_in(const char *root)
{
    const int    saved = errno;
    const double groups = ask_groups(root, "memory", lower_memory_v2, lower_memory_v1);
    uint64_t     available = UINT64_MAX;
    char         text[TEXT_BYTES];

    if (read_text(root, "/proc", "/meminfo", text, sizeof text) && strstr(text, "MemAvailable:"))
        available = find_number(text, "MemAvailable:") * 1024;
    if (groups < (double)available) available = (uint64_t)groups;
    errno = saved;
    return available;
}

uint64_t bb_system_memory(void)
{
    return bb_system_memory_in("");
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

/* -------------------------------------------------------------- processors --------------- */

#ifdef __linux__

/* Whether a lower-numbered sibling of this processor's core is in the mask too: then the core has
   been counted. thread_siblings_list looks like "0,4" or "0-1". */
static bool is_second_thread(const char *root, int cpu, const cpu_set_t *mask)
{
    char dir[64], text[256];

    snprintf(dir, sizeof dir, "/sys/devices/system/cpu/cpu%d/topology", cpu);
    if (!read_text(root, dir, "/thread_siblings_list", text, sizeof text)) return false;

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

static int cores_in_mask(const char *root, const cpu_set_t *mask)
{
    int n = 0;

    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET((size_t)cpu, mask) && !is_second_thread(root, cpu, mask)) n++;
    return n;
}

static int allowed_cores(const char *root)
{
    cpu_set_t mask;
    return sched_getaffinity(0, sizeof mask, &mask) == 0 ? cores_in_mask(root, &mask) : 1;
}

static int cores_among(const int *cpu, int n)
{
    cpu_set_t mask;

    CPU_ZERO(&mask);
    for (int i = 0; i < n; i++) CPU_SET((size_t)cpu[i], &mask);
    return cores_in_mask("", &mask);
}

#else

static int allowed_cores(const char *root)
{
    (void)root;
    return (int)sysconf(_SC_NPROCESSORS_ONLN);
}

static int cores_among(const int *cpu, int n) { return (void)cpu, n; }

#endif

static void lower_quota(uint64_t quota, uint64_t period, double *least)
{
    const double processors = period ? (double)quota / (double)period : 0.0;

    if (processors > 0.0 && processors < *least) *least = processors;
}

/* cpu.max holds "quota period" in microseconds, or "max period". */
static void lower_quota_v2(const char *root, const char *dir, double *least)
{
    char     text[64];
    uint64_t quota, period;

    if (read_text(root, dir, "/cpu.max", text, sizeof text) && parse_number(text, &quota)
        && parse_number(text + strcspn(text, " "), &period))
        lower_quota(quota, period, least);
}

/* A quota of -1 is none; it becomes a number of processors that limits nothing. */
static void lower_quota_v1(const char *root, const char *dir, double *least)
{
    uint64_t quota, period;

    if (read_number(root, dir, "/cpu.cfs_quota_us", &quota)
        && read_number(root, dir, "/cpu.cfs_period_us", &period))
        lower_quota(quota, period, least);
}

double bb_system_quota_in(const char *root)
{
    const int    saved = errno;
    const double quota = ask_groups(root, "cpu", lower_quota_v2, lower_quota_v1);

    errno = saved;
    return quota < MOST_PROCESSORS ? quota : 0.0;
}

static void add_throttled(const char *root, const char *dir, double *sum)
{
    char text[TEXT_BYTES];

    if (!read_text(root, dir, "/cpu.stat", text, sizeof text)) return;
    *sum = (*sum == HUGE_VAL ? 0.0 : *sum) + (double)find_number(text, "nr_throttled ");
}

uint64_t bb_system_throttled_in(const char *root)
{
    const int    saved = errno;
    const double n = ask_groups(root, "cpu", add_throttled, add_throttled);

    errno = saved;
    return n == HUGE_VAL ? 0 : (uint64_t)n;
}

/* n, or less where the quota, rounded up, grants less. */
static int within_quota(const char *root, int n)
{
    const double quota = ceil(bb_system_quota_in(root));

    if (quota > 0.0 && quota < n) n = (int)quota;
    return n > 0 ? n : 1;
}

int bb_system_cores_in(const char *root)
{
    const int saved = errno;
    const int n = within_quota(root, allowed_cores(root));

    errno = saved;
    return n;
}

int bb_system_cores_among(const int *cpu, int n)
{
    const int saved = errno;
    const int cores = within_quota("", cores_among(cpu, n));

    errno = saved;
    return cores;
}

double bb_system_quota(void) { return bb_system_quota_in(""); }

uint64_t bb_system_throttled(void) { return bb_system_throttled_in(""); }

int bb_system_cores(void) { return bb_system_cores_in(""); }
