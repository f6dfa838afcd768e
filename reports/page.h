/*
 * What the chapters of a report share: the documents of the run, the facts every chapter needs, the pictures, and the
 * text so far. Internal to reports/.
 *
 * A document that is not there is NULL; a member that is not there is left out of the page, so that a run made by an
 * older or newer version still gives a report.
 */
#ifndef EK_REPORTS_PAGE_H
#define EK_REPORTS_PAGE_H

#include "rebalance/io/npy.h"
#include "rebalance/io/run.h"
#include "reports/documents.h"
#include "reports/evaluations.h"
#include "reports/html.h"
#include "reports/models.h"
#include "reports/picks.h"
#include "reports/plans.h"
#include "reports/reviews.h"
#include "reports/sample_sets.h"
#include "reports/scores.h"
#include "reports/thumbnails.h"

struct ek_cluster_facts {
	uint64_t size;
	double share, low, high; /* interval NaN if none */
	double jaccard;          /* NaN if not measured */
	int64_t nearest;         /* the nearest other cluster, or −1 */
	int tail;                /* holds less than half of an even share */
	int card;                /* has a card on the page, to link to */
};

struct ek_page {
	struct ek_run *run;
	uint64_t picture_bytes; /* that all pictures may take, as written into the page */
	int times;              /* say how long each step took */
	struct ek_html html;
	struct ek_buffer left_out; /* lines on what is damaged and not on the page; see ek_leave_out */

	cJSON *audit, *clusters_json, *map, *stability, *duplicates, *embeddings;

	uint64_t images;
	size_t k;                          /* 0 without clusters */
	struct ek_cluster_facts *clusters; /* [k] */
	uint32_t *descending;              /* [k] clusters, largest first, ties by number */
	size_t *style;                     /* [k] marker of each cluster on the map: its place in `descending` */
	int has_cards;                     /* the chapter on single clusters appears */
	int has_pictures;                  /* 0 for a run of embeddings alone */
	char *name;                        /* of the data set, or NULL */

	struct ek_picks picks;       /* images of each cluster */
	struct ek_picks group_picks; /* of each group, the surest for the typical ones; k 0: none are shown */
	struct ek_pictures pictures; /* thumbnails of all images that the page shows */
	size_t group_images;         /* pictures of each group of near-duplicates */

	struct ek_plans plans;
	size_t plan_clusters; /* how many clusters of each plan have pictures, smallest first */

	uint64_t *rare;                /* [rare_count] the images with the most leverage, falling; NULL: not known */
	size_t rare_count, rare_shown; /* rare_shown of them have pictures */

	struct ek_scores scores;
	size_t score_images; /* pictures of each end of a score */

	struct ek_models models;
	struct ek_sample_sets samples;
	struct ek_evaluations evaluations;
	struct ek_reviews reviews;
	int has_summary;        /* the chapter that says in short what was done and what it changed appears */
	size_t sample_each;     /* pictures of a class of a sample set, */
	size_t sample_most;     /* so many of a set together */
	size_t evaluation_rows; /* clusters of each evaluation that have pictures */
	size_t copies;          /* copies of each evaluation that are shown beside their training image */
};

int ek_page_open(struct ek_page *page, struct ek_run *run);
/* Choose and make the pictures (pictures.c). */
int ek_page_pictures(struct ek_page *page);
void ek_page_close(struct ek_page *page);
/* The newest preview of a model among the pictures. */
uint64_t ek_preview_key(size_t model);
/* How many classes of a sample set have pictures. */
size_t ek_page_sample_rows(const struct ek_page *page, const struct ek_sample_set *set);
/* Is RUN/name there? */
int ek_page_has(const struct ek_page *page, const char *name);

/* What the generator of an evaluation learned from. */
struct ek_evaluation_plan {
	const char *model, *subset, *weights; /* NULL: none, or not known */
	int is_natural;                       /* from the images as they come */
	int is_even;                          /* from a sampler, or a subset of `balance` */
};
struct ek_evaluation_plan ek_evaluation_plan_of(const struct ek_page *page, const struct ek_evaluation *e);

/* Cards are shown for all clusters, or for the smallest and the largest when there are more than this. */
enum { EK_PAGE_CARDS = 1000, EK_PAGE_CARDS_OPEN = 60, EK_PAGE_GROUPS = 24 };
/* The i-th cluster to show, smallest first; −1 past the end. */
int64_t ek_page_shown(const struct ek_page *page, size_t i);
/* The same where only `limit` of them are shown. */
int64_t ek_page_shown_of(const struct ek_page *page, size_t i, size_t limit);
/* Subsets, samplers, models, sample sets and evaluations that are told of in full; of more, a line each. */
enum { EK_PAGE_PLANS = 8 };
/* The i-th cluster in a table of an evaluation or of a model; −1 past the end. */
enum { EK_PAGE_ROWS = 60 };
/* Groups that have cards. */
enum { EK_PAGE_GROUP_CARDS = 24 };
/* Sum of the shares of the m largest or smallest clusters. */
double ek_page_share_of_largest(const struct ek_page *page, size_t m);
double ek_page_share_of_smallest(const struct ek_page *page, size_t m);
size_t ek_page_tail_count(const struct ek_page *page);

/* ", corrected 0.39" where that reads as another number than the value, else nothing. */
struct ek_words ek_corrected_words(struct ek_measure m, int places);
/* "0.41–0.45", "at least 7.5" where there is no bound; nothing where there is no interval. */
struct ek_words ek_interval_words(struct ek_measure m, int places);
/* `n` and a noun: "1 image", "2,000 images"; the plural takes an s. */
struct ek_words ek_number_noun(uint64_t n, const char *noun);

/* The chapters. Each writes its <section>'s content; 0 or a negative code. */
int ek_chapter_finding(struct ek_page *page);
int ek_chapter_sizes(struct ek_page *page);
int ek_chapter_clusters(struct ek_page *page);
int ek_chapter_map(struct ek_page *page);
int ek_chapter_attributes(struct ek_page *page);
int ek_chapter_groups(struct ek_page *page);
/* The share of a group of groups.json: the estimate that has an interval, else as the probe has it. */
double ek_page_group_share(const cJSON *group);
int ek_chapter_plan(struct ek_page *page);
/* The part of that chapter on samplers. */
int ek_chapter_plan_weights(struct ek_page *page);
/* Fill in `rare`. */
int ek_page_rare(struct ek_page *page);
int ek_chapter_rare(struct ek_page *page);
int ek_chapter_scores(struct ek_page *page);
int ek_chapter_summary(struct ek_page *page);
int ek_chapter_training(struct ek_page *page);
int ek_chapter_samples(struct ek_page *page);
int ek_chapter_evaluation(struct ek_page *page);
int ek_chapter_comparison(struct ek_page *page);
int ek_chapter_review(struct ek_page *page);
/* What is to be known of a plan's units before its numbers: images without a value, and what becomes of them; that it
 * changes next to nothing. json: subset.json or weights.json; images: that it is of. */
void ek_page_plan_units(struct ek_html *h, const cJSON *json, double images, const char *what_becomes);
/* What every number of an evaluation was computed from, in a line. */
void ek_page_computed_from(struct ek_html *h, const struct ek_evaluation *e);
/* The parts of the chapter Evaluation on clusters and on copies, of one evaluation. */
int ek_evaluation_clusters(struct ek_page *page, const struct ek_evaluation *e);
int ek_evaluation_copies(struct ek_page *page, const struct ek_evaluation *e);
int ek_chapter_duplicates(struct ek_page *page);
int ek_chapter_rejected(struct ek_page *page);
int ek_chapter_certainty(struct ek_page *page);
int ek_chapter_measures(struct ek_page *page);
int ek_chapter_origin(struct ek_page *page);

/* What ways without and with labels mended of skews that were known (docs/recovery.md): "weights without labels …". */
#define EK_PAGE_RECOVERY                                                                                               \
	"on sets whose classes were known, weights without labels mended up to half of the skew, often less, ten "     \
	"labels of each group a quarter to nine tenths: <code>evenkeel label RUN</code> takes minutes"

/* What a cluster mostly is, "frog, 1–20", with `before` and `after`; "" where nothing is known. */
const char *ek_page_mostly(char out[256], const struct ek_page *page, uint64_t cluster, const char *before,
                           const char *after);
/* The cluster's number with `before` in front of it, a link where it has a card, and what it mostly is: in a line of
 * its own where there is no `before`, else behind. */
void ek_page_cluster(struct ek_page *page, uint64_t cluster, const char *before);
/* The name of a group, and in a line of its own what the audit says that it mostly is. */
void ek_page_group(struct ek_page *page, const char *name);
/* What the skew is, as the page's first heading, with what an even set would be. */
void ek_page_headline(struct ek_page *page);
/* <img> of an image id or a key, or a grey box where it could not be read. */
void ek_page_picture(struct ek_page *page, uint64_t id);
/* A row of pictures for each kind of pick of cluster or group `k` that there is, or their ids where the run has none.
 */
void ek_page_pick_rows(struct ek_page *page, const struct ek_picks *picks, size_t k,
                       const char *const kinds[EK_PICK_KINDS]);
/* <td> of a sortable column of numbers; a value that is not finite is a dash and sorts below all. wide: left out on
 * small screens. */
void ek_page_number(struct ek_html *h, double value, struct ek_words words, int wide);
/* A measure in figures enough to read it by: 41.2, 0.0123. */
struct ek_words ek_figure(double x);
/* <th> cells of a sortable table; a name that starts with '#' is a column of numbers, with "##" one that is
 * left out on small screens. */
void ek_page_table_head(struct ek_html *h, const char *caption, const char *const *names, size_t count);

#endif
