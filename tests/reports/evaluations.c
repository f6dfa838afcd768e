#include "tests/reports/evaluations.h"

#include <inttypes.h>

#include "rebalance/base/file.h"
#include "rebalance/base/memory.h"
#include "tests/support/support.h"

static void text(struct ek_buffer *b, const char *name, const char *value)
{
	assert_ok(ek_buffer_printf(b, "\"%s\": ", name));
	if (value == NULL)
		assert_ok(ek_buffer_text(b, "null"));
	else
		assert_ok(ek_json_append_string(b, value, strlen(value)));
	assert_ok(ek_buffer_text(b, ", "));
}

static void spread(struct ek_buffer *b, const struct ek_made_evaluation *made)
{
	static const char *const names[] = { "frechet_distance", "precision", "coverage", "coverage_worst",
		                             "mass_coverage" };

	assert_ok(ek_buffer_text(b, "\"spread\": {"));
	for (size_t i = 0; made->seeds >= 2 && i < sizeof names / sizeof *names; i++)
		assert_ok(ek_buffer_printf(b, "%s\"%s\": {\"mean\": 0, \"std\": %.17g, \"n\": %" PRIu64 "}",
		                           i > 0 ? ", " : "", names[i], made->deviation, made->seeds));
	assert_ok(ek_buffer_text(b, "}}\n"));
}

void ek_make_evaluation(const char *run, const struct ek_made_evaluation *made)
{
	struct ek_buffer b = { 0 };
	char path[4096];

	assert_ok(ek_buffer_text(&b, "{\"generated\": {"));
	text(&b, "model", made->model != NULL ? made->model : "m");
	assert_ok(ek_buffer_text(&b, made->of_generated != NULL ? made->of_generated : ""));
	text(&b, "subset", made->method != NULL ? made->name : NULL);
	text(&b, "method", made->method);
	text(&b, "weights", made->weights);
	if (made->keep > 0)
		assert_ok(ek_buffer_printf(&b, "\"keep\": %g, ", made->keep));
	assert_ok(ek_buffer_printf(
		&b, "\"training_images\": %" PRIu64 ", \"images\": %" PRIu64 ", \"steps\": 40}, \"encoder\": {",
		made->training_images > 0 ? made->training_images : 1000, made->images > 0 ? made->images : 900));
	text(&b, "name", made->encoder != NULL ? made->encoder : "pixels");
	assert_ok(ek_buffer_printf(
		&b,
		"\"dimensions\": 8}, \"metric\": \"FD\", \"k\": 5, \"reference\": {\"images\": 300, \"what\": "
		"\"held_out\"}, \"frechet_distance\": %.17g, \"coverage\": %.17g, \"coverage_expected\": 0.969, "
		"\"coverage_worst\": %.17g, \"mass_coverage\": 0.75, \"inception_score\": null, \"memorisation\": "
		"{\"nearest_train\": {\"median\": 3.5}, \"copies_share\": {\"value\": 0.25, \"ci95\": [0.2, 0.3]}}, "
		"\"per_cluster\": [{\"cluster\": 0, \"coverage\": 0.9, \"target_share\": %g}, {\"cluster\": 1, "
		"\"coverage\": %.17g, \"target_share\": 0.5}], ",
		made->fd, made->coverage, made->worst, made->target > 0 ? made->target : 0.5, made->worst));
	spread(&b, made);
	assert_ok(ek_make_directories(ek_join(run, "evaluations")));
	(void)snprintf(path, sizeof path, "%s/evaluations/%s.json", run, made->name);
	ek_write_file(path, b.data, b.size);
	ek_buffer_release(&b);
}
