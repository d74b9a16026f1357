/* Devices of the simulated CUDA: what is known of each. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_state.h"
#include "machine.h"

/* The GPU of a device, after the checks that every call on a device makes. */
static CUresult look_up(CUdevice device, const struct gpu **gpu)
{
    if (initialised() != CUDA_SUCCESS)
        return CUDA_ERROR_NOT_INITIALIZED;
    *gpu = device_gpu(device);
    return *gpu ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

EXPORT CUresult cuDeviceGet(CUdevice *device, int ordinal)
{
    const struct gpu *gpu;
    CUresult code = look_up(ordinal, &gpu);
    if (code == CUDA_SUCCESS && !device)
        code = CUDA_ERROR_INVALID_VALUE;
    if (code == CUDA_SUCCESS)
        *device = ordinal;
    return code;
}

static CUresult copy_text(char *to, int size, const char *text)
{
    if (!to || size <= 0)
        return CUDA_ERROR_INVALID_VALUE;
    snprintf(to, (size_t)size, "%s", text);
    return CUDA_SUCCESS;
}

EXPORT CUresult cuDeviceGetName(char *name, int length, CUdevice device)
{
    char text[VALUE_MAX] = "";
    const struct gpu *gpu;
    CUresult code = look_up(device, &gpu);
    if (code != CUDA_SUCCESS)
        return code;
    machine_text(text, sizeof text, "gpu.%d.name", gpu->number);
    return copy_text(name, length, text);
}

EXPORT CUresult cuDeviceGetPCIBusId(char *bus_id, int length, CUdevice device)
{
    const struct gpu *gpu;
    CUresult code = look_up(device, &gpu);
    return code == CUDA_SUCCESS ? copy_text(bus_id, length, gpu->bus_id) : code;
}

EXPORT CUresult cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice device)
{
    const struct gpu *gpu;
    CUresult code = look_up(device, &gpu);
    if (code == CUDA_SUCCESS && !uuid)
        code = CUDA_ERROR_INVALID_VALUE;
    if (code == CUDA_SUCCESS)
        uuid_bytes(gpu->uuid, uuid->bytes);
    return code;
}

EXPORT CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice device) { return cuDeviceGetUuid_v2(uuid, device); }

EXPORT CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device)
{
    const struct gpu *gpu;
    CUresult code = look_up(device, &gpu);
    if (code == CUDA_SUCCESS && !bytes)
        code = CUDA_ERROR_INVALID_VALUE;
    if (code == CUDA_SUCCESS)
        *bytes = memory_total(gpu->number);
    return code;
}

EXPORT CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device)
{
    unsigned domain = 0, bus = 0, slot = 0;
    const struct gpu *gpu;
    CUresult code = look_up(device, &gpu);
    if (code != CUDA_SUCCESS)
        return code;
    if (!value)
        return CUDA_ERROR_INVALID_VALUE;
    int capability = (int)machine_number(90, "gpu.%d.capability", gpu->number); /* 90 for 9.0 */
    sscanf(gpu->bus_id, "%x:%x:%x", &domain, &bus, &slot);
    switch ((int)attribute) {
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *value = 1024; break;
    case CU_DEVICE_ATTRIBUTE_WARP_SIZE: *value = 32; break;
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *value = 132; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_MODE: *value = (int)machine_number(0, "gpu.%d.compute-mode", gpu->number); break;
    case CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID: *value = (int)domain; break;
    case CU_DEVICE_ATTRIBUTE_PCI_BUS_ID: *value = (int)bus; break;
    case CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID: *value = (int)slot; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *value = capability / 10; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *value = capability % 10; break;
    default: return CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
}
