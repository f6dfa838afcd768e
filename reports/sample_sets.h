/*
 * The generated images of a run, as the report needs them: RUN/samples/NAME/samples.jsonl with config.json, in the
 * order of their names. Internal to reports/.
 */
#ifndef EK_REPORTS_SAMPLE_SETS_H
#define EK_REPORTS_SAMPLE_SETS_H

#include <stddef.h>
#include <stdint.h>

#include "rebalance/io/run.h"

/* Images that were asked for as one class. */
struct ek_sample_class {
	char *name;
	int64_t cluster; /* its number where samples were asked for by cluster, else −1 */
	uint64_t count;
	size_t first; /* in ek_sample_set.order */
};

struct ek_sample_set {
	char *name;
	cJSON *json; /* config.json; NULL: there is none */
	/* Of the first sets and those that are reviewed, which are told of in full; else 0 and NULL. */
	uint64_t count;
	struct ek_sample_class *classes; /* smallest clusters first; by rising count where they are no clusters */
	size_t class_count;
	uint64_t *order; /* [count] numbers of samples, class after class */
};

struct ek_sample_sets {
	struct ek_sample_set *items;
	size_t count;
};

/* sizes: [k] images of each cluster of the run. The first `full` sets, and those with a file in
 * reviews/, are read, of the others only config.json. A set of which a document is damaged is not there, but
 * in `left_out` (ek_leave_out). Release in any case. */
int ek_sample_sets_load(struct ek_sample_sets *sets, struct ek_buffer *left_out, const struct ek_run *run,
                        const uint64_t *sizes, size_t k, size_t full);
void ek_sample_sets_release(struct ek_sample_sets *sets);
/* The set called `name` (may be NULL), or −1. */
int64_t ek_sample_sets_find(const struct ek_sample_sets *sets, const char *name);

/* `*path` = that of the picture of sample `i`, to be freed; relative to RUN. */
int ek_sample_picture_name(char **name, const struct ek_sample_set *set, uint64_t i);

#endif
