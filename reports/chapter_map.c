/* The images as points in the plane. */
#include "reports/page.h"

#include <math.h>
#include <stdlib.h>

#include "rebalance/base/compare.h"
#include "rebalance/base/error.h"
#include "rebalance/io/run_files.h"
#include "reports/svg.h"

/* Up to this many clusters each has its number on the map and a line in the legend. */
enum { NUMBERED = EK_SVG_COLOURS * EK_SVG_SHAPES };

/* Each cluster's number at the median of its points. scratch: [count] */
static void numbers(struct ek_page *page, const struct ek_svg_point *points, size_t count, double *scratch)
{
	for (size_t i = 0; i < page->k; i++) {
		double median[2] = { 0, 0 };
		size_t n = 0;

		for (int axis = 0; axis < 2; axis++) {
			n = 0;
			for (size_t j = 0; j < count; j++)
				if (points[j].cluster == i)
					scratch[n++] = axis == 0 ? points[j].x : points[j].y;
			qsort(scratch, n, sizeof *scratch, ek_compare_doubles);
			median[axis] = n > 0 ? scratch[n / 2] : 0;
		}
		if (n > 0)
			ek_svg_label(&page->html, median[0], median[1], i);
	}
}

static void legend(struct ek_page *page)
{
	struct ek_html *h = &page->html;

	ek_html(h, "<ul class=\"legend\" aria-label=\"Clusters on the map, largest first\">");
	for (size_t i = 0; i < page->k; i++) {
		const uint32_t cluster = page->descending[i];
		char mostly[256];

		(void)ek_page_mostly(mostly, page, cluster, "mostly ", "");
		ek_html(h, "<li><button type=\"button\" data-c=\"%lu\" aria-pressed=\"false\" title=\"%s\">",
		        (unsigned long)cluster, mostly);
		ek_svg_marker(h, i);
		ek_html(h,
		        "<span><span class=\"hidden\">cluster </span>%lu</span><span class=\"hidden\"> %s</span> "
		        "<small>%s</small></button></li>",
		        (unsigned long)cluster, mostly, ek_percent(page->clusters[cluster].share).s);
	}
	ek_html(h, "</ul>");
}

/* What the script shows beside the point: the tile of the sheet. */
static void peek(struct ek_page *page)
{
	const struct ek_pictures *p = &page->pictures;
	struct ek_html *h = &page->html;

	ek_html(h, "<div class=\"peek\" hidden>");
	if (p->sheet.size > 0) {
		ek_html(h,
		        "<svg width=\"112\" height=\"112\" viewBox=\"0 0 %lu %lu\" data-side=\"%lu\" "
		        "data-columns=\"%lu\" aria-hidden=\"true\"><image width=\"%lu\" height=\"%lu\" "
		        "href=\"data:image/jpeg;base64,",
		        (unsigned long)p->tile_side, (unsigned long)p->tile_side, (unsigned long)p->tile_side,
		        (unsigned long)p->sheet_columns, (unsigned long)(p->sheet_columns * p->tile_side),
		        (unsigned long)(p->sheet_rows * p->tile_side));
		ek_html_base64(h, p->sheet.data, p->sheet.size);
		ek_html(h, "\"/></svg>");
	}
	ek_html(h, "<p></p></div><p class=\"hidden\" aria-live=\"polite\"></p>");
}

/* names: [count] texts, owned by the caller */
static int load_points(struct ek_page *page, struct ek_svg_point *points, char **names, size_t *count)
{
	const cJSON *id = ek_json_member(page->map, "ids");
	const cJSON *x = ek_json_member(page->map, "x");
	const cJSON *y = ek_json_member(page->map, "y");
	struct ek_npy assignment = { 0 };
	int rc = 0;

	EK_TRY(ek_run_npy_open(&assignment, page->run, "clusters/assignment.npy", EK_I32, 1,
	                       (const uint64_t[]){ UINT64_MAX }));
	id = id != NULL ? id->child : NULL;
	x = x != NULL ? x->child : NULL;
	y = y != NULL ? y->child : NULL;
	for (; id != NULL && x != NULL && y != NULL; id = id->next, x = x->next, y = y->next) {
		const double number = cJSON_GetNumberValue(id);
		const struct ek_picture *picture;
		char mostly[256];
		int32_t cluster;

		if (!(number >= 0 && number < (double)assignment.shape[0])) {
			rc = ek_fail(EK_EDATA, "%s/clusters/map.json: there is no image %g", ek_run_path(page->run),
			             number);
			goto out;
		}
		cluster = ((const int32_t *)assignment.data)[(size_t)number];
		cluster = cluster >= 0 && (size_t)cluster < page->k ? cluster : 0;
		(void)ek_page_mostly(mostly, page, (uint64_t)cluster, ", mostly ", "");
		picture = ek_pictures_find(&page->pictures, (uint64_t)number);
		if (picture != NULL)
			EK_TRY(ek_format(&names[*count], "%s%s%s%s \xc2\xb7 cluster %d%s", picture->file_name,
			                 picture->label != NULL ? " (" : "",
			                 picture->label != NULL ? picture->label : "",
			                 picture->label != NULL ? ")" : "", (int)cluster, mostly));
		else
			EK_TRY(ek_format(&names[*count], "row %.0f \xc2\xb7 cluster %d%s", number, (int)cluster,
			                 mostly));
		points[*count] =
			(struct ek_svg_point){ cJSON_GetNumberValue(x), cJSON_GetNumberValue(y), (uint64_t)cluster,
			                       page->k > 0 ? page->style[cluster] : 0, names[*count] };
		++*count;
	}
out:
	ek_npy_close(&assignment);
	return rc;
}

int ek_chapter_map(struct ek_page *page)
{
	const size_t room = (size_t)cJSON_GetArraySize(ek_json_member(page->map, "ids"));
	struct ek_html *h = &page->html;
	struct ek_svg_point *points = NULL;
	double *scratch = NULL;
	char **names = NULL;
	size_t count = 0;
	int rc = 0;

	EK_TRY(ek_alloc(&points, room, sizeof *points));
	EK_TRY(ek_alloc(&names, room, sizeof *names));
	EK_TRY(ek_alloc(&scratch, room, sizeof *scratch));
	EK_TRY(load_points(page, points, names, &count));
	ek_html(h,
	        "<p class=\"intro\">Each mark is one of %s %s; marks that lie together look alike to the computer. "
	        "Colour, shape and number say the cluster.<span class=\"script\"> Point at a mark to see it, or press "
	        "Tab to the map and use the arrow keys.</span></p>",
	        ek_count(count).s, page->has_pictures ? "images" : "rows");
	ek_html(h, "<figure class=\"map\"><div class=\"field\">");
	ek_svg_scatter(h, points, count, "Map of the images",
	               "A flat picture of the embeddings. Images of one cluster carry the same mark; what is near here "
	               "is mostly near in truth, but distances are only roughly kept.");
	if (page->k <= NUMBERED)
		numbers(page, points, count, scratch);
	ek_svg_end(h);
	peek(page);
	ek_html(h, "</div>");
	if (page->k <= NUMBERED)
		legend(page);
	ek_html(h,
	        "<figcaption>Method: <bdi>%s</bdi>. A plane cannot keep all distances: near is mostly near, far says "
	        "little.</figcaption></figure>",
	        ek_text_of(page->map, "method", "unknown"));
	rc = h->rc;
out:
	for (size_t i = 0; names != NULL && i < room; i++)
		free(names[i]);
	free(names);
	free(points);
	free(scratch);
	return rc;
}
