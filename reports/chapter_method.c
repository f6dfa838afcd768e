/* How sure it is, all measures, and what the page was made from. */
#include "reports/page.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "reports/svg.h"

static void score_cells(struct ek_html *h, const cJSON *row)
{
	static const char *const names[] = { "ari", "nmi" };

	for (size_t i = 0; i < 2; i++) {
		const double x = ek_number_of(row, names[i]);

		ek_html(h, "<td class=\"n\" data-v=\"%.9g\">%s</td>", isfinite(x) ? x : -1, ek_decimal(x, 3).s);
	}
	ek_html(h, "</tr>");
}

static void agreements(struct ek_page *page)
{
	static const struct {
		const char *list, *key, *caption, *column;
	} tables[] = {
		{ "seeds", "seed", "Sorted again from other random starts", "Seed" },
		{ "k_variants", "k", "Sorted into fewer or more clusters", "Clusters" },
		{ "encoders", "encoder", "Seen through other encoders", "Encoder" },
	};
	struct ek_html *h = &page->html;

	ek_html(h, "<div class=\"columns\">");
	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
		const cJSON *list = ek_json_member(page->stability, tables[i].list), *row;
		const char *const names[] = { tables[i].column, "#ARI", "#NMI" };

		if (cJSON_GetArraySize(list) == 0)
			continue;
		ek_page_table_head(h, tables[i].caption, names, 3);
		cJSON_ArrayForEach(row, list)
		{
			const char *text = ek_text_of(row, tables[i].key, NULL);

			ek_html(h, "<tr><th scope=\"row\">%s</th>",
			        text != NULL ? text : ek_decimal(ek_number_of(row, tables[i].key), 0).s);
			score_cells(h, row);
		}
		ek_html(h, "</tbody></table></div>");
	}
	ek_html(h, "</div>");
}

static void firm_clusters(struct ek_page *page)
{
	size_t measured = 0, firm = 0, loose = 0;

	for (size_t i = 0; i < page->k; i++) {
		measured += page->clusters[i].jaccard >= 0;
		firm += page->clusters[i].jaccard >= 0.75;
		loose += page->clusters[i].jaccard < 0.5;
	}
	if (measured > 0)
		ek_html(&page->html,
		        "<p><b>%zu of %s clusters are firm</b>: at least three quarters of each come back together "
		        "when the sorting is repeated (Jaccard index 0.75). %zu %s loose (below 0.5).</p>",
		        firm, ek_count(measured).s, loose, loose == 1 ? "is" : "are");
}

static int k_curve(struct ek_page *page)
{
	const cJSON *automatic = ek_json_member(page->clusters_json, "auto"), *row;
	const cJSON *curve = ek_json_member(automatic, "curve");
	const size_t room = (size_t)cJSON_GetArraySize(curve);
	struct ek_html *h = &page->html;
	double *x = NULL, *y = NULL;
	size_t count = 0;
	int rc = 0;

	if (!cJSON_IsObject(automatic))
		return 0;
	EK_TRY(ek_alloc(&x, room, sizeof *x));
	EK_TRY(ek_alloc(&y, room, sizeof *y));
	cJSON_ArrayForEach(row, curve)
	{
		x[count] = ek_number_of(row, "k");
		y[count] = ek_number_of(row, "stability");
		count += x[count] >= 1 && isfinite(y[count]) && (count == 0 || x[count] > x[count - 1]);
	}
	ek_html(h, "<h3>How the number of clusters was chosen</h3><p>%s</p>", ek_text_of(automatic, "reason", ""));
	if (count > 0) {
		ek_html(h, "<figure class=\"narrow\">");
		ek_svg_curve(h, x, y, count, ek_number_of(automatic, "chosen"),
		             "Agreement for each number of clusters tried", "number of clusters");
		ek_html(h, "<figcaption>Agreement of these clusterings (1: always the same clusters) for each number "
		           "tried.</figcaption></figure>");
	}
out:
	free(x);
	free(y);
	return rc;
}

int ek_chapter_certainty(struct ek_page *page)
{
	struct ek_html *h = &page->html;
	int rc = 0;

	if (page->stability != NULL) {
		const cJSON *pairwise = ek_json_member(page->stability, "pairwise");
		const cJSON *ari = ek_json_member(pairwise, "ari");

		ek_html(h,
		        "<p class=\"intro\">The clusters are <b>%s</b>: repeated from other random starts, two "
		        "sortings agree with an adjusted Rand index of %s on average and %s at worst (1: the same; 0: "
		        "no more than chance).</p>",
		        ek_text_of(page->stability, "verdict", "not judged"),
		        ek_decimal(ek_number_of(ari, "mean"), 2).s, ek_decimal(ek_number_of(ari, "min"), 2).s);
		if (ek_number_of(page->stability, "images") < ek_number_of(page->stability, "of"))
			ek_html(h, "<p>Sorted again were %s, drawn by lot, of the run's %s.</p>",
			        ek_number_noun((uint64_t)ek_number_of(page->stability, "images"), "image").s,
			        ek_number_noun((uint64_t)ek_number_of(page->stability, "of"), "image").s);
		firm_clusters(page);
		agreements(page);
	} else {
		ek_html(h, "<p class=\"intro\">Stability has not been measured for this run.</p>");
	}
	EK_TRY(k_curve(page));
	ek_html(h, "<p class=\"note\">Intervals: 95 %%, Wilson's for shares; of the other measures all values whose "
	           "samples would look like these. Where a sample looks more uneven than what it was drawn from, the "
	           "corrected value says by how much. Intervals say how much a number would move with another sample "
	           "of the same kind; they do not say whether the clusters are the right ones.</p>");
	rc = h->rc;
out:
	return rc;
}

static void measure_row(struct ek_html *h, const char *name, struct ek_measure m, int places, const char *meaning)
{
	if (!isfinite(m.value))
		return;
	ek_html(h, "<tr><th scope=\"row\">%s</th><td class=\"n\">%s%s</td><td class=\"n\">%s</td><td>%s</td></tr>",
	        name, ek_decimal(m.value, places).s, ek_corrected_words(m, places).s, ek_interval_words(m, places).s,
	        meaning);
}

int ek_chapter_measures(struct ek_page *page)
{
	static const struct {
		const char *member, *name, *meaning;
		int places;
	} measures[] = {
		{ "gini", "Gini coefficient", "0: all clusters equal; (K \xe2\x88\x92 1) / K: one holds everything",
		  3 },
		{ "gini_normalised", "Gini, normalised", "the same, scaled so that 1 is the worst case", 3 },
		{ "normalised_entropy", "Normalised entropy", "1: all equal; 0: one holds everything", 3 },
		{ "kl_to_uniform", "KL to uniform", "nats that an even set would be away; 0: even", 3 },
		{ "imbalance_ratio", "Imbalance ratio", "largest over smallest cluster that is not empty", 1 },
		{ "top_share", "Top share", "part of the images in the largest tenth of the clusters", 3 },
		{ "cv", "Coefficient of variation", "standard deviation of the sizes over their mean", 3 },
		{ "chi_square", "Chi-square against even", "grows with the number of images: read the effect size", 1 },
		{ "effect_size", "Effect size w", "0.1 small, 0.3 medium, 0.5 large (Cohen)", 3 },
	};
	static const struct {
		const char *member, *name, *meaning;
	} numbers[] = {
		{ "d0", "Clusters that are not empty", "Hill number of order 0" },
		{ "d1", "Effective clusters", "equal clusters with the same entropy (order 1)" },
		{ "d2", "Effective clusters, order 2", "weighs large clusters more: 1 / sum of squared shares" },
		{ "dinf", "Effective clusters, order \xe2\x88\x9e", "1 / largest share" },
	};
	static const char *const names[] = { "Measure", "#Value", "#95\xe2\x80\xaf% interval", "Meaning" };
	const cJSON *skew = ek_json_member(page->audit, "skew");
	const cJSON *effective = ek_json_member(skew, "effective_clusters");
	struct ek_html *h = &page->html;

	ek_page_table_head(h, "How uneven the cluster sizes are", names, 4);
	for (size_t i = 0; i < sizeof measures / sizeof *measures; i++)
		measure_row(h, measures[i].name, ek_measure_of(skew, measures[i].member), measures[i].places,
		            measures[i].meaning);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		measure_row(h, numbers[i].name, ek_measure_of(effective, numbers[i].member), 2, numbers[i].meaning);
	ek_html(h, "</tbody></table></div>");
	return h->rc;
}

static void fact(struct ek_html *h, const char *name, const char *value)
{
	if (value != NULL && value[0] != 0)
		ek_html(h, "<div><dt>%s</dt><dd><bdi>%s</bdi></dd></div>", name, value);
}

static void count_fact(struct ek_html *h, const char *name, double value)
{
	if (value >= 0)
		fact(h, name, ek_decimal(value, 0).s);
}

/* Members of a document that are texts or numbers, under their own names; `before` names the object they are in. */
static void plain_facts(struct ek_html *h, const cJSON *object, const char *before)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, ek_json_object(object))
	{
		if (cJSON_IsString(item))
			ek_html(h, "<div><dt>%s%s</dt><dd><bdi>%s</bdi></dd></div>", before, item->string,
			        item->valuestring);
		else if (cJSON_IsNumber(item))
			ek_html(h, "<div><dt>%s%s</dt><dd>%g</dd></div>", before, item->string, item->valuedouble);
	}
}

static void embedding_facts(struct ek_page *page)
{
	const cJSON *item;

	plain_facts(&page->html, page->embeddings, "");
	cJSON_ArrayForEach(item, page->embeddings)
	{
		char before[64];

		(void)snprintf(before, sizeof before, "%.60s: ", item->string != NULL ? item->string : "");
		if (cJSON_IsObject(item))
			plain_facts(&page->html, item, before);
	}
}

static void steps(struct ek_page *page)
{
	static const char *const step_names[] = { "scan", "embed", "cluster", "stability", "duplicates", "audit" };
	const char *const names[] = { "Step", "Evenkeel", "#Method version", "#Time" };
	struct ek_html *h = &page->html;

	ek_html(h, "<h3>Steps</h3>");
	ek_page_table_head(h, "The commands that made the files, each with the version of its method", names,
	                   page->times ? 4 : 3);
	for (size_t i = 0; i < sizeof step_names / sizeof *step_names; i++) {
		const cJSON *step = ek_run_recorded(page->run, step_names[i]);
		const double seconds = ek_number_of(step, "seconds");

		if (step == NULL)
			continue;
		ek_html(h, "<tr><th scope=\"row\">%s</th><td>%s</td><td class=\"n\">%s</td>", step_names[i],
		        ek_text_of(step, "evenkeel", "\xe2\x80\x93"), ek_decimal(ek_number_of(step, "version"), 0).s);
		if (page->times)
			ek_html(h, "<td class=\"n\" data-v=\"%.3f\">%s</td>", seconds > 0 ? seconds : 0,
			        ek_duration(seconds).s);
		ek_html(h, "</tr>");
	}
	ek_html(h, "</tbody></table></div>");
	if (page->times)
		ek_html(h, "<p class=\"note\">Most memory used until this page was written: %s.</p>",
		        ek_bytes(ek_memory_peak()).s);
	else
		ek_html(h, "<p class=\"note\">When each step ran and how long it took is in run.json: this page holds "
		           "only what is the same each time.</p>");
}

static void left_out(struct ek_page *page)
{
	struct ek_html *h = &page->html;
	const char *line = page->left_out.data;

	if (page->left_out.size == 0)
		return;
	ek_html(h, "<h3>Not on this page</h3><p class=\"note\">These files are damaged. <code>evenkeel info "
	           "FILE</code> says what makes each again.</p><ul>");
	for (size_t length; *line != 0; line += length + 1) {
		length = strcspn(line, "\n");
		ek_html(h, "<li><bdi>");
		ek_html_text(h, line, length);
		ek_html(h, "</bdi></li>");
	}
	ek_html(h, "</ul>");
}

int ek_chapter_origin(struct ek_page *page)
{
	struct ek_html *h = &page->html;
	const cJSON *method = ek_json_member(page->audit, "method"), *c = page->clusters_json;
	const cJSON *spherical = ek_json_member(c, "spherical");
	const double subsample = ek_number_of(c, "subsample");

	ek_html(h, "<dl class=\"facts origin\">");
	fact(h, "Data set", page->name);
	fact(h, page->has_pictures ? "Images" : "Rows", ek_count(page->images).s);
	count_fact(h, "Rejected files", ek_number_of(page->audit, "rejected"));
	fact(h, "Encoder", ek_text_of(method, "encoder", NULL));
	count_fact(h, "Clusters (K)", (double)page->k);
	count_fact(h, "Seed", ek_number_of(method, "seed"));
	count_fact(h, "Bootstrap samples", ek_number_of(method, "bootstrap"));
	fact(h, "k-means start", ek_text_of(c, "init", NULL));
	count_fact(h, "k-means iterations", ek_number_of(c, "iterations"));
	count_fact(h, "k-means restarts", ek_number_of(c, "redo"));
	if (cJSON_IsBool(spherical))
		fact(h, "Spherical", cJSON_IsTrue(spherical) ? "yes (cosine distance)" : "no (Euclidean distance)");
	if (subsample > 0)
		fact(h, "Images used to place the clusters",
		     subsample < (double)page->images ? ek_decimal(subsample, 0).s : "all");
	fact(h, "Evenkeel", ek_text_of(method, "evenkeel", NULL));
	ek_html(h, "</dl>");
	if (page->embeddings != NULL) {
		ek_html(h, "<h3>Embeddings</h3><dl class=\"facts origin\">");
		embedding_facts(page);
		ek_html(h, "</dl>");
	}
	steps(page);
	left_out(page);
	return h->rc;
}
