#include "rebalance/pipeline/generate_classes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/io/layout.h"
#include "rebalance/base/file.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "rebalance/pipeline/condition.h"
#include "rebalance/plan/quota.h"
#include "rebalance/plan/target.h"

enum { COLUMNS = 10 };

static int find(const struct ek_flow_description *model, const char *name, size_t length)
{
	for (int k = 0; k < model->classes; k++)
		if (strlen(model->names[k]) == length && memcmp(model->names[k], name, length) == 0)
			return k;
	return -1;
}

/* `total` over the classes marked in quotas, as even as can be, the first ones one more. */
static void spread(struct ek_classes *c, uint64_t total)
{
	uint64_t marked = 0, place = 0;

	for (int k = 0; k < c->classes; k++)
		marked += c->quotas[k] > 0;
	for (int k = 0; k < c->classes; k++)
		if (c->quotas[k] > 0)
			c->quotas[k] = total / marked + (place++ < total % marked);
}

static int by_names(struct ek_classes *c, const struct ek_flow_description *model, const char *list, uint64_t total)
{
	for (const char *name = list;; name++) {
		const size_t length = strcspn(name, ",");
		const int k = find(model, name, length);

		if (k < 0)
			return ek_fail(
				EK_EUSAGE, "the model's condition %s has no class %.*s; the first is %s, the last %s",
				model->condition, (int)length, name, model->names[0], model->names[model->classes - 1]);
		c->quotas[k] = 1;
		name += length;
		if (*name == 0)
			break;
	}
	spread(c, total);
	return 0;
}

/* The tail clusters of the audit, `each` of each. */
static int by_minority(struct ek_classes *c, const struct ek_run *run, const struct ek_flow_description *model,
                       uint64_t each)
{
	const cJSON *tail, *item;
	cJSON *audit = NULL;
	char *path = NULL, name[16];
	int rc;

	if (strcmp(model->condition, "cluster") != 0)
		return ek_fail(EK_EUSAGE, "'minority' needs a model of the condition cluster, this one has %s",
		               model->condition);
	EK_TRY(ek_layout_path(&path, run, "audit.json", NULL));
	if (!ek_file_exists(path)) {
		rc = ek_fail(EK_EDATA, "'minority': there is no audit; run evenkeel audit %s", ek_run_path(run));
		goto out;
	}
	EK_TRY(ek_json_load(&audit, path));
	tail = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(audit, "skew"), "tail_clusters");
	cJSON_ArrayForEach(item, tail)
	{
		(void)snprintf(name, sizeof name, "%d", cJSON_IsNumber(item) ? item->valueint : -1);
		const int k = find(model, name, strlen(name));

		if (k < 0) {
			rc = ek_fail(EK_EDATA, "the model does not know cluster %s: the clusters have changed", name);
			goto out;
		}
		c->quotas[k] = each;
	}
	if (cJSON_GetArraySize(tail) == 0)
		rc = ek_fail(EK_EDATA, "'minority': the audit found no small clusters");
out:
	cJSON_Delete(audit);
	free(path);
	return rc;
}

static int by_shares(struct ek_classes *c, const struct ek_run *run, const struct ek_flow_description *model,
                     const char *file, uint64_t total)
{
	struct ek_units units = { 0 };
	uint64_t *caps = NULL, *quotas = NULL;
	double *shares = NULL;
	char text[16];
	int rc;

	EK_TRY(ek_units_load(&units, run, model->condition));
	EK_TRY(ek_alloc(&shares, units.k, sizeof *shares));
	EK_TRY(ek_alloc(&caps, units.k, sizeof *caps));
	EK_TRY(ek_alloc(&quotas, units.k, sizeof *quotas));
	EK_TRY(ek_target_load(shares, &units, file, 0));
	for (uint32_t u = 0; u < units.k; u++)
		caps[u] = total;
	EK_TRY(ek_quota_shares(quotas, shares, caps, units.k, total));
	for (uint32_t u = 0; u < units.k; u++) {
		const char *name = ek_unit_name(text, &units, u);
		const int k = find(model, name, strlen(name));

		if (k < 0 && quotas[u] > 0) {
			rc = ek_fail(EK_EUSAGE, "%s: the model does not know %s %s", file, model->condition, name);
			goto out;
		}
		if (k >= 0)
			c->quotas[k] = quotas[u];
	}
out:
	ek_units_release(&units);
	free(shares);
	free(caps);
	free(quotas);
	return rc;
}

/* As the classes are in the data. */
static int by_data(struct ek_classes *c, const struct ek_run *run, const struct ek_flow_description *model,
                   uint64_t total)
{
	struct ek_condition condition = { 0 };
	uint64_t *sizes = NULL, known = 0, *caps = NULL;
	double *shares = NULL;
	int rc;

	EK_TRY(ek_condition_load(&condition, run, model->condition));
	EK_TRY(ek_alloc(&sizes, (size_t)c->classes, sizeof *sizes));
	EK_TRY(ek_alloc(&caps, (size_t)c->classes, sizeof *caps));
	EK_TRY(ek_alloc(&shares, (size_t)c->classes, sizeof *shares));
	for (uint64_t i = 0; i < condition.images; i++)
		if (condition.codes[i] >= 0 && condition.codes[i] < c->classes) {
			sizes[condition.codes[i]]++;
			known++;
		}
	for (int k = 0; k < c->classes; k++) {
		shares[k] = (double)sizes[k] / (double)known;
		caps[k] = total;
	}
	EK_TRY(ek_quota_shares(c->quotas, shares, caps, (size_t)c->classes, total));
out:
	ek_condition_release(&condition);
	free(sizes);
	free(caps);
	free(shares);
	return rc;
}

static int fill(struct ek_classes *c, const struct ek_run *run, const struct ek_class_wish *w,
                const struct ek_flow_description *model)
{
	const uint64_t total = (uint64_t)w->count;

	if (w->cluster != NULL && strcmp(model->condition, "cluster") != 0)
		return ek_fail(EK_EUSAGE, "'cluster': the model's condition is %s; use 'class'", model->condition);
	if (w->cluster != NULL || w->names != NULL)
		return by_names(c, model, w->cluster != NULL ? w->cluster : w->names, total);
	if (w->minority)
		return by_minority(c, run, model, total);
	if (w->shares != NULL)
		return by_shares(c, run, model, w->shares, total);
	if (w->equal) {
		for (int k = 0; k < c->classes; k++)
			c->quotas[k] = 1;
		spread(c, total);
		return 0;
	}
	return by_data(c, run, model, total);
}

int ek_classes_choose(struct ek_classes *c, const struct ek_run *run, const struct ek_class_wish *w,
                      const struct ek_flow_description *model, const char *model_name)
{
	const int asked =
		(w->cluster != NULL) + (w->names != NULL) + (w->minority != 0) + (w->shares != NULL) + (w->equal != 0);
	uint64_t place = 0;
	int rc;

	*c = (struct ek_classes){ .classes = model->classes > 0 ? model->classes : 1 };
	if (asked > 1)
		return ek_fail(EK_EUSAGE, "give one of 'cluster', 'class', 'minority', 'equal' and 'shares'");
	if (asked > 0 && model->classes == 0)
		return ek_fail(EK_EUSAGE, "%s was trained without a condition: it makes no class on demand",
		               model_name);
	EK_TRY(ek_alloc(&c->quotas, (size_t)c->classes, sizeof *c->quotas));
	if (model->classes == 0)
		c->quotas[0] = (uint64_t)w->count;
	else
		EK_TRY(fill(c, run, w, model));
	for (int k = 0; k < c->classes; k++)
		c->count += c->quotas[k];
	EK_TRY(ek_alloc(&c->labels, c->count, sizeof *c->labels));
	for (int k = 0; k < c->classes; k++)
		for (uint64_t i = 0; i < c->quotas[k]; i++)
			c->labels[place++] = model->classes > 0 ? k : model->label;
out:
	return rc;
}

void ek_classes_seeds(uint64_t *seeds, const struct ek_classes *c, uint64_t seed,
                      const struct ek_flow_description *model)
{
	const uint64_t number = ek_random_stream("generate"), class = ek_random_stream("generate class");
	uint64_t place = 0;

	for (int k = 0; k < c->classes; k++) {
		const uint64_t key = model->classes > 0 ? ek_random_u64(seed, class, (uint64_t)k) : seed;

		for (uint64_t n = 0; n < c->quotas[k]; n++)
			seeds[place++] = ek_random_u64(key, number, n) >> 11;
	}
}

void ek_classes_release(struct ek_classes *c)
{
	free(c->labels);
	free(c->quotas);
	*c = (struct ek_classes){ 0 };
}

int ek_classes_describe(cJSON *config, const struct ek_classes *c, const struct ek_flow_description *model)
{
	cJSON *object;
	int rc = 0;

	if (model->classes == 0)
		return 0;
	EK_TRY(ek_json_add_object(&object, config, "classes"));
	for (int k = 0; k < c->classes; k++)
		if (c->quotas[k] > 0)
			EK_TRY(ek_json_add_u64(object, model->names[k], c->quotas[k]));
out:
	return rc;
}

uint64_t ek_classes_sheet(const struct ek_classes *c, uint64_t most, uint64_t *chosen, uint64_t *columns)
{
	uint64_t count = 0, first = 0, used = 0;
	int whole = 1;

	*columns = COLUMNS;
	for (int k = 0; k < c->classes; k++) {
		used += c->quotas[k] > 0;
		whole = whole && (c->quotas[k] == 0 || c->quotas[k] >= COLUMNS);
	}
	/* A row a class, if every class fills one. */
	if (used > 1 && whole && used * COLUMNS <= most) {
		for (int k = 0; k < c->classes; first += c->quotas[k++])
			for (uint64_t i = 0; c->quotas[k] > 0 && i < COLUMNS; i++)
				chosen[count++] = first + i;
		return count;
	}
	for (; count < c->count && count < most; count++)
		chosen[count] = count;
	return count;
}
