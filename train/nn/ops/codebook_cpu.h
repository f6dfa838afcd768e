/* Codebooks on the CPU. Internal to train/nn. */
#ifndef EK_NN_OPS_CODEBOOK_CPU_H
#define EK_NN_OPS_CODEBOOK_CPU_H

#include "train/nn/codebook_internal.h"

/* Slice `slice` of the batch had these latents [rows, width] and took these codes [rows]. */
void ek_cpu_note_latents(struct ek_codebook *c, uint64_t slice, const float *latents, const int32_t *nearest);
/* The device's (device_internal.h). */
int ek_cpu_move_codes(struct ek_codebook *c, uint64_t step, float *codes, float *average);

#endif
