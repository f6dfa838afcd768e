#include "rebalance/cli/demo_changes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/json.h"
#include "rebalance/base/memory.h"
#include "rebalance/cli/text.h"
#include "reports/comparison.h"

struct evaluation {
	cJSON *json;
	double coverage, distance, share, images;
	struct ek_compared seeds[2]; /* of coverage and distance, over the sets */
};

static const cJSON *member(const cJSON *object, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* A number, or the value of a measure that has an interval; NaN where it could not be measured. */
static double value_of(const cJSON *item)
{
	if (cJSON_IsObject(item))
		item = member(item, "value");
	return cJSON_IsNumber(item) ? item->valuedouble : NAN;
}

static struct ek_compared over_seeds(const cJSON *spread)
{
	const double n = value_of(member(spread, "n"));

	return (struct ek_compared){ .value = value_of(member(spread, "mean")),
		                     .low = NAN,
		                     .high = NAN,
		                     .deviation = value_of(member(spread, "std")),
		                     .seeds = n > 0 ? (uint64_t)n : 0 };
}

static int load(struct evaluation *e, const char *run, const char *name)
{
	const cJSON *tail, *spread;
	char *path = NULL;
	int rc;

	EK_TRY(ek_format(&path, "%s/evaluations/%s.json", run, name));
	EK_TRY(ek_json_load(&e->json, path));
	tail = member(e->json, "tail");
	spread = member(e->json, "spread");
	e->coverage = value_of(member(tail, "coverage"));
	e->distance = value_of(member(e->json, "frechet_distance"));
	e->seeds[0] = over_seeds(member(spread, "tail_coverage"));
	e->seeds[1] = over_seeds(member(spread, "frechet_distance"));
	e->share = value_of(member(tail, "generated_share"));
	e->images = value_of(member(tail, "reference_images"));
out:
	free(path);
	return rc;
}

/* As `compare` judges it. */
static const char *certainty(const struct evaluation *a, const struct evaluation *b, int measure)
{
	switch (ek_comparison_verdict(&a->seeds[measure], &b->seeds[measure])) {
	case EK_DIFFERENCE_BEYOND:
		return "more than other seeds change";
	case EK_DIFFERENCE_WITHIN:
		return "no more than other seeds change";
	default:
		return "how much of it is chance is not known";
	}
}

int ek_demo_changes_print(const char *run)
{
	struct evaluation natural = { 0 }, equal = { 0 }, weighted = { 0 };
	char a[32], b[32], c[32], d[32], e[32];
	int rc;

	EK_TRY(load(&natural, run, "natural"));
	EK_TRY(load(&equal, run, "natural-equal"));
	EK_TRY(load(&weighted, run, "weighted"));
	if (!isfinite(natural.coverage + equal.coverage + weighted.coverage)) {
		(void)printf("\nWhat balancing changed for the small clusters could not be measured: "
		             "%s/evaluations say why.\n",
		             run);
		goto out;
	}
	(void)printf("\nWhat balancing changed for the %d smallest clusters: of %s photographs of theirs that no step "
	             "had seen, what was generated covers %s with training and sampling balanced and %s without (%s); "
	             "their share of what is generated went from %s to %s, the Fréchet distance to all photographs "
	             "from %.1f to %.1f (%s).\n",
	             cJSON_GetArraySize(member(member(weighted.json, "tail"), "clusters")),
	             ek_text_count(a, natural.images > 0 ? (uint64_t)natural.images : 0),
	             ek_text_percent(b, weighted.coverage), ek_text_percent(c, natural.coverage),
	             certainty(&weighted, &natural, 0), ek_text_percent(d, natural.share),
	             ek_text_percent(e, weighted.share), natural.distance, weighted.distance,
	             certainty(&weighted, &natural, 1));
	(void)printf("Asking the generator of the images as they come for as many of every cluster gives %s and a "
	             "distance of %.1f; what training by the sampler adds to that coverage is %s.\n",
	             ek_text_percent(a, equal.coverage), equal.distance, certainty(&weighted, &equal, 0));
out:
	cJSON_Delete(natural.json);
	cJSON_Delete(equal.json);
	cJSON_Delete(weighted.json);
	return rc;
}
