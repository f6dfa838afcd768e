/*
 * The user's own embeddings: a .npy file of another encoder, of any modality, as RUN/embeddings.npy.
 *
 * The file is [n, d] float16, float32 or float64, in either byte and memory order; it is mapped, so it may be larger
 * than memory. float16 stays float16, the others become float32. With a scanned run n must be the number of its images,
 * row i being image id i; without one (no images.jsonl) the embeddings stand alone and ids are row numbers. Refused,
 * with the row named: NaN, infinite (also: beyond the range of float32), all zero.
 *
 * Used as embed.h, in the place of the step "embed":
 *
 *     EK_TRY(ek_import_prepare(&i, run, path));
 *     EK_TRY(ek_run_is_current(&current, &reason, run, ek_import_step(i)));
 *     if (!current)
 *         EK_TRY(ek_import_run(i, run));    then ek_run_record with ek_import_step(i)
 * out:
 *     ek_import_free(i);
 *
 * embeddings.json: {"encoder": "own:FILE NAME", "weights": null, "dimensions", "images", "dtype", "normalised": false,
 * "source": absolute path, "xxh64": of the source}.
 */
#ifndef EK_EMBED_IMPORT_H
#define EK_EMBED_IMPORT_H

#include "rebalance/io/run.h"

enum { EK_IMPORT_MAX_DIMENSIONS = 1 << 20 };

struct ek_import;

/* What can be told wrong of the file before there is a run: its header. EK_EIO, EK_EDATA. */
int ek_import_check(const char *npy_path);

/* Look at the file: its header, size and time only. EK_EIO; EK_EDATA: not such an array, or another number of rows than
 * the run has images. */
int ek_import_prepare(struct ek_import **out, const struct ek_run *run, const char *npy_path);
void ek_import_free(struct ek_import *i);

/* The step as run.json knows it ("embed"), with the source's path, size and time among its options; belongs to `i`. */
const struct ek_step *ek_import_step(const struct ek_import *i);

/* Has the file the size and time that such options, as run.json kept them, say? 0 also where it is away. */
int ek_import_is_same(const cJSON *options, const char *path);

/* Check and convert every row, on all threads. What is allocated does not grow with the file; its map may become
 * resident, and goes when memory is short. The bytes do not depend on the threads, and after a kill the same call goes
 * on. The run must be open for writing. EK_EDATA naming the first row that cannot be used, EK_EIO, EK_ENOMEM,
 * EK_EINTERRUPTED. */
int ek_import_run(struct ek_import *i, const struct ek_run *run);

#endif
