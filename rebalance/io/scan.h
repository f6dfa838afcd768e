/*
 * The first step of a run: list and check every image of a data set.
 *
 * Writes RUN/images.jsonl and RUN/rejected.jsonl, both atomically, and records the step "scan" with counts {images,
 * rejected, unread, other_files, held_out, bytes, warnings, kind, root, left_out, unused}. A bad image is a row of
 * rejected.jsonl. Files are read, hashed and checked in parallel; the rows are the same for any thread count. Memory
 * does not depend on the number of images.
 *
 * A file that cannot be read (no permission, an error of the disk, too many open files) is not a bad image: it is tried
 * again at once, then warned of, and its row says "unread": true. As soon as one of those can be read, the step is no
 * longer current (ek_scan_is_current).
 *
 * Embeddings alone (.npy): neither file is written; counts {images: rows, dimensions, kind, root, embeddings}.
 */
#ifndef EK_IO_SCAN_H
#define EK_IO_SCAN_H

#include "rebalance/io/image.h"
#include "rebalance/io/run.h"

enum ek_scan_check {
	EK_SCAN_DECODE, /* all of every image decodes */
	EK_SCAN_HEADER  /* its header is sound */
};

struct ek_scan_options {
	const char *const *datasets; /* [dataset_count], as given by the user; see dataset.h */
	size_t dataset_count;
	const char *attributes;                      /* a table, or NULL */
	const char *key;                             /* its column of file names, or NULL (table.h) */
	const char *const *include, *const *exclude; /* patterns, see patterns.h */
	size_t include_count, exclude_count;
	uint64_t max_pixels;
	enum ek_scan_check check;
	double held_out; /* 0 … 1: this share of the images, chosen by their content, gets "held_out": true */
};
#define EK_SCAN_OPTIONS_INIT                                                                                           \
	{                                                                                                              \
		.max_pixels = EK_MAX_PIXELS_DEFAULT                                                                    \
	}

/* The step as ek_run_is_current wants it. `*options_json` (cJSON_Delete it after the step's use) holds absolute paths,
 * a cheap fingerprint of the data (dataset.h) and the options. look: 0: files are not looked at, for a run without a
 * scan to compare with; then it returns 1 if there is nothing to scan, of which scanning tells. EK_EUSAGE, EK_EDATA,
 * EK_EIO: as for scanning. */
int ek_scan_step(struct ek_step *step, cJSON **options_json, const struct ek_scan_options *options, int look);

/* As ek_run_is_current, of that step, and none of the files that could not be read can be read now: they are warned of
 * again. */
int ek_scan_is_current(int *current, const char **reason, struct ek_run *run, const struct ek_step *step);

/* EK_EIO: too many open files, for one image after the other. EK_EDATA: no image at all, all rejected (the first reason
 * is told), or attributes that do not fit. Nothing of the run is changed then. */
int ek_scan(struct ek_run *run, const struct ek_scan_options *options);

#endif
