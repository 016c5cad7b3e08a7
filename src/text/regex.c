/* regex.c - regular expressions of tokenizer.json, compiled and matched. The only user of
 * PCRE2.
 *
 * A match first runs as machine code on 32 KiB of the caller's stack; if that is too little, on
 * a stack of its own; if that fails too, or there is no machine code, it is interpreted. All
 * three give the same result.
 *
 * PCRE2 counts backtracking but not how far an item like [^c]* reads, so a match sees a window of
 * the text first. If PCRE2 reports that the window's end mattered (a partial match), the window
 * grows, and its bytes count as steps. What happens inside the first window is not counted: at
 * most WINDOW_FIRST bytes for each byte of the text. Backtracking is counted likewise, by limits
 * that grow. */
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
    NESTING_MOST = 32,                    /* of groups: compiling one takes 640 bytes of stack */
    WINDOW_FIRST = 1024,                  /* bytes */
    LIMIT_FIRST = 1000,                   /* PCRE2's unit: backtracking points */
    LIMIT_MOST = 10 * 1000 * 1000,
    BUDGET_BASE = 1 << 28,                /* steps of a text, however short */
    BUDGET_PER_BYTE = 256,
    REPORT_MATCHES = 4096,                /* between two reports, or so many steps */
    REPORT_STEPS = 1 << 24
};

struct bb_regex {
    bb_allocator           alloc;
    pcre2_general_context *general;
    pcre2_code            *code;
};

struct bb_matcher {
    bb_allocator           alloc;
    pcre2_general_context *general;
    pcre2_match_context   *limits;
    pcre2_match_data      *data;          /* room for the whole match alone */
    pcre2_jit_stack       *stack;         /* NULL until a match needs it    */
    uint64_t               steps_left;
    bamba_progress_fn     *progress;      /* NULL: nobody watches           */
    void                  *context;
    size_t                 done, total;   /* bytes of the text              */
    unsigned               n_matches;     /* since the last report          */
    uint64_t               n_steps;       /* likewise                       */
    bool                   cancelled;
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
    /* if it fails, matches are interpreted */
    pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_HARD);
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
    if (m->general) m->limits = pcre2_match_context_create(m->general);
    if (m->limits) m->data = pcre2_match_data_create(1, m->general);
    if (!m->data) {
        bb_matcher_free(m);
        return bb_fail(err, BAMBA_ERR_MEMORY, "matching: out of memory");
    }
    pcre2_set_heap_limit(m->limits, HEAP_MOST_KIB);
    bb_matcher_begin(m, 0, NULL, NULL);
    *out = m;
    return BAMBA_OK;
}

void bb_matcher_free(bb_matcher *m)
{
    if (!m) return;
    const bb_allocator a = m->alloc;
    pcre2_match_data_free(m->data);
    pcre2_match_context_free(m->limits);
    pcre2_jit_stack_free(m->stack);
    pcre2_general_context_free(m->general);
    bb_release(&a, m);
}

void bb_matcher_begin(bb_matcher *m, size_t n, bamba_progress_fn *progress, void *context)
{
    m->steps_left = BUDGET_BASE + (uint64_t)n * BUDGET_PER_BYTE;
    m->progress = progress;
    m->context = context;
    m->done = 0;
    m->n_matches = 0;
    m->n_steps = 0;
    m->total = n;
    m->cancelled = false;
}

bb_status bb_matcher_report(bb_matcher *m, size_t done, bamba_error *err)
{
    m->n_matches = 0;
    m->n_steps = 0;
    if (done > m->done) m->done = done < m->total ? done : m->total;
    if (m->progress && !m->cancelled)
        m->cancelled = m->progress(m->context, m->done, m->total) != 0;
    if (m->cancelled)
        return bb_fail(err, BAMBA_ERR_CANCELLED, "tokenizing was cancelled");
    return BAMBA_OK;
}

bb_scan bb_scan_begin(const bb_regex *regex, bb_matcher *m, const char *text, size_t n)
{
    return (bb_scan){ .regex = regex, .matcher = m, .text = text, .n = n,
                      .last_end = SIZE_MAX };
}

static int match_once(const bb_scan *s, size_t from, size_t end, uint32_t options)
{
    bb_matcher       *m = s->matcher;
    const PCRE2_SPTR  text = (PCRE2_SPTR)(s->text ? s->text : "");
    const pcre2_code *code = s->regex->code;

    options |= PCRE2_NO_UTF_CHECK;
    int rc = pcre2_match(code, text, end, from, options, m->data, m->limits);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT && !m->stack) {
        m->stack = pcre2_jit_stack_create(STACK_FIRST_BYTES, STACK_MOST_BYTES, m->general);
        if (m->stack) {
            pcre2_jit_stack_assign(m->limits, NULL, m->stack);
            rc = pcre2_match(code, text, end, from, options, m->data, m->limits);
        }
    }
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = pcre2_match(code, text, end, from, options | PCRE2_NO_JIT, m->data, m->limits);
    return rc;
}

/* False if that was too much, or the caller cancels. */
static bool spend(bb_matcher *m, uint64_t steps)
{
    m->steps_left -= steps < m->steps_left ? steps : m->steps_left;
    m->n_steps += steps;
    if (m->n_steps >= REPORT_STEPS && bb_matcher_report(m, 0, NULL) != BAMBA_OK) return false;
    return m->steps_left > 0;
}

static int match_within(const bb_scan *s, size_t from, size_t end, uint32_t options)
{
    uint32_t limit = LIMIT_FIRST;

    for (;;) {
        pcre2_set_match_limit(s->matcher->limits, limit);
        const int rc = match_once(s, from, end, options);
        if (rc != PCRE2_ERROR_MATCHLIMIT && limit == LIMIT_FIRST) return rc;
        if (!spend(s->matcher, limit)) return PCRE2_ERROR_MATCHLIMIT;
        if (rc != PCRE2_ERROR_MATCHLIMIT || limit == LIMIT_MOST) return rc;
        limit = limit < LIMIT_MOST / 16 ? limit * 16 : LIMIT_MOST;
    }
}

static size_t skip_char(const bb_scan *s, size_t at)
{
    const unsigned char *u = (const unsigned char *)s->text;
    return at + (at < s->n ? bb_utf8_length(u + at, s->n - at) : 1);
}

/* The first match from a byte on. */
static int match_from(const bb_scan *s, size_t from)
{
    size_t window = WINDOW_FIRST;

    while (s->n - from > WINDOW_FIRST) {
        const bool whole = window >= s->n - from;
        size_t     end = whole ? s->n : from + window;
        while (end < s->n && (s->text[end] & 0xC0) == 0x80) end++;
        const int rc = match_within(s, from, end, whole ? PCRE2_ANCHORED : PCRE2_PARTIAL_HARD);
        if (rc == PCRE2_ERROR_NOMATCH) {  /* none begins here; or none in the window */
            from = whole ? skip_char(s, from) : end;
        } else if (rc == PCRE2_ERROR_PARTIAL) {
            const size_t start = pcre2_get_ovector_pointer(s->matcher->data)[0];
            window = start > from ? WINDOW_FIRST : window * 2;
            from = start;
            if (!spend(s->matcher, end - from)) return PCRE2_ERROR_MATCHLIMIT;
            continue;
        } else {
            return rc;
        }
        if (whole && !spend(s->matcher, end - from)) return PCRE2_ERROR_MATCHLIMIT;
        window = WINDOW_FIRST;
    }
    return match_within(s, from, s->n, 0);
}

bb_status bb_scan_next(bb_scan *s, bool *found, bamba_error *err)
{
    *found = false;
    if (++s->matcher->n_matches >= REPORT_MATCHES) {
        const bb_status status = bb_matcher_report(s->matcher, 0, err);
        if (status != BAMBA_OK) return status;
    }
    while (s->next <= s->n) {
        const int rc = match_from(s, s->next);
        if (rc == PCRE2_ERROR_NOMATCH) {
            s->next = s->n + 1;
            return BAMBA_OK;
        }
        if (rc == PCRE2_ERROR_NOMEMORY)
            return bb_fail(err, BAMBA_ERR_MEMORY, "matching: out of memory");
        if (rc < 0 && s->matcher->cancelled) return bb_matcher_report(s->matcher, 0, err);
        if (rc < 0)
            return bb_fail(err, BAMBA_ERR_UNSUPPORTED,
                           "splitting text: a pattern of tokenizer.json takes too many steps "
                           "from byte %zu on", s->next);

        const PCRE2_SIZE *at = pcre2_get_ovector_pointer(s->matcher->data);
        if (at[0] == at[1] && at[1] == s->last_end) {
            s->next = skip_char(s, s->next);
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
