#include "analysis/embed/encoder.h"

#include <stdio.h>
#include <string.h>

#include "rebalance/base/error.h"

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
