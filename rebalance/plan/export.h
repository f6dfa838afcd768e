/*
 * Laying a subset out for a trainer: RUN/subsets/NAME/keep.npy (int64 ids, repeats allowed) becomes a directory that
 * other programs read as it is.
 *
 *	links        DIR/NAME…: symbolic links to the source files, in the folders they have in the data set
 *	copies       the same with copies, byte for byte; bare pixels (IDX) become PNG
 *	imagefolder  DIR/CLASS/NAME: copies (or links) in one folder per class
 *	tar          DIR/000000.tar …: WebDataset shards; a sample is KEY.jpg or .png, KEY.json and, if it has a class,
 *	             KEY.cls; KEY is "ID-PLACE", the image's id and its place in keep.npy, so repeats differ
 *	list         DIR/paths.txt: one path a line (or each with a NUL behind it)
 *
 * links, copies and imagefolder go by id, since a folder has no order, and write DIR/metadata.jsonl, a line per file in
 * the manner of Hugging Face's ImageFolder. tar and list keep the order of keep.npy.
 *
 * A row of metadata.jsonl, and KEY.json: file_name (relative to DIR; not in KEY.json), id, original (file_name of
 * images.jsonl), cluster, distance, rank, weight (of the sampler that was named, else 1), repeat (from 0; not in
 * KEY.json), label and all attributes; one of those that has the name of an earlier member gets a "_" behind it.
 *
 * The folder of a class has its name, made safe as below; one that is another's already gets "~2", "~3" …: as many
 * folders as classes. Images without a class are in none/.
 *
 * Names inside DIR are those of the data set, but: bytes that are not UTF-8, and control characters, are "_"; so is
 * "..", and a leading "." of a part; a part is at most 200 bytes long; a name without an image's ending gets one. A
 * name that is taken gets "~idN" before its ending, a repeat "~2", "~3" …: nothing is overwritten.
 *
 * Bytes do not depend on time or threads. Memory does not grow with the number of images, but for: a keep.npy that is
 * not in rising order (8 bytes per kept image, or n / 8 bytes where its order is kept) and `by` other than cluster and
 * label (4 bytes per image of the run).
 */
#ifndef EK_PLAN_EXPORT_H
#define EK_PLAN_EXPORT_H

#include <stdint.h>

#include "rebalance/io/run.h"

enum ek_export_form {
	EK_EXPORT_LINKS,
	EK_EXPORT_COPIES,
	EK_EXPORT_TAR,
	EK_EXPORT_LIST,
	EK_EXPORT_IMAGEFOLDER,
};

struct ek_export_options {
	const char *subset; /* NAME */
	const char *output; /* DIR */
	enum ek_export_form form;
	const char *by;        /* class: as units.h; NULL: cluster for imagefolder, for tar the label if there is one */
	const char *weights;   /* the sampler whose weights go into the rows, or NULL */
	uint64_t shard_bytes;  /* tar: a shard ends before it gets larger, unless one sample is; ≥ 1 */
	uint64_t shard_images; /* tar: or before it holds more; 0: any number */
	int links;             /* imagefolder: links, not copies */
	int null_separated;    /* list: a NUL behind each path */
	int verify;            /* links and list: compare the SHA-256 of every source, too (others always do) */
	int keep_going;        /* export what can be, although some cannot */
	int force;             /* replace an export of ours */
};
#define EK_EXPORT_OPTIONS_INIT                                                                                         \
	{                                                                                                              \
		.shard_bytes = 1000000000                                                                              \
	}

struct ek_export_result {
	uint64_t images;  /* samples written, each repeat counted */
	uint64_t bytes;   /* of images, as written */
	uint64_t missing; /* entries of keep.npy whose source is gone or has changed */
	uint64_t shards;  /* tar */
};

/*
 * Everything is written to DIR.evenkeel-partial, synced, and renamed to DIR at the end. What a killed export left there
 * is removed first, saying so; a failed or interrupted one removes it itself. DIR/.evenkeel-export says which run and
 * subset it came from.
 *
 * EK_EUSAGE: DIR is there (and not an export of this run, or not `force`, or holds what no export wrote), an image
 * that this form cannot hold. EK_EDATA: no such subset, or a stale one (subset.h); ids outside the run; or sources that
 * are missing or changed: they are counted and the first is named, then nothing is exported, or with `keep_going` the
 * others are, and DIR/missing.jsonl lists them.
 * `*result` is filled in any case.
 */
int ek_export(struct ek_export_result *result, struct ek_run *run, const struct ek_export_options *options);

#endif
