/* json_read.c - the JSON a command reads. The only file of the tools that knows json-c. */
#include "json_read.h"

#include "console.h"

#include <json-c/json.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { JSON_DEPTH = 64 };

/* NULL with *problem set if text [n] is not one JSON value. */
static json_object *parse(const char *bytes, size_t n, const char **problem)
{
    json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH);
    json_object *root = NULL;

    *problem = "out of memory";
    if (!tokener) return NULL;
    *problem = "longer than 2 GiB";
    if (n <= INT_MAX - 1) {
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
        root = json_tokener_parse_ex(tokener, bytes, (int)n);
        enum json_tokener_error error = json_tokener_get_error(tokener);
        if (error == json_tokener_continue) {         /* a number needs a byte after it */
            root = json_tokener_parse_ex(tokener, "", 1);
            error = json_tokener_get_error(tokener);
        }
        *problem = error == json_tokener_success ? NULL : json_tokener_error_desc(error);
    }
    json_tokener_free(tokener);
    return root;
}

typedef struct reader {
    const char  *path;
    json_object *root;
    int          code;                    /* EXIT_SUCCESS so far */
} reader;

/* A member that is there and not null, or NULL; of the wrong type: reported. */
static json_object *find(reader *r, const char *key, const char *expected, bool number)
{
    json_object *value = NULL;

    if (r->code != EXIT_SUCCESS || !json_object_object_get_ex(r->root, key, &value) || !value)
        return NULL;
    const bool fits = number ? json_object_is_type(value, json_type_int) ||
                                   json_object_is_type(value, json_type_double)
                             : json_object_is_type(value, json_type_boolean);
    if (fits) return value;
    r->code = console_fail("%s: '%s': expected %s, found %s", r->path, key, expected,
                           json_object_to_json_string(value));
    return NULL;
}

static void read_float(reader *r, const char *key, double *value)
{
    json_object *found = find(r, key, "a number", true);
    if (found) *value = json_object_get_double(found);
}

static void read_int(reader *r, const char *key, int *value)
{
    json_object *found = find(r, key, "an integer", true);
    if (!found) return;

    const int64_t whole = json_object_get_int64(found);
    if (!json_object_is_type(found, json_type_int) || whole < -1 || whole > INT_MAX)
        r->code = console_fail("%s: '%s': expected an integer from -1 to %d, found %s", r->path,
                               key, INT_MAX, json_object_to_json_string(found));
    else *value = (int)whole;
}

static int read_members(generation_config *out, reader *r)
{
    json_object *sample = find(r, "do_sample", "true or false", false);

    if (sample) out->greedy = !json_object_get_boolean(sample);
    read_float(r, "temperature", &out->temperature);
    read_float(r, "top_p", &out->top_p);
    read_float(r, "min_p", &out->min_p);
    read_float(r, "repetition_penalty", &out->repetition_penalty);
    read_int(r, "top_k", &out->top_k);
    read_int(r, "max_new_tokens", &out->max_new_tokens);
    return r->code;
}

int json_read_generation_config(generation_config *out, const char *dir)
{
    static const char name[] = "/generation_config.json";
    text_buffer path = { NULL, 0, 0 }, file = { NULL, 0, 0 };
    json_object *root = NULL;
    int code = EXIT_FAILURE;

    if (!text_append(&path, dir, strlen(dir))) goto done;
    if (!text_append(&path, name, sizeof name)) goto done;
    if (access(path.bytes, F_OK) != 0) {
        code = EXIT_SUCCESS;
        goto done;
    }
    code = text_read(&file, path.bytes);
    if (code != EXIT_SUCCESS) goto done;

    const char *problem;
    root = parse(file.bytes, file.n, &problem);
    if (problem) code = console_fail("%s: %s", path.bytes, problem);
    else if (!json_object_is_type(root, json_type_object))
        code = console_fail("%s: expected an object", path.bytes);
    else code = read_members(out, &(reader){ path.bytes, root, EXIT_SUCCESS });
done:
    json_object_put(root);
    free(path.bytes);
    free(file.bytes);
    return code;
}

bool json_read_string(text_buffer *out, const char *line, size_t n, const char **problem)
{
    json_object *value = parse(line, n, problem);
    bool done = false;

    if (*problem == NULL && !json_object_is_type(value, json_type_string))
        *problem = "expected a JSON string";
    if (*problem == NULL) {
        done = text_append(out, json_object_get_string(value),
                           (size_t)json_object_get_string_len(value));
        if (!done) *problem = "out of memory";
    }
    json_object_put(value);
    return done;
}
