/* Which pictures the page shows, and how large, so that all of them fit their budget. */
#include "reports/page.h"

#include <stdlib.h>

#include "rebalance/base/error.h"

/* From generous to frugal. */
static const struct plan {
	size_t each;  /* pictures of each kind on a card */
	size_t group; /* pictures of a group of near-duplicates */
	size_t split; /* kept pictures of a cluster in a subset, and as many removed ones */
	struct ek_picture_sizes sizes;
} plans[] = {
	{ 6, 6, 6, { 112, 48, 76 } }, { 6, 6, 6, { 96, 48, 74 } }, { 5, 5, 5, { 80, 48, 72 } },
	{ 4, 4, 4, { 64, 48, 70 } },  { 3, 4, 4, { 56, 32, 68 } }, { 2, 3, 3, { 48, 32, 66 } },
	{ 1, 2, 2, { 48, 32, 60 } },  { 1, 2, 2, { 32, 16, 50 } },
};
/* SPLITS: pictures of all subsets together */
enum { PLANS = sizeof plans / sizeof *plans, SPLITS = 288, FEWEST_CLUSTERS = 3 };

/* Bytes of a JPEG of this many pixels in base64, on the generous side. */
static double estimate(double side)
{
	return (500 + 0.35 * side * side) * 4 / 3;
}

static size_t tile_count(const struct ek_page *page)
{
	return (size_t)cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(page->map, "ids"));
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

/* The first plan that should fit, for images whose shorter side is `shorter`. */
static size_t first_plan(const struct ek_page *page, uint32_t shorter)
{
	const double cards = page->k < EK_PAGE_CARDS ? (double)page->k : EK_PAGE_CARDS;
	const double groups = page->duplicates != NULL ? EK_PAGE_GROUPS : 0;
	size_t i = 0;

	for (; i + 1 < PLANS; i++) {
		const struct plan *p = &plans[i];
		const double side = shorter < p->sizes.side ? shorter : p->sizes.side;
		const double tile = p->sizes.tile_side;

		const double splits = (double)(subset_count(page) * split_clusters(page, p->split) * 2 * p->split);

		if ((cards * EK_PICK_KINDS * (double)p->each + groups * (double)p->group + splits) * estimate(side) +
		            (double)tile_count(page) * tile * tile * 0.3 <=
		    (double)page->options.picture_bytes)
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
			EK_TRY(ek_plans_draw(&page->plans.subsets[i], page->run, assignment->data, assignment->shape[0],
			                     page->k, split));
		}
out:
	return rc;
}

static int pick(struct ek_page *page, size_t each, size_t split)
{
	struct ek_npy assignment = { 0 }, distance = { 0 };
	char *path = NULL, *distance_path = NULL;
	int rc = 0;

	ek_picks_release(&page->picks);
	if (!ek_page_has(page, "clusters/assignment.npy") || !ek_page_has(page, "clusters/distance.npy"))
		return 0;
	EK_TRY(ek_run_file(&path, page->run, "clusters/assignment.npy"));
	EK_TRY(ek_run_file(&distance_path, page->run, "clusters/distance.npy"));
	EK_TRY(ek_npy_open_as(&assignment, path, EK_I32, 1, (const uint64_t[]){ UINT64_MAX }));
	EK_TRY(ek_npy_open_as(&distance, distance_path, EK_F32, 1, assignment.shape));
	EK_TRY(ek_picks_make(&page->picks, assignment.data, distance.data, assignment.shape[0], page->k, each));
	if (page->has_pictures)
		EK_TRY(draw(page, &assignment, split));
out:
	ek_npy_close(&assignment);
	ek_npy_close(&distance);
	free(path);
	free(distance_path);
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

	cJSON_ArrayForEach(group, cJSON_GetObjectItemCaseSensitive(page->duplicates, "groups"))
	{
		size_t count = 0;

		if (groups++ >= EK_PAGE_GROUPS)
			break;
		cJSON_ArrayForEach(id, cJSON_GetObjectItemCaseSensitive(group, "ids"))
		{
			if (count++ < members && cJSON_GetNumberValue(id) >= 0)
				EK_TRY(ek_pictures_want(&page->pictures, (uint64_t)cJSON_GetNumberValue(id), 1, 0));
		}
	}
	cJSON_ArrayForEach(id, cJSON_GetObjectItemCaseSensitive(page->map, "ids"))
	{
		tile++;
		if (cJSON_GetNumberValue(id) >= 0)
			EK_TRY(ek_pictures_want(&page->pictures, (uint64_t)cJSON_GetNumberValue(id), 0, tile));
	}
out:
	return rc;
}

int ek_page_pictures(struct ek_page *page)
{
	uint32_t shorter = 0;
	int rc = 0;

	if (!page->has_pictures)
		return pick(page, plans[0].each, plans[0].split);
	EK_TRY(shorter_side(&shorter, page));
	for (size_t i = first_plan(page, shorter); i < PLANS; i++) {
		ek_pictures_release(&page->pictures);
		EK_TRY(pick(page, plans[i].each, plans[i].split));
		EK_TRY(want_cards(page));
		EK_TRY(want_splits(page));
		EK_TRY(want_others(page, plans[i].group));
		page->group_images = plans[i].group;
		EK_TRY(ek_pictures_make(&page->pictures, page->run, &plans[i].sizes));
		if (ek_pictures_bytes(&page->pictures) <= page->options.picture_bytes)
			break;
	}
out:
	return rc;
}
