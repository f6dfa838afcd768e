/* The gradients of single images against tests/golden/gradients.json (make_gradients.py says what is in it). */
#ifndef EK_TESTS_GRADIENT_CASES_H
#define EK_TESTS_GRADIENT_CASES_H

/* The first `images` of the model's, a multiple of 8, in float32: norms within 1e-4 of PyTorch's in float32, and
 * products where there are some; in bfloat16, if this processor has it: nearly the order of norms. */
void gradients_are_pytorchs(const char *model, int images);

#endif
