/*
 * The audit: what the run directory says of clusters, labels and attributes, measured into audit.json (docs/files.md).
 */
#ifndef EK_SKEW_AUDIT_H
#define EK_SKEW_AUDIT_H

#include <stdint.h>

#include "rebalance/io/run.h"

struct ek_audit_options {
	uint32_t resamples; /* of the bootstrap, ≥ 1 */
	uint64_t seed;
	const cJSON
		*ranges; /* to cut the numbers of attributes by (rebalance/io/ranges.h), borrowed; NULL: whole steps */
};
#define EK_AUDIT_OPTIONS_DEFAULT                                                                                       \
	{                                                                                                              \
		.resamples = 1000                                                                                      \
	}

/* The step as ek_run_is_current wants it; `*options_json`: cJSON_Delete it after the step's use. */
int ek_audit_step(struct ek_step *step, cJSON **options_json, const struct ek_audit_options *options);

/*
 * Write audit.json and ranges.json, and record the step "audit".
 *
 * Reads clusters/clusters.json and clusters/assignment.npy, and where they are there images.jsonl (attributes),
 * rejected.jsonl, embeddings.json, clusters/stability.json and clusters/duplicates.json. One pass over the assignment,
 * which is mapped, and one per attribute. Held-out images count like all others.
 *
 * Returns 0, EK_EDATA (a file is damaged, or two of them count different images), EK_EUSAGE (ranges
 * of what is no attribute of numbers), EK_EIO, EK_ENOMEM, EK_EINTERRUPTED.
 * The same bytes for any number of threads. After an error the audit.json of before is still there.
 */
int ek_audit(struct ek_run *run, const struct ek_audit_options *options);

#endif
