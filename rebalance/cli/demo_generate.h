/* The last part of the demo: an autoencoder and two small generators, and what they make. */
#ifndef EK_CLI_DEMO_GENERATE_H
#define EK_CLI_DEMO_GENERATE_H

#include <stdint.h>

/* Runs the commands that a user would, one after the other, on a closed run; what is done already is not done again.
 * wordless: prints nothing. */
int ek_demo_generate(const char *run, uint64_t seed, int quiet, int wordless);

#endif
