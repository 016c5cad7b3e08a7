/* regex.c - regular expressions of tokenizer.json, compiled and matched. The only user of
 * PCRE2.
 *
 * A match first runs as machine code on 32 KiB of the caller's stack; if that is too little, on
 * a stack of its own; if that fails too, or there is no machine code, it is interpreted. All
 * three give the same result. */
#include "text/regex.h"

#include "base/utf8.h"
#include "text/pattern.h"

#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum {
    STACK_FIRST_BYTES = 64 << 10,
    STACK_MOST_BYTES = 16 << 20,
    HEAP_MOST_KIB = 512 << 10,            /* of the interpreter; PCRE2's own limit is 20 GB */
    PATTERN_MOST_BYTES = 64 << 10,
    NESTING_MOST = 32                     /* of groups: compiling takes 640 bytes of stack for each */
};

struct bb_regex {
    bb_allocator           alloc;
    pcre2_general_context *general;
    pcre2_code            *code;
};

struct bb_matcher {
    bb_allocator           alloc;
    pcre2_general_context *general;
    pcre2_match_context   *context;
    pcre2_match_data      *data;          /* room for the whole match alone */
    pcre2_jit_stack       *stack;         /* NULL until a match needs it    */
};

static void *pcre_allocate(PCRE2_SIZE bytes, void *context)
{
    return bb_allocate(context, bytes, 1);
}

static void pcre_release(void *block, void *context)
{
    bb_release(context, block);
}

static unsigned unicode_major(void)
{
    char     version[64] = "";
    unsigned major = 0;

    if (pcre2_config(PCRE2_CONFIG_UNICODE_VERSION, NULL) > (int)sizeof version) return 0;
    pcre2_config(PCRE2_CONFIG_UNICODE_VERSION, version);
    for (const char *s = version; *s >= '0' && *s <= '9'; s++)
        major = major * 10 + (unsigned)(*s - '0');
    return major;
}

static bb_status compile(bb_regex *r, const char *pattern, size_t n, uint32_t options,
                         bamba_error *err)
{
    int                    code = 0;
    PCRE2_SIZE             offset = 0;
    pcre2_compile_context *context = pcre2_compile_context_create(r->general);

    if (!context) return bb_fail(err, BAMBA_ERR_MEMORY, "pattern: out of memory");
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    pcre2_set_bsr(context, PCRE2_BSR_UNICODE);
    pcre2_set_parens_nest_limit(context, NESTING_MOST);
    r->code = pcre2_compile((PCRE2_SPTR)pattern, n, PCRE2_UTF | PCRE2_NO_UTF_CHECK | options,
                            &code, &offset, context);
    pcre2_compile_context_free(context);
    if (r->code) return BAMBA_OK;
    if (code == PCRE2_ERROR_HEAP_FAILED)
        return bb_fail(err, BAMBA_ERR_MEMORY, "pattern: out of memory");

    PCRE2_UCHAR message[120];
    pcre2_get_error_message(code, message, sizeof message);
    return bb_fail(err, BAMBA_ERR_UNSUPPORTED, "pattern: %s", (const char *)message);
}

bb_status bb_regex_compile(bb_regex **out, const bb_allocator *a, const char *pattern, size_t n,
                           bool literal, bamba_error *err)
{
    bb_status status = BAMBA_OK;
    bb_buffer text = { .a = a };
    bb_regex *r = bb_new(a, 1, sizeof *r);

    *out = NULL;
    if (!r) return bb_fail(err, BAMBA_ERR_MEMORY, "pattern: out of memory");
    r->alloc = *a;
    r->general = pcre2_general_context_create(pcre_allocate, pcre_release, &r->alloc);
    if (!r->general) {
        status = bb_fail(err, BAMBA_ERR_MEMORY, "pattern: out of memory");
        goto done;
    }
    if (n > PATTERN_MOST_BYTES) {
        status = bb_fail(err, BAMBA_ERR_UNSUPPORTED,
                         "pattern: expected at most %d bytes, found %zu", PATTERN_MOST_BYTES,
                         n);
        goto done;
    }
    if (literal) {
        BB_TRY(compile(r, n ? pattern : "", n, PCRE2_LITERAL, err));
    } else {
        BB_TRY(bb_pattern_translate(&text, pattern, n, unicode_major(), err));
        BB_TRY(compile(r, text.n ? text.data : "", text.n,
                       PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, err));
    }
    pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE);   /* if it fails, matches are interpreted */
    *out = r;
    r = NULL;
done:
    bb_buffer_free(&text);
    bb_regex_free(r);
    return status;
}

void bb_regex_free(bb_regex *r)
{
    if (!r) return;
    const bb_allocator a = r->alloc;
    pcre2_code_free(r->code);
    pcre2_general_context_free(r->general);
    bb_release(&a, r);
}

bb_status bb_matcher_create(bb_matcher **out, const bb_allocator *a, bamba_error *err)
{
    bb_matcher *m = bb_new(a, 1, sizeof *m);

    *out = NULL;
    if (!m) return bb_fail(err, BAMBA_ERR_MEMORY, "matching: out of memory");
    m->alloc = *a;
    m->general = pcre2_general_context_create(pcre_allocate, pcre_release, &m->alloc);
    if (m->general) m->context = pcre2_match_context_create(m->general);
    if (m->context) m->data = pcre2_match_data_create(1, m->general);
    if (!m->data) {
        bb_matcher_free(m);
        return bb_fail(err, BAMBA_ERR_MEMORY, "matching: out of memory");
    }
    pcre2_set_heap_limit(m->context, HEAP_MOST_KIB);
    *out = m;
    return BAMBA_OK;
}

void bb_matcher_free(bb_matcher *m)
{
    if (!m) return;
    const bb_allocator a = m->alloc;
    pcre2_match_data_free(m->data);
    pcre2_match_context_free(m->context);
    pcre2_jit_stack_free(m->stack);
    pcre2_general_context_free(m->general);
    bb_release(&a, m);
}

bb_scan bb_scan_begin(const bb_regex *regex, bb_matcher *m, const char *text, size_t n)
{
    return (bb_scan){ .regex = regex, .matcher = m, .text = text, .n = n,
                      .last_end = SIZE_MAX };
}

static int match_at(const bb_scan *s, size_t from)
{
    bb_matcher      *m = s->matcher;
    const PCRE2_SPTR text = (PCRE2_SPTR)(s->text ? s->text : "");
    const uint32_t   options = PCRE2_NO_UTF_CHECK;
    const pcre2_code *code = s->regex->code;

    int rc = pcre2_match(code, text, s->n, from, options, m->data, m->context);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT && !m->stack) {
        m->stack = pcre2_jit_stack_create(STACK_FIRST_BYTES, STACK_MOST_BYTES, m->general);
        if (m->stack) {
            pcre2_jit_stack_assign(m->context, NULL, m->stack);
            rc = pcre2_match(code, text, s->n, from, options, m->data, m->context);
        }
    }
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = pcre2_match(code, text, s->n, from, options | PCRE2_NO_JIT, m->data, m->context);
    return rc;
}

bb_status bb_scan_next(bb_scan *s, bool *found, bamba_error *err)
{
    *found = false;
    while (s->next <= s->n) {
        const int rc = match_at(s, s->next);
        if (rc == PCRE2_ERROR_NOMATCH) {
            s->next = s->n + 1;
            return BAMBA_OK;
        }
        if (rc == PCRE2_ERROR_NOMEMORY)
            return bb_fail(err, BAMBA_ERR_MEMORY, "matching: out of memory");
        if (rc < 0)
            return bb_fail(err, BAMBA_ERR_UNSUPPORTED,
                           "matching: the pattern takes too many steps from byte %zu on",
                           s->next);

        const PCRE2_SIZE *at = pcre2_get_ovector_pointer(s->matcher->data);
        if (at[0] == at[1] && at[1] == s->last_end) {
            const unsigned char *u = (const unsigned char *)s->text;
            s->next += s->next < s->n ? bb_utf8_length(u + s->next, s->n - s->next) : 1;
            continue;
        }
        s->start = at[0];
        s->end = at[1];
        s->next = s->last_end = at[1];
        *found = true;
        return BAMBA_OK;
    }
    return BAMBA_OK;
}
