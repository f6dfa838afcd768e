#include "reports/page.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/text.h"
#include "rebalance/io/run_files.h"

int ek_page_has(const struct ek_page *page, const char *name)
{
	return ek_run_has(page->run, name) > 0;
}

struct ek_words ek_corrected_words(struct ek_measure m, int places)
{
	const struct ek_words plain = ek_decimal(m.value, places), corrected = ek_decimal(m.corrected, places);
	struct ek_words w = { "" };

	if (isfinite(m.corrected) && strcmp(plain.s, corrected.s) != 0)
		(void)snprintf(w.s, sizeof w.s, ", corrected %.32s", corrected.s);
	return w;
}

struct ek_words ek_interval_words(struct ek_measure m, int places)
{
	struct ek_words w = { "" };

	if (m.low <= m.high)
		(void)snprintf(w.s, sizeof w.s, "%.24s\xe2\x80\x93%.24s", ek_decimal(m.low, places).s,
		               ek_decimal(m.high, places).s);
	else if (isfinite(m.low) && isnan(m.high))
		(void)snprintf(w.s, sizeof w.s, "at least %.32s", ek_decimal(m.low, places).s);
	return w;
}

struct ek_words ek_number_noun(uint64_t n, const char *noun)
{
	struct ek_words w;

	(void)snprintf(w.s, sizeof w.s, "%.28s %.30s%s", ek_count(n).s, noun, n == 1 ? "" : "s");
	return w;
}

static int load_documents(struct ek_page *page)
{
	const struct {
		const char *name;
		cJSON **document;
	} documents[] = {
		{ "audit.json", &page->audit },
		{ "clusters/clusters.json", &page->clusters_json },
		{ "clusters/duplicates.json", &page->duplicates },
		{ "clusters/map.json", &page->map },
		{ "clusters/stability.json", &page->stability },
		{ "embeddings.json", &page->embeddings },
	};
	int rc = 0;

	for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
		if (!ek_page_has(page, documents[i].name))
			continue;
		EK_TRY(ek_run_json_load(documents[i].document, page->run, documents[i].name));
	}
out:
	return rc;
}

struct ranked {
	uint64_t size;
	uint32_t cluster;
};

static int larger_first(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->size != y->size)
		return x->size < y->size ? 1 : -1;
	return (x->cluster > y->cluster) - (x->cluster < y->cluster);
}

static int order(struct ek_page *page)
{
	struct ranked *ranked = NULL;
	int rc = 0;

	EK_TRY(ek_alloc(&page->descending, page->k, sizeof *page->descending));
	EK_TRY(ek_alloc(&page->style, page->k, sizeof *page->style));
	EK_TRY(ek_alloc(&ranked, page->k, sizeof *ranked));
	for (size_t i = 0; i < page->k; i++)
		ranked[i] = (struct ranked){ page->clusters[i].size, (uint32_t)i };
	qsort(ranked, page->k, sizeof *ranked, larger_first);
	for (size_t i = 0; i < page->k; i++) {
		page->descending[i] = ranked[i].cluster;
		page->style[ranked[i].cluster] = i;
	}
out:
	free(ranked);
	return rc;
}

/* Sizes from either document; shares, intervals, stability and neighbours where they are. */
static int load_clusters(struct ek_page *page)
{
	const cJSON *audit = ek_json_member(page->audit, "clusters"), *item;
	const cJSON *sizes = ek_json_member(audit != NULL ? audit : page->clusters_json, "sizes");
	double total = 0;
	size_t i = 0;
	int rc = 0;

	page->k = cJSON_IsArray(sizes) ? (size_t)cJSON_GetArraySize(sizes) : 0;
	EK_TRY(ek_alloc(&page->clusters, page->k, sizeof *page->clusters));
	cJSON_ArrayForEach(item, sizes)
	{
		const double size = cJSON_GetNumberValue(item);

		if (!(size >= 0 && size < 9e15)) {
			rc = ek_fail(EK_EDATA, "%s/audit.json: cluster %zu has no size", ek_run_path(page->run), i);
			goto out;
		}
		total += size;
		page->clusters[i++] = (struct ek_cluster_facts){
			.size = (uint64_t)size, .share = size, .low = NAN, .high = NAN, .jaccard = NAN, .nearest = -1
		};
	}
	for (i = 0; i < page->k; i++) {
		page->clusters[i].share /= total > 0 ? total : 1;
		page->clusters[i].tail = page->clusters[i].share < 0.5 / (double)page->k;
	}
	page->images = (uint64_t)total;
	i = 0;
	cJSON_ArrayForEach(item, ek_json_member(audit, "shares"))
	{
		const struct ek_measure m = ek_interval_of(item);

		if (i >= page->k)
			break;
		page->clusters[i].low = m.low;
		page->clusters[i++].high = m.high;
	}
	i = 0;
	cJSON_ArrayForEach(item, ek_json_member(page->clusters_json, "nearest_center"))
	{
		const double nearest = cJSON_GetNumberValue(item);

		if (i >= page->k)
			break;
		page->clusters[i++].nearest = nearest >= 0 && nearest < (double)page->k ? (int64_t)nearest : -1;
	}
	cJSON_ArrayForEach(item, ek_json_member(page->stability, "clusters"))
	{
		const double cluster = ek_number_of(item, "cluster");

		if (cluster >= 0 && cluster < (double)page->k)
			page->clusters[(size_t)cluster].jaccard = ek_number_of(item, "jaccard");
	}
	EK_TRY(order(page));
out:
	return rc;
}

/* The folder or file that was scanned, without its path; of several, the first. */
static int load_name(struct ek_page *page)
{
	const cJSON *options = ek_json_member(ek_run_recorded(page->run, "scan"), "options");
	const cJSON *datasets = ek_json_member(options, "dataset");
	const char *path = ek_text_of(cJSON_GetArrayItem(datasets, 0), "path", NULL), *slash;
	const int others = cJSON_GetArraySize(datasets) - 1;

	if (path == NULL || path[0] == 0)
		return 0;
	slash = strrchr(path, '/');
	path = slash != NULL && slash[1] != 0 ? slash + 1 : path;
	return others > 0 ? ek_format(&page->name, "%s and %d more", path, others) : ek_copy_string(&page->name, path);
}

/* What was made of the plans. */
static int load_made(struct ek_page *page)
{
	uint64_t *sizes = NULL;
	int rc;

	EK_TRY(ek_alloc(&sizes, page->k, sizeof *sizes));
	for (size_t i = 0; i < page->k; i++)
		sizes[i] = page->clusters[i].size;
	EK_TRY(ek_scores_load(&page->scores, &page->left_out, page->run, page->images, EK_PAGE_PLANS));
	EK_TRY(ek_models_load(&page->models, &page->left_out, page->run, EK_PAGE_PLANS));
	EK_TRY(ek_sample_sets_load(&page->samples, &page->left_out, page->run, sizes, page->k, EK_PAGE_PLANS));
	EK_TRY(ek_evaluations_load(&page->evaluations, &page->left_out, page->run, &page->samples, page->k));
	EK_TRY(ek_reviews_load(&page->reviews, &page->left_out, page->run, &page->samples, EK_PAGE_PLANS));
	page->has_summary = page->models.count + page->evaluations.count > 0;
out:
	free(sizes);
	return rc;
}

int ek_page_open(struct ek_page *page, struct ek_run *run)
{
	int rc = 0;

	*page = (struct ek_page){ .run = run };
	page->group_images = 6;
	page->has_pictures = ek_page_has(page, "images.jsonl");
	EK_TRY(load_documents(page));
	EK_TRY(load_clusters(page));
	EK_TRY(load_name(page));
	EK_TRY(ek_plans_load(&page->plans, &page->left_out, run, page->k));
	EK_TRY(load_made(page));
	EK_TRY(ek_page_rare(page));
	page->has_cards = ek_page_has(page, "clusters/assignment.npy") && ek_page_has(page, "clusters/distance.npy");
	for (size_t i = 0; page->has_cards && ek_page_shown(page, i) >= 0; i++)
		page->clusters[ek_page_shown(page, i)].card = 1;
out:
	return rc;
}

void ek_page_close(struct ek_page *page)
{
	cJSON_Delete(page->audit);
	cJSON_Delete(page->clusters_json);
	cJSON_Delete(page->map);
	cJSON_Delete(page->stability);
	cJSON_Delete(page->duplicates);
	cJSON_Delete(page->embeddings);
	free(page->clusters);
	free(page->descending);
	free(page->style);
	free(page->rare);
	free(page->name);
	ek_plans_release(&page->plans);
	ek_scores_release(&page->scores);
	ek_models_release(&page->models);
	ek_sample_sets_release(&page->samples);
	ek_evaluations_release(&page->evaluations);
	ek_reviews_release(&page->reviews);
	ek_picks_release(&page->picks);
	ek_picks_release(&page->group_picks);
	ek_pictures_release(&page->pictures);
	ek_html_release(&page->html);
	ek_buffer_release(&page->left_out);
	*page = (struct ek_page){ 0 };
}

static int is_balanced(const struct ek_page *page, const char *subset, const char *method)
{
	const struct ek_subset_plan *plan = subset == NULL ? NULL : ek_plans_find(&page->plans, subset);

	if (plan != NULL)
		return strcmp(ek_text_of(plan->json, "command", ""), "balance") == 0;
	return strcmp(method, "smallest") == 0 || strcmp(method, "total") == 0 || strcmp(method, "target") == 0;
}

struct ek_evaluation_plan ek_evaluation_plan_of(const struct ek_page *page, const struct ek_evaluation *e)
{
	const cJSON *generated = ek_json_member(e->json, "generated");
	struct ek_evaluation_plan plan = { .model = ek_text_of(generated, "model", NULL),
		                           .subset = ek_text_of(generated, "subset", NULL),
		                           .weights = ek_text_of(generated, "weights", NULL) };
	const struct ek_model *model = ek_models_find(&page->models, plan.model);

	if (model != NULL && plan.subset == NULL && plan.weights == NULL) {
		plan.subset = ek_model_subset(model);
		plan.weights = ek_model_weights(model);
	}
	plan.is_natural = plan.model != NULL && plan.subset == NULL && plan.weights == NULL;
	plan.is_even = plan.weights != NULL || is_balanced(page, plan.subset, ek_text_of(generated, "method", ""));
	return plan;
}

int64_t ek_page_shown_of(const struct ek_page *page, size_t i, size_t limit)
{
	const size_t smallest = page->k <= limit ? page->k : limit * 7 / 10;

	if (i < smallest)
		return page->descending[page->k - 1 - i];
	if (page->k <= limit || i >= limit)
		return -1;
	return page->descending[limit - 1 - i];
}

int64_t ek_page_shown(const struct ek_page *page, size_t i)
{
	return ek_page_shown_of(page, i, EK_PAGE_CARDS);
}

double ek_page_share_of_largest(const struct ek_page *page, size_t m)
{
	double share = 0;

	for (size_t i = 0; i < m && i < page->k; i++)
		share += page->clusters[page->descending[i]].share;
	return share;
}

double ek_page_share_of_smallest(const struct ek_page *page, size_t m)
{
	double share = 0;

	for (size_t i = 0; i < m && i < page->k; i++)
		share += page->clusters[page->descending[page->k - 1 - i]].share;
	return share;
}

size_t ek_page_tail_count(const struct ek_page *page)
{
	size_t count = 0;

	for (size_t i = 0; i < page->k; i++)
		count += (size_t)page->clusters[i].tail;
	return count;
}

const char *ek_page_mostly(char out[256], const struct ek_page *page, uint64_t cluster, const char *before,
                           const char *after)
{
	const cJSON *names = ek_json_member(ek_json_member(page->audit, "clusters"), "mostly");

	return ek_text_mostly(out, cJSON_GetArrayItem(names, (int)cluster), before, after);
}

void ek_page_cluster(struct ek_page *page, uint64_t cluster, const char *before)
{
	char mostly[256];

	(void)ek_page_mostly(mostly, page, cluster, "mostly ", "");
	if (page->clusters[cluster].card)
		ek_html(&page->html, "<a href=\"#cluster-%lu\">%s%lu</a>", (unsigned long)cluster, before,
		        (unsigned long)cluster);
	else
		ek_html(&page->html, "%s%lu", before, (unsigned long)cluster);
	if (mostly[0] != 0)
		ek_html(&page->html,
		        before[0] == 0 ? "<small class=\"mostly\" title=\"%s\"><bdi>%s</bdi></small>"
		                       : "<span class=\"mostly\" title=\"%s\">, <bdi>%s</bdi></span>",
		        mostly, mostly);
}

void ek_page_group(struct ek_page *page, const char *name)
{
	const cJSON *group;
	char mostly[256] = "";

	cJSON_ArrayForEach(group, ek_json_member(ek_json_member(page->audit, "groups"),
	                                         "groups")) if (strcmp(ek_text_of(group, "name", ""), name) == 0)(void)
		ek_text_mostly(mostly, ek_json_member(group, "mostly"), "mostly ", "");
	ek_html(&page->html, "<bdi>%s</bdi>", name);
	if (mostly[0] != 0)
		ek_html(&page->html, "<small class=\"mostly\" title=\"%s\"><bdi>%s</bdi></small>", mostly, mostly);
}

void ek_page_picture(struct ek_page *page, uint64_t id)
{
	const struct ek_picture *p = ek_pictures_find(&page->pictures, id);
	struct ek_html *h = &page->html;

	if (p == NULL || p->jpeg.size == 0) {
		ek_html(h, "<span class=\"gone\" role=\"img\" aria-label=\"%s, can no longer be read\"></span>",
		        p == NULL ? "picture" : p->file_name);
		return;
	}
	ek_html(h, "<img width=\"%lu\" height=\"%lu\" decoding=\"async\" alt=\"%s\" title=\"%s", (unsigned long)p->side,
	        (unsigned long)p->rise, p->file_name, p->file_name);
	if (p->label != NULL)
		ek_html(h, " (%s)", p->label);
	ek_html(h, "\" src=\"data:image/jpeg;base64,");
	ek_html_base64(h, p->jpeg.data, p->jpeg.size);
	ek_html(h, "\">");
}

void ek_page_pick_rows(struct ek_page *page, const struct ek_picks *picks, size_t k,
                       const char *const kinds[EK_PICK_KINDS])
{
	struct ek_html *h = &page->html;

	for (size_t kind = 0; kind < EK_PICK_KINDS; kind++) {
		size_t count;
		const uint64_t *ids = ek_picks_of(picks, k, (enum ek_pick_kind)kind, &count);

		if (count == 0)
			continue;
		ek_html(h, "<figure class=\"row\"><figcaption>%s</figcaption><div class=\"pictures\">", kinds[kind]);
		for (size_t i = 0; i < count; i++) {
			if (page->has_pictures)
				ek_page_picture(page, ids[i]);
			else
				ek_html(h, "<span class=\"id\">%s</span> ", ek_count(ids[i]).s);
		}
		ek_html(h, "</div></figure>");
	}
}

void ek_page_number(struct ek_html *h, double value, struct ek_words words, int wide)
{
	ek_html(h, wide ? "<td class=\"n wide\"" : "<td class=\"n\"");
	ek_html(h, " data-v=\"%.9g\">%s</td>", isfinite(value) ? value : -9e9,
	        isfinite(value) ? words.s : "\xe2\x80\x93");
}

struct ek_words ek_figure(double x)
{
	const double size = fabs(x);
	int places = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;

	for (double y = size; y > 0 && y < 0.1 && places < 6; y *= 10)
		places++;
	return ek_decimal(x, places);
}

void ek_page_table_head(struct ek_html *h, const char *caption, const char *const *names, size_t count)
{
	ek_html(h, "<div class=\"scroll\"><table class=\"sort\"><caption>%s</caption><thead><tr>", caption);
	for (size_t i = 0; i < count; i++) {
		const int number = names[i][0] == '#', wide = number && names[i][1] == '#';

		ek_html(h,
		        wide     ? "<th scope=\"col\" class=\"n wide\">%s</th>"
		        : number ? "<th scope=\"col\" class=\"n\">%s</th>"
		                 : "<th scope=\"col\">%s</th>",
		        names[i] + number + wide);
	}
	ek_html(h, "</tr></thead><tbody>");
}
