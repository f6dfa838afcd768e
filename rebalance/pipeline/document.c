#include "rebalance/pipeline/document.h"

#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/io/layout.h"

enum { LARGEST = 1 << 30 };

int ek_document_load(cJSON **out, const struct ek_run *run, const char *pattern, const char *name)
{
	char *path = NULL;
	int rc;

	*out = NULL;
	EK_TRY(ek_layout_path(&path, run, pattern, name));
	EK_TRY(ek_json_load(out, path));
out:
	free(path);
	return rc;
}

int ek_document_read(struct ek_buffer *out, const struct ek_run *run, const char *pattern, const char *name)
{
	char *path = NULL;
	int rc;

	EK_TRY(ek_layout_path(&path, run, pattern, name));
	EK_TRY(ek_file_read(out, path, LARGEST));
out:
	free(path);
	return rc;
}

int ek_document_cluster_names(cJSON **out, const struct ek_run *run)
{
	cJSON *audit = NULL, *clusters = NULL, *audited;
	char *path = NULL, *made = NULL;
	int rc;

	*out = NULL;
	EK_TRY(ek_layout_path(&path, run, "audit.json", NULL));
	EK_TRY(ek_layout_path(&made, run, "clusters/clusters.json", NULL));
	if (!ek_file_exists(path) || !ek_file_exists(made))
		goto out;
	EK_TRY(ek_json_load(&audit, path));
	EK_TRY(ek_json_load(&clusters, made));
	audited = cJSON_GetObjectItemCaseSensitive(audit, "clusters");
	if (cJSON_Compare(ek_json_member(audited, "sizes"), ek_json_member(clusters, "sizes"), 1))
		*out = cJSON_DetachItemFromObjectCaseSensitive(audited, "mostly");
out:
	cJSON_Delete(audit);
	cJSON_Delete(clusters);
	free(path);
	free(made);
	return rc;
}

/* Are two lists of groups the same ones, of as many images each? */
static int are_same_groups(const cJSON *a, const cJSON *b)
{
	const cJSON *x = a != NULL ? a->child : NULL, *y = b != NULL ? b->child : NULL;

	for (; x != NULL && y != NULL; x = x->next, y = y->next)
		if (!cJSON_Compare(ek_json_member(x, "name"), ek_json_member(y, "name"), 1) ||
		    !cJSON_Compare(ek_json_member(x, "images"), ek_json_member(y, "images"), 1))
			return 0;
	return x == NULL && y == NULL;
}

int ek_document_group_names(cJSON **out, const struct ek_run *run)
{
	cJSON *audit = NULL, *made = NULL, *names = NULL;
	const cJSON *groups, *audited = NULL, *group;
	char *path = NULL, *of_groups = NULL;
	int rc;

	*out = NULL;
	EK_TRY(ek_layout_path(&path, run, "audit.json", NULL));
	EK_TRY(ek_layout_path(&of_groups, run, "clusters/groups.json", NULL));
	if (!ek_file_exists(of_groups))
		goto out;
	EK_TRY(ek_json_load(&made, of_groups));
	groups = ek_json_member(made, "groups");
	if (ek_file_exists(path)) {
		EK_TRY(ek_json_load(&audit, path));
		audited = ek_json_member(ek_json_member(audit, "groups"), "groups");
	}
	if ((names = cJSON_CreateArray()) == NULL)
		rc = ek_fail(EK_ENOMEM, "no memory for names of groups");
	EK_TRY(rc);
	if (are_same_groups(audited, groups))
		groups = audited;
	cJSON_ArrayForEach(group, groups)
	{
		const cJSON *mostly = ek_json_member(group, "mostly");

		EK_TRY(ek_json_add_item(names, NULL,
		                        mostly != NULL ? cJSON_Duplicate(mostly, 1) : cJSON_CreateArray()));
	}
	*out = names;
	names = NULL;
out:
	cJSON_Delete(audit);
	cJSON_Delete(made);
	cJSON_Delete(names);
	free(path);
	free(of_groups);
	return rc;
}
