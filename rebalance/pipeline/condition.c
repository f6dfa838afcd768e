#include "rebalance/pipeline/condition.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/io/layout.h"
#include "rebalance/base/memory.h"
#include "rebalance/io/groups.h"
#include "rebalance/io/images.h"
#include "rebalance/io/npy.h"

static int add_name(struct ek_condition *c, const char *name)
{
	int rc;

	EK_TRY(ek_resize(&c->names, (size_t)c->classes + 1, sizeof *c->names));
	EK_TRY(ek_copy_string(&c->names[c->classes], name));
	c->classes++;
out:
	return rc;
}

static int by_cluster(struct ek_condition *c, const struct ek_run *run)
{
	struct ek_npy assignment = { 0 };
	char *path = NULL, name[16];
	int32_t most = -1;
	int rc;

	EK_TRY(ek_layout_path(&path, run, "clusters/assignment.npy", NULL));
	EK_TRY(ek_npy_open_as(&assignment, path, EK_I32, 1, &c->images));
	memcpy(c->codes, assignment.data, c->images * sizeof *c->codes);
	for (uint64_t i = 0; i < c->images; i++)
		most = c->codes[i] > most ? c->codes[i] : most;
	for (int32_t k = 0; k <= most; k++) {
		(void)snprintf(name, sizeof name, "%" PRId32, k);
		EK_TRY(add_name(c, name));
	}
out:
	ek_npy_close(&assignment);
	free(path);
	return rc;
}

/* The likeliest group of each image; 0: the run has none. */
static int by_group(struct ek_condition *c, const struct ek_run *run)
{
	struct ek_groups groups;
	int rc;

	EK_TRY(ek_groups_load(&groups, run));
	if (groups.count == 0)
		goto out;
	if (groups.images != c->images) {
		rc = ek_fail(EK_EDATA, "clusters/membership.npy has %" PRIu64 " images, the run %" PRIu64,
		             groups.images, c->images);
		goto out;
	}
	for (uint64_t i = 0; i < c->images; i++)
		c->codes[i] = ek_groups_likeliest(&groups, i);
	for (uint32_t g = 0; g < groups.count; g++)
		EK_TRY(add_name(c, groups.names[g]));
	c->of_groups = 1;
	rc = 1;
out:
	ek_groups_release(&groups);
	return rc;
}

static int fail_unknown(const struct ek_columns *columns, const char *by)
{
	struct ek_buffer known = { 0 };
	int rc = 0;

	if (strcmp(by, "group") == 0)
		return ek_groups_fail_none();
	for (size_t i = 0; i < columns->count; i++)
		EK_TRY(ek_buffer_printf(&known, ", %s", columns->items[i].name));
	rc = ek_fail(EK_EUSAGE, "there is no attribute %s; 'condition' takes none, cluster, group%s", by,
	             known.size > 0 ? known.data : "");
out:
	ek_buffer_release(&known);
	return rc;
}

static int by_column(struct ek_condition *c, const struct ek_run *run)
{
	struct ek_columns columns = { 0 };
	const struct ek_column *column = NULL;
	int rc;

	EK_TRY(ek_columns_load(&columns, run));
	for (size_t i = 0; i < columns.count; i++)
		if (strcmp(columns.items[i].name, c->by) == 0)
			column = &columns.items[i];
	if (column == NULL) {
		rc = fail_unknown(&columns, c->by);
		goto out;
	}
	memcpy(c->codes, column->codes, c->images * sizeof *c->codes);
	for (size_t i = 0; i < column->value_count; i++)
		EK_TRY(add_name(c, column->values[i]));
out:
	ek_columns_release(&columns);
	return rc;
}

int ek_condition_load(struct ek_condition *c, const struct ek_run *run, const char *by)
{
	int rc;

	*c = (struct ek_condition){ .by = by };
	EK_TRY(ek_images_count(&c->images, run));
	EK_TRY(ek_alloc(&c->codes, c->images, sizeof *c->codes));
	if (strcmp(by, "none") == 0)
		memset(c->codes, 0xff, c->images * sizeof *c->codes);
	else if (strcmp(by, "cluster") == 0)
		EK_TRY(by_cluster(c, run));
	else if (strcmp(by, "group") != 0 || (rc = by_group(c, run)) == 0)
		EK_TRY(by_column(c, run));
	rc = rc < 0 ? rc : 0;
out:
	return rc;
}

void ek_condition_release(struct ek_condition *c)
{
	for (int i = 0; i < c->classes; i++)
		free(c->names[i]);
	free(c->names);
	free(c->codes);
	*c = (struct ek_condition){ 0 };
}
