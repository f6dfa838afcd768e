/*
 * Scores: a number for each image, by which prune --method score:NAME keeps (scores/NAME.npy), with what was made of
 * it (NAME.json), the standard error of each where the method has one (NAME.error.npy), and of label errors a table
 * (NAME.csv). One table of methods; what a method does is in score_*.c.
 *
 * An image that cannot be scored (no label, held out, an embedding that is not finite) has NaN; the others are scored
 * all the same, and how many were not, why, and the first of them, is said.
 */
#ifndef EK_PIPELINE_SCORE_H
#define EK_PIPELINE_SCORE_H

#include "rebalance/pipeline/steps.h"

/* Texts and numbers as the user says them; 0 and NULL: the method's own. */
struct ek_do_score_options {
	const char *method, *name;
	const char *by;        /* classes: "label", "cluster", an attribute (rebalance/plan/units.h); NULL: chosen */
	const char *labels;    /* or a table of labels (given_labels.h), or NULL */
	int64_t seeds;         /* probes that are averaged */
	int64_t epochs, early; /* that a probe learns; after how many early scores are taken */
	double rate;           /* of learning */
	int64_t folds;         /* of cross-validation */
	int filter, quality;   /* of label errors: indexes into the choices below */
	struct ek_list models; /* of the run: generators, of each of which a score is the mean */
	int64_t checkpoint;    /* the step of their checkpoint; 0: the newest */
	int64_t draws;         /* pairs of a time and a noise */
	int precision;         /* enum ek_nn_precision */
	double threshold;      /* of a loss that counts as learned */
	int64_t shards, steps, checkpoints; /* of MoSo: surrogates, how long they learn, how often they are looked at */
	int64_t seed;
	int force;
};
extern const struct ek_do_score_options ek_do_score_default;
extern const struct ek_option ek_score_rows[];
extern const struct ek_choice ek_score_filters[], ek_score_qualities[]; /* the first is the default */

/* What of the options a method looks at. */
enum ek_score_takes {
	EK_SCORE_TAKES_CLASSES = 1, /* by, labels */
	EK_SCORE_TAKES_PROBES = 2,  /* epochs, rate, */
	EK_SCORE_TAKES_SEEDS = 4,   /* seeds */
	EK_SCORE_TAKES_EARLY = 8,   /* early */
	EK_SCORE_TAKES_FOLDS = 16,  /* folds, filter, quality */
	EK_SCORE_TAKES_MODELS = 32, /* models */
	EK_SCORE_TAKES_DRAWS = 64,  /* draws, precision */
	EK_SCORE_TAKES_CHECKPOINT = 128,
	EK_SCORE_TAKES_THRESHOLD = 256,
	EK_SCORE_TAKES_SHARDS = 512 /* shards, steps, checkpoints */
};

struct ek_scoring;
struct ek_score_method {
	const char *name, *help;
	const char *hard; /* "high" or "low": which end is hard, atypical or suspect */
	unsigned takes;   /* enum ek_score_takes */
	int has_errors;   /* 1: NAME.error.npy */
	int has_table;    /* 1: NAME.csv */
	int needs_labels; /* 1: clusters will not do */
	int (*prepare)(struct ek_scoring *scoring);
	int (*make)(struct ek_scoring *scoring);
	void (*release)(struct ek_scoring *scoring); /* or NULL */
};
/* Ends with a NULL name. */
extern const struct ek_score_method ek_score_methods[];
/* The row of this name, or NULL. */
const struct ek_score_method *ek_score_find(const char *name);
/* 0, or EK_EUSAGE: there is no such method, naming those there are. */
int ek_score_check_method(const char *name);
/* Drop what options->method does not look at, of options that are for several methods. */
void ek_score_drop_options(struct ek_do_score_options *options);
/* 0, or EK_EUSAGE: no name of scores. */
int ek_score_check_name(const char *name);

/*
 * Bring the clusters up to date (`steps`: steps.h; NULL: as the last time), and write RUN/scores/NAME.* unless they are
 * there and current (`*made` 0). The run must be open for writing.
 *
 * EK_EUSAGE: no such method or name, an option that is not of the method, a name that a file of the user's own has;
 * EK_EDATA: nothing can be scored, or files of the run are damaged; EK_EIO, EK_ENOMEM; EK_EINTERRUPTED: the scores of
 * before are still there.
 */
int ek_do_score(int *made, struct ek_run *run, struct ek_steps_options *steps,
                const struct ek_do_score_options *options);

/*
 * Bring scores that something is to be made from up to date: those that were made, as they were asked for; a name that
 * is none yet, but that of a method, by this method; what is the user's own stays as it is. EK_EDATA: there are none.
 */
int ek_do_score_before(struct ek_run *run, struct ek_steps_options *steps, const char *name);

#endif
