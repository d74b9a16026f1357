/* cuInit: brings the simulated CUDA up in the order of NVIDIA's own, and fails for the same causes with the same codes. */
#define _GNU_SOURCE
#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cuda_state.h"
#include "machine.h"

/* libcuda reserves address space for all that it may ever map: between 12 and 16 million KiB was measured. */
static const rlim_t ADDRESS_SPACE_NEEDED = 14000000ULL * 1024;

static struct {
    pid_t owner;
    int count;
    struct gpu gpus[GPUS_MAX];
} cuda;

CUresult initialised(void) { return cuda.owner == getpid() ? CUDA_SUCCESS : CUDA_ERROR_NOT_INITIALIZED; }

const struct gpu *device_gpu(CUdevice device) { return device >= 0 && device < cuda.count ? &cuda.gpus[device] : NULL; }

static bool works_on(int driver)
{
    for (const int *major = compatibility.drivers; *major; major++)
        if (*major == driver)
            return true;
    return false;
}

/* The kernel driver speaks to libraries of its own version only, or to a compat build that knows it. */
static CUresult check_version(const struct gpu *gpus, int count)
{
    char kernel[VERSION_MAX], own[VERSION_MAX];
    kernel_version(kernel);
    library_version(own);
    if (!&compatibility)
        return strcmp(kernel, own) == 0 ? CUDA_SUCCESS : CUDA_ERROR_SYSTEM_DRIVER_MISMATCH;
    if (!works_on(atoi(kernel)))
        return CUDA_ERROR_SYSTEM_DRIVER_MISMATCH;
    for (int place = 0; place < count; place++)
        if (machine_number(0, "gpu.%d.consumer", gpus[place].number))
            return CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE;
    return CUDA_SUCCESS;
}

static int fastest_first(const void *left, const void *right)
{
    const struct gpu *one = left, *other = right;
    if (one->speed != other->speed)
        return one->speed > other->speed ? -1 : 1;
    return strcmp(one->bus_id, other->bus_id);
}

/* The GPUs with a right node, in the order that CUDA counts them. */
static int present_gpus(struct gpu *present)
{
    const char *order = getenv("CUDA_DEVICE_ORDER");
    int count = 0, known = read_gpus(present);
    for (int place = 0; place < known; place++)
        if (has_gpu_node(&present[place]))
            present[count++] = present[place];
    if (!order || strcmp(order, "PCI_BUS_ID") != 0)
        qsort(present, (size_t)count, sizeof *present, fastest_first);
    return count;
}

/* The place of the GPU that one word of CUDA_VISIBLE_DEVICES names, -1 when it names none: an index, or the start of
 * one GPU's UUID. */
static int named_gpu(const char *word, const struct gpu *present, int count)
{
    int found = -1;
    if (strncmp(word, "GPU-", 4) == 0) {
        size_t length = strcspn(word, " ");
        for (int place = 0; place < count; place++)
            if (strncmp(present[place].uuid, word, length) == 0) {
                if (found >= 0)
                    return -1;
                found = place;
            }
        return found;
    }
    char *end;
    long index = strtol(word, &end, 10);
    while (isspace((unsigned char)*end))
        end++;
    return end == word || *end || index < 0 || index >= count ? -1 : (int)index;
}

/* Applies CUDA_VISIBLE_DEVICES. An invalid word hides itself and all behind it; a GPU named twice is an error. */
static CUresult select_gpus(const struct gpu *present, int count, struct gpu *visible, int *visible_count)
{
    char list[4096];
    bool taken[GPUS_MAX] = {false};
    const char *variable = getenv("CUDA_VISIBLE_DEVICES");
    *visible_count = 0;
    if (!variable) {
        memcpy(visible, present, (size_t)count * sizeof *present);
        *visible_count = count;
        return CUDA_SUCCESS;
    }
    snprintf(list, sizeof list, "%s", variable);
    for (char *rest, *word = strtok_r(list, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        int place = named_gpu(word + strspn(word, " "), present, count);
        if (place < 0)
            break;
        if (taken[place])
            return CUDA_ERROR_INVALID_DEVICE;
        taken[place] = true;
        visible[(*visible_count)++] = present[place];
    }
    return CUDA_SUCCESS;
}

/* Opens the GPUs; those whose node refuses fall out, unless the driver says that there is no such GPU. */
static CUresult open_gpus(struct gpu *gpus, int *count, int *files)
{
    int opened = 0;
    for (int place = 0; place < *count; place++) {
        int file = open_gpu_node(&gpus[place]);
        if (file == -ENXIO || file == -ENODEV) {
            while (opened > 0)
                close(files[--opened]);
            return CUDA_ERROR_INVALID_DEVICE;
        }
        if (file < 0)
            continue;
        files[opened] = file;
        gpus[opened++] = gpus[place];
    }
    *count = opened;
    return opened ? CUDA_SUCCESS : CUDA_ERROR_NO_DEVICE;
}

/* A GPU behind an NVSwitch can be used once it is registered with the fabric, and that went well. */
static CUresult check_fabric(const struct gpu *gpus, int count)
{
    for (int place = 0; place < count; place++) {
        long state = machine_number(0, "gpu.%d.fabric-state", gpus[place].number);
        if (state == 1 || state == 2 || (state == 3 && machine_number(0, "gpu.%d.fabric-status", gpus[place].number)))
            return CUDA_ERROR_SYSTEM_NOT_READY;
    }
    return CUDA_SUCCESS;
}

static CUresult scripted(const struct gpu *gpus, int count)
{
    int code = machine_call("cuInit", -1);
    char listed[VALUE_MAX];
    for (int place = 0; place < count && !code; place++)
        if (machine_text(listed, sizeof listed, "gpu.%d.call.cuInit", gpus[place].number))
            code = machine_call("cuInit", gpus[place].number);
    return (CUresult)code;
}

/* Everything behind the control node and the uvm node, which stay open in a process that uses CUDA, as do the GPUs'. */
static CUresult bring_gpus_up(struct gpu *gpus, int *count)
{
    struct gpu present[GPUS_MAX];
    int files[GPUS_MAX];
    struct rlimit space;
    int present_count = present_gpus(present);
    CUresult code = check_version(present, present_count);
    if (code == CUDA_SUCCESS)
        code = select_gpus(present, present_count, gpus, count);
    if (code == CUDA_SUCCESS)
        code = open_gpus(gpus, count, files);
    if (code != CUDA_SUCCESS)
        return code;
    if (getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur < ADDRESS_SPACE_NEEDED)
        code = CUDA_ERROR_OUT_OF_MEMORY;
    if (code == CUDA_SUCCESS)
        code = check_fabric(gpus, *count);
    if (code == CUDA_SUCCESS)
        code = scripted(gpus, *count);
    if (code != CUDA_SUCCESS)
        for (int place = 0; place < *count; place++)
            close(files[place]);
    return code;
}

static CUresult bring_up(struct gpu *gpus, int *count)
{
    int control = open_node("/dev/nvidiactl", NVIDIA_MAJOR, CONTROL_MINOR);
    if (control < 0)
        return CUDA_ERROR_NO_DEVICE;
    CUresult code = CUDA_ERROR_UNKNOWN;
    int uvm_major = kernel_major("nvidia-uvm");
    int uvm = uvm_major < 0 ? -1 : open_node("/dev/nvidia-uvm", uvm_major, 0);
    if (uvm >= 0)
        code = bring_gpus_up(gpus, count);
    if (code != CUDA_SUCCESS) {
        close(control);
        if (uvm >= 0)
            close(uvm);
    }
    return code;
}

EXPORT CUresult cuInit(unsigned int flags)
{
    if (flags != 0)
        return CUDA_ERROR_INVALID_VALUE;
    if (cuda.owner != 0)
        return initialised();
    CUresult code = *machine_folder() ? bring_up(cuda.gpus, &cuda.count) : CUDA_ERROR_NO_DEVICE;
    if (code == CUDA_SUCCESS)
        cuda.owner = getpid();
    else
        cuda.count = 0;
    return code;
}

EXPORT CUresult cuDriverGetVersion(int *version)
{
    char own[VERSION_MAX];
    if (!version)
        return CUDA_ERROR_INVALID_VALUE;
    library_version(own);
    *version = cuda_of_driver(own);
    return CUDA_SUCCESS;
}

EXPORT CUresult cuDeviceGetCount(int *count)
{
    if (initialised() != CUDA_SUCCESS)
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!count)
        return CUDA_ERROR_INVALID_VALUE;
    *count = cuda.count;
    return CUDA_SUCCESS;
}

EXPORT CUresult cuGetProcAddress_v2(const char *symbol, void **function, int version, cuuint64_t flags, CUdriverProcAddressQueryResult *status)
{
    char newest[128];
    Dl_info here;
    (void)version;
    (void)flags;
    if (!symbol || !function)
        return CUDA_ERROR_INVALID_VALUE;
    /* The handle of this very library: another libcuda may stand before it in the global scope. */
    void *self = dladdr((void *)cuInit, &here) ? dlopen(here.dli_fname, RTLD_LAZY | RTLD_NOLOAD) : NULL;
    snprintf(newest, sizeof newest, "%s_v2", symbol);
    *function = self ? dlsym(self, newest) : NULL;
    if (!*function && self)
        *function = dlsym(self, symbol);
    if (status)
        *status = *function ? CU_GET_PROC_ADDRESS_SUCCESS : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    return *function ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}
