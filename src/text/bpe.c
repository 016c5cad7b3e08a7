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

#include <assert.h>
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
    uint32_t        n_merges, merge_capacity;
    bb_buffer       joined;               /* text of the last merge's result …    */
    int32_t         joined_id;            /* … and its id; -1: none               */
    int32_t         short_id[N_SHORT];    /* of single characters; -1: no token   */
    int32_t         byte_id[256];         /* of <0xHH>; -1: no token              */
    char           *unknown;              /* copy of the unknown token's text     */
    int32_t         unknown_id;           /* -1: not in the vocabulary            */
    bool            byte_fallback, fuse_unknown, ignore_merges;
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
    if (!bb_reserve(ids->a, &ids->id, &ids->capacity, ids->n + 1, sizeof *ids->id)) return false;
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

/* Whether a is b followed by c. */
static bool is_joined(const bb_buffer *a, bb_text b, bb_text c)
{
    return a->n == b.n + c.n && memcmp(a->data, b.s, b.n) == 0 &&
           memcmp(a->data + b.n, c.s, c.n) == 0;
}

/* Files list the merges that make the same token in a row: its id need not be looked up again. */
bool bb_bpe_add(bb_bpe *b, bb_text left, bb_text right, bb_text *missing)
{
    const int32_t l = bb_vocab_find(b->vocab, left.s, left.n);
    const int32_t r = bb_vocab_find(b->vocab, right.s, right.n);

    assert(b->n_merges < b->merge_capacity);
    *missing = l < 0 ? left : right;
    if (l < 0 || r < 0) return false;
    if (b->joined_id < 0 || !is_joined(&b->joined, left, right)) {
        memcpy(b->joined.data, left.s, left.n);
        memcpy(b->joined.data + left.n, right.s, right.n);
        b->joined.n = left.n + right.n;
        b->joined_id = bb_vocab_find(b->vocab, b->joined.data, b->joined.n);
        *missing = (bb_text){ b->joined.data, b->joined.n };
        if (b->joined_id < 0) return false;
    }
    *find_slot(b, l, r) = (merge){ l, r, b->n_merges++, b->joined_id };
    return true;
}

static void find_single_characters(bb_bpe *b)
{
    static const char digits[] = "0123456789ABCDEF";
    unsigned char     s[4];

    for (uint32_t c = 0; c < N_SHORT; c++)
        b->short_id[c] = bb_vocab_find(b->vocab, (const char *)s, bb_utf8_encode(c, s));
    for (unsigned i = 0; i < 256; i++) {
        const char name[] = { '<', '0', 'x', digits[i / 16], digits[i % 16], '>' };
        b->byte_id[i] = bb_vocab_find(b->vocab, name, sizeof name);
    }
}

bb_bpe *bb_bpe_begin(const bb_allocator *a, const bb_vocab *vocab, const bb_bpe_options *o,
                     size_t n_merges)
{
    bb_bpe *b = n_merges < UINT32_MAX / 2 ? bb_new(a, 1, sizeof *b) : NULL;
    size_t  size = 16;

    if (!b) return NULL;
    while (size / 3 * 2 < n_merges) size *= 2;
    b->alloc = *a;
    b->joined.a = &b->alloc;
    b->vocab = vocab;
    b->byte_fallback = o->byte_fallback;
    b->fuse_unknown = o->fuse_unknown;
    b->ignore_merges = o->ignore_merges;
    b->merge_capacity = (uint32_t)n_merges;
    b->merge_mask = size - 1;
    b->joined_id = b->unknown_id = -1;
    b->merges = bb_allocate(a, size, sizeof *b->merges);
    if (o->unknown) {
        b->unknown_id = bb_vocab_find(vocab, o->unknown, strlen(o->unknown));
        b->unknown = bb_copy_text(a, o->unknown, strlen(o->unknown));
    }
    if (!b->merges || (o->unknown && !b->unknown) ||
        !bb_buffer_room(&b->joined, 2 * vocab->n_longest + 1)) {
        bb_bpe_free(b);
        return NULL;
    }
    for (size_t i = 0; i < size; i++) b->merges[i].left = -1;
    find_single_characters(b);
    return b;
}

void bb_bpe_free(bb_bpe *b)
{
    if (!b) return;
    const bb_allocator a = b->alloc;
    bb_release(&a, b->merges);
    bb_release(&a, b->unknown);
    bb_release(&a, b->joined.data);
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

/* Merge the n linked symbols until no pair can. heap has room for 3 n candidates: one for each
   pair at first, two more for each merge, of which there are fewer than n. */
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

/* Id of the character text [n], or -1. */
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

/* Make one symbol of each character that is a token; others become their bytes, the unknown token,
   or nothing. As in the reference, an unknown token comes right before the next character that is
   a token, behind any bytes between. */
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
                           "encoding text: the unknown token '%.80s' is not in the vocabulary",
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
    if (n >= INT32_MAX ||
        !bb_reserve(w->a, &w->symbol, &w->symbol_capacity, n, sizeof *w->symbol))
        return bb_fail(err, BAMBA_ERR_MEMORY, "encoding text: out of memory");

    const bb_status status = split_characters(b, text, n, w->symbol, &n_symbols, err);
    if (status != BAMBA_OK) return status;
    if (n_symbols > 1) {
        if (!bb_reserve(w->a, &w->heap, &w->heap_capacity, 3 * n_symbols, sizeof *w->heap))
            return bb_fail(err, BAMBA_ERR_MEMORY, "encoding text: out of memory");
        merge_all(b, w->symbol, n_symbols, w->heap);
    }
    for (int32_t i = n_symbols ? 0 : -1; i >= 0; i = w->symbol[i].next)
        if (!bb_ids_append(out, w->symbol[i].id))
            return bb_fail(err, BAMBA_ERR_MEMORY, "encoding text: out of memory");
    return BAMBA_OK;
}
