/* thinking.c - the thoughts that some models write before their answer, shown dimmed. */
#include "thinking.h"

#include <string.h>

/* The marks around a thought in the chat templates of DeepSeek, Qwen, Granite, Nemotron, Command,
   Magistral, Seed, MiniMax and Gemma; none is longer than THINKING_HELD. */
static const struct mark { const char *begin, *end; } marks[] = {
    { "<think>", "</think>" }, { "<thinking>", "</thinking>" }, { "[THINK]", "[/THINK]" },
    { "<|START_THINKING|>", "<|END_THINKING|>" }, { "<seed:think>", "</seed:think>" },
    { "<mm:think>", "</mm:think>" }, { "<|channel>thought", "<channel|>" },
};

enum { N_MARKS = sizeof marks / sizeof *marks };

static const char dim[] = "\033[2m", plain[] = "\033[0m";

static bool is(const char *text, size_t n, const char *word)
{
    return n == strlen(word) && memcmp(text, word, n) == 0;
}

bool thinking_is_mark(const char *text, size_t n)
{
    for (int i = 0; i < N_MARKS; i++)
        if (is(text, n, marks[i].begin) || is(text, n, marks[i].end)) return true;
    return false;
}

void thinking_begin(thinking *t, FILE *to, const char *prompt, size_t n)
{
    *t = (thinking){ .to = to };
    while (n > 0 && strchr(" \t\r\n", prompt[n - 1])) n--;
    for (int i = 0; i < N_MARKS; i++) {
        const size_t length = strlen(marks[i].begin);
        if (n >= length && is(prompt + n - length, length, marks[i].begin)) t->end = marks[i].end;
    }
    if (t->end) fputs(dim, to);
}

typedef enum match { NO_MATCH, PART, WHOLE } match;

static match compare(const thinking *t, const char *mark)
{
    const size_t length = strlen(mark), n = t->n_held < length ? t->n_held : length;

    if (memcmp(t->held, mark, n) != 0) return NO_MATCH;
    return n == length ? WHOLE : PART;
}

/* What is held against the marks that may come; *found: the whole one. */
static match find_mark(const thinking *t, const struct mark **found)
{
    match best = NO_MATCH;

    for (int i = 0; i < N_MARKS && best != WHOLE; i++) {
        if (t->end && t->end != marks[i].end) continue;
        const match m = compare(t, t->end ? marks[i].end : marks[i].begin);
        if (m == NO_MATCH) continue;
        best = m;
        *found = &marks[i];
    }
    return best;
}

static void release(thinking *t, size_t n)
{
    fwrite(t->held, 1, n, t->to);
    t->n_held -= n;
    memmove(t->held, t->held + n, t->n_held);
}

void thinking_write(thinking *t, const char *text, size_t n)
{
    const struct mark *mark = NULL;

    for (size_t i = 0; i < n; i++) {
        match m;
        t->held[t->n_held++] = text[i];
        while ((m = find_mark(t, &mark)) == NO_MATCH && t->n_held > 0) release(t, 1);
        if (m != WHOLE) continue;
        if (!t->end) fputs(dim, t->to);
        release(t, t->n_held);
        if (t->end) fputs(plain, t->to);
        t->end = t->end ? NULL : mark->end;
    }
}

void thinking_end(thinking *t)
{
    release(t, t->n_held);
    if (t->end) fputs(plain, t->to);
    t->end = NULL;
}
