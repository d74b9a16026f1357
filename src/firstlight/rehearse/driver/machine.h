/* The simulated machine as the C parts see it: a folder with machine.conf, dev/, proc/ and state/.
 *
 * machine.conf and the node files hold one "key value" a line. They are read anew at every question, because the
 * stagehand changes them while the machine runs. Everything here speaks to the kernel directly, never through a libc
 * function that preload.c replaces. */
#ifndef FIRSTLIGHT_MACHINE_H
#define FIRSTLIGHT_MACHINE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#define EXPORT __attribute__((visibility("default")))

enum { FILE_MAX = 32768, VALUE_MAX = 512, GPUS_MAX = 64 };

enum { CAPABILITY_DAC_OVERRIDE = 1, CAPABILITY_FOWNER = 3, CAPABILITY_MKNOD = 27 };

/* The folder of the machine: the nearest one above this library that holds machine.conf; "" when there is none. */
const char *machine_folder(void);

/* "MACHINE/<format…>" into `path`, which holds PATH_MAX bytes. */
void machine_path(char *path, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The start of a file as a string of at most `size` - 1 characters; its length, or -1 with errno set. */
long machine_read(const char *path, char *text, size_t size);

/* The value behind `key` in machine.conf; false when the key is not there. The key is formatted. */
bool machine_text(char *value, size_t size, const char *key, ...) __attribute__((format(printf, 3, 4)));
long machine_number(long fallback, const char *key, ...) __attribute__((format(printf, 2, 3)));

/* The same, from a text of "key value" lines. */
bool line_value(const char *text, const char *key, char *value, size_t size);

/* What the scenario says of this call of `name` on a GPU (-1: no GPU): waits, hangs, or gives the code to return, 0 when
 * there is nothing to say. Several codes ("802 802 0") are counted over all processes of the machine; the last one stays. */
int machine_call(const char *name, int gpu);

/* Never returns; only SIGKILL ends it, as with a thread stuck in the kernel driver. */
void machine_hang(void) __attribute__((noreturn));

/* The major of a driver in the machine's /proc/devices by its name, -1 when the kernel has none of that name. */
int kernel_major(const char *name);

/* A device node: a small file in MACHINE/dev. `simulated` is false for a plain file, which is just that. */
struct node {
    bool simulated;
    char kind; /* 'c' or 'b' */
    unsigned major, minor, mode, uid, gid;
    int open_errno; /* what every open gives; 0: what the simulated kernel says */
    bool hang;
};

/* Reads a node file; -1 with errno set when there is none. */
int node_read(const char *path, struct node *node);
int node_write(int file, const struct node *node);

#endif
