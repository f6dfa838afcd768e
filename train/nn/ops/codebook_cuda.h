/* Codebooks (codebook_internal.h) on GPUs. Internal to train/nn. */
#ifndef EK_NN_OPS_CODEBOOK_CUDA_H
#define EK_NN_OPS_CODEBOOK_CUDA_H

#include "train/nn/codebook_internal.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The latents and codes of a slice, [rows, width] and [rows]. */
int ek_cuda_note_latents(struct ek_codebook *c, uint64_t slice, const float *latents, const int32_t *nearest);
/* As in struct ek_device. */
int ek_cuda_move_codes(struct ek_codebook *c, uint64_t step, float *codes, float *average);

#ifdef __cplusplus
}
#endif

#endif
