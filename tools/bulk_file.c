/* bulk_file.c - the file of results: a line for each prompt, in order. */
#include "bulk_file.h"

#include "console.h"
#include "json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(const bulk_file *f)
{
    return console_fail("%s: cannot be written: %s", f->name, strerror(errno));
}

/* ---- opening ---- */

/* Read what a regular file has, and cut it behind its last whole line. */
static int keep_lines(bulk_file *f, int fd)
{
    const int code = text_read(&f->done, f->name);

    if (code != EXIT_SUCCESS) return code;
    while (f->done.n > 0 && f->done.bytes[f->done.n - 1] != '\n') f->done.n--;
    if (ftruncate(fd, (off_t)f->done.n) != 0 || lseek(fd, 0, SEEK_END) < 0) return fail(f);
    return EXIT_SUCCESS;
}

static int open_named(bulk_file *f, const char *input)
{
    struct stat in, out;
    const int fd = open(f->name, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    int code = EXIT_SUCCESS;

    if (fd < 0 || fstat(fd, &out) != 0) code = fail(f);
    else if (stat(input, &in) == 0 && in.st_dev == out.st_dev && in.st_ino == out.st_ino)
        code = console_fail("%s: is the file that the prompts are read from", f->name);
    else if (S_ISREG(out.st_mode) && flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        code = console_fail("%s: another process is writing it", f->name);
    else if (S_ISREG(out.st_mode))
        code = keep_lines(f, fd);
    if (code == EXIT_SUCCESS) {
        f->file = fdopen(fd, "w");
        if (f->file) return EXIT_SUCCESS;
        code = fail(f);
    }
    if (fd >= 0) close(fd);
    return code;
}

int bulk_file_open(bulk_file *f, const char *name, const char *input)
{
    *f = (bulk_file){ .file = name ? NULL : stdout, .name = name ? name : "standard output" };
    return name ? open_named(f, input) : EXIT_SUCCESS;
}

int bulk_file_close(bulk_file *f, int code)
{
    if (f->file == stdout) code = console_finish(code);
    else if (f->file && fclose(f->file) != 0) code = fail(f);
    free(f->done.bytes);
    *f = (bulk_file){ .file = NULL };
    return code;
}

/* ---- lines that were there ---- */

bool bulk_file_take(bulk_file *f, json_slice *line)
{
    if (f->at >= f->done.n) return false;
    const char *begin = f->done.bytes + f->at;
    const char *end = memchr(begin, '\n', f->done.n - f->at);

    *line = (json_slice){ begin, (size_t)(end - begin) };
    f->at += line->n + 1;
    f->n_taken++;
    return true;
}

/* The value of a member; its `at` is NULL if there is none. False: the object is damaged. */
static bool find_member(json_slice object, const char *name, json_slice *found)
{
    json_walk w = JSON_WALK(object.at, object.n);
    json_slice key, value;
    const char *problem;

    *found = (json_slice){ NULL, 0 };
    while (json_next_member(&w, &key, &value, &problem))
        if (json_is_name(key, name)) *found = value;
    return problem == NULL;
}

bool bulk_file_find_seed(json_slice line, uint64_t *seed)
{
    json_slice parameters, value;
    char number[24];

    if (!find_member(line, "parameters", &parameters) || !parameters.at) return false;
    if (!find_member(parameters, "seed", &value) || !value.at || value.n >= sizeof number)
        return false;
    memcpy(number, value.at, value.n);
    number[value.n] = '\0';
    *seed = strtoull(number, NULL, 10);
    return true;
}

static bool is_same(json_slice a, json_slice b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.at, b.at, a.n) == 0);
}

/* Write how the tokens of a line are chosen. */
static int write_parameters(FILE *to, const bulk_line *l)
{
    json parameters = JSON_OBJECT;

    json_add_int(&parameters, "n_predict", l->n_predict);
    sampling_add_json(&l->how, &parameters);
    if (!parameters.failed) json_write(to, parameters.object, false);
    return json_finish(&parameters);
}

/* Whether `found` is what bulk_file_write would write of the parameters. */
static int compare_parameters(const bulk_line *l, json_slice found, bool *same)
{
    char *text = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&text, &n);

    if (!to) return console_fail("out of memory");
    int code = write_parameters(to, l);
    if (fclose(to) != 0 && code == EXIT_SUCCESS) code = console_fail("out of memory");
    if (code == EXIT_SUCCESS) *same = is_same(found, (json_slice){ text, n });
    free(text);
    return code;
}

static int compare_prompt(const bulk_line *l, json_slice found, bool *same)
{
    text_buffer text = { 0 };
    const char *problem = NULL;
    const bool read = found.at && json_read_string(&text, found.at, found.n, &problem);

    *same = read && is_same((json_slice){ text.bytes, text.n },
                            (json_slice){ l->prompt.bytes, l->prompt.n });
    free(text.bytes);
    return read || problem || !found.at ? EXIT_SUCCESS : EXIT_FAILURE;
}

int bulk_file_check(const bulk_file *f, json_slice line, const bulk_text *t)
{
    const bulk_line *l = &t->line;
    json_slice id, prompt, parameters;
    bool same = false;
    const char *what = "id";

    if (!find_member(line, "id", &id) || !find_member(line, "prompt", &prompt) ||
        !find_member(line, "parameters", &parameters))
        return console_fail("%s:%zu: expected a result, an object of JSON", f->name, f->n_taken);
    int code = EXIT_SUCCESS;
    if (is_same(id, l->id)) {
        what = "prompt";
        code = compare_prompt(l, prompt, &same);
    }
    if (code == EXIT_SUCCESS && same) {
        what = "parameters";
        code = compare_parameters(l, parameters, &same);
    }
    if (code != EXIT_SUCCESS || same) return code;
    return console_fail("%s:%zu: has another \"%s\" than %s:%zu and the options make; remove %s "
                        "to begin again", f->name, f->n_taken, what, l->file, l->number, f->name);
}

/* ---- results ---- */

int bulk_file_write(bulk_file *f, const char *model, const bulk_text *t)
{
    const batch_text *b = &t->text;
    const generation *out = &b->out;
    FILE *to = f->file;

    fputs("{ ", to);
    if (t->line.id.at) fprintf(to, "\"id\": %.*s, ", (int)t->line.id.n, t->line.id.at);
    fputs("\"model\": ", to);
    json_write_text(to, model, strlen(model));
    fputs(", \"prompt\": ", to);
    json_write_text(to, t->line.prompt.bytes ? t->line.prompt.bytes : "", t->line.prompt.n);
    fputs(", \"prompt_ids\": ", to);
    json_write_ids(to, b->prompt, b->n_prompt);
    fputs(", \"text\": ", to);
    json_write_text(to, out->text ? out->text : "", out->n_text);
    fputs(", \"ids\": ", to);
    json_write_ids(to, out->ids, out->n_ids);
    fprintf(to, ", \"finish\": \"%s\", \"mean_log_probability\": %.6f, \"parameters\": ",
            generation_end_name(out->end), batch_mean(b));
    const int code = write_parameters(to, &t->line);
    if (code != EXIT_SUCCESS) return code;
    fputs(" }\n", to);
    if (f->file == stdout) return console_flush();
    return fflush(to) == 0 && !ferror(to) ? EXIT_SUCCESS : fail(f);
}
