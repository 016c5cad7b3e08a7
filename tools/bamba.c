/* bamba.c - the command line of libbamba: a table of commands. */
#include "bamba.h"

#include "commands.h"
#include "console.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const command commands[] = {
    { "generate", "Continue a text with a language model.",
      "[-m DIR] [-p TEXT | -f FILE] [options]",
      "Sampling options that are not given are taken from the model's\n"
      "generation_config.json; what that does not say is as llama.cpp has it.\n"
      "Text goes to standard output, everything else to standard error. Exit codes:\n"
      "0 done, 1 failed, 2 wrong use, 130 interrupted (the text so far is printed).",
      cmd_generate },
    { "info", "Show what a model is made of and what it needs.",
      "[-m DIR | --config FILE] [--json]", NULL, cmd_info },
    { "tokenize", "Turn text into token ids, or ids into text.",
      "[-m DIR] [-p TEXT | -f FILE] [options]",
      "DIR needs no more than a tokenizer.json. Text is read from standard input\n"
      "without -p and -f, and ids for --decode are numbers with anything between them.",
      cmd_tokenize },
    { "perplexity", "Measure how well a model predicts a text.", "[-m DIR] -f FILE [options]",
      "The text is cut into chunks of the context length; the first half of each is\n"
      "context only, the second half is scored, as llama.cpp does it.",
      cmd_perplexity },
    { "logits", "Write the scores a model gives to the next token.",
      "[-m DIR] (-p TEXT | --ids LIST) [options]", NULL, cmd_logits },
    { "bench", "Measure how fast a model is here, beside what this machine can do.",
      "[--shape NAME,... | -m DIR] [-p LIST] [-n LIST] [-d LIST] [options]",
      "Lists are 1,2,4 or 0-8192+1024 or 1-64*2. Rows and field names are llama-bench's; reading\n"
      "text and choosing tokens are not measured. Shares are of what this process measures in\n"
      "between: reading memory, and multiply-adds of the type.", cmd_bench },
};

enum { N_COMMANDS = sizeof commands / sizeof *commands };

static void print_help(FILE *to)
{
    fputs("usage: bamba COMMAND [options]\n\n", to);
    for (int i = 0; i < N_COMMANDS; i++)
        fprintf(to, "  %-12s %s\n", commands[i].name, commands[i].summary);
    fputs("\n  bamba COMMAND --help shows its options, bamba --version the version.\n", to);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return EXIT_WRONG_USE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help(stdout);
        return console_finish(EXIT_SUCCESS);
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("bamba %s\n", bamba_version());
        return console_finish(EXIT_SUCCESS);
    }
    for (int i = 0; i < N_COMMANDS; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(&commands[i], argc - 1, argv + 1);
    fprintf(stderr, "bamba: unknown command '%s' (bamba --help)\n", argv[1]);
    return EXIT_WRONG_USE;
}
