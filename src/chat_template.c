/* chat_template.c - bamba_chat_template: from a conversation to the prompt of a model. */
#include "base/options.h"
#include "base/utf8.h"
#include "base/file.h"
#include "base/json_parse.h"
#include "chat/clock.h"
#include "chat/conversation.h"
#include "chat/render.h"
#include "chat_source.h"
#include "load/directory.h"

#include <stdio.h>

enum {
    TEXT_MOST_BYTES = 1 << 20,            /* of a template; the largest published has 40 KB */
    JSON_MOST_BYTES = 1 << 28,
    STEPS = 20000000,                     /* of a rendering, and so many more a byte of JSON */
    STEPS_A_BYTE = 200,
    BYTES = 64 << 20,                     /* likewise */
    BYTES_A_BYTE = 64,
    PARSE_BYTES = 1 << 20,                /* of a template and its tokens; and more a byte */
    PARSE_BYTES_A_BYTE = 1024
};

struct bamba_chat_template {
    bb_allocator alloc;
    bb_work      work;                    /* memory of what follows */
    bb_syntax    plain, tools;            /* the second for conversations with tools */
    bool         has_plain, has_tools;
    char         plain_name[96], tools_name[96];
    bb_value     tokens;                  /* special tokens by key */
};

/* The public struct, and its memory. */
typedef struct prompt {
    bamba_prompt view;
    bb_allocator alloc;
} prompt;

/* -------------------------------------------------------------- opening ------------------ */

static bb_status parse(bamba_chat_template *t, bb_syntax *out, char *name, const bb_chat_text *text,
                       bamba_error *err)
{
    const size_t valid = text->n ? bb_utf8_valid(text->text, text->n) : 0;

    memcpy(name, text->name, sizeof text->name);
    if (text->n > TEXT_MOST_BYTES)
        return bb_fail(err, BAMBA_ERR_FORMAT, "%s: expected at most %d bytes, found %zu", name,
                       (int)TEXT_MOST_BYTES, text->n);
    if (valid < text->n)
        return bb_fail(err, BAMBA_ERR_FORMAT, "%s: not UTF-8 at byte %zu", name, valid);
    t->work.n_most += PARSE_BYTES_A_BYTE * text->n;
    t->work.n_most_steps += STEPS_A_BYTE * (uint64_t)text->n;
    t->work.name = name;
    t->work.err = err;
    bb_parse(&t->work, out, text->text, text->n);
    return t->work.status;
}

static bb_status read_named(bamba_chat_template *t, bb_chat_source *s, const char *name,
                            bool for_tools, bamba_error *err)
{
    bb_chat_text text;
    bb_status    status = bb_chat_source_read(s, name, &text, err);

    if (status == BAMBA_OK && text.text)
        status = parse(t, for_tools ? &t->tools : &t->plain,
                       for_tools ? t->tools_name : t->plain_name, &text, err);
    *(for_tools ? &t->has_tools : &t->has_plain) = text.text != NULL;
    bb_chat_text_drop(s, &text);
    return status;
}

/* Without a name, the template for tools counts where there are tools. */
static bb_status read_templates(bamba_chat_template *t, bb_chat_source *s, const char *name,
                                bamba_error *err)
{
    bb_status status = read_named(t, s, name ? name : "default", false, err);

    if (status == BAMBA_OK && !name && bb_chat_source_has_names(s))
        status = read_named(t, s, "tool_use", true, err);
    if (status != BAMBA_OK || t->has_plain || t->has_tools) return status;
    return bb_fail(err, BAMBA_ERR_FORMAT, "%s: expected a chat template '%.40s', found none",
                   bb_path_name(s->dir), name ? name : "default");
}

static bb_status read_tokens(bamba_chat_template *t, bb_chat_source *s, bamba_error *err)
{
    static const char *const keys[] = { "bos_token", "eos_token", "unk_token", "sep_token",
                                        "pad_token", "cls_token", "mask_token" };

    for (int i = 0; i < 7; i++) {
        size_t      n = 0;
        const char *text = bb_chat_source_token(s, keys[i], &n);
        char       *copy = text ? bb_work_take(&t->work, n + 1, 1) : NULL;
        if (!copy) continue;
        memcpy(copy, text, n);
        bb_dict_set(&t->work, t->tokens.is.dict, bb_text_of(&t->work, keys[i]),
                    bb_text(bb_passage_of(&t->work, copy, n)));
    }
    return t->work.status != BAMBA_OK ? t->work.status : bb_chat_source_status(s, err);
}

static bb_status open_dir(bamba_chat_template *t, const char *dir, const char *name,
                          const bamba_chat_template_options *o, bamba_error *err)
{
    bb_chat_source s = { 0 };
    bb_status      status = BAMBA_OK;

    BB_TRY(bb_directory_check(&t->alloc, dir, "tokenizer_config.json", err));
    BB_TRY(bb_chat_source_open(&s, &t->alloc, dir, err));
    BB_TRY(read_tokens(t, &s, err));
    if (!o->text) BB_TRY(read_templates(t, &s, name, err));
done:
    bb_chat_source_close(&s);
    return status;
}

bamba_status bamba_chat_template_open(bamba_chat_template **out, const char *dir, const char *name,
                                      const bamba_chat_template_options *options, bamba_error *err)
{
    bamba_chat_template_options o = BAMBA_CHAT_TEMPLATE_OPTIONS;
    bb_allocator                a;
    bamba_chat_template        *t = NULL;
    bb_status                   status;

    if (!out) return bb_fail(err, BAMBA_ERR_ARGUMENT, "out: expected a pointer, found NULL");
    *out = NULL;
    status = bb_read_options(&o, sizeof o, sizeof o, options, "chat template options", err);
    if (status == BAMBA_OK) status = bb_allocator_resolve(&a, &o.allocator, err);
    if (status != BAMBA_OK) return status;
    if (!dir && !o.text)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "dir: expected a path, found NULL");

    t = bb_new(&a, 1, sizeof *t);
    if (!t) return bb_fail(err, BAMBA_ERR_MEMORY, "chat template: out of memory");
    t->alloc = a;
    t->work = (bb_work){ .a = &t->alloc, .err = err, .name = "chat template",
                         .line = 1, .column = 1,
                         .n_most = PARSE_BYTES, .n_most_steps = STEPS };
    t->tokens = bb_dict_new(&t->work);
    BB_TRY(t->work.status);
    if (dir) BB_TRY(open_dir(t, dir, name, &o, err));
    if (o.text) {
        t->has_plain = true;
        BB_TRY(parse(t, &t->plain, t->plain_name,
                     &(bb_chat_text){ .text = o.text, .n = o.n_text, .name = "template" }, err));
    }
    *out = t;
    t = NULL;
done:
    bamba_chat_template_free(t);
    return status;
}

void bamba_chat_template_free(bamba_chat_template *t)
{
    if (!t) return;
    const bb_allocator a = t->alloc;
    bb_work_free(&t->work);
    bb_release(&a, t);
}

/* -------------------------------------------------------------- rendering ---------------- */

/* The JSON texts of one rendering. */
typedef struct inputs {
    bb_json_tree messages, tools, variables;
} inputs;

static bb_status build(bb_json_tree *tree, const bb_allocator *a, const char *name,
                       const char *text, size_t n, bamba_error *err)
{
    if (!text) return BAMBA_OK;
    if (n > JSON_MOST_BYTES)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "%s: expected at most %d bytes, found %zu", name,
                       (int)JSON_MOST_BYTES, n);
    return bb_json_build(tree, a, name, text, n, BB_JSON_INFINITY | BB_JSON_DIGITS, err);
}

/* NULL and null: there are none. */
static bb_status check_tools(const bb_json_node *tools, bamba_error *err)
{
    if (!tools || tools->kind == BB_JSON_NULL) return BAMBA_OK;
    if (tools->kind != BB_JSON_ARRAY)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "tools: expected a list");
    const bb_json_node *item = tools + 1;
    for (uint32_t i = 0; i < tools->n; i++, item = bb_json_after(item))
        if (item->kind != BB_JSON_OBJECT)
            return bb_fail(err, BAMBA_ERR_ARGUMENT, "tools: expected an object as number %u",
                           i + 1);
    return BAMBA_OK;
}

static bb_status build_inputs(inputs *in, const bb_allocator *a, const char *messages, size_t n,
                              const bamba_chat_options *o, bamba_error *err)
{
    bb_status status = BAMBA_OK;

    BB_TRY(build(&in->messages, a, "messages", messages, n, err));
    BB_TRY(build(&in->tools, a, "tools", o->tools, o->n_tools, err));
    BB_TRY(build(&in->variables, a, "variables", o->variables, o->n_variables, err));
    BB_TRY(check_tools(in->tools.node, err));
    if (in->variables.node && in->variables.node->kind != BB_JSON_OBJECT)
        status = bb_fail(err, BAMBA_ERR_ARGUMENT, "variables: expected an object");
done:
    return status;
}

static void drop_inputs(inputs *in, const bb_allocator *a)
{
    bb_json_drop(&in->messages, a);
    bb_json_drop(&in->tools, a);
    bb_json_drop(&in->variables, a);
}

static void set(bb_work *w, bb_value d, const char *key, bb_value value)
{
    bb_dict_set(w, d.is.dict, bb_text_of(w, key), value);
}

/* What the template sees: special tokens, under the caller's variables, under the conversation. */
static bb_value make_variables(bb_work *w, const bamba_chat_template *t, const inputs *in,
                               const bamba_chat_options *o)
{
    const bb_value d = bb_dict_new(w);
    const bb_dict *tokens = t->tokens.is.dict;

    set(w, d, "documents", BB_VALUE(BB_NONE));
    for (size_t i = 0; i < tokens->n; i++)
        bb_dict_set(w, d.is.dict, tokens->pair[i].key, tokens->pair[i].value);
    if (in->variables.node) {
        const bb_value given = bb_value_of_json(w, in->variables.node);
        for (size_t i = 0; w->status == BAMBA_OK && i < given.is.dict->n; i++)
            bb_dict_set(w, d.is.dict, given.is.dict->pair[i].key, given.is.dict->pair[i].value);
    }
    set(w, d, "messages", bb_conversation(w, in->messages.node));
    set(w, d, "tools", in->tools.node ? bb_value_of_json(w, in->tools.node) : BB_VALUE(BB_NONE));
    set(w, d, "add_generation_prompt", bb_bool(!o->no_generation_prompt));
    return d;
}

static size_t count_ranges(const bb_builder *b)
{
    size_t n = 0;

    for (size_t i = 0; i < b->n; i++) n += b->mask[i] && (i == 0 || !b->mask[i - 1]);
    return n;
}

/* Copy the output and its ranges into memory of their own. */
static bb_status make_prompt(const bb_allocator *a, const bb_builder *b, bamba_prompt **out,
                             bamba_error *err)
{
    const size_t n = count_ranges(b);
    prompt      *p = bb_allocate(a, sizeof *p + n * sizeof(bamba_range) + b->n + 1, 1);

    if (!p) return bb_fail(err, BAMBA_ERR_MEMORY, "prompt: out of memory");
    bamba_range *range = (bamba_range *)(void *)(p + 1);
    char        *text = (char *)(range + n);
    *p = (prompt){ .view = { .text = text, .n_bytes = b->n, .user = range, .n_user = n },
                   .alloc = *a };
    if (b->n) memcpy(text, b->s, b->n);
    text[b->n] = '\0';
    for (size_t i = 0; i < b->n; i++) {
        if (!b->mask[i]) continue;
        range->begin = i;
        while (i < b->n && b->mask[i]) i++;
        range++->end = i;
    }
    *out = &p->view;
    return BAMBA_OK;
}

static bb_status render(const bamba_chat_template *t, const inputs *in, size_t n_bytes,
                        const bamba_chat_options *o, bamba_prompt **out, bamba_error *err)
{
    const bool for_tools = t->has_tools && in->tools.node && in->tools.node->kind == BB_JSON_ARRAY;
    bb_render  r = { .w = { .a = &t->alloc, .err = err, .name = "messages",
                            .n_most = BYTES + BYTES_A_BYTE * n_bytes,
                            .n_most_steps = STEPS + STEPS_A_BYTE * (uint64_t)n_bytes },
                     .now = o->now ? o->now : bb_clock_local() };
    bb_builder b = bb_builder_begin(&r.w);

    if (o->max_bytes) r.w.n_most = o->max_bytes;
    if (o->max_steps) r.w.n_most_steps = o->max_steps;
    const bb_value variables = make_variables(&r.w, t, in, o);
    r.w.name = for_tools ? t->tools_name : t->plain_name;
    r.w.line = r.w.column = 1;
    r.variables = variables.is.dict;
    r.out = &b;
    if (r.w.status == BAMBA_OK) bb_run(&r, for_tools ? &t->tools : &t->plain);
    bb_status status = r.w.status;
    if (status == BAMBA_OK) status = make_prompt(&t->alloc, &b, out, err);
    bb_work_free(&r.w);
    return status;
}

bamba_status bamba_chat_render(const bamba_chat_template *t, const char *messages, size_t n_bytes,
                               const bamba_chat_options *options, bamba_prompt **out,
                               bamba_error *err)
{
    bamba_chat_options o = BAMBA_CHAT_OPTIONS;
    inputs             in = { 0 };
    bb_status          status = BAMBA_OK;

    if (!t || !messages || !out)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "bamba_chat_render: an argument is NULL");
    *out = NULL;
    BB_TRY(bb_read_options(&o, sizeof o, sizeof o, options, "chat options", err));
    BB_TRY(build_inputs(&in, &t->alloc, messages, n_bytes, &o, err));
    if (!t->has_plain && (!in.tools.node || in.tools.node->kind != BB_JSON_ARRAY))
        status = bb_fail(err, BAMBA_ERR_ARGUMENT, "chat template: there is one for conversations "
                         "with tools alone");
    else status = render(t, &in, n_bytes + o.n_tools + o.n_variables, &o, out, err);
done:
    drop_inputs(&in, &t->alloc);
    return status;
}

void bamba_prompt_free(bamba_prompt *p)
{
    if (!p) return;
    const bb_allocator a = ((prompt *)(void *)p)->alloc;
    bb_release(&a, p);
}
