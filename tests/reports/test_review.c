#include "tests/support/support.h"

#include <inttypes.h>

#include "rebalance/base/file.h"
#include "reports/review_page.h"
#include "tests/reports/fixture.h"

enum { K = 5, IMAGES = 60, SAMPLES = 8, NEAR = 5 };

/* The files of RUN/samples/rare. */
struct made {
	int32_t cluster[SAMPLES];
	uint8_t copied[SAMPLES];
	int64_t nearest[SAMPLES * NEAR];
	float distance[SAMPLES * NEAR];
	const char *line; /* of the third sample in samples.jsonl; NULL: as it should be */
	uint64_t rows;    /* of copied.npy */
};

static const struct made good = {
	.cluster = { 0, 4, 1, 4, 0, 3, 4, 2 },
	.copied = { 0, 0, 0, 1, 0, 0, 0, 0 },
	.nearest = { 0, 1, 2, 3, 4, 10, 11, 12, 13, -1 },
	.distance = { 0, 0.5f, 1, 2, 3, 1, 1, 1, 1, INFINITY },
	.rows = SAMPLES,
};

static const char *make_run(int side)
{
	/* Few, where they are large. */
	return ek_fixture_make(&(struct ek_fixture){ .k = K, .images = side > 100 ? 8 : IMAGES, .side = side });
}

static void write_png(const char *path, int shade)
{
	struct ek_image image = { 0 };
	struct ek_buffer png = { 0 };

	assert_ok(ek_image_allocate(&image, 4, 4));
	memset(image.pixels, shade, 48);
	assert_ok(ek_image_encode_png(&png, &image));
	ek_write_file(path, png.data, png.size);
	ek_buffer_release(&png);
	ek_image_release(&image);
}

static void write_samples(const char *run, const struct made *m)
{
	const char *folder = ek_join(run, "samples/rare"), *images = ek_join(folder, "images");
	const uint64_t samples = SAMPLES, shape[] = { SAMPLES, NEAR };
	struct ek_buffer list = { 0 };

	assert_ok(ek_make_directories(images));
	for (int i = 0; i < SAMPLES; i++) {
		char name[32];

		(void)snprintf(name, sizeof name, "%06d.png", i);
		write_png(ek_join(images, name), 10 * i);
		if (i == 2 && m->line != NULL)
			assert_ok(ek_buffer_printf(&list, "%s\n", m->line));
		else
			assert_ok(ek_buffer_printf(&list,
			                           "{\"id\": %d, \"file_name\": \"../../secret\", \"seed\": %d, "
			                           "\"cluster\": \"%d\"}\n",
			                           i, 100 + i, i % K));
	}
	ek_write_file(ek_join(folder, "samples.jsonl"), list.data, list.size);
	ek_buffer_release(&list);
	assert_ok(ek_npy_write(ek_join(folder, "assignment.npy"), EK_I32, 1, &samples, m->cluster));
	assert_ok(ek_npy_write(ek_join(folder, "copied.npy"), EK_U8, 1, &m->rows, m->copied));
	assert_ok(ek_npy_write(ek_join(folder, "neighbours.npy"), EK_I64, 2, shape, m->nearest));
	assert_ok(ek_npy_write(ek_join(folder, "neighbour_distances.npy"), EK_F32, 2, shape, m->distance));
}

static void the_rare_come_first(void **state)
{
	const char *path = make_run(8);
	struct ek_review review;
	struct ek_run *run;

	write_samples(path, &good);
	assert_ok(ek_run_open(&run, path, EK_RUN_READ));
	assert_ok(ek_review_open(&review, run, "rare"));
	assert_int_equal(review.count, SAMPLES);
	assert_int_equal(review.clusters[4].images, 3);
	assert_string_equal(review.made_for[3], "cluster 3");
	assert_int_equal(review.seeds[7], 107);
	for (int i = 1; i < SAMPLES; i++) {
		const uint32_t a = review.queue[i - 1], b = review.queue[i];
		const struct ek_review_cluster *x = &review.clusters[review.cluster[a]];
		const struct ek_review_cluster *y = &review.clusters[review.cluster[b]];

		print_message("sample %u: cluster of %d, tail %d\n", b, (int)y->size, y->is_tail);
		assert_true(x->is_tail >= y->is_tail);
		assert_true(x->is_tail > y->is_tail || x->size <= y->size);
		assert_true(x != y || a < b);
	}
	/* The fixture's sizes fall from cluster to cluster. */
	assert_int_equal(review.cluster[review.queue[0]], 4);
	assert_int_equal(review.queue[SAMPLES - 1], 4);
	ek_review_release(&review);
	ek_run_close(run);
}

static void what_does_not_fit_is_told(void **state)
{
	static const struct {
		struct made change; /* what differs from `good`, where it is not 0 */
		int code;
		const char *message;
	} cases[] = {
		{ { .cluster = { 5 } }, EK_EDATA, "image 0 is in cluster 5, " },
		{ { .cluster = { -1 } }, EK_EDATA, "image 0 is in cluster -1, " },
		{ { .rows = SAMPLES - 1 }, EK_EDATA, "copied.npy" },
		{ { .line = "{\"id\": 3, \"seed\": 1}" }, EK_EDATA, "has id 3" },
		{ { .line = "{\"id\": 2}" }, EK_EDATA, "seed" },
		{ { .line = "no JSON" }, EK_EDATA, "samples.jsonl:3" },
	};
	const char *path = make_run(8);
	struct ek_review review;
	struct ek_run *run;

	assert_ok(ek_run_open(&run, path, EK_RUN_READ));
	assert_fails(ek_review_open(&review, run, "rare"), EK_EUSAGE, "no finished samples rare");
	ek_review_release(&review);
	assert_fails(ek_review_open(&review, run, "../rare"), EK_EUSAGE, "no name of samples");
	ek_review_release(&review);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct made bad = good;

		bad.cluster[0] = cases[i].change.cluster[0];
		bad.line = cases[i].change.line;
		bad.rows = cases[i].change.rows > 0 ? cases[i].change.rows : good.rows;
		write_samples(path, &bad);
		assert_fails(ek_review_open(&review, run, "rare"), cases[i].code, cases[i].message);
		ek_review_release(&review);
	}
	assert_int_equal(remove(ek_join(path, "audit.json")), 0);
	write_samples(path, &good);
	assert_fails(ek_review_open(&review, run, "rare"), EK_EUSAGE, "evenkeel audit");
	ek_review_release(&review);
	ek_run_close(run);
}

/* A real image is given as its pixels where it is small, else smaller. */
static void real_images_are_of_a_size_to_look_at(void **state)
{
	static const struct {
		int side;
		const char *type;
		uint32_t longer; /* a picture is 4 : 3 */
	} cases[] = { { 8, "image/png", 10 }, { 384, "image/png", 512 }, { 700, "image/jpeg", 512 } };

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *path = make_run(cases[i].side), *type;
		struct ek_buffer bytes = { 0 };
		struct ek_image_info info;
		struct ek_review review;
		struct ek_run *run;

		write_samples(path, &good);
		assert_ok(ek_run_open(&run, path, EK_RUN_READ));
		assert_ok(ek_review_open(&review, run, "rare"));
		assert_ok(ek_real_images_picture(&bytes, &type, &review.real, 7));
		assert_string_equal(type, cases[i].type);
		assert_ok(ek_image_check(&info, bytes.data, bytes.size, EK_MAX_PIXELS_DEFAULT));
		print_message("%u x %u\n", info.width, info.height);
		assert_int_equal(info.width > info.height ? info.width : info.height, cases[i].longer);
		assert_fails(ek_real_images_picture(&bytes, &type, &review.real, IMAGES), EK_EUSAGE, "no image 60");
		ek_buffer_release(&bytes);
		ek_review_release(&review);
		ek_run_close(run);
	}
}

static void a_sample_is_found_by_its_number_alone(void **state)
{
	const char *path = make_run(8), *image = ek_join(path, "samples/rare/images/000003.png");
	struct ek_buffer bytes = { 0 }, want = { 0 };
	struct ek_review review;
	struct ek_run *run;
	char sha256[65];

	write_samples(path, &good);
	assert_ok(ek_run_open(&run, path, EK_RUN_READ));
	assert_ok(ek_review_open(&review, run, "rare"));
	assert_ok(ek_review_image(&bytes, sha256, &review, 3));
	assert_ok(ek_file_read(&want, image, 1 << 20));
	assert_int_equal(bytes.size, want.size);
	assert_memory_equal(bytes.data, want.data, want.size);
	assert_int_equal(strlen(sha256), 64);
	assert_fails(ek_review_image(&bytes, sha256, &review, SAMPLES), EK_EUSAGE, "no sample 8");
	ek_write_file(image, "no image", 8);
	assert_fails(ek_review_image(&bytes, sha256, &review, 3), EK_EDATA, "is no PNG");
	assert_int_equal(remove(image), 0);
	assert_fails(ek_review_image(&bytes, sha256, &review, 3), EK_EIO, "cannot open");
	ek_buffer_release(&bytes);
	ek_buffer_release(&want);
	ek_review_release(&review);
	ek_run_close(run);
}

/* What the page's server answers, without the server. */
static int answer_of(cJSON **answer, int *status, struct ek_review_page *page, const char *path, uint64_t number,
                     const char *body)
{
	const struct ek_server_request request = {
		.number = number, .hash = "", .body = body, .body_size = strlen(body)
	};
	struct ek_server_reply reply = { .status = 200 };
	const struct ek_server_route *route = ek_review_routes;
	int rc;

	while (route->path != NULL && strcmp(route->path, path) != 0)
		route++;
	assert_non_null(route->answer);
	rc = route->answer(page, &request, &reply);
	*status = reply.status;
	*answer = NULL;
	if (rc == 0)
		assert_ok(ek_json_parse(answer, reply.body.data, reply.body.size, path));
	ek_buffer_release(&reply.body);
	return rc;
}

/* Named groups of the run, and which of them a generated image is taken to be of. */
static void a_sample_has_its_named_group(void **state)
{
	static const char groups[] = "{\"labelled\": 4, \"groups\": [{\"name\": \"frog\"}, {\"name\": \"newt\"}]}";
	const char *path = make_run(8), *folder = ek_join(path, "samples/rare");
	const uint64_t all[] = { IMAGES, 2 }, made[] = { SAMPLES, 2 }, other[] = { SAMPLES, 3 };
	static const float q[3 * IMAGES] = { 0.25F, 0.75F, 0.875F, 0.125F, 0.25F, 0.25F };
	struct ek_review review;
	struct ek_review_page page = { .review = &review };
	struct ek_run *run;
	cJSON *answer;
	int status;

	write_samples(path, &good);
	assert_ok(ek_make_directories(ek_join(path, "clusters")));
	ek_write_file(ek_join(path, "clusters/groups.json"), groups, sizeof groups - 1);
	assert_ok(ek_npy_write(ek_join(path, "clusters/membership.npy"), EK_F32, 2, all, q));
	assert_ok(ek_npy_write(ek_join(folder, "groups.npy"), EK_F32, 2, made, q));
	assert_ok(ek_run_open(&run, path, EK_RUN_READ));
	assert_ok(ek_review_open(&review, run, "rare"));
	for (uint64_t i = 0; i < 3; i++) {
		static const char *const names[] = { "newt", "frog", NULL }; /* the third: of none of them */
		const char *name;

		assert_ok(answer_of(&answer, &status, &page, "/sample/#", i, ""));
		name = cJSON_GetStringValue(cJSON_GetObjectItem(answer, "group"));
		assert_true(names[i] != NULL ? name != NULL && strcmp(name, names[i]) == 0 : name == NULL);
		cJSON_Delete(answer);
	}
	ek_review_release(&review);
	/* An array of other groups than those that there are now. */
	assert_ok(ek_npy_write(ek_join(folder, "groups.npy"), EK_F32, 2, other, q));
	assert_ok(ek_review_open(&review, run, "rare"));
	assert_null(review.of_group);
	ek_review_release(&review);
	ek_run_close(run);
}

static void answers_hold_whatever_the_data_hold(void **state)
{
	static const char *const reviewer = "</script>\\\"Zo\xc3\xab\\\"";
	const char *path = make_run(8);
	struct ek_review review;
	struct ek_review_file file;
	struct ek_review_page page = { .review = &review, .file = &file, .reviewer = reviewer };
	struct ek_run *run;
	const cJSON *near;
	char body[512], sha256[65];
	cJSON *answer;
	int status;

	write_samples(path, &good);
	assert_ok(ek_run_open(&run, path, EK_RUN_READ));
	assert_ok(ek_review_open(&review, run, "rare"));
	assert_ok(ek_review_file_open(&file, run, 0, "rare"));

	assert_ok(answer_of(&answer, &status, &page, "/sample/#", 0, ""));
	near = cJSON_GetObjectItem(answer, "neighbours");
	assert_int_equal(cJSON_GetArraySize(near), NEAR);
	assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(near->child, "file_name")), EK_HOSTILE_NAME);
	cJSON_Delete(answer);
	/* The fifth is none. */
	assert_ok(answer_of(&answer, &status, &page, "/sample/#", 1, ""));
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(answer, "neighbours")), NEAR - 1);
	cJSON_Delete(answer);
	assert_int_equal(answer_of(&answer, &status, &page, "/sample/#", SAMPLES, ""), EK_EUSAGE);
	assert_int_equal(status, 404);

	assert_ok(answer_of(&answer, &status, &page, "/sample/#", 3, ""));
	(void)snprintf(sha256, sizeof sha256, "%s", cJSON_GetStringValue(cJSON_GetObjectItem(answer, "sha256")));
	cJSON_Delete(answer);
	(void)snprintf(body, sizeof body,
	               "{\"reviewer\": \"%s\", \"sample\": 3, \"sha256\": \"%s\", \"decision\": \"reject\", \"note\": "
	               "\"<b>\\u0000\"}",
	               reviewer, sha256);
	assert_ok(answer_of(&answer, &status, &page, "/decide", 0, body));
	cJSON_Delete(answer);
	(void)snprintf(body, sizeof body, "{\"reviewer\": \"%s\"}", reviewer);
	assert_ok(answer_of(&answer, &status, &page, "/reviewer", 0, body));
	assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(answer, "reviewer")), "</script>\"Zo\xc3\xab\"");
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(answer, "decisions")), 1);
	cJSON_Delete(answer);
	assert_ok(answer_of(&answer, &status, &page, "/agreement", 0, ""));
	assert_int_equal(cJSON_GetObjectItem(answer, "rejected")->valueint, 1);
	cJSON_Delete(answer);
	assert_ok(answer_of(&answer, &status, &page, "/state", 0, ""));
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(answer, "queue")), SAMPLES);
	cJSON_Delete(answer);
	assert_ok(answer_of(&answer, &status, &page, "/undo", 0, body));
	assert_true(cJSON_IsNull(cJSON_GetObjectItem(answer, "decision")));
	cJSON_Delete(answer);
	assert_int_equal(answer_of(&answer, &status, &page, "/undo", 0, body), EK_EUSAGE);
	assert_int_equal(answer_of(&answer, &status, &page, "/undo", 0, "{}"), EK_EUSAGE);
	assert_int_equal(answer_of(&answer, &status, &page, "/decide", 0, "[1"), EK_EUSAGE);

	ek_review_file_release(&file);
	ek_review_release(&review);
	ek_run_close(run);
}

/* The reviewer vouches for what was seen. */
static void a_decision_is_on_the_image_that_was_shown(void **state)
{
	const char *path = make_run(8), *image = ek_join(path, "samples/rare/images/000003.png");
	struct ek_review review;
	struct ek_review_file file;
	struct ek_review_page page = { .review = &review, .file = &file };
	struct ek_run *run;
	char sha256[65], body[512];
	struct ek_buffer given = { 0 };
	FILE *stream;
	cJSON *answer;
	int status, is_other;

	write_samples(path, &good);
	assert_ok(ek_run_open(&run, path, EK_RUN_READ));
	assert_ok(ek_review_open(&review, run, "rare"));
	assert_ok(ek_review_file_open(&file, run, 0, "rare"));
	assert_ok(answer_of(&answer, &status, &page, "/sample/#", 3, ""));
	(void)snprintf(sha256, sizeof sha256, "%s", cJSON_GetStringValue(cJSON_GetObjectItem(answer, "sha256")));
	cJSON_Delete(answer);
	(void)snprintf(body, sizeof body,
	               "{\"reviewer\": \"Anna\", \"sample\": 3, \"sha256\": \"%s\", \"decision\": \"accept\"}", sha256);
	write_png(image, 255);
	assert_int_equal(answer_of(&answer, &status, &page, "/decide", 0, body), EK_EUSAGE);
	assert_int_equal(status, 409);
	assert_non_null(strstr(ek_error_message(), "has been made anew"));
	assert_null(ek_review_log_standing(&file.log, 3, 0));
	assert_int_equal(
		answer_of(&answer, &status, &page, "/decide", 0,
	                  "{\"reviewer\": \"Anna\", \"sample\": 3, \"sha256\": \"\", \"decision\": \"accept\"}"),
		EK_EUSAGE);
	assert_non_null(strstr(ek_error_message(), "not 64 hex digits"));
	write_png(image, 30);
	/* Without a hash it is the image that was given. */
	assert_ok(ek_review_give(&given, &is_other, &review, 3, ""));
	write_png(image, 255);
	assert_int_equal(answer_of(&answer, &status, &page, "/decide", 0,
	                           "{\"reviewer\": \"Anna\", \"sample\": 3, \"decision\": \"accept\"}"),
	                 EK_EUSAGE);
	assert_int_equal(status, 409);
	assert_null(ek_review_log_standing(&file.log, 3, 0));
	write_png(image, 30);
	assert_ok(answer_of(&answer, &status, &page, "/decide", 0, body));
	cJSON_Delete(answer);
	assert_string_equal(ek_review_log_standing(&file.log, 3, 0)->sha256, sha256);

	/* What is decided on an image that is made anew while somebody else writes to the file does not count. */
	write_png(image, 255);
	stream = fopen(file.journal.path, "a");
	assert_non_null(stream);
	assert_true(fputs("\n", stream) >= 0 && fclose(stream) == 0);
	assert_ok(answer_of(&answer, &status, &page, "/agreement", 0, ""));
	assert_int_equal(cJSON_GetObjectItem(answer, "accepted")->valueint, 0);
	cJSON_Delete(answer);
	ek_buffer_release(&given);
	ek_review_file_release(&file);
	ek_review_release(&review);
	ek_run_close(run);
}

static void nobody_makes_anew_what_is_reviewed(void **state)
{
	const char *path = make_run(8), *folder = ek_join(path, "samples/rare");
	struct ek_review review, second;
	struct ek_run *run;
	int fd;

	assert_ok(ek_review_keep_out(&fd, folder));
	assert_int_equal(fd, -1);
	write_samples(path, &good);
	assert_ok(ek_review_keep_out(&fd, folder));
	assert_ok(ek_run_open(&run, path, EK_RUN_READ));
	assert_fails(ek_review_open(&review, run, "rare"), EK_EUSAGE, "is being made anew");
	ek_review_release(&review);
	assert_int_equal(close(fd), 0);
	assert_ok(ek_review_open(&review, run, "rare"));
	assert_ok(ek_review_open(&second, run, "rare"));
	assert_fails(ek_review_keep_out(&fd, folder), EK_EUSAGE, "is being reviewed");
	ek_review_release(&review);
	assert_fails(ek_review_keep_out(&fd, folder), EK_EUSAGE, "is being reviewed");
	ek_review_release(&second);
	assert_ok(ek_review_keep_out(&fd, folder));
	assert_int_equal(close(fd), 0);
	ek_run_close(run);
}

static void a_decision_on_another_image_does_not_count(void **state)
{
	const char *path = make_run(8);
	struct ek_review_log log = { 0 };
	struct ek_review_entry entry = { .time = "2026-11-25T19:00:00Z" };
	struct ek_buffer bytes = { 0 };
	struct ek_review review;
	struct ek_run *run;

	write_samples(path, &good);
	assert_ok(ek_run_open(&run, path, EK_RUN_READ));
	assert_ok(ek_review_open(&review, run, "rare"));
	assert_ok(ek_review_log_reviewer(&entry.reviewer, &log, "Anna"));
	for (uint32_t i = 0; i < 4; i++) {
		entry.sample = i;
		assert_ok(ek_review_image(&bytes, entry.sha256, &review, i));
		assert_ok(ek_review_log_add(&log, &entry));
	}
	/* One by hand, without a hash, and one on a sample that is not there any more. */
	entry.sha256[0] = 0;
	entry.sample = 5;
	assert_ok(ek_review_log_add(&log, &entry));
	entry.sample = SAMPLES + 3;
	assert_ok(ek_review_log_add(&log, &entry));
	write_png(ek_join(path, "samples/rare/images/000002.png"), 255);
	assert_ok(ek_review_void_stale(&log, &review));
	for (uint32_t i = 0; i < 6; i++)
		assert_int_equal(ek_review_log_standing(&log, i, 0) != NULL, i != 2 && i != 4);
	assert_null(ek_review_log_standing(&log, SAMPLES + 3, 0));
	ek_buffer_release(&bytes);
	ek_review_log_release(&log);
	ek_review_release(&review);
	ek_run_close(run);
}

EK_TEST_MAIN(cmocka_unit_test(the_rare_come_first), cmocka_unit_test(what_does_not_fit_is_told),
             cmocka_unit_test(real_images_are_of_a_size_to_look_at),
             cmocka_unit_test(a_sample_is_found_by_its_number_alone),
             cmocka_unit_test(answers_hold_whatever_the_data_hold), cmocka_unit_test(a_sample_has_its_named_group),
             cmocka_unit_test(a_decision_is_on_the_image_that_was_shown),
             cmocka_unit_test(nobody_makes_anew_what_is_reviewed),
             cmocka_unit_test(a_decision_on_another_image_does_not_count))
