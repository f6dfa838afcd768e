/*
 * The encoders against PyTorch's features in tests/golden/encoders.bin.
 */
#ifndef EK_TESTS_ENCODER_CASES_H
#define EK_TESTS_ENCODER_CASES_H

/* Every case of this network, an encoder or "ENCODER WHOSE-NAMES", with random weights, in float32 and, where the
 * processor has it, in bf16. */
void ek_check_encoder(const char *network);

/* Every case of this network with these weights, `kind` "random" or "real". */
void ek_check_encoder_with(const char *network, const char *kind, const char *weights);

#endif
