/* bamba.c - the command line of libbamba: a table of commands. */
#include "bamba.h"

#include "commands.h"
#include "console.h"
#include "help.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const command commands[] = {
    { "generate", "Continue a text with a language model.",
      "[-m DIR] [-p TEXT | -f FILE] [options]",
      "The prompt is printed first, then the text as it comes. Sampling options that are "
      "not given are taken from the model's generation_config.json; what that does not say "
      "is as llama.cpp has it. Ctrl-C ends the text where it is. Text goes to standard "
      "output, everything else to standard error. Exit codes: 0 done, 1 failed, 2 wrong "
      "use, 130 interrupted (the text so far is printed).", cmd_generate },
    { "chat", "Talk with a model.", "[-m DIR] [--messages FILE [--render]] [options]",
      "Lines that are typed, or come from standard input, are turns; lines that begin with / are "
      "for the program, see /help. The model's chat template makes a prompt of the conversation, "
      "to the byte as transformers' apply_chat_template does it; what was read before is not read "
      "again. With a seed each answer is drawn with it. Answers go to standard output, everything "
      "else to standard error. Ctrl-C stops an answer. From standard input a turn that fails ends "
      "the dialogue; a command that fails does not, but the exit code is 1 then.", cmd_chat },
    { "info", "Show what a model is made of and what it needs.",
      "[-m DIR | --config FILE] [--json]",
      "Its kinds of blocks and their plan, and what it needs in memory.", cmd_info },
    { "tokenize", "Turn text into token ids, or ids into text.",
      "[-m DIR] [-p TEXT | -f FILE] [options]",
      "DIR needs no more than a tokenizer.json. Text is read from standard input "
      "without -p and -f, and ids for --decode are numbers with anything between them.",
      cmd_tokenize },
    { "perplexity", "Measure how well a model predicts a text.",
      "[-m DIR] (-f FILE | --kl FILE) [options]",
      "The text is cut into chunks of the context length, each read from an empty state; "
      "the first half of each is context only, the second half is scored, as llama.cpp does "
      "it. Printed are the perplexity so far after each chunk, then the perplexity with its "
      "standard error and the nats per token, character and byte.", cmd_perplexity },
    { "compare", "Measure how far a model is from another on a text.",
      "[-m A [-m B]] -f FILE [options]",
      "The figures of perplexity --kl, with A as the base and both models in memory at once. A "
      "is run as exactly as it can be: with its weights as stored (or --base-type), float32 "
      "activations and a float32 cache. --type, --type-of, --kv-type and --compute are B's.",
      cmd_compare },
    { "logits", "Write the scores a model gives to the next token.",
      "[-m DIR] (-p TEXT | -f FILE | --ids LIST) [options]",
      "A line has the position, the id, its logit, the natural logarithm of its "
      "probability, and its text.", cmd_logits },
    { "embed", "Turn texts into vectors.", "[-m DIR] [-p TEXT | -f FILE] [options]",
      "A text's vector is made of its tokens' hidden rows, the model's last ones after the final "
      "norm. Texts are run many at a time. Of each comes a line: a JSON object with its index "
      "from 0, its number of tokens, and its embedding. An empty line is a text: the begin token.",
      cmd_embed },
    { "score", "Give the probabilities of continuations.", "[-m DIR] [-f FILE] [options]",
      "Each line of FILE is a JSON object with a text \"context\" and either \"continuation\", a "
      "text, or \"continuations\", a list of them; other members are not looked at. Of each comes "
      "a line: an object with \"logprob\", the sum of the natural logarithms of the probabilities "
      "of the continuation's tokens; \"is_greedy\", whether each was the likeliest; "
      "\"n_tokens\"; or the list \"results\" of such objects. The contexts of a list, "
      "or of equal ones in lines that follow each other, are read once. Tokens are lm-eval's: "
      "spaces at the end of the context begin the continuation, whose tokens are those that the "
      "context and it have together behind as many as the context has alone. An empty context is "
      "the begin token, or the end token where there is none, which makes a text's rolling "
      "log-likelihood. Nothing is cut off.", cmd_score },
    { "bench", "Measure how fast a model is here, beside what this machine can do.",
      "[--shape NAME,... | -m DIR] [-p LIST] [-n LIST] [-d LIST] [options]",
      "Lists are 1,2,4 or 0-8192+1024 or 1-64*2. Rows and field names are llama-bench's; reading "
      "text and choosing tokens are not measured. Shares are of what this process measures in "
      "between: reading memory, and multiply-adds of the type; what adapters add counts too.",
      cmd_bench },
    { "quantize", "Write a model with its weights in another type.",
      "[-m DIR] -o DIR --type TYPE [options]",
      "What is written is a model directory, tokenizer and all: it opens at once, where --type "
      "converts at each start, and gives the same result. It gets its name when it is whole; "
      "what an interrupted run leaves is DIR.tmp- and six digits, and may be deleted.",
      cmd_quantize },
    { "merge", "Write a model with adapters merged into its weights.",
      "[-m DIR] --adapter A[=SCALE] -o DIR [options]",
      "What is written is a model directory, as quantize writes it, that needs no adapter.",
      cmd_merge },
    { "calibrate", "Find out what weights matter, for rounding them well.",
      "[-m DIR] [-f TEXT] -o FILE [options]",
      "The model reads the text in chunks of 512 tokens, as stored or as --type says; the mean "
      "squares of what each matrix is multiplied by are written to FILE, a safetensors file, once "
      "all is read. --calibration FILE lets quantize, or any command with --type, spare the "
      "weights that are multiplied by much. The text should be of the kind the model is for; 10 to "
      "100 KB are enough.", cmd_calibrate },
    { "models", "List the models that are on this machine.", "[--names | --shapes]",
      "The model used without -m, and what the Hugging Face tools have downloaded: its name, "
      "the size of its weights, its architecture. Names are what -m takes.", cmd_models },
    { "help", "Show the commands, or the options of one.", "[COMMAND]", NULL, cmd_help },
    { .name = NULL }
};

const command *commands_find(const char *name)
{
    const char *best = NULL;
    int distance = 4;

    for (const command *c = commands; c->name; c++) {
        if (strcmp(name, c->name) == 0) return c;
        args_compare(name, strlen(name), c->name, strlen(c->name), &best, &distance);
    }
    fprintf(stderr, "bamba: unknown command '%s'%s%s%s (bamba help)\n", name,
            best ? ", did you mean " : "", best ? best : "", best ? "?" : "");
    return NULL;
}

void commands_visit(args_visitor *fn)
{
    char *none[] = { NULL };

    args_visit(fn);
    for (const command *c = commands; c->name; c++) c->run(c, 0, none);
    args_visit(NULL);
}

static void print_help(FILE *to)
{
    fputs("usage: bamba COMMAND [options]\n\n", to);
    for (const command *c = commands; c->name; c++)
        fprintf(to, "  %-12s %s\n", c->name, c->summary);
    fputs("\n  bamba COMMAND --help shows its options, bamba --version the version.\n", to);
}

int cmd_help(const command *self, int argc, char **argv)
{
    static const struct { const char *option; void (*write)(void); } forms[] = {
        { "--man", help_man }, { "--bash", help_bash }, { "--zsh", help_zsh },
        { "--fish", help_fish },
    };
    const arg args[] = { ARG_END };

    for (size_t i = 0; argc == 2 && i < sizeof forms / sizeof *forms; i++)
        if (strcmp(argv[1], forms[i].option) == 0) {
            forms[i].write();
            return console_finish(EXIT_SUCCESS);
        }
    if (argc == 2 && *argv[1] != '-') {
        char *ask[] = { argv[1], (char[]){ "--help" }, NULL };
        const command *c = commands_find(argv[1]);
        return c ? c->run(c, 2, ask) : EXIT_WRONG_USE;
    }
    const int code = args_read(self, args, argc, argv);
    if (code != ARGS_READ) return code;
    print_help(stdout);
    return console_finish(EXIT_SUCCESS);
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
    const command *c = commands_find(argv[1]);
    return c ? c->run(c, argc - 1, argv + 1) : EXIT_WRONG_USE;
}
