#include "rebalance/pipeline/group_shares.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/io/groups.h"

int ek_group_shares_init(struct ek_group_shares *s, const struct ek_given_labels *labels, uint64_t images)
{
	int rc;

	*s = (struct ek_group_shares){ .labels = labels, .images = images };
	EK_TRY(ek_alloc(&s->corrected, labels->groups, sizeof *s->corrected));
	EK_TRY(ek_alloc(&s->found, labels->groups, sizeof *s->found));
	for (uint64_t i = 0; i < labels->count; i++)
		s->random += labels->random[i];
out:
	return rc;
}

void ek_group_shares_release(struct ek_group_shares *s)
{
	free(s->corrected);
	free(s->found);
	*s = (struct ek_group_shares){ 0 };
}

int ek_group_shares_estimate(struct ek_group_shares *s, const float *q)
{
	const struct ek_given_labels *labels = s->labels;
	const uint32_t groups = labels->groups;
	const uint64_t n = s->images;
	double *f = NULL;
	uint8_t *y = NULL;
	int rc = 0;

	if (s->random == 0)
		return 0;
	EK_TRY(ek_alloc(&f, s->random, sizeof *f));
	EK_TRY(ek_alloc(&y, s->random, 1));
	for (uint32_t g = 0; g < groups; g++) {
		double mean = 0, squares = 0;
		uint64_t at = 0;

		for (uint64_t i = 0; i < n; i++) {
			mean += (double)q[i * groups + g] / (double)n;
			squares += (double)q[i * groups + g] * (double)q[i * groups + g] / (double)n;
		}
		for (uint64_t i = 0; i < labels->count; i++)
			if (labels->random[i]) {
				f[at] = (double)q[labels->ids[i] * groups + g];
				y[at++] = labels->group[i] == g;
			}
		ek_prediction_share(&s->found[g], f, y, s->random, mean, squares - mean * mean, n);
	}
out:
	free(f);
	free(y);
	return rc;
}

void ek_group_shares_keep_given(struct ek_group_shares *s, float *q)
{
	const struct ek_given_labels *labels = s->labels;
	const uint32_t groups = labels->groups;

	for (uint64_t i = 0; i < labels->count; i++) {
		float *row = q + labels->ids[i] * groups;

		memset(row, 0, groups * sizeof *row);
		if (labels->group[i] < groups)
			row[labels->group[i]] = 1;
	}
	for (uint32_t g = 0; g < groups; g++) {
		double sum = 0;

		for (uint64_t i = 0; i < s->images; i++)
			sum += (double)q[i * groups + g];
		s->corrected[g] = sum / (double)s->images;
	}
}

uint64_t ek_group_shares_count(const struct ek_group_shares *s, const float *q, int32_t g)
{
	const uint32_t groups = s->labels->groups;
	uint64_t count = 0;

	for (uint64_t i = 0; i < s->images; i++)
		count += ek_groups_likeliest_of(q + i * groups, groups) == g;
	return count;
}

static int add_share(cJSON *item, const struct ek_prediction *found, uint64_t random)
{
	cJSON *share, *ends;
	int rc;

	EK_TRY(ek_json_add_object(&share, item, "share"));
	EK_TRY(ek_json_add_double(share, "value", found->share));
	EK_TRY(ek_json_add_array(&ends, share, "ci95"));
	EK_TRY(ek_json_add_double(ends, NULL, found->interval.low));
	EK_TRY(ek_json_add_double(ends, NULL, found->interval.high));
	EK_TRY(ek_json_add_u64(share, "labels_to_halve", found->halved - random));
out:
	return rc;
}

int ek_group_shares_add(cJSON **item, cJSON *list, const struct ek_group_shares *s, const float *q, uint32_t g)
{
	uint64_t labelled = 0;
	int rc;

	for (uint64_t i = 0; i < s->labels->count; i++)
		labelled += s->labels->group[i] == g;
	EK_TRY(ek_json_add_object(item, list, NULL));
	EK_TRY(ek_json_add_string(*item, "name", s->labels->names[g]));
	EK_TRY(ek_json_add_u64(*item, "labelled", labelled));
	EK_TRY(ek_json_add_u64(*item, "images", ek_group_shares_count(s, q, (int32_t)g)));
	EK_TRY(ek_json_add_double(*item, "corrected_share", s->corrected[g]));
	EK_TRY(s->random == 0 ? ek_json_add_null(*item, "share") : add_share(*item, &s->found[g], s->random));
out:
	return rc;
}
