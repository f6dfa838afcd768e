/*
 * The embedding pass: RUN/images.jsonl to RUN/embeddings.npy and RUN/embeddings.json.
 *
 * Every worker takes the next batch of images, decodes, resizes and runs it on its own single-threaded state, so
 * reading, decoding and inference overlap over threads. Of a GPU's larger batches all workers decode and resize parts,
 * to where they are sent from, and none waits for what the GPU computes unless it has four batches to do; rows are
 * written in order as they are finished. A killed pass goes on where it was (at most a few seconds are done again), and
 * the final bytes are those of an undisturbed pass, for any number of threads. They may differ in the last bits between
 * processors and versions of oneDNN.
 *
 *     EK_TRY(ek_embed_prepare(&e, run, &options));
 *     EK_TRY(ek_run_is_current(&current, &reason, run, ek_embed_step(e)));
 *     if (!current)
 *         EK_TRY(ek_embed_run(e, run));    then ek_run_record with ek_embed_step(e)
 * out:
 *     ek_embed_free(e);
 *
 * embeddings.json: {"encoder", "weights": {"file", "sha256"} or null, "input_size", "precision" ("float32" or
 * "bfloat16"), "preprocessing": {"resize", "crop", "interpolation", "mean", "deviation"}, "dimensions", "images",
 * "dtype", "normalised": false}.
 */
#ifndef EK_EMBED_EMBED_H
#define EK_EMBED_EMBED_H

#include "analysis/embed/encoder.h"
#include "rebalance/io/npy.h"
#include "rebalance/io/run.h"
#include "train/nn/tensor.h"

struct ek_embed_options {
	const char *encoder;            /* NULL: efficientnet-lite0 */
	const char *weights;            /* a file, or NULL: looked for (weight_files.h) */
	int input_size;                 /* pixels; 0: chosen by the encoder and the images (encoder.h) */
	int resize;                     /* pixels that the shorter side is brought to; 0: chosen likewise. With both an
	                                   image is embedded as one of another run */
	enum ek_nn_precision precision; /* EK_NN_AUTO: bfloat16 where the processor has it in hardware */
	enum ek_dtype storage;          /* EK_F32 or EK_F16; rows beyond half precision's range become infinite */
};
#define EK_EMBED_OPTIONS_DEFAULT                                                                                       \
	{                                                                                                              \
		.encoder = NULL, .storage = EK_F32                                                                     \
	}

/* A pass whose every choice is made: encoder, weight file and its hash, input side, precision. */
struct ek_embed;

/* Resolve the options against the run's images and the weight files there are. Reads the weight file once (for its
 * hash) and the head of images.jsonl; builds nothing yet. `options` is not kept.
 * EK_EUSAGE (unknown encoder, impossible side), EK_EDATA (no weight file: the message says which is wanted, where it is
 * published and where it was looked for; or one that was found has not the hash it is published with), EK_ENOTSUP (bf16
 * asked for without hardware), EK_EIO. */
int ek_embed_prepare(struct ek_embed **out, const struct ek_run *run, const struct ek_embed_options *options);
void ek_embed_free(struct ek_embed *e);

/* The step as run.json knows it ("embed"); belongs to `e`. */
const struct ek_step *ek_embed_step(const struct ek_embed *e);

/* Multiply-adds for so many images, or 0: all there are; at the least. */
double ek_embed_work(const struct ek_embed *e, uint64_t images);

/* Do it. The run must be open for writing. EK_EDATA naming an image that does not decode (it was changed after the
 * scan) or a tensor that does not fit the encoder, EK_EIO, EK_ENOMEM, EK_EINTERRUPTED (the same call goes on). */
int ek_embed_run(struct ek_embed *e, const struct ek_run *run);
/* The same to the file `array`, ending in .npy, of an existing folder, with its .json beside it. */
int ek_embed_to(struct ek_embed *e, const struct ek_run *run, const char *array);

#endif
