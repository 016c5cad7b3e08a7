/* test_team.c - every tile of every stage once, in order; threads that stay away hold up none. */
#include "base/team_internal.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { MOST_TILES = 100, STAGES = 400, MOST_THREADS = 7 };

typedef struct work {
    bb_team    *team;
    int         n;                        /* tiles of each stage */
    int         value[MOST_TILES];        /* how many stages have been here */
    atomic_int  n_wrong;
} work;

typedef struct stage {
    work *w;
    int   number;
} stage;

static bb_team *make_team(int n_threads)
{
    bb_allocator a;
    bb_team     *team;

    assert_int_equal(bb_allocator_resolve(&a, NULL, NULL), BAMBA_OK);
    assert_int_equal(bb_team_create(&team, &a, n_threads, false, NULL), BAMBA_OK);
    assert_int_equal(bb_team_size(team), n_threads);
    return team;
}

/* A tile reads what its neighbours wrote in the stage before, so it must be over. */
static void run_tiles(void *context, int thread, int first, int end)
{
    const stage *s = context;
    work        *w = s->w;

    (void)thread;
    for (int i = first; i < end; i++) {
        if (w->value[i] != s->number) atomic_fetch_add(&w->n_wrong, 1);
        w->value[i]++;
    }
}

/* Looks at all tiles between two stages that change them: by one tile, so by one thread. */
static void look(void *context, int thread, int first, int end)
{
    const stage *s = context;

    (void)thread;
    if (first != 0 || end != 1) atomic_fetch_add(&s->w->n_wrong, 1);
    for (int i = 0; i < s->w->n; i++)
        if (s->w->value[i] != s->number + 1) atomic_fetch_add(&s->w->n_wrong, 1);
}

static void run_stages(void *context, int thread)
{
    work *w = context;

    for (int i = 0; i < STAGES; i++) {
        stage s = { w, i };
        bb_team_stage(w->team, thread, w->n, run_tiles, &s);
        bb_team_stage(w->team, thread, 1, look, &s);
    }
}

static void test_every_tile_once(void **unused)
{
    static const int counts[] = { 0, 1, 2, 3, 8, 17, MOST_TILES };

    (void)unused;
    for (int n_threads = 1; n_threads <= MOST_THREADS; n_threads++) {
        bb_team *team = make_team(n_threads);
        for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
            for (int again = 0; again < 3; again++) {
                work w = { .team = team, .n = counts[i] };
                bb_team_run(team, run_stages, &w);
                assert_int_equal(w.n_wrong, 0);
                for (int t = 0; t < w.n; t++) assert_int_equal(w.value[t], STAGES);
            }
        bb_team_free(team);
    }
}

typedef struct absence {
    work        w;
    atomic_bool is_there, may_go;
} absence;

/* Thread 1 is inside but comes to no stage before the others are through with all of them. */
static void stay_away(void *context, int thread)
{
    absence *a = context;

    if (thread == 1) {
        atomic_store(&a->is_there, true);
        while (!atomic_load(&a->may_go)) sched_yield();
    } else {
        while (thread == 0 && !atomic_load(&a->is_there)) sched_yield();
    }
    run_stages(&a->w, thread);
    if (thread == 0) atomic_store(&a->may_go, true);
}

static void test_nobody_waits_for_a_thread_without_a_tile(void **unused)
{
    (void)unused;
    for (int n_threads = 2; n_threads <= 3; n_threads++) {
        absence a = { .w = { .n = 17 } };
        a.w.team = make_team(n_threads);
        bb_team_run(a.w.team, stay_away, &a);
        assert_int_equal(a.w.n_wrong, 0);
        assert_int_equal(a.w.value[16], STAGES);
        bb_team_free(a.w.team);
    }
}

/* Threads that leave early, as when a pass is cancelled, leave the rest to those who go on. */
static void leave_early(void *context, int thread)
{
    work *w = context;

    for (int i = 0; i < STAGES / (thread + 1); i++) {
        stage s = { w, i };
        bb_team_stage(w->team, thread, w->n, run_tiles, &s);
    }
}

static void test_leaving_early(void **unused)
{
    work w = { .n = 17 };

    (void)unused;
    w.team = make_team(3);
    for (int again = 0; again < 20; again++) {
        for (int t = 0; t < w.n; t++) w.value[t] = 0;
        bb_team_run(w.team, leave_early, &w);
        assert_int_equal(w.n_wrong, 0);
        for (int t = 0; t < w.n; t++) assert_int_equal(w.value[t], STAGES);
    }
    bb_team_free(w.team);
}

/* Tiles that can be computed twice: each thread makes them in a place of its own. */
typedef struct twice {
    work        w;
    int         own[MOST_THREADS][MOST_TILES];
    atomic_bool is_inside, may_go;        /* thread 1 is in compute; all others are through */
    bool        stops;                    /* thread 1 does, in the first tiles it takes */
    atomic_int  n_computed;
} twice;

typedef struct twice_stage {
    twice *t;
    int    number;
} twice_stage;

static void begin_twice(void *context, int thread, int first, int end)
{
    const twice_stage *s = context;
    for (int i = first; i < end; i++) s->t->own[thread][i] = s->t->w.value[i];
}

static void compute_twice(void *context, int thread, int first, int end)
{
    const twice_stage *s = context;
    twice             *t = s->t;

    if (thread == 1 && t->stops && !atomic_exchange(&t->is_inside, true))
        while (!atomic_load(&t->may_go)) sched_yield();
    for (int i = first; i < end; i++) t->own[thread][i]++;
    atomic_fetch_add(&t->n_computed, end - first);
}

static void commit_twice(void *context, int thread, int first, int end)
{
    const twice_stage *s = context;

    for (int i = first; i < end; i++) {
        if (s->t->w.value[i] != s->number) atomic_fetch_add(&s->t->w.n_wrong, 1);
        s->t->w.value[i] = s->t->own[thread][i];
    }
}

static void run_twice(void *context, int thread)
{
    static const bb_repeatable steps = { begin_twice, compute_twice, commit_twice, 3 };
    twice                     *t = context;

    for (int i = 0; i < STAGES; i++) {
        twice_stage s = { t, i };
        stage       plain = { &t->w, i };
        while (t->stops && thread != 1 && i == 1 && !atomic_load(&t->is_inside)) sched_yield();
        bb_team_repeatable(t->w.team, thread, t->w.n, &steps, &s);
        bb_team_stage(t->w.team, thread, 1, look, &plain);
    }
    if (thread == 0) atomic_store(&t->may_go, true);
}

static void test_repeatable_tiles_are_committed_once(void **unused)
{
    static const int counts[] = { 0, 1, 2, 3, 17, MOST_TILES };

    (void)unused;
    for (int n_threads = 1; n_threads <= MOST_THREADS; n_threads++) {
        bb_team *team = make_team(n_threads);
        for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
            twice t = { .w = { .team = team, .n = counts[i] } };
            bb_team_run(team, run_twice, &t);
            assert_int_equal(t.w.n_wrong, 0);
            assert_true(atomic_load(&t.n_computed) >= STAGES * counts[i]);
            for (int k = 0; k < t.w.n; k++) assert_int_equal(t.w.value[k], STAGES);
        }
        bb_team_free(team);
    }
}

/* Thread 1 is stopped inside its tiles until the others have finished all stages. */
static void test_nobody_waits_for_a_repeatable_tile(void **unused)
{
    (void)unused;
    for (int n_threads = 2; n_threads <= 3; n_threads++) {
        twice t = { .w = { .n = 17 }, .stops = true };
        t.w.team = make_team(n_threads);
        bb_team_run(t.w.team, run_twice, &t);
        assert_int_equal(t.w.n_wrong, 0);
        assert_true(atomic_load(&t.is_inside));
        assert_true(atomic_load(&t.n_computed) > STAGES * t.w.n);
        for (int k = 0; k < t.w.n; k++) assert_int_equal(t.w.value[k], STAGES);
        bb_team_free(t.w.team);
    }
}

/* One thread is bound to a processor; the other goes there again and again, bound to none. */
typedef struct crowding {
    bb_team    *team;
    int         hopping;                  /* the thread that does */
    cpu_set_t   one, all;                 /* where they meet; what they may use */
    atomic_bool is_there, is_over;        /* the bound thread */
    bool        has_moved;                /* away, the hopping one */
    atomic_int  n_wrong;
} crowding;

static void nothing(void *context, int thread, int first, int end)
{
    (void)context, (void)thread, (void)first, (void)end;
}

static bool has_mask(const cpu_set_t *expected)
{
    cpu_set_t mask;
    return sched_getaffinity(0, sizeof mask, &mask) == 0 && CPU_EQUAL(&mask, expected);
}

/* A thread that is moved has a narrow mask until the one that moves it runs again: on a busy
   machine, or in a stopped process, that may take long. The caller's thread never has. */
static void run_stage(crowding *c, int thread, const cpu_set_t *expected)
{
    const struct timespec pause = { 0, 1000000 };

    bb_team_stage(c->team, thread, 2, nothing, NULL);
    for (int ms = 0; !has_mask(expected); ms++) {
        if (thread == 0 || ms > 60000) {
            atomic_fetch_add(&c->n_wrong, 1);
            return;
        }
        nanosleep(&pause, NULL);
    }
}

static void crowd(void *context, int thread)
{
    crowding *c = context;

    if (thread != c->hopping) {
        sched_setaffinity(0, sizeof c->one, &c->one);
        for (; !atomic_load(&c->is_over); atomic_store(&c->is_there, true))
            run_stage(c, thread, &c->one);
        sched_setaffinity(0, sizeof c->all, &c->all);
        return;
    }
    while (!atomic_load(&c->is_there)) sched_yield();
    for (int i = 0; i < 1000 && !c->has_moved; i++) {
        sched_setaffinity(0, sizeof c->one, &c->one);
        sched_setaffinity(0, sizeof c->all, &c->all);
        run_stage(c, thread, &c->all);
        c->has_moved = c->team->member[thread].moved_ns != 0;
    }
    atomic_store(&c->is_over, true);
}

static void test_only_own_threads_move(void **unused)
{
    cpu_set_t all;

    (void)unused;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    if (CPU_COUNT(&all) < 2) skip();
    size_t cpu = 0;
    while (!CPU_ISSET(cpu, &all)) cpu++;

    for (int hopping = 0; hopping < 2; hopping++) {
        crowding c = { .team = make_team(2), .hopping = hopping, .all = all };
        CPU_SET(cpu, &c.one);
        bb_team_run(c.team, crowd, &c);
        assert_int_equal(c.n_wrong, 0);
        assert_int_equal(c.has_moved, hopping != 0);
        bb_team_free(c.team);
    }
}

/* Other threads do not survive fork(): the caller does all stages. qemu-user may abort in a child
   of a process that has threads. */
static void test_child_process(void **unused)
{
    work w = { .n = 17 };
    int  status = 0;

    (void)unused;
    if (getenv("BAMBA_TEST_EMULATED")) skip();
    w.team = make_team(3);
    bb_team_run(w.team, run_stages, &w);
    const pid_t child = fork();
    assert_true(child >= 0);
    for (int t = 0; t < w.n; t++) w.value[t] = 0;
    bb_team_run(w.team, run_stages, &w);
    assert_int_equal(w.n_wrong, 0);
    for (int t = 0; t < w.n; t++) assert_int_equal(w.value[t], STAGES);
    if (child == 0) _exit(0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    bb_team_free(w.team);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_tile_once),
        cmocka_unit_test(test_nobody_waits_for_a_thread_without_a_tile),
        cmocka_unit_test(test_leaving_early),
        cmocka_unit_test(test_repeatable_tiles_are_committed_once),
        cmocka_unit_test(test_nobody_waits_for_a_repeatable_tile),
        cmocka_unit_test(test_only_own_threads_move),
        cmocka_unit_test(test_child_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
