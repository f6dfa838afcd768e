#include "rebalance/plan/balance.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"
#include "rebalance/base/text.h"
#include "rebalance/plan/quota.h"
#include "rebalance/plan/rule.h"
#include "rebalance/plan/subset.h"
#include "rebalance/plan/target.h"
#include "rebalance/plan/tree.h"

static const char clusters_file[] = "clusters/clusters.json";
static const char *const inputs[] = { EK_EFFECTS_INPUTS, "clusters/distance.npy", clusters_file, NULL };

/* What is asked for, in a word. */
static const char *method_of(const struct ek_balance_options *o)
{
	return o->smallest ? "smallest" : o->target != NULL ? "target" : "total";
}

static int check_options(const struct ek_balance_options *o)
{
	int rc;

	EK_TRY(ek_subset_check_name(o->name));
	EK_TRY(ek_rule_check(o->rule));
	if (o->smallest && (o->target != NULL || o->total > 0))
		return ek_fail(EK_EUSAGE, "'to' smallest goes with neither 'total' nor 'target'");
	if (!o->smallest && o->target == NULL && o->total == 0)
		return ek_fail(EK_EUSAGE, "to what? 'to' smallest, 'total' N or 'target' FILE");
	if (o->smallest && o->max_repeat != 1)
		return ek_fail(EK_EUSAGE, "'max-repeat' goes with 'total' or 'target': the smallest needs no repeats");
	if (!o->smallest && o->min_size > 0)
		return ek_fail(EK_EUSAGE, "'min-cluster' goes with 'to' smallest");
	if (o->target == NULL && o->normalise)
		return ek_fail(EK_EUSAGE, "'normalise' goes with 'target'");
out:
	return rc;
}

static int make_json(cJSON **out, const struct ek_balance_options *o)
{
	cJSON *json = cJSON_CreateObject();
	char hash[17];
	int rc;

	*out = json;
	EK_TRY(ek_json_add_string(json, "command", "balance"));
	EK_TRY(ek_json_add_string(json, "method", method_of(o)));
	EK_TRY(ek_json_add_string(json, "by", o->by));
	EK_TRY(ek_json_add_string(json, "rule", o->rule));
	EK_TRY(ek_json_add_u64(json, "total", o->total));
	EK_TRY(ek_json_add_u64(json, "max_repeat", o->max_repeat));
	EK_TRY(ek_json_add_u64(json, "min_cluster", o->min_size));
	EK_TRY(ek_json_add_u64(json, "seed", o->seed));
	EK_TRY(ek_json_add_bool(json, "lists", o->lists));
	if (o->target == NULL)
		goto out;
	EK_TRY(ek_hash64_file_hex(hash, o->target));
	EK_TRY(ek_json_add_string(json, "target", o->target));
	EK_TRY(ek_json_add_string(json, "target_xxh64", hash));
	EK_TRY(ek_json_add_bool(json, "normalise", o->normalise));
out:
	return rc;
}

/* Over the tree of clusters if there is one and clusters are what is counted. */
static int fill_quota(uint64_t *quota, const struct ek_run *run, const struct ek_units *units,
                      const struct ek_balance_options *o)
{
	struct ek_tree tree = { 0 };
	cJSON *clusters = NULL;
	char *path = NULL;
	int rc;

	EK_TRY(ek_run_file(&path, run, clusters_file));
	if (strcmp(o->by, "cluster") == 0 && ek_file_exists(path)) {
		EK_TRY(ek_json_load(&clusters, path));
		EK_TRY(ek_tree_read(&tree, clusters, units->k, path));
	}
	if (tree.levels > 0)
		rc = ek_tree_water_filling(quota, &tree, units->sizes, o->total, o->max_repeat, o->seed);
	else
		rc = ek_quota_water_filling(quota, units->sizes, units->k, o->total, o->max_repeat, o->seed);
out:
	ek_tree_release(&tree);
	cJSON_Delete(clusters);
	free(path);
	return rc;
}

static int target_quota(uint64_t *quota, const struct ek_units *units, const struct ek_balance_options *o)
{
	double *shares = NULL;
	uint64_t *cap = NULL, total = o->total;
	int rc;

	EK_TRY(ek_alloc(&shares, units->k, sizeof *shares));
	EK_TRY(ek_alloc(&cap, units->k, sizeof *cap));
	EK_TRY(ek_target_load(shares, units, o->target, o->normalise));
	for (uint32_t u = 0; u < units->k; u++) {
		char name[16];

		if (__builtin_mul_overflow(units->sizes[u], o->max_repeat, &cap[u]) || cap[u] > (uint64_t)1 << 52)
			cap[u] = (uint64_t)1 << 52;
		if (shares[u] > 0 && cap[u] == 0 && total == 0) {
			rc = ek_fail(EK_EDATA, "%s: the %s \"%s\" has a share, but no image", o->target, units->by,
			             ek_unit_name(name, units, u));
			goto out;
		}
	}
	if (total == 0)
		total = ek_quota_largest_total(shares, cap, units->k);
	else if (total > ek_quota_largest_total(shares, cap, units->k))
		ek_warn("%" PRIu64 " image%s cannot have the target shares: units that are too small are taken whole, "
		        "the others make up for them",
		        total, ek_text_s(total));
	EK_TRY(ek_quota_shares(quota, shares, cap, units->k, total));
out:
	free(shares);
	free(cap);
	return rc;
}

static int make_quota(uint64_t *quota, const struct ek_run *run, const struct ek_units *units,
                      const struct ek_balance_options *o)
{
	uint64_t total = 0;
	int rc;

	EK_TRY(o->smallest         ? ek_quota_smallest(quota, units->sizes, units->k, o->min_size)
	       : o->target != NULL ? target_quota(quota, units, o)
	                           : fill_quota(quota, run, units, o));
	for (uint32_t u = 0; u < units->k; u++)
		total += quota[u];
	if (total == 0)
		return ek_fail(EK_EDATA, "balanced like this, no image is kept");
	if (o->total > total)
		ek_warn("asked for %" PRIu64 " images, there %s only %" PRIu64 " with repeats up to %" PRIu64, o->total,
		        total == 1 ? "is" : "are", total, o->max_repeat);
out:
	return rc;
}

int ek_balance_select(struct ek_selection *out, const struct ek_run *run, const struct ek_balance_options *o)
{
	const struct ek_rule *rule = ek_rule_find(o->rule);
	struct ek_units units = { 0 };
	uint64_t *quota = NULL;
	uint32_t *keys = NULL;
	int rc;

	*out = (struct ek_selection){ 0 };
	EK_TRY(check_options(o));
	EK_TRY(ek_units_load(&units, run, o->by));
	EK_TRY(ek_alloc(&quota, units.k, sizeof *quota));
	EK_TRY(make_quota(quota, run, &units, o));
	EK_TRY(ek_alloc_aligned(&keys, units.n, sizeof *keys));
	EK_TRY(ek_rule_keys(keys, rule, run, &units, o->seed, "plan: random"));
	EK_TRY(ek_select(out, &units, &keys, quota, rule->middle, 0));
out:
	ek_units_release(&units);
	free(quota);
	free(keys);
	return rc;
}

struct balancing {
	const struct ek_balance_options *options;
	struct ek_subset subset;
	int64_t started;
	double clock;
};

static int make(void *context, struct ek_run *run, cJSON *counts)
{
	const struct balancing *b = context;
	struct ek_selection selection = { 0 };
	struct ek_effects effects = { 0 };
	int rc;

	(void)counts;
	EK_TRY(ek_balance_select(&selection, run, b->options));
	EK_TRY(ek_effects_open(&effects, run));
	EK_TRY(ek_subset_write(run, &b->subset, &selection, &effects, b->started, b->clock));
out:
	ek_selection_release(&selection);
	ek_effects_release(&effects);
	return rc;
}

int ek_balance(int *made, struct ek_run *run, const struct ek_balance_options *o, int force)
{
	struct balancing b = { .options = o,
		               .subset = { .name = o->name,
		                           .command = "balance",
		                           .method = method_of(o),
		                           .inputs = inputs,
		                           .lists = o->lists },
		               .started = (int64_t)time(NULL),
		               .clock = ek_clock() };
	const struct ek_work how = { .make = make, .context = &b };
	cJSON *json = NULL;
	int rc;

	*made = 0;
	EK_TRY(check_options(o));
	EK_TRY(make_json(&json, o));
	b.subset.options = json;
	EK_TRY(ek_subset_bring_up(made, run, &b.subset, &how, force));
out:
	cJSON_Delete(json);
	return rc;
}
