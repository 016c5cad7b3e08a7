/* help_shell.c - completion of commands, options and values for bash, zsh and fish. */
#include "commands.h"
#include "help.h"

#include <stdio.h>
#include <string.h>

enum { MOST_NAME = 64, MOST_PHRASE = 512 };

/* What a value is completed with, by how its name begins. */
typedef enum value_kind { VALUE_OTHER, VALUE_WORDS, VALUE_DIR, VALUE_FILE, VALUE_SHAPE } value_kind;

static value_kind kind_of(const arg *a)
{
    if (strncmp(a->value, "DIR", 3) == 0) return VALUE_DIR;
    if (strncmp(a->value, "FILE", 4) == 0 || strncmp(a->value, "PATH", 4) == 0) return VALUE_FILE;
    if (strncmp(a->value, "SHAPE", 5) == 0) return VALUE_SHAPE;
    return a->words ? VALUE_WORDS : VALUE_OTHER;
}

static bool is_shown(const arg *a)
{
    return *a->help && a->kind != ARG_GROUP;
}

/* Print text inside single quotes; a quote itself becomes `quote`, and of `escaped` each gets a
   backslash. */
static void print_quoted(const char *text, const char *quote, const char *escaped)
{
    for (; *text; text++) {
        if (strchr(escaped, *text)) putchar('\\');
        if (*text == '\'') fputs(quote, stdout);
        else putchar(*text);
    }
}

static void print_command_names(void)
{
    for (const command *c = commands; c->name; c++)
        printf("%s%s", c == commands ? "" : " ", c->name);
}

/* ---- bash ---- */

static void print_names(const arg *a, const char *between, bool *first)
{
    char name[MOST_NAME];

    for (const char *at = a->names; help_next_name(&at, name, sizeof name); *first = false)
        printf("%s%s", *first ? "" : between, name);
}

static void print_bash_value(const arg *a)
{
    char words[MOST_PHRASE];
    bool first = true;

    fputs("        ", stdout);
    print_names(a, " | ", &first);
    switch (kind_of(a)) {
    case VALUE_OTHER: puts(") return ;;"); return;
    case VALUE_DIR:   puts(") _bamba_words -d -W \"$(_bamba_models names)\" ;;"); return;
    case VALUE_FILE:  puts(") _bamba_words -f ;;"); return;
    case VALUE_SHAPE: puts(") _bamba_words -f -W \"$(_bamba_models shapes)\" ;;"); return;
    case VALUE_WORDS: help_join(words, sizeof words, a->words, " ");
                      printf(") _bamba_words -W \"%s\" ;;\n", words); return;
    }
}

static void print_bash_command(const command *self, const arg *args)
{
    bool first = true;

    printf("    %s)\n        case $previous in\n", self->name);
    for (const arg *a = args; a->names; a++)
        if (is_shown(a) && a->value) print_bash_value(a);
    fputs("        *) _bamba_words -W \"", stdout);
    for (const arg *a = args; a->names; a++)
        if (is_shown(a)) print_names(a, " ", &first);
    for (const arg *a = args_common; a->names; a++) print_names(a, " ", &first);
    if (self->run == cmd_help) {
        putchar(' ');
        print_command_names();
    }
    puts("\" ;;\n        esac ;;");
}

void help_bash(void)
{
    puts("# Completion of bash for bamba, written by \"bamba help --bash\".\n\n"
         "_bamba_words()\n{\n"
         "    mapfile -t COMPREPLY < <(compgen \"$@\" -- \"$word\")\n}\n\n"
         "_bamba_models()\n{\n"
         "    \"$program\" models --\"$1\" 2> /dev/null\n}\n\n"
         "_bamba()\n{\n"
         "    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}\n"
         "    local program=${COMP_WORDS[0]}\n\n"
         "    COMPREPLY=()\n"
         "    if [ \"$word\" = = ]; then\n        word=\n"
         "    elif [ \"$previous\" = = ]; then\n        previous=${COMP_WORDS[COMP_CWORD - 2]}\n"
         "    fi\n"
         "    if [ \"$COMP_CWORD\" -eq 1 ]; then");
    fputs("        _bamba_words -W \"", stdout);
    print_command_names();
    puts(" --help --version\"\n        return\n    fi\n    case ${COMP_WORDS[1]} in");
    commands_visit(print_bash_command);
    puts("    esac\n}\ncomplete -o filenames -o bashdefault -F _bamba bamba");
}

/* ---- zsh ---- */

static void print_zsh_option(const arg *a)
{
    char phrase[MOST_PHRASE];
    bool first = true;
    const bool several = strchr(a->names, ',') != NULL;

    if (a->kind == ARG_LIST) fputs("'*'", stdout);
    else {
        fputs("'(", stdout);
        print_names(a, " ", &first);
        fputs(")'", stdout);
    }
    first = true;
    if (several) putchar('{');
    print_names(a, ",", &first);
    if (several) putchar('}');
    help_phrase(a, phrase, sizeof phrase);
    fputs("'[", stdout);
    print_quoted(phrase, "'\\''", "[]\\");
    putchar(']');
    if (a->value) {
        putchar(':');
        print_quoted(a->value, "'\\''", ":\\");
        putchar(':');
        switch (kind_of(a)) {
        case VALUE_OTHER: break;
        case VALUE_DIR:   fputs("{_files -/; compadd $(_bamba_models names)}", stdout); break;
        case VALUE_FILE:  fputs("_files", stdout); break;
        case VALUE_SHAPE: fputs("{_files; compadd $(_bamba_models shapes)}", stdout); break;
        case VALUE_WORDS: help_join(phrase, sizeof phrase, a->words, " ");
                          printf("(%s)", phrase); break;
        }
    }
    puts("' \\");
}

static void print_zsh_command(const command *self, const arg *args)
{
    printf("%s) _arguments \\\n", self->name);
    for (const arg *a = args; a->names; a++)
        if (is_shown(a)) print_zsh_option(a);
    for (const arg *a = args_common; a->names; a++) print_zsh_option(a);
    if (self->run == cmd_help) {
        fputs("':command:(", stdout);
        print_command_names();
        puts(")' \\");
    }
    puts("&& return 0 ;;");
}

void help_zsh(void)
{
    puts("#compdef bamba\n# Completion of zsh for bamba, written by \"bamba help --zsh\".\n\n"
         "_bamba_models() { bamba models --$1 2> /dev/null }\n"
         "if (( CURRENT == 2 )); then\n    local -a commands\n    commands=(");
    for (const command *c = commands; c->name; c++) {
        printf("        '%s:", c->name);
        print_quoted(c->summary, "'\\''", ":\\");
        puts("'");
    }
    puts("    )\n    _describe command commands\n    return\nfi\n"
         "shift words\n(( CURRENT-- ))\ncase $words[1] in");
    commands_visit(print_zsh_command);
    puts("esac");
}

/* ---- fish ---- */

static void print_fish_option(const command *self, const arg *a)
{
    char text[MOST_PHRASE], name[MOST_NAME];

    printf("complete -c bamba -n '__fish_seen_subcommand_from %s'", self->name);
    for (const char *at = a->names; help_next_name(&at, name, sizeof name);) {
        const bool is_long = name[1] == '-';
        printf(" -%c %s", is_long ? 'l' : strlen(name) == 2 ? 's' : 'o', name + 1 + is_long);
    }
    fputs(" -d '", stdout);
    help_phrase(a, text, sizeof text);
    print_quoted(text, "\\'", "\\");
    putchar('\'');
    if (a->value) switch (kind_of(a)) {
    case VALUE_OTHER: fputs(" -x", stdout); break;
    case VALUE_DIR:   printf(" -x -a '(__fish_complete_directories) (bamba models --names)'");
                      break;
    case VALUE_FILE:  fputs(" -r -F", stdout); break;
    case VALUE_SHAPE: fputs(" -r -F -a '(bamba models --shapes)'", stdout); break;
    case VALUE_WORDS: help_join(text, sizeof text, a->words, " ");
                      printf(" -x -a '%s'", text); break;
    }
    putchar('\n');
}

static void print_fish_command(const command *self, const arg *args)
{
    printf("complete -c bamba -n __fish_use_subcommand -a %s -d '", self->name);
    print_quoted(self->summary, "\\'", "\\");
    puts("'");
    for (const arg *a = args; a->names; a++)
        if (is_shown(a)) print_fish_option(self, a);
    for (const arg *a = args_common; a->names; a++) print_fish_option(self, a);
}

void help_fish(void)
{
    puts("# Completion of fish for bamba, written by \"bamba help --fish\".\ncomplete -c bamba -f");
    commands_visit(print_fish_command);
    fputs("complete -c bamba -n '__fish_seen_subcommand_from help' -a '", stdout);
    print_command_names();
    puts("'");
}
