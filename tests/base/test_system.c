/* test_system.c - memory and processor time within control groups, from trees of made-up files. */
#include "base/system.h"
#include "support/tempdir.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define GIB ((uint64_t)1 << 30)

static char *root;

/* root/path with this text, and the directories on the way. */
static void put(const char *path, const char *text)
{
    char full[512];

    snprintf(full, sizeof full, "%s%s", root, path);
    for (char *slash = strchr(full + strlen(root) + 1, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        assert_true(mkdir(full, 0700) == 0 || errno == EEXIST);
        *slash = '/';
    }
    tempdir_write_text(root, path + 1, text);
}

static void put_number(const char *path, uint64_t value)
{
    char text[32];

    snprintf(text, sizeof text, "%llu\n", (unsigned long long)value);
    put(path, text);
}

static int make_root(void **state)
{
    (void)state;
    root = tempdir_make();
    put("/proc/meminfo", "MemTotal:       67108864 kB\nMemFree:         1048576 kB\n"
        "MemAvailable:   33554432 kB\n");             /* 32 GiB */
    return 0;
}

static int remove_root(void **state)
{
    (void)state;
    tempdir_remove(root);
    root = NULL;
    return 0;
}

/* -------------------------------------------------------------- memory ------------------- */

static void test_missing_files(void **state)
{
    char *empty = tempdir_make();

    (void)state;
    errno = 77;
    assert_true(bb_system_memory_in(empty) == UINT64_MAX);
    assert_true(bb_system_quota_in(empty) == 0.0);
    assert_true(bb_system_cores_in(empty) >= 1);
    assert_int_equal(errno, 77);
    tempdir_remove(empty);

    assert_true(bb_system_memory_in(root) == 32 * GIB);
    put("/proc/self/cgroup", "0::/app\n");            /* the group's directory is not there */
    assert_true(bb_system_memory_in(root) == 32 * GIB);
    put("/proc/self/cgroup", "nonsense\n\n0:\n");
    assert_true(bb_system_memory_in(root) == 32 * GIB);
}

static void test_page_cache_is_free(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/app\n");
    put_number("/sys/fs/cgroup/app/memory.max", 8 * GIB);
    put_number("/sys/fs/cgroup/app/memory.current", 8 * GIB - GIB / 128);
    assert_true(bb_system_memory_in(root) == GIB / 128);

    char text[256];
    snprintf(text, sizeof text, "anon 1\nfile 8\nshmem 0\ninactive_anon 5\nactive_anon 6\n"
             "inactive_file %llu\nactive_file %llu\n", (unsigned long long)(7 * GIB),
             (unsigned long long)GIB);
    put("/sys/fs/cgroup/app/memory.stat", text);
    assert_true(bb_system_memory_in(root) == 8 * GIB);        /* no more than the limit */

    put_number("/sys/fs/cgroup/app/memory.max", 7 * GIB);     /* lowered below what is used */
    put("/sys/fs/cgroup/app/memory.stat", "inactive_file 0\nactive_file 0\n");
    assert_true(bb_system_memory_in(root) == 0);
    put("/sys/fs/cgroup/app/memory.max", "max\n");
    assert_true(bb_system_memory_in(root) == 32 * GIB);
}

static void test_parents_limit(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/pod/app/worker\n");
    put("/sys/fs/cgroup/pod/app/worker/memory.max", "max\n");
    put_number("/sys/fs/cgroup/pod/app/worker/memory.current", GIB);
    put_number("/sys/fs/cgroup/pod/app/memory.max", 6 * GIB);
    put_number("/sys/fs/cgroup/pod/app/memory.current", 2 * GIB);
    assert_true(bb_system_memory_in(root) == 4 * GIB);
    put_number("/sys/fs/cgroup/pod/memory.max", 5 * GIB);
    put_number("/sys/fs/cgroup/pod/memory.current", 2 * GIB);
    assert_true(bb_system_memory_in(root) == 3 * GIB);
    put_number("/sys/fs/cgroup/memory.max", 4 * GIB);         /* of a container: its own group */
    put_number("/sys/fs/cgroup/memory.current", 2 * GIB);
    assert_true(bb_system_memory_in(root) == 2 * GIB);
    put_number("/sys/fs/cgroup/sibling/memory.max", 1);
    put_number("/sys/fs/cgroup/sibling/memory.current", 1);
    assert_true(bb_system_memory_in(root) == 2 * GIB);
    put("/proc/self/cgroup", "0::/\n");
    assert_true(bb_system_memory_in(root) == 2 * GIB);
}

static void test_version_1(void **state)
{
    char text[256];

    (void)state;
    put("/proc/self/cgroup", "12:pids:/docker/x\n9:cpu,cpuacct:/docker/x\n5:memory:/docker/x\n"
        "1:name=systemd:/docker/x\n0::/system.slice\n");
    put_number("/sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", 4 * GIB);
    put_number("/sys/fs/cgroup/memory/docker/x/memory.usage_in_bytes", 3 * GIB);
    snprintf(text, sizeof text, "inactive_file 1\nactive_file 1\ntotal_inactive_file %llu\n"
             "total_active_file %llu\n", (unsigned long long)GIB, (unsigned long long)(GIB / 2));
    put("/sys/fs/cgroup/memory/docker/x/memory.stat", text);
    put_number("/sys/fs/cgroup/memory/memory.limit_in_bytes", 9223372036854771712u);
    put_number("/sys/fs/cgroup/memory/memory.usage_in_bytes", 40 * GIB);
    assert_true(bb_system_memory_in(root) == 2 * GIB + GIB / 2);
    put_number("/sys/fs/cgroup/memory/docker/memory.limit_in_bytes", 10 * GIB);
    put_number("/sys/fs/cgroup/memory/docker/memory.usage_in_bytes", 9 * GIB);
    assert_true(bb_system_memory_in(root) == GIB);
}

static void test_check_names_what_is_missing(void **state)
{
    bamba_error err = { BAMBA_OK, "" };

    (void)state;
    assert_int_equal(bb_system_check_memory("scratch", 0, &err), BAMBA_OK);
    if (bb_system_memory() == UINT64_MAX) skip();
    assert_int_equal(bb_system_check_memory("scratch", UINT64_MAX, &err), BAMBA_ERR_MEMORY);
    assert_non_null(strstr(err.message, "scratch: expected 17592186044415 MiB of free memory"));
}

/* -------------------------------------------------------------- processors --------------- */

static void test_quota_v2(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/pod/app\n");
    put("/sys/fs/cgroup/pod/app/cpu.max", "max 100000\n");
    assert_true(bb_system_quota_in(root) == 0.0);
    assert_int_equal(bb_system_throttled_in(root), 0);
    put("/sys/fs/cgroup/pod/app/cpu.stat", "usage_usec 9\nnr_periods 8\nnr_throttled 3\n");
    put("/sys/fs/cgroup/pod/cpu.stat", "nr_throttled 40\nthrottled_usec 7\n");
    put("/sys/fs/cgroup/cpu.stat", "usage_usec 9\n");         /* the root has no limit */
    assert_int_equal(bb_system_throttled_in(root), 43);
    put("/sys/fs/cgroup/pod/app/cpu.max", "250000 100000\n");
    assert_true(bb_system_quota_in(root) == 2.5);
    put("/sys/fs/cgroup/pod/cpu.max", "75000 50000\n");
    assert_true(bb_system_quota_in(root) == 1.5);
    put("/sys/fs/cgroup/pod/cpu.max", "75000\n");             /* no period */
    assert_true(bb_system_quota_in(root) == 2.5);
    put("/sys/fs/cgroup/pod/cpu.max", "75000 0\n");
    assert_true(bb_system_quota_in(root) == 2.5);
}

static void test_quota_v1(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "4:cpuset:/a\n3:cpuacct,cpu:/a/b\n");
    put("/sys/fs/cgroup/cpu/a/b/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu/a/b/cpu.cfs_period_us", "100000\n");
    assert_true(bb_system_quota_in(root) == 0.0);
    put("/sys/fs/cgroup/cpu/a/b/cpu.cfs_quota_us", "400000\n");
    assert_true(bb_system_quota_in(root) == 4.0);
    put("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "50000\n");
    put("/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
    assert_true(bb_system_quota_in(root) == 0.5);
    put("/sys/fs/cgroup/cpu/a/b/cpu.stat", "nr_periods 8\nnr_throttled 5\nthrottled_time 1\n");
    assert_int_equal(bb_system_throttled_in(root), 5);
    assert_int_equal(bb_system_cores_in(root), 1);
}

/* Without a topology every processor of the mask is a core. */
static void test_cores(void **state)
{
    cpu_set_t mask;
    char      path[96];

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof mask, &mask), 0);
    const int n = CPU_COUNT(&mask);
    assert_int_equal(bb_system_cores_in(root), n);
    put("/proc/self/cgroup", "0::/\n");
    put("/sys/fs/cgroup/cpu.max", "110000 100000\n");         /* rounded up */
    assert_int_equal(bb_system_cores_in(root), n < 2 ? n : 2);
    put("/sys/fs/cgroup/cpu.max", "100000 100000\n");
    assert_int_equal(bb_system_cores_in(root), 1);

    /* All processors the threads of one core. */
    put("/sys/fs/cgroup/cpu.max", "max 100000\n");
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET((size_t)cpu, &mask)) continue;
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list",
                 cpu);
        put(path, "0-1023\n");
    }
    assert_int_equal(bb_system_cores_in(root), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_missing_files, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_page_cache_is_free, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_parents_limit, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_version_1, make_root, remove_root),
        cmocka_unit_test(test_check_names_what_is_missing),
        cmocka_unit_test_setup_teardown(test_quota_v2, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_quota_v1, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_cores, make_root, remove_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
