/* The classes that scores are made by: a label for each image, or none, and rows of the embeddings that have one. */
#ifndef EK_PIPELINE_SCORE_CLASSES_H
#define EK_PIPELINE_SCORE_CLASSES_H

#include "analysis/cluster/rows.h"
#include "rebalance/pipeline/score_internal.h"

struct ek_score_classes {
	char *by; /* "label", "cluster", "labels of FILE" */
	struct ek_npy embeddings;
	struct ek_rows rows; /* of the embeddings that can be scored; ids are those of images */
	uint64_t *ids;
	uint32_t *label; /* [rows.count] */
	char **names;    /* [count] */
	uint32_t count;
};

/* What was chosen goes to scoring->json; inputs are named. */
int ek_score_classes_prepare(struct ek_score_classes *classes, struct ek_scoring *scoring);
/* Load them: images without a label, held out, or without a finite embedding are left out of the rows and scores.
 * `alone`: so are those whose class has no other. EK_EDATA: fewer than two classes are left. */
int ek_score_classes_load(struct ek_score_classes *classes, struct ek_scoring *scoring, int alone);
void ek_score_classes_release(struct ek_score_classes *classes);

#endif
