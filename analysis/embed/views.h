/*
 * Views: an image with small changes that keep its meaning, and their features. What an encoder makes of them tells
 * which differences between images are only noise.
 *
 * A view is mirrored or not, cut to 0.7 … 1 of the area (both sides alike, anywhere), then its brightness and contrast
 * are changed by up to 20 % and its saturation by up to 30 %, each factor uniform. All is a function of the seed, the
 * image's content hash and the number of the view: not of its place in the data set, the batch or the threads.
 */
#ifndef EK_EMBED_VIEWS_H
#define EK_EMBED_VIEWS_H

#include "analysis/embed/embed.h"
#include "rebalance/io/image.h"

/* What is done to make a view. */
struct ek_view {
	int mirror;
	double area, x, y; /* of the cut: its share of the area; where it lies in the room there is, 0 … 1 */
	double brightness, contrast, saturation; /* factors */
};

/* View `number`, from 1 on, of the image with this SHA-256 in hex. */
struct ek_view ek_view_of(uint64_t seed, const char *sha256, int number);

/* `out` = the view of `in`, to be released. EK_ENOMEM. */
int ek_view_make(struct ek_image *out, const struct ek_image *in, const struct ek_view *view);

/* An encoder ready to embed views, with a state for each thread. */
struct ek_views;

/* `views`: of each image, from 1 on. `e` is prepared and must outlive it. EK_EUSAGE, and what ek_embed_run returns. */
int ek_views_new(struct ek_views **out, struct ek_embed *e, const struct ek_run *run, int views, uint64_t seed);
void ek_views_free(struct ek_views *v);
/* Features of an image. */
size_t ek_views_dimensions(const struct ek_views *v);

/* The features of the views of `count` images by their ids, to out [count, views, dimensions] float32. On all threads;
 * the same bytes for any number of them. EK_EDATA naming an image that does not decode, EK_EIO, EK_EINTERRUPTED. */
int ek_views_run(struct ek_views *v, const uint64_t *ids, uint64_t count, float *out);

#endif
