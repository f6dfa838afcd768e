#include "rebalance/cli/demo_changes.h"

#include <math.h>
#include <stdio.h>

#include "rebalance/base/error.h"
#include "rebalance/base/text.h"
#include "rebalance/pipeline/compare.h"

enum { NATURAL, EQUAL, WEIGHTED, EVALUATIONS };
static const char *const names[EVALUATIONS] = { "natural", "natural-equal", "weighted" };

struct evaluation {
	struct ek_compared coverage, share; /* of the small clusters */
	const struct ek_comparison_row *row;
};

static int load(struct evaluation *e, struct ek_comparison *c, struct ek_run *run, const char *name)
{
	const cJSON *json;
	int rc;

	EK_TRY(ek_compare_add(c, run, name));
	json = c->rows[c->count - 1].json;
	EK_TRY(ek_compared_read(&e->coverage, json, "tail.coverage", "tail_coverage", name));
	EK_TRY(ek_compared_read(&e->share, json, "tail.generated_share", "tail_share", name));
out:
	return rc;
}

static const char *certainty(const struct ek_compared *a, const struct ek_compared *b)
{
	return ek_difference_words[ek_comparison_verdict(a, b)];
}

static void print_changes(const struct evaluation *e)
{
	const cJSON *tail = cJSON_GetObjectItemCaseSensitive(e[WEIGHTED].row->json, "tail");
	const cJSON *images = cJSON_GetObjectItemCaseSensitive(tail, "reference_images");
	const struct ek_compared *fd[EVALUATIONS];
	char a[32], b[32], c[32], d[32], f[32];

	for (int i = 0; i < EVALUATIONS; i++)
		fd[i] = &e[i].row->values[EK_CMP_FD];
	(void)printf("\nWhat balancing changed for the %d smallest clusters: of %s photographs of theirs that no step "
	             "had seen, what was generated covers %s with training and sampling balanced and %s without, %s; "
	             "their share of what is generated went from %s to %s, the Fréchet distance to all photographs "
	             "from %.1f to %.1f, %s.\n",
	             cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(tail, "clusters")),
	             ek_text_count(a, cJSON_IsNumber(images) ? ek_whole(images->valuedouble) : 0),
	             ek_text_percent(b, e[WEIGHTED].coverage.value), ek_text_percent(c, e[NATURAL].coverage.value),
	             certainty(&e[WEIGHTED].coverage, &e[NATURAL].coverage), ek_text_percent(d, e[NATURAL].share.value),
	             ek_text_percent(f, e[WEIGHTED].share.value), fd[NATURAL]->value, fd[WEIGHTED]->value,
	             certainty(fd[WEIGHTED], fd[NATURAL]));
	(void)printf("Asking the generator of the images as they come for as many of every cluster gives %s and a "
	             "distance of %.1f; what training by the sampler adds to that coverage is %s.\n",
	             ek_text_percent(a, e[EQUAL].coverage.value), fd[EQUAL]->value,
	             certainty(&e[WEIGHTED].coverage, &e[EQUAL].coverage));
}

/* A difference is credited to balancing only where nothing else differs. */
static void print(const char *path, const struct evaluation *e)
{
	const struct ek_comparison_row *natural = e[NATURAL].row, *weighted = e[WEIGHTED].row;
	char a[32], b[32];

	if (ek_comparison_unequal(natural, weighted) || !ek_comparison_alike(natural, weighted))
		(void)printf("\nWhat balancing changed cannot be told: the two generators were trained for %s and %s "
		             "steps, or were not measured alike. evenkeel compare %s says what differs.\n",
		             ek_text_count(a, natural->steps > 0 ? (uint64_t)natural->steps : 0),
		             ek_text_count(b, weighted->steps > 0 ? (uint64_t)weighted->steps : 0), path);
	else if (!isfinite(e[NATURAL].coverage.value + e[EQUAL].coverage.value + e[WEIGHTED].coverage.value))
		(void)printf("\nWhat balancing changed for the small clusters could not be measured: "
		             "%s/evaluations say why.\n",
		             path);
	else
		print_changes(e);
}

int ek_demo_changes_print(const char *path)
{
	struct evaluation evaluations[EVALUATIONS] = { 0 };
	struct ek_comparison comparison = { 0 };
	struct ek_run *run = NULL;
	int rc;

	EK_TRY(ek_run_open(&run, path, EK_RUN_READ));
	for (int i = 0; i < EVALUATIONS; i++)
		EK_TRY(load(&evaluations[i], &comparison, run, names[i]));
	for (int i = 0; i < EVALUATIONS; i++)
		evaluations[i].row = &comparison.rows[i];
	print(path, evaluations);
out:
	ek_comparison_release(&comparison);
	ek_run_close(run);
	return rc;
}
