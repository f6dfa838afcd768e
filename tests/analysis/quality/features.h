/* Features by formula, the same as tests/golden/make_quality.py makes. */
#ifndef EK_TESTS_FEATURES_H
#define EK_TESTS_FEATURES_H

#include "analysis/cluster/rows.h"
#include "rebalance/base/json.h"

struct ek_features {
	struct ek_npy array; /* float32, or float16 where the kind is "f2" */
	struct ek_rows rows; /* all of it */
	void *data;          /* owned */
};

void ek_features_make(struct ek_features *out, const char *name, uint64_t n, size_t d, int decay, double shift,
                      const char *kind);
/* Numbers that are given; copied. */
void ek_features_copy(struct ek_features *out, const float *data, uint64_t n, size_t d);
void ek_features_release(struct ek_features *f);

/* Members of a golden object that are there. */
double ek_number(const cJSON *object, const char *name);
const char *ek_text(const cJSON *object, const char *name);

#endif
