/*
 * Labels of some of a run's images, from a table (rebalance/io/table.h): a column "label" (or "group"), rows by file
 * name, as scan's attributes fit, or, where there are no names, by a column "id". An optional column "random" (1, true
 * or yes) marks images that were drawn at random from all: of these honest intervals are made. Rows without a label are
 * passed over.
 */
#ifndef EK_PIPELINE_GIVEN_LABELS_H
#define EK_PIPELINE_GIVEN_LABELS_H

#include "rebalance/io/run.h"

struct ek_given_labels {
	uint64_t count;
	uint64_t *ids;   /* [count] rising */
	uint32_t *group; /* [count] */
	uint8_t *random; /* [count] */
	char **names;    /* [groups] in the order of their bytes */
	uint32_t groups;
};

/* What can be told wrong of the table alone, before there are images that it should fit: EK_EDATA, EK_EIO. */
int ek_given_labels_check(const char *path);
/* The same and whether it fits the images, as ek_given_labels_load would find, which tells of rows that fit none. */
int ek_given_labels_fit(const struct ek_run *run, const char *path, uint64_t images, uint32_t most);
/* images: of the run. EK_EDATA: no such column, an id beyond the images, fewer than 2 groups, more than `most`, no row
 * that fits; EK_EIO. Rows that fit no image are warned of. Release in any case. */
int ek_given_labels_load(struct ek_given_labels *out, const struct ek_run *run, const char *path, uint64_t images,
                         uint32_t most);
void ek_given_labels_release(struct ek_given_labels *labels);

#endif
