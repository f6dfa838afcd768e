/* The last part of the demo: an autoencoder and two small generators, and what they make. */
#ifndef EK_CLI_DEMO_GENERATE_H
#define EK_CLI_DEMO_GENERATE_H

#include <stdint.h>

/* Steps of each generator, unless told otherwise: about 2.5 minutes on two cores. */
enum { EK_DEMO_STEPS = 1400 };

/* Runs the commands that a user would, one after the other, on a closed run; what is done already is not done again.
 * Both generators are trained for `steps`, however long that takes: a clock would give one of them more, and what is
 * compared would be the machine. json: prints nothing. */
int ek_demo_generate(const char *run, uint64_t steps, uint64_t seed, int json);

#endif
