#include "rebalance/cli/demo_changes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/json.h"
#include "rebalance/base/memory.h"
#include "rebalance/cli/text.h"

/* A measure over the seeds. */
struct measure {
	double value, std;
};

struct evaluation {
	cJSON *json;
	struct measure coverage, distance;
	double share, images;
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

static int load(struct evaluation *e, const char *run, const char *name)
{
	const cJSON *tail, *spread;
	char *path = NULL;
	int rc;

	EK_TRY(ek_format(&path, "%s/evaluations/%s.json", run, name));
	EK_TRY(ek_json_load(&e->json, path));
	tail = member(e->json, "tail");
	spread = member(e->json, "spread");
	e->coverage = (struct measure){ value_of(member(tail, "coverage")),
		                        value_of(member(member(spread, "tail_coverage"), "std")) };
	e->distance = (struct measure){ value_of(member(e->json, "frechet_distance")),
		                        value_of(member(member(spread, "frechet_distance"), "std")) };
	e->share = value_of(member(tail, "generated_share"));
	e->images = value_of(member(tail, "reference_images"));
out:
	free(path);
	return rc;
}

/* Does a - b exceed what other seeds make of it? Twice the deviation of the difference. */
static const char *certainty(struct measure a, struct measure b)
{
	const double noise = 2 * hypot(a.std, b.std);

	if (!(noise >= 0))
		return "how much of it is chance is not known";
	return fabs(a.value - b.value) > noise ? "more than other seeds change" : "no more than other seeds change";
}

int ek_demo_changes_print(const char *run)
{
	struct evaluation natural = { 0 }, equal = { 0 }, weighted = { 0 };
	char a[32], b[32], c[32], d[32], e[32];
	int rc;

	EK_TRY(load(&natural, run, "natural"));
	EK_TRY(load(&equal, run, "natural-equal"));
	EK_TRY(load(&weighted, run, "weighted"));
	if (!isfinite(natural.coverage.value + equal.coverage.value + weighted.coverage.value)) {
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
	             ek_text_percent(b, weighted.coverage.value), ek_text_percent(c, natural.coverage.value),
	             certainty(weighted.coverage, natural.coverage), ek_text_percent(d, natural.share),
	             ek_text_percent(e, weighted.share), natural.distance.value, weighted.distance.value,
	             certainty(weighted.distance, natural.distance));
	(void)printf("Asking the generator of the images as they come for as many of every cluster gives %s and a "
	             "distance of %.1f; what training by the sampler adds to that coverage is %s.\n",
	             ek_text_percent(a, equal.coverage.value), equal.distance.value,
	             certainty(weighted.coverage, equal.coverage));
out:
	cJSON_Delete(natural.json);
	cJSON_Delete(equal.json);
	cJSON_Delete(weighted.json);
	return rc;
}
