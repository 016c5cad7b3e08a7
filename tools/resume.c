/* resume.c - what a session file needs beside the session, for a text to go on from it.
 *
 * The extras are lines of a word and its values: "pending 17", "state A B C D",
 * "temperature 0.8". */
#include "resume.h"

#include "console.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 4096 };

/* A number among the options, where the flags and the sampler have it. */
typedef struct number {
    const char *word;
    size_t      flag, option;             /* offsets of a double or int, of a float or int */
    bool        is_int;
} number;

#define FLOAT(word, flag, option) \
    { word, offsetof(sampling_flags, flag), offsetof(bamba_sampler_options, option), false }
#define INT(word, flag, option) \
    { word, offsetof(sampling_flags, flag), offsetof(bamba_sampler_options, option), true }

static const number numbers[] = {
    FLOAT("temperature", temperature, temperature), INT("top_k", top_k, top_k),
    FLOAT("top_p", top_p, top_p), FLOAT("min_p", min_p, min_p),
    FLOAT("typical", typical, typical_p), FLOAT("top_n_sigma", n_sigma, top_n_sigma),
    FLOAT("xtc_probability", xtc_probability, xtc_probability),
    FLOAT("xtc_threshold", xtc_threshold, xtc_threshold),
    FLOAT("repetition_penalty", repetition, repetition_penalty),
    FLOAT("presence_penalty", presence, presence_penalty),
    FLOAT("frequency_penalty", frequency, frequency_penalty),
    INT("penalty_last_n", last_n, penalty_last_n),
    FLOAT("dry_multiplier", dry_multiplier, dry_multiplier), FLOAT("dry_base", dry_base, dry_base),
    INT("dry_allowed_length", dry_length, dry_allowed_length),
    INT("dry_penalty_last_n", dry_last_n, dry_penalty_last_n),
};

enum { N_NUMBERS = sizeof numbers / sizeof numbers[0] };

int resume_save(const bamba_session *s, const char *path, int32_t pending, const sampling *how,
                const bamba_sampler *sampler)
{
    bamba_error         err = { BAMBA_OK, "" };
    bamba_sampler_state state;
    char                text[MOST_BYTES];
    int                 n;

    bamba_sampler_get_state(sampler, &state);
    n = snprintf(text, sizeof text, "pending %" PRId32 "\nseed %" PRIu64 "\nstate", pending,
                 how->options.seed);
    for (int i = 0; i < 4; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, " %" PRIx64, state.words[i]);
    n += snprintf(text + n, sizeof text - (size_t)n, "\n");
    for (int i = 0; i < N_NUMBERS; i++) {
        const char *at = (const char *)&how->options + numbers[i].option;
        if (numbers[i].is_int)
            n += snprintf(text + n, sizeof text - (size_t)n, "%s %d\n", numbers[i].word,
                          *(const int *)(const void *)at);
        else
            n += snprintf(text + n, sizeof text - (size_t)n, "%s %.9g\n", numbers[i].word,
                          (double)*(const float *)(const void *)at);
    }
    const bamba_status status = bamba_session_save(s, path, text, &err);
    return status == BAMBA_OK ? EXIT_SUCCESS : console_fail_library(status, &err);
}

static int read_line(resume *r, const char *line)
{
    char *end;
    int   n = 0;

    if (sscanf(line, "pending %" SCNd32 "%n", &r->pending, &n) == 1) return n;
    if (sscanf(line, "seed %" SCNd64 "%n", &r->given.seed, &n) == 1) return n;
    if (sscanf(line, "state %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 "%n", &r->state.words[0],
               &r->state.words[1], &r->state.words[2], &r->state.words[3], &n) == 4) return n;
    for (int i = 0; i < N_NUMBERS; i++) {
        const size_t length = strlen(numbers[i].word);
        if (strncmp(line, numbers[i].word, length) != 0 || line[length] != ' ') continue;
        char *at = (char *)&r->given + numbers[i].flag;
        if (numbers[i].is_int) *(int *)(void *)at = (int)strtol(line + length, &end, 10);
        else *(double *)(void *)at = strtod(line + length, &end);
        return (int)(end - line);
    }
    return -1;
}

int resume_read(resume *r, const bamba_session *s, const char *path)
{
    const char *text = bamba_session_extras(s);

    *r = (resume){ .pending = -1, .given = SAMPLING_FLAGS };
    if (!text || strncmp(text, "pending ", 8) != 0)
        return console_fail("%s: the session was not saved by 'bamba generate'", path);
    for (int n; *text; text += n + 1) {
        n = read_line(r, text);
        if (n < 0 || text[n] != '\n')
            return console_fail("%s: its extras have a line '%.*s' that this version does not know",
                                path, (int)strcspn(text, "\n"), text);
    }
    return EXIT_SUCCESS;
}

void resume_fill(sampling_flags *f, const resume *r)
{
    const sampling_flags none = SAMPLING_FLAGS;

    for (int i = 0; i < N_NUMBERS; i++) {
        const size_t at = numbers[i].flag, size = numbers[i].is_int ? sizeof(int) : sizeof(double);
        if (memcmp((char *)f + at, (const char *)&none + at, size) == 0)
            memcpy((char *)f + at, (const char *)&r->given + at, size);
    }
    if (f->seed == -1) f->seed = r->given.seed;
}
