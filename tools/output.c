/* output.c - a file that a command writes: whole, or not at all. */
#include "output.h"

#include "console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int output_fail(const output *o)
{
    return console_fail("%s: cannot be written: %s", o->name, strerror(errno));
}

int output_open(output *o, const char *name)
{
    struct stat at, target;
    const bool there = lstat(name, &at) == 0;
    const bool regular = there && stat(name, &target) == 0 && S_ISREG(target.st_mode);

    *o = (output){ .name = name };
    if (there && !regular) {
        o->file = fopen(name, "wb");
        return o->file ? EXIT_SUCCESS : output_fail(o);
    }
    if (regular && (access(name, W_OK) != 0 || !realpath(name, o->path))) return output_fail(o);
    if (!regular && snprintf(o->path, sizeof o->path, "%s", name) >= (int)sizeof o->path) {
        errno = ENAMETOOLONG;
        return output_fail(o);
    }
    snprintf(o->temporary, sizeof o->temporary, "%s.%ld.tmp", o->path, (long)getpid());
    const int fd = open(o->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) {
        o->temporary[0] = '\0';
        return output_fail(o);
    }
    if (regular && fchmod(fd, target.st_mode & 07777) != 0) {
        /* A file system without permissions: it has none to keep. */
    }
    o->file = fdopen(fd, "wb");
    if (o->file) return EXIT_SUCCESS;
    close(fd);
    return output_fail(o);
}

int output_close(output *o, int code)
{
    if (o->file && fclose(o->file) != 0 && code == EXIT_SUCCESS) code = output_fail(o);
    o->file = NULL;
    if (!o->temporary[0]) return code;
    if (code == EXIT_SUCCESS && rename(o->temporary, o->path) != 0) code = output_fail(o);
    if (code != EXIT_SUCCESS) unlink(o->temporary);
    o->temporary[0] = '\0';
    return code;
}
