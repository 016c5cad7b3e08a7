/* text.c - a growing buffer of bytes, and reading files into it. */
#include "text.h"

#include "console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_BYTES = 1 << 16 };

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

int text_read(text_buffer *t, const char *path)
{
    const bool standard = strcmp(path, "-") == 0;
    const int fd = standard ? STDIN_FILENO : open(path, O_RDONLY);
    int code = EXIT_SUCCESS;

    if (fd < 0) return console_fail("%s: %s", path, strerror(errno));
    for (;;) {
        if (!text_reserve(t, READ_BYTES)) {
            code = EXIT_FAILURE;
            break;
        }
        const ssize_t n = read(fd, t->bytes + t->n, READ_BYTES);
        if (n == 0) break;
        if (n > 0) {
            t->n += (size_t)n;
            continue;
        }
        if (errno == EINTR && !console_interrupted()) continue;
        code = errno == EINTR ? EXIT_INTERRUPTED
                              : console_fail("%s: %s", standard ? "standard input" : path,
                                             strerror(errno));
        break;
    }
    if (!standard) close(fd);
    return code;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

void text_unescape(text_buffer *t)
{
    static const char letters[] = "nrt0e\\'\"";
    static const char meanings[] = "\n\r\t\0\033\\'\"";
    size_t n = 0;

    for (size_t i = 0; i < t->n; i++) {
        const char next = i + 1 < t->n ? t->bytes[i + 1] : '\0';
        const char *letter = t->bytes[i] == '\\' && next ? strchr(letters, next) : NULL;
        const int high = next == 'x' && i + 2 < t->n ? hex_digit(t->bytes[i + 2]) : -1;
        const int low = high >= 0 && i + 3 < t->n ? hex_digit(t->bytes[i + 3]) : -1;

        if (letter) {
            t->bytes[n++] = meanings[letter - letters];
            i += 1;
        } else if (t->bytes[i] == '\\' && low >= 0) {
            t->bytes[n++] = (char)(high * 16 + low);
            i += 3;
        } else {
            t->bytes[n++] = t->bytes[i];
        }
    }
    t->n = n;
}
