#include "rebalance/cli/summary.h"
#include "rebalance/cli/output.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/memory.h"
#include "rebalance/cli/terminal.h"
#include "rebalance/base/text.h"

enum {
	TAIL_SHOWN = 12,
	ATTRIBUTES_SHOWN = 6,
	VALUES_SHOWN = 10, /* of more the commonest and the rarest */
	PAIRS_SHOWN = 3,
	BAR = 20
};

static const char bar[] = "####################";

static void print_measure(const char *label, const cJSON *skew, const char *name, const char *note)
{
	char text[96];

	(void)printf("  %-20s %s  %s\n", label, ek_text_measure(text, ek_json_member(skew, name)), note);
}

static void print_tail(const cJSON *skew, const cJSON *clusters)
{
	const cJSON *shares = ek_json_member(clusters, "shares"), *mostly = ek_json_member(clusters, "mostly");
	const cJSON *tail = ek_json_member(skew, "tail_clusters"), *item;
	char percent[32], is[256];
	double held = 0;
	int shown = 0;

	cJSON_ArrayForEach(item, tail)
	{
		const cJSON *share = cJSON_GetArrayItem(shares, item->valueint);

		held += cJSON_IsObject(share) ? ek_json_number(share, "value") : 0;
	}
	(void)printf("  %-20s %d", "small clusters", cJSON_GetArraySize(tail));
	if (cJSON_GetArraySize(tail) > 0)
		(void)printf(", with %s of the images:", ek_text_percent(percent, held));
	cJSON_ArrayForEach(item, tail)
	{
		if (shown++ == TAIL_SHOWN) {
			(void)printf(" ...");
			break;
		}
		(void)printf("%s %d%s", shown > 1 ? "," : "", item->valueint,
		             ek_text_mostly(is, cJSON_GetArrayItem(mostly, item->valueint), " (mostly ", ")"));
	}
	(void)printf("  (below half of an equal share)\n");
}

struct value {
	const char *name;
	double count;
	const cJSON *share;
	int at;
};

static int commoner_first(const void *a, const void *b)
{
	const struct value *x = a, *y = b;

	if (x->count < y->count || x->count > y->count)
		return x->count < y->count ? 1 : -1;
	return x->at - y->at;
}

/* A bar of a share, the commonest value's being BAR wide. */
static void print_value_row(const struct value *v, double most)
{
	char name[256], count[32], share[32], low[32], high[32], interval[96];
	const double width = most > 0 ? ceil(BAR * v->count / most) : 0;
	const cJSON *ends = ek_json_member(v->share, "ci95");

	(void)snprintf(interval, sizeof interval, "%s (%s to %s)",
	               ek_text_percent(share, ek_json_number(v->share, "value")),
	               ek_text_percent(low, cJSON_GetNumberValue(cJSON_GetArrayItem(ends, 0))),
	               ek_text_percent(high, cJSON_GetNumberValue(cJSON_GetArrayItem(ends, 1))));
	(void)printf("    %-18s %9s   %-26s %.*s\n", ek_text_plain(name, v->name),
	             ek_text_count(count, ek_whole(v->count)), interval, (int)width, bar);
}

static double greatest(const struct value *values, int n)
{
	double most = 0;

	for (int i = 0; i < n; i++)
		most = fmax(most, values[i].count);
	return most;
}

/* The values of an attribute: numbers in their order, others the commonest first. */
static int print_values(const cJSON *attribute)
{
	const cJSON *names = ek_json_member(attribute, "values"), *item;
	const int all = cJSON_GetArraySize(names);
	const cJSON *count = ek_json_member(attribute, "counts"), *share = ek_json_member(attribute, "shares");
	struct value *values = NULL;
	int n = 0, rc;

	EK_TRY(ek_alloc(&values, (size_t)all, sizeof *values));
	count = count != NULL ? count->child : NULL;
	share = share != NULL ? share->child : NULL;
	cJSON_ArrayForEach(item, names)
	{
		const char *name = cJSON_GetStringValue(item);

		if (count == NULL || share == NULL)
			break;
		values[n] = (struct value){ name != NULL ? name : "", count->valuedouble, share, n };
		n++;
		count = count->next;
		share = share->next;
	}
	if (n > VALUES_SHOWN || !cJSON_IsTrue(ek_json_member(attribute, "ordered")))
		qsort(values, (size_t)n, sizeof *values, commoner_first);
	for (int i = 0; i < n; i++) {
		if (n > VALUES_SHOWN && i == VALUES_SHOWN / 2) {
			(void)printf("    ... %d more ...\n", n - VALUES_SHOWN);
			i += n - VALUES_SHOWN;
		}
		print_value_row(&values[i], greatest(values, n));
	}
out:
	free(values);
	return rc;
}

/* How many more labels would halve the widest interval. */
static void print_labels_to_halve(const cJSON *groups)
{
	const cJSON *item, *widest = NULL;
	double most = 0;
	char name[256], count[32];

	cJSON_ArrayForEach(item, ek_json_member(groups, "groups"))
	{
		const cJSON *ends = ek_json_member(ek_json_member(item, "share"), "ci95");
		const double width = cJSON_GetNumberValue(cJSON_GetArrayItem(ends, 1)) -
		                     cJSON_GetNumberValue(cJSON_GetArrayItem(ends, 0));

		if (width > most) {
			most = width;
			widest = item;
		}
	}
	if (widest != NULL)
		(void)printf(
			"    %s more labels of images drawn at random would halve the widest interval, that of %s\n",
			ek_text_count(count,
		                      ek_whole(ek_json_number(ek_json_member(widest, "share"), "labels_to_halve"))),
			ek_text_plain(name, cJSON_GetStringValue(ek_json_member(widest, "name"))));
}

/* Groups that were found without labels, and what most of each are. */
static void print_found(const cJSON *groups)
{
	const cJSON *item, *value;
	char name[256], count[32], share[32];

	const int one = cJSON_GetArraySize(ek_json_member(groups, "groups")) == 1 &&
	                cJSON_GetArraySize(ek_json_member(groups, "curve")) > 0;

	(void)printf("  %sgroups%s: found without labels, of %.0f fine clusters%s\n", ek_bold(), ek_plain(),
	             ek_json_number(groups, "fine_clusters"),
	             one ? "; none come out again, so all images are one" : "");
	cJSON_ArrayForEach(item, ek_json_member(groups, "groups"))
	{
		int mostly = 0;

		(void)printf("    %-18s %9s   %s",
		             ek_text_plain(name, cJSON_GetStringValue(ek_json_member(item, "name"))),
		             ek_text_count(count, ek_whole(ek_json_number(item, "images"))),
		             ek_text_percent(share, ek_json_number(item, "corrected_share")));
		cJSON_ArrayForEach(value, ek_json_member(item, "mostly"))(void) printf(
			"%s%s", mostly++ == 0 ? ", mostly " : ", ", ek_text_plain(name, cJSON_GetStringValue(value)));
		(void)printf("\n");
	}
}

/* Groups that words describe: who says so, and how sure that is. */
static void print_words(const cJSON *groups, const cJSON *words)
{
	const double labelled = ek_json_number(groups, "labelled");
	char name[256], count[32];

	(void)printf("  %sgroups%s: as CLIP reads %s", ek_bold(), ek_plain(),
	             ek_text_plain(name, cJSON_GetStringValue(ek_json_member(words, "file"))));
	if (labelled > 0)
		(void)printf(", calibrated by %s labelled images", ek_text_count(count, ek_whole(labelled)));
	(void)printf(
		ek_json_number(groups, "labelled_at_random") > 0
			? "\n"
			: "; guesses, no estimates: those take labels of images drawn at random (column random)\n");
}

/* Images that are of none of the groups. */
static void print_none(const cJSON *none)
{
	char count[32], share[32];

	if (cJSON_IsObject(none))
		(void)printf("    %-18s %9s   %s\n", "none of these",
		             ek_text_count(count, ek_whole(ek_json_number(none, "images"))),
		             ek_text_percent(share, ek_json_number(none, "corrected_share")));
}

static void print_source(const cJSON *groups)
{
	char count[32], share[32];

	(void)printf("  %sgroups%s: learned from %s labelled images", ek_bold(), ek_plain(),
	             ek_text_count(count, ek_whole(ek_json_number(groups, "labelled"))));
	if (cJSON_IsNumber(ek_json_member(ek_json_member(groups, "probe"), "accuracy")))
		(void)printf(", %s right when left out",
		             ek_text_percent(share, ek_json_number(ek_json_member(groups, "probe"), "accuracy")));
	(void)printf(ek_json_number(groups, "labelled_at_random") > 0
	                     ? "\n"
	                     : "; no intervals: none of them was drawn at random (column random)\n");
}

/* The groups that labels taught or words describe: by intervals where images were drawn at random, else as the probe
 * has them. */
static void print_groups(const cJSON *groups)
{
	const cJSON *words = ek_json_member(groups, "words"), *item;
	char name[256], count[32], share[32], low[32], high[32];

	if (!cJSON_IsObject(groups))
		return;
	if (!cJSON_IsObject(words) && !(ek_json_number(groups, "labelled") > 0)) {
		print_found(groups);
		return;
	}
	if (cJSON_IsObject(words))
		print_words(groups, words);
	else
		print_source(groups);
	(void)printf("    %-18s %9s   share of all%s\n", "group", "taken for",
	             ek_json_number(groups, "labelled_at_random") > 0 ? ", with its 95 % interval"
	                                                              : ", by how likely each image is of it");
	cJSON_ArrayForEach(item, ek_json_member(groups, "groups"))
	{
		const cJSON *found = ek_json_member(item, "share"), *ends = ek_json_member(found, "ci95");

		(void)printf("    %-18s %9s   ",
		             ek_text_plain(name, cJSON_GetStringValue(ek_json_member(item, "name"))),
		             ek_text_count(count, ek_whole(ek_json_number(item, "images"))));
		if (cJSON_IsObject(found))
			(void)printf("%s (%s to %s)\n", ek_text_percent(share, ek_json_number(found, "value")),
			             ek_text_percent(low, cJSON_GetNumberValue(cJSON_GetArrayItem(ends, 0))),
			             ek_text_percent(high, cJSON_GetNumberValue(cJSON_GetArrayItem(ends, 1))));
		else
			(void)printf("%s\n", ek_text_percent(share, ek_json_number(item, "corrected_share")));
	}
	print_none(ek_json_member(groups, "none"));
	print_labels_to_halve(groups);
}

static int print_attributes(const cJSON *attributes)
{
	const cJSON *attribute;
	char name[256], count[32], text[96];
	int shown = 0, rc = 0;

	cJSON_ArrayForEach(attribute, ek_json_object(attributes))
	{
		const char *note = cJSON_GetStringValue(ek_json_member(attribute, "note"));
		const double missing = ek_json_number(attribute, "missing");

		if (shown++ == ATTRIBUTES_SHOWN)
			break;
		(void)printf("  %s%s%s: %d value%s%s%s%s, Gini %s", ek_bold(), ek_text_plain(name, attribute->string),
		             ek_plain(), cJSON_GetArraySize(ek_json_member(attribute, "values")),
		             cJSON_GetArraySize(ek_json_member(attribute, "values")) == 1 ? "" : "s",
		             note != NULL ? " (" : "", note != NULL ? note : "", note != NULL ? ")" : "",
		             ek_text_measure(text, ek_json_member(ek_json_member(attribute, "skew"), "gini")));
		if (missing > 0)
			(void)printf(", %s without one", ek_text_count(count, ek_whole(missing)));
		(void)printf("\n");
		EK_TRY(print_values(attribute));
	}
	if (cJSON_GetArraySize(attributes) > ATTRIBUTES_SHOWN)
		(void)printf("  and %d more attributes: audit.json\n",
		             cJSON_GetArraySize(attributes) - ATTRIBUTES_SHOWN);
out:
	return rc;
}

/* The rarest combination of each pair, the pairs as they come. */
static void print_pairs(const cJSON *pairs)
{
	const cJSON *pair;
	char a[256], b[256], count[32], expected[32];
	int shown = 0;

	cJSON_ArrayForEach(pair, pairs)
	{
		const cJSON *rare = cJSON_GetArrayItem(ek_json_member(pair, "rarest"), 0);
		const cJSON *values = ek_json_member(rare, "values");
		const char *first = cJSON_GetStringValue(cJSON_GetArrayItem(values, 0));
		const char *second = cJSON_GetStringValue(cJSON_GetArrayItem(values, 1));

		if (first == NULL || second == NULL || shown++ == PAIRS_SHOWN)
			break;
		(void)printf("  %-20s %s × %s: %s", shown == 1 ? "rarest together" : "", ek_text_plain(a, first),
		             ek_text_plain(b, second), ek_text_count(count, ek_whole(ek_json_number(rare, "count"))));
		(void)printf(" (%s if they were independent)\n",
		             ek_text_count(expected, ek_whole(ek_json_number(rare, "expected") + 0.5)));
	}
	if (shown > 0)
		(void)printf("\n");
}

/* What may be said in a word where there are no labels. */
static void print_verdict(const cJSON *audit)
{
	const cJSON *verdict = ek_json_member(audit, "verdict");
	const int has_attributes = cJSON_GetArraySize(ek_json_member(audit, "attributes")) > 0;
	const int has_labels = ek_json_number(ek_json_member(audit, "groups"), "labelled") > 0;
	const char *advice = has_labels       ? ""
	                     : has_attributes ? "; ten labels a group (evenkeel label) would tell more"
	                                      : "; attributes, or ten labels a group (evenkeel label), would tell "
	                                        "more";
	const char *words = cJSON_GetStringValue(ek_json_member(verdict, "words"));
	const char *reason = cJSON_GetStringValue(ek_json_member(verdict, "reason"));
	const cJSON *shares = ek_json_member(verdict, "shares");
	const int count = cJSON_GetArraySize(shares);
	char text[96], a[32], b[32];

	if (words == NULL)
		return;
	(void)printf("  %-20s %s%s%s\n", "without labels", ek_bold(), words, ek_plain());
	if (reason != NULL)
		(void)printf("  %-20s %s%s\n", "", reason, advice);
	else
		(void)printf("  %-20s %d groups stand apart, the largest with %s, the smallest with %s of the images\n"
		             "  %-20s Gini beyond chance %s\n",
		             "", count, ek_text_percent(a, cJSON_GetNumberValue(cJSON_GetArrayItem(shares, 0))),
		             ek_text_percent(b, cJSON_GetNumberValue(cJSON_GetArrayItem(shares, count - 1))), "",
		             ek_text_measure(text, ek_json_member(verdict, "excess")));
}

static void print_agreement(const cJSON *attributes)
{
	const cJSON *attribute;
	char name[256];

	if (cJSON_GetArraySize(attributes) > 0)
		(void)printf("\n  %-20s %8s %8s %8s %8s\n", "clusters against", "values", "NMI", "ARI", "purity");
	cJSON_ArrayForEach(attribute, ek_json_object(attributes))(void)
		printf("  %-20s %8d %8.3f %8.3f %8.3f\n", ek_text_plain(name, attribute->string),
	               cJSON_GetArraySize(ek_json_member(attribute, "values")), ek_json_number(attribute, "nmi"),
	               ek_json_number(attribute, "ari"), ek_json_number(attribute, "purity"));
}

int ek_summary_print_file(const struct ek_run *run, const char *pattern, const char *name)
{
	struct ek_buffer text = { 0 };
	int rc;

	EK_TRY(ek_document_read(&text, run, pattern, name));
	if (fwrite(text.data, 1, text.size, stdout) != text.size)
		rc = ek_fail_errno("cannot write the result");
out:
	ek_buffer_release(&text);
	return rc;
}

int ek_summary_print(const struct ek_run *run, int json)
{
	const cJSON *clusters, *skew, *null;
	cJSON *audit = NULL;
	char a[32], b[32], chance[80];
	int rc;

	if (json)
		return ek_summary_print_file(run, "audit.json", NULL);
	EK_TRY(ek_document_load(&audit, run, "audit.json", NULL));
	clusters = ek_json_member(audit, "clusters");
	skew = ek_json_member(audit, "skew");
	(void)printf("%s%s image%s in %.0f cluster%s%s", ek_bold(),
	             ek_text_count(a, ek_whole(ek_json_number(audit, "images"))),
	             ek_json_number(audit, "images") > 1 ? "s" : "", ek_json_number(clusters, "k"),
	             ek_json_number(clusters, "k") > 1 ? "s" : "", ek_plain());
	if (ek_json_number(audit, "rejected") > 0)
		(void)printf(", %s rejected (rejected.jsonl says why)",
		             ek_text_count(b, ek_whole(ek_json_number(audit, "rejected"))));
	(void)printf("\n\n");
	print_groups(ek_json_member(audit, "groups"));
	EK_TRY(print_attributes(ek_json_member(audit, "attributes")));
	null = ek_json_member(ek_json_member(audit, "stability"), "null");
	(void)snprintf(chance, sizeof chance,
	               cJSON_IsObject(null) ? "0 = all clusters equal; %.2g without structure"
	                                    : "0 = all clusters equal",
	               ek_json_number(null, "gini"));
	print_pairs(ek_json_member(audit, "pairs"));
	print_verdict(audit);
	(void)printf("  %-20s %.0f, with %s of the images\n", "largest clusters", ek_json_number(skew, "top_clusters"),
	             ek_text_percent(a, ek_json_number(skew, "top_share")));
	print_tail(skew, clusters);
	print_measure("Gini", skew, "gini", chance);
	print_measure("effective clusters", ek_json_member(skew, "effective_clusters"), "d1",
	              "equal ones that are as diverse");
	print_measure("imbalance", skew, "imbalance_ratio", "largest cluster / smallest");
	print_agreement(ek_json_member(audit, "attributes"));
	(void)printf("\nreport: %s/report.html\n", ek_run_path(run));
out:
	cJSON_Delete(audit);
	return rc;
}

/* 12345 as "12,345", other numbers as they are, text without quotes. */
static void print_value(const cJSON *item)
{
	char text[32], line[256];

	if (cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble < 0x1p53 &&
	    item->valuedouble == (double)ek_whole(item->valuedouble))
		(void)printf("%s\n", ek_text_count(text, ek_whole(item->valuedouble)));
	else if (cJSON_IsNumber(item))
		(void)printf("%.4g\n", item->valuedouble);
	else
		(void)printf("%s\n", cJSON_IsString(item) ? ek_text_plain(line, item->valuestring)
		                     : cJSON_IsTrue(item) ? "yes"
		                                          : "no");
}

/* What each of several data sets brought. */
static void print_datasets(const cJSON *datasets)
{
	const cJSON *item;
	char name[256], kind[256];

	cJSON_ArrayForEach(item, datasets)
	{
		const char *dataset = cJSON_GetStringValue(ek_json_member(item, "dataset"));
		const char *form = cJSON_GetStringValue(ek_json_member(item, "kind"));

		(void)printf("  %-20s %.0f images, %.0f rejected (%s)\n",
		             ek_text_plain(name, dataset != NULL ? dataset : ""), ek_json_number(item, "images"),
		             ek_json_number(item, "rejected"), ek_text_plain(kind, form != NULL ? form : ""));
	}
}

int ek_summary_print_groups(const struct ek_run *run)
{
	char *path = NULL;
	cJSON *json = NULL;
	int rc;

	EK_TRY(ek_run_file(&path, run, "clusters/groups.json"));
	if (!ek_file_exists(path))
		goto out;
	EK_TRY(ek_json_load(&json, path));
	print_groups(json);
out:
	cJSON_Delete(json);
	free(path);
	return rc;
}

int ek_summary_print_step(const struct ek_run *run, const char *step, int json)
{
	const cJSON *recorded = ek_run_recorded(run, step), *item;

	if (json)
		return ek_print_json(recorded);
	cJSON_ArrayForEach(item, ek_json_object(ek_json_member(recorded, "counts")))
	{
		if (!cJSON_IsNumber(item) && !cJSON_IsString(item) && !cJSON_IsBool(item))
			continue;
		(void)printf("  %-20s ", item->string);
		print_value(item);
	}
	print_datasets(ek_json_member(ek_json_member(recorded, "counts"), "datasets"));
	return 0;
}
