/* futex.h - waiting for a word of memory to change.
 *
 * Owns:    the system call, and the pause between two looks of a thread that spins.
 * Errors:  none; a sleep may end early, so callers look again.
 */
#ifndef BB_BASE_FUTEX_H
#define BB_BASE_FUTEX_H

#include <stdatomic.h>
#include <stdint.h>

#ifdef __linux__
#  include <linux/futex.h>
#  include <sys/syscall.h>
#  include <time.h>
#  include <unistd.h>
#else
#  include <sched.h>
#endif

#define BB_FOREVER UINT64_MAX

/* Takes 10 to 50 ns, by the processor. */
static inline void bb_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Sleep while *word is `value`, at most `ns` nanoseconds. */
static inline void bb_sleep_on(atomic_uint *word, unsigned value, uint64_t ns)
{
#ifdef __linux__
    const struct timespec most = { (time_t)(ns / 1000000000), (long)(ns % 1000000000) };
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, ns == BB_FOREVER ? NULL : &most, NULL, 0);
#else
    (void)word, (void)value, (void)ns;
    sched_yield();
#endif
}

/* Wake all threads that sleep on *word; its value must have changed before. */
static inline void bb_wake(atomic_uint *word)
{
#ifdef __linux__
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
#else
    (void)word;
#endif
}

#endif
