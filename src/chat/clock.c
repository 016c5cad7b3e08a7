/* clock.c - dates as strftime writes them, in English whatever the locale. */
#include "chat/clock.h"

#include <time.h>

typedef struct date {
    int64_t year;
    int     month, day;                   /* from 1 */
    int     weekday;                      /* 0: Sunday */
    int     yearday;                      /* from 0 */
    int     hour, minute, second;
    int64_t now;
} date;

static const char *const DAYS[] = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday",
                                    "Friday", "Saturday" };
static const char *const MONTHS[] = { "January", "February", "March", "April", "May", "June",
                                      "July", "August", "September", "October", "November",
                                      "December" };

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static date split(int64_t now)
{
    static const int before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
    int64_t days = now / 86400, rest = now % 86400;
    date    d = { .now = now };

    if (rest < 0) {
        rest += 86400;
        days--;
    }
    d.weekday = (int)(((days + 4) % 7 + 7) % 7);
    d.hour = (int)(rest / 3600);
    d.minute = (int)(rest / 60 % 60);
    d.second = (int)(rest % 60);
    /* Years of 400 begin in March 2000, so that the leap day is the last. */
    const int64_t shifted = days - 11017;
    const int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    const int64_t day = shifted - era * 146097;
    const int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    const int64_t in_year = day - (365 * year + year / 4 - year / 100);
    const int64_t month = (5 * in_year + 2) / 153;
    d.day = (int)(in_year - (153 * month + 2) / 5) + 1;
    d.month = (int)(month < 10 ? month + 3 : month - 9);
    d.year = 2000 + year + era * 400 + (d.month <= 2);
    d.yearday = before[d.month - 1] + d.day - 1 + (d.month > 2 && is_leap(d.year));
    return d;
}

/* Week and year of ISO 8601. */
static int iso_week(const date *d, int64_t *year)
{
    const int day = (d->weekday + 6) % 7;
    int       week = (d->yearday - day + 10) / 7;

    *year = d->year;
    if (week < 1) {
        const int last = d->yearday + 365 + is_leap(--*year);
        return (last - day + 10) / 7;
    }
    if (week == 53 && d->yearday - day + 3 >= 365 + is_leap(d->year)) {
        ++*year;
        week = 1;
    }
    return week;
}

/* A number with at least `width` digits; pad: '-' none, '_' spaces, or 0: `usual`. */
static void put(bb_builder *b, int64_t v, int width, char pad, char usual)
{
    if (!pad) pad = usual;
    if (pad == '-') bb_put_format(b, "%lld", (long long)v);
    else if (pad == '_') bb_put_format(b, "%*lld", width, (long long)v);
    else bb_put_format(b, "%0*lld", width, (long long)v);
}

static bool put_number(bb_builder *b, const date *d, char c, char pad)
{
    int64_t year;

    switch (c) {
    case 'Y': put(b, d->year, 1, pad, '0'); break;
    case 'C': put(b, d->year / 100, 2, pad, '0'); break;
    case 'y': put(b, d->year % 100, 2, pad, '0'); break;
    case 'm': put(b, d->month, 2, pad, '0'); break;
    case 'd': put(b, d->day, 2, pad, '0'); break;
    case 'e': put(b, d->day, 2, pad, '_'); break;
    case 'H': put(b, d->hour, 2, pad, '0'); break;
    case 'k': put(b, d->hour, 2, pad, '_'); break;
    case 'I': put(b, (d->hour + 11) % 12 + 1, 2, pad, '0'); break;
    case 'l': put(b, (d->hour + 11) % 12 + 1, 2, pad, '_'); break;
    case 'M': put(b, d->minute, 2, pad, '0'); break;
    case 'S': put(b, d->second, 2, pad, '0'); break;
    case 'j': put(b, d->yearday + 1, 3, pad, '0'); break;
    case 'u': put(b, (d->weekday + 6) % 7 + 1, 1, pad, '0'); break;
    case 'w': put(b, d->weekday, 1, pad, '0'); break;
    case 'U': put(b, (d->yearday + 7 - d->weekday) / 7, 2, pad, '0'); break;
    case 'W': put(b, (d->yearday + 7 - (d->weekday + 6) % 7) / 7, 2, pad, '0'); break;
    case 'V': put(b, iso_week(d, &year), 2, pad, '0'); break;
    case 'G': iso_week(d, &year); put(b, year, 1, pad, '0'); break;
    case 'g': iso_week(d, &year); put(b, year % 100, 2, pad, '0'); break;
    case 'f': put(b, 0, 6, 0, '0'); break;
    default:  return false;
    }
    return true;
}

static const char *name_of(const date *d, char c)
{
    switch (c) {
    case 'A': return DAYS[d->weekday];
    case 'B': return MONTHS[d->month - 1];
    case 'p': return d->hour < 12 ? "AM" : "PM";
    case 'P': return d->hour < 12 ? "am" : "pm";
    case 'n': return "\n";
    case 't': return "\t";
    case '%': return "%";
    case 'z':
    case 'Z': return "";                  /* the clock knows no zone */
    default:  return NULL;
    }
}

/* What stands for a longer format. */
static const char *long_form(char c)
{
    switch (c) {
    case 'D':
    case 'x': return "%m/%d/%y";
    case 'F': return "%Y-%m-%d";
    case 'R': return "%H:%M";
    case 'T':
    case 'X': return "%H:%M:%S";
    case 'r': return "%I:%M:%S %p";
    case 'c': return "%a %b %e %H:%M:%S %Y";
    default:  return NULL;
    }
}

static void put_format(bb_builder *b, const date *d, const char *format, size_t n)
{
    size_t done = 0;

    for (size_t at = 0; at < n && b->w->status == BAMBA_OK; at++) {
        if (format[at] != '%') continue;
        bb_put_bytes(b, format + done, at - done, false);
        const bool padded = at + 1 < n && format[at + 1] && strchr("-_0", format[at + 1]);
        const char pad = padded ? format[++at] : 0;
        const char c = ++at < n ? format[at] : '\0';
        const char *name = name_of(d, c), *longer = long_form(c);
        if (c == 'a') bb_put_bytes(b, DAYS[d->weekday], 3, false);
        else if (c == 'b' || c == 'h') bb_put_bytes(b, MONTHS[d->month - 1], 3, false);
        else if (name) bb_put_text(b, name);
        else if (longer) put_format(b, d, longer, strlen(longer));
        else if (!put_number(b, d, c, pad))
            bb_work_fail(b->w, BAMBA_ERR_UNSUPPORTED,
                         "strftime_now: '%%' before an unknown letter");
        done = at < n ? at + 1 : n;
    }
    bb_put_bytes(b, format + done, n - done, false);
}

const bb_passage *bb_clock_format(bb_work *w, const bb_passage *format, int64_t now)
{
    const date d = split(now);
    bb_builder b = bb_builder_begin(w);

    put_format(&b, &d, format->s, format->n);
    return bb_builder_text(&b);
}

int64_t bb_clock_local(void)
{
    const time_t now = time(NULL);
    struct tm    tm;

    if (!localtime_r(&now, &tm)) return (int64_t)now;
    return (int64_t)now + tm.tm_gmtoff;
}
