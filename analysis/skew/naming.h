/*
 * What units (clusters, groups) are called: by what most of their images are, of what is known of them: attributes,
 * labels, groups that people named, words. One rule for all of it.
 *
 * A value names a unit if most of the unit's images have it, and clearly more often than images have it elsewhere: the
 * lower end of Wilson's 95 % interval of its share of the unit (images without a value count as not having it) is above
 * EK_NAMING_SHARE and at least EK_NAMING_LIFT times its share of all images. So neither a handful of images is named,
 * nor what nearly all images are anyway. At most EK_NAMES_MOST values, those with the highest such ratio, in the order
 * of the columns.
 */
#ifndef EK_SKEW_NAMING_H
#define EK_SKEW_NAMING_H

#include "rebalance/base/json.h"
#include "rebalance/io/images.h"

#define EK_NAMING_SHARE 0.5
#define EK_NAMING_LIFT 1.2
enum { EK_NAMES_MOST = 3 };

struct ek_naming_value {
	char *text; /* owned */
	double ratio;
};

struct ek_naming {
	size_t units;
	const uint64_t *sizes; /* [units] images of each; the caller's */
	uint64_t images;
	struct ek_naming_value (*values)[EK_NAMES_MOST]; /* [units]; those that are there first */
};

/* sizes must stay. Release in any case. */
int ek_naming_open(struct ek_naming *naming, const uint64_t *sizes, size_t units, uint64_t images);
void ek_naming_release(struct ek_naming *naming);

/* Consider the values of a column. by_unit: [units, values] images of each unit and value. */
int ek_naming_take(struct ek_naming *naming, const struct ek_column *column, const uint64_t *by_unit);
/* The same, counted here: unit [images] < 0: none. */
int ek_naming_count(struct ek_naming *naming, const struct ek_column *column, const int32_t *unit);

/* Add a list of texts ("1–20", "not Male") to an object, in the place of one that is there, or without a name to an
 * array; empty where nothing names the unit. */
int ek_naming_add(cJSON *parent, const char *name, const struct ek_naming *naming, size_t unit);

#endif
