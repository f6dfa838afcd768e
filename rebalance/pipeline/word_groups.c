#include "rebalance/pipeline/word_groups.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/embed/weight_files.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/io/groups.h"
#include "rebalance/pipeline/classifier.h"
#include "rebalance/pipeline/group_shares.h"
#include "rebalance/pipeline/words.h"

struct work {
	const struct ek_word_groups *asked;
	const struct ek_rows *all;
	struct ek_group_words words;
	struct ek_probe probe;
	struct ek_given_labels labels; /* with the names of the words */
	struct ek_group_shares shares;
	float *q; /* [n, groups] */
};

static int row_of(uint32_t *row, const struct work *w, const char *label)
{
	for (uint32_t g = 0; g < w->words.groups + (uint32_t)w->words.none; g++)
		if (strcmp(w->words.rows[g].name, label) == 0) {
			*row = g;
			return 0;
		}
	return ek_fail(EK_EDATA, "%s: the label \"%s\" is no group of %s", w->asked->labels, label, w->asked->words);
}

/* The labels by the rows of the words in the place of their own numbers and names. */
static int number_by_words(struct work *w)
{
	struct ek_given_labels *labels = &w->labels;
	uint32_t *row = NULL;
	int rc;

	EK_TRY(ek_alloc(&row, labels->groups, sizeof *row));
	for (uint32_t g = 0; g < labels->groups; g++)
		EK_TRY(row_of(&row[g], w, labels->names[g]));
	for (uint64_t i = 0; i < labels->count; i++)
		labels->group[i] = row[labels->group[i]];
	for (uint32_t g = 0; g < labels->groups; g++)
		free(labels->names[g]);
	labels->groups = 0;
out:
	free(row);
	return rc;
}

static int take_names(struct work *w)
{
	struct ek_given_labels *labels = &w->labels;
	int rc;

	EK_TRY(ek_resize(&labels->names, w->words.groups, sizeof *labels->names));
	for (; labels->groups < w->words.groups; labels->groups++)
		EK_TRY(ek_copy_string(&labels->names[labels->groups], w->words.rows[labels->groups].name));
	rc = 0;
out:
	return rc;
}

static int open_labels(struct work *w, const struct ek_run *run)
{
	int rc;

	if (w->asked->labels != NULL) {
		EK_TRY(ek_given_labels_load(&w->labels, run, w->asked->labels, w->all->count, EK_GROUP_WORDS_MOST + 1));
		EK_TRY(number_by_words(w));
	}
	EK_TRY(take_names(w));
	EK_TRY(ek_group_shares_init(&w->shares, &w->labels, w->all->count));
out:
	return rc;
}

static int add_words(cJSON *json, const struct work *w)
{
	const char *slash = strrchr(w->asked->words, '/');
	cJSON *words;
	int rc;

	EK_TRY(ek_json_add_object(&words, json, "words"));
	EK_TRY(ek_json_add_string(words, "file", slash != NULL ? slash + 1 : w->asked->words));
	EK_TRY(ek_json_add_u64(words, "prompts", w->words.prompts));
	EK_TRY(ek_json_add_double(words, "scale", 1 / w->probe.temperature));
	EK_TRY(ek_json_add_string(words, "calibrated_by", w->labels.count > 0 ? "labels" : "weights"));
out:
	return rc;
}

static int add_none(cJSON *json, const struct work *w)
{
	double named = 0;
	cJSON *none;
	int rc;

	if (!w->words.none)
		return ek_json_add_null(json, "none");
	for (uint32_t g = 0; g < w->words.groups; g++)
		named += w->shares.corrected[g];
	EK_TRY(ek_json_add_object(&none, json, "none"));
	EK_TRY(ek_json_add_u64(none, "images", ek_group_shares_count(&w->shares, w->q, EK_GROUPS_NONE)));
	EK_TRY(ek_json_add_double(none, "corrected_share", named < 1 ? 1 - named : 0));
out:
	return rc;
}

static int save_document(const struct work *w, const char *path)
{
	cJSON *json = cJSON_CreateObject(), *list, *item, *prompts;
	int rc;

	EK_TRY(ek_json_add_u64(json, "images", w->all->count));
	EK_TRY(ek_json_add_u64(json, "labelled", w->labels.count));
	EK_TRY(ek_json_add_u64(json, "labelled_at_random", w->shares.random));
	EK_TRY(ek_json_add_string(json, "named_by", "words"));
	EK_TRY(add_words(json, w));
	EK_TRY(add_none(json, w));
	EK_TRY(ek_json_add_array(&list, json, "groups"));
	for (uint32_t g = 0; g < w->words.groups; g++) {
		EK_TRY(ek_group_shares_add(&item, list, &w->shares, w->q, g));
		EK_TRY(ek_json_add_array(&prompts, item, "prompts"));
		for (size_t i = 0; i < w->words.rows[g].count; i++)
			EK_TRY(ek_json_add_string(prompts, NULL, w->words.rows[g].prompts[i]));
	}
	EK_TRY(ek_json_save(json, path));
out:
	cJSON_Delete(json);
	return rc;
}

int ek_word_groups_check(const char *encoder)
{
	if (strncmp(encoder, "clip-", strlen("clip-")) == 0)
		return 0;
	return ek_fail(EK_EUSAGE,
	               "'group-words' needs CLIP's embeddings, and the run's are by %s: 'encoder' clip-vit-b32, or "
	               "'embeddings' that CLIP made, with 'text-weights'",
	               encoder);
}

int ek_word_groups_weights(char **path, const char *encoder, const char *weights, const char *given)
{
	int rc;

	*path = NULL;
	if (encoder != NULL)
		EK_TRY(ek_word_groups_check(encoder));
	if (given != NULL)
		return ek_copy_string(path, given);
	if (encoder == NULL)
		return ek_fail(EK_EUSAGE, "the embeddings are your own: 'text-weights' FILE is to name the weights of "
		                          "the CLIP that made them");
	rc = ek_weight_file_find(path, encoder, weights);
out:
	return rc;
}

int ek_make_word_groups(const struct ek_run *run, const struct ek_word_groups *o, const struct ek_rows *all,
                        const char *membership, const char *document)
{
	struct work w = { .asked = o, .all = all };
	int rc;

	EK_TRY(ek_group_words_load(&w.words, o->words));
	EK_TRY(open_labels(&w, run));
	EK_TRY(ek_words_probe(&w.probe, &w.words, o->words, o->weights, all->dimensions));
	if (w.labels.count > 0)
		EK_TRY(ek_words_calibrate(&w.probe, all, w.labels.ids, w.labels.group, w.labels.count));
	EK_TRY(ek_alloc(&w.q, all->count * w.words.groups, sizeof *w.q));
	EK_TRY(ek_words_predict(w.q, &w.probe, all, w.words.groups));
	EK_TRY(ek_group_shares_estimate(&w.shares, w.q));
	ek_group_shares_keep_given(&w.shares, w.q);
	EK_TRY(ek_npy_write(membership, EK_F32, 2, (const uint64_t[]){ all->count, w.words.groups }, w.q));
	EK_TRY(ek_classifier_save_words(run, &w.probe));
	EK_TRY(save_document(&w, document));
out:
	ek_group_words_release(&w.words);
	ek_probe_release(&w.probe);
	ek_given_labels_release(&w.labels);
	ek_group_shares_release(&w.shares);
	free(w.q);
	return rc;
}

int ek_make_word_names(struct ek_column *out, const struct ek_word_groups *o, const struct ek_rows *all,
                       const char *path)
{
	struct ek_group_words words;
	struct ek_probe probe = { 0 };
	float *q = NULL;
	int rc;

	*out = (struct ek_column){ 0 };
	EK_TRY(ek_group_words_load(&words, o->words));
	EK_TRY(ek_words_probe(&probe, &words, o->words, o->weights, all->dimensions));
	EK_TRY(ek_alloc(&q, all->count * words.groups, sizeof *q));
	EK_TRY(ek_words_predict(q, &probe, all, words.groups));
	EK_TRY(ek_copy_string(&out->name, "word"));
	EK_TRY(ek_alloc(&out->codes, all->count, sizeof *out->codes));
	for (uint64_t i = 0; i < all->count; i++)
		out->codes[i] = ek_groups_likeliest_of(q + i * words.groups, words.groups);
	EK_TRY(ek_alloc(&out->values, words.groups, sizeof *out->values));
	for (; out->value_count < words.groups; out->value_count++)
		EK_TRY(ek_copy_string(&out->values[out->value_count], words.rows[out->value_count].name));
	rc = ek_npy_write(path, EK_I32, 1, &all->count, out->codes);
out:
	ek_group_words_release(&words);
	ek_probe_release(&probe);
	free(q);
	return rc;
}
