/* chat_source.h - where a model directory keeps its chat templates and special tokens.
 *
 * Owns:    chat_template.jinja, additional_chat_templates/, the keys of tokenizer_config.json and
 *          chat_template.json; their precedence, which is transformers'.
 * Not:     what a template means (chat/).
 * Errors:  IO, FORMAT and MEMORY by file and key.
 */
#ifndef BB_CHAT_SOURCE_H
#define BB_CHAT_SOURCE_H

#include "base/json.h"

typedef struct bb_chat_source {
    bb_allocator a;
    const char  *dir;
    bb_json_doc *config, *map, *legacy;   /* NULL: there is no such file                       */
    bool         has_file, has_folder;    /* chat_template.jinja; additional_chat_templates/   */
} bb_chat_source;

/* A template's text, to be dropped. */
typedef struct bb_chat_text {
    const char *text;                     /* [n]; NULL: there is none of the name              */
    size_t      n;
    char       *copy;                     /* what is to be released                            */
    char        name[96];                 /* for messages                                      */
} bb_chat_text;

bb_status bb_chat_source_open(bb_chat_source *s, const bb_allocator *a, const char *dir,
                              bamba_error *err);
void      bb_chat_source_close(bb_chat_source *s);

/* Whether templates have names, so that one for tools may stand beside the default. */
bool bb_chat_source_has_names(bb_chat_source *s);

/* The template of a name, "default" for the one without. */
bb_status bb_chat_source_read(bb_chat_source *s, const char *name, bb_chat_text *out,
                              bamba_error *err);
void      bb_chat_text_drop(const bb_chat_source *s, bb_chat_text *t);

/* The text of a special token by its key, "bos_token"; NULL: there is none. Borrowed. */
const char *bb_chat_source_token(bb_chat_source *s, const char *key, size_t *n);

/* First failure of the lookups so far. */
bb_status bb_chat_source_status(const bb_chat_source *s, bamba_error *err);

#endif
