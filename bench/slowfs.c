/* A read-only view of a folder that is as slow as a network volume: every metadata operation and every read costs time.
 *
 *     slowfs FOLDER MOUNTPOINT [METADATA_MS [READ_MS]]        1 and 1 unless said otherwise; stays in the foreground
 *
 * What the kernel may remember follows a MooseFS client: attributes for a second, names not at all, file contents always.
 * cc -O2 slowfs.c -o slowfs $(pkg-config --cflags --libs fuse3)
 */
#define FUSE_USE_VERSION 31
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int folder; /* the descriptor under which every path is looked up */
static double metadata_ms = 1, read_ms = 1;

static void spend(double milliseconds) {
    struct timespec pause = {(time_t)(milliseconds / 1000), (long)(milliseconds * 1e6) % 1000000000L};
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, &pause) == EINTR)
        ;
}

static const char *below(const char *path) { return path[1] ? path + 1 : "."; }

static int answer(long value) { return value < 0 ? -errno : 0; }

static void *start(struct fuse_conn_info *connection, struct fuse_config *settings) {
    (void)connection;
    settings->attr_timeout = 1;
    settings->entry_timeout = 0;
    settings->negative_timeout = 0;
    settings->kernel_cache = 1;
    return NULL;
}

/* The kernel's lookups come here too: libfuse answers each with the attributes of what it found. */
static int get_attributes(const char *path, struct stat *status, struct fuse_file_info *open_file) {
    (void)open_file;
    spend(metadata_ms);
    return answer(fstatat(folder, below(path), status, AT_SYMLINK_NOFOLLOW));
}

static int read_link(const char *path, char *target, size_t size) {
    spend(metadata_ms);
    ssize_t length = readlinkat(folder, below(path), target, size - 1);
    if (length >= 0)
        target[length] = 0;
    return answer(length);
}

static int read_folder(const char *path, void *list, fuse_fill_dir_t add, off_t from, struct fuse_file_info *open_file,
                       enum fuse_readdir_flags flags) {
    (void)from, (void)open_file, (void)flags;
    spend(metadata_ms);
    int opened = openat(folder, below(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = opened < 0 ? NULL : fdopendir(opened);
    if (!stream)
        return -errno;
    for (struct dirent *entry; (entry = readdir(stream));)
        add(list, entry->d_name, NULL, 0, 0);
    closedir(stream);
    return 0;
}

static int open_file(const char *path, struct fuse_file_info *file) {
    if ((file->flags & O_ACCMODE) != O_RDONLY)
        return -EROFS;
    int opened = openat(folder, below(path), O_RDONLY | O_CLOEXEC);
    if (opened < 0)
        return -errno;
    file->fh = (uint64_t)opened;
    return 0;
}

static int read_file(const char *path, char *bytes, size_t size, off_t from, struct fuse_file_info *file) {
    (void)path;
    spend(read_ms);
    ssize_t got = pread((int)file->fh, bytes, size, from);
    return got < 0 ? -errno : (int)got;
}

static int close_file(const char *path, struct fuse_file_info *file) {
    (void)path;
    return answer(close((int)file->fh));
}

static const struct fuse_operations OPERATIONS = {
    .init = start,
    .getattr = get_attributes,
    .readlink = read_link,
    .readdir = read_folder,
    .open = open_file,
    .read = read_file,
    .release = close_file,
};

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "cannot start: usage: %s FOLDER MOUNTPOINT [METADATA_MS [READ_MS]]\n", argv[0]);
        return 64;
    }
    folder = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) {
        fprintf(stderr, "cannot open %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    if (argc > 3)
        metadata_ms = atof(argv[3]);
    if (argc > 4)
        read_ms = atof(argv[4]);
    char *mount[] = {argv[0], "-f", "-o", "ro", argv[2]};
    return fuse_main(5, mount, &OPERATIONS, NULL);
}
