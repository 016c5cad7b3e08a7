/* clock.c - dates as strftime writes them, in English whatever the locale. */
#include "chat/clock.h"

#include <errno.h>
#include <stdio.h>
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

/* -------------------------------------------------------------- one conversion ----------- */

enum { WIDTH_MOST = 200 };

/* What stands between '%' and its letter, as glibc has it. */
typedef struct conversion {
    char   pad;                           /* '-' none, '_' spaces, '0' zeros; 0: by the letter    */
    bool   upper, lower, swap;            /* swap: AM in lower case, other names in upper         */
    int    width;
    char   modifier;                      /* 'E', 'O': other eras and digits, which English lacks */
    char   letter;
    size_t begin;                         /* of '%' */
} conversion;

/* Whether a character, which may be NUL, is one of a set. */
static bool is_one(char c, const char *set)
{
    return c && strchr(set, c);
}

/* Put bytes [n], padded on the left, in the case that is asked for. */
static void put_padded(bb_builder *b, const conversion *c, const char *s, size_t n)
{
    for (size_t i = n; i < (size_t)c->width; i++) bb_put_text(b, c->pad == '0' ? "0" : " ");
    for (size_t i = 0; i < n; i++) {
        char       one = s[i];
        const bool small = one >= 'a' && one <= 'z', capital = one >= 'A' && one <= 'Z';
        if ((c->lower && capital) || (!c->lower && c->upper && small)) one ^= 32;
        bb_put_bytes(b, &one, 1, false);
    }
}

/* A number with at least `digits` digits; usual: how it is padded if nothing is said. */
static void put(bb_builder *b, int64_t v, int digits, const conversion *c, char usual)
{
    char       text[WIDTH_MOST + 40];
    conversion rest = *c;

    if (!rest.pad) rest.pad = usual;
    if (digits < rest.width) digits = rest.width;
    if (rest.pad == '-') snprintf(text, sizeof text, "%lld", (long long)v);
    else if (rest.pad == '_') snprintf(text, sizeof text, "%*lld", digits, (long long)v);
    else snprintf(text, sizeof text, "%0*lld", digits, (long long)v);
    put_padded(b, &rest, text, strlen(text));
}

/* Seconds since 1970 of the clock that is shown, if it is the local one. */
static int64_t seconds(const date *d)
{
    struct tm tm = { .tm_year = (int)(d->year - 1900), .tm_mon = d->month - 1, .tm_mday = d->day,
                     .tm_hour = d->hour, .tm_min = d->minute, .tm_sec = d->second,
                     .tm_isdst = -1 };
    const int saved = errno;              /* mktime sets it when it looks for the time zone */

    if (d->year < -100000 || d->year > 100000) return d->now;    /* its years are int */
    const int64_t s = (int64_t)mktime(&tm);
    errno = saved;
    return s;
}

static bool put_number(bb_builder *b, const date *d, const conversion *c)
{
    int64_t year;

    switch (c->letter) {
    case 'Y': put(b, d->year, 1, c, '0'); break;
    case 'C': put(b, d->year / 100, 2, c, '0'); break;
    case 'y': put(b, d->year % 100, 2, c, '0'); break;
    case 'm': put(b, d->month, 2, c, '0'); break;
    case 'd': put(b, d->day, 2, c, '0'); break;
    case 'e': put(b, d->day, 2, c, '_'); break;
    case 'H': put(b, d->hour, 2, c, '0'); break;
    case 'k': put(b, d->hour, 2, c, '_'); break;
    case 'I': put(b, (d->hour + 11) % 12 + 1, 2, c, '0'); break;
    case 'l': put(b, (d->hour + 11) % 12 + 1, 2, c, '_'); break;
    case 'M': put(b, d->minute, 2, c, '0'); break;
    case 'S': put(b, d->second, 2, c, '0'); break;
    case 's': put(b, seconds(d), 1, c, '0'); break;
    case 'j': put(b, d->yearday + 1, 3, c, '0'); break;
    case 'u': put(b, (d->weekday + 6) % 7 + 1, 1, c, '0'); break;
    case 'w': put(b, d->weekday, 1, c, '0'); break;
    case 'U': put(b, (d->yearday + 7 - d->weekday) / 7, 2, c, '0'); break;
    case 'W': put(b, (d->yearday + 7 - (d->weekday + 6) % 7) / 7, 2, c, '0'); break;
    case 'V': put(b, iso_week(d, &year), 2, c, '0'); break;
    case 'G': iso_week(d, &year); put(b, year, 1, c, '0'); break;
    case 'g': iso_week(d, &year); put(b, year % 100, 2, c, '0'); break;
    default:  return false;
    }
    return true;
}

static const char *name_of(const date *d, char c)
{
    switch (c) {
    case 'a':
    case 'A': return DAYS[d->weekday];
    case 'b':
    case 'h':
    case 'B': return MONTHS[d->month - 1];
    case 'p':
    case 'P': return d->hour < 12 ? "AM" : "PM";
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

/* -------------------------------------------------------------- a format ----------------- */

/* Read the conversion whose '%' is at *at; *at ends at its letter, or at the end n. */
static conversion read_conversion(bb_work *w, const char *format, size_t n, size_t *at)
{
    conversion c = { .begin = *at };

    for (++*at; *at < n && is_one(format[*at], "-_0^#"); ++*at) {
        const char flag = format[*at];
        if (flag == '^') c.upper = true;
        else if (flag == '#') c.swap = true;
        else c.pad = flag;
    }
    for (; *at < n && format[*at] >= '0' && format[*at] <= '9'; ++*at)
        if (c.width <= WIDTH_MOST) c.width = c.width * 10 + (format[*at] - '0');
    if (c.width > WIDTH_MOST)
        bb_work_fail(w, BAMBA_ERR_UNSUPPORTED, "strftime_now: a width beyond %d", WIDTH_MOST);
    if (*at < n && (format[*at] == 'E' || format[*at] == 'O')) c.modifier = format[(*at)++];
    c.letter = *at < n ? format[*at] : '\0';
    return c;
}

/* Whether a modifier may stand before the letter. */
static bool modifier_fits(const conversion *c)
{
    return !c->modifier ||
           is_one(c->letter, c->modifier == 'E' ? "cnprstuxyzCPRTXYZ%"
                                                : "bdeghjklmnprstuwyzBCGHIMPRSTUVWZ%");
}

static void put_format(bb_builder *b, const date *d, const char *format, size_t n)
{
    size_t done = 0;

    for (size_t at = 0; at < n && b->w->status == BAMBA_OK; at++) {
        if (format[at] != '%') continue;
        bb_put_bytes(b, format + done, at - done, false);
        conversion  c = read_conversion(b->w, format, n, &at);
        const bool  fits = modifier_fits(&c), bare = at == c.begin + 1;
        const char *name = name_of(d, c.letter), *longer = long_form(c.letter);
        done = at < n ? at + 1 : n;
        c.lower = c.letter == 'P' || (c.swap && c.letter == 'p');
        if (c.swap && is_one(c.letter, "aAbBh")) c.upper = true;
        if (fits && c.letter == 'f' && bare) bb_put_text(b, "000000");
        else if (fits && name)
            put_padded(b, &c, name, is_one(c.letter, "abh") ? 3 : strlen(name));
        else if (fits && longer) {
            bb_builder inner = bb_builder_begin(b->w);
            put_format(&inner, d, longer, strlen(longer));
            const bb_passage *p = bb_builder_text(&inner);
            put_padded(b, &c, p->s, p->n);
        } else if (!fits || !put_number(b, d, &c))
            put_padded(b, &c, format + c.begin, done - c.begin);      /* stands for itself */
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
