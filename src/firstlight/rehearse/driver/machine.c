/* Reading the simulated machine: see machine.h. */
#define _GNU_SOURCE
#include "machine.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

_Static_assert(sizeof(long) == 8, "the simulated machine needs a 64-bit system");

static int plain_open(const char *path, int flags)
{
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0666);
}

const char *machine_folder(void)
{
    static char folder[PATH_MAX];
    static bool searched;
    Dl_info here;
    if (searched)
        return folder;
    char candidate[PATH_MAX], file[PATH_MAX + 16];
    /* Its real path: a remedy may have the loader find the library through a link from elsewhere. */
    if (dladdr((void *)machine_folder, &here) && here.dli_fname && realpath(here.dli_fname, candidate)) {
        for (char *end = strrchr(candidate, '/'); end && end != candidate; end = strrchr(candidate, '/')) {
            *end = '\0';
            snprintf(file, sizeof file, "%s/machine.conf", candidate);
            if (syscall(SYS_faccessat, AT_FDCWD, file, F_OK) == 0) {
                memcpy(folder, candidate, sizeof folder);
                break;
            }
        }
    }
    searched = true;
    return folder;
}

void machine_path(char *path, const char *format, ...)
{
    va_list arguments;
    int length = snprintf(path, PATH_MAX, "%s/", machine_folder());
    va_start(arguments, format);
    if (length < PATH_MAX)
        vsnprintf(path + length, (size_t)(PATH_MAX - length), format, arguments);
    va_end(arguments);
}

long machine_read(const char *path, char *text, size_t size)
{
    int file = plain_open(path, O_RDONLY);
    if (file < 0)
        return -1;
    size_t length = 0;
    while (length < size - 1) {
        ssize_t got = read(file, text + length, size - 1 - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        length += (size_t)got;
    }
    close(file);
    text[length] = '\0';
    return (long)length;
}

bool line_value(const char *text, const char *key, char *value, size_t size)
{
    size_t length = strlen(key);
    for (const char *line = text; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        if (strncmp(line, key, length) != 0 || (line[length] != ' ' && line[length] != '\n' && line[length] != '\0'))
            continue;
        const char *start = line + length;
        start += strspn(start, " ");
        size_t width = strcspn(start, "\n");
        if (width >= size)
            width = size - 1;
        memcpy(value, start, width);
        value[width] = '\0';
        return true;
    }
    return false;
}

static bool configured(const char *key, char *value, size_t size)
{
    char path[PATH_MAX], text[FILE_MAX];
    machine_path(path, "machine.conf");
    return machine_read(path, text, sizeof text) >= 0 && line_value(text, key, value, size);
}

bool machine_text(char *value, size_t size, const char *key, ...)
{
    char name[VALUE_MAX];
    va_list arguments;
    va_start(arguments, key);
    vsnprintf(name, sizeof name, key, arguments);
    va_end(arguments);
    return configured(name, value, size);
}

long machine_number(long fallback, const char *key, ...)
{
    char name[VALUE_MAX], value[VALUE_MAX];
    va_list arguments;
    va_start(arguments, key);
    vsnprintf(name, sizeof name, key, arguments);
    va_end(arguments);
    return configured(name, value, sizeof value) ? strtol(value, NULL, 0) : fallback;
}

void machine_hang(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    for (;;)
        pause();
}

/* How often `name` was called before on this machine, by any process. */
static long count_call(const char *name)
{
    char path[PATH_MAX], text[32] = "";
    machine_path(path, "state/%s.count", name);
    int file = plain_open(path, O_RDWR | O_CREAT);
    if (file < 0)
        return 0;
    while (flock(file, LOCK_EX) < 0 && errno == EINTR)
        ;
    ssize_t length = pread(file, text, sizeof text - 1, 0);
    long count = length > 0 ? strtol(text, NULL, 10) : 0;
    int width = snprintf(text, sizeof text, "%ld\n", count + 1);
    if (pwrite(file, text, (size_t)width, 0) != width)
        count = 0;
    close(file);
    return count;
}

/* The word at `place` of a list, or its last one. */
static void nth_word(const char *list, long place, char *word, size_t size)
{
    const char *start = list + strspn(list, " ,");
    for (;;) {
        size_t width = strcspn(start, " ,");
        const char *next = start + width + strspn(start + width, " ,");
        if (place-- <= 0 || *next == '\0') {
            snprintf(word, size, "%.*s", (int)width, start);
            return;
        }
        start = next;
    }
}

int machine_call(const char *name, int gpu)
{
    char key[64], list[VALUE_MAX], word[32];
    snprintf(key, sizeof key, "%s", name);
    if (gpu >= 0 && machine_text(list, sizeof list, "gpu.%d.call.%s", gpu, name))
        snprintf(key, sizeof key, "gpu.%d.%s", gpu, name);
    else if (!machine_text(list, sizeof list, "call.%s", name))
        list[0] = '\0';
    long delay = machine_number(machine_number(0, "delay.%s", name), "gpu.%d.delay.%s", gpu, name); /* milliseconds */
    if (delay > 0) {
        struct timespec left = {delay / 1000, delay % 1000 * 1000000};
        while (nanosleep(&left, &left) < 0 && errno == EINTR)
            ;
    }
    if (list[0] == '\0')
        return 0;
    nth_word(list, strpbrk(list, " ,") ? count_call(key) : 0, word, sizeof word);
    if (strcmp(word, "hang") == 0)
        machine_hang();
    return (int)strtol(word, NULL, 0);
}

int kernel_major(const char *name)
{
    char path[PATH_MAX], text[FILE_MAX], found[64];
    machine_path(path, "proc/devices");
    if (machine_read(path, text, sizeof text) < 0)
        return -1;
    for (const char *line = text; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        int major;
        if (strncmp(line, "Block devices:", 14) == 0)
            break;
        if (sscanf(line, " %d %63s", &major, found) == 2 && strcmp(found, name) == 0)
            return major;
    }
    return -1;
}

static unsigned node_number(const char *text, const char *key, unsigned fallback)
{
    char value[32];
    return line_value(text, key, value, sizeof value) ? (unsigned)strtoul(value, NULL, 0) : fallback;
}

int node_read(const char *path, struct node *node)
{
    char text[1024], kind[16] = "";
    memset(node, 0, sizeof *node);
    if (machine_read(path, text, sizeof text) < 0)
        return -1;
    if (strncmp(text, "kind ", 5) != 0)
        return 0;
    line_value(text, "kind", kind, sizeof kind);
    node->simulated = true;
    node->kind = strcmp(kind, "block") == 0 ? 'b' : 'c';
    node->major = node_number(text, "major", 0);
    node->minor = node_number(text, "minor", 0);
    node->mode = node_number(text, "mode", 0666);
    node->uid = node_number(text, "uid", 0);
    node->gid = node_number(text, "gid", 0);
    node->open_errno = (int)node_number(text, "open", 0);
    node->hang = node_number(text, "hang", 0) != 0;
    return 0;
}

int node_write(int file, const struct node *node)
{
    char text[256];
    int length = snprintf(text, sizeof text, "kind %s\nmajor %u\nminor %u\nmode 0%o\nuid %u\ngid %u\nopen %d\nhang %d\n",
                          node->kind == 'b' ? "block" : "char", node->major, node->minor, node->mode, node->uid, node->gid,
                          node->open_errno, node->hang);
    if (pwrite(file, text, (size_t)length, 0) != length || ftruncate(file, length) < 0)
        return -1;
    return 0;
}
