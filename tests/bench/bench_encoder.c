/*
 * An encoder on a GPU: images/s that lie there (as bytes) and that are brought there first, and where the time goes.
 *
 *	bench_encoder NAME SIDE BATCH ENCODERS.JSON [ops | all]
 *
 * ENCODERS.JSON: tests/golden/encoders.json, by which weights are made. ops: a line for each kind of operator; all: one
 * for each operator, with what it reads and writes at least. rival_encoders.py measures PyTorch's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analysis/embed/encoder.h"
#include "rebalance/base/compare.h"
#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "tests/analysis/embed/random_weights.h"
#include "tests/bench/operators.h"
#include "train/nets/weights.h"
#include "train/nn/cuda.h"
#include "train/nn/net_internal.h"

enum { WARMUP = 5, REPEATS = 20, ROUNDS = 5 };

struct bench {
	struct ek_weights weights;
	struct ek_net *net;
	struct ek_net_state *state;
	int image, features;
};

static int make_weights(const char *path, const char *name, const char *table)
{
	cJSON *json = NULL;
	int rc;

	EK_TRY(ek_json_load(&json, table));
	EK_TRY(ek_random_weights_write(
		path, cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(json, "networks"), name)));
out:
	cJSON_Delete(json);
	return rc;
}

static int build(struct bench *b, const char *name, int side, int batch, const char *weights)
{
	const struct ek_net_pixels pixels = { .shape = { side, side, 3 },
		                              .scale = { 1 / 64.0F, 1 / 64.0F, 1 / 64.0F },
		                              .shift = { -2, -2, -2 } };
	const struct ek_encoder *encoder;
	struct ek_tensor_file file = { 0 };
	uint8_t *stage;
	int rc, x;

	EK_TRY(ek_encoder_find(&encoder, name));
	EK_TRY(ek_tensor_file_open(&file, weights));
	EK_TRY(ek_weights_init(&b->weights, &file));
	EK_TRY(ek_net_new(&b->net, &b->weights.params, EK_NN_BF16, batch));
	EK_TRY(b->image = ek_net_input_pixels(b->net, pixels.shape));
	EK_TRY(x = ek_net_pixels(b->net, b->image, &pixels));
	EK_TRY(b->features = encoder->build(b->net, &b->weights, x, encoder));
	EK_TRY(ek_net_output(b->net, b->features));
	EK_TRY(ek_net_finish(b->net, EK_NET_FORWARD));
	EK_TRY(ek_net_load(b->net, b->weights.values));
	EK_TRY(ek_net_state_new(&b->state, b->net));
	stage = ek_net_stage(b->state, b->image);
	for (size_t i = 0; i < (size_t)batch * ek_net_pixels_stride(pixels.shape); i++)
		stage[i] = (uint8_t)(i * 2654435761U >> 24);
	EK_TRY(ek_net_forward(b->state));
	EK_TRY(ek_cuda_wait());
out:
	ek_tensor_file_close(&file);
	return rc;
}

static int run_op(struct bench *b, int i)
{
	return b->net->device->codes[b->net->ops[i].kind]->forward(b->state, &b->net->ops[i]);
}

/* All operators, the images being there. */
static int run_resident(struct bench *b)
{
	int rc = 0;

	for (int i = 0; i < b->net->op_count && rc == 0; i++)
		rc = run_op(b, i);
	return rc;
}

static int run_whole(struct bench *b)
{
	return ek_net_forward(b->state);
}

/* Milliseconds, the median of rounds of REPEATS. */
static int time_of(double *ms, struct bench *b, int (*run)(struct bench *b))
{
	double times[ROUNDS], start;
	int rc = 0;

	for (int i = 0; i < ROUNDS; i++) {
		for (int j = 0; j < (i == 0 ? WARMUP : 0); j++)
			EK_TRY(run(b));
		EK_TRY(ek_cuda_wait());
		start = ek_clock();
		for (int j = 0; j < REPEATS; j++)
			EK_TRY(run(b));
		EK_TRY(ek_cuda_wait());
		times[i] = 1e3 * (ek_clock() - start) / REPEATS;
	}
	qsort(times, ROUNDS, sizeof *times, ek_compare_doubles);
	*ms = times[ROUNDS / 2];
out:
	return rc;
}

static int measure(char **argv, const char *mode)
{
	const int batch = (int)strtol(argv[3], NULL, 10);
	char weights[] = "/tmp/bench_encoder.XXXXXX";
	const int fd = mkstemp(weights);
	struct bench b = { .net = NULL };
	double resident, whole;
	int rc = fd < 0 ? ek_fail_errno("%s", weights) : 0;

	EK_TRY(rc);
	EK_TRY(make_weights(weights, argv[1], argv[4]));
	EK_TRY(build(&b, argv[1], (int)strtol(argv[2], NULL, 10), batch, weights));
	EK_TRY(time_of(&resident, &b, run_resident));
	EK_TRY(time_of(&whole, &b, run_whole));
	(void)printf("%s %s batch %d: %.0f images/s resident, %.0f with upload\n", argv[1], argv[2], batch,
	             1e3 * batch / resident, 1e3 * batch / whole);
	if (mode != NULL)
		EK_TRY(ek_bench_operators(b.state, NULL, strcmp(mode, "all") == 0));
out:
	if (fd >= 0)
		(void)unlink(weights);
	ek_net_state_free(b.state);
	ek_net_free(b.net);
	ek_weights_release(&b.weights);
	return rc;
}

int main(int argc, char **argv)
{
	const struct ek_device *gpu;
	int rc = argc < 5 ? ek_fail(EK_EUSAGE, "bench_encoder NAME SIDE BATCH ENCODERS.JSON [ops | all]") : 0;

	EK_TRY(rc);
	EK_TRY(ek_cuda_choose(&gpu, 0));
	ek_device_set(gpu);
	EK_TRY(measure(argv, argc > 5 ? argv[5] : NULL));
out:
	if (rc < 0)
		(void)fprintf(stderr, "%s\n", ek_error_message());
	return rc < 0;
}
