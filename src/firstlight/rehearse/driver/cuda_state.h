/* What the parts of the simulated libcuda share: the GPUs that cuInit found. */
#ifndef FIRSTLIGHT_CUDA_STATE_H
#define FIRSTLIGHT_CUDA_STATE_H

#include <cuda.h>

#include "user_driver.h"

/* 0 after a successful cuInit in this very process, 3 before, and 3 in a child that was forked after it. */
CUresult initialised(void);

/* The GPU behind a device; NULL when there is none of that ordinal. */
const struct gpu *device_gpu(CUdevice device);

/* The GPU of the current context, after the checks that every call in a context makes; and what the scenario says of a
 * call there. */
CUresult in_context(const struct gpu **gpu);
CUresult call_in_context(const char *name);

/* The memory behind a device pointer, when `size` bytes from there lie in one allocation; else NULL. */
unsigned char *memory_at(CUdeviceptr pointer, size_t size);

/* A forward-compatibility build of libcuda defines this; it is NULL in the driver's own. */
struct compatibility {
    int drivers[16]; /* majors of the kernel drivers that it works on, ended by 0 */
};
extern const struct compatibility compatibility __attribute__((weak));

#endif
