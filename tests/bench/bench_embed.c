/*
 * Inference of an encoder on all threads, images already preprocessed:
 *
 *	bench_embed ENCODER SIDE f32|bf16 WEIGHTS [SECONDS [BATCH [cuda]]]
 *
 * Prints images per second, and per second of processor time. bench_embed.py runs it in turn with PyTorch on the same
 * weights.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "analysis/embed/model.h"
#include "analysis/embed/preprocess.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"
#include "train/nn/cuda.h"

struct bench {
	const struct ek_model *model;
	struct ek_model_state **states;
	void *input;
	float **features;
	int batch;
};

static int run_batch(void *context, uint64_t i, int worker)
{
	const struct bench *b = context;

	(void)i;
	return ek_model_run(b->model, b->states[worker], b->input, b->batch, b->features[worker]);
}

static int prepare(struct bench *b, const struct ek_encoder *encoder, const struct ek_preprocessing *p)
{
	const size_t size = (size_t)b->batch * ek_preprocessed_size(p);
	const size_t features = (size_t)b->batch * ek_encoder_dimensions(encoder, p);
	uint8_t *bytes;
	int rc;

	EK_TRY(ek_alloc_aligned(&b->input, 1, size));
	bytes = b->input;
	for (size_t i = 0; i < size; i++)
		bytes[i] = p->interpolation == EK_INTERPOLATION_TORCH ? 0 : (uint8_t)ek_random_u64(0, 0, i);
	EK_TRY(ek_alloc(&b->states, (size_t)ek_threads(), sizeof *b->states));
	EK_TRY(ek_alloc(&b->features, (size_t)ek_threads(), sizeof *b->features));
	for (int i = 0; i < ek_threads(); i++) {
		EK_TRY(ek_model_state_new(&b->states[i], b->model));
		EK_TRY(ek_alloc(&b->features[i], features, sizeof **b->features));
	}
out:
	return rc;
}

static void release(struct bench *b)
{
	for (int i = 0; i < ek_threads(); i++) {
		if (b->states != NULL)
			ek_model_state_free(b->states[i]);
		if (b->features != NULL)
			free(b->features[i]);
	}
	free(b->states);
	free(b->features);
	free(b->input);
}

static int measure(const char *name, int side, enum ek_nn_precision precision, const char *weights, double seconds,
                   int batch)
{
	const struct ek_encoder *encoder;
	struct ek_preprocessing p;
	struct ek_model *model = NULL;
	struct bench b = { 0 };
	uint64_t pieces = (uint64_t)ek_threads() * 2;
	double start, spent = 0;
	clock_t used;
	int rc;

	EK_TRY(ek_encoder_find(&encoder, name));
	EK_TRY(ek_encoder_preprocessing(&p, encoder, side, 0));
	b.batch = batch > 0 ? batch : ek_model_batch(&p);
	EK_TRY(ek_model_new(&model, encoder, &p, weights, precision, b.batch));
	b.model = model;
	EK_TRY(prepare(&b, encoder, &p));
	EK_TRY(ek_parallel(pieces, run_batch, &b));
	for (;;) {
		start = ek_clock();
		used = clock();
		EK_TRY(ek_parallel(pieces, run_batch, &b));
		spent = ek_clock() - start;
		if (spent >= seconds)
			break;
		pieces = spent < seconds / 8 ? pieces * 4 : (uint64_t)((double)pieces * seconds / spent * 1.1) + 1;
	}
	printf("%.2f %.2f\n", (double)pieces * b.batch / spent,
	       (double)pieces * b.batch / ((double)(clock() - used) / CLOCKS_PER_SEC));
out:
	release(&b);
	ek_model_free(model);
	return rc;
}

int main(int argc, char **argv)
{
	const struct ek_device *gpu = NULL;

	if (argc < 5) {
		fprintf(stderr, "usage: bench_embed ENCODER SIDE f32|bf16 WEIGHTS [SECONDS [BATCH [cuda]]]\n");
		return 2;
	}
	if (argc > 7 && ek_cuda_choose(&gpu, 0) < 0) {
		fprintf(stderr, "bench_embed: %s\n", ek_error_message());
		return 1;
	}
	ek_device_set(gpu);
	if (measure(argv[1], (int)strtol(argv[2], NULL, 10), strcmp(argv[3], "f32") == 0 ? EK_NN_F32 : EK_NN_BF16,
	            argv[4], argc > 5 ? strtod(argv[5], NULL) : 4, argc > 6 ? (int)strtol(argv[6], NULL, 10) : 0) < 0) {
		fprintf(stderr, "bench_embed: %s\n", ek_error_message());
		return 1;
	}
	return 0;
}
