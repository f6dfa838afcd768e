/* Of `evaluate`: the table that people read. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/cli/evaluate_print.h"
#include "rebalance/cli/terminal.h"
#include "rebalance/base/text.h"

enum { CLUSTERS_SHOWN = 12 };

/* A number, or the value of one with an interval; NaN if it is null. */
static double number(const cJSON *object, const char *name)
{
	const cJSON *item = ek_json_member(object, name);

	if (cJSON_IsObject(item))
		item = ek_json_member(item, "value");
	return cJSON_IsNumber(item) ? item->valuedouble : (double)NAN;
}

/* Both ends of "ci95"; 0: it has none. */
static int bounds(double *low, double *high, const cJSON *object)
{
	const cJSON *list = ek_json_member(object, "ci95");

	if (cJSON_GetArraySize(list) != 2)
		return 0;
	*low = cJSON_GetArrayItem(list, 0)->valuedouble;
	*high = cJSON_GetArrayItem(list, 1)->valuedouble;
	return 1;
}

static void print_title(const cJSON *json)
{
	static const struct {
		const char *what, *text;
	} kinds[] = { { "held_out", "held-out images" },
		      { "training", "training images" },
		      { "path", "images of the reference" },
		      { "statistics", "stored statistics" } };
	const cJSON *generated = ek_json_member(json, "generated"), *reference = ek_json_member(json, "reference");
	const char *against = "", *model = ek_json_text(generated, "model");
	char a[32], b[32], encoder[256];

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (strcmp(kinds[i].what, ek_json_text(reference, "what")) == 0)
			against = kinds[i].text;
	(void)printf("%s%s generated images%s", ek_bold(), ek_text_count(a, ek_whole(number(generated, "images"))),
	             ek_plain());
	if (*model != 0)
		(void)printf(" of the model %s", model);
	(void)printf(" against ");
	if (number(reference, "images") > 0)
		(void)printf("%s ", ek_text_count(b, ek_whole(number(reference, "images"))));
	ek_one_line(encoder, sizeof encoder, ek_json_text(ek_json_member(json, "encoder"), "name"));
	(void)printf("%s, seen by %s\n\n", against, encoder);
}

/* "  precision   0.71 (0.68 to 0.74)  how many …"; or why it is not there. */
static void print_measure(const cJSON *json, const char *label, const char *name, const char *note)
{
	const double value = number(json, name);
	const char *why = ek_json_text(ek_json_member(json, "reasons"), name);
	char text[96];

	if (isnan(value)) {
		(void)printf("  %-22s -  %s\n", label, why);
		return;
	}
	if (cJSON_IsArray(ek_json_member(ek_json_member(json, name), "ci95")))
		(void)ek_text_measure(text, ek_json_member(json, name));
	else
		(void)snprintf(text, sizeof text, "%.4g", value);
	(void)printf(*note != 0 ? "  %-22s %-24s %s\n" : "  %-22s %s%s\n", label, text, note);
}

static void print_headline(const cJSON *json)
{
	const cJSON *kid = ek_json_member(json, "kid"),
		    *spread = ek_json_member(ek_json_member(json, "spread"), "frechet_distance");
	char note[128] = "";

	if (!isnan(number(json, "frechet_infinity")))
		(void)snprintf(note, sizeof note, "%.4g for endlessly many images", number(json, "frechet_infinity"));
	print_measure(json, ek_json_text(json, "metric"), "frechet_distance", note);
	if (cJSON_IsObject(spread))
		(void)printf("  %-22s %.4g +- %.2g\n", "  of each seed", number(spread, "mean"), number(spread, "std"));
	if (cJSON_IsObject(kid))
		(void)printf("  %-22s %.3g +- %.2g\n", "kernel distance", number(kid, "mean"), number(kid, "std"));
	if (cJSON_IsObject(ek_json_member(json, "inception_score")))
		(void)printf("  %-22s %.3g +- %.2g\n", "Inception score",
		             number(ek_json_member(json, "inception_score"), "mean"),
		             number(ek_json_member(json, "inception_score"), "std"));
	print_measure(json, "precision", "precision", "generated images that look real");
	print_measure(json, "recall", "recall", "real images within reach of the generator");
	note[0] = 0;
	if (!isnan(number(json, "coverage_expected")))
		(void)snprintf(note, sizeof note, "real images hit; %.3g would be perfect",
		               number(json, "coverage_expected"));
	print_measure(json, "coverage", "coverage", note);
	note[0] = 0;
	if (!isnan(number(json, "vendi_reference")))
		(void)snprintf(note, sizeof note, "different images, in effect; the reference has %.4g",
		               number(json, "vendi_reference"));
	print_measure(json, "diversity (Vendi)", "vendi", note);
}

static void print_worst(const cJSON *json, const cJSON *names)
{
	const cJSON *worst = ek_json_member(json, "worst_cluster");
	const int cluster = (int)ek_whole(number(worst, "cluster"));
	const cJSON *row = cJSON_GetArrayItem(ek_json_member(json, "per_cluster"), cluster);
	char share[32], wanted[32], from[32], to[32], is[256];
	double low = 0, high = 0;

	if (strcmp(ek_json_text(worst, "by"), "coverage") == 0 &&
	    number(worst, "value") >= number(json, "coverage_expected")) {
		(void)printf("  %-22s none stands out\n", "worst cluster");
		return;
	}
	(void)bounds(&low, &high, row);
	(void)printf("  %-22s %d%s: %s of the images (%s to %s), %s wanted", "worst cluster", cluster,
	             ek_text_mostly(is, cJSON_GetArrayItem(names, cluster), " (mostly ", ")"),
	             ek_text_percent(share, number(row, "generated_share")), ek_text_percent(from, low),
	             ek_text_percent(to, high), ek_text_percent(wanted, number(row, "target_share")));
	if (!isnan(number(row, "coverage")))
		(void)printf("; coverage %.3g", number(row, "coverage"));
	(void)printf("\n");
}

static void print_memory(const cJSON *json, const cJSON *names)
{
	const cJSON *memory = ek_json_member(json, "memorisation"), *worst = ek_json_member(memory, "worst_cluster");
	char share[32], held_out[32], count[32], is[256];

	if (!cJSON_IsObject(memory)) {
		(void)printf("  %-22s -  %s\n", "copies",
		             ek_json_text(ek_json_member(json, "reasons"), "memorisation"));
		return;
	}
	(void)printf("  %-22s %s of the images look copied from training images", "copies",
	             ek_text_percent(share, number(memory, "copies_share")));
	if (!isnan(number(memory, "held_out_copies_share")))
		(void)printf("; of real ones %s", ek_text_percent(held_out, number(memory, "held_out_copies_share")));
	if (cJSON_IsObject(worst))
		(void)printf("\n  %-22s most of them, %s, in cluster %.0f%s: %s of it", "",
		             ek_text_count(count, ek_whole(number(worst, "copies"))), number(worst, "cluster"),
		             ek_text_mostly(is, cJSON_GetArrayItem(names, (int)ek_whole(number(worst, "cluster"))),
		                            " (mostly ", ")"),
		             ek_text_percent(share, number(worst, "share")));
	(void)printf("\n");
	if (!isnan(number(memory, "ratio")))
		(void)printf("  %-22s %.3g times as far from training images as fresh real ones\n", "distance",
		             number(memory, "ratio"));
}

/* The small clusters of the data, together. */
static void print_tail(const cJSON *json)
{
	const cJSON *tail = ek_json_member(json, "tail");
	const int count = cJSON_GetArraySize(ek_json_member(tail, "clusters"));
	char share[32], wanted[32];

	if (count == 0)
		return;
	(void)printf("  %-22s %s of the images, %s wanted", count == 1 ? "the small cluster" : "the small clusters",
	             ek_text_percent(share, number(tail, "generated_share")),
	             ek_text_percent(wanted, number(tail, "target_share")));
	if (!isnan(number(tail, "coverage")))
		(void)printf("; coverage %.3g", number(tail, "coverage"));
	(void)printf(count == 1 ? "\n" : " (%d together)\n", count);
}

static void print_value(const cJSON *row, const char *name, int width)
{
	const double value = number(row, name);
	char text[32] = "-";

	if (!isnan(value))
		(void)snprintf(text, sizeof text, "%.3g", value);
	(void)printf(" %*s", width, text);
}

static int by_training_share(const void *a, const void *b)
{
	const cJSON *x = *(const cJSON *const *)a, *y = *(const cJSON *const *)b;
	const double p = number(x, "training_share"), q = number(y, "training_share");

	return (p > q) - (p < q);
}

/* "12 % (10 % to 14 %)", or a dash. */
static const char *percent_of(char out[96], const cJSON *measure)
{
	char share[32], from[32], to[32];
	double low, high;

	if (!cJSON_IsObject(measure) || !bounds(&low, &high, measure))
		return "-";
	(void)snprintf(out, 96, "%s (%s to %s)", ek_text_percent(share, number(measure, "value")),
	               ek_text_percent(from, low), ek_text_percent(to, high));
	return out;
}

/* By named group, the smallest of the training images first. */
static void print_groups(const cJSON *json)
{
	const cJSON *list = ek_json_member(json, "per_group"), *row;
	const int count = cJSON_GetArraySize(list);
	const cJSON **rows = NULL;
	int i = 0;

	if (count == 0 || ek_alloc(&rows, (size_t)count, sizeof(const cJSON *)) < 0)
		return;
	cJSON_ArrayForEach(row, list) rows[i++] = row;
	qsort(rows, (size_t)count, sizeof(const cJSON *), by_training_share);
	(void)printf("\n  %-20s %9s  %-27s %9s  %-22s %9s\n", "named group", "of data", "made", "reference", "coverage",
	             "precision");
	for (i = 0; i < count && i < CLUSTERS_SHOWN; i++) {
		char name[256], of[32], share[96], coverage[96], reference[32];

		row = rows[i];
		(void)printf("  %-20s %9s  %-27s %9s  %-22s", ek_text_plain(name, ek_json_text(row, "group")),
		             ek_text_percent(of, number(row, "training_share")),
		             percent_of(share, ek_json_member(row, "generated_share")),
		             ek_text_count(reference, ek_whole(number(row, "reference_images") + 0.5)),
		             percent_of(coverage, ek_json_member(row, "coverage")));
		print_value(row, "precision", 9);
		(void)printf("\n");
	}
	if (count > CLUSTERS_SHOWN)
		(void)printf("  ... the smallest %d of %d; all are in the file\n", CLUSTERS_SHOWN, count);
	free(rows);
}

static int by_size(const void *a, const void *b)
{
	const cJSON *x = *(const cJSON *const *)a, *y = *(const cJSON *const *)b;
	const double p = number(x, "training_images"), q = number(y, "training_images");

	return p != q ? (p > q) - (p < q) : (number(x, "cluster") > number(y, "cluster")) * 2 - 1;
}

static void print_row(const cJSON *row, const cJSON *mostly)
{
	char is[256], images[32], share[32], wanted[32], from[32], to[32], range[80];
	double low = 0, high = 0;

	(void)bounds(&low, &high, row);
	(void)snprintf(range, sizeof range, "%s (%s to %s)", ek_text_percent(share, number(row, "generated_share")),
	               ek_text_percent(from, low), ek_text_percent(to, high));
	(void)printf("  %7.0f %9s  %-27s %8s", number(row, "cluster"),
	             ek_text_count(images, ek_whole(number(row, "generated_images"))), range,
	             ek_text_percent(wanted, number(row, "target_share")));
	print_value(row, "ratio", 6);
	print_value(row, "coverage", 9);
	print_value(row, "precision", 10);
	(void)printf(" %7s%s\n",
	             isnan(number(row, "copies")) ? "-" : ek_text_count(images, ek_whole(number(row, "copies"))),
	             ek_text_mostly(is, mostly, "  mostly ", ""));
}

static void print_clusters(const cJSON *json, const cJSON *names, const char *run, const char *name)
{
	const cJSON *list = ek_json_member(json, "per_cluster"), *row;
	const size_t count = (size_t)cJSON_GetArraySize(list);
	const cJSON **rows = NULL;
	size_t i = 0;

	if (ek_alloc(&rows, count, sizeof(const cJSON *)) < 0)
		return;
	cJSON_ArrayForEach(row, list) rows[i++] = row;
	qsort(rows, count, sizeof(const cJSON *), by_size);
	(void)printf("\n  %7s %9s  %-27s %8s %6s %9s %10s %7s\n", "cluster", "images", "share", "wanted", "ratio",
	             "coverage", "precision", "copies");
	for (i = 0; i < count && i < CLUSTERS_SHOWN; i++)
		print_row(rows[i], cJSON_GetArrayItem(names, (int)ek_whole(number(rows[i], "cluster"))));
	if (count > CLUSTERS_SHOWN)
		(void)printf("  ... the smallest %d of %zu; all are in the file\n", CLUSTERS_SHOWN, count);
	free(rows);
	(void)printf("\nevaluation: %s/evaluations/%s.json\n", run, name);
}

void ek_evaluate_print(const cJSON *json, const cJSON *names, const char *run, const char *name)
{
	print_title(json);
	print_headline(json);
	print_worst(json, names);
	print_tail(json);
	print_memory(json, names);
	print_groups(json);
	print_clusters(json, names, run, name);
}
