/* text.c - a growing buffer of bytes, and reading files into it. */
#include "text.h"

#include "console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_BYTES = 1 << 16, SMALL_MIB = 64 };

bool text_reserve(text_buffer *t, size_t n)
{
    if (n <= t->capacity - t->n) return true;

    const size_t doubled = t->capacity < SIZE_MAX / 2 ? t->capacity * 2 : SIZE_MAX;
    const size_t need = n > SIZE_MAX - t->n ? SIZE_MAX : t->n + n;
    const size_t capacity = doubled > need ? doubled : need;
    char *grown = realloc(t->bytes, capacity);
    if (!grown) {
        console_fail("out of memory: %zu bytes of text", capacity);
        return false;
    }
    t->bytes = grown;
    t->capacity = capacity;
    return true;
}

bool text_append(text_buffer *t, const char *bytes, size_t n)
{
    if (n == 0) return true;
    if (!text_reserve(t, n)) return false;
    memcpy(t->bytes + t->n, bytes, n);
    t->n += n;
    return true;
}

static int read_file(text_buffer *t, const char *path, bool small)
{
    const size_t most = small ? (size_t)SMALL_MIB << 20 : SIZE_MAX;
    const bool standard = strcmp(path, "-") == 0;
    const char *name = standard ? "standard input" : path;
    const int fd = standard ? STDIN_FILENO : open(path, O_RDONLY);
    int code = EXIT_SUCCESS;

    if (fd < 0) return console_fail("%s: cannot be read: %s", path, strerror(errno));
    for (;;) {
        if (t->n > most)
            code = console_fail("%s: expected at most %d MiB", name, SMALL_MIB);
        else if (!text_reserve(t, READ_BYTES)) code = EXIT_FAILURE;
        if (code != EXIT_SUCCESS) break;
        const ssize_t n = console_wait_input(fd) ? read(fd, t->bytes + t->n, READ_BYTES) : -1;
        if (n == 0) break;
        if (n > 0) {
            t->n += (size_t)n;
            continue;
        }
        if (errno == EINTR && !console_interrupted()) continue;
        code = errno == EINTR ? EXIT_INTERRUPTED
                              : console_fail("%s: cannot be read: %s", name, strerror(errno));
        break;
    }
    if (!standard) close(fd);
    return code;
}

int text_read(text_buffer *t, const char *path) { return read_file(t, path, false); }

int text_read_small(text_buffer *t, const char *path) { return read_file(t, path, true); }

int text_read_plain(text_buffer *t, const char *path)
{
    const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
    const int code = text_read(t, path);

    if (code != EXIT_SUCCESS || t->n < 2) return code;
    if (memcmp(t->bytes, "\xFF\xFE", 2) == 0 || memcmp(t->bytes, "\xFE\xFF", 2) == 0)
        return console_fail("%s: expected UTF-8, found UTF-16; convert it: iconv -f UTF-16 -t "
                            "UTF-8", name);
    if (t->n < 3 || memcmp(t->bytes, "\xEF\xBB\xBF", 3) != 0) return code;
    console_warn("%s: the byte order mark at its beginning is dropped", name);
    t->n -= 3;
    memmove(t->bytes, t->bytes + 3, t->n);
    return code;
}

bool text_next_line(const text_buffer *t, size_t *at, const char **line, size_t *n)
{
    if (*at >= t->n) return false;
    *line = t->bytes + *at;
    const char *end = memchr(*line, '\n', t->n - *at);
    *n = end ? (size_t)(end - *line) : t->n - *at;
    *at += *n + 1;
    return true;
}

size_t text_count_lines(const text_buffer *t)
{
    const char *line;
    size_t      n_lines = 0, at = 0, n;

    while (text_next_line(t, &at, &line, &n)) n_lines++;
    return n_lines;
}

size_t text_strip_end(const char *bytes, size_t n)
{
    /* U+0085, 00A0, 1680, 2000 to 200A, 2028, 2029, 202F, 205F, 3000; U+0009-000D, 001C-0020 */
    static const char *const wide[] = {
        "\xC2\x85", "\xC2\xA0", "\xE1\x9A\x80", "\xE2\x80\x80", "\xE2\x80\x81", "\xE2\x80\x82",
        "\xE2\x80\x83", "\xE2\x80\x84", "\xE2\x80\x85", "\xE2\x80\x86", "\xE2\x80\x87",
        "\xE2\x80\x88", "\xE2\x80\x89", "\xE2\x80\x8A", "\xE2\x80\xA8", "\xE2\x80\xA9",
        "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80",
    };
    size_t drop;

    do {
        const unsigned char c = n ? (unsigned char)bytes[n - 1] : 0;
        drop = (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20);
        for (size_t i = 0; c >= 0x80 && !drop && i < sizeof wide / sizeof *wide; i++) {
            const size_t length = strlen(wide[i]);
            if (length <= n && memcmp(bytes + n - length, wide[i], length) == 0) drop = length;
        }
        n -= drop;
    } while (drop);
    return n;
}

bool text_ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), n_end = strlen(end);
    return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

void text_chomp(text_buffer *t)
{
    if (t->n == 0 || t->bytes[t->n - 1] != '\n') return;
    t->n--;
    if (t->n && t->bytes[t->n - 1] == '\r') t->n--;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

size_t text_unescape(char *bytes, size_t n)
{
    static const char letters[] = "nrt0e\\'\"";
    static const char meanings[] = "\n\r\t\0\033\\'\"";
    size_t left = 0;

    for (size_t i = 0; i < n; i++) {
        const char next = i + 1 < n ? bytes[i + 1] : '\0';
        const char *letter = bytes[i] == '\\' && next ? strchr(letters, next) : NULL;
        const int high = next == 'x' && i + 2 < n ? hex_digit(bytes[i + 2]) : -1;
        const int low = high >= 0 && i + 3 < n ? hex_digit(bytes[i + 3]) : -1;

        if (letter) {
            bytes[left++] = meanings[letter - letters];
            i += 1;
        } else if (bytes[i] == '\\' && low >= 0) {
            bytes[left++] = (char)(high * 16 + low);
            i += 3;
        } else {
            bytes[left++] = bytes[i];
        }
    }
    return left;
}

int text_append_flag(text_buffer *t, const char *text, bool escapes)
{
    const size_t n = strlen(text), before = t->n;

    if (!text_append(t, text, n)) return EXIT_FAILURE;
    if (escapes && n) t->n = before + text_unescape(t->bytes + before, n);
    return EXIT_SUCCESS;
}
