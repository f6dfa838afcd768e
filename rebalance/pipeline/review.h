/* People judge generated images, or labels that are doubted: on a page of this machine, or what they decided so far. */
#ifndef EK_PIPELINE_REVIEW_H
#define EK_PIPELINE_REVIEW_H

#include "rebalance/pipeline/serve.h"
#include "reports/review_page.h"

struct ek_review_options {
	const char *samples; /* name in RUN/samples; or */
	const char *labels;  /* name in RUN/scores, of label errors */
	const char *name;    /* of the review, RUN/reviews/NAME.jsonl or RUN/label-reviews/NAME.jsonl; NULL: that of the
	                        samples, or scores */
	const char *reviewer; /* whom the page takes for its reader at first; NULL: it asks */
	const char *export; /* folder for what was accepted, or, of labels, a table of all labels as they are after the
	                       review (review_table.h); or NULL */
	int64_t port;       /* 0: any that is free */
	int summary;        /* 1, or `export`: no page, the decisions are only read */
	int force;          /* an earlier export of this run is replaced */
};

struct ek_reviewed {
	struct ek_run *run; /* open for reading */
	struct ek_review review;
	struct ek_review_log log; /* without a page */
	uint64_t exported;        /* images; of labels, those whose label is another now, or none */
};

/*
 * Bring up to date what stands beside the images (samples_compare.h), or the scores (score.h), and read the decisions,
 * or serve the page until the process is asked to end: `announce` (not NULL then) says first where it is, and can end
 * it with a negative code. A run that another command works in, or that cannot be written, is reviewed by the files it
 * has. run: path. Release in any case. EK_EUSAGE: not one of samples and labels, or somebody else reviews under this
 * name; EK_EDATA, EK_EIO.
 */
int ek_do_review(struct ek_reviewed *out, const char *run, const struct ek_review_options *options,
                 ek_page_announce announce, void *context);
void ek_reviewed_release(struct ek_reviewed *reviewed);

#endif
