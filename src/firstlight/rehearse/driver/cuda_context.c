/* Contexts, memory, modules and the one kernel that the simulated GPU can compute. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cuda_state.h"
#include "machine.h"

enum { DESCRIPTORS_NEEDED = 40 };                         /* measured: 32 are too few for a context, 48 enough */
static const unsigned long long CONTEXT_BYTES = 527ULL << 20; /* measured on an H100 */

enum { COMPUTE_MODE_PROHIBITED = 2, COMPUTE_MODE_EXCLUSIVE = 3 };

struct CUctx_st {
    CUdevice device;
    int references; /* of a primary context */
};

struct CUmod_st {
    char *image;
};

struct CUfunc_st {
    int unused;
};

struct allocation {
    struct allocation *next;
    size_t size;
    unsigned char bytes[];
};

static struct CUctx_st primary[GPUS_MAX];
static int contexts_on[GPUS_MAX]; /* by device */
static struct CUfunc_st prove_function;
static struct allocation *allocations;
static pthread_mutex_t allocations_lock = PTHREAD_MUTEX_INITIALIZER;
static __thread CUcontext current;

/* A GPU in exclusive mode serves one process at a time. */
static bool is_taken(int gpu)
{
    struct context_use uses[GPUS_MAX];
    long mode = machine_number(0, "gpu.%d.compute-mode", gpu);
    if (mode == COMPUTE_MODE_PROHIBITED || machine_number(0, "gpu.%d.reset-required", gpu))
        return true;
    if (mode != COMPUTE_MODE_EXCLUSIVE)
        return false;
    int count = list_contexts(gpu, uses, GPUS_MAX);
    for (int place = 0; place < count; place++)
        if (uses[place].pid != getpid())
            return true;
    return false;
}

static CUresult bring_context_up(CUdevice device)
{
    struct rlimit descriptors;
    const struct gpu *gpu = device_gpu(device);
    if (!gpu)
        return CUDA_ERROR_INVALID_DEVICE;
    if (getrlimit(RLIMIT_NOFILE, &descriptors) == 0 && descriptors.rlim_cur < DESCRIPTORS_NEEDED)
        return CUDA_ERROR_OPERATING_SYSTEM;
    if (is_taken(gpu->number))
        return CUDA_ERROR_DEVICE_UNAVAILABLE;
    if (memory_total(gpu->number) < memory_used(gpu->number) + CONTEXT_BYTES)
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult code = (CUresult)machine_call("cuCtxCreate", gpu->number);
    if (code == CUDA_SUCCESS && contexts_on[device]++ == 0)
        register_context(gpu->number, CONTEXT_BYTES);
    return code;
}

static void take_context_down(CUdevice device)
{
    if (contexts_on[device] > 0 && --contexts_on[device] == 0)
        forget_context(device_gpu(device)->number);
}

__attribute__((destructor)) static void take_all_down(void)
{
    if (initialised() != CUDA_SUCCESS)
        return;
    for (CUdevice device = 0; device < GPUS_MAX; device++)
        if (contexts_on[device] > 0)
            forget_context(device_gpu(device)->number);
}

EXPORT CUresult cuCtxCreate_v2(CUcontext *context, unsigned int flags, CUdevice device)
{
    (void)flags;
    if (initialised() != CUDA_SUCCESS)
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!context)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult code = bring_context_up(device);
    if (code != CUDA_SUCCESS)
        return code;
    CUcontext made = calloc(1, sizeof *made);
    if (!made)
        return CUDA_ERROR_OUT_OF_MEMORY;
    made->device = device;
    *context = current = made;
    return CUDA_SUCCESS;
}

EXPORT CUresult cuCtxCreate_v4(CUcontext *context, CUctxCreateParams *parameters, unsigned int flags, CUdevice device)
{
    (void)parameters;
    return cuCtxCreate_v2(context, flags, device);
}

EXPORT CUresult cuCtxDestroy_v2(CUcontext context)
{
    if (initialised() != CUDA_SUCCESS)
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!context)
        return CUDA_ERROR_INVALID_VALUE;
    if (context >= primary && context < primary + GPUS_MAX)
        return CUDA_ERROR_INVALID_CONTEXT;
    take_context_down(context->device);
    if (current == context)
        current = NULL;
    free(context);
    return CUDA_SUCCESS;
}

EXPORT CUresult cuCtxSetCurrent(CUcontext context)
{
    if (initialised() != CUDA_SUCCESS)
        return CUDA_ERROR_NOT_INITIALIZED;
    current = context;
    return CUDA_SUCCESS;
}

EXPORT CUresult cuCtxGetCurrent(CUcontext *context)
{
    if (initialised() != CUDA_SUCCESS)
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!context)
        return CUDA_ERROR_INVALID_VALUE;
    *context = current;
    return CUDA_SUCCESS;
}

/* The GPU of the current context, after the checks that every call in a context makes. */
static CUresult in_context(const struct gpu **gpu)
{
    if (initialised() != CUDA_SUCCESS)
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!current)
        return CUDA_ERROR_INVALID_CONTEXT;
    *gpu = device_gpu(current->device);
    return CUDA_SUCCESS;
}

static CUresult call_in_context(const char *name)
{
    const struct gpu *gpu;
    CUresult code = in_context(&gpu);
    return code == CUDA_SUCCESS ? (CUresult)machine_call(name, gpu->number) : code;
}

EXPORT CUresult cuCtxGetDevice(CUdevice *device)
{
    const struct gpu *gpu;
    CUresult code = in_context(&gpu);
    if (code == CUDA_SUCCESS && !device)
        code = CUDA_ERROR_INVALID_VALUE;
    if (code == CUDA_SUCCESS)
        *device = current->device;
    return code;
}

EXPORT CUresult cuCtxSynchronize(void) { return call_in_context("cuCtxSynchronize"); }

EXPORT CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device)
{
    if (initialised() != CUDA_SUCCESS)
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!context)
        return CUDA_ERROR_INVALID_VALUE;
    if (!device_gpu(device))
        return CUDA_ERROR_INVALID_DEVICE;
    CUresult code = primary[device].references ? CUDA_SUCCESS : bring_context_up(device);
    if (code != CUDA_SUCCESS)
        return code;
    primary[device].device = device;
    primary[device].references++;
    *context = &primary[device];
    return CUDA_SUCCESS;
}

static CUresult release_primary(CUdevice device, bool wholly)
{
    if (initialised() != CUDA_SUCCESS)
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!device_gpu(device))
        return CUDA_ERROR_INVALID_DEVICE;
    if (primary[device].references == 0)
        return wholly ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
    primary[device].references = wholly ? 0 : primary[device].references - 1;
    if (primary[device].references == 0)
        take_context_down(device);
    return CUDA_SUCCESS;
}

EXPORT CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) { return release_primary(device, false); }
EXPORT CUresult cuDevicePrimaryCtxReset_v2(CUdevice device) { return release_primary(device, true); }

EXPORT CUresult cuMemGetInfo_v2(size_t *free_bytes, size_t *total)
{
    const struct gpu *gpu;
    CUresult code = in_context(&gpu);
    if (code == CUDA_SUCCESS && (!free_bytes || !total))
        code = CUDA_ERROR_INVALID_VALUE;
    if (code != CUDA_SUCCESS)
        return code;
    unsigned long long used = memory_used(gpu->number);
    *total = memory_total(gpu->number);
    *free_bytes = *total > used ? *total - used : 0;
    return CUDA_SUCCESS;
}

EXPORT CUresult cuMemAlloc_v2(CUdeviceptr *pointer, size_t size)
{
    const struct gpu *gpu;
    CUresult code = call_in_context("cuMemAlloc");
    if (code != CUDA_SUCCESS || (code = in_context(&gpu)) != CUDA_SUCCESS)
        return code;
    if (!pointer || size == 0)
        return CUDA_ERROR_INVALID_VALUE;
    if (memory_total(gpu->number) < memory_used(gpu->number) + size)
        return CUDA_ERROR_OUT_OF_MEMORY;
    struct allocation *made = calloc(1, sizeof *made + size);
    if (!made)
        return CUDA_ERROR_OUT_OF_MEMORY;
    made->size = size;
    pthread_mutex_lock(&allocations_lock);
    made->next = allocations;
    allocations = made;
    pthread_mutex_unlock(&allocations_lock);
    *pointer = (CUdeviceptr)(uintptr_t)made->bytes;
    return CUDA_SUCCESS;
}

EXPORT CUresult cuMemFree_v2(CUdeviceptr pointer)
{
    CUresult code = call_in_context("cuMemFree");
    if (code != CUDA_SUCCESS)
        return code;
    code = CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&allocations_lock);
    for (struct allocation **link = &allocations; *link; link = &(*link)->next)
        if ((CUdeviceptr)(uintptr_t)(*link)->bytes == pointer) {
            struct allocation *freed = *link;
            *link = freed->next;
            free(freed);
            code = CUDA_SUCCESS;
            break;
        }
    pthread_mutex_unlock(&allocations_lock);
    return code;
}

/* The memory behind a device pointer, when `size` bytes from there lie in one allocation; else NULL. */
static unsigned char *memory_at(CUdeviceptr pointer, size_t size)
{
    unsigned char *found = NULL;
    pthread_mutex_lock(&allocations_lock);
    for (struct allocation *one = allocations; one && !found; one = one->next) {
        CUdeviceptr start = (CUdeviceptr)(uintptr_t)one->bytes;
        if (pointer >= start && pointer - start <= one->size && size <= one->size - (pointer - start))
            found = one->bytes + (pointer - start);
    }
    pthread_mutex_unlock(&allocations_lock);
    return found;
}

EXPORT CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t size)
{
    CUresult code = call_in_context("cuMemcpyHtoD");
    unsigned char *memory = memory_at(to, size);
    if (code == CUDA_SUCCESS && (!memory || !from))
        code = CUDA_ERROR_INVALID_VALUE;
    if (code == CUDA_SUCCESS)
        memcpy(memory, from, size);
    return code;
}

EXPORT CUresult cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t size)
{
    CUresult code = call_in_context("cuMemcpyDtoH");
    unsigned char *memory = memory_at(from, size);
    if (code == CUDA_SUCCESS && (!memory || !to))
        code = CUDA_ERROR_INVALID_VALUE;
    if (code == CUDA_SUCCESS)
        memcpy(to, memory, size);
    return code;
}

EXPORT CUresult cuMemsetD8_v2(CUdeviceptr to, unsigned char value, size_t count)
{
    CUresult code = call_in_context("cuMemsetD8");
    unsigned char *memory = memory_at(to, count);
    if (code == CUDA_SUCCESS && !memory)
        code = CUDA_ERROR_INVALID_VALUE;
    if (code == CUDA_SUCCESS)
        memset(memory, value, count);
    return code;
}

EXPORT CUresult cuMemsetD32_v2(CUdeviceptr to, unsigned int value, size_t count)
{
    CUresult code = call_in_context("cuMemsetD32");
    unsigned char *memory = count <= SIZE_MAX / 4 ? memory_at(to, count * 4) : NULL;
    if (code == CUDA_SUCCESS && !memory)
        code = CUDA_ERROR_INVALID_VALUE;
    for (size_t place = 0; code == CUDA_SUCCESS && place < count; place++)
        memcpy(memory + place * 4, &value, 4);
    return code;
}

/* PTX names its language version and its target; either can be too new for this driver or this GPU. */
static CUresult check_ptx(const char *text, const struct gpu *gpu)
{
    int major, minor, target, driver;
    const char *version = strstr(text, ".version"), *architecture = strstr(text, ".target");
    if (!version || !architecture || sscanf(version, ".version %d.%d", &major, &minor) != 2 ||
        sscanf(architecture, ".target sm_%d", &target) != 1)
        return CUDA_ERROR_INVALID_PTX;
    cuDriverGetVersion(&driver);
    /* PTX 7.x came with CUDA 11.x, 8.x with 12.x, 9.x with 13.x. */
    if (major * 10 + minor > (driver / 1000 - 4) * 10 + driver % 1000 / 10)
        return CUDA_ERROR_UNSUPPORTED_PTX_VERSION;
    return target > machine_number(90, "gpu.%d.capability", gpu->number) ? CUDA_ERROR_NO_BINARY_FOR_GPU : CUDA_SUCCESS;
}

EXPORT CUresult cuModuleLoadData(CUmodule *module, const void *image)
{
    const struct gpu *gpu;
    CUresult code = call_in_context("cuModuleLoadData");
    if (code != CUDA_SUCCESS || (code = in_context(&gpu)) != CUDA_SUCCESS)
        return code;
    if (!module || !image)
        return CUDA_ERROR_INVALID_VALUE;
    if ((code = check_ptx(image, gpu)) != CUDA_SUCCESS)
        return code;
    CUmodule made = calloc(1, sizeof *made);
    if (!made || !(made->image = strdup(image))) {
        free(made);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *module = made;
    return CUDA_SUCCESS;
}

EXPORT CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned int count, CUjit_option *options, void **values)
{
    (void)count;
    (void)options;
    (void)values;
    return cuModuleLoadData(module, image);
}

EXPORT CUresult cuModuleUnload(CUmodule module)
{
    CUresult code = call_in_context("cuModuleUnload");
    if (code == CUDA_SUCCESS && !module)
        code = CUDA_ERROR_INVALID_VALUE;
    if (code == CUDA_SUCCESS) {
        free(module->image);
        free(module);
    }
    return code;
}

/* The simulated GPU knows one kernel; another one is found in its PTX, but cannot be computed here. */
EXPORT CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name)
{
    static struct CUfunc_st other;
    CUresult code = call_in_context("cuModuleGetFunction");
    if (code != CUDA_SUCCESS)
        return code;
    if (!function || !module || !name)
        return CUDA_ERROR_INVALID_VALUE;
    if (!strstr(module->image, name))
        return CUDA_ERROR_NOT_FOUND;
    *function = strcmp(name, "firstlight_prove") == 0 ? &prove_function : &other;
    return CUDA_SUCCESS;
}

/* out[i] = i * 2654435761 + seed, for as many threads as were launched. */
static CUresult prove(const struct gpu *gpu, unsigned long long threads, void **parameters)
{
    CUdeviceptr out;
    uint32_t count, seed;
    memcpy(&out, parameters[0], sizeof out);
    memcpy(&count, parameters[1], sizeof count);
    memcpy(&seed, parameters[2], sizeof seed);
    if (threads < count)
        count = (uint32_t)threads;
    unsigned char *memory = memory_at(out, (size_t)count * 4);
    if (!memory)
        return CUDA_ERROR_ILLEGAL_ADDRESS;
    for (uint32_t place = 0; place < count; place++) {
        uint32_t value = place * 2654435761u + seed;
        memcpy(memory + (size_t)place * 4, &value, 4);
    }
    if (count && machine_number(0, "gpu.%d.wrong-result", gpu->number))
        memory[(size_t)(count / 2) * 4] ^= 1;
    return CUDA_SUCCESS;
}

EXPORT CUresult cuLaunchKernel(CUfunction function, unsigned int grid_x, unsigned int grid_y, unsigned int grid_z, unsigned int block_x,
                               unsigned int block_y, unsigned int block_z, unsigned int shared_bytes, CUstream stream, void **parameters,
                               void **extra)
{
    const struct gpu *gpu;
    (void)shared_bytes;
    (void)stream;
    CUresult code = call_in_context("cuLaunchKernel");
    if (code != CUDA_SUCCESS || (code = in_context(&gpu)) != CUDA_SUCCESS)
        return code;
    if (!function || !parameters || extra || !grid_x || !grid_y || !grid_z || !block_x || !block_y || !block_z)
        return CUDA_ERROR_INVALID_VALUE;
    if ((unsigned long long)block_x * block_y * block_z > 1024)
        return CUDA_ERROR_INVALID_VALUE;
    if (function != &prove_function)
        return CUDA_ERROR_NOT_SUPPORTED;
    return prove(gpu, (unsigned long long)grid_x * block_x, parameters);
}
