/* Preloaded into every process of a run: each appends "<CLOCK_MONOTONIC> <pid> <parent>" to $STARTUP_STAMPS when it starts.
 *
 * So the time from the start of firstlight to the start of its first child is seen from outside, without a word in its code.
 * cc -O2 -shared -fPIC stamp.c -o stamp.so
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

__attribute__((constructor)) static void stamp(void) {
    const char *place = getenv("STARTUP_STAMPS");
    if (!place)
        return;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    char line[64];
    int size = snprintf(line, sizeof line, "%ld.%09ld %d %d\n", (long)now.tv_sec, now.tv_nsec, (int)getpid(), (int)getppid());
    int file = open(place, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (file < 0)
        return;
    if (write(file, line, (size_t)size) != size)
        perror("cannot write a stamp");
    close(file);
}
