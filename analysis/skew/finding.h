/*
 * The finding: may one say in a word how uneven a set is, whose labels nobody knows?
 *
 * Only where there are populations that stand apart and come out again (their agreement is at least 0.8; analysis/
 * cluster/null.h), and by what is left of the Gini coefficient of their sizes when that of data without structure is
 * taken off. The words were chosen by what was planted (docs/verdict.md): ten groups that stand apart have an excess of
 * 0.04 to 0.14 where they are alike, about 0.2 at 3 : 1, 0.37 at 10 : 1, and 0.5 and more from 50 : 1 on.
 *
 * Never "even" of images without labels: groups that do not stand apart are seen as one.
 */
#ifndef EK_SKEW_FINDING_H
#define EK_SKEW_FINDING_H

#include "analysis/skew/intervals.h"

enum ek_finding {
	EK_FINDING_UNSTABLE, /* what is found does not come out again */
	EK_FINDING_ONE,      /* no populations stand apart */
	EK_FINDING_ALIKE,    /* some do, and differ in size no more than chance, or groups of one size, would */
	EK_FINDING_SOMEWHAT,
	EK_FINDING_CLEARLY,
	EK_FINDING_VERY,
	EK_FINDINGS
};

/* "nothing stands out" (of the first three), "somewhat uneven", "clearly uneven", "very uneven". */
extern const char *const ek_finding_words[EK_FINDINGS];
/* A sentence without its full stop for those of which nothing stands out, else NULL. */
extern const char *const ek_finding_reasons[EK_FINDINGS];

/* agreement and number of the populations; excess of their Gini coefficient, and its interval. NaN: not known. */
enum ek_finding ek_finding_of(double agreement, double populations, double excess, struct ek_interval interval);

#endif
