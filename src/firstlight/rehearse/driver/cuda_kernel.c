/* Modules, and the one kernel that the simulated GPU can compute. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_state.h"
#include "machine.h"

struct CUmod_st {
    char *image;
};

struct CUfunc_st {
    char name[64];
};

static struct CUfunc_st prove_function = {"firstlight_prove"};

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
    *function = strcmp(name, prove_function.name) == 0 ? &prove_function : &other;
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
