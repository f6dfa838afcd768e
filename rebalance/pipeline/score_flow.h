/* What the scores of a generator have in common: the models, the images, and the parts that a scoring writes as it
 * goes, so that it goes on where it was. Internal to score. */
#ifndef EK_PIPELINE_SCORE_FLOW_H
#define EK_PIPELINE_SCORE_FLOW_H

#include "rebalance/io/npy.h"
#include "rebalance/pipeline/score_internal.h"
#include "rebalance/pipeline/score_model.h"
#include "train/score/pass.h"

struct ek_score_flow {
	struct ek_score_model models[EK_LIST_MAX];
	int model_count;
	struct ek_grid grid;
	uint64_t *steps; /* of MoSo: [checkpoints] */
	int64_t *ids;    /* of the images that are scored */
	uint64_t count;
};

/* The models that were asked for, and what they are made from, named in s->json. checkpoint: as ek_score_model_find
 * takes it. */
int ek_score_flow_find(struct ek_score_flow *f, struct ek_scoring *s, int64_t checkpoint);
/* f->ids; images that are held out are left out. EK_EDATA: none is left. */
int ek_score_flow_list(struct ek_score_flow *f, struct ek_scoring *s);

/* RUN/cache/scores/KEY-*, KEY a hash of all that the scores are made from. */
struct ek_score_parts {
	char *folder, *key;
};
int ek_score_parts_open(struct ek_score_parts *p, const struct ek_scoring *s);
void ek_score_parts_release(struct ek_score_parts *p);
/* All of this scoring, when it is done. */
int ek_score_parts_remove(const struct ek_score_parts *p);
/* The part of a pass (train/score/pass.h) over images: [count, 2] float64 of struct ek_score_sums, made unless it is
 * whole already, or gone on with. Progress is told of images; what was appended before a failure stays. */
int ek_score_part(const struct ek_score_parts *p, const char *part, const struct ek_score_pass *pass,
                  const int64_t *ids, uint64_t count);
int ek_score_part_is_there(const struct ek_score_parts *p, const char *part);
int ek_score_part_read(struct ek_npy *array, const struct ek_score_parts *p, const char *part, uint64_t count);

/* Say what such a pass takes, by some images of it; `passes` of them are to come. */
int ek_score_announce(const struct ek_score_model *m, const struct ek_score_pass *pass, const int64_t *ids,
                      uint64_t count, double passes);

#endif
