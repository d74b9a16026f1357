/* What the parts of the simulated libnvidia-ml share: the devices that nvmlInit found. */
#ifndef FIRSTLIGHT_NVML_STATE_H
#define FIRSTLIGHT_NVML_STATE_H

#include <nvml.h>

#include "user_driver.h"

/* A whole GPU, or one MIG instance of it (`mig` 0 and up). */
struct nvmlDevice_st {
    struct gpu gpu;
    int index, mig;
};

/* The checks that every call on a device makes: NVML is up, the handle is one, the GPU still answers. */
nvmlReturn_t check_device(nvmlDevice_t device);

/* A text into a caller's buffer, or NVML's code for a buffer that is too small. */
nvmlReturn_t give_text(char *to, unsigned int length, const char *text);

#endif
