#include "rebalance/pipeline/score_model.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/memory.h"
#include "rebalance/io/kept_path.h"
#include "rebalance/io/layout.h"
#include "rebalance/pipeline/device.h"
#include "rebalance/plan/subset.h"
#include "train/loop/checkpoint.h"
#include "train/loop/params_file.h"

static int find_checkpoint(struct ek_score_model *m, int64_t checkpoint)
{
	struct ek_tensor_file file = { 0 };
	int found, rc;

	if (checkpoint > 0) {
		m->step = (uint64_t)checkpoint;
		EK_TRY(ek_checkpoint_open_at(&file, m->step, m->folder, EK_CHECKPOINT_WHOLE));
		goto out;
	}
	EK_TRY(found = ek_checkpoint_open(&file, &m->step, m->folder, EK_CHECKPOINT_WHOLE));
	if (!found)
		rc = ek_fail(EK_EUSAGE, "%s has no checkpoint yet: train it first", m->folder);
out:
	ek_tensor_file_close(&file);
	return rc < 0 ? rc : 0;
}

int ek_score_model_find(struct ek_score_model *m, const struct ek_run *run, const char *name, int64_t checkpoint)
{
	char *path = NULL;
	int rc;

	*m = (struct ek_score_model){ .name = name };
	EK_TRY(ek_subset_check_name(name));
	EK_TRY(ek_layout_path(&m->folder, run, "models/*", name));
	EK_TRY(ek_format(&path, "%s/config.json", m->folder));
	if (!ek_file_exists(path)) {
		rc = ek_fail(EK_EUSAGE, "there is no model %s: %s is not there; evenkeel train flow makes one", name,
		             path);
		goto out;
	}
	EK_TRY(ek_json_load(&m->config, path));
	EK_TRY(ek_flow_read(&m->description, m->config, path));
	EK_TRY(ek_json_get_string(&m->identity, m->config, "identity", path));
	if (checkpoint >= 0)
		EK_TRY(find_checkpoint(m, checkpoint));
out:
	free(path);
	return rc;
}

static int get(void *context, int worker, int64_t id, uint64_t position, float *sample, int32_t *label)
{
	const struct ek_score_model *m = context;
	const int32_t code = m->condition.codes[id];

	(void)worker;
	*label = m->condition.classes == 0 ? m->description.label
	         : code >= 0               ? code
	                                   : ek_sit_no_label(&m->description.model);
	return ek_space_get(&m->space, id, position, sample);
}

/* In the precision that the training had its latents in: with another one they would be made anew. */
static enum ek_nn_precision space_precision(const struct ek_score_model *m)
{
	const cJSON *training = cJSON_GetObjectItemCaseSensitive(m->config, "training");
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(training, "precision"));

	return text != NULL && strcmp(text, "f32") == 0 ? EK_NN_F32 : EK_NN_BF16;
}

static int open_space(struct ek_score_model *m, struct ek_run *run)
{
	const char *learned = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(m->config, "samples"));
	char *folder = NULL;
	int rc = 0;

	if (m->description.autoencoder != NULL)
		EK_TRY(ek_kept_path_find(&folder, run, m->description.autoencoder));
	if (m->description.autoencoder != NULL && folder == NULL) {
		rc = ek_fail(EK_EDATA, "the autoencoder that the model %s was trained with is gone: %s", m->name,
		             m->description.autoencoder);
		goto out;
	}
	EK_TRY(ek_space_open(&m->space, run, folder, m->description.image_side));
	EK_TRY(ek_space_fill(&m->space, run, space_precision(m), 0));
	if (learned == NULL || strcmp(learned, m->space.key) != 0)
		rc = ek_fail(EK_EDATA,
		             "the model %s was trained on other samples than these: it is of another run, or the "
		             "images, the autoencoder or the side have changed since",
		             m->name);
out:
	free(folder);
	return rc;
}

static int open_condition(struct ek_score_model *m, const struct ek_run *run)
{
	const struct ek_flow_description *d = &m->description;
	int same, rc;

	EK_TRY(ek_condition_load(&m->condition, run, d->condition));
	same = m->condition.classes == d->classes;
	for (int i = 0; same && i < d->classes; i++)
		same = strcmp(m->condition.names[i], d->names[i]) == 0;
	if (!same)
		rc = ek_fail(EK_EDATA, "the model %s was trained with other classes by %s than the run has now",
		             m->name, d->condition);
out:
	return rc;
}

/* A multiple of the draws, where a slice has so many or must. */
static int whole_draws(int slice, const struct ek_score_use *use)
{
	const int draws = use->grid.draws;

	if (slice < draws && !use->whole_draws)
		return slice;
	return slice > draws ? slice / draws * draws : draws;
}

/* The next slice to try where one does not fit; 0: there is none. That of a training divides its batch. */
static int smaller(int slice, const struct ek_score_use *use)
{
	if (use->batch > 0)
		return slice % 2 == 0 ? slice / 2 : 0;
	return slice > (use->whole_draws ? use->grid.draws : 1) ? whole_draws(slice / 2, use) : 0;
}

/* Images that a worker takes at once: about so many tokens; whole draws where it matters. */
static int slice_of(const struct ek_score_model *m, const struct ek_score_use *use)
{
	const struct ek_sit_config *c = &m->description.model;
	const int side = c->side / c->patch, most = ek_device_takes_batches() ? 65536 : 2048, draws = use->grid.draws;
	int slice = most / (side * side);

	if (use->batch > 0)
		return ek_trainer_slice(use->batch, 1, 1024 / (side * side), slice);
	slice = slice < 1 ? 1 : slice > EK_NET_BATCH_MAX ? EK_NET_BATCH_MAX : slice;
	if (use->images * (uint64_t)draws < (uint64_t)slice)
		slice = (int)use->images * draws;
	return whole_draws(slice, use);
}

int ek_score_model_open(struct ek_score_model *m, struct ek_run *run, const struct ek_score_use *use)
{
	const struct ek_flow_source source = { .context = m, .get = get };
	struct ek_flow_task_options options = { .model = m->description.model,
		                                .objective = m->description.objective,
		                                .precision = use->precision,
		                                .use = use->use,
		                                .seed = use->grid.seed };
	int rc;

	EK_TRY(open_condition(m, run));
	EK_TRY(open_space(m, run));
	m->space.seed = use->grid.seed;
	if (use->batch > 0) {
		EK_TRY(ek_json_get_double(&options.drop, m->config, "drop", m->name));
		m->space.flip = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(m->config, "flip"));
	}
	options.slice = slice_of(m, use);
	while ((rc = ek_flow_task_new(&m->flow, &m->task, &options, &source)) == EK_ENOMEM &&
	       smaller(options.slice, use) > 0)
		options.slice = smaller(options.slice, use);
	EK_TRY(rc);
	EK_TRY(ek_store_new(&m->store, m->task.params));
out:
	return rc;
}

int ek_score_model_load(struct ek_score_model *m, const char *folder)
{
	const struct ek_params_names names = { .prefix = "model." };
	struct ek_tensor_file file = { 0 };
	float *values = NULL;
	int rc;

	EK_TRY(ek_checkpoint_open_at(&file, m->step, folder, EK_CHECKPOINT_WHOLE));
	EK_TRY(ek_alloc_aligned(&values, m->task.params->size, sizeof *values));
	EK_TRY(ek_params_read(values, m->task.params, &file, &names));
	ek_store_write(m->store, EK_VALUES, 0, m->task.params->size, values);
	EK_TRY(ek_task_load(&m->task, m->store, EK_VALUES));
out:
	ek_tensor_file_close(&file);
	free(values);
	return rc;
}

uint64_t ek_score_model_bytes(const struct ek_score_model *m)
{
	return ek_flow_task_bytes(m->flow) + ek_store_bytes(m->task.params);
}

void ek_score_model_release(struct ek_score_model *m)
{
	ek_store_free(m->store);
	ek_flow_task_free(m->flow);
	ek_space_release(&m->space);
	ek_condition_release(&m->condition);
	free((void *)(uintptr_t)m->description.names);
	cJSON_Delete(m->config);
	free(m->folder);
	*m = (struct ek_score_model){ 0 };
}
