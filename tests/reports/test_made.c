/* The chapters on what was made of the images, and the page in short before them. */

#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/json.h"
#include "rebalance/base/threads.h"
#include "rebalance/io/npy.h"
#include "tests/reports/fixture.h"
#include "tests/reports/reading.h"
#include "tests/support/support.h"

static const struct ek_fixture made = { .k = 12, .images = 400, .side = 24, .noise = 10, .made = 3 };

static void every_chapter_appears_and_the_short_one_first(void **state)
{
	static const char *const ids[] = { "summary", "scores", "training", "samples", "evaluation", "review" };
	struct ek_buffer page = { 0 };

	report_of(&page, ek_fixture_make(&made), NULL);
	for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
		char id[64], link[64];

		(void)snprintf(id, sizeof id, "<section class=\"chapter\" id=\"%s\"", ids[i]);
		(void)snprintf(link, sizeof link, "<a href=\"#%s\">", ids[i]);
		assert_int_equal(occurrences(page.data, id), 1);
		assert_shows(page, link);
	}
	assert_true(strstr(page.data, "id=\"summary\"") < strstr(page.data, "id=\"finding\""));
	assert_int_equal(occurrences(page.data, "<h1>"), 1);
	assert_shows(page, "<h2 id=\"finding-title\">The finding</h2>");
	assert_lacks(page, "nan");
	assert_lacks(page, "&lt;span");
	assert_lacks(page, "&lt;small");
	ek_buffer_release(&page);
}

static void without_them_the_page_is_as_it_was(void **state)
{
	const struct ek_fixture none = { .k = 12, .images = 400, .side = 24 };
	struct ek_buffer page = { 0 };

	report_of(&page, ek_fixture_make(&none), NULL);
	assert_lacks(page, "id=\"summary\"");
	assert_lacks(page, "id=\"scores\"");
	assert_lacks(page, "id=\"training\"");
	assert_lacks(page, "id=\"review\"");
	assert_shows(page, "<section class=\"chapter\" id=\"finding\" tabindex=\"-1\"");
	assert_int_equal(occurrences(page.data, "<h1>"), 1);
	ek_buffer_release(&page);
}

static void text_from_the_data_stays_text(void **state)
{
	struct ek_buffer page = { 0 };

	report_of(&page, ek_fixture_make(&made), NULL);
	assert_int_equal(occurrences(page.data, "<script"), 1);
	assert_lacks(page, "<i>even");
	assert_lacks(page, "<b>50");
	assert_lacks(page, "<i>not");
	assert_shows(page, "<h3>Generator <bdi>&lt;i&gt;even&quot;&#39;&amp;</bdi></h3>");
	assert_shows(page, "<h3><bdi>&lt;i&gt;even&quot;&#39;&amp;</bdi></h3>");
	assert_shows(page, "<s><bdi>&lt;i&gt;even&quot;&#39;&amp;</bdi></s>");
	assert_shows(page, "<h3>Evaluation <bdi>&lt;i&gt;even&quot;&#39;&amp;</bdi></h3>");
	assert_shows(page, "<bdi>&lt;/style&gt;&lt;script&gt;alert(2)&lt;/script&gt;</bdi></th>");
	ek_buffer_release(&page);
}

/* Replace what one member of an evaluation says. value: JSON. */
static void set_member(const char *folder, const char *name, const char *member, const char *value)
{
	char file[128];
	cJSON *json = NULL;

	(void)snprintf(file, sizeof file, "evaluations/%s.json", name);
	assert_ok(ek_json_load(&json, ek_join(folder, file)));
	cJSON_DeleteItemFromObjectCaseSensitive(json, member);
	assert_ok(ek_json_add_item(json, member, cJSON_Parse(value)));
	assert_ok(ek_json_save(json, ek_join(folder, file)));
	cJSON_Delete(json);
}

/* The rows of an evaluation with this coverage everywhere, without an interval. Valid until the next call. */
static const char *rows_with_coverage(const char *folder, const char *name, double coverage)
{
	static char *text;
	char file[128];
	cJSON *json = NULL, *rows, *row;

	(void)snprintf(file, sizeof file, "evaluations/%s.json", name);
	assert_ok(ek_json_load(&json, ek_join(folder, file)));
	rows = cJSON_GetObjectItemCaseSensitive(json, "per_cluster");
	cJSON_ArrayForEach(row, rows)
	{
		cJSON_DeleteItemFromObjectCaseSensitive(row, "coverage");
		assert_ok(ek_json_add_double(row, "coverage", coverage));
	}
	free(text);
	text = cJSON_PrintUnformatted(rows);
	cJSON_Delete(json);
	return text;
}

static void the_short_page_compares_natural_with_evened_out(void **state)
{
	const char *folder = ek_fixture_make(&made);
	struct ek_buffer page = { 0 };

	report_of(&page, folder, NULL);
	assert_shows(page, "<dt>Worst cluster, 1</dt><dd><b>10\xe2\x80\xaf% \xe2\x86\x92 20\xe2\x80\xaf%</b>");
	assert_shows(page, "<b>41.2 \xe2\x86\x92 43.2</b>");
	assert_shows(page,
	             "Of its real images <b>10\xe2\x80\xaf%</b> had a generated one near them; after evening out it is "
	             "<b>20\xe2\x80\xaf%</b>. That is more than chance makes. It got");
	/* Welch: 2 ± t(4) √(1²/3 + 1²/3); 2 √(1² + 1²) = 2.83 would be of two sets, not of two means of three. */
	assert_shows(
		page,
		"went from 41.2 to 43.2: <b>2.00 further away</b> (change 2.00, 95\xe2\x80\xaf% interval \xe2\x88\x92"
		"0.267 to "
		"4.27), which is <b>no more than chance makes</b>.");
	assert_shows(page, "each 60 generated against 70 held-out images; encoder efficientnet-lite0 (1,280 numbers an "
	                   "image); k 5; seed 0.</p>");
	assert_shows(page, "<li>The generator <bdi>natural</bdi> learned from the images as they come.</li>");
	assert_shows(page, "<li>The generator <bdi>&lt;i&gt;even&quot;&#39;&amp;</bdi> learned from the sampler "
	                   "<bdi>inverse</bdi>.</li>");
	set_member(folder, "natural", "spread", "{\"frechet_distance\": {\"mean\": 41, \"std\": 0.1, \"n\": 3}}");
	set_member(folder, EK_HOSTILE_PLAN, "spread", "{\"frechet_distance\": {\"mean\": 41, \"std\": 0.1, \"n\": 3}}");
	set_member(folder, EK_HOSTILE_PLAN, "frechet_distance", "31.2");
	report_of(&page, folder, NULL);
	assert_shows(page, "<b>10.0 nearer</b> (change \xe2\x88\x92"
	                   "10.0, 95\xe2\x80\xaf% interval \xe2\x88\x92"
	                   "10.2 to \xe2\x88\x92"
	                   "9.77), which is <b>more than "
	                   "chance makes</b>.");
	set_member(folder, "natural", "spread", "{}");
	set_member(folder, "natural", "frechet_distance", "41.2");
	report_of(&page, folder, NULL);
	assert_shows(page, "<b>10.0 nearer</b>, and how much of it is chance is not known.");
	/* 2 and 1 of 9: without an interval of its own Wilson's, 0.063 to 0.547 and 0.020 to 0.435. */
	set_member(folder, "natural", "per_cluster", rows_with_coverage(folder, "natural", 2.0 / 9));
	set_member(folder, EK_HOSTILE_PLAN, "per_cluster", rows_with_coverage(folder, EK_HOSTILE_PLAN, 1.0 / 9));
	report_of(&page, folder, NULL);
	assert_shows(page, "it is <b>11\xe2\x80\xaf%</b>: it became worse. That is no more than chance makes.");
	/* Worst for how little of it was made: 5 of 60 images before and after. */
	set_member(folder, "natural", "worst_cluster", "{\"cluster\": 2, \"by\": \"ratio\", \"value\": 0}");
	report_of(&page, folder, NULL);
	assert_shows(
		page,
		"<dt>Worst cluster, 2</dt><dd><b>8\xe2\x80\xaf% \xe2\x86\x92 8\xe2\x80\xaf%</b><span>of the generated "
		"images lie in it</span>");
	assert_shows(page,
	             "It got <b>8.3\xe2\x80\xaf%</b> of the generated images, now <b>8.3\xe2\x80\xaf%</b>; of the real "
	             "ones it has ");
	assert_shows(page, "cluster 2</a>, of which none was made. ");
	ek_buffer_release(&page);
}

/* The clock ended one of them. */
static void other_steps_are_told_before_what_differs(void **state)
{
	const char *folder = ek_fixture_make(&made), *warning;
	struct ek_buffer page = { 0 };
	cJSON *json = NULL;

	report_of(&page, folder, NULL);
	assert_lacks(page, "not comparable as two ways to choose images");
	assert_ok(ek_json_load(&json, ek_join(folder, "samples/natural/config.json")));
	cJSON_SetNumberValue(cJSON_GetObjectItem(json, "model_step"), 426);
	assert_ok(ek_json_save(json, ek_join(folder, "samples/natural/config.json")));
	cJSON_Delete(json);
	report_of(&page, folder, NULL);
	assert_shows(
		page,
		"<b>Take care</b>: the two generators were trained for 426 and 700 steps. They are not comparable as "
		"two ways to choose images");
	warning = strstr(page.data, "<b>Take care</b>");
	assert_true(warning < strstr(page.data, "<dl class=\"figures\">"));
	/* Of two models in the chapter Comparison, and below what was compared. */
	assert_int_equal(occurrences(page.data, "</bdi> was made in another way: trained for 700 steps, not 426: not "
	                                        "comparable as two ways to choose images"),
	                 3);
	ek_buffer_release(&page);
}

static void what_cannot_be_compared_is_not(void **state)
{
	static const struct {
		const char *member, *value;
	} changes[] = {
		{ "k", "3" },
		{ "metric", "\"FID\"" },
		{ "encoder", "{\"name\": \"clip\"}" },
		{ "reference", "{\"what\": \"training\", \"images\": 70}" },
		{ "generated", "{\"images\": 60, \"model\": \"natural\", \"weights\": \"inverse\"}" },
		{ "generated", "{\"images\": 61, \"model\": \"natural\"}" },
		{ "generated", "{\"images\": 60, \"path\": \"/elsewhere\"}" },
	};

	const char *folder = ek_fixture_make(&made);
	struct ek_buffer old = { 0 }, page = { 0 };

	assert_ok(ek_file_read(&old, ek_join(folder, "evaluations/natural.json"), 1 << 24));
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		print_message("%s\n", changes[i].value);
		set_member(folder, "natural", changes[i].member, changes[i].value);
		report_of(&page, folder, NULL);
		assert_shows(page, "Not measured yet.");
		assert_lacks(page, "<h2>What it cost</h2>");
		ek_write_file(ek_join(folder, "evaluations/natural.json"), old.data, old.size);
	}
	report_of(&page, folder, NULL);
	assert_shows(page, "<h2>What it cost</h2>");
	ek_buffer_release(&old);
	ek_buffer_release(&page);
}

static void training_is_told_of(void **state)
{
	struct ek_buffer page = { 0 };

	report_of(&page, ek_fixture_make(&made), NULL);
	assert_int_equal(occurrences(page.data, "<svg class=\"loss\""), 4);
	assert_shows(page,
	             "28 \xc3\x97 28 pixels to 7 \xc3\x97 7 \xc3\x97 4 numbers, by entries of a codebook, and back");
	assert_shows(page, "90\xe2\x80\xaf% of 256 codes used; as varied as 53 codes used equally");
	assert_shows(page, "transformer of width 128, depth 4, 49 pieces an image");
	assert_shows(page, "7 \xc3\x97 7 \xc3\x97 4 numbers an image, made by <bdi>autoencoder</bdi>");
	assert_shows(page, "all images, by the sampler <bdi>inverse</bdi>");
	assert_shows(page, "the subset <bdi>furthest</bdi>");
	/* 7,000 steps of 128 images in 350 s. */
	assert_shows(page, "<dt>Images a second</dt><dd>2,560</dd>");
	assert_shows(page, "Clusters with the largest held-out loss");
	/* The newest, all of it, made narrower. */
	assert_shows(page, "<img width=\"480\" height=\"240\" decoding=\"async\" alt=\"preview-00000700.png\"");
	assert_lacks(page, "preview-00000100");
	ek_buffer_release(&page);
}

static void samples_are_shown_by_class(void **state)
{
	struct ek_buffer page = { 0 };

	report_of(&page, ek_fixture_make(&made), NULL);
	assert_int_equal(occurrences(page.data, "<div class=\"sheet\">"), 3);
	assert_shows(page,
	             "<b>60 images</b> made by the generator <bdi>natural</bdi> as it was after step 700, in 40 steps "
	             "from noise (Euler), pushed towards what is typical of the class by 1.5");
	/* The empty cluster, 11, is the smallest. */
	assert_shows(page, "<div class=\"sheet\"><figure class=\"row\"><figcaption><a href=\"#cluster-11\">");
	assert_shows(page, "alt=\"samples/natural/images/000011.png\"");
	ek_buffer_release(&page);
}

static void evaluations_are_told_of(void **state)
{
	const char *folder = ek_fixture_make(&made);
	struct ek_buffer page = { 0 };

	report_of(&page, folder, NULL);
	assert_shows(page,
	             "<b>48\xe2\x80\xaf% of the real images have a generated one near them</b>; fresh real images "
	             "would reach 97\xe2\x80\xaf%");
	assert_shows(page,
	             "<caption>60 generated against 70 held-out images; encoder efficientnet-lite0 (1,280 numbers an "
	             "image); k 5; seed 0</caption>");
	assert_shows(page, "41.2</td><td class=\"n wide\">40.2 to 44.6</td>");
	assert_shows(page, "(100 subsets of 50 images)");
	assert_shows(page, "\xe2\x88\x92"
	                   "0.00300</td><td class=\"n wide\">\xc2\xb1 0.00200</td>");
	assert_shows(page, "<b>Not measured</b>: the encoder is &lt;i&gt;not&lt;/i&gt; inception-fid");
	assert_shows(page, "title=\"12 images, &lt;b&gt;50&lt;/b&gt; are wanted\">\xe2\x80\x93</td>");
	assert_shows(page, ">0.0321</td>");
	assert_shows(page, "\xe2\x80\x93 under KID: cluster 0: 12 images, &lt;b&gt;50&lt;/b&gt; are wanted.</p>");
	assert_shows(page, "<b>0.96 times as far</b>");
	assert_shows(page, "FD 42.0 \xc2\xb1 1.00");
	/* Eight of each; the one of a set that is gone is not among them. */
	assert_int_equal(occurrences(page.data, "<figcaption>distance "), 24);
	assert_lacks(page, "<figcaption>distance 1.00;");
	assert_shows(page, "<figcaption>distance 1.10; its own nearest 6.10");
	assert_shows(page, "<td class=\"thumbs\"><div><img ");
	set_member(folder, "natural", "reference",
	           "{\"images\": 70, \"what\": \"training\", \"warning\": \"copies <count> as good\"}");
	report_of(&page, folder, NULL);
	assert_shows(page, "<p class=\"warning\"><b>Take care</b>: copies &lt;count&gt; as good.</p>");
	set_member(folder, "natural", "per_cluster", "[{\"cluster\": 0}]");
	report_of(&page, folder, NULL);
	assert_shows(page, "It was made with other clusters than the run has now");
	ek_buffer_release(&page);
}

static void reviews_are_counted(void **state)
{
	static const char lines[] =
		"{\"sample\": 0, \"decision\": \"accept\", \"note\": \"\", \"reviewer\": \"A\", \"time\": "
		"\"2026-11-25T19:00:00Z\"}\n"
		"{\"sample\": 12, \"decision\": \"reject\", \"note\": \"\", \"reviewer\": \"A\", \"time\": "
		"\"2026-11-25T19:00:00Z\"}\n"
		"{\"sample\": 0, \"decision\": \"accept\", \"note\": \"\", \"reviewer\": \"B\", \"time\": "
		"\"2026-11-25T19:00:00Z\"}\n"
		"{\"sample\": 12, \"decision\": \"accept\", \"note\": \"\", \"reviewer\": \"B\", \"time\": "
		"\"2026-11-25T19:00:00Z\"}\n"
		"no line\n";
	const char *folder = ek_fixture_make(&made);
	struct ek_buffer page = { 0 };

	for (size_t i = 0; i < 3; i++) {
		static const char *const names[] = { "natural", EK_HOSTILE_PLAN, "more-02" };
		char file[128];

		(void)snprintf(file, sizeof file, "reviews/%s.jsonl", names[i]);
		ek_write_file(ek_join(folder, file), i == 0 ? lines : "", i == 0 ? sizeof lines - 1 : 0);
	}
	report_of(&page, folder, NULL);
	assert_shows(page,
	             "<b>1 of 2 images judged was accepted</b> (50\xe2\x80\xaf%), 0 rejected; on 0 people were unsure, "
	             "on 1 they disagree. 58 images have not been looked at.");
	assert_shows(page,
	             "1 line of reviews/natural.jsonl could not be read and is not counted, the first of them line 5.");
	assert_shows(page, "Decisions by the cluster that an image lies in, smallest first");
	/* Samples 0, 12, … lie in cluster 0: one accepted, one disputed, three open. */
	assert_shows(page,
	             "<a href=\"#cluster-0\">Cluster 0</a></th><td class=\"n\" data-v=\"1\">1</td><td class=\"n\" "
	             "data-v=\"0\">0</td><td class=\"n\" data-v=\"0\">0</td><td class=\"n\" data-v=\"1\">1</td><td "
	             "class=\"n wide\" data-v=\"3\">3</td>");
	/* They agree on one of two, chance would be as much. */
	assert_shows(page, "<bdi>A</bdi> and <bdi>B</bdi></th><td class=\"n\" data-v=\"2\">2</td><td class=\"n\" "
	                   "data-v=\"0.5\">50\xe2\x80\xaf%</td><td class=\"n\" data-v=\"0\">0.00</td>");
	assert_int_equal(occurrences(page.data, "Nobody has decided on an image yet."), 2);
	ek_buffer_release(&page);
}

static void decisions_on_images_made_anew_do_not_count(void **state)
{
	static const char format[] = "{\"sample\": %d, \"decision\": \"accept\", \"note\": \"\", \"reviewer\": \"A\", "
				     "\"time\": \"2026-11-25T19:00:00Z\", \"sha256\": \"%s\"}\n";
	const char *folder = ek_fixture_make(&made);
	struct ek_buffer lines = { 0 }, page = { 0 };
	uint8_t hash[EK_SHA256_SIZE];
	char hex[EK_SHA256_HEX];

	assert_ok(ek_sha256_file(hash, ek_join(folder, "samples/natural/images/000003.png")));
	ek_hex(hex, hash, sizeof hash);
	assert_ok(ek_buffer_printf(&lines, format, 3, hex));
	assert_ok(ek_buffer_printf(&lines, format, 4, hex));
	assert_ok(ek_buffer_printf(&lines, format, 77, ""));
	ek_write_file(ek_join(folder, "reviews/natural.jsonl"), lines.data, lines.size);
	/* Where it is not known in which clusters they lie. */
	assert_int_equal(unlink(ek_join(folder, "samples/natural/assignment.npy")), 0);
	report_of(&page, folder, NULL);
	assert_shows(page, "<b>1 of 1 image judged was accepted</b>");
	assert_shows(page, "2 decisions on images that have been made anew since, or are gone, are not counted.");
	assert_shows(page, "Decisions by what the images were made as");
	ek_buffer_release(&lines);
	ek_buffer_release(&page);
}

static void of_many_the_first_are_told_in_full(void **state)
{
	const struct ek_fixture many = { .k = 30, .images = 600, .side = 24, .noise = 10, .made = 40 };
	struct ek_buffer page = { 0 };

	report_of(&page, ek_fixture_make(&many), NULL);
	print_message("%zu bytes\n", page.size);
	assert_int_equal(occurrences(page.data, "<h3>Evaluation <bdi>"), 8);
	assert_int_equal(occurrences(page.data, "<h3>Generated <bdi>"), 8);
	assert_int_equal(occurrences(page.data, "<h3>Review of <bdi>"), 8);
	/* The autoencoder, too. */
	assert_int_equal(occurrences(page.data, "<h3>Generator <bdi>"), 7);
	assert_shows(page, "The first 8 evaluations are told of in full; the others only in the table.");
	/* Each of the 40 in the tables of models, sets and evaluations. */
	assert_int_equal(occurrences(page.data, "<tr><th scope=\"row\"><bdi>more-39</bdi></th>"), 3);
	assert_true(page.size < 10000000);
	ek_buffer_release(&page);
}

static void same_files_same_bytes_and_the_budget_is_kept(void **state)
{
	const struct ek_report_options tight = { .picture_bytes = 60000 };
	const char *folder = ek_fixture_make(&made);
	struct ek_buffer page = { 0 }, small = { 0 };

	report_of_threads(&page, folder);
	report_of(&small, folder, &tight);
	assert_true(occurrences(small.data, "<img ") < occurrences(page.data, "<img "));
	ek_buffer_release(&page);
	ek_buffer_release(&small);
}

static void pictures_that_are_gone_leave_frames(void **state)
{
	const char *folder = ek_fixture_make(&made);
	struct ek_buffer page = { 0 };

	assert_int_equal(unlink(ek_join(folder, "samples/natural/images/000011.png")), 0);
	ek_write_file(ek_join(folder, "models/natural/preview-00000700.png"), "no picture", 10);
	report_of(&page, folder, NULL);
	assert_shows(page, "aria-label=\"samples/natural/images/000011.png, can no longer be read\"");
	assert_shows(page, "aria-label=\"preview-00000700.png, can no longer be read\"");
	ek_buffer_release(&page);
}

static void damaged_files_are_named_and_left_out(void **state)
{
	static const struct damage cases[] = {
		{ "models/natural/config.json", "{", "models/natural/config.json" },
		{ "models/natural/config.json", "[]", "no JSON object" },
		{ "models/natural/log.jsonl", "{\"step\": 1}\nnot json\n", "models/natural/log.jsonl:2" },
		{ "samples/natural/config.json", "3", "samples/natural/config.json: no JSON object" },
		{ "samples/natural/samples.jsonl", "{\"id\": 1}\n", "samples.jsonl:1: id is not 0" },
		{ "samples/natural/samples.jsonl", "{\"id\": 0}\n{", "samples/natural/samples.jsonl" },
		{ "samples/natural/assignment.npy", "no array", "samples/natural/assignment.npy" },
		{ "evaluations/natural.json", "{", "evaluations/natural.json" },
		{ "evaluations/natural.json", "[]", "no JSON object" },
	};

	assert_left_out(ek_fixture_make(&made), cases, sizeof cases / sizeof *cases);
}

static void strange_documents_do_no_harm(void **state)
{
	static const char *const documents[] = {
		"{}",
		"{\"evenkeel\": \"flow\", \"model\": 3, \"training\": [], \"condition\": {\"by\": 4}, \"classes\": 3, "
		"\"guidance\": 1, \"per_cluster\": [1, null, {\"cluster\": 2}], \"generated\": [], \"worst_cluster\": "
		"{\"cluster\": 1e300}, \"memorisation\": {\"copies\": [1, {\"sample\": \"natural\", \"index\": -1}, "
		"{\"sample\": \"natural\", \"index\": 1e300, \"image\": 2}, {\"sample\": \"natural\", \"index\": "
		"99999, "
		"\"image\": 2}]}, \"seeds\": [1, 2], \"spread\": 2, \"kid\": {\"mean\": null}, \"reasons\": []}",
		"{\"evenkeel\": \"vae\", \"per_cluster\": [{\"cluster\": 0}, {\"cluster\": 0}, {\"cluster\": 1}], "
		"\"generated\": {\"samples\": [null, 3], \"images\": -1}, \"frechet_distance\": {\"value\": \"x\", "
		"\"ci95\": [1]}, \"memorisation\": 7, \"seeds\": {}}",
		"{\"per_cluster\": [{\"cluster\": 0, \"ci95\": [0, 1e300], \"generated_share\": 1e300}, {\"cluster\": "
		"1, "
		"\"coverage\": {\"value\": -1, \"ci95\": 3}}, {\"cluster\": 2, \"target_share\": \"x\"}]}",
	};
	static const char log[] = "{}\n3\n{\"step\": 4, \"loss\": null}\n";
	const struct ek_fixture fixture = { .k = 3, .images = 40, .side = 8, .made = 2 };
	const char *folder = ek_fixture_make(&fixture);

	for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
		static const char *const files[] = { "models/natural/config.json", "samples/natural/config.json",
			                             "evaluations/natural.json" };
		struct ek_buffer page = { 0 };

		print_message("%s\n", documents[i]);
		for (size_t f = 0; f < sizeof files / sizeof *files; f++)
			ek_write_file(ek_join(folder, files[f]), documents[i], strlen(documents[i]));
		ek_write_file(ek_join(folder, "models/natural/log.jsonl"), log, sizeof log - 1);
		report_of(&page, folder, NULL);
		assert_lacks(page, "nan");
		assert_lacks(page, "inf,");
		ek_buffer_release(&page);
	}
}

static void inputs_follow_what_was_made(void **state)
{
	static const char *const files[] = { "models/natural/config.json",     "models/natural/log.jsonl",
		                             "samples/natural/config.json",    "samples/natural/samples.jsonl",
		                             "samples/natural/assignment.npy", "evaluations/natural.json",
		                             "reviews/natural.jsonl" };
	enum { FILES = sizeof files / sizeof *files };
	static const char *const outputs[] = { NULL };
	const char *folder = ek_fixture_make(&made);
	const char **inputs = NULL, *reason;
	cJSON *options = cJSON_CreateObject();
	struct ek_step step = { .name = "report", .version = 1, .options = options, .outputs = outputs };
	struct ek_run *run = NULL;
	int current;

	assert_ok(ek_run_open(&run, folder, EK_RUN_WRITE));
	assert_ok(ek_report_inputs(&inputs, run));
	for (size_t i = 0; i < FILES; i++)
		assert_true(holds(inputs, files[i]));
	step.inputs = inputs;
	assert_ok(ek_run_record(run, &step, 0, 0, NULL));
	free(inputs);
	for (size_t i = 0; i < FILES; i++) {
		struct ek_buffer old = { 0 };

		assert_ok(ek_file_read(&old, ek_join(folder, files[i]), 1 << 24));
		assert_int_equal(unlink(ek_join(folder, files[i])), 0);
		assert_ok(ek_report_inputs(&inputs, run));
		step.inputs = inputs;
		assert_ok(ek_run_is_current(&current, &reason, run, &step));
		assert_int_equal(current, 0);
		assert_non_null(strstr(reason, files[i]));
		free(inputs);
		ek_write_file(ek_join(folder, files[i]), old.data, old.size);
		ek_buffer_release(&old);
	}
	ek_run_close(run);
	cJSON_Delete(options);
}

EK_TEST_MAIN(cmocka_unit_test(every_chapter_appears_and_the_short_one_first),
             cmocka_unit_test(without_them_the_page_is_as_it_was), cmocka_unit_test(text_from_the_data_stays_text),
             cmocka_unit_test(the_short_page_compares_natural_with_evened_out),
             cmocka_unit_test(other_steps_are_told_before_what_differs),
             cmocka_unit_test(what_cannot_be_compared_is_not), cmocka_unit_test(training_is_told_of),
             cmocka_unit_test(samples_are_shown_by_class), cmocka_unit_test(evaluations_are_told_of),
             cmocka_unit_test(reviews_are_counted), cmocka_unit_test(decisions_on_images_made_anew_do_not_count),
             cmocka_unit_test(of_many_the_first_are_told_in_full),
             cmocka_unit_test(same_files_same_bytes_and_the_budget_is_kept),
             cmocka_unit_test(pictures_that_are_gone_leave_frames),
             cmocka_unit_test(damaged_files_are_named_and_left_out), cmocka_unit_test(strange_documents_do_no_harm),
             cmocka_unit_test(inputs_follow_what_was_made))
