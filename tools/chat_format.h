/* chat_format.h - conversations in the form that a model was trained on.
 *
 * Owns:    the chat template and what it is given beside the messages; the token that ends a turn.
 * Not:     the messages (messages.h), what has been fed (conversation.h).
 * Errors:  reported here; callers pass the exit code on. chat_format_close in any case.
 */
#ifndef BAMBA_TOOLS_CHAT_FORMAT_H
#define BAMBA_TOOLS_CHAT_FORMAT_H

#include "args.h"
#include "bamba.h"
#include "setup.h"
#include "text.h"

typedef struct chat_flags {
    const char *tools, *template_file, *template_name, *variables;
    bool        no_prompt;
} chat_flags;

/* Rows of an option table; f is a chat_flags *. */
#define CHAT_FORMAT_ROWS(f)                                                                    \
    ARG_TEXT_ROW("--tools", "FILE", &(f)->tools, "tools that the model may call: JSON, a list"), \
    ARG_TEXT_ROW("--chat-template", "FILE", &(f)->template_file,                               \
      "a Jinja template, instead of the model's"),                                             \
    ARG_TEXT_ROW("--chat-template-name", "NAME", &(f)->template_name,                          \
      "which of several templates", .usual = "default, or tool_use with --tools"),             \
    ARG_TEXT_ROW("--chat-template-kwargs", "OBJECT", &(f)->variables, "further variables of "  \
      "the template: an object, {\"enable_thinking\": false}")

typedef struct chat_format {
    bamba_chat_template *chat_template;
    bamba_chat_options   options;
    text_buffer          tools, template_text;
    const char          *tools_file, *template_file;          /* NULL: none */
} chat_format;

#define CHAT_FORMAT { .options = BAMBA_CHAT_OPTIONS }

/* Open the template of the flags, or of the model's directory, which is found. */
int  chat_format_open(chat_format *c, const command *self, const chat_flags *f, setup *s,
                      const setup_flags *model);
void chat_format_close(chat_format *c);

/* messages [n]: JSON, of the file of that name, or NULL. Free *out with bamba_prompt_free. */
int chat_format_render(const chat_format *c, const char *file, const char *messages, size_t n,
                       bamba_prompt **out);

/* Ids of a prompt from a byte on; special tokens are those that the template wrote. */
int chat_format_tokenize(const setup *s, const bamba_prompt *prompt, size_t from, int32_t **ids,
                         size_t *n_ids);

/* The special token that the template writes behind an answer, or -1. */
int32_t chat_format_turn_end(const chat_format *c, const setup *s);

#endif
