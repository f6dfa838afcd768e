/* The part of the made-up run that training, generating, evaluating and reviewing would leave. */
#include <inttypes.h>

#include "rebalance/base/file.h"
#include "rebalance/base/random.h"
#include "rebalance/io/image.h"
#include "rebalance/io/npy.h"
#include "tests/reports/fixture.h"
#include "tests/support/support.h"

enum { LINES = 700, SAMPLES = 60 };

struct more {
	const struct ek_fixture *want;
	const char *folder;
	double *shares; /* [k] of the training images */
};

/* The first is natural, the second weighted with a hostile name, then more by the subset. */
static void name_of(char out[64], size_t i)
{
	static const char *const first[] = { "natural", EK_HOSTILE_PLAN };

	if (i < 2)
		(void)snprintf(out, 64, "%s", first[i]);
	else
		(void)snprintf(out, 64, "more-%02zu", i);
}

static void save(struct ek_buffer *b, const char *folder, const char *name)
{
	ek_write_file(ek_join(folder, name), b->data, b->size);
	ek_buffer_clear(b);
}

static void make_folder(char out[4096], const struct more *m, const char *kind, const char *name)
{
	(void)snprintf(out, 4096, "%s/%s/%s", m->folder, kind, name);
	assert_ok(ek_make_directories(out));
}

static void string(struct ek_buffer *b, const char *text)
{
	assert_ok(ek_json_append_string(b, text, strlen(text)));
}

static void write_picture(const char *folder, const char *name, uint32_t width, uint32_t height, uint64_t key)
{
	struct ek_image image = { 0 };
	struct ek_buffer bytes = { 0 };

	assert_ok(ek_image_allocate(&image, width, height));
	for (size_t i = 0; i < 3 * (size_t)width * height; i++)
		image.pixels[i] = (uint8_t)(40 + 60 * (key % 3) + 20 * (i % 3) + ek_random_below(1, 20, key + i, 40));
	assert_ok(ek_image_encode_png(&bytes, &image));
	save(&bytes, folder, name);
	ek_image_release(&image);
	ek_buffer_release(&bytes);
}

static void write_log(const struct more *m, const char *folder, int is_generator)
{
	struct ek_buffer b = { 0 };

	for (size_t i = 1; i <= LINES; i++) {
		const double loss = 0.4 + 2 * exp(-(double)i / 100) + 0.02 * ek_random_normal(1, 21, i);

		assert_ok(ek_buffer_printf(&b,
		                           "{\"step\": %zu, \"epoch\": %.2f, \"loss\": %.6f, \"reconstruction\": %.6f, "
		                           "\"perplexity\": 53.2, \"used\": 0.9, \"seconds\": %.2f, "
		                           "\"images_per_second\": 250",
		                           10 * i, (double)i / 100, loss, loss / 10, 0.5 * (double)i));
		if (i % 100 == 0) {
			assert_ok(ek_buffer_printf(&b, ", \"held_out_loss\": %.6f", 0.45 + 2 * exp(-(double)i / 100)));
			for (size_t c = 0; is_generator && c < m->want->k; c++)
				assert_ok(ek_buffer_printf(&b, "%s%.4f", c ? ", " : ", \"held_out_loss_by_cluster\": [",
				                           0.3 + 0.2 * (double)(c % 5)));
			assert_ok(ek_buffer_text(&b, is_generator ? "]" : ""));
		}
		assert_ok(ek_buffer_text(&b, "}\n"));
	}
	/* Being written. */
	assert_ok(ek_buffer_text(&b, "{\"step\": 70"));
	save(&b, folder, "log.jsonl");
	ek_buffer_release(&b);
}

static void write_autoencoder(const struct more *m)
{
	char folder[4096];
	struct ek_buffer b = { 0 };

	make_folder(folder, m, "models", "autoencoder");
	assert_ok(ek_buffer_text(
		&b, "{\"evenkeel\": \"vae\", \"model\": {\"kind\": \"vq\", \"side\": 28, \"latent_channels\": 4, "
		    "\"widths\": [16, 32, 64], \"codes\": 256}, \"loss\": {\"error\": \"squared\"}, \"training\": "
		    "{\"seed\": 0, \"batch\": 64, \"validate\": 0.02}}"));
	save(&b, folder, "config.json");
	write_log(m, folder, 0);
	write_picture(folder, "preview-00000100.png", 40, 20, 1);
	write_picture(folder, "preview-00000700.png", 600, 300, 2);
	ek_buffer_release(&b);
}

static void write_generator(const struct more *m, size_t i)
{
	static const char *const plans[] = { "", ", \"weights\": \"inverse\"", ", \"subset\": \"furthest\"" };
	char folder[4096], name[64];
	struct ek_buffer b = { 0 };

	name_of(name, i);
	make_folder(folder, m, "models", name);
	assert_ok(ek_buffer_printf(
		&b,
		"{\"evenkeel\": \"flow\", \"model\": {\"depth\": 4, \"width\": 128, \"heads\": 2, \"patch\": 1, "
		"\"side\": 7, \"channels\": 4, \"classes\": %zu}, \"autoencoder\": \"/x/autoencoder\", \"condition\": "
		"{\"by\": \"cluster\", \"classes\": [\"0\", \"1\"]}, \"training\": {\"seed\": 0, \"batch\": 128, "
		"\"validate\": 0.02%s}}",
		m->want->k, plans[i < 2 ? i : 2]));
	save(&b, folder, "config.json");
	write_log(m, folder, 1);
	write_picture(folder, "preview-00000700.png", 60, 60, i);
	ek_buffer_release(&b);
}

/* Twice as many of cluster 0 as of each other one, by a name that does not look like a number for the last. */
static void write_samples(const struct more *m, size_t i)
{
	char folder[4096], name[64], file[64];
	struct ek_buffer b = { 0 };
	int32_t assignment[SAMPLES];

	name_of(name, i);
	make_folder(folder, m, "samples", name);
	assert_ok(ek_make_directories(ek_join(folder, "images")));
	assert_ok(ek_buffer_text(&b, "{\"evenkeel\": \"samples\", \"model\": "));
	string(&b, name);
	assert_ok(ek_buffer_printf(&b,
	                           ", \"model_step\": 700, \"count\": %d, \"seed\": 3, \"solver\": \"euler\", "
	                           "\"steps\": 40, \"guidance\": {\"scale\": 1.5}, \"condition\": \"cluster\"}",
	                           SAMPLES));
	save(&b, folder, "config.json");
	for (size_t s = 0; s < SAMPLES; s++) {
		assignment[s] = (int32_t)(s % m->want->k);
		assert_ok(ek_buffer_printf(&b,
		                           "{\"id\": %zu, \"file_name\": \"images/%06zu.png\", \"seed\": 1, "
		                           "\"cluster\": \"%" PRId32 "\"}\n",
		                           s, s, assignment[s]));
		(void)snprintf(file, sizeof file, "images/%06zu.png", s);
		if (i < 8)
			write_picture(folder, file, 24, 24, s);
	}
	save(&b, folder, "samples.jsonl");
	assert_ok(
		ek_npy_write(ek_join(folder, "assignment.npy"), EK_I32, 1, (const uint64_t[]){ SAMPLES }, assignment));
	ek_buffer_release(&b);
}

static void write_cluster(struct ek_buffer *b, const struct more *m, size_t i, size_t c)
{
	const double made = (double)(SAMPLES / m->want->k + (c < SAMPLES % m->want->k)) / SAMPLES;
	const double ratio = m->shares[c] > 0 ? made / m->shares[c] : 0;

	assert_ok(ek_buffer_printf(
		b,
		"%s{\"cluster\": %zu, \"target_share\": %.9g, \"reference_images\": 9, \"generated_images\": %.0f, "
		"\"generated_share\": %.9g, \"ratio\": %.9g, \"ci95\": [%.9g, %.9g], \"coverage\": {\"value\": %.3f, "
		"\"ci95\": [%.3f, %.3f]}, \"precision\": 0.7, \"kid\": %s, \"copies\": %zu, \"asked\": 3, "
		"\"in_own\": "
		"0.4",
		c ? ", " : "", c, m->shares[c], made * SAMPLES, made, ratio, 0.6 * made, 1.6 * made + 0.001,
		c == 1 ? 0.1 + 0.1 * (double)i : 0.5, c == 1 ? 0.05 + 0.1 * (double)i : 0.4,
		c == 1 ? 0.14 + 0.1 * (double)i : 0.6,
		c == 2 ? "{\"mean\": 0.0321, \"std\": 0.004, \"subset_size\": 60}" : "null", c % 2));
	if (c == 0) {
		assert_ok(ek_buffer_text(b, ", \"reasons\": {\"kid\": "));
		string(b, EK_HOSTILE_REASON_2);
		assert_ok(ek_buffer_text(b, "}"));
	}
	assert_ok(ek_buffer_text(b, "}"));
}

static void write_evaluation(const struct more *m, size_t i)
{
	static const char *const plans[] = { "null, \"weights\": null", "null, \"weights\": \"inverse\"",
		                             "\"furthest\", \"weights\": null" };
	struct ek_buffer b = { 0 };
	char name[64], file[80];

	name_of(name, i);
	assert_ok(ek_buffer_text(&b, "{\"name\": "));
	string(&b, name);
	assert_ok(ek_buffer_printf(&b, ", \"version\": 1, \"generated\": {\"images\": %d, \"samples\": [", SAMPLES));
	string(&b, name);
	assert_ok(ek_buffer_text(&b, "], \"path\": null, \"model\": "));
	string(&b, name);
	assert_ok(ek_buffer_printf(
		&b,
		", \"subset\": %s}, \"reference\": {\"images\": 70, \"what\": \"held_out\"}, \"encoder\": {\"name\": "
		"\"efficientnet-lite0\", \"dimensions\": 1280}, \"metric\": \"FD-efficientnet-lite0\", \"seed\": 0, "
		"\"k\": 5, \"frechet_distance\": {\"value\": %.2f, \"ci95\": [40.2, 44.6]}, \"frechet_infinity\": "
		"38.1, "
		"\"kid\": {\"mean\": -0.003, \"std\": 0.002, \"subsets\": 100, \"subset_size\": 50}, "
		"\"inception_score\": null, \"precision\": 0.71, \"recall\": 0.43, \"density\": 0.8, \"coverage\": "
		"{\"value\": 0.48, \"ci95\": [0.4, 0.5]}, \"coverage_expected\": 0.969, \"coverage_macro\": 0.4, "
		"\"coverage_worst\": %.3f, \"mass_coverage\": 0.9, \"hit_coverage\": 1, \"vendi\": 14.2, "
		"\"vendi_reference\": 21.9, \"realism\": 1.02, \"fairness\": {\"total_variation\": 0.2, "
		"\"bias_amplification\": 0.9}, \"memorisation\": {\"nearest_train\": {\"mean\": 9, \"median\": 8.8}, "
		"\"held_out\": {\"mean\": 9.4, \"median\": 9.2}, \"ratio\": 0.957, \"authentic_percent\": 71.2, "
		"\"c_t\": -0.4, \"copies_share\": {\"value\": 0.02, \"ci95\": [0.01, 0.05]}, \"copies\": [",
		plans[i < 2 ? i : 2], 41.2 + 2 * (double)i, 0.1 + 0.1 * (double)i));
	for (size_t c = 0; c < 12; c++) {
		assert_ok(ek_buffer_text(&b, c ? ", {\"sample\": " : "{\"sample\": "));
		string(&b, c == 0 ? "gone" : name);
		assert_ok(ek_buffer_printf(&b, ", \"index\": %zu, \"image\": %zu, \"distance\": %.2f, \"own\": 6.1}", c,
		                           c, 1 + 0.1 * (double)c));
	}
	assert_ok(ek_buffer_text(&b, "]}, \"reasons\": {\"inception_score\": \"the encoder is <i>not</i> "
	                             "inception-fid\"}, \"worst_cluster\": {\"cluster\": 1, \"by\": \"coverage\", "
	                             "\"value\": 0.1}, \"per_cluster\": ["));
	for (size_t c = 0; c < m->want->k; c++)
		write_cluster(&b, m, i, c);
	assert_ok(ek_buffer_text(&b, "], \"seeds\": ["));
	for (size_t s = 0; s < 3; s++)
		assert_ok(ek_buffer_printf(
			&b, "%s{\"samples\": \"set-%zu\", \"frechet_distance\": %.2f, \"coverage\": 0.48}",
			s ? ", " : "", s, 41 + (double)s));
	assert_ok(ek_buffer_text(&b, "], \"spread\": {\"frechet_distance\": {\"mean\": 42, \"std\": 1, \"n\": 3}}}"));
	(void)snprintf(file, sizeof file, "evaluations/%s.json", name);
	save(&b, m->folder, file);
	ek_buffer_release(&b);
}

/* Two reviewers, the second on half of the images and of another mind on every fourth. */
static void write_review(const struct more *m, size_t i)
{
	static const char *const reviewers[] = { "Anna", EK_HOSTILE_VALUE };
	struct ek_buffer b = { 0 };
	char name[64], file[80];

	name_of(name, i);
	for (size_t r = 0; r < 2; r++)
		for (size_t s = 0; s < SAMPLES / (1 + r) - 10; s++) {
			const char *decision = s % 5 == 4                        ? "unsure"
			                       : s % 3 == (r == 1 && s % 4 == 3) ? "reject"
			                                                         : "accept";

			assert_ok(ek_buffer_printf(
				&b, "{\"sample\": %zu, \"decision\": \"%s\", \"note\": \"\", \"reviewer\": ", s,
				decision));
			string(&b, reviewers[r]);
			assert_ok(ek_buffer_text(&b, ", \"time\": \"2026-11-25T19:00:00Z\", \"sha256\": \"\"}\n"));
		}
	(void)snprintf(file, sizeof file, "reviews/%s.jsonl", name);
	save(&b, m->folder, file);
	ek_buffer_release(&b);
}

/* The first is of labels, with a table; a label is hostile. */
static void write_scores(const struct more *m, size_t i)
{
	static const char labels[] = "id,label,suggested,probability\n1,\"<i>even\"\"'&\",dog,0.9\n2,cat,bird,0.5\n";
	const uint64_t n = m->want->images;
	struct ek_buffer b = { 0 };
	char name[64], file[128];
	float *values;

	name_of(name, i);
	assert_ok(ek_alloc(&values, n, sizeof *values));
	for (uint64_t k = 0; k < n; k++)
		values[k] = (float)ek_random_double(i, 30, k);
	(void)snprintf(file, sizeof file, "scores/%s.npy", name);
	assert_ok(ek_npy_write(ek_join(m->folder, file), EK_F32, 1, &n, values));
	free(values);
	assert_ok(ek_buffer_printf(&b,
	                           "{\"method\":\"%s\",\"what\":\"how it is\",\"hard\":\"low\",\"by\":\"label\","
	                           "\"classes\":3,\"accuracy\":0.8,\"deviation\":0.3,\"quantiles\":{\"median\":0.5},"
	                           "\"standard_error\":{\"median\":0.01},\"histogram\":{\"low\":0,\"high\":1,"
	                           "\"images\":[1,2,3,4,5,4,3,2,1,0]}",
	                           i == 0 ? "label-errors" : "probe-aum"));
	if (i == 0)
		assert_ok(ek_buffer_printf(&b, ",\"label_errors\":{\"found\":2,\"share\":0.01,\"labels\":["
		                               "{\"label\":\"cat\",\"images\":100,\"errors\":2,\"mostly\":\"dog\","
		                               "\"mostly_images\":1}]}"));
	assert_ok(ek_buffer_text(&b, "}"));
	(void)snprintf(file, sizeof file, "scores/%s.json", name);
	save(&b, m->folder, file);
	ek_buffer_release(&b);
	(void)snprintf(file, sizeof file, "scores/%s.csv", name);
	if (i == 0)
		ek_write_file(ek_join(m->folder, file), labels, sizeof labels - 1);
}

void ek_fixture_make_more(const char *folder, const struct ek_fixture *fixture, const int32_t *assignment)
{
	struct more m = { .want = fixture, .folder = folder };

	assert_ok(ek_alloc(&m.shares, fixture->k, sizeof *m.shares));
	for (size_t i = 0; i < fixture->images; i++)
		m.shares[assignment[i]] += 1 / (double)fixture->images;
	assert_ok(ek_make_directories(ek_join(folder, "evaluations")));
	assert_ok(ek_make_directories(ek_join(folder, "reviews")));
	assert_ok(ek_make_directories(ek_join(folder, "scores")));
	write_autoencoder(&m);
	for (size_t i = 0; i < fixture->made; i++) {
		write_generator(&m, i);
		write_samples(&m, i);
		write_evaluation(&m, i);
		write_review(&m, i);
		write_scores(&m, i);
	}
	free(m.shares);
}
