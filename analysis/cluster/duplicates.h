/*
 * The step "duplicates": near-duplicate images by the cosine of their embeddings (near.h), written to
 * RUN/clusters/duplicates.json, duplicate_similarity.npy and duplicate_partner.npy (docs/files.md). Of more than
 * 100,000 images, similarities are those of near-duplicates at the largest eps alone, -1 of all others.
 */
#ifndef EK_CLUSTER_DUPLICATES_H
#define EK_CLUSTER_DUPLICATES_H

#include <stddef.h>
#include <stdint.h>

#include "analysis/cluster/near.h"
#include "rebalance/io/run.h"

enum ek_duplicates_scope {
	EK_DUPLICATES_AUTO,   /* all images up to 100,000, else within clusters */
	EK_DUPLICATES_ALL,    /* every pair of images */
	EK_DUPLICATES_WITHIN, /* pairs in one cluster only, as SemDeDup does */
};
extern const char *const ek_duplicates_scope_names[]; /* "auto", "all", "within" */

/* Which image of a pair counts as the earlier one, that is, stays. */
enum ek_duplicates_order {
	EK_DUPLICATES_BY_ID,
	EK_DUPLICATES_HARD, /* furthest from its centroid first, as SemDeDup keeps hard ones */
	EK_DUPLICATES_EASY  /* nearest to its centroid first */
};
extern const char *const ek_duplicates_order_names[]; /* "id", "hard", "easy" */

/* The eps that are counted unless others are asked for; ends with 0. */
extern const double ek_duplicates_eps[];

struct ek_duplicates_options {
	const double *eps; /* [eps_count] cosine above 1 - eps is a near-duplicate; NULL: ek_duplicates_eps */
	size_t eps_count;
	enum ek_duplicates_scope scope;
	enum ek_duplicates_order order;
};
#define EK_DUPLICATES_OPTIONS_DEFAULT                                                                                  \
	{                                                                                                              \
		.eps = NULL                                                                                            \
	}

enum { EK_DUPLICATES_VERSION = 1 };
extern const char *const ek_duplicates_inputs[], *const ek_duplicates_outputs[]; /* for ek_step */
/* `*out` = the options that change the result, as ek_step wants them; cJSON_Delete it. */
int ek_duplicates_options_json(cJSON **out, const struct ek_duplicates_options *options);

/* About how many multiply-adds it takes to compare all of so many rows of d dimensions on a device; 0: within clusters,
 * most of which are too small for one. */
double ek_duplicates_work(const struct ek_duplicates_options *options, uint64_t rows, size_t d);

/* Find and write them. The run must be open for writing and clustered. Records nothing in run.json. The same bytes for
 * any number of threads, and from a device. EK_EDATA (files missing or of different images), EK_EUSAGE (eps), EK_EIO,
 * EK_ENOMEM, EK_EINTERRUPTED. */
int ek_duplicates(struct ek_run *run, const struct ek_duplicates_options *options);

/* Add "eps": what each rule would remove, by eps (docs/files.md). EK_ENOMEM. */
int ek_duplicates_add_counts(cJSON *json, const struct ek_near *near);

#endif
