/* A small run directory made by hand, as scan, embed and cluster would leave it behind. */
#ifndef EK_TESTS_MADE_RUN_H
#define EK_TESTS_MADE_RUN_H

#include <stddef.h>
#include <stdint.h>

#include "rebalance/io/run.h"
#include "rebalance/plan/select.h"

struct ek_made_run {
	uint64_t n;
	uint32_t k;                /* of clusters.json; 0: there is none */
	const int32_t *assignment; /* [n], or NULL: no clusters */
	const float *distance;     /* [n], or NULL: none */
	const float *embeddings;   /* [n, d], or NULL */
	const float *centroids;    /* [k, d], or NULL */
	uint64_t d;
	const char *const
		*rows; /* [n] members of each line of images.jsonl after file_name, as ", \"a\": 1"; NULL: none */
	const char *const *names;  /* [n] file names as JSON text; NULL: "00000.jpg" … */
	uint64_t held_out;         /* rows that say so */
	const char *clusters_json; /* NULL: just k and images */
};

/* The ids that a selection keeps, rising, repeats included; to be freed. */
int64_t *ek_kept_ids(const struct ek_selection *selection);

/* Write the files into a scratch folder and open it for writing; close it. */
struct ek_run *ek_make_run(const struct ek_made_run *made);

#endif
