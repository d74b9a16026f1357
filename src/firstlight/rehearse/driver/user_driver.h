/* What the two user-mode libraries have in common: their own version, and how they reach the kernel driver. */
#ifndef FIRSTLIGHT_USER_DRIVER_H
#define FIRSTLIGHT_USER_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NVIDIA_MAJOR = 195, CONTROL_MINOR = 255, VERSION_MAX = 32 };

/* One GPU as the machine describes it; `number` is its N in machine.conf's "gpu.N.…". */
struct gpu {
    int number;
    unsigned minor;
    long speed;
    char uuid[48], bus_id[24];
};

/* The version in this library's real file name ("580.159.04"), "" when it has none. */
void library_version(char version[VERSION_MAX]);

/* The version of the kernel driver out of /proc/driver/nvidia/version, "" when there is none. */
void kernel_version(char version[VERSION_MAX]);

/* The newest CUDA that a driver of this version speaks, as 1000 * major + 10 * minor. */
int cuda_of_driver(const char *version);

/* A descriptor of a device node, or a negative errno; -ENOENT also where the path holds something else than that device.
 * Where the machine lets us, a missing or wrong node is made anew first, as NVIDIA's libraries do. */
int open_node(const char *path, int major, int minor);
int open_gpu_node(const struct gpu *gpu);

/* Whether the node of a GPU is there and right (after making it, where that is allowed). */
bool has_gpu_node(const struct gpu *gpu);

/* The GPUs that the kernel driver knows, in the order of their bus ids. */
int read_gpus(struct gpu *gpus);

/* Processes with a context on a GPU are files in the machine's state folder, so that NVML can list them. */
struct context_use {
    int pid;
    unsigned long long bytes;
};
void register_context(int gpu, unsigned long long bytes);
void forget_context(int gpu);
int list_contexts(int gpu, struct context_use *uses, int size);

/* Bytes of a GPU's memory in use: what the scenario says, and the contexts on it. */
unsigned long long memory_used(int gpu);
unsigned long long memory_total(int gpu);

/* The 16 bytes of a UUID given as "GPU-xxxxxxxx-…". */
void uuid_bytes(const char *uuid, char bytes[16]);

#endif
