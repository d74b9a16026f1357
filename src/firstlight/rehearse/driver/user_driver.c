/* What libcuda and libnvidia-ml have in common: see user_driver.h. */
#define _GNU_SOURCE
#include "user_driver.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "machine.h"

void library_version(char version[VERSION_MAX])
{
    Dl_info here;
    char real[PATH_MAX];
    version[0] = '\0';
    if (!dladdr((void *)library_version, &here) || !here.dli_fname || !realpath(here.dli_fname, real))
        return;
    const char *suffix = strstr(strrchr(real, '/'), ".so.");
    if (suffix)
        snprintf(version, VERSION_MAX, "%s", suffix + 4);
}

void kernel_version(char version[VERSION_MAX])
{
    char line[VALUE_MAX];
    version[0] = '\0';
    FILE *file = fopen("/proc/driver/nvidia/version", "re");
    if (!file)
        return;
    if (fgets(line, sizeof line, file))
        for (char *rest, *word = strtok_r(line, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
            if (word[0] >= '0' && word[0] <= '9' && strchr(word, '.')) {
                snprintf(version, VERSION_MAX, "%s", word);
                break;
            }
    fclose(file);
}

int cuda_of_driver(const char *version)
{
    static const struct {
        int driver, cuda;
    } branches[] = {{590, 13010}, {580, 13000}, {575, 12090}, {570, 12080}, {565, 12070}, {560, 12060}, {555, 12050},
                    {550, 12040}, {545, 12030}, {535, 12020}, {530, 12010}, {525, 12000}, {520, 11080}, {515, 11070},
                    {510, 11060}, {495, 11050}, {470, 11040}, {465, 11030}, {460, 11020}, {455, 11010}, {450, 11000}};
    int driver = atoi(version);
    for (size_t place = 0; place < sizeof branches / sizeof *branches; place++)
        if (driver >= branches[place].driver)
            return branches[place].cuda;
    return 10020;
}

/* Whether the kernel driver lets user space make nodes; without the driver, NVIDIA's libraries take that for a yes. */
static bool may_make_nodes(void)
{
    char text[FILE_MAX], value[16] = "";
    FILE *file = fopen("/proc/driver/nvidia/params", "re");
    if (!file)
        return true;
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    return !line_value(text, "ModifyDeviceFiles:", value, sizeof value) || strcmp(value, "0") != 0;
}

static bool is_right(const char *path, int major_number, int minor_number)
{
    struct stat found;
    return stat(path, &found) == 0 && S_ISCHR(found.st_mode) && (int)major(found.st_rdev) == major_number &&
           (int)minor(found.st_rdev) == minor_number;
}

static bool has_node(const char *path, int major_number, int minor_number)
{
    mode_t mode = S_IFCHR | 0666;
    dev_t device = makedev((unsigned)major_number, (unsigned)minor_number);
    if (is_right(path, major_number, minor_number))
        return true;
    if (!may_make_nodes())
        return false;
    /* As NVIDIA's libraries do: what is wrong goes first, even where nothing can then be put in its place. */
    unlink(path);
    if (mknod(path, mode, device) == 0)
        chmod(path, 0666);
    return is_right(path, major_number, minor_number);
}

int open_node(const char *path, int major_number, int minor_number)
{
    if (!has_node(path, major_number, minor_number))
        return -ENOENT;
    int file = open(path, O_RDWR | O_CLOEXEC);
    return file < 0 ? -errno : file;
}

static void gpu_path(const struct gpu *gpu, char path[32]) { snprintf(path, 32, "/dev/nvidia%u", gpu->minor); }

int open_gpu_node(const struct gpu *gpu)
{
    char path[32];
    gpu_path(gpu, path);
    return open_node(path, NVIDIA_MAJOR, (int)gpu->minor);
}

bool has_gpu_node(const struct gpu *gpu)
{
    char path[32];
    gpu_path(gpu, path);
    return has_node(path, NVIDIA_MAJOR, (int)gpu->minor);
}

static int by_bus_id(const void *left, const void *right)
{
    return strcmp(((const struct gpu *)left)->bus_id, ((const struct gpu *)right)->bus_id);
}

int read_gpus(struct gpu *gpus)
{
    int count = (int)machine_number(0, "gpus");
    if (count > GPUS_MAX)
        count = GPUS_MAX;
    for (int number = 0; number < count; number++) {
        struct gpu *gpu = &gpus[number];
        memset(gpu, 0, sizeof *gpu);
        gpu->number = number;
        gpu->minor = (unsigned)machine_number(number, "gpu.%d.minor", number);
        gpu->speed = machine_number(0, "gpu.%d.speed", number);
        machine_text(gpu->uuid, sizeof gpu->uuid, "gpu.%d.uuid", number);
        machine_text(gpu->bus_id, sizeof gpu->bus_id, "gpu.%d.bus-id", number);
    }
    qsort(gpus, (size_t)count, sizeof *gpus, by_bus_id);
    return count;
}

void register_context(int gpu, unsigned long long bytes)
{
    char path[PATH_MAX];
    machine_path(path, "state/context.%d.%d", gpu, (int)getpid());
    FILE *file = fopen(path, "we");
    if (!file)
        return;
    fprintf(file, "%llu\n", bytes);
    fclose(file);
}

void forget_context(int gpu)
{
    char path[PATH_MAX];
    machine_path(path, "state/context.%d.%d", gpu, (int)getpid());
    unlink(path);
}

/* A process that was killed leaves its file behind: it counts no longer. */
static bool is_alive(int pid) { return kill(pid, 0) == 0 || errno == EPERM; }

int list_contexts(int gpu, struct context_use *uses, int size)
{
    char path[PATH_MAX], text[32];
    int count = 0, owner, pid;
    struct dirent *entry;
    if (count < size && machine_text(text, sizeof text, "gpu.%d.stranger", gpu)) { /* "PID BYTES" of another container */
        if (sscanf(text, "%d %llu", &uses[count].pid, &uses[count].bytes) == 2)
            count++;
    }
    machine_path(path, "state");
    DIR *folder = opendir(path);
    while (folder && count < size && (entry = readdir(folder))) {
        if (sscanf(entry->d_name, "context.%d.%d", &owner, &pid) != 2 || owner != gpu || !is_alive(pid))
            continue;
        machine_path(path, "state/%s", entry->d_name);
        uses[count].pid = pid;
        uses[count].bytes = machine_read(path, text, sizeof text) > 0 ? strtoull(text, NULL, 10) : 0;
        count++;
    }
    if (folder)
        closedir(folder);
    return count;
}

unsigned long long memory_total(int gpu) { return (unsigned long long)machine_number(80L << 30, "gpu.%d.memory", gpu); }

unsigned long long memory_used(int gpu)
{
    struct context_use uses[GPUS_MAX];
    char stranger[32];
    int count = list_contexts(gpu, uses, GPUS_MAX);
    unsigned long long used = (unsigned long long)machine_number(0, "gpu.%d.memory-used", gpu);
    int own = machine_text(stranger, sizeof stranger, "gpu.%d.stranger", gpu) ? 1 : 0; /* already in memory-used */
    for (int place = own; place < count; place++)
        used += uses[place].bytes;
    return used;
}

void uuid_bytes(const char *uuid, char bytes[16])
{
    unsigned value;
    int place = 0;
    memset(bytes, 0, 16);
    for (const char *at = strchr(uuid, '-'); at && *at && place < 16;) {
        if (*at == '-')
            at++;
        else if (sscanf(at, "%2x", &value) == 1)
            bytes[place++] = (char)value, at += 2;
        else
            break;
    }
}
