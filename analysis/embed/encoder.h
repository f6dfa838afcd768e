/*
 * Encoders: networks that turn an image into a vector, one row of a table each, and the rule that chooses the side
 * of the square they see.
 *
 * Preprocessing is that of each network's own code, to the pixel:
 *
 * - efficientnet-lite0: 1280, the mean of the last feature map. timm's: the shorter side to 256 bicubic (8/7 of the
 *   side, rounded down), the middle 224; (x - 127) / 128 as the published weights want it.
 * - clip-vit-b32, -l14: 512, 768: the projected image embedding, not normalised. OpenAI's and open_clip's: the shorter
 *   side to 224 bicubic, the middle.
 * - dinov2-vits14, -vitb14, -vitl14, each also -reg: 384, 768, 1024: the class token after the last norm.
 *   facebookresearch's evaluation: the shorter side to 256 bicubic, the middle 224.
 * - inception-fid: 2048: pool3. pytorch-fid's: both sides to 299 by torch's bilinear without antialiasing, -1 … 1.
 * - pixels: 3 · side · side: the picture itself, 0 … 1; both sides to 16, box filter.
 */
#ifndef EK_EMBED_ENCODER_H
#define EK_EMBED_ENCODER_H

#include <stddef.h>
#include <stdint.h>

#include "rebalance/io/resize.h"

enum ek_crop {
	EK_CROP_NONE,  /* both sides are brought to the input side */
	EK_CROP_CENTRE /* the shorter side is brought to `resize`, then the middle is cut out */
};

enum ek_interpolation {
	EK_INTERPOLATION_PILLOW, /* antialiased, 8 bit: rebalance/io/resize.h with `filter` */
	EK_INTERPOLATION_TORCH   /* torch's F.interpolate, bilinear, not antialiased, float */
};

/* A public file of an encoder's weights. */
struct ek_weight_file {
	const char *file;         /* its name in our and in torch.hub's cache */
	const char *hugging_face; /* repository that publishes it as model.safetensors; NULL: another place */
	const char *published;    /* address or package; NULL: hugging_face says it */
	unsigned megabytes;       /* size in 10^6 bytes, rounded */
	const char *sha256;       /* as many leading hex digits as its publisher gives; "": none */
};

/* Of a vision transformer (vit.h). */
struct ek_vit {
	int width, layers, heads, patch, grid; /* grid: patches on a side of the published positions */
	int registers, projection;             /* projection: features; 0: none */
	double epsilon;
	const struct ek_vit_names *const *names; /* ways of writing the tensors, the usual one first; ends with NULL */
};

struct ek_net;
struct ek_weights;

struct ek_encoder {
	const char *name, *summary;
	/* Adds the layers of the network to `net`, whose parameters are those taken into `w`, and checks that nothing
	 * in the file is left. image: [side, side, 3] as the network sees it. Returns the features, a float32 vector,
	 * or a negative code. NULL: the pixels are the features, and there are no weights. */
	int (*build)(struct ek_net *net, struct ek_weights *w, int image, const struct ek_encoder *encoder);
	const struct ek_vit *vit;           /* NULL: another network */
	const struct ek_weight_file *files; /* the preferred one first; ends with a NULL file */
	int fid;                            /* 1: Fréchet distances of its features are called FID */
	int dimensions;                     /* features; 0: 3 · side · side */
	int side;                           /* that it was trained or published for */
	int step;                           /* input sides are multiples of it */
	int smallest, largest;              /* input sides taken */
	int resize[2]; /* CENTRE: the shorter side becomes side · resize[0] / resize[1], rounded down */
	enum ek_crop crop;
	enum ek_interpolation interpolation;
	enum ek_filter filter;
	double mean[3], deviation[3]; /* of RGB in 0 … 1: the network sees (x - mean) / deviation */
	int adapts;                   /* 1: small images choose a smaller side (ek_encoder_input_side) */
	const char
		*activation; /* of the published network, by transformers' names; NULL: its file cannot have another */
};

/* All encoders (encoders.c), the default first; ends with a NULL name. */
extern const struct ek_encoder ek_encoders[];

/* By name. EK_EUSAGE listing the names. */
int ek_encoder_find(const struct ek_encoder **out, const char *name);

/* What is done to an image before the network sees it. */
struct ek_preprocessing {
	int side;   /* of the square input */
	int resize; /* the shorter side is brought to this first; = side: nothing but the longer side is cut */
	enum ek_crop crop;
	enum ek_interpolation interpolation;
	enum ek_filter filter;
	double mean[3], deviation[3];
};

/*
 * Choose the preprocessing. `asked`: an input side, or 0 for the encoder's own.
 * `median`: the median over images of the shorter side, or 0 if not known.
 *
 * The rule for asked = 0: an encoder that `adapts` gets 4 · median, rounded up to a multiple of 32, but at least 96
 * and at most its own side. Where the median image is smaller than the input side, such an encoder crops no margin
 * away (images of so few pixels have none to lose). So 28- and 32-pixel images give 128, and 49 pixels or more give
 * 224. On 4,000 CIFAR-10 images the 24 clusters' NMI with the labels is 0.388 at 128 without and 0.378 with the crop,
 * 0.398 at 160, at 1.5 times the work. EK_EUSAGE for a side the encoder cannot take.
 */
int ek_encoder_preprocessing(struct ek_preprocessing *out, const struct ek_encoder *encoder, int asked,
                             uint32_t median);

/* Features per image. */
size_t ek_encoder_dimensions(const struct ek_encoder *encoder, const struct ek_preprocessing *p);

/* "bicubic", "bilinear", "lanczos", "box". */
const char *ek_filter_name(enum ek_filter filter);

#endif
