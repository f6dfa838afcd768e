/* What is rare: the images with the most leverage, and whom they are of. */
#include "reports/page.h"

#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/io/groups.h"
#include "rebalance/io/run_files.h"

enum { SHOWN = 24, ROWS = 8, LEAST = 3 };
static const double part = 0.01; /* of the images: the rarest hundredth */
static const double oftener = 1.5;

struct rated {
	float leverage;
	uint64_t id;
};

static int by_falling_leverage(const void *a, const void *b)
{
	const struct rated *x = a, *y = b;

	if (x->leverage < y->leverage || x->leverage > y->leverage)
		return x->leverage < y->leverage ? 1 : -1;
	return (x->id > y->id) - (x->id < y->id);
}

int ek_page_rare(struct ek_page *page)
{
	struct rated *rated = NULL;
	struct ek_npy leverage = { 0 };
	uint64_t wanted;
	int rc = 0;

	free(page->rare);
	page->rare = NULL;
	page->rare_count = page->rare_shown = 0;
	if (!ek_page_has(page, "components/leverage.npy"))
		goto out;
	EK_TRY(ek_run_npy_open(&leverage, page->run, "components/leverage.npy", EK_F32, 1,
	                       (const uint64_t[]){ UINT64_MAX }));
	if (leverage.shape[0] != page->images) /* of other images: the step is stale */
		goto out;
	EK_TRY(ek_alloc(&rated, page->images, sizeof *rated));
	for (uint64_t i = 0; i < page->images; i++)
		rated[i] = (struct rated){ ((const float *)leverage.data)[i], i };
	qsort(rated, page->images, sizeof *rated, by_falling_leverage);
	wanted = (uint64_t)(part * (double)page->images);
	wanted = wanted > SHOWN ? wanted : SHOWN;
	page->rare_count = (size_t)(wanted < page->images / 2 ? wanted : page->images / 2);
	page->rare_shown = page->rare_count < SHOWN ? page->rare_count : SHOWN;
	EK_TRY(ek_alloc(&page->rare, page->rare_count, sizeof *page->rare));
	for (size_t i = 0; i < page->rare_count; i++)
		page->rare[i] = rated[i].id;
out:
	ek_npy_close(&leverage);
	free(rated);
	return rc;
}

struct unit {
	uint32_t number;
	uint64_t rare, images;
};

static double times(const struct unit *u)
{
	return u->images > 0 ? (double)u->rare / (double)u->images : 0;
}

static int by_falling_times(const void *a, const void *b)
{
	const struct unit *x = a, *y = b;

	if (times(x) < times(y) || times(x) > times(y))
		return times(x) < times(y) ? 1 : -1;
	return (x->number > y->number) - (x->number < y->number);
}

/* Units that have more of the rarest images than of all. */
static void unit_rows(struct ek_page *page, struct unit *units, size_t count, char *const *names)
{
	static const char *const heads[] = { "Whom they are of", "#Of these", "#Of all images", "#Times as many" };
	struct ek_html *h = &page->html;
	size_t shown = 0;

	qsort(units, count, sizeof *units, by_falling_times);
	for (size_t i = 0; i < count && shown < ROWS; i++) {
		const double rare = (double)units[i].rare / (double)page->rare_count;
		const double all = (double)units[i].images / (double)page->images;

		if (units[i].rare < LEAST || rare < oftener * all)
			continue;
		if (shown++ == 0)
			ek_page_table_head(
				h,
				names != NULL ? "Named groups that the rarest are of, far more often than all images"
					      : "Clusters that the rarest are of, far more often than all images",
				heads, sizeof heads / sizeof *heads);
		ek_html(h, "<tr><th scope=\"row\" data-v=\"%lu\">", (unsigned long)units[i].number);
		if (names != NULL)
			ek_html(h, "<bdi>%s</bdi>", names[units[i].number]);
		else
			ek_page_cluster(page, units[i].number, "Cluster ");
		ek_html(h, "</th>");
		ek_page_number(h, rare, ek_percent(rare), 0);
		ek_page_number(h, all, ek_percent(all), 0);
		ek_page_number(h, rare / all, ek_decimal(rare / all, 1), 0);
		ek_html(h, "</tr>");
	}
	if (shown > 0)
		ek_html(h, "</tbody></table></div>");
}

/* By named groups where there are any, else by clusters. */
static int whom(struct ek_page *page)
{
	struct ek_npy assignment = { 0 };
	struct ek_groups groups;
	struct unit *units = NULL;
	size_t count;
	int rc;

	EK_TRY(ek_groups_load(&groups, page->run));
	if (!(groups.named && groups.images == page->images)) {
		if (!ek_page_has(page, "clusters/assignment.npy"))
			goto out;
		EK_TRY(ek_run_npy_open(&assignment, page->run, "clusters/assignment.npy", EK_I32, 1, &page->images));
	}
	count = assignment.data != NULL ? page->k : groups.count;
	EK_TRY(ek_alloc(&units, count, sizeof *units));
	for (uint64_t i = 0; i < page->images + page->rare_count; i++) {
		const uint64_t id = i < page->images ? i : page->rare[i - page->images];
		const int32_t u = assignment.data != NULL ? ((const int32_t *)assignment.data)[id]
		                                          : ek_groups_likeliest(&groups, id);

		if (u < 0 || (size_t)u >= count) /* of no group */
			continue;
		units[u].images += i < page->images;
		units[u].rare += i >= page->images;
	}
	for (size_t u = 0; u < count; u++)
		units[u].number = (uint32_t)u;
	unit_rows(page, units, count, assignment.data != NULL ? NULL : groups.names);
out:
	ek_npy_close(&assignment);
	ek_groups_release(&groups);
	free(units);
	return rc;
}

int ek_chapter_rare(struct ek_page *page)
{
	struct ek_html *h = &page->html;
	int rc;

	ek_html(h,
	        "<p class=\"intro\">These lie furthest from all others, in the measure of the directions that the %s "
	        "differ in (leverage). Some are of kinds that the set has too few of, some are only odd: broken, or of "
	        "something else. Weights without labels show them more often, and <code>evenkeel prune</code> by "
	        "leverage keeps them, or leaves them out.</p>",
	        page->has_pictures ? "images" : "rows");
	ek_html(h,
	        "<figure class=\"row\"><figcaption>The %zu rarest, the rarest first</figcaption><div "
	        "class=\"pictures\">",
	        page->rare_shown);
	for (size_t i = 0; i < page->rare_shown; i++)
		if (page->has_pictures)
			ek_page_picture(page, page->rare[i]);
		else
			ek_html(h, "<span class=\"id\">%s</span> ", ek_count(page->rare[i]).s);
	ek_html(h, "</div></figure>");
	EK_TRY(whom(page));
	rc = h->rc;
out:
	return rc;
}
