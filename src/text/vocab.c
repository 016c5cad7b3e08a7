/* vocab.c - the model's vocabulary: token <-> id.
 *
 * text -> id: open addressing with linear probing; a slot keeps the whole hash, so that a
 * foreign token is hardly ever compared. id -> text: the tokens stand in ascending order of
 * their ids; where these are dense, as in every published file, the index is the id. */
#include "text/vocab.h"

#include "base/sort.h"

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

static int by_id(const void *a, const void *b)
{
    const int32_t x = ((const bb_vocab_token *)a)->id;
    const int32_t y = ((const bb_vocab_token *)b)->id;
    return (x > y) - (x < y);
}

static size_t table_size(size_t n)
{
    size_t size = 16;
    while (size / 3 * 2 < n) size *= 2;
    return size;
}

static bb_status no_memory(const bb_vocab *v, bamba_error *err)
{
    return bb_fail(err, BAMBA_ERR_MEMORY, "out of memory for %zu tokens", v->n);
}

/* Bytes of a token that fit into a message. */
static int shown(const bb_vocab_token *t)
{
    return t->n_bytes < 40 ? (int)t->n_bytes : 40;
}

/* Copy the tokens out of the document, in one walk: its nodes lie scattered, and meeting them
   is what loading costs. */
static bb_status read_tokens(bb_vocab *v, const bb_json *object, bamba_error *err)
{
    bb_json_walk walk = { 0 };
    bb_json      member;
    size_t       i = 0;

    while (bb_json_next(object, &walk, &member)) {
        const size_t  n = strlen(member.key);
        const int64_t id = bb_json_value_int(&member);
        if (bb_json_status(object->doc, NULL) != BAMBA_OK) break;
        if (id < 0 || id >= BB_ID_LIMIT) {
            bb_json_fail(&member, BAMBA_ERR_FORMAT, "expected an id in [0, %d), found %lld",
                         (int)BB_ID_LIMIT, (long long)id);
            break;
        }
        v->token[i++] = (bb_vocab_token){ NULL, (uint32_t)n, (int32_t)id };
        if (!bb_buffer_append(&v->texts, member.key, n)) return no_memory(v, err);
        if (n > v->n_longest) v->n_longest = n;
    }
    const char *text = v->texts.data ? v->texts.data : "";
    for (size_t k = 0; k < i; text += v->token[k++].n_bytes) v->token[k].text = text;
    return bb_json_status(object->doc, err);
}

/* Sorting is for files in another order only. */
static bb_status order_tokens(bb_vocab *v, const bb_json *object, bamba_error *err)
{
    size_t i = 1;

    while (i < v->n && v->token[i - 1].id < v->token[i].id) i++;
    if (i < v->n) bb_sort(v->token, v->n, sizeof *v->token, by_id);
    for (; i < v->n; i++) {
        if (v->token[i - 1].id != v->token[i].id) continue;
        bb_json_fail(object, BAMBA_ERR_FORMAT, "id %d is given to '%.*s' and to '%.*s'",
                     (int)v->token[i].id, shown(&v->token[i - 1]), v->token[i - 1].text,
                     shown(&v->token[i]), v->token[i].text);
        break;
    }
    return bb_json_status(object->doc, err);
}

static void fill_table(bb_vocab *v)
{
    for (size_t i = 0; i <= v->mask; i++) v->slot[i].id = -1;
    for (size_t i = 0; i < v->n; i++) {
        const bb_vocab_token *t = &v->token[i];
        const uint32_t        hash = hash_text(t->text, t->n_bytes);
        const uint32_t        offset = (uint32_t)(t->text - v->texts.data);
        size_t                at = hash & v->mask;
        while (v->slot[at].id >= 0) at = (at + 1) & v->mask;
        v->slot[at] = (bb_vocab_slot){ hash, offset, t->n_bytes, t->id };
    }
}

bb_status bb_vocab_load(bb_vocab *v, const bb_allocator *a, const bb_json *object,
                        bamba_error *err)
{
    const size_t n = bb_json_members(object);
    bb_status    status = BAMBA_OK;

    *v = (bb_vocab){ .alloc = *a };
    v->texts.a = &v->alloc;
    if (n == 0 || n > BB_ID_LIMIT) {
        bb_json_fail(object, BAMBA_ERR_FORMAT,
                     "expected an object of 1 to %d tokens and their ids", (int)BB_ID_LIMIT);
        return bb_json_status(object->doc, err);
    }
    v->n = n;
    v->mask = table_size(n) - 1;
    v->token = bb_allocate(a, n, sizeof *v->token);
    v->slot = bb_allocate(a, v->mask + 1, sizeof *v->slot);
    if (!v->token || !v->slot) {
        status = no_memory(v, err);
        goto done;
    }
    BB_TRY(read_tokens(v, object, err));
    BB_TRY(order_tokens(v, object, err));
    fill_table(v);
done:
    if (status != BAMBA_OK) bb_vocab_free(v);
    return status;
}

void bb_vocab_free(bb_vocab *v)
{
    if (!v->alloc.release) return;        /* never loaded */
    bb_release(&v->alloc, v->token);
    bb_release(&v->alloc, v->slot);
    bb_release(&v->alloc, v->texts.data);
    *v = (bb_vocab){ .alloc = v->alloc };
}

int32_t bb_vocab_find(const bb_vocab *v, const char *text, size_t n)
{
    const uint32_t hash = hash_text(text, n);

    for (size_t at = hash & v->mask;; at = (at + 1) & v->mask) {
        const bb_vocab_slot *slot = &v->slot[at];
        if (slot->id < 0) return -1;
        if (slot->hash == hash && slot->n_bytes == n &&
            memcmp(v->texts.data + slot->offset, text, n) == 0)
            return slot->id;
    }
}

const bb_vocab_token *bb_vocab_at(const bb_vocab *v, int32_t id)
{
    if (id < 0) return NULL;
    if ((size_t)id < v->n && v->token[id].id == id) return &v->token[id];

    size_t lo = 0;
    size_t hi = v->n;
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (v->token[mid].id < id) lo = mid + 1;
        else hi = mid;
    }
    return lo < v->n && v->token[lo].id == id ? &v->token[lo] : NULL;
}
