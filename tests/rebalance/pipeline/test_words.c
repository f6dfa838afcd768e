/* Groups that words describe: their file, the scale that labels choose, probabilities. */

#include "rebalance/base/file.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"
#include "rebalance/io/groups.h"
#include "rebalance/pipeline/classifier.h"
#include "rebalance/pipeline/words.h"
#include "tests/support/support.h"

static const char *write_words(const char *text)
{
	const char *path = ek_join(ek_scratch(), "words.txt");

	ek_write_file(path, text, strlen(text));
	return path;
}

static void a_file_names_groups_and_prompts(void **state)
{
	static const struct {
		const char *name, *prompts[3];
		uint64_t line;
	} want[] = {
		{ "dog", { "a photo of a dog", "a dog, asleep", NULL }, 3 },
		{ "big cat", { "a photo of a big cat.", "a picture of a big cat.", "an image of a big cat." }, 6 },
		{ "caf\xc3\xa9", { "{ a caf\xc3\xa9 }", NULL, NULL }, 7 },
		{ "none of these", { "a photo.", "a picture.", "an image." }, 5 },
	};
	struct ek_group_words w;

	assert_ok(ek_group_words_load(&w, write_words("\xef\xbb\xbf# pets\n\n"
	                                              "dog: a photo of a {};; a {}, asleep ;\r\n"
	                                              " # not this\n"
	                                              "none of these\n"
	                                              "\tbig cat :\n"
	                                              "caf\xc3\xa9:{ a {} }")));
	assert_int_equal(w.groups, 3);
	assert_int_equal(w.none, 1);
	assert_int_equal(w.prompts, 2 + 3 + 1 + 3);
	for (size_t g = 0; g < sizeof want / sizeof *want; g++) {
		size_t count = 0;

		for (; count < 3 && want[g].prompts[count] != NULL; count++)
			assert_string_equal(w.rows[g].prompts[count], want[g].prompts[count]);
		assert_int_equal(w.rows[g].count, count);
		assert_string_equal(w.rows[g].name, want[g].name);
		assert_int_equal(w.rows[g].line, want[g].line);
	}
	ek_group_words_release(&w);
}

static void too_many_groups_are_refused(void **state)
{
	struct ek_buffer text = { 0 };
	struct ek_group_words w;

	for (int i = 0; i < EK_GROUP_WORDS_MOST; i++)
		assert_ok(ek_buffer_printf(&text, "g%d\n", i));
	assert_ok(ek_buffer_text(&text, "none of these\n"));
	assert_ok(ek_group_words_load(&w, write_words(text.data)));
	assert_int_equal(w.groups, EK_GROUP_WORDS_MOST);
	ek_group_words_release(&w);
	assert_ok(ek_buffer_text(&text, "one more\n"));
	assert_fails(ek_group_words_load(&w, write_words(text.data)), EK_EDATA, ":258: more than 256 groups");
	ek_group_words_release(&w);
	ek_buffer_release(&text);
}

enum { D = 5, GROUPS = 4, IMAGES = 5000 };

/* Directions, and images in no order, of other lengths than 1. */
static void make(struct ek_probe *probe, float *x, double scale)
{
	*probe = (struct ek_probe){ .groups = GROUPS, .k = D, .temperature = 1 / scale };
	assert_ok(ek_alloc(&probe->w, (size_t)GROUPS * (D + 1), sizeof *probe->w));
	for (uint32_t g = 0; g < GROUPS; g++) {
		double squares = 0;

		for (uint32_t j = 0; j < D; j++) {
			probe->w[g * (D + 1) + j] = ek_random_normal(1, 2, g * D + j);
			squares += probe->w[g * (D + 1) + j] * probe->w[g * (D + 1) + j];
		}
		for (uint32_t j = 0; j < D; j++)
			probe->w[g * (D + 1) + j] /= sqrt(squares);
	}
	for (uint64_t i = 0; i < (uint64_t)IMAGES * D; i++)
		x[i] = (float)(3 * ek_random_normal(1, 3, i));
}

/* softmax(scale · cosine) of one image, out [GROUPS]; the variance of the cosine under it is returned. */
static double softmax_of(double *q, const struct ek_probe *probe, const float *x, double scale)
{
	double squares = 0, sum = 0, mean = 0, second = 0, cosine[GROUPS];

	for (int j = 0; j < D; j++)
		squares += (double)x[j] * (double)x[j];
	for (int g = 0; g < GROUPS; g++) {
		cosine[g] = 0;
		for (int j = 0; j < D; j++)
			cosine[g] += (double)x[j] / sqrt(squares) * probe->w[g * (D + 1) + j];
		sum += q[g] = exp(scale * cosine[g]);
	}
	for (int g = 0; g < GROUPS; g++) {
		q[g] /= sum;
		mean += q[g] * cosine[g];
		second += q[g] * cosine[g] * cosine[g];
	}
	return second - mean * mean;
}

/* Labels drawn by a known scale: what is found is a maximum likelihood estimate, whose deviation is 1 / sqrt(Fisher
 * information), the sum of the variances of the cosine; four of them are exceeded once in 16,000 draws. */
static void labels_choose_the_scale(void **state)
{
	const double scale = 7;
	float *x = malloc(sizeof *x * IMAGES * D);
	uint64_t ids[IMAGES];
	uint32_t row[IMAGES];
	struct ek_probe probe;
	struct ek_npy array;
	struct ek_rows all;
	double q[GROUPS], information = 0;

	make(&probe, x, 100);
	for (uint32_t i = 0; i < IMAGES; i++) {
		double u = ek_random_double(5, 6, i);

		information += softmax_of(q, &probe, x + i * D, scale);
		ids[i] = i;
		for (row[i] = 0; row[i] < GROUPS - 1 && u > q[row[i]]; row[i]++)
			u -= q[row[i]];
	}
	array = ek_rows_memory(x, IMAGES, D);
	assert_ok(ek_rows_of(&all, &array, 0));
	assert_ok(ek_words_calibrate(&probe, &all, ids, row, IMAGES));
	print_message("scale %.3f, deviation %.3f\n", 1 / probe.temperature, 1 / sqrt(information));
	assert_true(fabs(1 / probe.temperature - scale) <= 4 / sqrt(information));
	assert_true(1 / sqrt(information) < 0.3);
	ek_probe_release(&probe);
	free(x);
}

/* The last row is "none of these", which is left out of what is told. float32: 2^-24 of 1, and cosines of rows that are
 * float32 at scale 20. */
static void probabilities_are_a_softmax_of_cosines(void **state)
{
	const uint32_t groups = GROUPS - 1;
	float *x = malloc(sizeof *x * IMAGES * D), *got = calloc(IMAGES, groups * sizeof *got);
	float *again = calloc(IMAGES, groups * sizeof *again);
	struct ek_probe probe;
	struct ek_npy array;
	struct ek_rows all;
	double q[GROUPS];
	int none = 0;

	make(&probe, x, 20);
	array = ek_rows_memory(x, IMAGES, D);
	assert_ok(ek_rows_of(&all, &array, 0));
	assert_ok(ek_words_predict(got, &probe, &all, groups));
	for (uint32_t i = 0; i < IMAGES; i++) {
		int best = 0;

		(void)softmax_of(q, &probe, x + i * D, 20);
		for (uint32_t g = 0; g < groups; g++)
			assert_true(fabs((double)got[i * groups + g] - q[g]) <= 1e-5);
		for (int g = 1; g < GROUPS; g++)
			best = q[g] > q[best] ? g : best;
		if (q[best] > 0.51) { /* no tie in float32 */
			const int32_t likeliest = ek_groups_likeliest_of(got + i * groups, groups);

			assert_int_equal(likeliest, best < (int)groups ? best : EK_GROUPS_NONE);
			none += likeliest == EK_GROUPS_NONE;
		}
	}
	assert_true(none > IMAGES / 50);
	ek_threads_set(3);
	assert_ok(ek_words_predict(again, &probe, &all, groups));
	ek_threads_set(0);
	assert_memory_equal(got, again, sizeof *got * groups * IMAGES);
	ek_probe_release(&probe);
	free(x);
	free(got);
	free(again);
}

/* Images of elsewhere are told as those of the run: with and without "none of these". */
static void the_classifier_tells_the_same(void **state)
{
	static const char *const documents[] = {
		"{\"named_by\":\"words\",\"words\":{},\"none\":{},\"groups\":[{\"name\":\"a\"},{\"name\":\"b\"},{"
		"\"name\":\"c\"}]}",
		"{\"named_by\":\"words\",\"words\":{},\"none\":null,\"groups\":[{\"name\":\"a\"},{\"name\":\"b\"},{"
		"\"name\":\"c\"},"
		"{\"name\":\"d\"}]}",
	};
	float *x = malloc(sizeof *x * IMAGES * D), *want = calloc(IMAGES, GROUPS * sizeof *want);
	float *got = calloc(IMAGES, GROUPS * sizeof *got);
	struct ek_probe probe;
	struct ek_npy array;
	struct ek_rows all;

	make(&probe, x, 20);
	array = ek_rows_memory(x, IMAGES, D);
	assert_ok(ek_rows_of(&all, &array, 0));
	for (uint32_t without = 0; without < 2; without++) {
		const uint32_t groups = GROUPS - 1 + without;
		const char *folder = ek_scratch();
		struct ek_classifier classifier;
		struct ek_run *run = NULL;

		assert_ok(ek_run_open(&run, folder, EK_RUN_CREATE));
		assert_ok(ek_make_directories(ek_join(folder, "clusters")));
		ek_write_file(ek_join(folder, "clusters/groups.json"), documents[without], strlen(documents[without]));
		assert_ok(ek_words_predict(want, &probe, &all, groups));
		assert_ok(ek_npy_write(ek_join(folder, "clusters/membership.npy"), EK_F32, 2,
		                       (const uint64_t[]){ IMAGES, groups }, want));
		assert_ok(ek_classifier_save_words(run, &probe));
		assert_ok(ek_classifier_open(&classifier, run));
		assert_int_equal(classifier.groups, groups);
		assert_ok(ek_classifier_tell(got, &classifier, &all, "images"));
		assert_ok(ek_classifier_correct(got, &classifier, IMAGES, EK_CLASSIFIER_MADE));
		for (uint32_t i = 0; i < IMAGES * groups; i++) /* float32 of the same sums in double */
			assert_true(fabs((double)got[i] - (double)want[i]) <= 0x1p-23);
		ek_classifier_release(&classifier);
		ek_run_close(run);
	}
	ek_probe_release(&probe);
	free(x);
	free(want);
	free(got);
}

/* Rows of three groups, 20, 20 and 80 of them, told as left-out images were, a little too often to be of the first:
 * that is known of images of even shares, and of photographs the shares are followed further. */
static void shares_are_as_left_out_images_say(void **state)
{
	static double rows[3][4] = { { 0, 0.5, 0.25, 0.25 }, { 0, 0.35, 0.4, 0.25 }, { 0, 0.35, 0.25, 0.4 } };
	const struct ek_classifier classifier = {
		.groups = 3, .rows = 3, .columns = 4, .logits = { .data = rows, .shape = { 3, 4 } }
	};
	static const enum ek_classifier_rounds rounds[] = { EK_CLASSIFIER_MADE, EK_CLASSIFIER_PHOTOGRAPHS };
	double last = 0.4 / 3 + 0.25 / 6 * 4; /* what they are told on average */
	float q[120][3];

	for (int even = 0; even < 2; even++)
		for (int r = 0; r < 2; r++) {
			const int n = even ? 60 : 120;
			double share[3] = { 0 };

			for (int i = 0; i < n; i++)
				for (int g = 0; g < 3; g++)
					q[i][g] = (float)rows[even ? i % 3 : i < 20 ? 0 : i < 40 ? 1 : 2][g + 1];
			assert_ok(ek_classifier_correct(*q, &classifier, (uint64_t)n, rounds[r]));
			for (int i = 0; i < n; i++)
				for (int g = 0; g < 3; g++)
					share[g] += (double)q[i][g] / n;
			for (int g = 0; g < 3 && even; g++)
				assert_true(fabs(share[g] - 1 / 3.0) < 1e-5);
			if (even)
				continue;
			assert_true(share[2] > last + 0.03 && share[2] < 2 / 3.0);
			last = share[2];
		}
}

static void the_likeliest_is_the_first_or_none(void **state)
{
	assert_int_equal(ek_groups_likeliest_of((const float[]){ 0.25f, 0.5f, 0.25f }, 3), 1);
	assert_int_equal(ek_groups_likeliest_of((const float[]){ 0.5f, 0.5f }, 2), 0);
	assert_int_equal(ek_groups_likeliest_of((const float[]){ 0.25f, 0.25f }, 2), EK_GROUPS_NONE);
	assert_int_equal(ek_groups_likeliest_of((const float[]){ 0, 0 }, 2), EK_GROUPS_NONE);
	assert_int_equal(ek_groups_likeliest_of((const float[]){ 0, 1 }, 2), 1);
}

EK_TEST_MAIN(cmocka_unit_test(a_file_names_groups_and_prompts), cmocka_unit_test(too_many_groups_are_refused),
             cmocka_unit_test(labels_choose_the_scale), cmocka_unit_test(probabilities_are_a_softmax_of_cosines),
             cmocka_unit_test(the_classifier_tells_the_same), cmocka_unit_test(shares_are_as_left_out_images_say),
             cmocka_unit_test(the_likeliest_is_the_first_or_none))
