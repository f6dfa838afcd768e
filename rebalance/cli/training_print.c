/* What `train` says of a training: what it would take, or what came out. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "rebalance/base/error.h"
#include "rebalance/base/text.h"
#include "rebalance/cli/training_options.h"
#include "rebalance/cli/output.h"

/* Does it end by the clock? */
static int is_limited(const struct ek_training_estimate *e)
{
	return e->steps == 0 || (e->time_limit > 0 && e->image_seconds * (double)(e->steps * e->batch) > e->time_limit);
}

static double expected(const struct ek_training_estimate *e)
{
	return is_limited(e) ? e->time_limit : e->image_seconds * (double)(e->steps * e->batch);
}

static void print_estimate(const struct ek_training_estimate *e)
{
	char count[32], time[32], where[32] = "the GPU";

	if (e->threads > 0)
		(void)snprintf(where, sizeof where, "%d threads", e->threads);
	(void)printf("%s parameters in %d tensors\n", ek_text_count(count, e->parameters), e->tensors);
	(void)printf("  %-20s %.3g GFLOP an image and step (forward and backward)\n", "work", e->flops / 1e9);
	(void)printf("  %-20s %.2f GiB\n", "memory", (double)e->bytes / 0x1p30);
	(void)printf("  %-20s %" PRIu64 " images in slices of %d\n", "batch", e->batch, e->slice);
	if (e->steps > 0)
		(void)printf("  %-20s %" PRIu64 ", %.3g epochs\n", "steps", e->steps,
		             (double)(e->steps * e->batch) / (double)e->epoch);
	(void)printf("  %-20s about %.3g images/s on %s (%.3g GFLOP/s)\n", "speed", 1 / e->image_seconds, where,
	             1e-9 * e->flops / e->image_seconds);
	if (!is_limited(e))
		(void)printf("  %-20s about %s\n", "time", ek_text_duration(time, expected(e)));
	else
		(void)printf("  %-20s about %.3g epochs in %s\n", "time",
		             e->time_limit / e->image_seconds / (double)e->epoch,
		             ek_text_duration(time, e->time_limit));
}

static int print_json_estimate(const struct ek_training_estimate *e)
{
	cJSON *json = cJSON_CreateObject();
	int rc;

	EK_TRY(ek_json_add_u64(json, "parameters", e->parameters));
	EK_TRY(ek_json_add_double(json, "flops", e->flops));
	EK_TRY(ek_json_add_u64(json, "memory", e->bytes));
	EK_TRY(ek_json_add_u64(json, "batch", e->batch));
	EK_TRY(ek_json_add_u64(json, "slice", (uint64_t)e->slice));
	EK_TRY(e->steps > 0 ? ek_json_add_u64(json, "steps", e->steps) : ek_json_add_null(json, "steps"));
	EK_TRY(ek_json_add_u64(json, "epoch", e->epoch));
	EK_TRY(ek_json_add_double(json, "images_per_second", 1 / e->image_seconds));
	EK_TRY(ek_json_add_double(json, "seconds", expected(e)));
	EK_TRY(ek_print_json(json));
out:
	cJSON_Delete(json);
	return rc;
}

static int print_json(const struct ek_training *t, const char *name)
{
	cJSON *json = cJSON_CreateObject();
	int rc;

	EK_TRY(ek_json_add_string(json, "model", name));
	EK_TRY(ek_json_add_u64(json, "steps", t->step));
	EK_TRY(ek_json_add_double(json, "seconds", t->seconds));
	EK_TRY(ek_json_add_double(json, "loss", t->loss));
	EK_TRY(ek_json_add_double(json, "held_out_loss", t->judged));
	EK_TRY(ek_print_json(json));
out:
	cJSON_Delete(json);
	return rc;
}

int ek_training_print(const struct ek_training_result *r, const char *name, int json)
{
	const struct ek_training *t = &r->training;
	char count[32], time[32];

	if (r->folder == NULL) {
		if (json)
			return print_json_estimate(&r->estimate);
		print_estimate(&r->estimate);
		return 0;
	}
	if (json)
		return print_json(t, name);
	(void)printf("trained %s step%s in %s\n\n", ek_text_count(count, t->step), ek_text_s(t->step),
	             ek_text_duration(time, t->seconds));
	if (isfinite(t->loss))
		(void)printf("  %-20s %.4g\n", "loss", t->loss);
	if (isfinite(t->judged))
		(void)printf("  %-20s %.4g\n", "held-out loss", t->judged);
	(void)printf("\nmodel: %s\n", r->folder);
	return 0;
}
