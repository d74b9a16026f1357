/* Preloaded into a process, this makes the folder $HANGING hang as a dead network volume does, while the file $HANGING.hangs exists:
 * whoever writes below it waits. While $HANGING.refuses exists, it is read-only. The rest of the machine is left alone.
 *
 * cc -shared -fPIC -O2 hanging_volume.c -o hanging_volume.so -ldl
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static int volume_refuses(int descriptor) {
    const char *folder = getenv("HANGING");
    char link[64], place[PATH_MAX], sign[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = folder ? readlink(link, place, sizeof place - 1) : -1;
    if (length < 0)
        return 0;
    place[length] = 0;
    if (strncmp(place, folder, strlen(folder)) != 0 || place[strlen(folder)] != '/')
        return 0;
    snprintf(sign, sizeof sign, "%s.hangs", folder);
    while (access(sign, F_OK) == 0)
        nanosleep(&(struct timespec){0, 5000000}, NULL);
    snprintf(sign, sizeof sign, "%s.refuses", folder);
    return access(sign, F_OK) == 0;
}

ssize_t write(int descriptor, const void *bytes, size_t size) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real)
        real = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    if (volume_refuses(descriptor)) {
        errno = EROFS;
        return -1;
    }
    return real(descriptor, bytes, size);
}
