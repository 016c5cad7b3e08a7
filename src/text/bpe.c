/* bpe.c - byte pair encoding of one pre-token.
 *
 * The characters form a doubly linked list in an array; a heap holds the adjacent pairs that
 * can merge, lowest rank first, leftmost on ties. A merge leaves stale entries behind in the
 * heap; an entry counts only if the pair that stands at its position now merges into the same
 * token. That makes n log n of any text.
 * Source: Sennrich et al. 2016, arXiv:1508.07909; ties and stale entries as in
 * huggingface/tokenizers models/bpe/word.rs, on which the ids depend. */
#include "text/bpe.h"

#include "base/utf8.h"
#include "text/buffer.h"

#include <stdio.h>
#include <string.h>

typedef struct merge {
    int32_t  left;                        /* -1: free slot */
    int32_t  right;
    uint32_t rank;
    int32_t  merged;
} merge;

enum { N_SHORT = 0x800 };                 /* characters of one and two bytes */

struct bb_bpe {
    bb_allocator    alloc;
    const bb_vocab *vocab;
    merge          *merges;               /* [merge_mask + 1], open addressing    */
    size_t          merge_mask;
    int32_t         short_id[N_SHORT];    /* of single characters; -1: no token   */
    int32_t         byte_id[256];         /* of <0xHH>; -1: no token              */
    char           *unknown;              /* the unknown token's text, or NULL    */
    int32_t         unknown_id;           /* -1: not in the vocabulary            */
    bool            byte_fallback;
    bool            fuse_unknown;
    bool            ignore_merges;
};

struct bb_symbol {
    int32_t id;
    int32_t prev;                         /* -1: first        */
    int32_t next;                         /* -1: last         */
    bool    merged_away;
};

struct bb_candidate {
    uint32_t rank;
    int32_t  at;                          /* the left symbol  */
    int32_t  merged;
};

bool bb_ids_append(bb_ids *ids, int32_t id)
{
    if (ids->n == ids->capacity) {
        void *array = ids->id;
        if (!bb_reserve(ids->a, &array, &ids->capacity, ids->n + 1, sizeof *ids->id))
            return false;
        ids->id = array;
    }
    ids->id[ids->n++] = id;
    return true;
}

void bb_bpe_work_free(bb_bpe_work *w)
{
    bb_release(w->a, w->symbol);
    bb_release(w->a, w->heap);
    *w = (bb_bpe_work){ .a = w->a };
}

/* -------------------------------------------------------------- merges ------------------- */

static size_t hash_pair(int32_t left, int32_t right)
{
    uint64_t h = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    h *= 0x9E3779B97F4A7C15u;
    h ^= h >> 32;
    h *= 0xD6E8FEB86659FD93u;
    return (size_t)(h >> 32);
}

/* The slot of a pair, or the free one where it belongs. */
static merge *find_slot(const bb_bpe *b, int32_t left, int32_t right)
{
    size_t at = hash_pair(left, right) & b->merge_mask;

    while (b->merges[at].left >= 0 &&
           (b->merges[at].left != left || b->merges[at].right != right))
        at = (at + 1) & b->merge_mask;
    return &b->merges[at];
}

static const merge *find_merge(const bb_bpe *b, int32_t left, int32_t right)
{
    const merge *m = find_slot(b, left, right);
    return m->left >= 0 ? m : NULL;
}

typedef struct text_pair {
    const char *left, *right;
    size_t      n_left, n_right;
} text_pair;

/* "a b" or ["a", "b"]. */
static bool read_pair(const bb_json *item, text_pair *p)
{
    if (bb_json_is_array(item)) {
        const bb_json left = bb_json_at(item, 0);
        const bb_json right = bb_json_at(item, 1);
        p->left = bb_json_value_text(&left, &p->n_left);
        p->right = bb_json_value_text(&right, &p->n_right);
        if (bb_json_length(item) != 2)
            bb_json_fail(item, BAMBA_ERR_FORMAT, "expected two tokens, found %zu",
                         bb_json_length(item));
        return bb_json_status(item->doc, NULL) == BAMBA_OK;
    }
    size_t      n;
    const char *text = bb_json_value_text(item, &n);
    const char *space = memchr(text, ' ', n);
    const char *end = text + n;
    if (!space || memchr(space + 1, ' ', (size_t)(end - space - 1))) {
        bb_json_fail(item, BAMBA_ERR_FORMAT, "expected two tokens with one space between");
        return false;
    }
    *p = (text_pair){ text, space + 1, (size_t)(space - text), (size_t)(end - space - 1) };
    return true;
}

static int32_t find_part(const bb_bpe *b, const bb_json *item, const char *text, size_t n)
{
    const int32_t id = bb_vocab_find(b->vocab, text, n);
    if (id < 0)
        bb_json_fail(item, BAMBA_ERR_FORMAT, "'%.*s' is not in the vocabulary",
                     n < 60 ? (int)n : 60, text);
    return id;
}

/* joined holds the text of *merged from the merge before: files list the pairs of one token in
   a row, and then its id need not be looked up again. */
static bool add_merge(bb_bpe *b, const bb_json *item, uint32_t rank, bb_buffer *joined,
                      int32_t *merged)
{
    text_pair p;

    if (!read_pair(item, &p)) return false;
    const int32_t left = find_part(b, item, p.left, p.n_left);
    const int32_t right = left < 0 ? -1 : find_part(b, item, p.right, p.n_right);
    if (right < 0) return false;
    if (*merged < 0 || joined->n != p.n_left + p.n_right ||
        memcmp(joined->data, p.left, p.n_left) != 0 ||
        memcmp(joined->data + p.n_left, p.right, p.n_right) != 0) {
        memcpy(joined->data, p.left, p.n_left);
        memcpy(joined->data + p.n_left, p.right, p.n_right);
        joined->n = p.n_left + p.n_right;
        *merged = find_part(b, item, joined->data, joined->n);
        if (*merged < 0) return false;
    }
    *find_slot(b, left, right) = (merge){ left, right, rank, *merged };
    return true;
}

static bb_status read_merges(bb_bpe *b, const bb_json *model, bamba_error *err)
{
    const bb_json list = bb_json_get(model, "merges");
    const size_t  n = bb_json_length(&list);
    bb_buffer     joined = { .a = &b->alloc };
    size_t        size = 16;
    int32_t       merged = -1;

    if (!bb_json_is_array(&list) || n >= UINT32_MAX / 2) {
        bb_json_fail(&list, BAMBA_ERR_FORMAT, "expected a list of merges");
        return bb_json_status(list.doc, err);
    }
    while (size / 3 * 2 < n) size *= 2;
    b->merges = bb_allocate(&b->alloc, size, sizeof *b->merges);
    if (!b->merges || !bb_buffer_room(&joined, 2 * b->vocab->n_longest + 1)) {
        bb_buffer_free(&joined);
        return bb_fail(err, BAMBA_ERR_MEMORY, "out of memory for %zu merges", n);
    }
    b->merge_mask = size - 1;
    for (size_t i = 0; i < size; i++) b->merges[i].left = -1;
    for (size_t i = 0; i < n; i++) {
        const bb_json item = bb_json_at(&list, i);
        if (!add_merge(b, &item, (uint32_t)i, &joined, &merged)) break;
    }
    bb_buffer_free(&joined);
    return bb_json_status(list.doc, err);
}

/* -------------------------------------------------------------- loading ------------------ */

static void refuse_what_we_lack(const bb_json *model)
{
    static const char *const affixes[] = { "continuing_subword_prefix", "end_of_word_suffix" };

    for (size_t i = 0; i < 2; i++) {
        const char *text = bb_json_text_or(model, affixes[i], "");
        if (text[0])
            bb_json_fail_key(model, affixes[i], BAMBA_ERR_UNSUPPORTED,
                             "expected null, found '%s'", text);
    }
    if (bb_json_float_or(model, "dropout", 0) != 0)
        bb_json_fail_key(model, "dropout", BAMBA_ERR_UNSUPPORTED, "expected null");
}

static void find_single_characters(bb_bpe *b)
{
    unsigned char s[4];
    char          name[8];

    for (uint32_t c = 0; c < N_SHORT; c++)
        b->short_id[c] = bb_vocab_find(b->vocab, (const char *)s, bb_utf8_encode(c, s));
    for (unsigned i = 0; i < 256; i++) {
        snprintf(name, sizeof name, "<0x%02X>", i);
        b->byte_id[i] = bb_vocab_find(b->vocab, name, 6);
    }
}

bb_status bb_bpe_load(bb_bpe **out, const bb_allocator *a, const bb_vocab *vocab,
                      const bb_json *model, bamba_error *err)
{
    bb_status status = BAMBA_OK;
    bb_bpe   *b = bb_new(a, 1, sizeof *b);

    *out = NULL;
    if (!b) return bb_fail(err, BAMBA_ERR_MEMORY, "out of memory for the merges");
    b->alloc = *a;
    b->vocab = vocab;
    b->unknown_id = -1;
    refuse_what_we_lack(model);
    b->byte_fallback = bb_json_bool_or(model, "byte_fallback", false);
    b->fuse_unknown = bb_json_bool_or(model, "fuse_unk", false);
    b->ignore_merges = bb_json_bool_or(model, "ignore_merges", false);
    if (bb_json_has(model, "unk_token")) {
        const char *text = bb_json_text(model, "unk_token");
        b->unknown_id = bb_vocab_find(vocab, text, strlen(text));
        b->unknown = bb_copy_text(a, text, strlen(text));
        if (!b->unknown) {
            status = bb_fail(err, BAMBA_ERR_MEMORY, "out of memory for the merges");
            goto done;
        }
    }
    BB_TRY(bb_json_status(model->doc, err));
    BB_TRY(read_merges(b, model, err));
    find_single_characters(b);
    *out = b;
    b = NULL;
done:
    bb_bpe_free(b);
    return status;
}

void bb_bpe_free(bb_bpe *b)
{
    if (!b) return;
    const bb_allocator a = b->alloc;
    bb_release(&a, b->merges);
    bb_release(&a, b->unknown);
    bb_release(&a, b);
}

/* -------------------------------------------------------------- the heap ----------------- */

static bool before(const struct bb_candidate *x, const struct bb_candidate *y)
{
    return x->rank != y->rank ? x->rank < y->rank : x->at < y->at;
}

static void sift_down(struct bb_candidate *heap, size_t n, size_t at)
{
    const struct bb_candidate moving = heap[at];

    for (size_t child = 2 * at + 1; child < n; child = 2 * at + 1) {
        if (child + 1 < n && before(&heap[child + 1], &heap[child])) child++;
        if (!before(&heap[child], &moving)) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moving;
}

static void push(struct bb_candidate *heap, size_t *n, struct bb_candidate added)
{
    size_t at = (*n)++;

    for (; at > 0 && before(&added, &heap[(at - 1) / 2]); at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = added;
}

static struct bb_candidate pop(struct bb_candidate *heap, size_t *n)
{
    const struct bb_candidate top = heap[0];

    heap[0] = heap[--*n];
    sift_down(heap, *n, 0);
    return top;
}

/* -------------------------------------------------------------- encoding ----------------- */

static void push_pair(const bb_bpe *b, const struct bb_symbol *s, int32_t left,
                      struct bb_candidate *heap, size_t *n)
{
    const merge *m = find_merge(b, s[left].id, s[s[left].next].id);
    if (m) push(heap, n, (struct bb_candidate){ m->rank, left, m->merged });
}

/* s [n] symbols, linked; heap has room for 3 n candidates: one for each pair at first, two more
   for each merge, of which there are fewer than n. */
static void merge_all(const bb_bpe *b, struct bb_symbol *s, size_t n, struct bb_candidate *heap)
{
    size_t n_heap = 0;

    for (size_t i = 0; i + 1 < n; i++) {
        const merge *m = find_merge(b, s[i].id, s[i + 1].id);
        if (m) heap[n_heap++] = (struct bb_candidate){ m->rank, (int32_t)i, m->merged };
    }
    for (size_t i = n_heap / 2; i-- > 0;) sift_down(heap, n_heap, i);

    while (n_heap > 0) {
        const struct bb_candidate top = pop(heap, &n_heap);
        struct bb_symbol         *left = &s[top.at];
        if (left->merged_away || left->next < 0) continue;
        struct bb_symbol *right = &s[left->next];
        const merge      *now = find_merge(b, left->id, right->id);
        if (!now || now->merged != top.merged) continue;

        left->id = top.merged;
        left->next = right->next;
        right->merged_away = true;
        if (left->next >= 0) s[left->next].prev = top.at;
        if (left->prev >= 0) push_pair(b, s, left->prev, heap, &n_heap);
        if (left->next >= 0) push_pair(b, s, top.at, heap, &n_heap);
    }
}

static int32_t find_character(const bb_bpe *b, const char *text, size_t n)
{
    const unsigned char *s = (const unsigned char *)text;

    if (n <= 2) return b->short_id[bb_utf8_decode(s, n)];
    return bb_vocab_find(b->vocab, text, n);
}

static bool has_all_bytes(const bb_bpe *b, const unsigned char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (b->byte_id[s[i]] < 0) return false;
    return true;
}

static void add_symbol(struct bb_symbol *s, size_t *n, int32_t id)
{
    const int32_t i = (int32_t)(*n)++;

    s[i] = (struct bb_symbol){ id, i - 1, i + 1, false };
}

/* One symbol for each character the vocabulary has; others become their bytes, the unknown
   token, or nothing. An unknown token is held back until the next known character, beyond any
   bytes between: so does the reference. */
static bb_status split_characters(const bb_bpe *b, const char *text, size_t n,
                                  struct bb_symbol *s, size_t *n_symbols, bamba_error *err)
{
    const unsigned char *u = (const unsigned char *)text;
    bool                 unknown = false;

    *n_symbols = 0;
    for (size_t i = 0; i < n;) {
        const size_t  length = bb_utf8_length(u + i, n - i);
        const int32_t id = find_character(b, text + i, length);
        const size_t  at = i;

        i += length;
        if (id >= 0) {
            if (unknown) add_symbol(s, n_symbols, b->unknown_id);
            unknown = false;
            add_symbol(s, n_symbols, id);
            continue;
        }
        if (b->byte_fallback && has_all_bytes(b, u + at, length)) {
            for (size_t k = 0; k < length; k++) add_symbol(s, n_symbols, b->byte_id[u[at + k]]);
            continue;
        }
        if (!b->unknown) continue;
        if (b->unknown_id < 0)
            return bb_fail(err, BAMBA_ERR_FORMAT,
                           "tokenizer.json: 'model.unk_token': '%.80s' is not a token",
                           b->unknown);
        if (unknown && !b->fuse_unknown) add_symbol(s, n_symbols, b->unknown_id);
        unknown = true;
    }
    if (unknown) add_symbol(s, n_symbols, b->unknown_id);
    if (*n_symbols) s[*n_symbols - 1].next = -1;
    return BAMBA_OK;
}

bb_status bb_bpe_encode(const bb_bpe *b, bb_bpe_work *w, const char *text, size_t n,
                        bb_ids *out, bamba_error *err)
{
    size_t n_symbols;

    if (n == 0) return BAMBA_OK;
    if (b->ignore_merges) {
        const int32_t id = bb_vocab_find(b->vocab, text, n);
        if (id >= 0 && bb_ids_append(out, id)) return BAMBA_OK;
        if (id >= 0) return bb_fail(err, BAMBA_ERR_MEMORY, "encoding text: out of memory");
    }
    void *symbol = w->symbol;
    void *heap = w->heap;
    bool  ok = n < INT32_MAX &&
               bb_reserve(w->a, &symbol, &w->symbol_capacity, n, sizeof *w->symbol);
    w->symbol = symbol;
    if (!ok) return bb_fail(err, BAMBA_ERR_MEMORY, "encoding text: out of memory");

    const bb_status status = split_characters(b, text, n, w->symbol, &n_symbols, err);
    if (status != BAMBA_OK) return status;
    if (n_symbols > 1) {
        ok = bb_reserve(w->a, &heap, &w->heap_capacity, 3 * n_symbols, sizeof *w->heap);
        w->heap = heap;
        if (!ok) return bb_fail(err, BAMBA_ERR_MEMORY, "encoding text: out of memory");
        merge_all(b, w->symbol, n_symbols, w->heap);
    }
    for (int32_t i = n_symbols ? 0 : -1; i >= 0; i = w->symbol[i].next)
        if (!bb_ids_append(out, w->symbol[i].id))
            return bb_fail(err, BAMBA_ERR_MEMORY, "encoding text: out of memory");
    return BAMBA_OK;
}
