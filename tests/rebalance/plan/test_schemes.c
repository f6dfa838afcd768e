#include "tests/support/support.h"

#include "rebalance/plan/schemes.h"
#include "tests/rebalance/plan/made_run.h"

/* Units of these sizes, without images. */
static void make_units(struct ek_units *units, uint64_t *sizes, uint32_t k)
{
	static char by[] = "cluster";

	*units = (struct ek_units){ .k = k, .sizes = sizes, .by = by };
	for (uint32_t i = 0; i < k; i++)
		units->total += sizes[i];
	units->n = units->total;
}

static void visits_of(double *visits, const char *text, uint64_t *sizes, uint32_t k, double cap)
{
	struct ek_scheme scheme;
	struct ek_units units;

	make_units(&units, sizes, k);
	assert_ok(ek_scheme_parse(&scheme, text));
	assert_ok(ek_scheme_visits(visits, &scheme, &units, NULL, 0));
	if (cap > 0)
		assert_ok(ek_scheme_cap(visits, sizes, k, cap));
}

/* A power, a product and a quotient are each off by at most 2 units in the last place, expm1 and log1p too; a sum over
 * 40 units by 40: 1e-13 relative holds all of it with room. The cap's bisection ends at neighbouring doubles. */
static void every_scheme_gives_the_golden_visits(void **state)
{
	cJSON *golden = ek_golden("schemes");
	const cJSON *item;
	int cases = 0;

	cJSON_ArrayForEach(item, cJSON_GetObjectItem(golden, "cases"))
	{
		const char *scheme = cJSON_GetObjectItem(item, "scheme")->valuestring;
		size_t k, count;
		double *want = ek_golden_doubles(item, "visits", &k),
		       *listed = ek_golden_doubles(item, "sizes", &count);
		double *got = calloc(k, sizeof *got);
		uint64_t *sizes = calloc(k, sizeof *sizes);

		assert_int_equal(k, count);
		for (size_t i = 0; i < k; i++)
			sizes[i] = (uint64_t)listed[i];
		visits_of(got, scheme, sizes, (uint32_t)k, cJSON_GetObjectItem(item, "cap")->valuedouble);
		for (size_t i = 0; i < k; i++) {
			if (!(fabs(got[i] - want[i]) <= 1e-13 * fabs(want[i])))
				print_message("%s, unit %zu of %zu\n", scheme, i, k);
			assert_true(fabs(got[i] - want[i]) <= 1e-13 * fabs(want[i]));
		}
		free(want);
		free(listed);
		free(got);
		free(sizes);
		cases++;
	}
	assert_true(cases > 90);
	cJSON_Delete(golden);
}

/* The table of definitions.md, section 7, in its two digits. */
static void effective_numbers_give_the_published_shares(void **state)
{
	static const struct {
		const char *scheme;
		double shares[3];
	} cases[] = {
		{ "effective-number=0.9", { 0.90, 0.09, 0.01 } },
		{ "effective-number=0.99", { 0.79, 0.13, 0.08 } },
		{ "effective-number=0.999", { 0.44, 0.29, 0.28 } },
		{ "effective-number=0.9999", { 0.34, 0.33, 0.33 } },
	};
	uint64_t sizes[] = { 1000, 100, 10 };

	for (size_t c = 0; c < 4; c++) {
		double visits[3];

		visits_of(visits, cases[c].scheme, sizes, 3, 0);
		for (int k = 0; k < 3; k++)
			assert_true(fabs(visits[k] * (double)sizes[k] / 1110 - cases[c].shares[k]) <= 0.0051);
	}
}

/* Against the formula applied to every sample. */
static void reweighing_is_that_of_aif360(void **state)
{
	cJSON *golden = ek_golden("schemes");
	const cJSON *data = cJSON_GetObjectItem(golden, "reweigh");
	size_t n;
	double *gender = ek_golden_doubles(data, "gender", &n), *label = ek_golden_doubles(data, "label", &n);
	double *weights = ek_golden_doubles(data, "weights", &n), total = 0, *visits;
	const char **rows = calloc(n, sizeof *rows);
	struct ek_made_run made = { .n = n, .rows = rows };
	struct ek_scheme scheme;
	struct ek_units units;
	struct ek_run *run;
	char *by, *row;

	for (size_t i = 0; i < n; i++) {
		assert_ok(ek_format(&row, ", \"gender\": \"g%.0f\", \"kind\": \"l%.0f\"", gender[i], label[i]));
		rows[i] = row;
		total += weights[i];
	}
	run = ek_make_run(&made);
	assert_ok(ek_scheme_parse(&scheme, "reweigh=gender,kind"));
	assert_ok(ek_scheme_units(&by, &scheme, NULL));
	assert_string_equal(by, "gender\xC3\x97kind");
	assert_ok(ek_units_load(&units, run, by));
	visits = calloc(units.k, sizeof *visits);
	assert_non_null(visits);
	assert_ok(ek_scheme_visits(visits, &scheme, &units, run, 0));
	for (size_t i = 0; i < n; i++)
		assert_close(visits[units.unit[i]], weights[i] * (double)n / total, 1e-12);
	ek_units_release(&units);
	ek_run_close(run);
	for (size_t i = 0; i < n; i++)
		free((void *)(uintptr_t)rows[i]);
	free(rows);
	free(visits);
	free(by);
	free(gender);
	free(label);
	free(weights);
	cJSON_Delete(golden);
}

static void a_target_file_gives_its_shares(void **state)
{
	static const char csv[] = "cluster,share\n0,0.25\n2,0.75\n";
	const char *path = ek_join(ek_scratch(), "t.csv");
	uint64_t sizes[] = { 1000, 100, 10, 0 };
	struct ek_scheme scheme;
	struct ek_units units;
	double visits[4];
	char *text;

	make_units(&units, sizes, 4);
	ek_write_file(path, csv, sizeof csv - 1);
	assert_ok(ek_format(&text, "target=%s", path));
	assert_ok(ek_scheme_parse(&scheme, text));
	assert_string_equal(ek_scheme_file(&scheme), path);
	assert_ok(ek_scheme_visits(visits, &scheme, &units, NULL, 0));
	assert_close(visits[0], 0.25 * 1110 / 1000, 1e-15);
	assert_true(visits[1] == 0 && visits[3] == 0);
	assert_close(visits[2], 0.75 * 1110 / 10, 1e-13);
	assert_fails(ek_scheme_cap(visits, sizes, 4, 1), EK_EUSAGE, "1010 of 1110 images are shown at all, so 1.0990");
	assert_ok(ek_scheme_cap(visits, sizes, 4, 1.2));
	assert_close(visits[2], 1.2, 1e-15);
	assert_close(visits[0], (1110 - 12) / 1000.0, 1e-15);
	ek_write_file(path, "0,0.25\n3,0.75\n", 14);
	assert_fails(ek_scheme_visits(visits, &scheme, &units, NULL, 0), EK_EDATA, "3 has a share, 0.75, but no image");
	free(text);
}

static void bad_schemes_are_refused(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{ "even", "unknown scheme \"even\"" },
		{ "", "unknown scheme \"\"" },
		{ "inverse=2", "takes no value" },
		{ "alpha", "needs a value: alpha=..., a number from -10 to 10" },
		{ "alpha=", "needs a value" },
		{ "alpha=x", "not \"x\"" },
		{ "alpha=1x", "not \"1x\"" },
		{ "alpha=nan", "not \"nan\"" },
		{ "alpha=11", "not \"11\"" },
		{ "alpha=auto", "not \"auto\"" },
		{ "effective-number=1", "from 0 to below 1" },
		{ "effective-number=-0.1", "from 0 to below 1" },
		{ "repeat-factor=0", "above 0, up to 1" },
		{ "target=", "needs a value" },
	};
	struct ek_scheme scheme;
	char *by;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_fails(ek_scheme_parse(&scheme, cases[i].text), EK_EUSAGE, cases[i].message);
	assert_ok(ek_scheme_parse(&scheme, "reweigh=a"));
	assert_fails(ek_scheme_units(&by, &scheme, NULL), EK_EUSAGE, "expected two attributes");
	assert_ok(ek_scheme_parse(&scheme, "reweigh=a,b,c"));
	assert_fails(ek_scheme_units(&by, &scheme, NULL), EK_EUSAGE, "expected two attributes");
	assert_ok(ek_scheme_parse(&scheme, "reweigh=a,b"));
	assert_fails(ek_scheme_units(&by, &scheme, "cluster"), EK_EUSAGE, "leave out 'by' cluster");
}

EK_TEST_MAIN(cmocka_unit_test(every_scheme_gives_the_golden_visits),
             cmocka_unit_test(effective_numbers_give_the_published_shares),
             cmocka_unit_test(reweighing_is_that_of_aif360), cmocka_unit_test(a_target_file_gives_its_shares),
             cmocka_unit_test(bad_schemes_are_refused))
