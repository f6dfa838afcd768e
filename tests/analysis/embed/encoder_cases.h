/*
 * The encoders against PyTorch's features in tests/golden/encoders.bin.
 */
#ifndef EK_TESTS_ENCODER_CASES_H
#define EK_TESTS_ENCODER_CASES_H

/* Every case of this encoder with random weights, in float32 and, where the processor has it, in bf16. */
void ek_check_encoder(const char *encoder);

/* Every case of this encoder with these weights, `kind` "random" or "real". */
void ek_check_encoder_with(const char *encoder, const char *kind, const char *weights);

#endif
