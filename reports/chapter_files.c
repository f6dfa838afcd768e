/* Near-duplicates, and the files that could not be used. */
#include "reports/page.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/io/jsonl.h"

static void number_cell(struct ek_html *h, const cJSON *row, const char *name)
{
	const double x = ek_number_of(row, name);

	ek_html(h, "<td class=\"n\" data-v=\"%.0f\">%s</td>", x > 0 ? x : 0, ek_decimal(x, 0).s);
}

static void counts_by_eps(struct ek_page *page)
{
	static const char *const names[] = {
		"Similarity above",   "#Pairs",          "#Groups", "#Copies, keeping one of each group",
		"#Removed, one pass", "#Removed, greedy"
	};
	struct ek_html *h = &page->html;
	const cJSON *row;

	ek_page_table_head(h, "How many are alike, by how alike they must be", names, 6);
	cJSON_ArrayForEach(row, ek_json_member(page->duplicates, "eps"))
	{
		const double eps = ek_number_of(row, "eps");

		ek_html(h, "<tr><th scope=\"row\" data-v=\"%.9g\">%g <small>eps %g</small></th>", 1 - eps, 1 - eps,
		        eps);
		number_cell(h, row, "pairs");
		number_cell(h, row, "groups");
		number_cell(h, row, "component_removed");
		number_cell(h, row, "one_pass_removed");
		number_cell(h, row, "greedy_removed");
		ek_html(h, "</tr>");
	}
	ek_html(h, "</tbody></table></div>");
}

static void group(struct ek_page *page, const cJSON *item, int number)
{
	const cJSON *ids = ek_json_member(item, "ids"), *id;
	struct ek_html *h = &page->html;
	const int size = cJSON_GetArraySize(ids);
	int shown = 0;

	ek_html(h,
	        "<figure class=\"row\"><figcaption>Group %d <small>%s, similarity %s or "
	        "more%s</small></figcaption><div class=\"pictures\">",
	        number, ek_number_noun((uint64_t)size, page->has_pictures ? "image" : "row").s,
	        ek_decimal(ek_number_of(item, "similarity"), 4).s,
	        size > (int)page->group_images ? "; the first are shown" : "");
	cJSON_ArrayForEach(id, ids)
	{
		const double value = cJSON_GetNumberValue(id);

		if (!(value >= 0) || shown++ >= (int)page->group_images)
			break;
		if (page->has_pictures)
			ek_page_picture(page, (uint64_t)value);
		else
			ek_html(h, "<span class=\"id\">%s</span> ", ek_decimal(value, 0).s);
	}
	ek_html(h, "</div></figure>");
}

int ek_chapter_duplicates(struct ek_page *page)
{
	const cJSON *groups = ek_json_member(page->duplicates, "groups"), *item;
	struct ek_html *h = &page->html;
	int number = 0;

	ek_html(h,
	        "<p class=\"intro\">Pairs whose embeddings point the same way (cosine similarity above 1 \xe2\x88\x92 "
	        "eps), looked for in %s.</p>",
	        ek_text_of(page->duplicates, "scope", "all images"));
	counts_by_eps(page);
	if (cJSON_GetArraySize(groups) == 0) {
		ek_html(h, "<p>No near-duplicates were found at any of these levels.</p>");
		return h->rc;
	}
	ek_html(h, "<p class=\"note\">A group is a chain of pairs. Removing in one pass drops every image that has an "
	           "earlier near copy; greedy removal only those whose earlier copy stays.</p>");
	ek_html(h, "<h3>The largest groups, similarity above %g</h3><div class=\"groups\">",
	        1 - ek_number_of(page->duplicates, "groups_eps"));
	cJSON_ArrayForEach(item, groups)
	{
		if (number++ < EK_PAGE_GROUPS)
			group(page, item, number);
	}
	ek_html(h, "</div>");
	return h->rc;
}

enum { REASONS = 12, EXAMPLES = 10 };

struct reason {
	char *text;
	uint64_t count;
};
struct rejected {
	struct reason reasons[REASONS]; /* in the order of first appearance */
	size_t reason_count;
	uint64_t total, other;
	cJSON *examples[EXAMPLES];
	size_t example_count;
};

static int count_reason(struct rejected *r, const char *text)
{
	size_t i = 0;
	int rc = 0;

	while (i < r->reason_count && strcmp(r->reasons[i].text, text) != 0)
		i++;
	if (i == REASONS) {
		r->other++;
		return 0;
	}
	if (i == r->reason_count) {
		EK_TRY(ek_copy_string(&r->reasons[i].text, text));
		r->reason_count++;
	}
	r->reasons[i].count++;
out:
	return rc;
}

/* One pass over rejected.jsonl. */
static int read_rejected(struct rejected *r, const struct ek_page *page)
{
	struct ek_jsonl rows = { 0 };
	cJSON *row = NULL;
	char *path = NULL;
	int rc = 0;

	EK_TRY(ek_run_file(&path, page->run, "rejected.jsonl"));
	EK_TRY(ek_jsonl_open(&rows, path));
	for (;;) {
		EK_TRY(ek_jsonl_next(&rows, &row));
		if (rc == 0)
			break;
		r->total++;
		EK_TRY(count_reason(r, ek_text_of(row, "reason", "unknown")));
		if (r->example_count < EXAMPLES)
			r->examples[r->example_count++] = row;
		else
			cJSON_Delete(row);
		row = NULL;
	}
out:
	cJSON_Delete(row);
	ek_jsonl_close(&rows);
	free(path);
	return rc;
}

static void show_rejected(struct ek_html *h, const struct rejected *r)
{
	static const char *const names[] = { "Reason", "#Files" }, *const example_names[] = { "File", "Reason" };

	ek_html(h,
	        "<p class=\"intro\">%s could not be used as %s and %s not counted anywhere else on this page. Nothing "
	        "was deleted or changed.</p>",
	        ek_number_noun(r->total, "file").s, r->total == 1 ? "an image" : "images",
	        r->total == 1 ? "is" : "are");
	ek_page_table_head(h, "Why", names, 2);
	for (size_t i = 0; i < r->reason_count; i++)
		ek_html(h, "<tr><td>%s</td><td class=\"n\" data-v=\"%lu\">%s</td></tr>", r->reasons[i].text,
		        (unsigned long)r->reasons[i].count, ek_count(r->reasons[i].count).s);
	if (r->other > 0)
		ek_html(h, "<tr><td>other reasons</td><td class=\"n\" data-v=\"%lu\">%s</td></tr>",
		        (unsigned long)r->other, ek_count(r->other).s);
	ek_html(h, "</tbody></table></div>");
	ek_page_table_head(h,
	                   r->total > r->example_count ? "The first of them; all are in rejected.jsonl" : "All of them",
	                   example_names, 2);
	for (size_t i = 0; i < r->example_count; i++)
		ek_html(h, "<tr><td><bdi>%s</bdi></td><td>%s</td></tr>", ek_text_of(r->examples[i], "file_name", "?"),
		        ek_text_of(r->examples[i], "reason", "unknown"));
	ek_html(h, "</tbody></table></div>");
}

int ek_chapter_rejected(struct ek_page *page)
{
	struct rejected r = { .total = 0 };
	int rc = 0;

	EK_TRY(read_rejected(&r, page));
	if (r.total == 0)
		ek_html(&page->html, "<p>Every file could be read.</p>");
	else
		show_rejected(&page->html, &r);
	rc = page->html.rc;
out:
	for (size_t i = 0; i < r.reason_count; i++)
		free(r.reasons[i].text);
	for (size_t i = 0; i < r.example_count; i++)
		cJSON_Delete(r.examples[i]);
	return rc;
}
