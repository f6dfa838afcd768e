/*
 * What the page of a review shows: the images of RUN/samples/NAME, rare clusters first, each with its nearest real
 * images; or the labels that RUN/scores/NAME doubts, the worst first, each with images that are surest of both labels.
 * Of samples it reads samples.jsonl, images/, assignment.npy, neighbours.npy, neighbour_distances.npy, copied.npy and,
 * where it is there, groups.npy of that folder, audit.json and images.jsonl; of labels NAME.json, NAME.csv and
 * images.jsonl.
 */
#ifndef EK_REPORTS_REVIEW_H
#define EK_REPORTS_REVIEW_H

#include "rebalance/io/groups.h"
#include "rebalance/io/npy.h"
#include "reports/real_images.h"
#include "reports/review_log.h"

struct ek_review_cluster {
	uint64_t size;   /* real images, by audit.json */
	double share;    /* of all */
	char *mostly;    /* "mostly frog, 1–20", by audit.json; or NULL */
	int is_tail;     /* one of the audit's tail clusters */
	uint64_t images; /* generated ones that lie in it */
};

/* A label that images have. */
enum { EK_REVIEW_SUREST = 4 };
struct ek_review_label {
	char *name;
	uint64_t images, doubted;
	uint64_t surest[EK_REVIEW_SUREST]; /* ids */
	size_t surest_count;
};

/* That of image queue[i] is doubted. */
struct ek_review_doubt {
	uint32_t given, suggested;    /* indexes into names */
	double probability, of_given; /* of the one suggested, and of the one given (NaN: not known) */
};

struct ek_review_labels {
	char *by; /* "label", an attribute, "labels of FILE" */
	struct ek_review_label *names;
	size_t name_count;
	struct ek_review_doubt *doubts; /* [count] in the order of the queue */
	uint32_t *order;                /* [count] places in the queue, by id */
};

struct ek_review {
	const struct ek_run *run;
	char *name, *folder; /* of the samples, RUN/samples/NAME; of labels: of the scores, NULL */
	uint64_t count;
	struct ek_review_labels *labels; /* NULL: of samples. Else what is said of samples below is NULL and 0, and the
	                                    numbers in the queue are ids of images */
	uint64_t *seeds;                 /* [count] */
	char **made_for;                 /* [count] "cluster 4", or NULL: for nothing in particular */
	uint32_t *queue; /* [count] sample numbers in the order to review them: tail clusters first, small ones before
	                    large ones, within a cluster by number */
	const int32_t *cluster; /* [count] */
	const uint8_t *copied;  /* [count] 1: suspiciously near to a training image (copied.npy) */
	const int64_t *nearest; /* [count, neighbours] ids of real images, nearest first; -1: none */
	const float *distance;  /* [count, neighbours] */
	size_t neighbours;
	struct ek_review_cluster *clusters; /* [cluster_count] */
	size_t cluster_count;
	const float
		*of_group; /* [count, groups.count] probabilities of named groups (groups.npy); NULL: there are none */
	struct ek_groups groups;    /* of the run, where of_group is there */
	struct ek_real_images real; /* those of the run */
	char (*given)[65];          /* [count], by ek_review_index: the SHA-256 of the image that was given last, by
	                               ek_review_give; "": none yet */
	/* The rest is private. */
	struct ek_npy arrays[5];
	int held; /* descriptor of the folder, or -1 */
};

/* Until it is released, ek_review_keep_out fails for the folder of the samples. EK_EUSAGE: no such samples, or no
 * audit. EK_EDATA: a file that is damaged or does not fit the others. Release in any case. `run` stays open as long. */
int ek_review_open(struct ek_review *review, const struct ek_run *run, const char *name);
void ek_review_release(struct ek_review *review);
/* The same of the labels that RUN/scores/NAME doubts. EK_EUSAGE: no such scores, or not of label errors; there are none
 * that are doubted. */
int ek_review_open_labels(struct ek_review *review, const struct ek_run *run, const char *name);

/* Where in arrays [count] a sample, or an image whose label is doubted, has its place; -1: it is not in the review. */
int64_t ek_review_index(const struct ek_review *review, uint64_t sample);
/* The cluster, or the given label, of queue[place]. */
int32_t ek_review_unit(const struct ek_review *review, uint64_t place);
/* What was decided on all that are in the queue. */
void ek_review_outcomes(uint64_t counts[EK_REVIEW_OUTCOMES], const struct ek_review *review,
                        const struct ek_review_log *log);
/* The label that an image has by now, of those that are judged; NULL: none, or images.jsonl does not tell. Valid as
 * long as `row`. */
const char *ek_review_label_of(const struct ek_review *review, const struct ek_image_record *row);

/* Before the samples in `folder` are made anew: EK_EUSAGE if somebody reviews them, and until `*fd` is closed no review
 * of them begins. -1: the folder is not there. */
int ek_review_keep_out(int *fd, const char *folder);

/* Clear `bytes` and read the image of a sample, a PNG or JPEG; `sha256` (may be NULL): of its file. EK_EUSAGE: no such
 * sample; EK_EIO; EK_EDATA: no image. */
int ek_review_image(struct ek_buffer *bytes, char sha256[65], struct ek_review *review, uint64_t sample);
/* The same, for a reviewer to look at: what was given is remembered. With a `sha256` that is not "": EK_EUSAGE, and
 * `*is_other` 1, if the image has another. */
int ek_review_give(struct ek_buffer *bytes, int *is_other, struct ek_review *review, uint64_t sample,
                   const char *sha256);
/* Void the decisions of `log` on images that have been made anew since, or are no longer there, or have another label
 * by now; says so. */
int ek_review_void_stale(struct ek_review_log *log, struct ek_review *review);

#endif
