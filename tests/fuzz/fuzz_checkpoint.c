/* Any bytes as the newest checkpoint of a training: it is read whole, or left out for the one before. The state that is
 * read fills its arrays and no more. */

#include "rebalance/base/file.h"
#include "tests/support/support.h"
#include "train/loop/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { EXTRA = 3, LOG = 5 };
static const char identity[] = "it";

static void take(const struct ek_params *params, const struct ek_tensor_file *file, size_t extra)
{
	struct ek_store *store;
	float *own = malloc(EXTRA * sizeof *own);
	double *log = calloc(LOG, sizeof *log);
	struct ek_checkpoint_state s = { .extra = own, .log = log, .extra_count = extra, .log_count = LOG };

	assert_ok(ek_store_new(&store, params));
	s.store = store;
	if (ek_checkpoint_read(file, params, &s, identity) == 0)
		for (int f = EK_VALUES; f <= EK_SECOND; f++)
			for (size_t i = 0; i < params->size; i++) {
				float x;

				ek_store_read(store, (enum ek_family)f, i, 1, &x);
				if (!isfinite(x))
					abort();
			}
	ek_store_free(store);
	free(own);
	free(log);
}

static void make(struct ek_params *params, const char *folder)
{
	static float values[6] = { 1, 2, 3, 4, 5, 6 }, extra[EXTRA] = { 7, 8, 9 };
	static double log[LOG] = { 1, 2, 3 };
	struct ek_checkpoint_state s = {
		.extra = extra, .log = log, .extra_count = EXTRA, .log_count = LOG, .step = 1
	};

	assert_ok(ek_params_add(params, "w", 2, (const int64_t[]){ 2, 2 }, (struct ek_init){ 0 }) < 0 ? -1 : 0);
	assert_ok(ek_params_add(params, "b", 1, (const int64_t[]){ 2 }, (struct ek_init){ 0 }) < 0 ? -1 : 0);
	assert_ok(ek_store_new(&s.store, params));
	for (int f = EK_VALUES; f <= EK_SECOND; f++)
		ek_store_write(s.store, (enum ek_family)f, 0, params->size, values);
	assert_ok(ek_checkpoint_write(folder, params, &s, identity));
	ek_store_free(s.store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ek_params params;
	static const char *folder;
	struct ek_tensor_file file = { 0 };
	uint64_t step;

	if (folder == NULL)
		make(&params, folder = ek_scratch());
	ek_write_file(ek_join(folder, "step-00000002.safetensors"), data, size);
	for (int use = EK_CHECKPOINT_WHOLE; use <= EK_CHECKPOINT_AVERAGE; use++) {
		if (ek_checkpoint_open(&file, &step, folder, (enum ek_checkpoint_use)use) != 1)
			abort();
		take(&params, &file, EXTRA);
		take(&params, &file, 0);
		ek_tensor_file_close(&file);
	}
	return 0;
}
