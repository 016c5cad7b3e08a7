/* vocab.c - the model's vocabulary: token <-> id.
 *
 * text -> id: open addressing with linear probing; a slot keeps the whole hash, so that a
 * foreign token is hardly ever compared. id -> text: the tokens stand in ascending order of
 * their ids; where these are dense, as in every published file, the index is the id. */
#include "text/vocab.h"

#include "base/sort.h"

#include <assert.h>
#include <string.h>

/* Eight bytes at a time, multiply and fold. */
static uint32_t hash_text(const char *text, size_t n)
{
    const uint64_t k = 0x9E3779B97F4A7C15u;
    uint64_t       h = n * k;
    uint64_t       word;

    for (; n >= 8; n -= 8, text += 8) {
        memcpy(&word, text, 8);
        h = (h ^ word) * k;
        h ^= h >> 32;
    }
    word = 0;
    for (size_t i = 0; i < n; i++) word |= (uint64_t)(unsigned char)text[i] << (8 * i);
    h = (h ^ word) * k;
    h ^= h >> 29;
    h *= k;
    return (uint32_t)(h >> 32);
}

static int32_t id_of(const void *element)
{
    int32_t id;
    memcpy(&id, element, sizeof id);
    return id;
}

int bb_compare_ids(const void *a, const void *b)
{
    const int32_t x = id_of(a);
    const int32_t y = id_of(b);
    return (x > y) - (x < y);
}

const void *bb_find_id(const void *array, size_t n, size_t elem_bytes, int32_t id)
{
    const unsigned char *e = array;
    size_t               lo = 0;
    size_t               hi = n;

    if (id < 0) return NULL;
    if ((size_t)id < n && id_of(e + (size_t)id * elem_bytes) == id)
        return e + (size_t)id * elem_bytes;           /* no gap in the ids before it */
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (id_of(e + mid * elem_bytes) < id) lo = mid + 1;
        else hi = mid;
    }
    return lo < n && id_of(e + lo * elem_bytes) == id ? e + lo * elem_bytes : NULL;
}

static size_t table_size(size_t n)
{
    size_t size = 16;
    while (size / 3 * 2 < n) size *= 2;
    return size;
}

bool bb_vocab_begin(bb_vocab *v, const bb_allocator *a, size_t n_tokens)
{
    *v = (bb_vocab){ .alloc = *a, .capacity = n_tokens, .mask = table_size(n_tokens) - 1 };
    v->texts.a = &v->alloc;
    v->token = bb_allocate(a, n_tokens, sizeof *v->token);
    v->slot = bb_allocate(a, v->mask + 1, sizeof *v->slot);
    return v->token && v->slot;
}

bool bb_vocab_add(bb_vocab *v, const char *text, size_t n, int32_t id)
{
    assert(v->n < v->capacity && id >= 0 && id < BB_ID_LIMIT);
    if (n > UINT32_MAX - v->texts.n || !bb_buffer_append(&v->texts, text, n)) return false;
    v->token[v->n++] = (bb_vocab_token){ id, (uint32_t)n, NULL };
    if (n > v->n_longest) v->n_longest = n;
    return true;
}

/* The slot where a text stands or belongs. */
static bb_vocab_slot *find_slot(const bb_vocab *v, const char *text, size_t n, uint32_t hash)
{
    for (size_t at = hash & v->mask;; at = (at + 1) & v->mask) {
        bb_vocab_slot *slot = &v->slot[at];
        if (slot->id < 0) return slot;
        if (slot->hash == hash && slot->n_bytes == n &&
            (n == 0 || memcmp(v->texts.data + slot->offset, text, n) == 0))
            return slot;
    }
}

/* Files in the order of ids are sorted already. */
static void order_tokens(bb_vocab *v)
{
    const char *text = v->texts.data ? v->texts.data : "";
    bool        sorted = true;

    for (size_t i = 0; i < v->n; text += v->token[i++].n_bytes) {
        v->token[i].text = text;
        if (i > 0 && v->token[i - 1].id > v->token[i].id) sorted = false;
    }
    if (!sorted) bb_sort(v->token, v->n, sizeof *v->token, bb_compare_ids);
}

bool bb_vocab_finish(bb_vocab *v, bb_vocab_token *one, bb_vocab_token *other)
{
    order_tokens(v);
    for (size_t i = 0; i <= v->mask; i++) v->slot[i].id = -1;
    for (size_t i = 0; i < v->n; i++) {
        const bb_vocab_token *t = &v->token[i];
        const uint32_t        hash = hash_text(t->text, t->n_bytes);
        bb_vocab_slot        *slot = find_slot(v, t->text, t->n_bytes, hash);
        const bool            same_id = i > 0 && v->token[i - 1].id == t->id;
        if (slot->id >= 0 || same_id) {
            *one = same_id ? v->token[i - 1] : *bb_vocab_at(v, slot->id);
            *other = *t;
            return false;
        }
        const uint32_t offset = v->texts.data ? (uint32_t)(t->text - v->texts.data) : 0;
        *slot = (bb_vocab_slot){ hash, offset, t->n_bytes, t->id };
    }
    return true;
}

void bb_vocab_free(bb_vocab *v)
{
    if (!v->alloc.release) return;        /* never begun */
    bb_release(&v->alloc, v->token);
    bb_release(&v->alloc, v->slot);
    bb_release(&v->alloc, v->texts.data);
    *v = (bb_vocab){ .alloc = v->alloc };
}

int32_t bb_vocab_find(const bb_vocab *v, const char *text, size_t n)
{
    return find_slot(v, text, n, hash_text(text, n))->id;
}

const bb_vocab_token *bb_vocab_at(const bb_vocab *v, int32_t id)
{
    return bb_find_id(v->token, v->n, sizeof *v->token, id);
}
