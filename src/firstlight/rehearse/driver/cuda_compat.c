/* What turns the simulated libcuda into a forward-compatibility build: the list of kernel drivers that it works on, for
 * itself and, in the ELF note by which tools tell such a build, for others. */
#include <cuda.h>
#include <stdint.h>

#include "cuda_state.h"

const struct compatibility compatibility = {{470, 535, 550, 560, 565, 0}};

#define DESCRIPTION "{\"format\":1,\"CUDA version\":\"12.8\",\"driver\":[470,535,550,560,565],\"device\":[1,2,7]}"

__attribute__((section(".note.cuda.fwd_compatibility"), aligned(4), used)) static const struct {
    uint32_t name_size, description_size, type;
    char name[(sizeof "NVIDIA Corporation" + 3) / 4 * 4];
    char description[(sizeof DESCRIPTION + 3) / 4 * 4];
} note = {sizeof "NVIDIA Corporation", sizeof DESCRIPTION, 1, "NVIDIA Corporation", DESCRIPTION};
