/*
 * The parts of a scan: what becomes of one candidate (scan_candidate.c), all of them in order (scan.c), and what the
 * step is made from and whether it is current (scan_step.c).
 */
#ifndef EK_IO_SCAN_INTERNAL_H
#define EK_IO_SCAN_INTERNAL_H

#include <stdatomic.h>

#include "rebalance/io/dataset_internal.h"
#include "rebalance/io/scan.h"

enum ek_candidate_verdict { EK_CANDIDATE_IMAGE, EK_CANDIDATE_REJECTED, EK_CANDIDATE_OTHER };

/* A candidate and what a worker found. */
struct ek_candidate {
	struct ek_dataset_item item;
	enum ek_candidate_verdict verdict;
	int held_out;
	uint64_t bytes;
	uint64_t content;     /* hash of its bytes and shape */
	uint64_t stamp;       /* of a file: what was seen of it (dataset.h) */
	struct ek_buffer row; /* of images.jsonl, without its id; or of rejected.jsonl */
	char reason[256];
	const char *known; /* of another file: what it is, or NULL */
	int unread;        /* it could not be read */
};

/* The bytes of a file, all of them if it is an image; a failure that may be a moment's is tried once more. `*stamp`:
 * what was seen of it before (dataset.h). EK_EIO, EK_EDATA: it cannot be read. */
int ek_candidate_read(struct ek_buffer *bytes, const char *path, uint64_t *stamp);
/* Read and check it, in any thread: fills all but `item`. scratch: for the bytes of a file; starved: shared, counts
 * files in a row that could not be opened because too many were. EK_ENOMEM; EK_EIO: none can be read, for want of
 * descriptors. */
int ek_candidate_examine(struct ek_candidate *c, const struct ek_scan_options *options, atomic_int *starved,
                         struct ek_buffer *scratch);
void ek_candidate_release(struct ek_candidate *c);

/* EK_EUSAGE: options that make no sense. */
int ek_scan_check(const struct ek_scan_options *options);
/* The step over a data set that is open, as ek_scan_step. */
int ek_scan_describe(struct ek_step *step, cJSON **options_json, const struct ek_scan_options *options,
                     const struct ek_dataset *dataset);

#endif
