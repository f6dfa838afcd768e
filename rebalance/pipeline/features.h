/*
 * Features of images that do not belong to the run, made exactly as the run's own: generated images, a reference set.
 * Also the run's own images by another encoder. What was made is kept and used again while it is current.
 *
 * A data set is listed in RUN/cache/features/PLACE, as a run of its own that holds the scan alone; its features are
 * written where the caller says in the run, and recorded there as the step "features FILE". "made_from" in the .json
 * beside them says the same to who finds it alone.
 */
#ifndef EK_PIPELINE_FEATURES_H
#define EK_PIPELINE_FEATURES_H

#include "analysis/cluster/rows.h"
#include "analysis/embed/embed.h"
#include "rebalance/base/hash.h"
#include "rebalance/io/npz.h"
#include "rebalance/io/run.h"

/* How features are made: the network and all that decides what it gives. */
struct ek_feature_maker {
	char *encoder;              /* name; of a user's own embeddings "own:FILE" */
	char *weights;              /* file that was given, or NULL: looked for */
	char sha256[EK_SHA256_HEX]; /* of the weight file; "" without */
	int own;                    /* 1: nothing else can be embedded so */
	int other;                  /* 1: not the run's encoder */
	int again;                  /* 1: what is kept is not used, but made again */
	int input_size, resize;     /* pixels */
	enum ek_nn_precision precision;
	enum ek_dtype storage;
};

/* As the run's embeddings were made, by run.json and embeddings.json. EK_EDATA: it has none. */
int ek_feature_maker_of_run(struct ek_feature_maker *out, const struct ek_run *run);
/* Another encoder, with the choices (side, precision) that the images of the run make. EK_EUSAGE, EK_EDATA, as
 * ek_embed_prepare. */
int ek_feature_maker_other(struct ek_feature_maker *out, const struct ek_run *run, const char *encoder,
                           const char *weights);
/* The encoder made ready for images of `images`, to be freed with ek_embed_free. EK_EDATA: its weights are not those
 * that were used, or there is none (own). */
int ek_feature_maker_prepare(struct ek_embed **out, const struct ek_feature_maker *maker, const struct ek_run *images);
void ek_feature_maker_release(struct ek_feature_maker *maker);

struct ek_features {
	struct ek_npy array;
	struct ek_npz npz;   /* that it lies in, or closed */
	struct ek_rows rows; /* of all of it, as they are */
	char *path;          /* of the file */
};

/* Release in any case. */
void ek_features_release(struct ek_features *features);

/* An array of embeddings: .npy, or arr_0 of .npz. EK_EDATA unless it has `dimensions` columns (0: any). */
int ek_features_open(struct ek_features *out, const char *path, uint64_t dimensions);

/* Images from elsewhere. */
struct ek_feature_source {
	const char *dataset; /* as dataset.h takes it */
	const char *place;   /* a folder name: where they are listed */
	const char *array;   /* the file of the run that gets their features, ends in .npy */
	const char *input;   /* a file of the run that came with the images, or NULL */
	int whole;           /* 1: an image that is not usable is EK_EDATA, not a warning */
};

/* Their features, in the order of the scan. Goes on where it was stopped. The run must be open for writing. EK_EDATA:
 * `maker` is own, or its weights are not those that were used. */
int ek_features_of_dataset(struct ek_features *out, struct ek_run *run, const struct ek_feature_maker *maker,
                           const struct ek_feature_source *source);
/* Are the images of a recorded step "features FILE" not those any more that it was made of? `*reason`, to be freed,
 * says so, or is NULL. A data set that is away is taken as it was, and one that was moved with the run: the next
 * evaluation reads it. */
int ek_features_changed(char **reason, const struct ek_run *run, const cJSON *step);
/* Of the run's own images: its embeddings, or, of another encoder, made for it and kept in RUN/cache/features/run. */
int ek_features_of_run(struct ek_features *out, struct ek_run *run, const struct ek_feature_maker *maker);

#endif
