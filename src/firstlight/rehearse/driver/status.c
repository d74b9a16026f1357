/* Who we are on the simulated machine: user, groups and capabilities, asked for by call or read from /proc/self/status. */
#define _GNU_SOURCE
#include "status.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel.h"
#include "machine.h"

bool is_own_status(const char *path)
{
    char own[64], value[VALUE_MAX];
    if (strncmp(path, "/proc/", 6) != 0 || !strstr(path, "/status") || !*machine_folder())
        return false;
    snprintf(own, sizeof own, "/proc/%d/status", (int)syscall(SYS_getpid));
    return (strcmp(path, "/proc/self/status") == 0 || strcmp(path, "/proc/thread-self/status") == 0 || strcmp(path, own) == 0) &&
           machine_text(value, sizeof value, "capabilities");
}

/* One line of the real file as the machine has it. */
static int rewrite_line(const char *line, char *to, size_t size)
{
    long uid = simulated_uid(), gid = simulated_gid();
    unsigned long long set = capabilities();
    char groups[VALUE_MAX];
    int width = (int)strcspn(line, "\n");
    if (strncmp(line, "CapPrm:", 7) == 0 || strncmp(line, "CapEff:", 7) == 0 || strncmp(line, "CapBnd:", 7) == 0)
        return snprintf(to, size, "%.7s\t%016llx\n", line, set);
    if (strncmp(line, "CapInh:", 7) == 0 || strncmp(line, "CapAmb:", 7) == 0)
        return snprintf(to, size, "%.7s\t%016x\n", line, 0);
    if (uid >= 0 && strncmp(line, "Uid:", 4) == 0)
        return snprintf(to, size, "Uid:\t%ld\t%ld\t%ld\t%ld\n", uid, uid, uid, uid);
    if (gid >= 0 && strncmp(line, "Gid:", 4) == 0)
        return snprintf(to, size, "Gid:\t%ld\t%ld\t%ld\t%ld\n", gid, gid, gid, gid);
    if (strncmp(line, "Groups:", 7) == 0 && machine_text(groups, sizeof groups, "groups"))
        return snprintf(to, size, "Groups:\t%s \n", groups);
    if (strncmp(line, "Seccomp:", 8) == 0)
        return snprintf(to, size, "Seccomp:\t%ld\n", machine_number(0, "seccomp"));
    return snprintf(to, size, "%.*s\n", width, line);
}

int open_status(const char *path)
{
    char real[FILE_MAX], simulated[FILE_MAX];
    size_t length = 0;
    if (machine_read(path, real, sizeof real) < 0)
        return -1;
    for (const char *line = real; line && *line && length < sizeof simulated - VALUE_MAX; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
        length += (size_t)rewrite_line(line, simulated + length, sizeof simulated - length);
    int file = (int)syscall(SYS_memfd_create, "status", 1u /* MFD_CLOEXEC */);
    if (file < 0)
        return -1;
    if (write(file, simulated, length) != (ssize_t)length || lseek(file, 0, SEEK_SET) != 0) {
        close(file);
        errno = EIO;
        return -1;
    }
    return file;
}

#define IDENTITY(name, number, simulated)                      \
    EXPORT name##_type name(void)                              \
    {                                                          \
        long identity = simulated();                           \
        return identity >= 0 ? (name##_type)identity : (name##_type)syscall(number); \
    }
typedef uid_t getuid_type;
typedef uid_t geteuid_type;
typedef gid_t getgid_type;
typedef gid_t getegid_type;
IDENTITY(getuid, SYS_getuid, simulated_uid)
IDENTITY(geteuid, SYS_geteuid, simulated_uid)
IDENTITY(getgid, SYS_getgid, simulated_gid)
IDENTITY(getegid, SYS_getegid, simulated_gid)

EXPORT int getgroups(int size, gid_t *groups)
{
    char list[VALUE_MAX];
    int count = 0;
    if (!machine_text(list, sizeof list, "groups"))
        return (int)syscall(SYS_getgroups, size, groups);
    for (char *rest, *word = strtok_r(list, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        if (size > 0 && count >= size) {
            errno = EINVAL;
            return -1;
        }
        if (size > 0)
            groups[count] = (gid_t)strtoul(word, NULL, 10);
        count++;
    }
    return count;
}

/* Capabilities of the machine are this library's own account: a user without any may play a root that has some. */
static bool plays_capabilities(void)
{
    char value[VALUE_MAX];
    return *machine_folder() && machine_text(value, sizeof value, "capabilities");
}

EXPORT int prctl(int option, ...)
{
    unsigned long argument[4];
    va_list rest;
    va_start(rest, option);
    for (int place = 0; place < 4; place++)
        argument[place] = va_arg(rest, unsigned long);
    va_end(rest);
    if (option == PR_CAPBSET_READ && argument[0] < 64 && plays_capabilities())
        return capable((int)argument[0]);
    if (option == PR_CAPBSET_DROP && argument[0] < 64 && plays_capabilities())
        return 0; /* the bounding set limits what a later exec gains; what a process has now, capset takes away */
    return (int)syscall(SYS_prctl, option, argument[0], argument[1], argument[2], argument[3]);
}

/* As in <linux/capability.h>, which not every C library brings along. */
struct capability_header {
    unsigned version;
    int pid;
};
struct capability_data {
    unsigned effective, permitted, inheritable;
};
enum { ONE_WORD_VERSION = 0x19980330 };

int capget(struct capability_header *header, struct capability_data *data);
int capset(struct capability_header *header, const struct capability_data *data);

EXPORT int capget(struct capability_header *header, struct capability_data *data)
{
    int answer = (int)syscall(SYS_capget, header, data);
    if (answer == 0 && data && plays_capabilities()) {
        unsigned long long set = capabilities();
        for (int half = 0; half < (header->version == ONE_WORD_VERSION ? 1 : 2); half++) {
            data[half].effective = data[half].permitted = (unsigned)(set >> 32 * half);
            data[half].inheritable = 0;
        }
    }
    return answer;
}

EXPORT int capset(struct capability_header *header, const struct capability_data *data)
{
    if (!plays_capabilities())
        return (int)syscall(SYS_capset, header, data);
    unsigned long long kept = data[0].effective;
    if (header->version != ONE_WORD_VERSION)
        kept |= (unsigned long long)data[1].effective << 32;
    if (kept & ~capabilities()) {
        errno = EPERM;
        return -1;
    }
    capabilities_drop(kept);
    return 0;
}
