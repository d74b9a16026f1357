/* The simulated kernel: opening, making and changing device nodes as Linux and the NVIDIA driver would. */
#define _GNU_SOURCE
#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "machine.h"

/* Kept by this process and inherited by fork; a new program starts with the machine's set again, as root's would. */
static unsigned long long kept_capabilities = ~0ULL;

unsigned long long capabilities(void)
{
    char value[VALUE_MAX];
    if (!machine_text(value, sizeof value, "capabilities"))
        return 0;
    return strtoull(value, NULL, 0) & kept_capabilities;
}

bool capable(int capability) { return capabilities() >> capability & 1; }
void capabilities_drop(unsigned long long kept) { kept_capabilities &= kept; }

long simulated_uid(void) { return machine_number(-1, "uid"); }
long simulated_gid(void) { return machine_number(-1, "gid"); }

static int refuse(int number)
{
    errno = number;
    return -1;
}

static unsigned user(void)
{
    long uid = simulated_uid();
    return uid >= 0 ? (unsigned)uid : (unsigned)syscall(SYS_geteuid);
}

static bool in_group(unsigned gid)
{
    char groups[VALUE_MAX];
    if (gid == (unsigned)simulated_gid())
        return true;
    if (!machine_text(groups, sizeof groups, "groups"))
        return false;
    for (char *rest, *word = strtok_r(groups, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        if (strtoul(word, NULL, 10) == gid)
            return true;
    return false;
}

/* Whether the mode of a node grants `wanted` (4 read, 2 write) to us. */
static bool mode_grants(const struct node *node, unsigned wanted)
{
    if (capable(CAPABILITY_DAC_OVERRIDE))
        return true;
    unsigned shift = user() == node->uid ? 6 : in_group(node->gid) ? 3 : 0;
    return (node->mode >> shift & wanted) == wanted;
}

/* Whether a device rule ("195:*", "195:255") of this list of the machine matches. */
static bool cgroup_lists(const char *list, const struct node *node)
{
    char rules[VALUE_MAX], exact[32], whole[32];
    if (!machine_text(rules, sizeof rules, "%s", list))
        return false;
    snprintf(exact, sizeof exact, "%u:%u", node->major, node->minor);
    snprintf(whole, sizeof whole, "%u:*", node->major);
    for (char *rest, *word = strtok_r(rules, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        if (strcmp(word, exact) == 0 || strcmp(word, whole) == 0)
            return true;
    return false;
}

/* What the driver behind a GPU's minor answers: 0, or an errno. */
static int open_gpu(unsigned minor, int flags)
{
    for (int gpu = 0; gpu < machine_number(0, "gpus"); gpu++) {
        if (machine_number(-1, "gpu.%d.minor", gpu) != (long)minor)
            continue;
        if (machine_number(0, "gpu.%d.lost", gpu))
            return ENODEV;
        if (machine_number(0, "gpu.%d.open-hangs", gpu) && !(flags & O_NONBLOCK))
            machine_hang();
        return (int)machine_number(0, "gpu.%d.open", gpu);
    }
    return ENODEV;
}

/* What the kernel answers behind a device number: 0, or an errno. */
static int open_device(const struct node *node, int flags)
{
    int major = (int)node->major;
    if (major == kernel_major("nvidia") || major == kernel_major("nvidia-frontend"))
        return node->minor == 255 ? (int)machine_number(0, "control.open") : open_gpu(node->minor, flags);
    if (major == kernel_major("nvidia-uvm"))
        return node->minor > 1 ? ENXIO : (int)machine_number(0, "uvm.open");
    if (major == kernel_major("nvidia-caps"))
        return 0;
    return ENXIO; /* no driver behind this major: a stale one, or its module is not loaded */
}

int kernel_open(const char *path, int flags)
{
    struct node node;
    if (node_read(path, &node) < 0)
        return flags & O_CREAT ? refuse(EACCES) : -1;
    if (!node.simulated)
        return (int)syscall(SYS_openat, AT_FDCWD, path, flags & ~O_CREAT, 0);
    if (flags & O_PATH)
        return (int)syscall(SYS_openat, AT_FDCWD, path, O_PATH | (flags & O_CLOEXEC), 0);
    if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
        return refuse(EEXIST);
    int access_mode = flags & O_ACCMODE;
    if (!mode_grants(&node, access_mode == O_RDONLY ? 4 : access_mode == O_WRONLY ? 2 : 6) || machine_number(0, "dev.nodev"))
        return refuse(EACCES);
    if (cgroup_lists("cgroup.deny", &node))
        return refuse(EPERM);
    if (node.hang)
        machine_hang();
    int answer = node.open_errno ? node.open_errno : open_device(&node, flags);
    if (answer)
        return refuse(answer);
    return (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", flags & (O_ACCMODE | O_CLOEXEC | O_NONBLOCK), 0);
}

int kernel_make_node(const char *path, mode_t mode, dev_t device)
{
    struct node node = {.simulated = true, .kind = S_ISBLK(mode) ? 'b' : 'c', .major = major(device), .minor = minor(device)};
    char temporary[PATH_MAX];
    if (!capable(CAPABILITY_MKNOD) || cgroup_lists("cgroup.deny-mknod", &node))
        return refuse(EPERM);
    if (machine_number(0, "dev.read-only"))
        return refuse(EROFS);
    mode_t mask = umask(0);
    umask(mask);
    node.mode = (unsigned)(mode & ~mask & 07777);
    node.uid = user();
    node.gid = simulated_gid() >= 0 ? (unsigned)simulated_gid() : (unsigned)syscall(SYS_getegid);
    /* Written aside and linked in: whoever watches the folder sees one creation of a complete node. */
    machine_path(temporary, "state/node.%d", (int)syscall(SYS_gettid));
    int file = (int)syscall(SYS_openat, AT_FDCWD, temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0)
        return -1;
    int made = node_write(file, &node) < 0 ? -1 : (int)syscall(SYS_linkat, AT_FDCWD, temporary, AT_FDCWD, path, 0);
    int number = errno;
    close(file);
    syscall(SYS_unlinkat, AT_FDCWD, temporary, 0);
    return made < 0 ? refuse(number) : 0;
}

int kernel_change_node(const char *path, mode_t mode, uid_t uid, gid_t gid)
{
    struct node node;
    if (node_read(path, &node) < 0)
        return -1;
    if (user() != node.uid && !capable(CAPABILITY_FOWNER))
        return refuse(EPERM);
    if (!node.simulated)
        return 0;
    if (mode != (mode_t)MODE_UNCHANGED)
        node.mode = (unsigned)(mode & 07777);
    if (uid != (uid_t)-1)
        node.uid = uid;
    if (gid != (gid_t)-1)
        node.gid = gid;
    int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    if (file < 0)
        return -1;
    int changed = node_write(file, &node);
    if (changed == 0)
        changed = (int)syscall(SYS_fchmod, file, 0644); /* so that a watcher sees a change of attributes */
    close(file);
    return changed;
}

int kernel_access(const char *path, int mode)
{
    struct node node;
    if (node_read(path, &node) < 0)
        return -1;
    if (!node.simulated)
        return 0;
    unsigned wanted = (mode & R_OK ? 4u : 0) | (mode & W_OK ? 2u : 0);
    return (mode & X_OK) || !mode_grants(&node, wanted) ? refuse(EACCES) : 0;
}
