/* help_man.c - the man page: one page for all commands, from their tables. */
#include "commands.h"
#include "help.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { MOST_PHRASE = 512 };

static const char head[] =
    ".TH BAMBA 1 \"\" \"libbamba\" \"User Commands\"\n"
    ".SH NAME\n"
    "bamba \\- run hybrid Mamba-2 / attention language models on the CPU\n"
    ".SH SYNOPSIS\n";

static const char description[] =
    ".B bamba\n"
    ".BR help \" [\" \\fICOMMAND\\fR \"] | \" \\-\\-version\n"
    ".SH DESCRIPTION\n"
    ".B bamba\n"
    "runs language models from the directories they are published in: config.json,\n"
    "model.safetensors (or its shards and their index) and tokenizer.json. Nothing is\n"
    "converted and nothing is downloaded. What the Hugging Face tools have downloaded is\n"
    "found by its name.\n"
    ".PP\n"
    "Results go to standard output, everything about them to standard error.\n"
    "An option's value is the next argument or stands after an equals sign\n"
    ".RB ( \\-\\-temp=0.8 ).\n";

static const char foreign[] =
    ".SH OPTIONS OF LLAMA.CPP\n"
    "Options that change nothing here are accepted, and named with\n"
    ".BR \\-v ;\n"
    "those that would change the result end with an error.\n";

static const char tail[] =
    ".SH EXIT STATUS\n"
    ".TP\n.B 0\nDone.\n"
    ".TP\n.B 1\nIt failed; one line on standard error says why. Also if nobody\n"
    "reads standard output any more.\n"
    ".TP\n.B 2\nWrong use.\n"
    ".TP\n.B 130\nInterrupted by Ctrl-C; the text so far is printed. A second\n"
    "Ctrl-C, half a second later or more, ends the program at once.\n"
    ".SH ENVIRONMENT\n"
    ".TP\n.B BAMBA_MODEL\nThe model to use without\n.BR \\-m .\n"
    ".TP\n.B BAMBA_CPU\nInstruction set to use without\n.BR \\-\\-cpu .\n"
    ".TP\n.BR HF_HUB_CACHE \", \" HF_HOME\nWhere downloaded models are looked for: HF_HUB_CACHE,\n"
    "or hub in HF_HOME, or ~/.cache/huggingface/hub.\n"
    ".SH EXAMPLES\n.nf\n"
    "bamba generate \\-p \"Once upon a time\" \\-s 1\n"
    "bamba generate \\-m ibm\\-ai\\-platform/Bamba\\-9B\\-v2 \\-f letter.txt \\-n 200\n"
    "bamba info \\-\\-config config.json\n"
    "bamba perplexity \\-m Bamba\\-9B\\-v2 \\-f wiki.test.raw\n"
    "bamba embed \\-f texts.txt \\-o vectors.npy\n"
    "bamba score \\-f requests.jsonl > scores.jsonl\n"
    ".fi\n";

/* Print text as it is to appear, on one line: roff's own characters are escaped. */
static void print_escaped(const char *text)
{
    if (*text == '.' || *text == '\'') fputs("\\&", stdout);
    for (; *text; text++) {
        if (*text == '\\') fputs("\\e", stdout);
        else if (*text == '-') fputs("\\-", stdout);
        else if (*text == '\'') fputs("\\(aq", stdout);
        else putchar(*text == '\n' ? ' ' : *text);
    }
}

/* Print a phrase as a sentence. */
static void print_sentence(const char *phrase)
{
    char first[2] = { (char)toupper((unsigned char)*phrase), '\0' };

    print_escaped(first);
    print_escaped(phrase + 1);
    puts(".");
}

static void print_rows(const arg *a)
{
    char text[MOST_PHRASE];

    for (; a->names; a++) {
        if (!*a->help) continue;
        if (a->kind == ARG_GROUP) {
            printf(".SS %s\n", a->help);
            continue;
        }
        fputs(".TP\n\\fB", stdout);
        print_escaped(a->names);
        fputs("\\fR", stdout);
        if (a->value) {
            fputs(" \\fI", stdout);
            print_escaped(a->value);
            fputs("\\fR", stdout);
        }
        putchar('\n');
        if (a->kind == ARG_REFUSED) fputs("Refused: ", stdout);
        if (a->kind == ARG_IGNORED || a->kind == ARG_REFUSED)
            snprintf(text, sizeof text, "%s", a->help);
        else help_phrase(a, text, sizeof text);
        print_sentence(text);
        if (!a->more || a->kind == ARG_IGNORED) continue;
        print_escaped(a->more);
        putchar('\n');
    }
}

static void print_command(const command *self, const arg *args)
{
    fputs(".SH ", stdout);
    for (const char *c = self->name; *c; c++) putchar(toupper((unsigned char)*c));
    putchar('\n');
    print_escaped(self->summary);
    putchar('\n');
    if (self->details) {
        print_escaped(self->details);
        putchar('\n');
    }
    print_rows(args);
}

void help_man(void)
{
    fputs(head, stdout);
    for (const command *c = commands; c->name; c++) {
        if (c->run == cmd_help) continue;
        printf(".B bamba %s\n", c->name);
        print_escaped(c->usage);
        puts("\n.br");
    }
    fputs(description, stdout);
    commands_visit(print_command);
    puts(".SH ALL COMMANDS");
    print_rows(args_common);
    fputs(foreign, stdout);
    print_rows(args_foreign);
    fputs(tail, stdout);
}
