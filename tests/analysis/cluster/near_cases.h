/* Near-duplicates by a device and by the processor: the same bits (test_near_device.c, test_device.c). */
#ifndef EK_TESTS_CLUSTER_NEAR_CASES_H
#define EK_TESTS_CLUSTER_NEAR_CASES_H

#include <stddef.h>
#include <stdint.h>

struct near_case {
	const char *name;
	uint64_t n;
	size_t d;
	uint64_t same; /* about so many rows are copies of others, or all but; many are copies of one */
	int zero;      /* 1: a row of zeros, which keeps all on the processor */
	int alike;     /* 1: those that are no copies are much the same, so that nearly all pairs count */
	int near_only; /* 1: only near-duplicates are asked for */
};

/* By the processor, and by the device that was chosen or is to be (ek_nn_rows_choose). */
void near_case_check(const struct near_case *c);

#endif
