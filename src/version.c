/* version.c - what the library calls itself and its statuses. */
#include "bamba.h"

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

const char *bamba_version(void)
{
    return TEXT(BAMBA_VERSION_MAJOR) "." TEXT(BAMBA_VERSION_MINOR) "." TEXT(BAMBA_VERSION_PATCH);
}

const char *bamba_status_string(bamba_status status)
{
    switch (status) {
    case BAMBA_OK:              return "success";
    case BAMBA_ERR_ARGUMENT:    return "wrong argument";
    case BAMBA_ERR_MEMORY:      return "out of memory";
    case BAMBA_ERR_IO:          return "file cannot be read";
    case BAMBA_ERR_FORMAT:      return "damaged or malformed data";
    case BAMBA_ERR_UNSUPPORTED: return "not supported";
    case BAMBA_ERR_FULL:        return "context is full";
    case BAMBA_ERR_CANCELLED:   return "cancelled";
    case BAMBA_ERR_NUMBER:      return "a number is not finite";
    }
    return "unknown status";
}
