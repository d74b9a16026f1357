/* Print, or read, as fast as it goes: the two ends of a pipe whose throughput is measured.
 *
 *     print_output BYTES BLOCK          print lines of 100 bytes, BLOCK bytes with each write
 *     print_output discard BYTES        read 64 KiB at a time until that many bytes have come, or the end
 *     print_output collect BYTES        the same, and make of each line what a container's runtime keeps of it: escaped JSON
 *
 * The readers say how many MB/s came, from the first byte on, and whether all of them came.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char block[64 << 10], kept[6 * sizeof block];

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static size_t collect(const char *from, size_t size) {
    char *to = kept;
    for (const char *end = from + size; from < end; from++) {
        unsigned char byte = (unsigned char)*from;
        if (byte == '\n') {
            memcpy(to, "\\n\"}\n{\"log\":\"", 13);
            to += 13;
        } else if (byte < ' ' || byte == '"' || byte == '\\') {
            to += sprintf(to, "\\u%04x", byte);
        } else {
            *to++ = (char)byte;
        }
    }
    return (size_t)(to - kept);
}

static int print(long long left, size_t size) {
    for (size_t place = 0; place < sizeof block; place++)
        block[place] = place % 100 == 99 ? '\n' : 'x';
    while (left > 0) {
        ssize_t written = write(1, block, size);
        if (written <= 0)
            return 1;
        left -= written;
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 64;
    int collecting = strcmp(argv[1], "collect") == 0;
    if (!collecting && strcmp(argv[1], "discard") != 0)
        return print(atoll(argv[1]), (size_t)atol(argv[2]));
    double wanted = atof(argv[2]);
    ssize_t got = read(0, block, sizeof block);
    double begun = now(), bytes = (double)got;
    size_t work = 0;
    while (bytes < wanted && (got = read(0, block, sizeof block)) > 0) {
        bytes += (double)got;
        if (collecting)
            work += collect(block, (size_t)got);
    }
    printf("%.1f %s %zu\n", bytes / 1e6 / (now() - begun), bytes >= wanted ? "all" : "less", work);
    return 0;
}
