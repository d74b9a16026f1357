/* The preload shim: paths of the simulated machine lead into its folder, everything else to the real machine.
 *
 * Owned whole: /dev/nvidia*, /dev/kmsg, the listing of /dev, /proc/driver/nvidia and /sys/module/nvidia*. Laid over the real machine file by
 * file: whatever else of /proc, /sys and /etc the machine's folder holds. Device nodes are small files there; kernel.c
 * says what becomes of them. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "kernel.h"
#include "machine.h"
#include "status.h"

/* The function of that name in the next library: libc's own. */
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static bool starts(const char *text, const char *prefix) { return strncmp(text, prefix, strlen(prefix)) == 0; }

/* A path relative to an open folder, made absolute when that folder is /dev or the machine's; else NULL. */
static const char *absolute(int folder, const char *path, char *buffer)
{
    char link[64], target[PATH_MAX];
    const char *dev;
    if (path[0] == '/')
        return path;
    if (folder == AT_FDCWD || !starts(path, "nvidia"))
        return NULL;
    snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, target, sizeof target - 1);
    if (length < 0)
        return NULL;
    target[length] = '\0';
    dev = starts(target, machine_folder()) ? target + strlen(machine_folder()) : target;
    if (!starts(dev, "/dev") || snprintf(buffer, PATH_MAX, "%s/%s", dev, path) >= PATH_MAX)
        return NULL;
    return buffer;
}

/* Where a path of the simulated machine lies in its folder; NULL when it belongs to the real machine. */
static const char *redirected(int folder, const char *path, char *buffer)
{
    char whole[PATH_MAX], own[32];
    int saved = errno;
    if (!path || !*machine_folder() || !(path = absolute(folder, path, whole)))
        return NULL;
    if (strcmp(path, "/dev") == 0 || strcmp(path, "/dev/") == 0 || strcmp(path, "/dev/kmsg") == 0 || starts(path, "/dev/nvidia") ||
        starts(path, "/proc/driver/nvidia") || starts(path, "/sys/module/nvidia")) {
        machine_path(buffer, "%s", path + 1);
        return buffer;
    }
    if (!starts(path, "/proc/") && !starts(path, "/sys/") && !starts(path, "/etc/"))
        return NULL;
    snprintf(own, sizeof own, "/proc/%d/", (int)syscall(SYS_getpid));
    if (starts(path, own))
        machine_path(buffer, "proc/self/%s", path + strlen(own));
    else
        machine_path(buffer, "%s", path + 1);
    struct stat found;
    bool there = syscall(SYS_newfstatat, AT_FDCWD, buffer, &found, 0) == 0 && !S_ISDIR(found.st_mode);
    errno = saved;
    return there ? buffer : NULL;
}

static bool is_device(const char *redirection) { return starts(redirection + strlen(machine_folder()), "/dev/nvidia"); }

static int open_simulated(int folder, const char *path, int flags, mode_t mode)
{
    char buffer[PATH_MAX];
    struct stat found;
    if (path && is_own_status(path))
        return open_status(path);
    const char *target = redirected(folder, path, buffer);
    if (!target)
        return NEXT(openat)(folder, path, flags, mode);
    if (is_device(target) && !(syscall(SYS_newfstatat, AT_FDCWD, target, &found, 0) == 0 && S_ISDIR(found.st_mode)))
        return kernel_open(target, flags);
    return NEXT(openat)(AT_FDCWD, target, flags, mode);
}

#define MODE_OF_OPEN(flags, mode)                            \
    mode_t mode = 0;                                         \
    if ((flags) & O_CREAT || ((flags) & O_TMPFILE) == O_TMPFILE) { \
        va_list rest;                                        \
        va_start(rest, flags);                               \
        mode = va_arg(rest, mode_t);                         \
        va_end(rest);                                        \
    }

EXPORT int open(const char *path, int flags, ...)
{
    MODE_OF_OPEN(flags, mode)
    return open_simulated(AT_FDCWD, path, flags, mode);
}

EXPORT int openat(int folder, const char *path, int flags, ...)
{
    MODE_OF_OPEN(flags, mode)
    return open_simulated(folder, path, flags, mode);
}

static FILE *fopen_simulated(const char *path, const char *mode)
{
    char buffer[PATH_MAX];
    if (!path || (!is_own_status(path) && !redirected(AT_FDCWD, path, buffer)))
        return NEXT(fopen)(path, mode);
    int flags = strchr(mode, '+') ? O_RDWR : mode[0] == 'r' ? O_RDONLY : O_WRONLY;
    int file = open_simulated(AT_FDCWD, path, flags | (strchr(mode, 'e') ? O_CLOEXEC : 0), 0);
    return file < 0 ? NULL : fdopen(file, mode);
}

EXPORT FILE *fopen(const char *path, const char *mode) { return fopen_simulated(path, mode); }

EXPORT DIR *opendir(const char *path)
{
    char buffer[PATH_MAX];
    const char *target = redirected(AT_FDCWD, path, buffer);
    return NEXT(opendir)(target ? target : path);
}

/* A node file shows as the device that it stands for. */
static int stat_simulated(int folder, const char *path, struct stat *found, int flags)
{
    char buffer[PATH_MAX];
    struct node node;
    const char *target = redirected(folder, path, buffer);
    int answer = (int)syscall(SYS_newfstatat, target ? AT_FDCWD : folder, target ? target : path, found, flags);
    if (answer == 0 && target && is_device(target) && S_ISREG(found->st_mode) && node_read(target, &node) == 0 && node.simulated) {
        found->st_mode = (node.kind == 'b' ? S_IFBLK : S_IFCHR) | node.mode;
        found->st_rdev = makedev(node.major, node.minor);
        found->st_uid = node.uid;
        found->st_gid = node.gid;
        found->st_size = 0;
    }
    return answer;
}

EXPORT int stat(const char *path, struct stat *found) { return stat_simulated(AT_FDCWD, path, found, 0); }
EXPORT int lstat(const char *path, struct stat *found) { return stat_simulated(AT_FDCWD, path, found, AT_SYMLINK_NOFOLLOW); }
EXPORT int fstatat(int folder, const char *path, struct stat *found, int flags) { return stat_simulated(folder, path, found, flags); }

#ifdef STATX_TYPE
EXPORT int statx(int folder, const char *path, int flags, unsigned mask, struct statx *found)
{
    char buffer[PATH_MAX];
    struct node node;
    const char *target = redirected(folder, path, buffer);
    int answer = (int)syscall(SYS_statx, target ? AT_FDCWD : folder, target ? target : path, flags, mask, found);
    if (answer == 0 && target && is_device(target) && S_ISREG(found->stx_mode) && node_read(target, &node) == 0 && node.simulated) {
        found->stx_mode = (unsigned short)((node.kind == 'b' ? S_IFBLK : S_IFCHR) | node.mode);
        found->stx_rdev_major = node.major;
        found->stx_rdev_minor = node.minor;
        found->stx_uid = node.uid;
        found->stx_gid = node.gid;
        found->stx_size = 0;
    }
    return answer;
}
#endif

EXPORT int faccessat(int folder, const char *path, int mode, int flags)
{
    char buffer[PATH_MAX];
    const char *target = redirected(folder, path, buffer);
    if (!target)
        return NEXT(faccessat)(folder, path, mode, flags);
    return is_device(target) ? kernel_access(target, mode) : NEXT(faccessat)(AT_FDCWD, target, mode, flags);
}

EXPORT int access(const char *path, int mode) { return faccessat(AT_FDCWD, path, mode, 0); }
EXPORT int euidaccess(const char *path, int mode) { return faccessat(AT_FDCWD, path, mode, AT_EACCESS); }
EXPORT int eaccess(const char *path, int mode) { return faccessat(AT_FDCWD, path, mode, AT_EACCESS); }

EXPORT ssize_t readlinkat(int folder, const char *restrict path, char *restrict target_text, size_t size)
{
    char buffer[PATH_MAX];
    const char *target = redirected(folder, path, buffer);
    return target ? NEXT(readlinkat)(AT_FDCWD, target, target_text, size) : NEXT(readlinkat)(folder, path, target_text, size);
}

EXPORT ssize_t readlink(const char *restrict path, char *restrict target_text, size_t size)
{
    return readlinkat(AT_FDCWD, path, target_text, size);
}

/* The extended attributes that a long listing asks for. */
EXPORT ssize_t getxattr(const char *path, const char *name, void *value, size_t size)
{
    char buffer[PATH_MAX];
    const char *target = redirected(AT_FDCWD, path, buffer);
    return NEXT(getxattr)(target ? target : path, name, value, size);
}

EXPORT ssize_t lgetxattr(const char *path, const char *name, void *value, size_t size)
{
    char buffer[PATH_MAX];
    const char *target = redirected(AT_FDCWD, path, buffer);
    return NEXT(lgetxattr)(target ? target : path, name, value, size);
}

EXPORT int inotify_add_watch(int queue, const char *path, uint32_t mask)
{
    char buffer[PATH_MAX];
    const char *target = redirected(AT_FDCWD, path, buffer);
    return NEXT(inotify_add_watch)(queue, target ? target : path, mask);
}

EXPORT int mknodat(int folder, const char *path, mode_t mode, dev_t device)
{
    char buffer[PATH_MAX];
    const char *target = redirected(folder, path, buffer);
    if (target && (S_ISCHR(mode) || S_ISBLK(mode)))
        return kernel_make_node(target, mode, device);
    return NEXT(mknodat)(target ? AT_FDCWD : folder, target ? target : path, mode, device);
}

EXPORT int mknod(const char *path, mode_t mode, dev_t device) { return mknodat(AT_FDCWD, path, mode, device); }

EXPORT int fchmodat(int folder, const char *path, mode_t mode, int flags)
{
    char buffer[PATH_MAX];
    const char *target = redirected(folder, path, buffer);
    if (target && is_device(target))
        return kernel_change_node(target, mode, (uid_t)-1, (gid_t)-1);
    return NEXT(fchmodat)(folder, path, mode, flags);
}

EXPORT int chmod(const char *path, mode_t mode) { return fchmodat(AT_FDCWD, path, mode, 0); }

EXPORT int fchownat(int folder, const char *path, uid_t uid, gid_t gid, int flags)
{
    char buffer[PATH_MAX];
    const char *target = redirected(folder, path, buffer);
    if (target && is_device(target))
        return kernel_change_node(target, MODE_UNCHANGED, uid, gid);
    return NEXT(fchownat)(folder, path, uid, gid, flags);
}

EXPORT int chown(const char *path, uid_t uid, gid_t gid) { return fchownat(AT_FDCWD, path, uid, gid, 0); }
EXPORT int lchown(const char *path, uid_t uid, gid_t gid) { return fchownat(AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW); }

/* The machine's /dev can be read-only, as a container's can. */
static bool refuses_change(const char *target)
{
    if (!target || !is_device(target) || !machine_number(0, "dev.read-only"))
        return false;
    errno = EROFS;
    return true;
}

EXPORT int unlinkat(int folder, const char *path, int flags)
{
    char buffer[PATH_MAX];
    const char *target = redirected(folder, path, buffer);
    if (refuses_change(target))
        return -1;
    return NEXT(unlinkat)(target ? AT_FDCWD : folder, target ? target : path, flags);
}

EXPORT int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }

EXPORT int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    char from_buffer[PATH_MAX], to_buffer[PATH_MAX];
    const char *source = redirected(from_folder, from, from_buffer), *target = redirected(to_folder, to, to_buffer);
    if (refuses_change(source) || refuses_change(target))
        return -1;
    return NEXT(renameat)(source ? AT_FDCWD : from_folder, source ? source : from, target ? AT_FDCWD : to_folder, target ? target : to);
}

EXPORT int rename(const char *from, const char *to) { return renameat(AT_FDCWD, from, AT_FDCWD, to); }

EXPORT int mkdirat(int folder, const char *path, mode_t mode)
{
    char buffer[PATH_MAX];
    const char *target = redirected(folder, path, buffer);
    return NEXT(mkdirat)(target ? AT_FDCWD : folder, target ? target : path, mode);
}

EXPORT int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

#include "preload_glibc.h"
