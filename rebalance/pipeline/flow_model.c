#include "rebalance/pipeline/flow_model.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "train/loop/pixels.h"

const struct ek_choice ek_flow_objectives[] = {
	{ "flow", "flow matching along 'path'" },
	{ "diffusion", "DiT's: 1,000 steps of noise, learned sigma" },
	{ NULL, NULL },
};
const struct ek_choice ek_flow_paths[] = {
	{ "linear", "a straight line (the paper's)" },
	{ "gvp", "along a quarter of a circle" },
	{ "vp", "variance preserving, as score models" },
	{ NULL, NULL },
};
const struct ek_choice ek_flow_predictions[] = {
	{ "velocity", "where to go" },
	{ "noise", "the noise in the image" },
	{ "score", "the gradient of the log density" },
	{ "data", "the image without noise" },
	{ NULL, NULL },
};
const struct ek_choice ek_flow_weightings[] = {
	{ "plain", "all times alike" },
	{ "velocity", "as the error of the velocity" },
	{ "likelihood", "as the bound of the likelihood" },
	{ NULL, NULL },
};
const struct ek_choice ek_flow_times[] = {
	{ "uniform", "all alike" },
	{ "logit-normal", "more in the middle" },
	{ NULL, NULL },
};
const struct ek_choice ek_flow_solvers[] = {
	{ "euler", "one evaluation a step" },
	{ "heun", "two evaluations a step, an error of second order" },
	{ "dopri5", "steps chosen by the error (Dormand and Prince)" },
	{ "sde", "with noise on the way" },
	{ "ancestral", "for the objective diffusion" },
	{ NULL, NULL },
};

int ek_flow_describe(cJSON **config, const struct ek_flow_description *d)
{
	cJSON *model, *objective, *condition, *names;
	int rc = 0;

	if ((*config = cJSON_CreateObject()) == NULL)
		return ek_fail(EK_ENOMEM, "no memory for config.json");
	EK_TRY(ek_json_add_string(*config, "evenkeel", "flow"));
	EK_TRY(ek_json_add_object(&model, *config, "model"));
	EK_TRY(ek_sit_config_write(model, &d->model));
	EK_TRY(ek_json_add_object(&objective, *config, "objective"));
	EK_TRY(ek_json_add_string(objective, "kind", ek_flow_objectives[d->objective.kind].name));
	EK_TRY(ek_json_add_string(objective, "path", ek_flow_paths[d->objective.path].name));
	EK_TRY(ek_json_add_string(objective, "prediction", ek_flow_predictions[d->objective.prediction].name));
	EK_TRY(ek_json_add_string(objective, "loss", ek_flow_weightings[d->objective.weighting].name));
	EK_TRY(ek_json_add_string(objective, "times", ek_flow_times[d->objective.times].name));
	if (d->autoencoder != NULL)
		EK_TRY(ek_json_add_string(*config, "autoencoder", d->autoencoder));
	EK_TRY(ek_json_add_u64(*config, "image_side", (uint64_t)d->image_side));
	EK_TRY(ek_json_add_object(&condition, *config, "condition"));
	EK_TRY(ek_json_add_string(condition, "by", d->condition));
	EK_TRY(ek_json_add_array(&names, condition, "classes"));
	for (int i = 0; i < d->classes; i++)
		EK_TRY(ek_json_add_string(names, NULL, d->names[i]));
	if (d->label != 0)
		EK_TRY(ek_json_add_u64(condition, "label", (uint64_t)d->label));
out:
	return rc;
}

/* `*index` = the choice that a member names. */
static int read_choice(int *index, const cJSON *object, const char *name, const struct ek_choice *choices,
                       const char *where)
{
	const char *text;
	int rc;

	EK_TRY(ek_json_get_string(&text, object, name, where));
	for (*index = 0; choices[*index].name != NULL; ++*index)
		if (strcmp(choices[*index].name, text) == 0)
			return 0;
	rc = ek_fail(EK_EDATA, "%s: %s is \"%s\", which this version does not know", where, name, text);
out:
	return rc;
}

static int read_names(struct ek_flow_description *d, const cJSON *condition, const char *where)
{
	const cJSON *names = cJSON_GetObjectItemCaseSensitive(condition, "classes"), *name;
	char **list = NULL;
	uint64_t label = 0;
	int count = 0, rc;

	cJSON_ArrayForEach(name, names) if (!cJSON_IsString(name) && name->string == NULL) return ek_fail(
		EK_EDATA, "%s: a class of the condition has no name", where);
	if (cJSON_HasObjectItem(condition, "label"))
		EK_TRY(ek_json_get_u64(&label, condition, "label", where));
	if (label > (uint64_t)ek_sit_no_label(&d->model))
		return ek_fail(EK_EDATA, "%s: label %llu, the model knows 0 to %d", where, (unsigned long long)label,
		               ek_sit_no_label(&d->model));
	d->label = (int)label;
	EK_TRY(ek_json_get_string(&d->condition, condition, "by", where));
	EK_TRY(ek_alloc(&list, (size_t)cJSON_GetArraySize(names), sizeof *list));
	cJSON_ArrayForEach(name, names) list[count++] = cJSON_IsString(name) ? name->valuestring : name->string;
	d->names = list;
	d->classes = count;
out:
	return rc;
}

int ek_flow_read(struct ek_flow_description *d, const cJSON *config, const char *where)
{
	const cJSON *objective = cJSON_GetObjectItemCaseSensitive(config, "objective");
	const cJSON *autoencoder = cJSON_GetObjectItemCaseSensitive(config, "autoencoder");
	const char *kind;
	uint64_t side;
	int choice, rc;

	*d = (struct ek_flow_description){ .objective.times_deviation = 1 };
	EK_TRY(ek_json_get_string(&kind, config, "evenkeel", where));
	if (strcmp(kind, "flow") != 0)
		return ek_fail(EK_EUSAGE, "%s is of a model made by train %s, not of a generator", where, kind);
	EK_TRY(ek_sit_config_read(&d->model, cJSON_GetObjectItemCaseSensitive(config, "model"), where));
	EK_TRY(read_choice(&choice, objective, "kind", ek_flow_objectives, where));
	d->objective.kind = (enum ek_objective_kind)choice;
	EK_TRY(read_choice(&choice, objective, "path", ek_flow_paths, where));
	d->objective.path = (enum ek_path)choice;
	EK_TRY(read_choice(&choice, objective, "prediction", ek_flow_predictions, where));
	d->objective.prediction = (enum ek_prediction)choice;
	EK_TRY(read_choice(&choice, objective, "loss", ek_flow_weightings, where));
	d->objective.weighting = (enum ek_weighting)choice;
	EK_TRY(read_choice(&choice, objective, "times", ek_flow_times, where));
	d->objective.times = (enum ek_times)choice;
	EK_TRY(ek_objective_init(&d->objective));
	d->autoencoder = cJSON_IsString(autoencoder) ? autoencoder->valuestring : NULL;
	EK_TRY(ek_json_get_u64(&side, config, "image_side", where));
	if (side > EK_PIXELS_SIDE_MAX)
		return ek_fail(EK_EDATA, "%s: image_side is %" PRIu64 ", more than %d", where, side,
		               EK_PIXELS_SIDE_MAX);
	d->image_side = (int)side;
	EK_TRY(read_names(d, cJSON_GetObjectItemCaseSensitive(config, "condition"), where));
out:
	return rc;
}

int ek_flow_describe_file(cJSON **config, const struct ek_tensor_file *file, enum ek_objective_kind objective)
{
	struct ek_flow_description d = { .objective = { .kind = objective, .times_deviation = 1 } };
	char **names = NULL, *text = NULL;
	cJSON *written = NULL;
	int rc;

	*config = NULL;
	EK_TRY(ek_sit_file_config(&d.model, file));
	d.image_side = d.model.side;
	d.classes = d.model.classes > 1 ? d.model.classes : 0;
	d.condition = d.classes > 0 ? "label" : "none";
	EK_TRY(ek_alloc(&names, (size_t)d.classes, sizeof *names));
	for (int i = 0; i < d.classes; i++)
		EK_TRY(ek_format(&names[i], "%d", i));
	d.names = names;
	EK_TRY(ek_flow_describe(&written, &d));
	/* Through text, as from a file: exact integers become numbers. */
	if ((text = cJSON_PrintUnformatted(written)) == NULL)
		rc = ek_fail(EK_ENOMEM, "no memory for config.json");
	else
		EK_TRY(ek_json_parse(config, text, strlen(text), file->path));
out:
	cJSON_free(text);
	cJSON_Delete(written);
	for (int i = 0; names != NULL && i < d.classes; i++)
		free(names[i]);
	free(names);
	return rc;
}

void ek_flow_solver_default(struct ek_solver_options *s, const struct ek_objective *objective, int steps)
{
	*s = (struct ek_solver_options){ .solver = objective->kind == EK_OBJECTIVE_DIFFUSION ? EK_SOLVER_ANCESTRAL
		                                                                             : EK_SOLVER_EULER,
		                         .path = objective->path,
		                         .prediction = objective->prediction,
		                         .steps = steps,
		                         .relative = 1e-5,
		                         .absolute = 1e-5,
		                         .norm = 1,
		                         .last_step = 0.04,
		                         .guidance = { .scale = 1, .low = 0, .high = 1 } };
}
