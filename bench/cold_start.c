/* The floor: what a C program needs to bring CUDA up and know that it works.
 *
 * cuInit, the primary context of GPU 0, one kernel from PTX, its result copied back and checked. libcuda is loaded by
 * dlopen, so neither headers nor a toolkit are needed: cc -O2 cold_start.c -o cold_start -ldl
 *
 * Prints one line of JSON: "started" is CLOCK_MONOTONIC at the first statement of main, the rest are milliseconds.
 * With an argument the line goes to that file as well. Exit 0 when the result was right, 41 when CUDA refused, 42 when it lied.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ELEMENTS = 1024, BLOCK = 256, SEED = 7, REFUSED = 41, WRONG = 42 };

static const char PTX[] =
    ".version 6.4\n.target sm_50\n.address_size 64\n"
    ".visible .entry firstlight_prove(.param .u64 out, .param .u32 count, .param .u32 seed)\n{\n"
    "  .reg .pred %outside;\n  .reg .b32 %r<8>;\n  .reg .b64 %a<4>;\n"
    "  ld.param.u64 %a0, [out];\n  ld.param.u32 %r0, [count];\n  ld.param.u32 %r1, [seed];\n"
    "  mov.u32 %r2, %ctaid.x;\n  mov.u32 %r3, %ntid.x;\n  mov.u32 %r4, %tid.x;\n"
    "  mad.lo.u32 %r5, %r2, %r3, %r4;\n  setp.ge.u32 %outside, %r5, %r0;\n  @%outside ret;\n"
    "  mad.lo.u32 %r6, %r5, 0x9E3779B1, %r1;\n"
    "  cvta.to.global.u64 %a1, %a0;\n  mul.wide.u32 %a2, %r5, 4;\n  add.u64 %a3, %a1, %a2;\n"
    "  st.global.u32 [%a3], %r6;\n  ret;\n}\n";

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void *symbol(void *library, const char *name) {
    void *found = dlsym(library, name);
    if (!found) {
        fprintf(stderr, "cannot find %s in libcuda.so.1\n", name);
        exit(REFUSED);
    }
    return found;
}

/* Every driver call goes through here: CUDA's own signature is int (…), and 0 is success. */
#define CALL(name, types, ...)                                                   \
    do {                                                                         \
        int code = ((int(*) types)symbol(cuda, #name))(__VA_ARGS__);             \
        if (code) {                                                              \
            fprintf(stderr, "cannot bring CUDA up: " #name " gave %d\n", code);  \
            return REFUSED;                                                      \
        }                                                                        \
    } while (0)

static int bring_up(void *cuda, double *init, double *context, double *kernel) {
    int device;
    void *primary, *module, *function;
    uint64_t memory;
    uint32_t count = ELEMENTS, seed = SEED, result[ELEMENTS];
    double begun = seconds();

    CALL(cuInit, (unsigned), 0);
    *init = seconds();
    CALL(cuDeviceGet, (int *, int), &device, 0);
    CALL(cuDevicePrimaryCtxRetain, (void **, int), &primary, device);
    CALL(cuCtxSetCurrent, (void *), primary);
    *context = seconds();
    CALL(cuModuleLoadData, (void **, const void *), &module, PTX);
    CALL(cuModuleGetFunction, (void **, void *, const char *), &function, module, "firstlight_prove");
    CALL(cuMemAlloc_v2, (uint64_t *, size_t), &memory, sizeof result);
    void *arguments[] = {&memory, &count, &seed};
    CALL(cuLaunchKernel, (void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **, void **),
         function, ELEMENTS / BLOCK, 1, 1, BLOCK, 1, 1, 0, NULL, arguments, NULL);
    CALL(cuCtxSynchronize, (void), );
    CALL(cuMemcpyDtoH_v2, (void *, uint64_t, size_t), result, memory, sizeof result);
    *kernel = seconds();

    for (uint32_t place = 0; place < ELEMENTS; place++)
        if (result[place] != place * 0x9E3779B1u + SEED) {
            fprintf(stderr, "cannot trust the GPU: element %u is %u\n", place, result[place]);
            return WRONG;
        }
    *kernel -= *context;
    *context -= *init;
    *init -= begun;
    return 0;
}

int main(int argc, char **argv) {
    double started = seconds();
    char line[256];
    void *cuda = dlopen("libcuda.so.1", RTLD_NOW);
    if (!cuda) {
        fprintf(stderr, "cannot load libcuda.so.1: %s\n", dlerror());
        return REFUSED;
    }
    double loaded = seconds(), init, context, kernel;
    int code = bring_up(cuda, &init, &context, &kernel);
    if (code)
        return code;
    snprintf(line, sizeof line,
             "{\"started\": %.6f, \"load\": %.3f, \"init\": %.3f, \"context\": %.3f, \"kernel\": %.3f, \"all\": %.3f}\n",
             started, (loaded - started) * 1e3, init * 1e3, context * 1e3, kernel * 1e3, (seconds() - started) * 1e3);
    fputs(line, stdout);
    if (argc > 1) {
        FILE *file = fopen(argv[1], "w");
        if (!file || fputs(line, file) < 0 || fclose(file)) {
            perror("cannot write the record");
            return 1;
        }
    }
    return 0;
}
