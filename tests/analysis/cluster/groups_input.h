/* The inputs of tests/golden/make_groups.py. */
#ifndef EK_TESTS_GROUPS_INPUT_H
#define EK_TESTS_GROUPS_INPUT_H

#include <stdint.h>

/* u(i), i from 1 on. */
static inline double ek_golden_u(uint64_t i)
{
	return (double)(uint32_t)(i * 2654435761u) / 4294967296.0 - 0.5;
}

#endif
