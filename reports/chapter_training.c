/* What learned from the images: autoencoders and generators, from what and how well. */
#include "reports/page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "reports/loss_curve.h"
#include "reports/svg.h"

enum { WORST = 6 };

static const cJSON *training_of(const struct ek_model *model)
{
	return ek_json_member(model->json, "training");
}

static const cJSON *network_of(const struct ek_model *model)
{
	return ek_json_member(model->json, "model");
}

static double number(const struct ek_model *model, const char *name)
{
	return ek_number_of(network_of(model), name);
}

static const char *kind_words(const struct ek_model *model)
{
	if (ek_model_is_generator(model))
		return "generator";
	return strcmp(ek_text_of(model->json, "evenkeel", ""), "vae") == 0 ? "autoencoder" : "model";
}

static void learned_from(struct ek_html *h, const struct ek_model *model)
{
	const char *subset = ek_model_subset(model), *weights = ek_model_weights(model);

	if (subset != NULL)
		ek_html(h, "the subset <bdi>%s</bdi>", subset);
	else
		ek_html(h, "all images");
	if (weights != NULL)
		ek_html(h, ", by the sampler <bdi>%s</bdi>", weights);
	else if (subset == NULL)
		ek_html(h, " as they come");
}

static double step_of(const struct ek_model *model)
{
	return ek_number_of(model->last, "step");
}

static double seconds_of(const struct ek_model *model)
{
	return ek_number_of(model->last, "seconds");
}

/* Over the whole training. */
static double speed_of(const struct ek_model *model)
{
	return step_of(model) * ek_number_of(training_of(model), "batch") / seconds_of(model);
}

static double loss_of(const struct ek_model *model)
{
	return ek_number_of(model->last, "loss");
}

static double held_out_of(const struct ek_model *model)
{
	return ek_number_of(model->judged, "held_out_loss");
}

static void table(struct ek_page *page)
{
	static const char *const names[] = { "Model",  "Kind",       "Learned from", "#Steps",
		                             "##Time", "##Images/s", "##Loss",       "#Held-out loss" };
	struct ek_html *h = &page->html;

	ek_page_table_head(h, "All models; losses of one kind of model and one autoencoder can be compared", names,
	                   sizeof names / sizeof *names);
	for (size_t i = 0; i < page->models.count; i++) {
		const struct ek_model *model = &page->models.items[i];

		ek_html(h, "<tr><th scope=\"row\"><bdi>%s</bdi></th><td>%s</td><td>", model->name, kind_words(model));
		learned_from(h, model);
		ek_html(h, "</td>");
		ek_page_number(h, step_of(model), ek_decimal(step_of(model), 0), 0);
		ek_page_number(h, seconds_of(model), ek_duration(seconds_of(model)), 1);
		ek_page_number(h, speed_of(model), ek_decimal(speed_of(model), speed_of(model) < 10 ? 1 : 0), 1);
		ek_page_number(h, loss_of(model), ek_figure(loss_of(model)), 1);
		ek_page_number(h, held_out_of(model), ek_figure(held_out_of(model)), 0);
		ek_html(h, "</tr>");
	}
	ek_html(h, "</tbody></table></div>");
}

static void fact_open(struct ek_html *h, const char *name)
{
	ek_html(h, "<div><dt>%s</dt><dd>", name);
}

static void fact_close(struct ek_html *h)
{
	ek_html(h, "</dd></div>");
}

static void fact(struct ek_html *h, const char *name, double value, struct ek_words words)
{
	if (!isfinite(value))
		return;
	fact_open(h, name);
	ek_html(h, "%s", words.s);
	fact_close(h);
}

static void generator_size(struct ek_html *h, const struct ek_model *model)
{
	const double side = number(model, "side"), patch = number(model, "patch");
	const char *autoencoder = ek_text_of(model->json, "autoencoder", NULL), *slash;

	fact_open(h, "Size");
	ek_html(h, "transformer of width %s, depth %s, %s pieces an image", ek_decimal(number(model, "width"), 0).s,
	        ek_decimal(number(model, "depth"), 0).s, ek_decimal(side / patch * (side / patch), 0).s);
	fact_close(h);
	fact_open(h, "Works on");
	if (autoencoder == NULL) {
		ek_html(h, "pixels, %s \xc3\x97 %s", ek_decimal(side, 0).s, ek_decimal(side, 0).s);
	} else {
		slash = strrchr(autoencoder, '/');
		ek_html(h, "%s \xc3\x97 %s \xc3\x97 %s numbers an image, made by <bdi>%s</bdi>", ek_decimal(side, 0).s,
		        ek_decimal(side, 0).s, ek_decimal(number(model, "channels"), 0).s,
		        slash != NULL && slash[1] != 0 ? slash + 1 : autoencoder);
	}
	fact_close(h);
}

static void condition(struct ek_html *h, const struct ek_model *model)
{
	const cJSON *c = ek_json_member(model->json, "condition");
	const char *by = ek_text_of(c, "by", NULL);
	const int classes = cJSON_GetArraySize(ek_json_member(c, "classes"));

	if (by == NULL)
		return;
	fact_open(h, "Is told");
	if (classes == 0)
		ek_html(h, "nothing about the image");
	else
		ek_html(h, "the <bdi>%s</bdi> of each image, one of %d", by, classes);
	fact_close(h);
}

static void autoencoder_size(struct ek_html *h, const struct ek_model *model)
{
	const double side = number(model, "side");
	const int levels = cJSON_GetArraySize(ek_json_member(network_of(model), "widths"));
	const double small = levels > 0 ? side / pow(2, levels - 1) : (double)NAN;

	fact_open(h, "Size");
	ek_html(h, "%s \xc3\x97 %s pixels to %s \xc3\x97 %s \xc3\x97 %s %s and back", ek_decimal(side, 0).s,
	        ek_decimal(side, 0).s, ek_decimal(small, 0).s, ek_decimal(small, 0).s,
	        ek_decimal(number(model, "latent_channels"), 0).s,
	        strcmp(ek_text_of(network_of(model), "kind", ""), "vq") == 0 ? "numbers, by entries of a codebook,"
	                                                                     : "numbers");
	fact_close(h);
}

/* What the last line of the log says of an autoencoder. */
static void reconstruction(struct ek_html *h, const struct ek_model *model)
{
	const double error = ek_number_of(model->last, "reconstruction");
	const double perplexity = ek_number_of(model->last, "perplexity"), used = ek_number_of(model->last, "used");
	const double codes = number(model, "codes");
	const cJSON *loss = ek_json_member(model->json, "loss");

	if (isfinite(error)) {
		fact_open(h, "Reconstruction error");
		ek_html(h,
		        "%s (%s, pixels from \xe2\x88\x92"
		        "1 to 1)",
		        ek_figure(error).s,
		        strcmp(ek_text_of(loss, "error", "squared"), "squared") == 0 ? "mean square" : "mean absolute");
		fact_close(h);
	}
	if (isfinite(perplexity) && codes > 0) {
		fact_open(h, "Codebook");
		if (isfinite(used))
			ek_html(h, "%s of %s codes used; ", ek_percent_whole(used).s, ek_decimal(codes, 0).s);
		ek_html(h, "as varied as %s codes used equally", ek_decimal(perplexity, 0).s);
		fact_close(h);
	}
}

static void facts(struct ek_page *page, const struct ek_model *model)
{
	struct ek_html *h = &page->html;
	const double aside = ek_number_of(training_of(model), "validate");

	ek_html(h, "<dl class=\"facts origin\">");
	fact_open(h, "Learned from");
	learned_from(h, model);
	fact_close(h);
	if (ek_model_is_generator(model)) {
		condition(h, model);
		generator_size(h, model);
	} else {
		autoencoder_size(h, model);
		reconstruction(h, model);
	}
	fact(h, "Steps", step_of(model), ek_decimal(step_of(model), 0));
	fact(h, "Images a step", ek_number_of(training_of(model), "batch"),
	     ek_decimal(ek_number_of(training_of(model), "batch"), 0));
	fact(h, "Passes over the images", ek_number_of(model->last, "epoch"),
	     ek_decimal(ek_number_of(model->last, "epoch"), 1));
	fact(h, "Time", seconds_of(model), ek_duration(seconds_of(model)));
	fact(h, "Images a second", speed_of(model), ek_decimal(speed_of(model), speed_of(model) < 10 ? 1 : 0));
	fact(h, "Loss", loss_of(model), ek_figure(loss_of(model)));
	fact(h, "Held-out loss", held_out_of(model), ek_figure(held_out_of(model)));
	fact(h, "Kept aside to measure it", aside, ek_percent(aside));
	fact(h, "Seed", ek_number_of(training_of(model), "seed"),
	     ek_decimal(ek_number_of(training_of(model), "seed"), 0));
	ek_html(h, "</dl>");
}

static void curve(struct ek_page *page, const struct ek_model *model)
{
	struct ek_html *h = &page->html;

	if (model->point_count < 2)
		return;
	ek_html(h, "<figure>");
	ek_svg_loss(h, model->points, model->point_count, model->name);
	ek_html(h, "<figcaption>The loss, what training lowers: <span class=\"swatch before\">on the images it "
	           "learns from</span>");
	if (model->judged != NULL)
		ek_html(h,
		        ", <span class=\"swatch after\">on images kept aside</span>. Where the second rises while the "
		        "first falls, it is learning by heart");
	ek_html(h, ".</figcaption></figure>");
}

struct ranked {
	double loss;
	size_t cluster;
};

static int larger_first(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->loss < y->loss || x->loss > y->loss)
		return x->loss < y->loss ? 1 : -1;
	return (x->cluster > y->cluster) - (x->cluster < y->cluster);
}

/* The clusters it knows least, by the last held-out loss. */
static int worst_clusters(struct ek_page *page, const struct ek_model *model)
{
	const cJSON *losses = ek_json_member(model->judged, "held_out_loss_by_cluster"), *loss;
	struct ranked *ranked = NULL;
	struct ek_html *h = &page->html;
	size_t count = 0, cluster = 0;
	int rc = 0;

	if (page->k < 2 || (size_t)cJSON_GetArraySize(losses) != page->k)
		return 0;
	EK_TRY(ek_alloc(&ranked, page->k, sizeof *ranked));
	cJSON_ArrayForEach(loss, losses)
	{
		ranked[count] = (struct ranked){ cJSON_IsNumber(loss) ? loss->valuedouble : 0, cluster++ };
		count += ranked[count].loss > 0;
	}
	qsort(ranked, count, sizeof *ranked, larger_first);
	if (count == 0)
		goto out;
	ek_html(h, "<div class=\"scroll\"><table class=\"sizes narrow\"><caption>Clusters with the largest held-out "
	           "loss; the "
	           "dashed line is that of all</caption><thead><tr><th scope=\"col\">Cluster</th><th "
	           "scope=\"col\">Loss</th><th scope=\"col\" class=\"n\"></th></tr></thead><tbody>");
	for (size_t i = 0; i < count && i < WORST; i++) {
		ek_html(h, "<tr%s><th scope=\"row\">", page->clusters[ranked[i].cluster].tail ? " class=\"tail\"" : "");
		ek_page_cluster(page, ranked[i].cluster, "");
		ek_html(h, "</th><td class=\"chart\">");
		ek_svg_bar(h, ranked[i].loss, NAN, NAN, held_out_of(model), ranked[0].loss,
		           page->clusters[ranked[i].cluster].tail);
		ek_html(h, "</td><td class=\"n\">%s</td></tr>", ek_figure(ranked[i].loss).s);
	}
	ek_html(h, "</tbody></table></div>");
out:
	free(ranked);
	return rc;
}

static void preview(struct ek_page *page, size_t i)
{
	const struct ek_model *model = &page->models.items[i];
	struct ek_html *h = &page->html;

	if (model->preview == NULL || !page->has_pictures)
		return;
	ek_html(h, "<figure class=\"preview\">");
	ek_page_picture(page, ek_preview_key(i));
	ek_html(h, "<figcaption>%s</figcaption></figure>",
	        ek_model_is_generator(model) ? "What it made at its last checkpoint."
	                                     : "Images it did not learn from, and what comes back of them, at its last "
	                                       "checkpoint.");
}

static int model(struct ek_page *page, size_t i)
{
	const struct ek_model *m = &page->models.items[i];
	struct ek_html *h = &page->html;
	int rc = 0;

	ek_html(h, "<h3>%s <bdi>%s</bdi></h3>",
	        ek_model_is_generator(m)                    ? "Generator"
	        : strcmp(kind_words(m), "autoencoder") == 0 ? "Autoencoder"
	                                                    : "Model",
	        m->name);
	facts(page, m);
	if (m->last == NULL)
		ek_html(h,
		        "<p>It has no log yet: its training has not begun, or was stopped before the first line.</p>");
	curve(page, m);
	EK_TRY(worst_clusters(page, m));
	preview(page, i);
out:
	return rc;
}

int ek_chapter_training(struct ek_page *page)
{
	struct ek_html *h = &page->html;
	int rc = 0;

	ek_html(h, "<p class=\"intro\">What was trained. An <b>autoencoder</b> learns to write an image in few numbers "
	           "and to read it back; a <b>generator</b> learns to make new images from noise.</p>");
	if (page->models.count > 1)
		table(page);
	for (size_t i = 0; i < page->models.count && i < EK_PAGE_PLANS; i++)
		EK_TRY(model(page, i));
	if (page->models.count > EK_PAGE_PLANS)
		ek_html(h,
		        "<p class=\"note\">The first %d models are told of in full; the others only in the table.</p>",
		        EK_PAGE_PLANS);
	rc = h->rc;
out:
	return rc;
}
