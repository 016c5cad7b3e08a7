/* kl_file.c - a text and the logits that a base model gives to it, in a file. */
#include "kl_file.h"

#include "console.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { VERSION = 1 };

static const char magic[8] = "bamba-kl";

typedef struct header {
    char     magic[8];
    uint32_t version, n_vocab, n, n_chunks;
} header;

/* Of a whole file; at most 2^59, as check_header bounds it. */
static uint64_t file_bytes(uint64_t n_vocab, uint64_t n, uint64_t n_chunks)
{
    return sizeof(header) + 4 * n_chunks * (n + (n - 1 - n / 2) * n_vocab);
}

/* Say that reading failed. */
static int fail_read(const kl_file *k)
{
    return ferror(k->in) ? console_fail("%s: cannot be read: %s", k->name, strerror(errno))
                         : console_fail("%s: truncated", k->name);
}

static int check_header(const kl_file *k, const header *h, int n_vocab)
{
    struct stat at;

    if (memcmp(h->magic, magic, sizeof magic) != 0)
        return console_fail("%s: expected a file written by --kl-base", k->name);
    if (h->version != VERSION)
        return console_fail("%s: expected version %d of the format, found %u", k->name, VERSION,
                            (unsigned)h->version);
    if (h->n_vocab != (uint32_t)n_vocab)
        return console_fail("%s: expected logits of %d tokens, the model's vocabulary, found %u",
                            k->name, n_vocab, (unsigned)h->n_vocab);
    if (h->n < 4 || h->n_chunks < 1 || (uint64_t)h->n * h->n_chunks > UINT32_MAX)
        return console_fail("%s: expected chunks of 4 tokens or more, found %u chunks of %u",
                            k->name, (unsigned)h->n_chunks, (unsigned)h->n);
    const uint64_t bytes = file_bytes(h->n_vocab, h->n, h->n_chunks);
    if (fstat(fileno(k->in), &at) == 0 && S_ISREG(at.st_mode) && (uint64_t)at.st_size != bytes)
        return console_fail("%s: expected %llu bytes, found %llu", k->name,
                            (unsigned long long)bytes, (unsigned long long)at.st_size);
    return EXIT_SUCCESS;
}

int kl_open(kl_file *k, const char *name, int n_vocab)
{
    header h;

    *k = (kl_file){ .name = name, .in = fopen(name, "rb"), .n_vocab = n_vocab };
    if (!k->in) return console_fail("%s: cannot be opened: %s", name, strerror(errno));
    if (fread(&h, sizeof h, 1, k->in) != 1) return fail_read(k);
    const int code = check_header(k, &h, n_vocab);
    if (code != EXIT_SUCCESS) return code;
    k->n = h.n;
    k->n_chunks = h.n_chunks;
    k->ids = malloc(k->n * k->n_chunks * sizeof *k->ids);
    if (!k->ids) return console_fail("%s: out of memory", name);
    if (fread(k->ids, sizeof *k->ids * k->n, k->n_chunks, k->in) != k->n_chunks)
        return fail_read(k);
    for (size_t i = 0; i < k->n * k->n_chunks; i++)
        if (k->ids[i] < 0 || k->ids[i] >= n_vocab)
            return console_fail("%s: expected token ids below %d, found %d", name, n_vocab,
                                (int)k->ids[i]);
    return EXIT_SUCCESS;
}

int kl_create(kl_file *k, const char *name, int n_vocab, const int32_t *ids, size_t n_chunks,
              size_t n)
{
    header h = { .version = VERSION, .n_vocab = (uint32_t)n_vocab, .n = (uint32_t)n,
                 .n_chunks = (uint32_t)n_chunks };

    *k = (kl_file){ .name = name, .n = n, .n_chunks = n_chunks, .n_vocab = n_vocab };
    if ((uint64_t)n * n_chunks > UINT32_MAX)
        return console_fail("%s: cannot hold %zu chunks of %zu tokens: 2^32 tokens or more", name,
                            n_chunks, n);
    memcpy(h.magic, magic, sizeof magic);
    const int code = output_open(&k->out, name);
    if (code != EXIT_SUCCESS) return code;
    console_say("%s: %zu chunks, logits of %zu tokens in each: %.1f MB", name, n_chunks,
                n - 1 - n / 2, 1e-6 * (double)file_bytes((uint64_t)n_vocab, n, n_chunks));
    return fwrite(&h, sizeof h, 1, k->out.file) == 1
                   && fwrite(ids, sizeof *ids * n, n_chunks, k->out.file) == n_chunks
               ? EXIT_SUCCESS : output_fail(&k->out);
}

int kl_read(kl_file *k, float *logits, size_t n)
{
    return fread(logits, sizeof *logits * (size_t)k->n_vocab, n, k->in) == n ? EXIT_SUCCESS
                                                                            : fail_read(k);
}

int kl_write(kl_file *k, const float *logits, size_t n)
{
    return fwrite(logits, sizeof *logits * (size_t)k->n_vocab, n, k->out.file) == n
               ? EXIT_SUCCESS : output_fail(&k->out);
}

int kl_close(kl_file *k, int code)
{
    if (k->in) fclose(k->in);
    free(k->ids);
    code = output_close(&k->out, code);
    *k = (kl_file){ .name = NULL };
    return code;
}
