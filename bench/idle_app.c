/* An app that does nothing, and says when it is started and when a signal comes: "start|term|usr1 <CLOCK_MONOTONIC> <pid>", a line each.
 *
 *     idle_app PLACE          writes to the named pipe PLACE; ends at SIGTERM
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static int place;

/* Only what a signal handler may call: clock_gettime and write. The numbers are written by hand. */
static char *put(char *to, long long number, int digits) {
    for (int place = digits; place-- > 0; number /= 10)
        to[place] = (char)('0' + number % 10);
    return to + digits;
}

static void say(const char *word, int size) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    char line[64], *end = line;
    for (; size-- > 0; word++)
        *end++ = *word;
    *end++ = ' ';
    end = put(end, now.tv_sec, 12);
    *end++ = '.';
    end = put(end, now.tv_nsec, 9);
    *end++ = ' ';
    end = put(end, getpid(), 10);
    *end++ = '\n';
    if (write(place, line, (size_t)(end - line)) < 0)
        _exit(1);
}

static void caught(int number) {
    if (number == SIGUSR1) {
        say("usr1", 4);
        return;
    }
    say("term", 4);
    _exit(0);
}

int main(int argc, char **argv) {
    place = argc == 2 ? open(argv[1], O_WRONLY | O_CLOEXEC) : -1;
    if (place < 0)
        return 64;
    struct sigaction action = {.sa_handler = caught};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    say("start", 5);
    for (;;)
        pause();
}
