/* Memory of the simulated GPUs: it lies in the host's. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_state.h"
#include "machine.h"

struct allocation {
    struct allocation *next;
    size_t size;
    unsigned char bytes[];
};

static struct allocation *allocations;
static pthread_mutex_t allocations_lock = PTHREAD_MUTEX_INITIALIZER;

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

unsigned char *memory_at(CUdeviceptr pointer, size_t size)
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
