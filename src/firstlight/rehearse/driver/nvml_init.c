/* nvmlInit and the finding of devices: fails for the same causes and with the same codes as NVIDIA's own. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "machine.h"
#include "nvml_state.h"

enum { MIG_MAX = 8 };

static struct {
    int references, control, count;
    struct nvmlDevice_st devices[GPUS_MAX], instances[GPUS_MAX][MIG_MAX];
} nvml;

/* What NVML says of an errno of the control node. Drivers 535 and 580 agree on all but two; the change came somewhere
 * between them. */
static nvmlReturn_t refused(int number)
{
    struct stat found;
    char own[VERSION_MAX];
    library_version(own);
    bool old = atoi(own) < 580;
    switch (number) {
    case ENOENT: /* a node that is there, and whose open gives this all the same, is another matter */
        return old || stat("/dev/nvidiactl", &found) < 0 ? NVML_ERROR_DRIVER_NOT_LOADED : NVML_ERROR_OPERATING_SYSTEM;
    case ENXIO: return old ? NVML_ERROR_DRIVER_NOT_LOADED : NVML_ERROR_UNKNOWN;
    case EACCES: return old ? NVML_ERROR_NO_PERMISSION : NVML_ERROR_UNKNOWN;
    case EPERM:
    case ENODEV: return NVML_ERROR_UNKNOWN;
    default: return NVML_ERROR_OPERATING_SYSTEM;
    }
}

/* A GPU counts when its node opens; one that fell off the bus still counts, and its handle tells. */
static bool counts(const struct gpu *gpu)
{
    int file = open_gpu_node(gpu);
    if (file >= 0)
        close(file);
    return file >= 0 || (file == -ENODEV && machine_number(0, "gpu.%d.lost", gpu->number));
}

static void find_devices(void)
{
    struct gpu gpus[GPUS_MAX];
    int known = read_gpus(gpus);
    nvml.count = 0;
    for (int place = 0; place < known; place++) {
        if (!counts(&gpus[place]))
            continue;
        nvml.devices[nvml.count] = (struct nvmlDevice_st){.gpu = gpus[place], .index = nvml.count, .mig = -1};
        nvml.count++;
    }
}

EXPORT nvmlReturn_t nvmlInitWithFlags(unsigned int flags)
{
    char kernel[VERSION_MAX], own[VERSION_MAX];
    (void)flags;
    if (nvml.references > 0) {
        nvml.references++;
        return NVML_SUCCESS;
    }
    if (!*machine_folder())
        return NVML_ERROR_DRIVER_NOT_LOADED;
    int control = open_node("/dev/nvidiactl", NVIDIA_MAJOR, CONTROL_MINOR);
    if (control < 0)
        return refused(-control);
    kernel_version(kernel);
    library_version(own);
    nvmlReturn_t code = strcmp(kernel, own) ? NVML_ERROR_LIB_RM_VERSION_MISMATCH : (nvmlReturn_t)machine_call("nvmlInit", -1);
    if (code != NVML_SUCCESS) {
        close(control);
        return code;
    }
    nvml.control = control;
    nvml.references = 1;
    find_devices();
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

EXPORT nvmlReturn_t nvmlShutdown(void)
{
    if (nvml.references > 0 && --nvml.references == 0)
        close(nvml.control);
    return NVML_SUCCESS; /* also without a start, as NVIDIA's says */
}

nvmlReturn_t give_text(char *to, unsigned int length, const char *text)
{
    if (!to)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (strlen(text) >= length)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    strcpy(to, text);
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned int length)
{
    char kernel[VERSION_MAX];
    if (nvml.references == 0)
        return NVML_ERROR_UNINITIALIZED;
    kernel_version(kernel);
    return give_text(version, length, kernel);
}

EXPORT nvmlReturn_t nvmlSystemGetNVMLVersion(char *version, unsigned int length)
{
    char own[VERSION_MAX], text[VERSION_MAX + 16];
    if (nvml.references == 0)
        return NVML_ERROR_UNINITIALIZED;
    library_version(own);
    snprintf(text, sizeof text, "%d.%s", cuda_of_driver(own) / 1000, own);
    return give_text(version, length, text);
}

EXPORT nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *version)
{
    char own[VERSION_MAX];
    if (!version)
        return NVML_ERROR_INVALID_ARGUMENT;
    library_version(own);
    *version = cuda_of_driver(own);
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *version) { return nvmlSystemGetCudaDriverVersion_v2(version); }

static bool is_handle(nvmlDevice_t device)
{
    char *at = (char *)device;
    return at >= (char *)&nvml.devices && at < (char *)(&nvml.instances + 1);
}

nvmlReturn_t check_device(nvmlDevice_t device)
{
    if (nvml.references == 0)
        return NVML_ERROR_UNINITIALIZED;
    if (!device || !is_handle(device))
        return NVML_ERROR_INVALID_ARGUMENT;
    if (machine_number(0, "gpu.%d.lost", device->gpu.number))
        return NVML_ERROR_GPU_IS_LOST;
    return machine_number(0, "gpu.%d.reset-required", device->gpu.number) ? NVML_ERROR_RESET_REQUIRED : NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *count)
{
    if (nvml.references == 0)
        return NVML_ERROR_UNINITIALIZED;
    if (!count)
        return NVML_ERROR_INVALID_ARGUMENT;
    *count = (unsigned)nvml.count;
    return NVML_SUCCESS;
}

static nvmlReturn_t give_device(nvmlDevice_t found, nvmlDevice_t *device)
{
    nvmlReturn_t code = (nvmlReturn_t)machine_call("nvmlDeviceGetHandleByIndex", found->gpu.number);
    if (code == NVML_SUCCESS)
        code = check_device(found);
    if (code == NVML_SUCCESS)
        *device = found;
    return code;
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device)
{
    if (nvml.references == 0)
        return NVML_ERROR_UNINITIALIZED;
    if (!device || index >= (unsigned)nvml.count)
        return NVML_ERROR_INVALID_ARGUMENT;
    return give_device(&nvml.devices[index], device);
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device)
{
    if (nvml.references == 0)
        return NVML_ERROR_UNINITIALIZED;
    if (!uuid || !device)
        return NVML_ERROR_INVALID_ARGUMENT;
    for (int place = 0; place < nvml.count; place++)
        if (strcmp(nvml.devices[place].gpu.uuid, uuid) == 0)
            return give_device(&nvml.devices[place], device);
    return NVML_ERROR_NOT_FOUND;
}

/* Bus ids are written with four or eight digits of domain: "0000:8D:00.0", "00000000:8D:00.0". */
EXPORT nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *bus_id, nvmlDevice_t *device)
{
    unsigned wanted[3], have[3];
    if (nvml.references == 0)
        return NVML_ERROR_UNINITIALIZED;
    if (!bus_id || !device || sscanf(bus_id, "%x:%x:%x", &wanted[0], &wanted[1], &wanted[2]) != 3)
        return NVML_ERROR_INVALID_ARGUMENT;
    for (int place = 0; place < nvml.count; place++)
        if (sscanf(nvml.devices[place].gpu.bus_id, "%x:%x:%x", &have[0], &have[1], &have[2]) == 3 &&
            memcmp(have, wanted, sizeof have) == 0)
            return give_device(&nvml.devices[place], device);
    return NVML_ERROR_NOT_FOUND;
}

/* MIG instances are the words of "gpu.N.mig-uuids". */
EXPORT nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t device, unsigned int index, nvmlDevice_t *mig)
{
    char uuids[VALUE_MAX] = "";
    nvmlReturn_t code = check_device(device);
    if (code != NVML_SUCCESS)
        return code;
    if (!mig || index >= MIG_MAX || device->mig >= 0)
        return NVML_ERROR_INVALID_ARGUMENT;
    machine_text(uuids, sizeof uuids, "gpu.%d.mig-uuids", device->gpu.number);
    unsigned place = 0;
    for (char *rest, *word = strtok_r(uuids, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        if (place++ != index)
            continue;
        nvmlDevice_t instance = &nvml.instances[device->index][index];
        *instance = (struct nvmlDevice_st){.gpu = device->gpu, .index = device->index, .mig = (int)index};
        snprintf(instance->gpu.uuid, sizeof instance->gpu.uuid, "%s", word);
        *mig = instance;
        return NVML_SUCCESS;
    }
    return NVML_ERROR_NOT_FOUND;
}

EXPORT const char *nvmlErrorString(nvmlReturn_t result)
{
    switch ((int)result) {
    case NVML_SUCCESS: return "Success";
    case NVML_ERROR_UNINITIALIZED: return "Uninitialized";
    case NVML_ERROR_INVALID_ARGUMENT: return "Invalid Argument";
    case NVML_ERROR_NOT_SUPPORTED: return "Not Supported";
    case NVML_ERROR_NO_PERMISSION: return "Insufficient Permissions";
    case NVML_ERROR_ALREADY_INITIALIZED: return "Already Initialized";
    case NVML_ERROR_NOT_FOUND: return "Not Found";
    case NVML_ERROR_INSUFFICIENT_SIZE: return "Insufficient Size";
    case NVML_ERROR_INSUFFICIENT_POWER: return "Insufficient External Power";
    case NVML_ERROR_DRIVER_NOT_LOADED: return "Driver Not Loaded";
    case NVML_ERROR_TIMEOUT: return "Timeout";
    case NVML_ERROR_IRQ_ISSUE: return "Interrupt Request Issue";
    case NVML_ERROR_LIBRARY_NOT_FOUND: return "NVML Shared Library Not Found";
    case NVML_ERROR_FUNCTION_NOT_FOUND: return "Function Not Found";
    case NVML_ERROR_CORRUPTED_INFOROM: return "Corrupted infoROM";
    case NVML_ERROR_GPU_IS_LOST: return "GPU is lost";
    case NVML_ERROR_RESET_REQUIRED: return "GPU requires reset";
    case NVML_ERROR_OPERATING_SYSTEM: return "GPU access blocked by the operating system";
    case NVML_ERROR_LIB_RM_VERSION_MISMATCH: return "Driver/library version mismatch";
    default: return "Unknown Error";
    }
}
