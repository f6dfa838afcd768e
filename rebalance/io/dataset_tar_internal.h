/*
 * Tars from within: dataset_tar.c goes from member to member and gathers samples, dataset_tar_beside.c gives their
 * images what lies beside them.
 */
#ifndef EK_IO_DATASET_TAR_INTERNAL_H
#define EK_IO_DATASET_TAR_INTERNAL_H

#include <string.h>

#include "rebalance/io/dataset_internal.h"
#include "rebalance/io/sidecars.h"
#include "rebalance/io/tar.h"
#include "rebalance/io/tar_index.h"

enum {
	EK_TARS_HELD = 16, /* of one sample, until what lies beside them is known */
	EK_TARS_STEM = UINT16_MAX,
	EK_TARS_FILTER = 1 << 17 /* of 64 bits: 1 MiB */
};

struct ek_tars {
	size_t next; /* of d->paths */
	struct ek_tar *tar;
	struct ek_tar_member member;
	struct ek_tar_index *index; /* of this tar, where a hard link was met */
	int pending;                /* `member` has not been taken */
	int closing; /* the sample is whole: hand out its images, then begin another: enum boundary, or 0 */
	/* The sample: neighbours whose names agree up to the first dot of the last part. */
	struct ek_buffer key, last; /* and the stem of the last member */
	int open;                   /* it has members */
	int is_repeat;              /* it began because a name was there again */
	unsigned lacking;           /* kinds that an image of it lacked when it was given out, a bit each */
	struct ek_dataset_item images[EK_TARS_HELD];
	size_t first, held;           /* a ring */
	uint64_t stems[EK_TARS_HELD]; /* hashes, of the last images of the sample; a ring */
	size_t stem_count;
	/* What lies beside images of this tar; from `start` on, of this sample. */
	struct ek_sidecars *sidecars;
	size_t start;
	int complete; /* known from the walk before: nothing is added */
	/* Of each tar, what has no image beside it but one before it: for the second walk. [d->path_count] */
	struct ek_sidecars **kept;
	int is_second;
	uint64_t *filter; /* the names of images that were given and lack something: a Bloom filter, or NULL */
	struct ek_buffer text, name;
};

static inline size_t ek_tar_last_part(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash != NULL ? (size_t)(slash - name) + 1 : 0;
}

/* Without the last extension. */
static inline size_t ek_tar_stem_size(const char *name)
{
	const size_t start = ek_tar_last_part(name);
	const char *dot = strrchr(name + start, '.');

	return dot != NULL ? (size_t)(dot - name) : strlen(name);
}

struct ek_sidecar_form {
	const char *extension;
	int (*take)(struct ek_dataset_item *, struct ek_buffer *);
};
extern const struct ek_sidecar_form ek_sidecar_forms[EK_SIDECAR_KINDS];

/* The kind of sidecar that the name is of, or EK_SIDECAR_KINDS. */
enum ek_sidecar_kind ek_sidecar_kind_of(const char *name);
/* Give the image its label and attributes, and note what it lacks. */
int ek_tars_complete(struct ek_dataset *d, struct ek_tars *t, struct ek_dataset_item *item);
/* Which sidecars of the sample images want that were given out before: in other samples, if none of this one has it
 * (if one has, it is kept in mind); in this one, if it was too large to hold. Not of a repeated name: who can tell
 * which of the two they belong to. */
int ek_tars_find_late(struct ek_tars *t);

#endif
