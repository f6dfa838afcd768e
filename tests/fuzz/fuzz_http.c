/* What the page's server is asked: the first line is a method and a target, the rest a body. A target is refused or
 * finds its route; whatever the body holds, the answer is one of the page's, and its JSON is JSON. */

#include "rebalance/base/file.h"
#include "rebalance/base/utf8.h"
#include "rebalance/io/npy.h"
#include "reports/review_page.h"
#include "reports/server/target.h"
#include "tests/reports/fixture.h"
#include "tests/support/support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SAMPLES = 4, NEAR = 2 };

static struct ek_review review;
static struct ek_review_file file;
static struct ek_review_page page = { .review = &review, .file = &file };

static void write_samples(const char *run)
{
	static const int32_t clusters[SAMPLES] = { 0, 1, 1, 0 };
	static const uint8_t copied[SAMPLES] = { 0, 1, 0, 0 };
	static const int64_t nearest[SAMPLES * NEAR] = { 0, 1, 2, -1, 3, 4, 5, 6 };
	static const float distances[SAMPLES * NEAR];
	const char *folder = ek_join(run, "samples/rare");
	const uint64_t shape[] = { SAMPLES, NEAR };
	struct ek_buffer list = { 0 };
	char name[32];

	assert_ok(ek_make_directories(ek_join(folder, "images")));
	for (int i = 0; i < SAMPLES; i++) {
		(void)snprintf(name, sizeof name, "images/%06d.png", i);
		ek_write_file(ek_join(folder, name), "\x89PNG\r\n\x1a\n", 8);
		assert_ok(ek_buffer_printf(&list, "{\"id\": %d, \"file_name\": \"x\", \"seed\": %d}\n", i, i));
	}
	ek_write_file(ek_join(folder, "samples.jsonl"), list.data, list.size);
	ek_buffer_release(&list);
	assert_ok(ek_npy_write(ek_join(folder, "assignment.npy"), EK_I32, 1, shape, clusters));
	assert_ok(ek_npy_write(ek_join(folder, "copied.npy"), EK_U8, 1, shape, copied));
	assert_ok(ek_npy_write(ek_join(folder, "neighbours.npy"), EK_I64, 2, shape, nearest));
	assert_ok(ek_npy_write(ek_join(folder, "neighbour_distances.npy"), EK_F32, 2, shape, distances));
}

static void open_page(void)
{
	static struct ek_run *run;
	const char *folder = ek_fixture_make(&(struct ek_fixture){ .k = 2, .images = 8, .side = 4 });

	write_samples(folder);
	assert_ok(ek_run_open(&run, folder, EK_RUN_READ));
	assert_ok(ek_review_open(&review, run, "rare"));
	assert_ok(ek_review_file_open(&file, run, 0, "rare"));
}

static void answer(const struct ek_server_route *route, uint64_t number, const char *hash, const char *body)
{
	const struct ek_server_request request = {
		.number = number, .hash = hash, .body = body, .body_size = strlen(body)
	};
	struct ek_server_reply reply = { .status = 200 };
	cJSON *json = NULL;

	if (route->answer == NULL)
		return;
	if (route->answer(&page, &request, &reply) == 0 && reply.type == NULL) {
		assert_ok(ek_json_parse(&json, reply.body.data, reply.body.size, "the answer"));
		if (ek_utf8_valid_prefix(reply.body.data, reply.body.size) != reply.body.size)
			abort();
	}
	cJSON_Delete(json);
	ek_buffer_release(&reply.body);
}

/* The words of the first line, and what follows it. */
static void ask(char *text)
{
	char *line = strsep(&text, "\n"), *method = strsep(&line, " ");
	const struct ek_server_route *route;
	struct ek_target target;
	const char *hash;
	uint64_t number;
	int status;

	if (line == NULL)
		return;
	status = ek_target_parse(&target, line);
	if (status != 0 && status != 400 && status != 414)
		abort();
	if (status != 0)
		return;
	if (strstr(target.path, "..") != NULL || target.path[0] != '/')
		abort();
	status = ek_target_route(&route, &number, &hash, ek_review_routes, method, target.path);
	if (status != 0 && status != 404 && status != 405)
		abort();
	if (status == 0)
		answer(route, number, hash, text != NULL ? text : "");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = 0;
	if (file.journal.path == NULL)
		open_page();
	/* As another program may. */
	if (file.log.entry_count > 1000 && truncate(file.journal.path, 0) != 0)
		abort();
	ask(text);
	free(text);
	return 0;
}
