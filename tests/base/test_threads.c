/* test_threads.c - threads that start or cannot, their signals, how many by default, loops.
 *
 *     test_base_threads                what holds in any environment
 *     test_base_threads limited        with OMP_NUM_THREADS=1 OMP_THREAD_LIMIT=3 and what could
 *                                      make regions smaller: OMP_DYNAMIC=true
 *                                      OMP_MAX_ACTIVE_LEVELS=0
 *     test_base_threads stack          with an OMP_STACKSIZE of which the address space has not two
 *     test_base_threads bound CORES    with OMP_PROC_BIND and OMP_PLACES, where CORES are, unbound,
 *     test_base_threads cores          what this prints
 */
#include "base/system.h"
#include "base/team.h"
#include "base/threads.h"

#include <fenv.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { MOST = 1000, MOST_THREADS = 7 };
static const int signals[] = { SIGUSR1, SIGINT, SIGTERM, SIGALRM, SIGCHLD };
enum { N_SIGNALS = sizeof signals / sizeof signals[0] };

static int expected_cores;

/* -------------------------------------------------------------- loops -------------------- */

typedef struct counts {
    atomic_int of[MOST], n_wrong;
} counts;

static void count(void *context, int i)
{
    counts *c = context;
    atomic_fetch_add(&c->of[i], 1);
}

static void assert_loop_covers(int n_threads, int n)
{
    counts c;

    memset(&c, 0, sizeof c);
    bb_loop(n_threads, n, count, &c);
    for (int i = 0; i < MOST; i++) assert_int_equal(atomic_load(&c.of[i]), i < n);
}

static void test_loop_runs_every_index_once(void **unused)
{
    static const int n[] = { 0, 1, 2, 17, MOST };

    (void)unused;
    for (int n_threads = 1; n_threads <= MOST_THREADS; n_threads++)
        for (size_t i = 0; i < sizeof n / sizeof n[0]; i++) assert_loop_covers(n_threads, n[i]);
}

/* Rounding up would give more than 1; x86-64 and Arm flush a product below the normal range. */
static void check_mode(void *context, int i)
{
    counts         *c = context;
    volatile float  one = 1.0f, small = 1e-30f, sum, product;

    (void)i;
    sum = one + small;
    product = small * 1e-10f;
    if (sum != 1.0f) atomic_fetch_add(&c->n_wrong, 1);
#if defined(__x86_64__) || defined(__aarch64__)
    if (product != 0.0f) atomic_fetch_add(&c->n_wrong, 1);
#else
    (void)product;
#endif
}

static void test_loop_has_its_own_floating_point_mode(void **unused)
{
    const int before = fegetround();

    (void)unused;
    for (int n_threads = 1; n_threads <= 3; n_threads++) {
        counts c;
        memset(&c, 0, sizeof c);
        assert_int_equal(fesetround(FE_UPWARD), 0);
        bb_loop(n_threads, 100, check_mode, &c);
        const int after = fegetround();
        fesetround(before);
        assert_int_equal(after, FE_UPWARD);
        assert_int_equal(atomic_load(&c.n_wrong), 0);
    }
}

/* -------------------------------------------------------------- teams -------------------- */

static bb_status create(bb_team **team, int n_threads, bamba_error *err)
{
    bb_allocator a;

    assert_int_equal(bb_allocator_resolve(&a, NULL, NULL), BAMBA_OK);
    return bb_team_create(team, &a, n_threads, false, err);
}

typedef struct attendance {
    pthread_t  caller;
    int        n_threads;
    atomic_int n_there, n_open;           /* threads inside; signals that others than callers get */
    cpu_set_t  mask[MOST_THREADS];
} attendance;

static void note_open_signals(attendance *a)
{
    sigset_t blocked;

    if (pthread_equal(pthread_self(), a->caller)) return;
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    for (int i = 0; i < N_SIGNALS; i++)
        if (!sigismember(&blocked, signals[i])) atomic_fetch_add(&a->n_open, 1);
}

/* Every thread waits for all others, so all of them come. */
static void attend(void *context, int thread)
{
    attendance *a = context;

    note_open_signals(a);
    sched_getaffinity(0, sizeof a->mask[thread], &a->mask[thread]);
    atomic_fetch_add(&a->n_there, 1);
    while (atomic_load(&a->n_there) < a->n_threads) sched_yield();
}

static void assert_all_attend(bb_team *team, attendance *a)
{
    memset(a, 0, sizeof *a);
    a->caller = pthread_self();
    a->n_threads = bb_team_size(team);
    bb_team_run(team, attend, a);
    assert_int_equal(atomic_load(&a->n_there), a->n_threads);
    assert_int_equal(atomic_load(&a->n_open), 0);
}

static void test_all_threads_are_there(void **unused)
{
    attendance a;
    bb_team   *team;

    (void)unused;
    for (int n_threads = 1; n_threads <= MOST_THREADS; n_threads++) {
        assert_int_equal(create(&team, n_threads, NULL), BAMBA_OK);
        assert_all_attend(team, &a);
        bb_team_free(team);
    }
}

static void look_at_signals(void *context, int i)
{
    (void)i;
    note_open_signals(context);
}

/* A signal to the process that the caller blocks stays pending: a thread that let it in would end
   the process. */
static void test_signals_are_for_the_host(void **unused)
{
    const struct timespec now = { 0, 0 };
    attendance            a = { .caller = pthread_self() };
    sigset_t              usr1, before;
    bb_team              *team;

    (void)unused;
    assert_int_equal(create(&team, 4, NULL), BAMBA_OK);
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &usr1, &before);
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    bb_loop(4, 100, look_at_signals, &a);
    assert_int_equal(atomic_load(&a.n_open), 0);
    assert_all_attend(team, &a);
    bb_team_free(team);
    assert_int_equal(sigtimedwait(&usr1, NULL, &now), SIGUSR1);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* -------------------------------------------------------------- no threads --------------- */

static void assert_team_fails(int n_threads, const char *message)
{
    bamba_error err;
    bb_team    *team = (bb_team *)&err;

    assert_int_equal(create(&team, n_threads, &err), BAMBA_ERR_MEMORY);
    assert_null(team);
    assert_string_equal(err.message, message);
}

/* The address space has no room for such a stack. */
static void test_threads_that_cannot_start(void **unused)
{
    pthread_attr_t usual, large;

    (void)unused;
    assert_int_equal(pthread_getattr_default_np(&usual), 0);
    assert_int_equal(pthread_attr_init(&large), 0);
    assert_int_equal(pthread_attr_setstacksize(&large, (size_t)1 << 47), 0);
    assert_int_equal(pthread_setattr_default_np(&large), 0);
    assert_team_fails(4, "thread team: expected 4 threads, got 1");
    assert_loop_covers(4, MOST);
    assert_true(bb_threads_default() >= 1);
    assert_int_equal(pthread_setattr_default_np(&usual), 0);
    pthread_attr_destroy(&large);
    pthread_attr_destroy(&usual);
    assert_loop_covers(4, MOST);
}

/* -------------------------------------------------------------- processes ---------------- */

static void test_default_number(void **unused)
{
    const int n = bb_threads_default();

    (void)unused;
    assert_true(n >= 1);
    assert_true(n <= bb_system_cores());
}

/* A child of a process that has used threads starts its own. ThreadSanitizer forbids that, and
   qemu-user may abort in it ("cpu == current_cpu"). */
static void test_child_process(void **unused)
{
    int status = 0;

    (void)unused;
#ifdef __SANITIZE_THREAD__
    skip();
#endif
    if (getenv("BAMBA_TEST_EMULATED")) skip();
    assert_loop_covers(3, MOST);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        attendance a;
        bb_team   *team;
        if (bb_threads_default() < 1 || create(&team, 3, NULL) != BAMBA_OK) _exit(1);
        assert_all_attend(team, &a);
        bb_team_free(team);
        assert_loop_covers(3, MOST);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* -------------------------------------------------------------- environments ------------- */

static void test_limits_of_the_environment(void **unused)
{
    attendance a;
    bb_team   *team;

    (void)unused;
    assert_int_equal(bb_threads_default(), 1);
    assert_int_equal(create(&team, 3, NULL), BAMBA_OK);
    assert_all_attend(team, &a);
    bb_team_free(team);
    assert_team_fails(5, "thread team: expected 5 threads, got 3");
    assert_loop_covers(5, MOST);
}

static void test_stacks_that_do_not_fit(void **unused)
{
    (void)unused;
    assert_team_fails(4, "thread team: expected 4 threads, got 1");
    assert_loop_covers(4, MOST);
}

/* Thread i has place i, round; the caller, which may be bound itself, does not hide the other
   places. */
static void test_bound_threads(void **unused)
{
    attendance a;
    bb_team   *team;
    cpu_set_t  before, after;

    (void)unused;
    sched_getaffinity(0, sizeof before, &before);
    assert_int_equal(bb_threads_default(), expected_cores);
    assert_int_equal(create(&team, 3, NULL), BAMBA_OK);
    assert_all_attend(team, &a);
    bb_team_free(team);
    sched_getaffinity(0, sizeof after, &after);
    assert_true(CPU_EQUAL(&before, &after));
    assert_int_equal(CPU_COUNT(&a.mask[1]), 1);
    assert_int_equal(CPU_COUNT(&a.mask[2]), 1);
    if (expected_cores > 1) assert_false(CPU_EQUAL(&a.mask[1], &a.mask[2]));
}

int main(int n_arguments, char **argument)
{
    const char *mode = n_arguments > 1 ? argument[1] : "";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loop_runs_every_index_once),
        cmocka_unit_test(test_loop_has_its_own_floating_point_mode),
        cmocka_unit_test(test_all_threads_are_there),
        cmocka_unit_test(test_signals_are_for_the_host),
        cmocka_unit_test(test_threads_that_cannot_start),
        cmocka_unit_test(test_default_number),
        cmocka_unit_test(test_child_process),
    };
    const struct CMUnitTest limited[] = { cmocka_unit_test(test_limits_of_the_environment) };
    const struct CMUnitTest stack[] = { cmocka_unit_test(test_stacks_that_do_not_fit) };
    const struct CMUnitTest bound[] = { cmocka_unit_test(test_bound_threads) };

    if (strcmp(mode, "cores") == 0) return printf("%d\n", bb_system_cores()) < 0;
    if (n_arguments > 2) expected_cores = atoi(argument[2]);
    if (strcmp(mode, "limited") == 0) return cmocka_run_group_tests(limited, NULL, NULL);
    if (strcmp(mode, "stack") == 0) return cmocka_run_group_tests(stack, NULL, NULL);
    if (strcmp(mode, "bound") == 0) return cmocka_run_group_tests(bound, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
