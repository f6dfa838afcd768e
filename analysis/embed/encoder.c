#include "analysis/embed/encoder.h"

#include <stdio.h>
#include <string.h>

#include "rebalance/base/error.h"

#define IMAGENET .mean = { 0.485, 0.456, 0.406 }, .deviation = { 0.229, 0.224, 0.225 }
#define OPENAI .mean = { 0.48145466, 0.4578275, 0.40821073 }, .deviation = { 0.26862954, 0.26130258, 0.27577711 }
#define CLIP(name_, summary_, dimensions_, step_)                                                                      \
	{                                                                                                              \
		.name = (name_), .summary = (summary_), .family = EK_FAMILY_VIT, .dimensions = (dimensions_),          \
		.side = 224, .step = (step_), .smallest = (step_), .largest = 896, .resize = { 1, 1 },                 \
		.crop = EK_CROP_CENTRE, .filter = EK_FILTER_BICUBIC, OPENAI, .needs_weights = 1,                       \
		.activation = "quick_gelu"                                                                             \
	}
#define DINOV2(name_, summary_, dimensions_)                                                                           \
	{                                                                                                              \
		.name = (name_), .summary = (summary_), .family = EK_FAMILY_VIT, .dimensions = (dimensions_),          \
		.side = 224, .step = 14, .smallest = 14, .largest = 1036, .resize = { 8, 7 }, .crop = EK_CROP_CENTRE,  \
		.filter = EK_FILTER_BICUBIC, IMAGENET, .needs_weights = 1, .activation = "gelu"                        \
	}

const struct ek_encoder ek_encoders[] = {
	{ .name = "efficientnet-lite0",
	  .summary = "EfficientNet-Lite0 of ImageNet: small and fast",
	  .family = EK_FAMILY_EFFICIENTNET,
	  .dimensions = 1280,
	  .side = 224,
	  .step = 1,
	  .smallest = 32,
	  .largest = 1024,
	  .resize = { 8, 7 },
	  .crop = EK_CROP_CENTRE,
	  .filter = EK_FILTER_BICUBIC,
	  .mean = { 127.0 / 255, 127.0 / 255, 127.0 / 255 },
	  .deviation = { 128.0 / 255, 128.0 / 255, 128.0 / 255 },
	  .adapts = 1,
	  .needs_weights = 1 },
	CLIP("clip-vit-b32", "CLIP ViT-B/32 image features, the paper's choice for faces", 512, 32),
	CLIP("clip-vit-l14", "CLIP ViT-L/14 image features", 768, 14),
	DINOV2("dinov2-vits14", "DINOv2 ViT-S/14, the paper's choice for ImageNet", 384),
	DINOV2("dinov2-vits14-reg", "DINOv2 ViT-S/14 with registers", 384),
	DINOV2("dinov2-vitb14", "DINOv2 ViT-B/14", 768),
	DINOV2("dinov2-vitb14-reg", "DINOv2 ViT-B/14 with registers", 768),
	DINOV2("dinov2-vitl14", "DINOv2 ViT-L/14", 1024),
	DINOV2("dinov2-vitl14-reg", "DINOv2 ViT-L/14 with registers", 1024),
	{ .name = "inception-fid",
	  .summary = "Inception v3 as the Frechet Inception distance uses it",
	  .family = EK_FAMILY_INCEPTION,
	  .dimensions = 2048,
	  .side = 299,
	  .step = 1,
	  .smallest = 299,
	  .largest = 299,
	  .crop = EK_CROP_NONE,
	  .interpolation = EK_INTERPOLATION_TORCH,
	  .filter = EK_FILTER_BILINEAR,
	  .mean = { 0.5, 0.5, 0.5 },
	  .deviation = { 0.5, 0.5, 0.5 },
	  .needs_weights = 1 },
	{ .name = "pixels",
	  .summary = "the picture itself, for tiny images and tests",
	  .family = EK_FAMILY_PIXELS,
	  .side = 16,
	  .step = 1,
	  .smallest = 1,
	  .largest = 256,
	  .crop = EK_CROP_NONE,
	  .filter = EK_FILTER_BOX,
	  .deviation = { 1, 1, 1 } },
	{ .name = NULL },
};

int ek_encoder_find(const struct ek_encoder **out, const char *name)
{
	char names[512] = "";
	size_t used = 0;

	for (const struct ek_encoder *e = ek_encoders; e->name != NULL; e++) {
		if (strcmp(e->name, name) == 0) {
			*out = e;
			return 0;
		}
		used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", used > 0 ? ", " : "", e->name);
	}
	return ek_fail(EK_EUSAGE, "there is no encoder \"%s\"; there are %s", name, names);
}

static int check_side(const struct ek_encoder *e, int side)
{
	if (side >= e->smallest && side <= e->largest && side % e->step == 0)
		return 0;
	if (e->smallest == e->largest)
		return ek_fail(EK_EUSAGE, "%s takes images of side %d only, not %d", e->name, e->side, side);
	return ek_fail(EK_EUSAGE, "%s takes input sides from %d to %d that are multiples of %d, not %d", e->name,
	               e->smallest, e->largest, e->step, side);
}

static int smaller(int a, int b)
{
	return a < b ? a : b;
}

/* The side for images whose median shorter side is `median`. */
static int adapted_side(const struct ek_encoder *e, uint32_t median)
{
	enum { ENLARGE = 4, STEP = 32, LEAST = 96 };
	int side;

	if (!e->adapts || median == 0 || median >= (uint32_t)e->side)
		return e->side;
	side = (ENLARGE * (int)median + STEP - 1) / STEP * STEP;
	return smaller(side < LEAST ? LEAST : side, e->side);
}

int ek_encoder_preprocessing(struct ek_preprocessing *out, const struct ek_encoder *encoder, int asked, uint32_t median)
{
	const int side = asked != 0 ? asked : adapted_side(encoder, median);
	int rc;

	if ((rc = check_side(encoder, side)) < 0)
		return rc;
	*out = (struct ek_preprocessing){ .side = side,
		                          .resize = side,
		                          .crop = encoder->crop,
		                          .interpolation = encoder->interpolation,
		                          .filter = encoder->filter };
	memcpy(out->mean, encoder->mean, sizeof out->mean);
	memcpy(out->deviation, encoder->deviation, sizeof out->deviation);
	if (encoder->crop == EK_CROP_CENTRE && !(encoder->adapts && median > 0 && median < (uint32_t)side))
		out->resize = side * encoder->resize[0] / encoder->resize[1];
	return 0;
}

size_t ek_encoder_dimensions(const struct ek_encoder *encoder, const struct ek_preprocessing *p)
{
	return encoder->dimensions != 0 ? (size_t)encoder->dimensions : (size_t)3 * (size_t)p->side * (size_t)p->side;
}

const char *ek_filter_name(enum ek_filter filter)
{
	static const char *const names[] = {
		[EK_FILTER_BILINEAR] = "bilinear",
		[EK_FILTER_BICUBIC] = "bicubic",
		[EK_FILTER_LANCZOS] = "lanczos",
		[EK_FILTER_BOX] = "box",
	};

	return names[filter];
}
