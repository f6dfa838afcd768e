/*
 * Kernel distance (KID when the features are FID-Inception's): the unbiased squared maximum mean discrepancy with the
 * kernel (a.b/d + 1)^3 (Binkowski et al. 2018), averaged over subsets drawn without replacement. It may be negative.
 */
#ifndef EK_QUALITY_KERNEL_H
#define EK_QUALITY_KERNEL_H

#include "analysis/cluster/rows.h"

struct ek_kid_options {
	uint32_t subsets;
	uint64_t subset_size; /* shrunk to the smaller side, and `ek_kid.subset_size` says so */
	uint64_t seed;
};
#define EK_KID_DEFAULT                                                                                                 \
	{                                                                                                              \
		.subsets = 100, .subset_size = 1000, .seed = 0                                                         \
	}

struct ek_kid {
	double mean, std; /* over the subsets; std with divisor `subsets`, as NumPy's and torch-fidelity's */
	uint32_t subsets;
	uint64_t subset_size;
};

/* The draws are a function of the seed. EK_EDATA: dimensions differ, fewer than 2 rows on a side, not finite.
 * EK_EUSAGE: no subsets, or a size below 2. EK_EINTERRUPTED. Reports progress. */
int ek_kid(struct ek_kid *out, const struct ek_rows *x, const struct ek_rows *y, const struct ek_kid_options *options);

#endif
