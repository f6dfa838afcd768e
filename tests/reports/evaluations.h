/* Made-up evaluations of a run. */
#ifndef EK_TESTS_REPORTS_EVALUATIONS_H
#define EK_TESTS_REPORTS_EVALUATIONS_H

#include <stdint.h>

struct ek_made_evaluation {
	const char *name, *method, *weights, *encoder,
		*model;                           /* method: of a subset called as the evaluation; model NULL: "m" */
	double keep, fd, coverage, worst, target; /* keep 0: null */
	uint64_t images, seeds, training_images;  /* images, training_images 0: 900, 1000 */
	double deviation;                         /* of every measure */
	const char *of_generated;                 /* more members of "generated", ending with a comma; or NULL */
};

/* RUN/evaluations/NAME.json */
void ek_make_evaluation(const char *run, const struct ek_made_evaluation *made);

#endif
