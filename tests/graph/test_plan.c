/* test_plan.c - names, order and counting of a plan; its sticky failures; its text. */
#include "graph/plan.h"

#include "support/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* -------------------------------------------------------------- a kind for the test ------ */

typedef struct toy {
    bb_mixer base;
    int      size;
    double   zeroed[5];
} toy;

static size_t toy_state_bytes(const bb_mixer *m) { return (size_t)((const toy *)m)->size; }

static size_t toy_page_bytes(const bb_mixer *m)
{
    (void)m;
    return 640;
}

static void toy_print(const bb_mixer *m, bb_printer *p)
{
    bb_print(p, "size %d", ((const toy *)m)->size);
}

static const bb_mixer_kind toy_kind = { .name = "toy", .op_name = { "play", "rest" },
                                        .state_bytes = toy_state_bytes,
                                        .page_bytes = toy_page_bytes, .print = toy_print };
static const bb_mixer_kind plain_kind = { .name = "plain", .op_name = { "rest", "work" },
                                          .print = toy_print };

static void add_toy(bb_plan *p, const char *prefix, int size, bool remembers)
{
    toy *t = (toy *)bb_plan_mixer(p, remembers ? &toy_kind : &plain_kind, sizeof *t, prefix);

    for (int i = 0; t && i < 5; i++) assert_true(t->zeroed[i] == 0);
    if (t) t->size = size;
    bb_plan_use(p, (bb_mixer *)t, 1.0);
}

static void plan_toys(bb_plan *p, const char *head)
{
    bb_plan_begin(p, 16, 100, 1e-5);
    bb_plan_embed(p, "embed.weight");
    for (int l = 0; l < 12; l++) {
        bb_plan_layer(p, "a.%d.b.", l);
        bb_plan_block(p, "first");
        add_toy(p, "x.", l, true);
        if (l == 3) add_toy(p, "y.", 1000, true);
        bb_plan_block(p, "second");
        add_toy(p, "z.", -l, false);
    }
    bb_plan_head(p, "last", head);
}

typedef struct bench {
    fault        memory;
    bb_allocator alloc;
    bb_plan      plan;
} bench;

static void begin(bench *b)
{
    memset(b, 0, sizeof *b);
    b->alloc = fault_allocator(&b->memory);
    b->plan.g = bb_graph_create(&b->alloc);
    assert_non_null(b->plan.g);
}

static void end(bench *b)
{
    bb_graph_free(b->plan.g);
    assert_int_equal(b->memory.n_live, 0);
}

/* -------------------------------------------------------------- tests -------------------- */

static void test_names_and_order(void **unused)
{
    bench b;

    (void)unused;
    begin(&b);
    plan_toys(&b.plan, "head");
    const bb_graph *g = b.plan.g;
    assert_int_equal(bb_plan_status(&b.plan, NULL), BAMBA_OK);
    assert_int_equal(g->d_model, 16);
    assert_int_equal(g->n_vocab, 100);
    assert_int_equal(g->n_layers, 12);
    assert_true(g->epsilon == 1e-5f);
    assert_int_equal(g->n_blocks, 24);
    assert_string_equal(g->embed_name, "embed.weight");
    assert_string_equal(g->norm_name, "last");
    assert_string_equal(g->head_name, "head");

    assert_string_equal(g->block[22].norm_name, "a.11.b.first");
    assert_string_equal(g->block[23].norm_name, "a.11.b.second");
    assert_int_equal(g->block[5].n_uses, 1);
    assert_int_equal(g->block[6].n_uses, 2);
    assert_string_equal(g->block[6].use[0].mixer->prefix, "a.3.b.x.");
    assert_string_equal(g->block[6].use[1].mixer->prefix, "a.3.b.y.");
    assert_string_equal(g->block[23].use[0].mixer->prefix, "a.11.b.z.");
    assert_int_equal(((toy *)g->block[23].use[0].mixer)->size, -11);
    end(&b);
}

static void test_slots(void **unused)
{
    bench b;

    (void)unused;
    begin(&b);
    plan_toys(&b.plan, NULL);
    const bb_graph *g = b.plan.g;
    assert_int_equal(g->n_slots, 13);
    assert_ptr_equal(g->slot[4], g->block[6].use[1].mixer);
    assert_int_equal(g->block[6].use[1].slot, 4);
    assert_int_equal(g->block[22].use[0].slot, 12);
    for (size_t i = 1; i < g->n_blocks; i += 2)
        assert_int_equal(g->block[i].use[0].slot, -1);
    assert_int_equal(bb_graph_session_bytes(g, 0), 66 + 1000);          /* 0 + 1 + … + 11 */
    assert_int_equal(bb_graph_session_bytes(g, 7), 66 + 1000 + 13 * 640);
    end(&b);
}

/* One mixer in two blocks: one object, a slot and a factor a use; operations of the same name are
   one. */
static void test_shared_mixer(void **unused)
{
    bench b;

    (void)unused;
    begin(&b);
    bb_plan_begin(&b.plan, 16, 100, 1e-5);
    bb_plan_layer(&b.plan, "l%d.", 0);
    bb_plan_block(&b.plan, "first");
    bb_mixer *m = bb_plan_mixer(&b.plan, &toy_kind, sizeof(toy), "shared.");
    bb_plan_use(&b.plan, m, 0.5);
    add_toy(&b.plan, "own.", 1, false);
    bb_plan_layer(&b.plan, "l%d.", 1);
    bb_plan_block(&b.plan, "second");
    bb_plan_input(&b.plan, BB_INPUT_BESIDE_EMBEDDING);
    bb_plan_use(&b.plan, m, 1.0);
    assert_int_equal(bb_plan_status(&b.plan, NULL), BAMBA_OK);

    const bb_graph *g = b.plan.g;
    assert_int_equal(g->n_mixers, 2);
    assert_int_equal(g->n_slots, 2);
    assert_ptr_equal(g->block[0].use[0].mixer, g->block[1].use[0].mixer);
    assert_int_equal(g->block[0].use[0].slot, 0);
    assert_int_equal(g->block[1].use[0].slot, 1);
    assert_true(g->block[0].use[0].alpha == 0.5f && g->block[1].use[0].alpha == 1.0f);
    assert_int_equal(bb_graph_input_width(g), 32);
    assert_true(bb_graph_reads_embedding(g, 0) && bb_graph_reads_embedding(g, 1));
    assert_false(bb_graph_reads_embedding(g, 2));
    assert_int_equal(g->n_ops, 3 + 3);
    assert_string_equal(g->op_name[m->op[0]], "play");
    assert_string_equal(g->op_name[m->op[1]], "rest");
    assert_int_equal(g->block[0].use[1].mixer->op[0], m->op[1]);
    end(&b);
}

/* A side stream lives within a layer, so that no cut between layers parts who writes it from who
   reads it. */
static void test_side_stream(void **unused)
{
    bench       b;
    bamba_error err;

    (void)unused;
    begin(&b);
    bb_plan_begin(&b.plan, 16, 100, 1e-5);
    for (int l = 0; l < 2; l++) {
        bb_plan_layer(&b.plan, "l%d.", l);
        bb_plan_block(&b.plan, "first");
        if (l == 1) bb_plan_norm_of(&b.plan, 0);
        bb_plan_to_side(&b.plan);
        add_toy(&b.plan, "x.", 1, false);
        bb_plan_block(&b.plan, NULL);
        bb_plan_input(&b.plan, BB_INPUT_JOINED);
        add_toy(&b.plan, "y.", 1, false);
    }
    const bb_graph *g = b.plan.g;
    assert_int_equal(bb_plan_status(&b.plan, NULL), BAMBA_OK);
    assert_string_equal(g->block[2].norm_name, "l0.first");
    assert_string_equal(g->block[3].norm_name, "");
    assert_true(bb_graph_has_side(g));
    assert_int_equal(bb_graph_input_width(g), 16);

    bb_plan_layer(&b.plan, "l%d.", 2);
    bb_plan_block(&b.plan, "late");
    bb_plan_input(&b.plan, BB_INPUT_SIDE);
    assert_int_equal(bb_plan_status(&b.plan, &err), BAMBA_ERR_UNSUPPORTED);
    assert_string_equal(err.message, "plan: layer 2: expected a side stream that a block of this "
                        "layer has written, found none");
    end(&b);
}

static void test_too_many_uses(void **unused)
{
    bench       b;
    bamba_error err;

    (void)unused;
    begin(&b);
    bb_plan_begin(&b.plan, 16, 100, 1e-5);
    add_toy(&b.plan, "x.", 1, true);      /* no block is open */
    assert_int_equal(bb_plan_status(&b.plan, &err), BAMBA_ERR_UNSUPPORTED);
    end(&b);

    begin(&b);
    bb_plan_begin(&b.plan, 16, 100, 1e-5);
    bb_plan_block(&b.plan, "norm");
    for (int i = 0; i < BB_MAX_USES; i++) add_toy(&b.plan, "x.", 1, true);
    assert_int_equal(bb_plan_status(&b.plan, &err), BAMBA_OK);
    add_toy(&b.plan, "y.", 1, true);
    assert_int_equal(bb_plan_status(&b.plan, &err), BAMBA_ERR_UNSUPPORTED);
    assert_string_equal(err.message, "'y.': expected a block of less than 2 mixers");
    end(&b);
}

/* No name is ever cut: one that does not fit is refused. */
static void test_long_names(void **unused)
{
    char  name[BB_MAX_NAME + 1];
    bench b;

    (void)unused;
    memset(name, 'n', sizeof name);
    for (int n = BB_MAX_NAME - 8; n <= BB_MAX_NAME; n++) {
        bb_status   status;
        bamba_error err = { BAMBA_OK, "" };
        name[n] = '\0';
        begin(&b);
        bb_plan_begin(&b.plan, 16, 100, 1e-5);
        bb_plan_layer(&b.plan, "l%d.", 53);
        bb_plan_block(&b.plan, name);
        status = bb_plan_status(&b.plan, &err);
        if (n + 4 < BB_MAX_NAME) {
            assert_int_equal(status, BAMBA_OK);
            assert_int_equal(strlen(b.plan.g->block[0].norm_name), n + 4);
        } else {
            assert_int_equal(status, BAMBA_ERR_UNSUPPORTED);
            assert_non_null(strstr(err.message, "'l53.nnnn"));
        }
        name[n] = 'n';
        end(&b);
    }
}

/* Some layers of a network: its blocks, slots and ends. */
static void test_cut(void **unused)
{
    bench b;

    (void)unused;
    begin(&b);
    plan_toys(&b.plan, NULL);
    bb_graph *g = b.plan.g;
    assert_false(bb_graph_cut(g, 3, 3));
    assert_false(bb_graph_cut(g, -1, 3));
    assert_false(bb_graph_cut(g, 0, 13));
    assert_int_equal(g->end - g->first, 24);
    assert_true(bb_graph_cut(g, 3, 5));
    assert_int_equal(g->first, 6);
    assert_int_equal(g->end, 10);
    assert_false(bb_graph_has_embed(g));
    assert_false(bb_graph_has_head(g));
    assert_int_equal(g->n_slots, 13);
    assert_int_equal(bb_graph_session_bytes(g, 7), 3 + 1000 + 4 + 3 * 640);
    end(&b);

    begin(&b);
    plan_toys(&b.plan, NULL);
    assert_true(bb_graph_cut(b.plan.g, 0, 12));
    assert_true(bb_graph_has_embed(b.plan.g) && bb_graph_has_head(b.plan.g));
    end(&b);
}

static void test_first_failure_stays(void **unused)
{
    bench       b;
    bamba_error err = { BAMBA_OK, "" };

    (void)unused;
    begin(&b);
    plan_toys(&b.plan, NULL);
    bb_plan_fail(&b.plan, BAMBA_ERR_UNSUPPORTED, "a %s of %d", "pair", 3);
    bb_plan_fail(&b.plan, BAMBA_ERR_MEMORY, "later");
    assert_int_equal(bb_plan_status(&b.plan, NULL), BAMBA_ERR_UNSUPPORTED);
    assert_int_equal(bb_plan_status(&b.plan, &err), BAMBA_ERR_UNSUPPORTED);
    assert_int_equal(err.code, BAMBA_ERR_UNSUPPORTED);
    assert_string_equal(err.message, "a pair of 3");

    bb_plan_block(&b.plan, "more");       /* no-ops now */
    assert_null(bb_plan_mixer(&b.plan, &toy_kind, sizeof(toy), "w."));
    assert_int_equal(b.plan.g->n_blocks, 24);
    assert_int_equal(b.plan.g->n_slots, 13);
    end(&b);
}

static void test_out_of_memory(void **unused)
{
    (void)unused;
    for (size_t k = 1;; k++) {
        bench b;
        begin(&b);
        b.memory.fail_at = b.memory.n_calls + k;
        plan_toys(&b.plan, NULL);
        const bb_status status = bb_plan_status(&b.plan, NULL);
        const size_t    n_refused = b.memory.n_refused;
        end(&b);
        if (n_refused == 0) {
            assert_int_equal(status, BAMBA_OK);
            assert_true(k > 25);          /* 25 mixers, the arrays that hold them */
            return;
        }
        assert_int_equal(status, BAMBA_ERR_MEMORY);
    }
}

static void test_no_graph(void **unused)
{
    fault              f = { .fail_at = 1 };
    const bb_allocator a = fault_allocator(&f);

    (void)unused;
    assert_null(bb_graph_create(&a));
    bb_graph_free(NULL);
}

static void expect_text(const bb_graph *g, const char *expected)
{
    char       text[2048];
    const size_t n = strlen(expected);

    for (size_t size = 0; size <= n + 1; size++) {
        bb_printer p = { .buffer = size ? text : NULL, .size = size };
        memset(text, '#', sizeof text);
        bb_graph_print(g, &p);
        assert_int_equal(p.used, n);
        if (size > 0) {
            assert_memory_equal(text, expected, size - 1);
            assert_int_equal(text[size - 1], '\0');
        }
        assert_int_equal(text[size], '#');
    }
}

static void test_text(void **unused)
{
    bench b;

    (void)unused;
    begin(&b);
    bb_plan_begin(&b.plan, 16, 100, 1e-5);
    bb_plan_embed(&b.plan, "embed");
    bb_plan_layer(&b.plan, "l%d.", 7);
    bb_plan_block(&b.plan, "norm");
    add_toy(&b.plan, "x.", 5, true);
    add_toy(&b.plan, "y.", 6, true);
    bb_plan_head(&b.plan, "last", NULL);
    expect_text(b.plan.g, "embed    embed [100, 16]\n"
                          "toy      l7.x. size 5\n"
                          "toy      l7.y. size 6\n"
                          "head     embed [100, 16], tied\n");
    bb_plan_head(&b.plan, "last", "out");
    expect_text(b.plan.g, "embed    embed [100, 16]\n"
                          "toy      l7.x. size 5\n"
                          "toy      l7.y. size 6\n"
                          "head     out [100, 16]\n");
    end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_and_order),
        cmocka_unit_test(test_slots),
        cmocka_unit_test(test_shared_mixer),
        cmocka_unit_test(test_side_stream),
        cmocka_unit_test(test_too_many_uses),
        cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_first_failure_stays),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_no_graph),
        cmocka_unit_test(test_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
