#include "analysis/skew/finding.h"

#include <stddef.h>

static const double agreed_from = 0.8, somewhat_from = 0.15, clearly_from = 0.3, very_from = 0.45;

static const char nothing[] = "nothing stands out";
const char *const ek_finding_words[EK_FINDINGS] = { nothing,           nothing,          nothing,
	                                            "somewhat uneven", "clearly uneven", "very uneven" };
const char *const ek_finding_reasons[EK_FINDINGS] = {
	"what stands apart in one part of the images does not in another",
	"no groups of images stand apart from each other",
	"the groups that stand apart differ in size no more than chance, or groups of one size, would",
	NULL,
	NULL,
	NULL,
};

enum ek_finding ek_finding_of(double agreement, double populations, double excess, struct ek_interval interval)
{
	if (populations <= 1)
		return EK_FINDING_ONE;
	if (!(agreement >= agreed_from))
		return EK_FINDING_UNSTABLE;
	if (!(interval.low > 0) || !(excess >= somewhat_from))
		return EK_FINDING_ALIKE;
	return excess >= very_from      ? EK_FINDING_VERY
	       : excess >= clearly_from ? EK_FINDING_CLEARLY
	                                : EK_FINDING_SOMEWHAT;
}
