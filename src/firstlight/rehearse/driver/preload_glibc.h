/* The same functions under the other names that glibc has for them: the 64-bit file names, what fortified programs call,
 * and what programs linked against a glibc before 2.33 call in the place of stat and mknod. musl has none of these. */
#ifdef __GLIBC__

EXPORT int open64(const char *path, int flags, ...)
{
    MODE_OF_OPEN(flags, mode)
    return open_simulated(AT_FDCWD, path, flags, mode);
}

EXPORT int openat64(int folder, const char *path, int flags, ...)
{
    MODE_OF_OPEN(flags, mode)
    return open_simulated(folder, path, flags, mode);
}

int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int folder, const char *path, int flags);
int __openat64_2(int folder, const char *path, int flags);
EXPORT int __open_2(const char *path, int flags) { return open_simulated(AT_FDCWD, path, flags, 0); }
EXPORT int __open64_2(const char *path, int flags) { return open_simulated(AT_FDCWD, path, flags, 0); }
EXPORT int __openat_2(int folder, const char *path, int flags) { return open_simulated(folder, path, flags, 0); }
EXPORT int __openat64_2(int folder, const char *path, int flags) { return open_simulated(folder, path, flags, 0); }

EXPORT FILE *fopen64(const char *path, const char *mode) { return fopen_simulated(path, mode); }

_Static_assert(sizeof(struct stat) == sizeof(struct stat64), "stat and stat64 are one on a 64-bit system");

EXPORT int stat64(const char *path, struct stat64 *found) { return stat_simulated(AT_FDCWD, path, (struct stat *)found, 0); }
EXPORT int lstat64(const char *path, struct stat64 *found)
{
    return stat_simulated(AT_FDCWD, path, (struct stat *)found, AT_SYMLINK_NOFOLLOW);
}
EXPORT int fstatat64(int folder, const char *path, struct stat64 *found, int flags)
{
    return stat_simulated(folder, path, (struct stat *)found, flags);
}

int __xstat(int version, const char *path, struct stat *found);
int __xstat64(int version, const char *path, struct stat64 *found);
int __lxstat(int version, const char *path, struct stat *found);
int __lxstat64(int version, const char *path, struct stat64 *found);
int __fxstatat(int version, int folder, const char *path, struct stat *found, int flags);
int __fxstatat64(int version, int folder, const char *path, struct stat64 *found, int flags);
int __xmknod(int version, const char *path, mode_t mode, dev_t *device);
int __xmknodat(int version, int folder, const char *path, mode_t mode, dev_t *device);

EXPORT int __xstat(int version, const char *path, struct stat *found)
{
    (void)version;
    return stat_simulated(AT_FDCWD, path, found, 0);
}

EXPORT int __xstat64(int version, const char *path, struct stat64 *found)
{
    (void)version;
    return stat_simulated(AT_FDCWD, path, (struct stat *)found, 0);
}

EXPORT int __lxstat(int version, const char *path, struct stat *found)
{
    (void)version;
    return stat_simulated(AT_FDCWD, path, found, AT_SYMLINK_NOFOLLOW);
}

EXPORT int __lxstat64(int version, const char *path, struct stat64 *found)
{
    (void)version;
    return stat_simulated(AT_FDCWD, path, (struct stat *)found, AT_SYMLINK_NOFOLLOW);
}

EXPORT int __fxstatat(int version, int folder, const char *path, struct stat *found, int flags)
{
    (void)version;
    return stat_simulated(folder, path, found, flags);
}

EXPORT int __fxstatat64(int version, int folder, const char *path, struct stat64 *found, int flags)
{
    (void)version;
    return stat_simulated(folder, path, (struct stat *)found, flags);
}

EXPORT int __xmknod(int version, const char *path, mode_t mode, dev_t *device)
{
    (void)version;
    return mknodat(AT_FDCWD, path, mode, *device);
}

EXPORT int __xmknodat(int version, int folder, const char *path, mode_t mode, dev_t *device)
{
    (void)version;
    return mknodat(folder, path, mode, *device);
}

#endif
