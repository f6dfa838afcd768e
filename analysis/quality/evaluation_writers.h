/* The parts of an evaluation, between evaluation.c and evaluation_parts.h: each adds its members to the document. */
#ifndef EK_QUALITY_EVALUATION_WRITERS_H
#define EK_QUALITY_EVALUATION_WRITERS_H

#include "analysis/quality/evaluation_parts.h"

/* --- evaluation_fidelity.c: measured before anything is counted --- */
int ek_evaluation_measure_fidelity(struct ek_evaluating *e);
int ek_evaluation_measure_memory(struct ek_evaluating *e);

/* In the order of the file. */
int ek_evaluation_write_distribution(struct ek_evaluating *e);
int ek_evaluation_write_fidelity(struct ek_evaluating *e);
int ek_evaluation_write_memory(struct ek_evaluating *e);
int ek_evaluation_write_clusters(struct ek_evaluating *e);
int ek_evaluation_write_groups(struct ek_evaluating *e); /* nothing without groups */
int ek_evaluation_write_sets(struct ek_evaluating *e);

#endif
