/* Evaluations side by side (reports/comparison.h), of one run or several. */
#ifndef EK_PIPELINE_COMPARE_H
#define EK_PIPELINE_COMPARE_H

#include "reports/comparison.h"

struct ek_compare_options {
	const char *baseline; /* the evaluation to tell differences from; NULL: that of the model of all images */
	const char *names;    /* only these evaluations: patterns with commas between them; NULL: all */
	const char *csv;      /* file to write, or NULL */
};

struct ek_compared_runs {
	struct ek_comparison comparison;
	uint8_t *shown; /* [comparison.count] 0: left out */
};

/* Read all evaluations of the runs (paths), and write options->csv. Release in any case. EK_EUSAGE: no run, one named
 * twice, one without evaluations, no evaluation of a name; EK_EDATA, EK_EIO, EK_ENOMEM. */
int ek_do_compare(struct ek_compared_runs *out, const char *const *runs, size_t count,
                  const struct ek_compare_options *options);
void ek_compared_runs_release(struct ek_compared_runs *compared);
/* `*out` = all that is shown, as a new document, to be deleted, also after a failure. EK_ENOMEM. */
int ek_compared_runs_json(cJSON **out, const struct ek_compared_runs *compared);

/* Add one evaluation of a run. As ek_comparison_add_file. */
int ek_compare_add(struct ek_comparison *comparison, struct ek_run *run, const char *name);

#endif
