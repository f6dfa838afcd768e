#include "tests/support/support.h"

#include "analysis/skew/naming.h"

enum { IMAGES = 100 };

/* The names of the units of 40, 50, 5, 3 and 2 images, the values of a column being of as many images of each unit from
 * its first image on as `first` says; the rest has the other value. */
struct made {
	int32_t unit[IMAGES], codes[IMAGES];
	uint64_t sizes[5];
};

static void make(struct made *m, const size_t first[5])
{
	static const size_t sizes[] = { 40, 50, 5, 3, 2 };
	size_t at = 0;

	for (size_t u = 0; u < 5; u++) {
		m->sizes[u] = sizes[u];
		for (size_t i = 0; i < sizes[u]; i++) {
			m->unit[at] = (int32_t)u;
			m->codes[at++] = i < first[u] ? 0 : 1;
		}
	}
}

static char *names_of(struct made *m, const char *name, const char *zero, const char *one, size_t unit)
{
	char *values[] = { strdup(zero), strdup(one) }, *copy = strdup(name);
	const struct ek_column column = { .name = copy, .codes = m->codes, .values = values, .value_count = 2 };
	struct ek_naming naming;
	cJSON *json = cJSON_CreateObject();
	char *text;

	assert_ok(ek_naming_open(&naming, m->sizes, 5, IMAGES));
	assert_ok(ek_naming_count(&naming, &column, m->unit));
	assert_ok(ek_naming_count(&naming, &column, m->unit)); /* twice the same is said once */
	assert_ok(ek_naming_add(json, "mostly", &naming, unit));
	assert_ok(ek_naming_add(json, "mostly", &naming, unit));
	text = cJSON_PrintUnformatted(json);
	cJSON_Delete(json);
	ek_naming_release(&naming);
	free(values[0]);
	free(values[1]);
	free(copy);
	return text;
}

static void check(const size_t first[5], const char *name, const char *zero, const char *one, size_t unit,
                  const char *want)
{
	struct made m;
	char *text;

	make(&m, first);
	text = names_of(&m, name, zero, one, unit);
	assert_string_equal(text, want);
	cJSON_free(text);
}

/* 40 images: of 26 the interval begins at 0.495, of 27 at 0.52. 5 of 5 begin at 0.57, 3 of 3 at 0.44. */
static void most_by_more_than_a_hair(void **state)
{
	static const size_t close[] = { 26, 0, 0, 0, 0 }, clear[] = { 27, 0, 5, 3, 2 };

	check(close, "race", "Asian", "White", 0, "{\"mostly\":[]}");
	check(clear, "race", "Asian", "White", 0, "{\"mostly\":[\"Asian\"]}");
	check(clear, "race", "Asian", "White", 2, "{\"mostly\":[\"Asian\"]}");
	check(clear, "race", "Asian", "White", 3, "{\"mostly\":[]}");
	check(clear, "race", "Asian", "White", 1, "{\"mostly\":[\"White\"]}");
}

/* All of a unit is 0.91 at the least: 1.14 times 0.8, and 1.30 times 0.7. */
static void not_what_all_are(void **state)
{
	static const size_t all[] = { 40, 30, 5, 3, 2 }, fewer[] = { 40, 20, 5, 3, 2 };

	check(all, "race", "Asian", "White", 0, "{\"mostly\":[]}");
	check(fewer, "race", "Asian", "White", 0, "{\"mostly\":[\"Asian\"]}");
}

static void texts_that_say_something(void **state)
{
	static const size_t clear[] = { 40, 0, 5, 3, 2 };

	check(clear, "Male", "1", "-1", 0, "{\"mostly\":[\"Male\"]}");
	check(clear, "Male", "1", "-1", 1, "{\"mostly\":[\"not Male\"]}");
	check(clear, "year", "1990", "2000", 0, "{\"mostly\":[\"year 1990\"]}");
	check(clear, "age", "1–20", "20–40", 1, "{\"mostly\":[\"20–40\"]}");
}

EK_TEST_MAIN(cmocka_unit_test(most_by_more_than_a_hair), cmocka_unit_test(not_what_all_are),
             cmocka_unit_test(texts_that_say_something))
