/* Contexts of the simulated CUDA. */
#define _GNU_SOURCE
#include <stdlib.h>
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

static struct CUctx_st primary[GPUS_MAX];
static int contexts_on[GPUS_MAX]; /* by device */
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

CUresult in_context(const struct gpu **gpu)
{
    if (initialised() != CUDA_SUCCESS)
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!current)
        return CUDA_ERROR_INVALID_CONTEXT;
    *gpu = device_gpu(current->device);
    return CUDA_SUCCESS;
}

CUresult call_in_context(const char *name)
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
