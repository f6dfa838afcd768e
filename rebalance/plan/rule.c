#include "rebalance/plan/rule.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/random.h"

const struct ek_rule ek_rules[] = {
	{ .name = "furthest", .help = "those furthest from their cluster's centroid", .falling = 1 },
	{ .name = "nearest", .help = "those nearest to it" },
	{ .name = "middle", .help = "those at middle distance", .falling = 1, .middle = 1 },
	{ .name = "random", .help = "any, drawn by the seed", .random = 1 },
	{ .name = NULL },
};

const struct ek_rule *ek_rule_find(const char *name)
{
	for (const struct ek_rule *r = ek_rules; r->name != NULL; r++)
		if (strcmp(r->name, name) == 0)
			return r;
	return NULL;
}

int ek_rule_check(const char *name)
{
	return ek_rule_find(name) != NULL
	               ? 0
	               : ek_fail(EK_EUSAGE, "'rule' is \"%s\", not furthest, nearest, middle or random", name);
}

int ek_rule_keys(uint32_t *keys, const struct ek_rule *rule, const struct ek_run *run, const struct ek_units *units,
                 uint64_t seed, const char *stream)
{
	struct ek_npy distance = { 0 };
	char *path = NULL;
	int rc;

	if (rule->random)
		return ek_order_random(keys, units->n, seed, ek_random_stream(stream));
	EK_TRY(ek_run_file(&path, run, "clusters/distance.npy"));
	EK_TRY(ek_npy_open(&distance, path));
	EK_TRY(ek_order_keys(keys, &distance, rule->falling, units, path));
out:
	ek_npy_close(&distance);
	free(path);
	return rc;
}
