/* Which pictures the page shows, and how large, so that all of them fit their budget. */
#include "reports/page.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/io/groups.h"
#include "rebalance/io/run_files.h"

/* From generous to frugal. */
static const struct plan {
	size_t each;   /* pictures of each kind on a card */
	size_t group;  /* pictures of a group of near-duplicates */
	size_t split;  /* kept pictures of a cluster in a subset, and as many removed ones */
	size_t sample; /* generated pictures of a class */
	struct ek_picture_sizes sizes;
} plans[] = {
	{ 6, 6, 6, 12, { 112, 48, 480, 76 } }, { 6, 6, 6, 12, { 96, 48, 384, 74 } },
	{ 5, 5, 5, 12, { 80, 48, 320, 72 } },  { 4, 4, 4, 10, { 64, 48, 256, 70 } },
	{ 3, 4, 4, 8, { 56, 32, 224, 68 } },   { 2, 3, 3, 6, { 48, 32, 192, 66 } },
	{ 1, 2, 2, 4, { 48, 32, 192, 60 } },   { 1, 2, 2, 4, { 32, 16, 128, 50 } },
};
/* Pictures of all subsets together, of all sample sets, and rows with pictures of all evaluations. */
enum { PLANS = sizeof plans / sizeof *plans, SPLITS = 288, SAMPLES = 720, EVALUATION_ROWS = 120, FEWEST_CLUSTERS = 3 };
/* Of an evaluation: pictures of a cluster's training images and generated ones; copies, a pair each. */
enum { REAL = 1, GENERATED = 2, COPIES = 8 };

/* Bytes of a JPEG of this many pixels in base64, on the generous side. */
static double estimate(double side)
{
	return (500 + 0.35 * side * side) * 4 / 3;
}

static size_t tile_count(const struct ek_page *page)
{
	return (size_t)cJSON_GetArraySize(ek_json_member(page->map, "ids"));
}

/* Subsets with pictures. */
static size_t subset_count(const struct ek_page *page)
{
	size_t count = 0;

	for (size_t i = 0; i < page->plans.subset_count; i++)
		count += !page->plans.subsets[i].is_baseline;
	return count < EK_PAGE_PLANS ? count : EK_PAGE_PLANS;
}

/* Clusters of each subset that get pictures. */
static size_t split_clusters(const struct ek_page *page, size_t split)
{
	const size_t subsets = subset_count(page) > 0 ? subset_count(page) : 1;
	const size_t room = SPLITS / (2 * split * subsets), most = page->k < EK_PAGE_CARDS ? page->k : EK_PAGE_CARDS;

	return room < FEWEST_CLUSTERS ? (most < FEWEST_CLUSTERS ? most : FEWEST_CLUSTERS) : room < most ? room : most;
}

static size_t at_most(size_t n, size_t most)
{
	return n < most ? n : most;
}

static size_t generated_count(const struct ek_page *page, const struct plan *p)
{
	const size_t sets = at_most(page->samples.count, EK_PAGE_PLANS);
	const size_t evaluations = at_most(page->evaluations.count, EK_PAGE_PLANS);
	const size_t rows = at_most(page->k * evaluations, EVALUATION_ROWS);

	return at_most(sets * page->k * p->sample, SAMPLES) + rows * (REAL + GENERATED) + 2 * COPIES * evaluations;
}

/* The first plan that should fit, for images whose shorter side is `shorter`. */
static size_t first_plan(const struct ek_page *page, uint32_t shorter)
{
	const double cards = page->k < EK_PAGE_CARDS ? (double)page->k : EK_PAGE_CARDS;
	const double groups = page->duplicates != NULL ? EK_PAGE_GROUPS : 0;
	const cJSON *list = ek_json_member(ek_json_member(page->audit, "groups"), "groups");
	const double named = (double)at_most((size_t)cJSON_GetArraySize(list), EK_PAGE_GROUP_CARDS);
	size_t i = 0;

	for (; i + 1 < PLANS; i++) {
		const struct plan *p = &plans[i];
		const double side = shorter < p->sizes.side ? shorter : p->sizes.side;
		const double tile = p->sizes.tile_side;

		const double splits = (double)(subset_count(page) * split_clusters(page, p->split) * 2 * p->split);

		const double generated =
			(double)(generated_count(page, p) + 2 * p->sample * at_most(page->scores.count, EK_PAGE_PLANS) +
		                 page->rare_shown);
		const double previews = (double)at_most(page->models.count, EK_PAGE_PLANS);

		if (((cards + named) * EK_PICK_KINDS * (double)p->each + groups * (double)p->group + splits +
		     generated) * estimate(side) +
		            previews * estimate(p->sizes.whole) + (double)tile_count(page) * tile * tile * 0.3 <=
		    (double)page->picture_bytes)
			break;
	}
	return i;
}

static int shorter_side(uint32_t *shorter, const struct ek_page *page)
{
	struct ek_image_record record = { 0 };
	struct ek_images *images = NULL;
	int rc = 0;

	EK_TRY(ek_images_open(&images, page->run));
	EK_TRY(ek_images_next(images, &record));
	*shorter = record.width < record.height ? record.width : record.height;
	rc = 0;
out:
	ek_image_record_release(&record);
	ek_images_close(images);
	return rc;
}

/* Kept and removed images of each subset. */
static int draw(struct ek_page *page, const struct ek_npy *assignment, size_t split)
{
	size_t shown = 0;
	int rc = 0;

	page->plan_clusters = split_clusters(page, split);
	for (size_t i = 0; i < page->plans.subset_count && shown < EK_PAGE_PLANS; i++)
		if (!page->plans.subsets[i].is_baseline) {
			shown++;
			EK_TRY(ek_plans_draw(&page->plans.subsets[i], &page->left_out, page->run, assignment->data,
			                     assignment->shape[0], page->k, split));
		}
out:
	return rc;
}

static int pick(struct ek_page *page, size_t each, size_t split)
{
	struct ek_npy assignment = { 0 }, distance = { 0 };
	int rc = 0;

	ek_picks_release(&page->picks);
	if (!ek_page_has(page, "clusters/assignment.npy") || !ek_page_has(page, "clusters/distance.npy"))
		return 0;
	EK_TRY(ek_run_npy_open(&assignment, page->run, "clusters/assignment.npy", EK_I32, 1,
	                       (const uint64_t[]){ UINT64_MAX }));
	EK_TRY(ek_run_npy_open(&distance, page->run, "clusters/distance.npy", EK_F32, 1, assignment.shape));
	EK_TRY(ek_picks_make(&page->picks, assignment.data, distance.data, assignment.shape[0], page->k, each));
	if (page->has_pictures)
		EK_TRY(draw(page, &assignment, split));
out:
	ek_npy_close(&assignment);
	ek_npy_close(&distance);
	return rc;
}

/* Of groups that people would call so: the surest, some by lot, and the least sure. */
static int pick_of_groups(struct ek_page *page, size_t each)
{
	struct ek_groups groups;
	int32_t *group = NULL;
	float *doubt = NULL;
	int rc;

	ek_picks_release(&page->group_picks);
	EK_TRY(ek_groups_load(&groups, page->run));
	if (!groups.named || groups.images != page->images || groups.count < 2 || groups.count > EK_PAGE_GROUP_CARDS)
		goto out;
	EK_TRY(ek_alloc(&group, groups.images, sizeof *group));
	EK_TRY(ek_alloc(&doubt, groups.images, sizeof *doubt));
	for (uint64_t i = 0; i < groups.images; i++) {
		group[i] = ek_groups_likeliest(&groups, i);
		doubt[i] = group[i] >= 0 ? 1 - groups.q[i * groups.count + (uint32_t)group[i]] : 1;
	}
	EK_TRY(ek_picks_make(&page->group_picks, group, doubt, groups.images, groups.count, each));
out:
	ek_groups_release(&groups);
	free(group);
	free(doubt);
	return rc;
}

static int want_of_groups(struct ek_page *page)
{
	int rc = 0;

	for (size_t g = 0; g < page->group_picks.k; g++)
		for (size_t kind = 0; kind < EK_PICK_KINDS; kind++) {
			size_t count;
			const uint64_t *ids = ek_picks_of(&page->group_picks, g, (enum ek_pick_kind)kind, &count);

			for (size_t j = 0; j < count; j++)
				EK_TRY(ek_pictures_want(&page->pictures, ids[j], 1, 0));
		}
out:
	return rc;
}

static int want_cards(struct ek_page *page)
{
	int rc = 0;

	for (size_t i = 0; ek_page_shown(page, i) >= 0; i++)
		for (size_t kind = 0; kind < EK_PICK_KINDS; kind++) {
			size_t count;
			const uint64_t *ids = ek_picks_of(&page->picks, (size_t)ek_page_shown(page, i),
			                                  (enum ek_pick_kind)kind, &count);

			for (size_t j = 0; j < count; j++)
				EK_TRY(ek_pictures_want(&page->pictures, ids[j], 1, 0));
		}
out:
	return rc;
}

static int want_splits(struct ek_page *page)
{
	int rc = 0;

	for (size_t p = 0; p < page->plans.subset_count; p++)
		for (size_t i = 0; i < page->plan_clusters; i++)
			for (int removed = 0; removed < 2; removed++) {
				const int64_t cluster = ek_page_shown_of(page, i, page->k);
				size_t count;
				const uint64_t *ids =
					ek_plans_drawn(&page->plans.subsets[p], (size_t)cluster, removed, &count);

				for (size_t j = 0; j < count; j++)
					EK_TRY(ek_pictures_want(&page->pictures, ids[j], 1, 0));
			}
out:
	return rc;
}

/* `members` pictures of each group of near-duplicates, and a tile for each point of the map. */
static int want_others(struct ek_page *page, size_t members)
{
	const cJSON *group, *id;
	size_t groups = 0, tile = 0;
	int rc = 0;

	cJSON_ArrayForEach(group, ek_json_member(page->duplicates, "groups"))
	{
		size_t count = 0;

		if (groups++ >= EK_PAGE_GROUPS)
			break;
		cJSON_ArrayForEach(id, ek_json_member(group, "ids"))
		{
			if (count++ < members && cJSON_GetNumberValue(id) >= 0)
				EK_TRY(ek_pictures_want(&page->pictures, ek_whole(cJSON_GetNumberValue(id)), 1, 0));
		}
	}
	cJSON_ArrayForEach(id, ek_json_member(page->map, "ids"))
	{
		tile++;
		if (cJSON_GetNumberValue(id) >= 0)
			EK_TRY(ek_pictures_want(&page->pictures, ek_whole(cJSON_GetNumberValue(id)), 0, tile));
	}
out:
	return rc;
}

static int want_rare(struct ek_page *page)
{
	int rc = 0;

	for (size_t i = 0; i < page->rare_shown; i++)
		EK_TRY(ek_pictures_want(&page->pictures, page->rare[i], 1, 0));
out:
	return rc;
}

/* Both ends of each score, and the most doubtful labels. */
static int want_ends(struct ek_page *page)
{
	int rc = 0;

	for (size_t i = 0; i < page->scores.count && i < EK_PAGE_PLANS; i++) {
		const struct ek_score_set *s = &page->scores.items[i];
		const uint64_t shown = at_most(page->score_images, s->count / 2);

		for (uint64_t k = 0; k < shown; k++) {
			if (s->suspect_count == 0)
				EK_TRY(ek_pictures_want(&page->pictures, s->order[k], 1, 0));
			EK_TRY(ek_pictures_want(&page->pictures, s->order[s->count - 1 - k], 1, 0));
		}
		for (size_t k = 0; k < s->suspect_count && k < page->score_images; k++)
			EK_TRY(ek_pictures_want(&page->pictures, s->suspects[k].id, 1, 0));
	}
out:
	return rc;
}

static int want_sample(struct ek_page *page, size_t set, uint64_t i)
{
	char *name = NULL, *path = NULL;
	int rc;

	EK_TRY(ek_sample_picture_name(&name, &page->samples.items[set], i));
	EK_TRY(ek_run_file(&path, page->run, name));
	EK_TRY(ek_pictures_want_file(&page->pictures, ek_sample_key(set, i), path, name, 0));
out:
	free(name);
	free(path);
	return rc;
}

size_t ek_page_sample_rows(const struct ek_page *page, const struct ek_sample_set *set)
{
	size_t rows = 0, pictures = 0;

	for (; rows < set->class_count; rows++) {
		pictures += at_most(set->classes[rows].count, page->sample_each);
		if (pictures > page->sample_most)
			break;
	}
	return rows;
}

static int want_samples(struct ek_page *page, size_t each)
{
	const size_t sets = at_most(page->samples.count, EK_PAGE_PLANS);
	int rc = 0;

	page->sample_each = each;
	page->sample_most = SAMPLES / (sets > 0 ? sets : 1);
	for (size_t s = 0; s < sets; s++) {
		const struct ek_sample_set *set = &page->samples.items[s];

		for (size_t c = 0; c < ek_page_sample_rows(page, set); c++)
			for (size_t i = 0; i < set->classes[c].count && i < each; i++)
				EK_TRY(want_sample(page, s, set->order[set->classes[c].first + i]));
	}
out:
	return rc;
}

/* Each cluster's most typical image and generated images that lie in it. */
static int want_evaluation(struct ek_page *page, struct ek_evaluation *e)
{
	int rc;

	EK_TRY(ek_evaluation_draw(e, &page->left_out, page->run, &page->samples, page->k, GENERATED));
	for (size_t i = 0; i < page->evaluation_rows && ek_page_shown_of(page, i, EK_PAGE_ROWS) >= 0; i++) {
		const size_t cluster = (size_t)ek_page_shown_of(page, i, EK_PAGE_ROWS);
		size_t count;
		const uint64_t *ids = ek_picks_of(&page->picks, cluster, EK_PICK_TYPICAL, &count);

		if (count > 0)
			EK_TRY(ek_pictures_want(&page->pictures, ids[0], 1, 0));
		for (size_t j = 0; j < e->counts[cluster]; j++) {
			const uint64_t key = e->keys[cluster * e->each + j];

			EK_TRY(want_sample(page, ek_sample_key_set(key), ek_sample_key_sample(key)));
		}
	}
out:
	return rc;
}

static int want_copies(struct ek_page *page, const struct ek_evaluation *e)
{
	struct ek_copy copy;
	int rc = 0;

	for (size_t i = 0; i < page->copies && ek_evaluation_copy(&copy, e, &page->samples, page->images, i); i++) {
		EK_TRY(ek_pictures_want(&page->pictures, copy.image, 1, 0));
		EK_TRY(want_sample(page, copy.set, copy.sample));
	}
out:
	return rc;
}

static int want_evaluations(struct ek_page *page)
{
	const size_t count = at_most(page->evaluations.count, EK_PAGE_PLANS);
	int rc = 0;

	page->evaluation_rows = EVALUATION_ROWS / (count > 0 ? count : 1);
	page->copies = COPIES;
	for (size_t i = 0; i < count; i++) {
		struct ek_evaluation *e = &page->evaluations.items[i];

		if (e->rows != NULL && page->picks.k == page->k)
			EK_TRY(want_evaluation(page, e));
		EK_TRY(want_copies(page, e));
	}
out:
	return rc;
}

uint64_t ek_preview_key(size_t model)
{
	return EK_PICTURE_FILE | UINT64_C(1) << 62 | model;
}

static int want_previews(struct ek_page *page)
{
	int rc = 0;

	for (size_t i = 0; i < page->models.count && i < EK_PAGE_PLANS; i++) {
		const struct ek_model *model = &page->models.items[i];

		if (model->preview != NULL)
			EK_TRY(ek_pictures_want_file(&page->pictures, ek_preview_key(i), model->preview,
			                             strrchr(model->preview, '/') + 1, 1));
	}
out:
	return rc;
}

int ek_page_pictures(struct ek_page *page)
{
	uint32_t shorter = 0;
	int rc = 0;

	page->score_images = plans[0].sample;
	if (!page->has_pictures)
		return pick(page, plans[0].each, plans[0].split);
	EK_TRY(shorter_side(&shorter, page));
	for (size_t i = first_plan(page, shorter); i < PLANS; i++) {
		ek_pictures_release(&page->pictures);
		EK_TRY(pick(page, plans[i].each, plans[i].split));
		EK_TRY(pick_of_groups(page, plans[i].each));
		EK_TRY(want_cards(page));
		EK_TRY(want_of_groups(page));
		EK_TRY(want_splits(page));
		page->score_images = plans[i].sample;
		EK_TRY(want_ends(page));
		EK_TRY(want_rare(page));
		EK_TRY(want_others(page, plans[i].group));
		EK_TRY(want_samples(page, plans[i].sample));
		EK_TRY(want_evaluations(page));
		EK_TRY(want_previews(page));
		page->group_images = plans[i].group;
		EK_TRY(ek_pictures_make(&page->pictures, page->run, &plans[i].sizes));
		if (ek_pictures_bytes(&page->pictures) <= page->picture_bytes)
			break;
	}
out:
	return rc;
}
