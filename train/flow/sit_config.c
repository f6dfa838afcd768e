/* Names, ranges and files of configurations. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "train/flow/sit.h"

static const struct {
	const char *name;
	int depth, width, heads;
} sizes[] = {
	{ "S", 12, 384, 6 },
	{ "B", 12, 768, 12 },
	{ "L", 24, 1024, 16 },
	{ "XL", 28, 1152, 16 },
};
enum { SIZES = sizeof sizes / sizeof *sizes };

/* Every member: its key, and its range. */
static const struct {
	const char *name;
	size_t offset;
	int low, high;
} members[] = {
	{ "depth", offsetof(struct ek_sit_config, depth), 1, 1024 },
	{ "width", offsetof(struct ek_sit_config, width), 4, 1 << 14 },
	{ "heads", offsetof(struct ek_sit_config, heads), 1, 1 << 10 },
	{ "patch", offsetof(struct ek_sit_config, patch), 1, 64 },
	{ "side", offsetof(struct ek_sit_config, side), 1, 4096 },
	{ "channels", offsetof(struct ek_sit_config, channels), 1, 1024 },
	{ "classes", offsetof(struct ek_sit_config, classes), 0, 1 << 24 },
	{ "learned_sigma", offsetof(struct ek_sit_config, learned_sigma), 0, 1 },
};
enum { MEMBERS = sizeof members / sizeof *members };

static int *member(struct ek_sit_config *config, int i)
{
	return (int *)(void *)((unsigned char *)config + members[i].offset);
}

int ek_sit_config_check(const struct ek_sit_config *config)
{
	struct ek_sit_config c = *config;

	for (int i = 0; i < MEMBERS; i++)
		if (*member(&c, i) < members[i].low || *member(&c, i) > members[i].high)
			return ek_fail(EK_EUSAGE, "SiT: %s is %d, must be %d to %d", members[i].name, *member(&c, i),
			               members[i].low, members[i].high);
	if (c.width % 4 != 0 || c.width % c.heads != 0)
		return ek_fail(EK_EUSAGE, "SiT: width %d must be a multiple of 4 and of the %d heads", c.width,
		               c.heads);
	if (c.side % c.patch != 0)
		return ek_fail(EK_EUSAGE, "SiT: side %d is no multiple of the patch, %d", c.side, c.patch);
	return 0;
}

int ek_sit_config_name(struct ek_sit_config *config, const char *name)
{
	char size[3];
	int patch, end = 0;

	if (sscanf(name, "SiT-%2[A-Z]/%2d%n", size, &patch, &end) == 2 && name[end] == 0 && patch > 0)
		for (int i = 0; i < SIZES; i++)
			if (strcmp(size, sizes[i].name) == 0) {
				config->depth = sizes[i].depth;
				config->width = sizes[i].width;
				config->heads = sizes[i].heads;
				config->patch = patch;
				return 0;
			}
	return ek_fail(EK_EUSAGE, "no model %s: there are SiT-S, -B, -L and -XL, each with a patch, as SiT-S/2", name);
}

int ek_sit_config_write(cJSON *object, const struct ek_sit_config *config)
{
	struct ek_sit_config c = *config;
	int rc = 0;

	for (int i = 0; i < MEMBERS; i++)
		EK_TRY(ek_json_add_double(object, members[i].name, *member(&c, i)));
out:
	return rc;
}

int ek_sit_config_read(struct ek_sit_config *out, const cJSON *object, const char *where)
{
	struct ek_sit_config c = { 0 };
	int rc = 0;

	for (int i = 0; i < MEMBERS; i++) {
		uint64_t value;

		EK_TRY(ek_json_get_u64(&value, object, members[i].name, where));
		if (value > (uint64_t)members[i].high)
			return ek_fail(EK_EDATA, "%s: %s is %llu, at most %d is possible", where, members[i].name,
			               (unsigned long long)value, members[i].high);
		*member(&c, i) = (int)value;
	}
	if (ek_sit_config_check(&c) < 0)
		return ek_fail(EK_EDATA, "%s: depth, width, heads, patch and side do not fit together", where);
	*out = c;
out:
	return rc;
}
