#include "tests/reports/fixture.h"

#include <inttypes.h>

#include "rebalance/base/file.h"
#include "rebalance/base/random.h"
#include "rebalance/io/image.h"
#include "rebalance/io/npy.h"
#include "rebalance/io/run.h"
#include "tests/support/support.h"

enum { VALUES = 15, MAP_POINTS = 2000 };

struct made {
	const struct ek_fixture *want;
	const char *folder;
	uint64_t *sizes;     /* [k] */
	int32_t *assignment; /* [images] */
	float *distance;
};

static void save(const struct made *m, const char *name, struct ek_buffer *text)
{
	ek_write_file(ek_join(m->folder, name), text->data, text->size);
	ek_buffer_release(text);
}

/* Sizes that fall from cluster to cluster; the last of ten or more is empty. Clusters take turns, so that a cluster's
 * images are spread over the ids. */
static void assign(struct made *m)
{
	const size_t k = m->want->k, filled = k >= 10 ? k - 1 : k;
	double total = 0;

	assert_ok(ek_alloc(&m->sizes, k, sizeof *m->sizes));
	assert_ok(ek_alloc(&m->assignment, m->want->images, sizeof *m->assignment));
	assert_ok(ek_alloc(&m->distance, m->want->images, sizeof *m->distance));
	for (size_t c = 0; c < filled; c++)
		total += exp(-3.0 * (double)c / (double)filled);
	for (size_t i = 0; i < m->want->images; i++) {
		double left = ek_random_double(1, 1, i) * total;
		size_t c = 0;

		while (c + 1 < filled && (left -= exp(-3.0 * (double)c / (double)filled)) > 0)
			c++;
		/* The hostile names are the most typical of the first cluster. */
		m->assignment[i] = i < 4 ? 0 : (int32_t)c;
		m->distance[i] = i < 4 ? 0.0f : (float)(1 + ek_random_double(1, 2, i));
		m->sizes[m->assignment[i]]++;
	}
}

static void paint(const struct made *m, struct ek_image *image, size_t id)
{
	const double hue = 6.28 * (double)m->assignment[id] / (double)m->want->k;
	const double x0 = ek_random_double(1, 5, id), y0 = ek_random_double(1, 6, id);

	for (uint32_t y = 0; y < image->height; y++)
		for (uint32_t x = 0; x < image->width; x++) {
			const double dx = (double)x / image->width - x0, dy = (double)y / image->height - y0;
			const double bright = 60 + 140 * exp(-12 * (dx * dx + dy * dy));

			for (int c = 0; c < 3; c++) {
				const uint64_t at = ((uint64_t)y * image->width + x) * 3 + (uint64_t)c;
				const double noise = m->want->noise * (ek_random_double(id, 7, at) - 0.5);
				const double v = bright * (1 + 0.5 * cos(hue + 2.09 * c)) + noise;

				image->pixels[at] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
			}
		}
}

static void file_name(struct ek_buffer *b, size_t id)
{
	const char *hostile[] = { EK_HOSTILE_NAME, "\"><img src=x onerror=alert(4)>.jpg", "new\nline & 'quotes'.jpg",
		                  "\xe2\x80\xae"
		                  "backwards.jpg" };
	char name[64];

	(void)snprintf(name, sizeof name, "folder/photo %05zu.jpg", id);
	assert_ok(ek_json_append_string(b, id < 4 ? hostile[id] : name, strlen(id < 4 ? hostile[id] : name)));
}

/* All pictures in one file, as in a tar, and images.jsonl. */
static void write_images(const struct made *m)
{
	struct ek_image image = { .width = (uint32_t)m->want->side * 4 / 3, .height = (uint32_t)m->want->side };
	struct ek_buffer pictures = { 0 }, rows = { 0 };
	char source[4096];

	assert_ok(ek_alloc(&image.pixels, (size_t)image.width * image.height, 3));
	(void)snprintf(source, sizeof source, "%s", ek_join(m->folder, "pictures.bin"));
	for (size_t id = 0; id < m->want->images; id++) {
		const size_t offset = pictures.size;

		paint(m, &image, id);
		assert_ok(ek_image_encode_jpeg(&pictures, &image, 85));
		assert_ok(ek_buffer_printf(&rows, "{\"id\": %zu, \"file_name\": ", id));
		file_name(&rows, id);
		assert_ok(ek_buffer_printf(
			&rows,
			", \"source\": \"%s\", \"offset\": %zu, \"bytes\": %zu, \"width\": %u, "
			"\"height\": %u, \"format\": \"jpeg\", \"sha256\": \"%064d\", \"label\": \"label %d\"}\n",
			source, offset, pictures.size - offset, image.width, image.height, 0,
			(int)m->assignment[id] % 7));
	}
	save(m, "images.jsonl", &rows);
	save(m, "pictures.bin", &pictures);
	ek_image_release(&image);
	(void)snprintf(
		source, sizeof source,
		"{\"file_name\": \"%s\", \"reason\": \"%s\"}\n{\"file_name\": \"b.png\", \"reason\": \"empty file\"}\n",
		EK_HOSTILE_NAME, EK_HOSTILE_REASON);
	ek_write_file(ek_join(m->folder, "rejected.jsonl"), source, strlen(source));
}

static void attribute(struct ek_buffer *b, const struct made *m, const char *name, const char *first_value,
                      size_t values)
{
	assert_ok(ek_json_append_string(b, name, strlen(name)));
	assert_ok(ek_buffer_text(b, ": {\"values\": ["));
	assert_ok(ek_json_append_string(b, first_value, strlen(first_value)));
	for (size_t v = 1; v < values; v++)
		assert_ok(ek_buffer_printf(b, ", \"value %zu\"", v));
	assert_ok(ek_buffer_printf(b, "], \"counts\": ["));
	for (size_t v = 0; v < values; v++)
		assert_ok(ek_buffer_printf(b, "%s%zu", v ? ", " : "", m->want->images / (v + 1)));
	assert_ok(ek_buffer_printf(
		b, "], \"missing\": 12, \"skew\": {\"gini\": {\"value\": 0.4, \"ci95\": [0.38, 0.41]}}, "
		   "\"by_cluster\": ["));
	for (size_t c = 0; c < m->want->k; c++) {
		assert_ok(ek_buffer_printf(b, "%s[", c ? ", " : ""));
		for (size_t v = 0; v < values; v++)
			assert_ok(ek_buffer_printf(b, "%s%" PRIu64, v ? ", " : "",
			                           v == c % values ? m->sizes[c] : m->sizes[c] / 9));
		assert_ok(ek_buffer_text(b, "]"));
	}
	assert_ok(ek_buffer_text(
		b, "], \"nmi\": {\"value\": 0.3312, \"ci95\": [0.3288, 0.3351]}, \"ari\": {\"value\": 0.1541, "
		   "\"ci95\": [0.15, 0.16]}, \"purity\": 0.48, \"tail_values\": [{\"value\": "));
	assert_ok(ek_json_append_string(b, first_value, strlen(first_value)));
	assert_ok(ek_buffer_text(
		b, ", \"tail_share\": 0.25, \"share\": 0.11, \"ratio\": 2.27}], \"note\": \"5 ranges & more\"}"));
}

static void write_audit(const struct made *m)
{
	const size_t k = m->want->k;
	struct ek_buffer b = { 0 };
	double gini = 0;

	for (size_t i = 0; i < k; i++)
		for (size_t j = 0; j < k; j++)
			gini += fabs((double)m->sizes[i] - (double)m->sizes[j]) /
			        (2.0 * (double)k * (double)m->want->images);
	assert_ok(ek_buffer_printf(
		&b, "{\"images\": %zu, \"rejected\": 2, \"clusters\": {\"k\": %zu, \"empty\": 1, \"sizes\": [",
		m->want->images, k));
	for (size_t c = 0; c < k; c++)
		assert_ok(ek_buffer_printf(&b, "%s%" PRIu64, c ? ", " : "", m->sizes[c]));
	assert_ok(ek_buffer_text(&b, "], \"shares\": ["));
	for (size_t c = 0; c < k; c++) {
		const double p = (double)m->sizes[c] / (double)m->want->images,
			     e = 2 * sqrt(p * (1 - p) / (double)m->want->images);

		assert_ok(ek_buffer_printf(&b, "%s{\"value\": %.9g, \"ci95\": [%.9g, %.9g]}", c ? ", " : "", p,
		                           p > e ? p - e : 0, p + e));
	}
	assert_ok(ek_buffer_printf(
		&b,
		"], \"inertia\": 1234.5}, \"skew\": {\"gini\": {\"value\": %.9g, \"ci95\": [%.9g, %.9g]}, "
		"\"normalised_entropy\": {\"value\": 0.91, \"ci95\": [0.9, 0.92]}, \"effective_clusters\": {\"d0\": "
		"%zu, "
		"\"d1\": {\"value\": 17.23, \"ci95\": [17.1, 17.4]}, \"d2\": 14.8, \"dinf\": 8.1}, "
		"\"imbalance_ratio\": "
		"18.2, \"cv\": 0.8, \"chi_square\": 5123.0, \"effect_size\": 0.8}, \"attributes\": {",
		gini, gini - 0.01, gini + 0.01, k - 1));
	attribute(&b, m, EK_HOSTILE_ATTRIBUTE, EK_HOSTILE_VALUE, VALUES);
	assert_ok(ek_buffer_text(&b, ", "));
	attribute(&b, m, "label", "label 0", 7);
	assert_ok(ek_buffer_text(
		&b, "}, \"method\": {\"encoder\": \"efficientnet-lite0\", \"k\": 24, \"seed\": 0, \"bootstrap\": 1000, "
		    "\"evenkeel\": \"0.1.0\"}}\n"));
	save(m, "audit.json", &b);
}

static void write_clusters(const struct made *m)
{
	const size_t k = m->want->k, points = m->want->images < MAP_POINTS ? m->want->images : MAP_POINTS;
	const uint64_t shape[1] = { m->want->images };
	struct ek_buffer b = { 0 };

	assert_ok(ek_npy_write(ek_join(m->folder, "clusters/assignment.npy"), EK_I32, 1, shape, m->assignment));
	assert_ok(ek_npy_write(ek_join(m->folder, "clusters/distance.npy"), EK_F32, 1, shape, m->distance));
	assert_ok(ek_buffer_printf(
		&b,
		"{\"k\": %zu, \"spherical\": false, \"seed\": 0, \"iterations\": 25, \"redo\": 1, \"init\": "
		"\"k-means++\", \"subsample\": %zu, \"nearest_center\": [",
		k, m->want->images));
	for (size_t c = 0; c < k; c++)
		assert_ok(ek_buffer_printf(&b, "%s%zu", c ? ", " : "", (c + 1) % k));
	assert_ok(ek_buffer_text(
		&b,
		"], \"auto\": {\"chosen\": 24, \"reason\": \"24 is the largest number that stays stable\", \"curve\": "
		"[{\"k\": 8, \"stability\": 0.93}, {\"k\": 12, \"stability\": 0.95}, {\"k\": 24, \"stability\": "
		"0.91}, {\"k\": 48, \"stability\": 0.72}, {\"k\": 96, \"stability\": 0.6}]}}\n"));
	save(m, "clusters/clusters.json", &b);
	assert_ok(ek_buffer_printf(&b, "{\"images\": %zu, \"of\": %zu, ", m->want->images / 2, m->want->images));
	assert_ok(ek_buffer_text(
		&b, "\"seeds\": [{\"seed\": 1, \"ari\": 0.71, \"nmi\": 0.8}, {\"seed\": 2, \"ari\": 0.69, \"nmi\": "
		    "0.79}], "
		    "\"pairwise\": {\"ari\": {\"mean\": 0.7, \"min\": 0.66}, \"nmi\": {\"mean\": 0.8, \"min\": 0.78}}, "
		    "\"k_variants\": [{\"k\": 12, \"ari\": 0.5, \"nmi\": 0.7}], \"encoders\": [{\"encoder\": "
		    "\"pixels\", \"ari\": 0.1, \"nmi\": 0.2}], \"verdict\": \"partly stable\", \"clusters\": ["));
	for (size_t c = 0; c < k; c++)
		assert_ok(ek_buffer_printf(&b, "%s{\"cluster\": %zu, \"jaccard\": %.3f}", c ? ", " : "", c,
		                           0.3 + 0.69 * ek_random_double(1, 9, c)));
	assert_ok(ek_buffer_text(&b, "]}\n"));
	save(m, "clusters/stability.json", &b);
	assert_ok(ek_buffer_text(
		&b,
		"{\"scope\": \"all images\", \"eps\": [{\"eps\": 0.001, \"pairs\": 12, \"one_pass_removed\": 11, "
		"\"greedy_removed\": 11, \"groups\": 4, \"component_removed\": 11}, {\"eps\": 0.01, \"pairs\": 1300, "
		"\"one_pass_removed\": 900, \"greedy_removed\": 800, \"groups\": 300, \"component_removed\": 850}], "
		"\"groups_eps\": 0.01, \"groups\": ["));
	for (size_t g = 0; g < 50 && g * 9 + 9 < m->want->images; g++) {
		assert_ok(ek_buffer_printf(&b, "%s{\"similarity\": 0.9931, \"ids\": [", g ? ", " : ""));
		for (size_t i = 0; i < 2 + g % 8; i++)
			assert_ok(ek_buffer_printf(&b, "%s%zu", i ? ", " : "", g * 9 + i));
		assert_ok(ek_buffer_text(&b, "]}"));
	}
	assert_ok(ek_buffer_text(&b, "]}\n"));
	save(m, "clusters/duplicates.json", &b);
	for (int part = 0; part < 3; part++) {
		assert_ok(ek_buffer_text(&b, (const char *[]){ "{\"method\": \"PCA and <t-SNE>\", \"ids\": [",
		                                               "], \"x\": [", "], \"y\": [" }[part]));
		for (size_t i = 0; i < points; i++) {
			const size_t id = i * (m->want->images / points);
			const double turn = 2.4 * m->assignment[id],
				     far = 0.42 * sqrt((m->assignment[id] + 0.5) / (double)k);

			if (part == 0)
				assert_ok(ek_buffer_printf(&b, "%s%zu", i ? ", " : "", id));
			else
				assert_ok(
					ek_buffer_printf(&b, "%s%.4f", i ? ", " : "",
				                         0.5 + far * (part == 1 ? cos(turn) : sin(turn)) +
				                                 0.025 * ek_random_normal(1, (uint64_t)part + 10, id)));
		}
	}
	assert_ok(ek_buffer_text(&b, "]}\n"));
	save(m, "clusters/map.json", &b);
}

/* A line of counts that a plan has for a cluster or a value. */
static void effect(struct ek_buffer *b, uint64_t before, uint64_t after, uint64_t removed)
{
	const double rate = before > 0 ? (double)removed / (double)before : 0;

	assert_ok(ek_buffer_printf(b, "\"before\": %" PRIu64 ", \"after\": %" PRIu64, before, after));
	if (before == 0)
		assert_ok(ek_buffer_text(b, ", \"removal_rate\": null}"));
	else
		assert_ok(ek_buffer_printf(b, ", \"removal_rate\": %.9g, \"ci95\": [%.9g, %.9g]}", rate, 0.9 * rate,
		                           rate + 0.1 * (1 - rate)));
}

static uint64_t even_size(const struct made *m)
{
	return m->want->images / m->want->k / 2 + 1;
}

/* The first images of each cluster are kept, up to half of an even share; smaller clusters are repeated up to three
 * times. */
static void write_decisions(const struct made *m, const char *folder, uint64_t *kept)
{
	const uint64_t shape[1] = { m->want->images };
	uint8_t *decision = NULL;

	assert_ok(ek_alloc(&decision, m->want->images, 1));
	memset(kept, 0, m->want->k * sizeof *kept);
	for (size_t i = 0; i < m->want->images; i++)
		if (kept[m->assignment[i]] < even_size(m)) {
			decision[i] = 1;
			kept[m->assignment[i]]++;
		}
	assert_ok(ek_npy_write(ek_join(folder, "decision.npy"), EK_U8, 1, shape, decision));
	free(decision);
}

static void write_subset(const struct made *m, const char *name, const char *made_by, const char *others)
{
	struct ek_buffer b = { 0 };
	uint64_t *kept = NULL, total = 0, distinct = 0;
	char folder[4096];

	(void)snprintf(folder, sizeof folder, "%s/subsets/%s", m->folder, name);
	assert_ok(ek_make_directories(folder));
	assert_ok(ek_alloc(&kept, m->want->k, sizeof *kept));
	write_decisions(m, folder, kept);
	for (size_t c = 0; c < m->want->k; c++) {
		distinct += kept[c];
		total += 3 * kept[c] < even_size(m) ? 3 * kept[c] : even_size(m);
	}
	assert_ok(ek_buffer_printf(
		&b,
		"{%s, \"options\": {\"by\": \"cluster\", \"rule\": \"random\", \"max_repeat\": 3}, \"images_before\": "
		"%zu, \"images_after\": %" PRIu64 ", \"distinct_after\": %" PRIu64
		", \"largest_repeat\": 3, \"baselines\": [%s], \"skew_before\": {\"gini\": 0.43, "
		"\"normalised_entropy\": "
		"0.9, \"effective_clusters\": {\"d1\": 7.5}}, \"skew_after\": {\"gini\": 0.05, \"normalised_entropy\": "
		"0.98, \"effective_clusters\": {\"d1\": 11.2}}, \"disparate_impact\": {\"value\": 0.21, \"lowest\": 0, "
		"\"highest\": %zu, \"four_fifths\": false}, \"per_cluster\": [",
		made_by, m->want->images, total, distinct, others, m->want->k - 1));
	for (size_t c = 0; c < m->want->k; c++) {
		assert_ok(ek_buffer_printf(&b, "%s{\"cluster\": %zu, ", c ? ", " : "", c));
		effect(&b, m->sizes[c], 3 * kept[c] < even_size(m) ? 3 * kept[c] : even_size(m), m->sizes[c] - kept[c]);
	}
	assert_ok(ek_buffer_text(&b, "], \"per_attribute\": {"));
	assert_ok(ek_json_append_string(&b, EK_HOSTILE_ATTRIBUTE, strlen(EK_HOSTILE_ATTRIBUTE)));
	assert_ok(ek_buffer_text(&b, ": {\"values\": ["));
	for (size_t v = 0; v < 3; v++) {
		assert_ok(ek_buffer_printf(&b, "%s{\"value\": ", v ? ", " : ""));
		assert_ok(ek_json_append_string(&b, v ? "plain" : EK_HOSTILE_VALUE,
		                                strlen(v ? "plain" : EK_HOSTILE_VALUE)));
		assert_ok(ek_buffer_text(&b, ", "));
		effect(&b, 100 * v, 40 * v * v, 100 * v - 40 * v);
	}
	assert_ok(ek_buffer_text(&b, "], \"disparate_impact\": {\"value\": 0.5, \"lowest\": "));
	assert_ok(ek_json_append_string(&b, EK_HOSTILE_VALUE, strlen(EK_HOSTILE_VALUE)));
	assert_ok(ek_buffer_text(&b,
	                         ", \"highest\": \"plain\", \"four_fifths\": false}, \"skew_before\": "
	                         "{\"normalised_entropy\": 0.8}, \"skew_after\": {\"normalised_entropy\": 0.9}}}}\n"));
	ek_write_file(ek_join(folder, "subset.json"), b.data, b.size);
	ek_buffer_release(&b);
	free(kept);
}

static void write_weights(const struct made *m)
{
	const double even = (double)m->want->images / (double)m->want->k;
	struct ek_buffer b = { 0 };
	char folder[4096];

	(void)snprintf(folder, sizeof folder, "%s/weights/inverse", m->folder);
	assert_ok(ek_make_directories(folder));
	assert_ok(ek_buffer_text(&b, "unit,name,images,share,weight,weighted_share,visits_per_image,visits\r\n"));
	for (size_t c = 0; c < m->want->k; c++) {
		const double size = (double)m->sizes[c], visits = size > 0 ? even / size : 0;

		assert_ok(ek_buffer_printf(&b, "%zu,%zu,%.0f,%.9g,%.9g,%.9g,%.9g,%.9g\n", c, c, size,
		                           size / (double)m->want->images, visits / (double)m->want->images,
		                           visits * size / (double)m->want->images, visits, visits * size));
	}
	ek_write_file(ek_join(folder, "groups.csv"), b.data, b.size);
	ek_buffer_clear(&b);
	assert_ok(ek_buffer_printf(
		&b,
		"{\"scheme\": \"inverse\", \"by\": \"cluster\", \"cap\": null, \"images\": %zu, \"epoch\": %zu, "
		"\"units\": %zu, \"empty_units\": 1, \"effective_sample_size\": 412.7, \"effective_share\": 0.41, "
		"\"largest_repeat\": {\"unit\": 1, \"name\": \"1\", \"images\": 7, \"visits\": 13.25}, \"repeated\": "
		"{\"above\": 10, \"count\": 1, \"units\": [{\"unit\": 1, \"name\": \"1\", \"images\": 7, \"visits\": "
		"13.25}]}, \"skew_before\": {\"normalised_entropy\": 0.9}, \"skew_after\": {\"normalised_entropy\": "
		"1}}\n",
		m->want->images, m->want->images, m->want->k));
	ek_write_file(ek_join(folder, "weights.json"), b.data, b.size);
	ek_buffer_clear(&b);
	/* By an attribute whose name and values are hostile. */
	(void)snprintf(folder, sizeof folder, "%s/weights/%s", m->folder, "by-attribute");
	assert_ok(ek_make_directories(folder));
	assert_ok(ek_buffer_text(&b, "unit,name,images,share,weight,weighted_share,visits_per_image,visits\n"
	                             "0," EK_HOSTILE_VALUE
	                             ",3,0.3,0.1,0.5,1.67,5\n1,\"a, \"\"b\"\"\",7,0.7,0.1,0.5,0.71,5\n"));
	ek_write_file(ek_join(folder, "groups.csv"), b.data, b.size);
	ek_buffer_clear(&b);
	assert_ok(ek_buffer_text(&b, "{\"scheme\": \"target=<b>file\", \"cap\": 4, \"by\": "));
	assert_ok(ek_json_append_string(&b, EK_HOSTILE_ATTRIBUTE, strlen(EK_HOSTILE_ATTRIBUTE)));
	assert_ok(ek_buffer_text(&b, "}\n"));
	ek_write_file(ek_join(folder, "weights.json"), b.data, b.size);
	ek_buffer_release(&b);
}

static void write_plans(const struct made *m)
{
	write_subset(m, EK_HOSTILE_PLAN, "\"command\": \"balance\", \"method\": \"total\"", "");
	write_subset(m, "furthest", "\"command\": \"prune\", \"method\": \"furthest\"",
	             "\"furthest-random\", \"gone\"");
	write_subset(m, "furthest-random", "\"command\": \"prune\", \"method\": \"random\"", "");
	write_weights(m);
}

/* run.json, with the scan's record: where the images are and how many. */
static void write_run(const struct made *m)
{
	struct ek_run *run = NULL;
	cJSON *options = cJSON_CreateObject(), *counts = cJSON_CreateObject();
	const char *const none[] = { NULL };
	const struct ek_step step = {
		.name = "scan", .version = 1, .options = options, .inputs = none, .outputs = none
	};

	assert_ok(ek_json_add_u64(counts, "images", m->want->images));
	assert_ok(ek_json_add_string(counts, "root", "/data"));
	assert_ok(ek_json_add_item(options, "dataset", cJSON_Parse("[{\"path\": \"/data/<b>animals & co\"}]")));
	assert_ok(ek_run_open(&run, m->folder, EK_RUN_CREATE));
	assert_ok(ek_run_record(run, &step, 1700000000, 12.5, counts));
	ek_run_close(run);
	cJSON_Delete(options);
	cJSON_Delete(counts);
}

const char *ek_fixture_make(const struct ek_fixture *fixture)
{
	struct made m = { .want = fixture };
	static char folder[4096];

	/* A name of its own: ek_scratch's storage rotates. */
	(void)snprintf(folder, sizeof folder, "%s", ek_scratch());
	m.folder = folder;
	assign(&m);
	write_run(&m);
	write_audit(&m);
	if (!fixture->audit_only) {
		assert_ok(ek_make_directories(ek_join(folder, "clusters")));
		write_clusters(&m);
		write_plans(&m);
	}
	if (!fixture->audit_only && !fixture->embeddings_only)
		write_images(&m);
	if (fixture->made > 0)
		ek_fixture_make_more(folder, fixture, m.assignment);
	free(m.sizes);
	free(m.assignment);
	free(m.distance);
	return folder;
}
