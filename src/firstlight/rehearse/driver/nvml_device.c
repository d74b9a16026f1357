/* What NVML tells of one device. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"
#include "nvml_state.h"

#define CHECK(device, wanted)                              \
    do {                                                   \
        nvmlReturn_t checked = check_device(device);       \
        if (checked != NVML_SUCCESS)                       \
            return checked;                                \
        if (!(wanted))                                     \
            return NVML_ERROR_INVALID_ARGUMENT;            \
    } while (0)

static long gpu_number(nvmlDevice_t device, const char *key, long fallback)
{
    return machine_number(fallback, "gpu.%d.%s", device->gpu.number, key);
}

EXPORT nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t device, unsigned int *index)
{
    CHECK(device, index);
    *index = (unsigned)device->index;
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned int length)
{
    CHECK(device, uuid);
    return give_text(uuid, length, device->gpu.uuid);
}

EXPORT nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned int length)
{
    char text[VALUE_MAX] = "";
    CHECK(device, name);
    machine_text(text, sizeof text, "gpu.%d.name", device->gpu.number);
    return give_text(name, length, text);
}

EXPORT nvmlReturn_t nvmlDeviceGetMinorNumber(nvmlDevice_t device, unsigned int *minor)
{
    CHECK(device, minor);
    *minor = device->gpu.minor;
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *pci)
{
    CHECK(device, pci);
    memset(pci, 0, sizeof *pci);
    sscanf(device->gpu.bus_id, "%x:%x:%x", &pci->domain, &pci->bus, &pci->device);
    snprintf(pci->busIdLegacy, sizeof pci->busIdLegacy, "%04X:%02X:%02X.0", pci->domain & 0xffff, pci->bus & 0xff, pci->device & 0x1f);
    snprintf(pci->busId, sizeof pci->busId, "%08X:%02X:%02X.0", pci->domain, pci->bus & 0xff, pci->device & 0x1f);
    pci->pciDeviceId = 0x233010de;
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetPciInfo_v2(nvmlDevice_t device, nvmlPciInfo_t *pci) { return nvmlDeviceGetPciInfo_v3(device, pci); }

EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory)
{
    CHECK(device, memory);
    memory->total = memory_total(device->gpu.number);
    memory->used = memory_used(device->gpu.number);
    memory->free = memory->total > memory->used ? memory->total - memory->used : 0;
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *memory)
{
    nvmlMemory_t whole;
    CHECK(device, memory);
    if (memory->version != nvmlMemory_v2)
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    nvmlDeviceGetMemoryInfo(device, &whole);
    memory->total = whole.total;
    memory->used = whole.used;
    memory->free = whole.free;
    memory->reserved = 0;
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetComputeMode(nvmlDevice_t device, nvmlComputeMode_t *mode)
{
    CHECK(device, mode);
    *mode = (nvmlComputeMode_t)gpu_number(device, "compute-mode", 0);
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetPersistenceMode(nvmlDevice_t device, nvmlEnableState_t *mode)
{
    CHECK(device, mode);
    *mode = gpu_number(device, "persistence", 1) ? NVML_FEATURE_ENABLED : NVML_FEATURE_DISABLED;
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t device, int *major, int *minor)
{
    CHECK(device, major && minor);
    *major = (int)gpu_number(device, "capability", 90) / 10;
    *minor = (int)gpu_number(device, "capability", 90) % 10;
    return NVML_SUCCESS;
}

static bool has_mig(nvmlDevice_t device)
{
    char uuids[VALUE_MAX];
    return machine_text(uuids, sizeof uuids, "gpu.%d.mig-uuids", device->gpu.number);
}

EXPORT nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned int *current, unsigned int *pending)
{
    CHECK(device, current && pending);
    *current = *pending = has_mig(device);
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t device, unsigned int *count)
{
    CHECK(device, count);
    *count = has_mig(device) ? 7 : 0;
    return NVML_SUCCESS;
}

static nvmlGpuFabricState_t fabric_state(nvmlDevice_t device)
{
    return (nvmlGpuFabricState_t)gpu_number(device, "fabric-state", NVML_GPU_FABRIC_STATE_NOT_SUPPORTED);
}

static nvmlReturn_t fabric_status(nvmlDevice_t device) { return (nvmlReturn_t)gpu_number(device, "fabric-status", NVML_SUCCESS); }

EXPORT nvmlReturn_t nvmlDeviceGetGpuFabricInfo(nvmlDevice_t device, nvmlGpuFabricInfo_t *fabric)
{
    CHECK(device, fabric);
    memset(fabric, 0, sizeof *fabric);
    fabric->state = fabric_state(device);
    fabric->status = fabric_status(device);
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetGpuFabricInfoV(nvmlDevice_t device, nvmlGpuFabricInfoV_t *fabric)
{
    CHECK(device, fabric);
    if (fabric->version != nvmlGpuFabricInfo_v2 && fabric->version != nvmlGpuFabricInfo_v3)
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    memset(fabric->clusterUuid, 0, sizeof fabric->clusterUuid);
    fabric->state = fabric_state(device);
    fabric->status = fabric_status(device);
    fabric->cliqueId = 0;
    fabric->healthMask = 0;
    if (fabric->version == nvmlGpuFabricInfo_v3) /* the caller of version 2 has no such field */
        fabric->healthSummary = 0;
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t device, int count, nvmlFieldValue_t *values)
{
    CHECK(device, values && count > 0);
    for (int place = 0; place < count; place++) {
        values[place].nvmlReturn = NVML_ERROR_NOT_SUPPORTED;
        if (values[place].fieldId != NVML_FI_DEV_GET_GPU_RECOVERY_ACTION)
            continue;
        values[place].valueType = NVML_VALUE_TYPE_UNSIGNED_INT;
        values[place].value.uiVal = (unsigned)gpu_number(device, "recovery-action", 0);
        values[place].nvmlReturn = NVML_SUCCESS;
    }
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetTotalEccErrors(nvmlDevice_t device, nvmlMemoryErrorType_t type, nvmlEccCounterType_t counter,
                                                unsigned long long *count)
{
    (void)counter;
    CHECK(device, count);
    *count = type == NVML_MEMORY_ERROR_TYPE_UNCORRECTED ? (unsigned long long)gpu_number(device, "ecc-uncorrected", 0) : 0;
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetRemappedRows(nvmlDevice_t device, unsigned int *corrected, unsigned int *uncorrected, unsigned int *pending,
                                              unsigned int *failed)
{
    CHECK(device, corrected && uncorrected && pending && failed);
    *corrected = *uncorrected = 0;
    *pending = (unsigned)gpu_number(device, "remap-pending", 0);
    *failed = (unsigned)gpu_number(device, "remap-failed", 0);
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device, unsigned int *count, nvmlProcessInfo_t *processes)
{
    struct context_use uses[GPUS_MAX];
    CHECK(device, count);
    unsigned room = *count;
    *count = (unsigned)list_contexts(device->gpu.number, uses, GPUS_MAX);
    if (*count > room || (*count && !processes))
        return NVML_ERROR_INSUFFICIENT_SIZE;
    for (unsigned place = 0; place < *count; place++)
        processes[place] = (nvmlProcessInfo_t){.pid = (unsigned)uses[place].pid, .usedGpuMemory = uses[place].bytes,
                                               .gpuInstanceId = 0xFFFFFFFF, .computeInstanceId = 0xFFFFFFFF};
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v2(nvmlDevice_t device, unsigned int *count, nvmlProcessInfo_v2_t *processes)
{
    return nvmlDeviceGetComputeRunningProcesses_v3(device, count, processes);
}
